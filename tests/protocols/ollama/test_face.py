from __future__ import annotations

import json
from typing import Any

import pytest

from ollama_proxy.errors import ErrorInside, UnknownModel, UpstreamJunk, UpstreamRefused
from tests.support.ollama_kit import answer, chat


def told(reply: bytes, **fields: Any) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(chat(stream=False, **fields).call.face.render_answer(reply))
    return value


def test_a_whole_answer_has_ollamas_keys_in_order() -> None:
    """C60, C63, C65."""
    value = told(answer())
    assert list(value) == [
        "model",
        "created_at",
        "message",
        "done",
        "done_reason",
        "total_duration",
        "load_duration",
        "prompt_eval_count",
        "prompt_eval_duration",
        "eval_count",
        "eval_duration",
    ]
    assert value["message"] == {"role": "assistant", "content": "hello"}
    assert (value["done"], value["done_reason"]) == (True, "stop")
    assert (value["prompt_eval_count"], value["eval_count"]) == (7, 3)


def test_it_has_no_newline_and_a_charset() -> None:
    """C19."""
    face = chat(stream=False).call.face
    assert face.render_answer(answer()).endswith(b"}")
    assert face.answer_type == b"application/json; charset=utf-8"
    assert face.stream_type == b"application/x-ndjson"


def test_durations_are_positive_and_add_up() -> None:
    """C64: what was not measured is one nanosecond."""
    value = told(answer())
    parts = [value["load_duration"], value["prompt_eval_duration"], value["eval_duration"]]
    assert parts == [1, 1, 250_000_000]
    assert value["total_duration"] >= sum(parts)


@pytest.mark.parametrize("content", [None, "", []])
def test_no_content_is_empty_text(content: Any) -> None:
    """C67: where the model had no room for a word."""
    assert told(answer({"content": content}, finish="length"))["message"] == {"role": "assistant", "content": ""}


@pytest.mark.parametrize(
    ("finish", "reason"), [("stop", "stop"), ("length", "length"), ("tool_calls", "stop"), ("content_filter", "stop")]
)
def test_reasons_are_stop_or_length(finish: str, reason: str) -> None:
    """C66."""
    assert told(answer(finish=finish))["done_reason"] == reason


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": None}, {"prompt_tokens": "7"}, {"prompt_tokens": True}])
def test_unreported_counts_are_left_out(usage: Any) -> None:
    """C68."""
    value = told(answer(usage=usage))
    assert not {"prompt_eval_count", "eval_count"} & value.keys()
    assert value["eval_duration"] > 0


def test_a_count_of_zero_is_a_count() -> None:
    """AnythingLLM adds the two numbers."""
    assert told(answer(usage={"prompt_tokens": 0, "completion_tokens": 0}))["eval_count"] == 0


@pytest.mark.parametrize(
    "message",
    [
        {"reasoning": "hm", "content": "4"},
        {"reasoning_content": "hm", "content": "4"},
        {"content": "<think>hm</think>4"},
    ],
)
def test_reasoning_stands_beside_the_answer(message: dict[str, Any]) -> None:
    """C109; and not at all if the client wants none (C111)."""
    assert told(answer(message))["message"] == {"role": "assistant", "content": "4", "thinking": "hm"}
    assert told(answer(message), think=False)["message"] == {"role": "assistant", "content": "4"}


def test_calls_are_all_in_the_message() -> None:
    """C113, C114, C116, C118, C120."""
    calls = [
        {"id": "x", "type": "function", "function": {"name": "f", "arguments": '{"b": 1, "a": 2}'}},
        {"id": "", "type": "function", "function": {"name": "g", "arguments": ""}},
    ]
    value = told(answer({"content": None, "tool_calls": calls}, "tool_calls"))
    first, second = value["message"].pop("tool_calls")
    assert value["message"] == {"role": "assistant", "content": ""}
    assert first == {"id": "x", "function": {"index": 0, "name": "f", "arguments": {"b": 1, "a": 2}}}
    assert (second["id"][:5], second["function"]) == ("call_", {"index": 1, "name": "g", "arguments": {}})
    assert value["done_reason"] == "stop"


def test_broken_arguments_are_junk() -> None:
    """C119."""
    calls = [{"id": "x", "function": {"name": "f", "arguments": "{"}}]
    with pytest.raises(UpstreamJunk, match=r'^the model returned invalid tool call arguments for "f"$'):
        told(answer({"tool_calls": calls}))


def test_logprobs_are_flat_and_only_on_demand() -> None:
    """C141: behind `done_reason`, before the numbers."""
    reply = answer(logprobs={"content": [{"token": "hello", "logprob": -0.1}]})
    value = told(reply, logprobs=True)
    assert list(value)[4:7] == ["done_reason", "logprobs", "total_duration"]
    assert value["logprobs"] == [{"token": "hello", "logprob": -0.1}]
    assert "logprobs" not in told(reply)


def test_the_model_is_echoed_as_sent() -> None:
    """C61."""
    assert told(answer(), model="Google/GEMINI:latest")["model"] == "Google/GEMINI:latest"


def test_an_error_inside_is_passed_on() -> None:
    """The provider judges it, not we."""
    with pytest.raises(ErrorInside):
        told(b'{"error":{"message":"quota"}}')


def test_an_unknown_model_is_told_in_chats_words() -> None:
    """C144, also for a stream."""
    face = chat(model="nope").call.face
    status, headers, body = face.render_error(UnknownModel("model 'nope' not found"))
    assert (status, body) == (404, b'{"error":"model \'nope\' not found"}')
    assert (b"content-type", b"application/json; charset=utf-8") in headers


def test_an_upstreams_error_instead_of_a_stream_has_no_charset() -> None:
    """C80: as real Ollama's does; without a stream it has."""
    error = UpstreamRefused("slow down", status=429, retry_after_s=7)
    status, headers, body = chat().call.face.render_error(error)
    assert (status, body) == (429, b'{"error":"slow down"}')
    assert headers[0] == (b"content-type", b"application/json")
    assert (b"retry-after", b"7") in headers
    assert chat(stream=False).call.face.render_error(error)[1][0][1] == b"application/json; charset=utf-8"
