"""A whole chat answer passes as the bytes that it is; only what breaks OpenAI's schema is mended."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.chat import ChatCompletion

from ollama_proxy.errors import ErrorInside, StreamInterrupted, UpstreamJunk
from ollama_proxy.protocols.openai.answer import pass_answer
from tests.support.openai_kit import chances, dumps, frame
from tests.support.recordings import RECORDINGS, Recording


def answer(message: Any, finish: Any = "stop", **more: Any) -> bytes:
    choice = {"index": 0, "message": message, "finish_reason": finish, "logprobs": None}
    return dumps({"id": "up-1", "object": "chat.completion", "created": 7, "model": "up", "choices": [choice], **more})


def passed(reply: bytes) -> Any:
    return json.loads(pass_answer(reply, chances()))


CALL = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}


@pytest.mark.parametrize(
    "body",
    [
        answer({"role": "assistant", "content": "Low."}, novel=[1], provider="Harbour"),
        answer({"role": "assistant", "content": "Low.", "tool_calls": []}),
        answer({"role": "assistant", "content": "<think>hm</think>Low.", "reasoning": "hm"}),
        answer({"role": "assistant", "content": None, "tool_calls": [CALL]}, "tool_calls"),
        answer(
            {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": ""}}, "function_call"
        ),
        answer({"role": "assistant"}, "content_filter"),
        b'{ "choices" : [ {"message":{"content":"spaces \\u00e9 stay"},"finish_reason":"length"} ] }\n',
    ],
)
def test_a_sound_answer_passes_byte_for_byte(body: bytes) -> None:
    """Unknown keys, ids, model and spelling included."""
    assert pass_answer(body, chances()) == body


def test_white_space_before_the_answer_goes() -> None:
    """OpenRouter keeps the connection alive with it."""
    body = answer({"role": "assistant", "content": "Low."})
    assert pass_answer(b"\n    \n\n" + body, chances()) == body


def test_calls_are_mended_and_nothing_else() -> None:
    """Ids that are missing or told twice, no type, arguments as an object, a stop beside calls. (F56, C182)"""
    calls = [
        {"function": {"name": "f", "arguments": {"x": 1}}, "extra_content": {"google": 1}},
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}},
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}},
    ]
    body = answer({"role": "assistant", "content": None, "tool_calls": calls}, "stop", novel=[1])
    told = passed(body)
    ids = [call.pop("id") for call in told["choices"][0]["message"]["tool_calls"]]
    assert ids[1] == "a"
    assert len(set(ids)) == 3
    expected = json.loads(body)
    expected["choices"][0]["finish_reason"] = "tool_calls"
    expected["choices"][0]["message"]["tool_calls"] = [
        {"type": "function", "function": {"name": "f", "arguments": '{"x":1}'}, "extra_content": {"google": 1}},
        {"type": "function", "function": {"name": "f", "arguments": "{}"}},
        {"type": "function", "function": {"name": "f", "arguments": "{}"}},
    ]
    assert told == expected


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("MAX_TOKENS", "length"),
        ("content_filter: PROHIBITED_CONTENT", "content_filter"),
        (None, "stop"),
        ("eos", "stop"),
    ],
)
def test_reasons_outside_the_schema_are_translated(reason: Any, told: str) -> None:
    """(F58)"""
    assert passed(answer({"content": "a"}, reason))["choices"][0]["finish_reason"] == told


def test_content_in_parts_becomes_text() -> None:
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "Low."}]
    message = passed(answer({"role": "assistant", "content": parts}))["choices"][0]["message"]
    assert message == {"role": "assistant", "content": "Low.", "reasoning_content": "hm"}


def test_poison_is_rewritten_as_clean_json() -> None:
    """(F57)"""
    told = passed(b'{"choices":[{"message":{"content":"a\\ud800"},"finish_reason":"stop"}],"n":NaN}')
    assert told == {"choices": [{"message": {"content": "a\ufffd"}, "finish_reason": "stop"}], "n": None}


@pytest.mark.parametrize(
    "body",
    [
        b'{"error":{"code":502,"message":"leak"},"user_id":"u"}',
        b'[{"error":{"code":429}}]',
        answer({"content": "a"}, error={"code": 1}),
        answer({"content": "a"}, "error"),
        b'{"object":"error","message":"leak"}',
    ],
)
def test_an_error_inside_a_success_is_found(body: bytes) -> None:
    """(F20)"""
    with pytest.raises(ErrorInside):
        pass_answer(body, chances())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"<html></html>",
        b"no",
        b"{",
        b"{}",
        b'{"choices":[]}',
        answer({}, "MALFORMED_FUNCTION_CALL"),
        b"[" * 9999,
    ],
)
def test_nonsense_is_junk(body: bytes) -> None:
    """(F22)"""
    with pytest.raises(UpstreamJunk):
        pass_answer(body, chances())


@pytest.mark.parametrize("recording", [r for r in RECORDINGS if r.raises is None], ids=str)
def test_a_stream_in_place_of_json_becomes_one_answer(recording: Recording) -> None:
    """SSE where JSON was asked for: the same words as a chat.completion that the official SDK's types accept."""
    told = passed(recording.data)
    choice = told["choices"][0]
    assert told["object"] == "chat.completion"
    if not recording.name.startswith("json_"):
        assert choice["message"].get("reasoning_content", "") in (recording.thinking, "")
    assert choice["finish_reason"] == recording.finish
    calls = choice["message"].get("tool_calls") or []
    assert [[call["function"]["name"], call["function"]["arguments"]] for call in calls] == [
        call[1:] for call in recording.calls
    ]
    assert all(call["id"] for call in calls)
    if recording.usage is None or None not in recording.usage:
        ChatCompletion.model_validate({"id": "x", "created": 0, "model": "m", **told})


def test_the_envelope_of_the_first_chunk_is_kept() -> None:
    told = passed(
        b": x\n\n" + frame({"content": "a"}, provider="Harbour") + frame({}, "stop", usage={"total_tokens": 3})
    )
    assert {key: told[key] for key in ("id", "created", "model", "provider", "usage")} == {
        "id": "up-1",
        "created": 7,
        "model": "up",
        "provider": "Harbour",
        "usage": {"total_tokens": 3},
    }


def test_a_cut_stream_in_place_of_json_is_interrupted() -> None:
    with pytest.raises(StreamInterrupted):
        pass_answer(frame({"content": "a"}), chances())
