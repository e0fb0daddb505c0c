"""A stream in the Responses API's order, however its bytes were cut, and read by OpenAI's own SDK."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from openai import omit
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from ollama_proxy.errors import ErrorInside, KeysResting, StreamInterrupted, UpstreamJunk, UpstreamTimeout
from ollama_proxy.types import Stream
from tests.support.cuts import bytewise, cut_at, cut_points
from tests.support.event_streams import Event, events, fed, responses_call
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
REASONING = [
    "output_item.added",
    "reasoning_summary_text.delta",
    "reasoning_summary_text.delta",
    "reasoning_summary_text.done",
    "output_item.done",
]
TEXT = [
    "output_item.added",
    "content_part.added",
    "output_text.delta",
    "output_text.delta",
    "output_text.done",
    "content_part.done",
    "output_item.done",
]
FUNCTION = [
    "output_item.added",
    "function_call_arguments.delta",
    "function_call_arguments.done",
    "output_item.done",
]


def open_stream(**fields: Any) -> Stream:
    return responses_call(stream=True, **fields)[0].face.open_stream()


def told(data: bytes, **fields: Any) -> list[Event]:
    return events(fed(open_stream(**fields), [data]))


def names(found: list[Event]) -> list[str]:
    return [name.removeprefix("response.") for name, _ in found]


def response(found: list[Event]) -> Response:
    """What the SDK makes of it."""
    adapter: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)
    state: ResponseStreamState[Any] = ResponseStreamState(input_tools=omit, text_format=omit)
    last: Any = None
    for _, data in found:
        for event in state.handle_event(adapter.validate_python(data)):
            last = event
    assert isinstance(last.response, Response)
    return last.response


def test_events_come_in_ollamas_order_and_are_numbered() -> None:
    """C207: no gap in the numbers, response.completed at the end, no `[DONE]`."""
    found = told(WHOLE)
    assert names(found) == ["created", "in_progress", *REASONING, *TEXT, *FUNCTION, *FUNCTION, "completed"]
    assert [data["sequence_number"] for _, data in found] == list(range(len(found)))
    indexes = [data["output_index"] for _, data in found if "output_index" in data]
    assert indexes == [0] * 5 + [1] * 7 + [2] * 4 + [3] * 4


def test_the_last_event_says_everything_again() -> None:
    found = told(WHOLE)
    done = [data["item"] for name, data in found if name == "response.output_item.done"]
    last = found[-1][1]["response"]
    assert last["output"] == done
    assert (last["status"], last["usage"]["total_tokens"]) == ("completed", 13)
    assert {data["response"]["id"] for _, data in found if "response" in data} == {last["id"]}
    assert found[0][1]["response"]["status"] == "in_progress"


def test_the_sdk_puts_it_together() -> None:
    made = response(told(WHOLE))
    assert made.output_text == "I look\u2028."
    assert [item.type for item in made.output] == ["reasoning", "message", "function_call", "function_call"]
    assert [item.arguments for item in made.output if item.type == "function_call"] == ['{"city":"서울"}', "{}"]


def test_an_items_events_carry_its_id() -> None:
    found = told(WHOLE)
    for index in range(4):
        mine = [data for _, data in found if data.get("output_index") == index]
        assert len({data.get("item_id") or data["item"]["id"] for data in mine}) == 1


def test_a_call_begins_without_its_arguments() -> None:
    (added, *_) = [data["item"] for name, data in told(WHOLE)[14:] if name == "response.output_item.added"]
    assert (added["status"], added["arguments"], added["call_id"]) == ("in_progress", "", "c1")


@given(cut_points)
def test_it_does_not_matter_how_the_bytes_were_cut(places: list[float]) -> None:
    assert fed(open_stream(), cut_at(WHOLE, places)) == fed(open_stream(), [WHOLE])


def test_byte_by_byte_is_the_same() -> None:
    assert fed(open_stream(), bytewise(WHOLE)) == fed(open_stream(), [WHOLE])


def test_a_request_over_many_lines_stays_one_line_in_an_event() -> None:
    """What was asked for is repeated in events, and a line break would end them."""
    found = told(frame({"content": "x"}, "stop"), instructions="a\nb\u2028c\r\n", metadata={"k": "x\ny"})
    assert found[0][1]["response"]["instructions"] == "a\nb\u2028c\r\n"


def test_text_is_told_at_once_and_commits() -> None:
    stream = open_stream()
    assert stream.feed(frame({"role": "assistant", "content": ""})) == b""
    before = stream.committed
    found = events(stream.feed(frame({"content": "Hi"})))
    assert names(found) == ["created", "in_progress", *TEXT[:3]]
    assert found[-1][1]["delta"] == "Hi"
    assert (before, stream.committed, stream.progress, stream.usage) == (False, True, 1, None)


def test_calls_are_told_once_the_reason_came() -> None:
    stream = open_stream()
    assert stream.feed(frame({"tool_calls": [FIRST]})) == b""
    stream.feed(frame({"tool_calls": [REST]}))
    assert names(events(stream.feed(frame({}, "tool_calls")))) == ["created", "in_progress", *FUNCTION]
    assert names(events(stream.finish())) == ["completed"]


def test_a_function_gets_its_namespace_back() -> None:
    tool = {"type": "namespace", "name": "maps", "tools": [{"type": "function", "name": "f", "parameters": {}}]}
    call = {"index": 0, "id": "c1", "function": {"name": "maps__f", "arguments": "{}"}}
    found = told(frame({"tool_calls": [call]}, "tool_calls"), tools=[tool])
    items = [data["item"] for _, data in found if "item" in data]
    assert {(item["namespace"], item["name"]) for item in items} == {("maps", "f")}


@pytest.mark.parametrize(("finish", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")])
def test_a_cut_answer_ends_as_incomplete(finish: str, reason: str) -> None:
    name, data = told(frame({"content": "x"}, finish))[-1]
    assert name == "response.incomplete"
    assert data["response"]["incomplete_details"] == {"reason": reason}
    assert data["response"]["output"][0]["status"] == "incomplete"


@pytest.mark.parametrize(("before", "finish"), [(b"", "length"), (frame({"reasoning": "Hm."}), "stop")])
def test_where_nothing_was_said_an_empty_message_says_so(before: bytes, finish: str) -> None:
    found = told(before + frame({}, finish) + DONE)
    assert names(found)[-6:] == [*TEXT[:2], *TEXT[4:], "completed" if finish == "stop" else "incomplete"]
    assert response(found).output_text == ""


def test_usage_is_not_made_up() -> None:
    assert told(frame({"content": "x"}, "stop"))[-1][1]["response"]["usage"] is None


def test_what_comes_after_the_end_is_not_told() -> None:
    stream = open_stream()
    stream.feed(frame({"content": "x"}, "stop") + DONE)
    assert stream.feed(frame({"content": "y"})) == b""
    assert stream.finish() == b""


def test_json_in_place_of_a_stream_is_told_as_one() -> None:
    found = told(dumps({"choices": [{"message": {"content": "x"}, "finish_reason": "stop"}], "usage": USAGE}))
    assert response(found).output_text == "x"


def failure(stream: Stream, pieces: Iterable[bytes] = ()) -> list[Event]:
    told = b"".join(map(stream.feed, pieces))
    return events(told + stream.render_error(UpstreamTimeout("too slow")))


def test_a_cut_stream_ends_as_failed() -> None:
    """No response.completed, the numbers go on."""
    stream = open_stream()
    first = stream.feed(frame({"content": "x"}))
    with pytest.raises(StreamInterrupted):
        stream.finish()
    found = events(first + stream.render_error(UpstreamTimeout("too slow")))
    assert names(found)[-1] == "failed"
    assert [data["sequence_number"] for _, data in found] == list(range(len(found)))
    failed = found[-1][1]["response"]
    assert (failed["status"], failed["error"]) == ("failed", {"code": "server_error", "message": "too slow"})


def test_a_failure_before_anything_was_said_still_begins_properly() -> None:
    """After a heartbeat the status is out, and SDKs want response.created first."""
    assert names(failure(open_stream())) == ["created", "in_progress", "failed"]


def test_what_came_before_an_error_is_told_before_it() -> None:
    stream = open_stream()
    with pytest.raises(ErrorInside):
        stream.feed(frame({"content": "x"}) + b'data: {"error":{"message":"no"}}\n\n')
    assert not stream.committed
    assert names(failure(stream)) == ["created", "in_progress", *TEXT[:3], "failed"]


def test_a_rate_limit_is_told_in_openais_word() -> None:
    ((_, data),) = events(open_stream().render_error(KeysResting("wait")))[-1:]
    assert data["response"]["error"]["code"] == "rate_limit_exceeded"


def test_arguments_that_are_no_object_may_be_tried_again_while_nothing_was_told() -> None:
    broken = {**FIRST, "function": {"name": "f", "arguments": "[1]"}}
    with pytest.raises(UpstreamJunk):
        open_stream().feed(frame({"tool_calls": [broken]}, "tool_calls") + DONE)
    stream = open_stream()
    stream.feed(frame({"content": "x"}))
    with pytest.raises(StreamInterrupted):
        stream.feed(frame({"tool_calls": [broken]}, "tool_calls") + DONE)


def test_a_heartbeat_is_a_comment() -> None:
    assert events(open_stream().heartbeat()) == []


def test_ten_thousand_pieces_in_one_read_cost_no_square() -> None:
    data = b"data: " + dumps(chunk({"content": "ab "})) + b"\n\n"
    found = open_stream().feed(data * 10_000)
    assert found.count(b"event: response.output_text.delta") == 10_000
