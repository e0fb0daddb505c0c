"""/api/chat in one piece: which keys stand in the answer, in which order, and what is in them."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ollama_proxy.simulator import Sleep
from tests.support.contract import CHAT, JSON, PLAIN, World

KEYS = ["model", "created_at", "message", "done", "done_reason"]
DURATIONS = ["total_duration", "load_duration", "prompt_eval_duration", "eval_duration"]
METRICS = [
    "total_duration",
    "load_duration",
    "prompt_eval_count",
    "prompt_eval_duration",
    "eval_count",
    "eval_duration",
]


def whole(message: dict[str, Any], finish: str | None = "stop", **more: Any) -> dict[str, Any]:
    """A provider's whole answer."""
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    return {"id": "up-1", "object": "chat.completion", "created": 7, "model": "up", "choices": [choice], **more}


def test_an_answer_has_ollamas_keys_in_order(world: World) -> None:
    """C60: every key of a whole answer, and no other."""
    answer = world.chat()
    assert (answer.status, answer.type, answer.chunked) == (200, JSON, False)
    assert list(answer.json) == [*KEYS, *METRICS]
    assert answer.json["done"] is True
    assert answer.json["done_reason"] == "stop"


@pytest.mark.parametrize(
    "asked",
    [PLAIN, f"{PLAIN}:latest", PLAIN.upper(), PLAIN.replace(":", "/"), f" {PLAIN} ", "COHERE:command-a-03-2025"],
)
def test_the_model_is_echoed_letter_by_letter(world: World, asked: str) -> None:
    """C61: with and without tag, in any case, with blanks around it."""
    assert world.chat(asked).json["model"] == asked
    lines = world.chat(asked, stream=True).lines
    assert {line["model"] for line in lines} == {asked}


def test_time_has_one_form(world: World) -> None:
    """C62: UTC with a `Z` and nine digits."""
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", world.chat().json["created_at"])


def test_a_message_has_nothing_that_is_empty(world: World) -> None:
    """C63: role and content; no calls, thinking or images where there are none."""
    world.sim.say(None, "Paris.", times=None)
    answer = world.chat(PLAIN)
    assert answer.json["message"] == {"role": "assistant", "content": "Paris."}
    assert b'"message":{"role":"assistant","content":"Paris."},"done":true' in answer.body


def test_durations_are_positive_nanoseconds(world: World) -> None:
    """C64: whole numbers above 0, the total no less than any of them, and as long as it really took."""
    world.sim.say(None, [Sleep(0.05), "Paris."])
    told = world.chat().json
    assert all(type(told[name]) is int and told[name] > 0 for name in DURATIONS)
    assert told["total_duration"] >= sum(told[name] for name in DURATIONS[1:])
    assert 50_000_000 <= told["total_duration"] < 20_000_000_000


def test_counts_are_the_providers(world: World) -> None:
    """C65: prompt and answer, as reported."""
    usage = {"prompt_tokens": 21, "completion_tokens": 4, "total_tokens": 25}
    world.answer_with(whole({"content": "Paris."}, usage=usage))
    told = world.chat().json
    assert (told["prompt_eval_count"], told["eval_count"]) == (21, 4)


@pytest.mark.parametrize(
    ("finish", "reason"),
    [("stop", "stop"), ("tool_calls", "stop"), ("content_filter", "stop"), ("length", "length"), ("eos", "stop")],
)
def test_reasons_are_stop_or_length(world: World, finish: str, reason: str) -> None:
    """C66: whatever the provider calls it, streamed or not."""
    world.sim.say(None, "Paris.", finish=finish, times=None)
    assert world.chat(PLAIN).json["done_reason"] == reason
    assert world.chat(PLAIN, stream=True).lines[-1]["done_reason"] == reason


def test_no_content_is_empty_text(world: World) -> None:
    """C67: null from the provider is \"\" for the client."""
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    world.answer_with(whole({"content": None, "tool_calls": [call]}, "tool_calls"))
    assert world.chat().json["message"]["content"] == ""
    world.sim.reset()
    world.answer_with(whole({"content": None, "reasoning_content": "Hm."}))
    assert world.chat().json["message"] == {"role": "assistant", "content": "", "thinking": "Hm."}


def test_what_was_not_counted_is_left_out(world: World) -> None:
    """C68: without usage the counts are missing and everything else is there."""
    world.answer_with(whole({"content": "Paris."}))
    assert list(world.chat().json) == [*KEYS, *DURATIONS]
    assert world.chat().json["message"]["content"] == "Paris."


def test_logprobs_stand_before_the_metrics(world: World) -> None:
    """C60: flat, one entry a token, only where they were asked for."""
    entry = {"token": "Paris", "logprob": -0.5, "bytes": [80], "top_logprobs": [{"token": "Rome", "logprob": -2.0}]}
    answer = whole({"content": "Paris"})
    answer["choices"][0]["logprobs"] = {"content": [entry]}
    world.answer_with(answer)
    told = world.chat(CHAT, logprobs=True, top_logprobs=1).json
    assert list(told)[:6] == [*KEYS, "logprobs"]
    assert told["logprobs"] == [entry]
    assert "logprobs" not in world.chat().json
