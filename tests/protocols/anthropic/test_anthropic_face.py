"""A whole answer in Anthropic's shape."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from ollama_proxy.errors import ErrorInside, UnknownModel, UpstreamJunk
from tests.support.event_streams import messages_call
from tests.support.openai_kit import dumps

CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"z": 1, "a": 2}'}}


def upstream(message: dict[str, Any], finish: str = "stop", **more: Any) -> bytes:
    return dumps({"choices": [{"index": 0, "message": message, "finish_reason": finish}], **more})


def answer(message: dict[str, Any], finish: str = "stop", *, ask: dict[str, Any] | None = None, **more: Any) -> Any:
    call, _ = messages_call(**(ask or {}))
    return json.loads(call.face.render_answer(upstream(message, finish, **more)))


def test_a_message_has_all_its_fields() -> None:
    """C212: the caller's model, one block of text, both counts."""
    told = answer({"content": "안녕"}, usage={"prompt_tokens": 9, "completion_tokens": 2})
    assert re.fullmatch("msg_[0-9a-f]{24}", told.pop("id"))
    assert told == {
        "type": "message",
        "role": "assistant",
        "model": "google:gemini",
        "content": [{"type": "text", "text": "안녕"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 9, "output_tokens": 2},
    }


def test_blocks_come_in_their_order() -> None:
    """C214: thinking, text, tool use with an object as input; an unsigned thought has an empty signature."""
    told = answer({"content": "I look.", "reasoning_content": "Hm.", "tool_calls": [CALL]}, "tool_calls")
    assert told["content"] == [
        {"type": "thinking", "thinking": "Hm.", "signature": ""},
        {"type": "text", "text": "I look."},
        {"type": "tool_use", "id": "c1", "name": "f", "input": {"z": 1, "a": 2}},
    ]
    assert list(told["content"][2]["input"]) == ["z", "a"]
    assert told["stop_reason"] == "tool_use"


@pytest.mark.parametrize("thinking", [{"type": "disabled"}, {"type": "adaptive", "display": "omitted"}])
def test_thoughts_that_nobody_wants_are_hidden(thinking: dict[str, Any]) -> None:
    told = answer({"content": "<think>Hm.</think>Hi"}, ask={"thinking": thinking})
    assert told["content"] == [{"type": "text", "text": "Hi"}]


@pytest.mark.parametrize(
    ("finish", "reason"), [("stop", "end_turn"), ("length", "max_tokens"), ("content_filter", "refusal")]
)
def test_the_reason_is_told_in_anthropics_words(finish: str, reason: str) -> None:
    """C214."""
    assert answer({"content": "x"}, finish)["stop_reason"] == reason


def test_an_empty_answer_has_empty_content() -> None:
    assert answer({"content": None}, "length")["content"] == []


def test_a_call_torn_by_the_limit_is_not_told() -> None:
    torn = {"id": "c2", "function": {"name": "f", "arguments": '{"a": "b'}}
    told = answer({"content": "x", "tool_calls": [torn]}, "length")
    assert told["content"] == [{"type": "text", "text": "x"}]
    assert told["stop_reason"] == "max_tokens"


def test_cached_tokens_are_counted_beside_the_input() -> None:
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 9,
        "prompt_tokens_details": {"cached_tokens": 80},
        "completion_tokens_details": {"reasoning_tokens": 5},
    }
    assert answer({"content": "x"}, usage=usage)["usage"] == {
        "input_tokens": 20,
        "cache_read_input_tokens": 80,
        "output_tokens": 9,
        "output_tokens_details": {"thinking_tokens": 5},
    }


def test_counts_that_nobody_reported_are_estimates() -> None:
    question = [{"role": "user", "content": "x" * 400}]
    assert answer({"content": "y" * 40}, ask={"messages": question})["usage"] == {
        "input_tokens": 100,
        "output_tokens": 10,
    }


def test_failures_inside_a_success_are_raised() -> None:
    face = messages_call()[0].face
    with pytest.raises(ErrorInside):
        face.render_answer(b'{"error":{"message":"no"}}')
    with pytest.raises(UpstreamJunk):
        face.render_answer(b"<html>")
    with pytest.raises(UpstreamJunk, match='"f"'):
        broken = {"id": "c", "function": {"name": "f", "arguments": "{"}}
        face.render_answer(upstream({"tool_calls": [broken]}, "tool_calls"))


def test_an_error_carries_the_requests_id() -> None:
    """C216."""
    status, _, body = messages_call()[0].face.render_error(UnknownModel("no"))
    assert status == 404
    assert json.loads(body)["request_id"] == "req_0123"
