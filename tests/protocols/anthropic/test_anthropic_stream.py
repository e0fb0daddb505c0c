"""A stream in Anthropic's order, however its bytes were cut, and read by Anthropic's own SDK."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import Message, RawMessageStreamEvent
from hypothesis import given
from pydantic import TypeAdapter

from ollama_proxy.errors import ErrorInside, StreamInterrupted, UpstreamJunk, UpstreamTimeout
from ollama_proxy.types import Stream
from tests.support.cuts import bytewise, cut_at, cut_points
from tests.support.event_streams import Event, events, fed, messages_call
from tests.support.openai_kit import chunk, dumps, frame

DONE = b"data: [DONE]\n\n"
USAGE = {"prompt_tokens": 9, "completion_tokens": 4}
FIRST = {"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"city": '}}
REST = {"index": 0, "function": {"arguments": '"서울"}'}}
SECOND = {"index": 1, "id": "c2", "type": "function", "function": {"name": "g", "arguments": ""}}

WHOLE = (
    b": OPENROUTER PROCESSING\n\n"
    + frame({"role": "assistant", "content": ""})
    + frame({"reasoning_content": "Hm, "})
    + frame({"reasoning_content": "생각"})
    + frame({"content": "I "})
    + frame({"content": "look\u2028."})
    + frame({"tool_calls": [FIRST]})
    + frame({"tool_calls": [REST, SECOND]})
    + frame({}, "tool_calls")
    + frame(choices=[], usage=USAGE)
    + DONE
)


def open_stream(**fields: Any) -> Stream:
    return messages_call(stream=True, **fields)[0].face.open_stream()


def told(data: bytes, **fields: Any) -> list[Event]:
    return events(fed(open_stream(**fields), [data]))


def names(found: list[Event]) -> list[str]:
    return [name for name, _ in found]


def message(found: list[Event]) -> Message:
    """What the SDK makes of it."""
    adapter: TypeAdapter[RawMessageStreamEvent] = TypeAdapter(RawMessageStreamEvent)
    buffers: dict[int, bytes] = {}
    snapshot = None
    for _, data in found:
        snapshot = accumulate_event(event=adapter.validate_python(data), current_snapshot=snapshot, json_bufs=buffers)
    assert snapshot is not None
    return snapshot


def test_events_come_in_anthropics_order() -> None:
    """C213: numbered blocks, each started and stopped; C214: thinking before text before calls."""
    found = told(WHOLE)
    block = ["content_block_start", "content_block_delta", "content_block_stop"]
    twice = ["content_block_start", "content_block_delta", "content_block_delta", "content_block_stop"]
    assert names(found) == ["message_start", *twice, *twice, *block, *block, "message_delta", "message_stop"]
    assert [data["index"] for _, data in found if "index" in data] == [0] * 4 + [1] * 4 + [2] * 3 + [3] * 3
    starts = [data["content_block"] for name, data in found if name == "content_block_start"]
    assert starts == [
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "text", "text": ""},
        {"type": "tool_use", "id": "c1", "name": "f", "input": {}},
        {"type": "tool_use", "id": "c2", "name": "g", "input": {}},
    ]


def test_the_message_begins_empty_with_an_estimate() -> None:
    stream = open_stream(messages=[{"role": "user", "content": "x" * 400}])
    start = events(stream.feed(frame({"content": "a"})))[0][1]["message"]
    assert start["id"].startswith("msg_")
    assert (start["model"], start["content"], start["stop_reason"]) == ("google:gemini", [], None)
    assert start["usage"] == {"input_tokens": 100, "output_tokens": 0}


def test_the_end_tells_the_reason_and_the_real_counts() -> None:
    (_, delta), (_, stop) = told(WHOLE)[-2:]
    assert delta["delta"] == {"stop_reason": "tool_use", "stop_sequence": None}
    assert delta["usage"] == {"input_tokens": 9, "output_tokens": 4}
    assert stop == {"type": "message_stop"}


def test_the_sdk_puts_it_together() -> None:
    made = message(told(WHOLE))
    assert [block.to_dict() for block in made.content] == [
        {"type": "thinking", "thinking": "Hm, 생각", "signature": ""},
        {"type": "text", "text": "I look\u2028."},
        {"type": "tool_use", "id": "c1", "name": "f", "input": {"city": "서울"}},
        {"type": "tool_use", "id": "c2", "name": "g", "input": {}},
    ]
    assert (made.stop_reason, made.usage.input_tokens, made.usage.output_tokens) == ("tool_use", 9, 4)


def settled(pieces: Iterable[bytes]) -> list[Event]:
    """The events but for the first count, which is the real one only where it came with the first bytes."""
    found = events(fed(open_stream(), pieces))
    assert found[0][1]["message"].pop("usage")["input_tokens"] in (1, 9)
    return found


@given(cut_points)
def test_it_does_not_matter_how_the_bytes_were_cut(places: list[float]) -> None:
    assert settled(cut_at(WHOLE, places)) == settled([WHOLE])


def test_byte_by_byte_is_the_same() -> None:
    assert settled(bytewise(WHOLE)) == settled([WHOLE])


def test_line_separators_are_escaped() -> None:
    """Clients on httpx would split a line there."""
    assert "\u2028" not in fed(open_stream(), [WHOLE]).decode()


def test_text_is_told_at_once_and_commits() -> None:
    stream = open_stream()
    assert stream.feed(frame({"role": "assistant", "content": ""})) == b""
    before = stream.committed
    assert names(events(stream.feed(frame({"content": "Hi"})))) == [
        "message_start",
        "content_block_start",
        "content_block_delta",
    ]
    assert (before, stream.committed, stream.progress, stream.usage) == (False, True, 1, None)


def test_calls_are_told_once_the_reason_came() -> None:
    """Whole, before the usage and the end, which may be late."""
    stream = open_stream()
    assert stream.feed(frame({"tool_calls": [FIRST]})) == b""
    assert not stream.committed
    stream.feed(frame({"tool_calls": [REST]}))
    found = events(stream.feed(frame({}, "tool_calls")))
    assert names(found) == ["message_start", "content_block_start", "content_block_delta"]
    assert found[-1][1]["delta"] == {"type": "input_json_delta", "partial_json": '{"city":"서울"}'}
    assert names(events(stream.finish())) == ["content_block_stop", "message_delta", "message_stop"]


def test_thoughts_after_text_are_a_new_block() -> None:
    parts = frame({"content": "a"}) + frame({"reasoning": "b"}) + frame({"content": "c"}) + frame({}, "stop")
    found = told(parts)
    assert [data["content_block"]["type"] for name, data in found if name == "content_block_start"] == [
        "text",
        "thinking",
        "text",
    ]
    assert [data["index"] for name, data in found if name == "content_block_stop"] == [0, 1, 2]


@pytest.mark.parametrize("thinking", [{"type": "disabled"}, {"type": "adaptive", "display": "omitted"}])
def test_thoughts_that_nobody_wants_are_hidden(thinking: dict[str, Any]) -> None:
    found = told(frame({"reasoning": "b"}) + frame({"content": "c"}, "stop"), thinking=thinking)
    assert names(found)[:3] == ["message_start", "content_block_start", "content_block_delta"]
    assert message(found).content[0].type == "text"


@pytest.mark.parametrize(
    ("finish", "reason"), [("stop", "end_turn"), ("length", "max_tokens"), ("content_filter", "refusal")]
)
def test_the_reason_is_told_in_anthropics_words(finish: str, reason: str) -> None:
    """C214."""
    assert told(frame({"content": "x"}, finish))[-2][1]["delta"]["stop_reason"] == reason


def test_an_empty_answer_is_a_message_without_blocks() -> None:
    found = told(frame({}, "length") + DONE)
    assert names(found) == ["message_start", "message_delta", "message_stop"]
    assert message(found).content == []


def test_counts_that_nobody_reported_are_estimates() -> None:
    usage = told(frame({"content": "y" * 40}, "stop"), messages=[{"role": "user", "content": "x" * 400}])[-2][1][
        "usage"
    ]
    assert usage == {"input_tokens": 100, "output_tokens": 10}


def test_what_comes_after_the_end_is_not_told() -> None:
    stream = open_stream()
    whole = stream.feed(frame({"content": "x"}, "stop") + DONE)
    assert names(events(whole))[-1] == "message_stop"
    assert stream.feed(frame({"content": "y"})) == b""
    assert stream.finish() == b""


def test_json_in_place_of_a_stream_is_told_as_one() -> None:
    whole = dumps({"choices": [{"message": {"content": "x"}, "finish_reason": "stop"}], "usage": USAGE})
    found = told(whole)
    assert names(found)[-1] == "message_stop"
    assert message(found).usage.output_tokens == 4


def test_a_cut_stream_is_not_an_end() -> None:
    """F: no message_stop, an error event in its place."""
    stream = open_stream()
    stream.feed(frame({"content": "x"}))
    with pytest.raises(StreamInterrupted):
        stream.finish()
    ((name, data),) = events(stream.render_error(UpstreamTimeout("too slow")))
    assert name == "error"
    assert data == {
        "type": "error",
        "error": {"type": "api_error", "message": "too slow"},
        "request_id": "req_0123",
    }


def test_what_came_before_an_error_is_told_before_it() -> None:
    """The text and the error in one read: nothing commits, so another attempt may still take its place."""
    stream = open_stream()
    with pytest.raises(ErrorInside):
        stream.feed(frame({"content": "x"}) + b'data: {"error":{"message":"no"}}\n\n')
    assert not stream.committed
    found = events(stream.render_error(UpstreamTimeout("no")))
    assert names(found) == ["message_start", "content_block_start", "content_block_delta", "error"]


def test_arguments_that_are_no_object_may_be_tried_again_while_nothing_was_told() -> None:
    broken = {**FIRST, "function": {"name": "f", "arguments": "[1]"}}
    with pytest.raises(UpstreamJunk):
        open_stream().feed(frame({"tool_calls": [broken]}, "tool_calls") + DONE)
    stream = open_stream()
    stream.feed(frame({"content": "x"}))
    with pytest.raises(StreamInterrupted):
        stream.feed(frame({"tool_calls": [broken]}, "tool_calls") + DONE)


def test_a_call_torn_by_the_limit_is_not_told() -> None:
    found = told(frame({"content": "x"}) + frame({"tool_calls": [FIRST]}) + frame({}, "length") + DONE)
    assert message(found).stop_reason == "max_tokens"
    assert len(message(found).content) == 1


def test_a_heartbeat_is_anthropics_ping() -> None:
    assert open_stream().heartbeat() == b'event: ping\ndata: {"type":"ping"}\n\n'


def test_ten_thousand_pieces_in_one_read_cost_no_square() -> None:
    """Every piece is told as a delta of its own, in far less than a second."""
    data = b"data: " + dumps(chunk({"content": "ab "})) + b"\n\n"
    found = open_stream().feed(data * 10_000)
    assert found.count(b"text_delta") == 10_000
