"""Requests with nothing to say: they load a model, or let it go, and no provider hears of them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.contract import CHAT, JSON, Answer, World

PICTURE = "iVBORw0KGgoAAAAN"


def assert_local(world: World, answer: Answer, keys: list[str], reason: str) -> None:
    """One JSON object without metrics, whatever `stream` said."""
    assert (answer.status, answer.type, answer.chunked) == (200, JSON, False)
    assert not answer.body.endswith(b"\n")
    assert list(answer.json) == keys
    assert (answer.json["model"], answer.json["done"], answer.json["done_reason"]) == (CHAT, True, reason)
    assert not world.arrivals


@pytest.mark.parametrize("stream", [{}, {"stream": True}, {"stream": False}])
@pytest.mark.parametrize("messages", [{}, {"messages": []}, {"messages": None}])
def test_a_chat_without_messages_loads(world: World, messages: dict[str, Any], stream: dict[str, Any]) -> None:
    """C127: `load`, and an empty message of the assistant."""
    answer = world.post("/api/chat", {"model": CHAT, **messages, **stream})
    assert_local(world, answer, ["model", "created_at", "message", "done", "done_reason"], "load")
    assert answer.json["message"] == {"role": "assistant", "content": ""}


@pytest.mark.parametrize("keep_alive", [0, "0", "0s"])
@pytest.mark.parametrize("path", ["/api/chat", "/api/generate"])
def test_no_time_left_unloads(world: World, path: str, keep_alive: Any) -> None:
    """C128 C129: in each way of writing zero."""
    text = "message" if path == "/api/chat" else "response"
    answer = world.post(path, {"model": CHAT, "keep_alive": keep_alive})
    assert_local(world, answer, ["model", "created_at", text, "done", "done_reason"], "unload")


@pytest.mark.parametrize(
    "more",
    [{}, {"prompt": ""}, {"prompt": "", "images": [PICTURE]}, {"system": "Be brief."}, {"suffix": "", "raw": True}],
)
def test_a_generation_without_a_prompt_loads(world: World, more: dict[str, Any]) -> None:
    """C129 C131: also with pictures or a system text."""
    answer = world.post("/api/generate", {"model": CHAT, **more})
    assert_local(world, answer, ["model", "created_at", "response", "done", "done_reason"], "load")
    assert answer.json["response"] == ""


@pytest.mark.parametrize("path", ["/api/chat", "/api/generate"])
@pytest.mark.parametrize("more", [{}, {"keep_alive": 0}])
def test_an_unknown_model_is_not_loaded(world: World, path: str, more: dict[str, Any]) -> None:
    """C130: 404, to load as to unload."""
    world.post(path, {"model": "nope", **more}).assert_error(404, "model 'nope' not found")
