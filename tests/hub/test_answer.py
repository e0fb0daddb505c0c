"""Whole answers are read as tolerantly as streams."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from ollama_proxy.errors import ErrorInside, StreamInterrupted, UpstreamError, UpstreamJunk
from ollama_proxy.hub.answer import WholeAnswer, read_answer
from ollama_proxy.hub.calls import ToolCall
from tests.support.recordings import RECORDINGS, Recording


def answer(message: Any, finish: Any = "stop", **more: Any) -> bytes:
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return msgspec.json.encode({"object": "chat.completion", "choices": [choice], **more})


USAGE = {"prompt_tokens": 3, "completion_tokens": 4}
CALL = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}

CASES: dict[str, tuple[bytes, WholeAnswer]] = {
    "text": (answer({"content": "Low."}, usage=USAGE), WholeAnswer("Low.", usage=USAGE)),
    "white space before": (b"\n   \n" + answer({"content": "Low."}), WholeAnswer("Low.")),
    "byte order mark": (b"\xef\xbb\xbf" + answer({"content": "Low."}), WholeAnswer("Low.")),
    "length": (answer({"content": "Lo"}, "MAX_TOKENS"), WholeAnswer("Lo", finish="length")),
    "no finish": (answer({"content": "Low."}, None), WholeAnswer("Low.")),
    "empty calls": (answer({"content": "Low.", "tool_calls": []}), WholeAnswer("Low.")),
    "null calls": (answer({"content": "Low.", "tool_calls": None}), WholeAnswer("Low.")),
    "no content": (answer({"role": "assistant"}, "content_filter: SPII"), WholeAnswer(finish="content_filter")),
    "reasoning": (answer({"content": "Low.", "reasoning_content": "hm"}), WholeAnswer("Low.", "hm")),
    "tags": (answer({"content": "<think>\nhm</think>\n\nLow."}), WholeAnswer("Low.", "hm")),
    "parts": (
        answer(
            {
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
                    {"type": "text", "text": "Low."},
                ]
            }
        ),
        WholeAnswer("Low.", "hm"),
    ),
    "calls": (
        answer({"tool_calls": [CALL, {**CALL, "id": "b"}]}, "stop"),
        WholeAnswer(calls=[ToolCall("a", "f", "{}"), ToolCall("b", "f", "{}")], finish="tool_calls"),
    ),
    "calls without ids": (
        answer({"tool_calls": [{"function": {"name": "f", "arguments": {}}}, {"id": "", "function": {"name": "f"}}]}),
        WholeAnswer(calls=[ToolCall("", "f", "{}"), ToolCall("", "f", "")], finish="tool_calls"),
    ),
    "function_call": (
        answer({"function_call": {"name": "f", "arguments": "{}"}}, "function_call"),
        WholeAnswer(calls=[ToolCall("", "f", "{}")], finish="tool_calls"),
    ),
    "poison": (
        b'{"choices":[{"message":{"content":"a\\ud800"}}],"usage":{"prompt_tokens":NaN}}',
        WholeAnswer("a\ufffd", usage={"prompt_tokens": None}),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_answers_are_read(case: str) -> None:
    """(F55, F56, F57, F58)"""
    body, expected = CASES[case]
    assert read_answer(body) == expected


@pytest.mark.parametrize("recording", RECORDINGS, ids=str)
def test_a_stream_in_place_of_json_is_read(recording: Recording) -> None:
    """SSE where JSON was asked for says the same."""
    if recording.raises:
        with pytest.raises(UpstreamError):
            read_answer(recording.data)
        return
    whole = read_answer(recording.data)
    assert (whole.text, whole.thinking, whole.finish) == (recording.text, recording.thinking, recording.finish)
    assert [[call.id, call.name, call.arguments] for call in whole.calls] == recording.calls


@pytest.mark.parametrize(
    "body",
    [
        b'{"error":{"code":502,"message":"leak"},"user_id":"u"}',
        b'{"error":"leak"}',
        b'[{"error":{"code":429,"message":"slow down"}}]',
        b'{"choices":[{"message":{"content":"a"},"error":{"code":1}}]}',
        b'{"choices":[{"message":{"content":"a"},"finish_reason":"error"}]}',
        b'{"object":"error","message":"leak","type":"t","code":"1"}',
        b'{"code":"Throttling","message":"slow down","request_id":"r"}',
        b'{"detail":"leak"}',
    ],
)
def test_an_error_inside_a_success_is_found(body: bytes) -> None:
    """Every shape of it, with the bytes for the provider to judge. (F20)"""
    with pytest.raises(ErrorInside) as caught:
        read_answer(b" \n" + body)
    assert caught.value.payload == body


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"  \n",
        b"<!DOCTYPE html><html></html>",
        b"upstream connect error",
        b"null",
        b'"text"',
        b"{",
        b"[]",
        b"{}",
        b'{"choices":[]}',
        b'{"choices":null}',
        b'{"choices":[{"message":{},"finish_reason":"function_call_filter: MALFORMED_FUNCTION_CALL"}]}',
        b"[" * 100_000,
    ],
)
def test_nonsense_is_junk(body: bytes) -> None:
    """(F22, F57)"""
    with pytest.raises(UpstreamJunk):
        read_answer(body)


def test_a_cut_stream_in_place_of_json_is_interrupted() -> None:
    with pytest.raises(StreamInterrupted):
        read_answer(b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n')
