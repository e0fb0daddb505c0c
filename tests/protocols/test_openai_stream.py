"""A chat stream passes as the bytes that it is; only what breaks OpenAI's schema is mended."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk

from ollama_proxy.errors import EmptyAnswer, ErrorInside, KeysResting, StreamInterrupted, UpstreamError, UpstreamJunk
from ollama_proxy.protocols.openai.stream import ChatStream
from tests.support.cuts import bytewise, cut_at, cut_points
from tests.support.openai_kit import chances, frame, objects
from tests.support.recordings import RECORDINGS, Recording

DONE = b"data: [DONE]\n\n"
SOUND = [
    "openrouter_text",
    "openrouter_tools",
    "openrouter_reasoning",
    "akash_text",
    "akash_reasoning",
    "akash_think_tags",
    "akash_tools",
    "mistral_text",
    "cohere_text",
    "cohere_tools",
    "gemini_text",
    "gemini_thought_tags",
    "qwen_text",
    "qwen_reasoning",
    "qwen_tools",
    "arguments_cut",
    "content_after_finish",
    "crlf",
    "mixed_line_ends",
    "no_space_multiline",
    "utf8",
    "separators",
    "done_without_finish",
    "reasoning_only",
    "refusal",
    "legacy_function_call",
    "null_shapes",
]
BY_NAME = {recording.name: recording for recording in RECORDINGS}


def run(chunks: list[bytes]) -> tuple[bytes, str | None, ChatStream]:
    """(all that a client would see if everything is sent, the error's name, the stream)."""
    stream = ChatStream(chances())
    out = b""
    try:
        for piece in chunks:
            out += stream.feed(piece)
        out += stream.finish()
    except UpstreamError as error:
        told = stream.render_error(KeysResting("rest"))
        return out + told[: told.rindex(b"data: ")], type(error).__name__, stream
    return out, None, stream


def passed(*frames: bytes) -> list[Any]:
    return objects(run([b"".join(frames)])[0])


@pytest.mark.parametrize("name", [name for name in SOUND if name in BY_NAME])
def test_a_sound_stream_passes_byte_for_byte(name: str) -> None:
    """Comments, unknown keys, ids and model included. (P6, F52, F55)"""
    data = BY_NAME[name].data
    assert run([data])[0] == data


def test_the_end_mark_is_added_where_only_it_is_missing() -> None:
    """(F38, F54)"""
    data = BY_NAME["no_done"].data
    assert run([data])[0] == data + DONE
    data = BY_NAME["no_blank_at_end"].data
    assert run([data])[0] == data + b"\n" + DONE


@pytest.mark.parametrize("recording", RECORDINGS, ids=str)
def test_every_stream_ends_as_its_bytes_deserve(recording: Recording) -> None:
    """An error ends without [DONE], everything else with exactly one; usage is the last word. (F37–F39, F54, F59)"""
    out, error, stream = run([recording.data])
    assert error == recording.raises
    assert out.rstrip().endswith(b"[DONE]") is (recording.raises is None)
    assert out.count(b"[DONE]") == (0 if recording.raises else 1)
    if recording.usage is not None:
        assert stream.usage is not None
        assert [stream.usage["prompt_tokens"], stream.usage["completion_tokens"]] == recording.usage


@pytest.mark.parametrize("recording", RECORDINGS, ids=str)
def test_text_and_calls_arrive_whole(recording: Recording) -> None:
    """What a client adds up is what the provider said. (F55, F56)"""
    deltas = [
        choice.get("delta") or {}
        for event in objects(run([recording.data])[0])
        if isinstance(event, dict)
        for choice in event.get("choices") or ()
    ]
    if recording.name not in ("akash_think_tags", "gemini_thought_tags"):
        assert "".join(delta.get("content") or delta.get("refusal") or "" for delta in deltas) == recording.text
    calls: dict[int, list[str]] = {}
    for delta in deltas:
        for part in delta.get("tool_calls") or ():
            call = calls.setdefault(part["index"], [part.get("id") or "", "", ""])
            call[1] += part["function"].get("name") or "" if not call[1] else ""
            call[2] += part["function"].get("arguments") or ""
    if recording.name != "legacy_function_call":
        assert [call[1:] for call in calls.values()] == [call[1:] for call in recording.calls]
        assert all(call[0] for call in calls.values())
        assert len({call[0] for call in calls.values()}) == len(calls)


@pytest.mark.parametrize("recording", RECORDINGS, ids=str)
def test_one_byte_at_a_time_is_the_same(recording: Recording) -> None:
    """(F46, F49, F60)"""
    assert run(list(bytewise(recording.data)))[:2] == run([recording.data])[:2]


@given(st.sampled_from(RECORDINGS), cut_points)
@settings(deadline=None, max_examples=300)
def test_cuts_change_nothing(recording: Recording, places: list[float]) -> None:
    """(F49, F60)"""
    out, error, stream = run(cut_at(recording.data, places))
    whole, whole_error, whole_stream = run([recording.data])
    assert (out, error) == (whole, whole_error)
    assert (stream.progress, stream.usage) == (whole_stream.progress, whole_stream.usage)


@given(
    st.binary(max_size=300) | st.sampled_from(RECORDINGS).map(lambda r: r.data), st.binary(max_size=5), st.floats(0, 1)
)
@settings(deadline=None)
def test_no_stream_is_an_accident(data: bytes, noise: bytes, place: float) -> None:
    """Whatever comes, nothing but our own errors is raised. (F57)"""
    at = int(place * len(data))
    run([data[:at] + noise + data[at:]])


#: Where arguments were cut by the token limit, the accumulator refuses on purpose.
TOOLS = [r.name for r in RECORDINGS if r.calls and r.name not in ("legacy_function_call", "arguments_cut")]


@pytest.mark.parametrize("name", TOOLS)
def test_the_official_accumulator_takes_every_call(name: str) -> None:
    """openai-python puts the mended deltas together by itself. (C190)"""
    state: Any = ChatCompletionStreamState()
    for event in objects(run([BY_NAME[name].data])[0])[:-1]:
        state.handle_chunk(ChatCompletionChunk.model_validate(event))
    choice = state.get_final_completion().choices[0]
    calls = choice.message.tool_calls
    assert [[call.function.name, call.function.arguments] for call in calls] == [
        call[1:] for call in BY_NAME[name].calls
    ]
    assert all(call.id for call in calls)
    assert choice.finish_reason == "tool_calls"


def test_calls_get_an_index() -> None:
    """Left out, or 0 for all: each call gets its own, continuations the one of their call. (F56)"""
    events = passed(
        frame({"tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{"}}]}),
        frame({"tool_calls": [{"function": {"arguments": "}"}}]}),
        frame(
            {"tool_calls": [{"index": 0, "id": "b", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}
        ),
        frame({}, "tool_calls"),
    )
    assert [event["choices"][0]["delta"]["tool_calls"][0]["index"] for event in events[:3]] == [0, 0, 1]


def test_calls_beside_text_are_mended_too() -> None:
    events = passed(
        frame({"content": "Look:", "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}), frame({}, "stop")
    )
    delta = events[0]["choices"][0]["delta"]
    assert (delta["content"], delta["tool_calls"][0]["index"]) == ("Look:", 0)


def test_missing_ids_are_made_up_once_and_differ() -> None:
    part = {"index": 0, "id": "", "function": {"name": "f", "arguments": "{}"}}
    events = passed(
        frame({"tool_calls": [part, part]}),
        frame({"tool_calls": [{"index": 1, "function": {"arguments": ""}}]}),
        frame({}, "stop"),
    )
    first, second = events[0]["choices"][0]["delta"]["tool_calls"]
    assert first["id"].startswith("call_")
    assert first["id"] != second["id"]
    assert "id" not in events[1]["choices"][0]["delta"]["tool_calls"][0]
    assert first["type"] == "function"


def test_a_mended_frame_keeps_every_other_key() -> None:
    """The smallest repair: all else is as the provider sent it."""
    part = {
        "id": "a",
        "type": "function",
        "function": {"name": "f", "arguments": {"x": 1}},
        "extra_content": {"google": 1},
    }
    (event,) = objects(ChatStream(chances()).feed(frame({"tool_calls": [part]}, novel=[1])))
    assert event["novel"] == [1]
    assert event["choices"][0]["delta"]["tool_calls"] == [
        {**part, "index": 0, "function": {"name": "f", "arguments": '{"x":1}'}}
    ]


@pytest.mark.parametrize(
    ("reason", "told"),
    [("MAX_TOKENS", "length"), ("content_filter: SPII", "content_filter"), ("eos", "stop"), ("stop", "stop")],
)
def test_reasons_outside_the_schema_are_translated(reason: str, told: str) -> None:
    """(F58)"""
    events = passed(frame({"content": "a"}), frame({}, reason))
    assert events[1]["choices"][0]["finish_reason"] == told


def test_a_stop_after_calls_is_told_as_tool_calls() -> None:
    """Clients stop looking for calls at a plain stop."""
    call = {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    events = passed(frame({"tool_calls": [call]}), frame({}, "stop"))
    assert events[1]["choices"][0]["finish_reason"] == "tool_calls"


def test_content_in_parts_becomes_text() -> None:
    """Mistral's reasoning models answer in parts, which OpenAI's schema does not know."""
    events = passed(BY_NAME["mistral_reasoning"].data)
    deltas = [event["choices"][0]["delta"] for event in events if event != "[DONE]"]
    assert "".join(delta.get("reasoning_content") or "" for delta in deltas) == "A port city."
    assert all(isinstance(delta.get("content", ""), str) for delta in deltas)


def test_several_choices_are_mended_apart() -> None:
    """n > 1: each choice has calls and a reason of its own. (F55)"""
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    both = {"choices": [{"index": n, "delta": {"tool_calls": [call]}, "finish_reason": None} for n in (0, 1)]}
    end = {
        "choices": [
            {"index": 0, "delta": {}, "finish_reason": "stop"},
            {"index": 1, "delta": {}, "finish_reason": "stop"},
        ]
    }
    events = passed(frame(**both), frame(**end))
    assert [choice["delta"]["tool_calls"][0]["index"] for choice in events[0]["choices"]] == [0, 0]
    assert [choice["finish_reason"] for choice in events[1]["choices"]] == ["tool_calls", "tool_calls"]


def test_only_content_commits() -> None:
    """Comments, a role and empty deltas are returned, but another attempt is still open. (F21)"""
    stream = ChatStream(chances())
    for harmless in (b": hello\n\n", frame({"role": "assistant", "content": ""}), frame({}), frame(choices=[])):
        assert stream.feed(harmless) == harmless
        assert (stream.committed, stream.progress) == (False, 0)
    stream.feed(frame({"content": "a"}))
    assert (stream.committed, stream.progress) == (True, 1)


@pytest.mark.parametrize(
    "delta",
    [
        {"content": "a"},
        {"content": None, "reasoning_content": "a"},
        {"content": "", "reasoning": "a"},
        {"reasoning_details": [{"text": "a"}]},
        {"refusal": "a"},
        {"content": [{"type": "text", "text": "a"}]},
        {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f"}}]},
        {"function_call": {"name": "f"}},
    ],
)
def test_everything_that_says_something_commits(delta: dict[str, Any]) -> None:
    stream = ChatStream(chances())
    stream.feed(b": hello\n\n")
    stream.feed(frame(delta))
    assert (stream.committed, stream.progress) == (True, 1)


@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_an_end_that_says_why_commits_without_being_progress(reason: str) -> None:
    stream = ChatStream(chances())
    stream.feed(frame({}, reason))
    assert (stream.committed, stream.progress) == (True, 0)
    assert stream.finish() == DONE


@pytest.mark.parametrize("end", [frame({}, "stop"), frame({}, "stop") + DONE, frame({}, "tool_calls"), DONE])
def test_an_end_out_of_nothing_is_no_answer(end: bytes) -> None:
    """Another attempt is still open, and the end is not sent. (F22)"""
    stream = ChatStream(chances())
    stream.feed(frame({"role": "assistant", "content": ""}))
    stream.feed(end)
    assert not stream.committed
    with pytest.raises(EmptyAnswer):
        stream.finish()


def test_who_gave_a_stop_sequence_may_get_nothing() -> None:
    stream = ChatStream(chances(), may_be_silent=True)
    assert stream.feed(frame({}, "stop")) == frame({}, "stop")
    assert stream.finish() == DONE


@pytest.mark.parametrize("key", ["images", "audio"])
def test_pictures_and_sound_are_an_answer(key: str) -> None:
    stream = ChatStream(chances())
    stream.feed(frame({"content": "", key: [{"x": 1}]}))
    assert (stream.committed, stream.progress) == (True, 1)


def test_a_torn_frame_is_never_sent() -> None:
    stream = ChatStream(chances())
    data = frame({"content": "a"})
    assert stream.feed(data[:-1]) == b""
    assert stream.feed(data[-1:]) == data


def test_upstream_pings_are_left_out() -> None:
    """Continue's parser stops at `: ping`."""
    stream = ChatStream(chances())
    assert stream.feed(b": ping - 2026\n\n" + frame({"content": "a"})) == frame({"content": "a"})


@pytest.mark.parametrize("before", [b"", b": x\n\n", frame({"role": "assistant"})])
def test_an_error_before_content_leaves_the_way_open(before: bytes) -> None:
    """Also where text came in the same bytes, or the same chunk: nothing of it was sent. (F21)"""
    error = b'data: {"error":{"code":429}}\n\n'
    for data in (before + error, before + frame({"content": "a"}) + error, before + frame({"content": "a"}, "error")):
        stream = ChatStream(chances())
        stream.feed(b": begin\n\n")
        with pytest.raises(ErrorInside):
            stream.feed(data)
        assert not stream.committed


def test_an_error_after_content_is_told_after_what_came_before_it() -> None:
    """The text of the same bytes is not lost, [DONE] does not follow. (F25, F36, C201)"""
    stream = ChatStream(chances())
    assert stream.feed(frame({"content": "a"})) == frame({"content": "a"})
    with pytest.raises(ErrorInside) as caught:
        stream.feed(frame({"content": "b"}) + b'data: {"error":{"code":502}}\n\n' + DONE)
    assert caught.value.payload == b'{"error":{"code":502}}'
    assert stream.committed
    told = stream.render_error(UpstreamJunk("it broke"))
    assert told.startswith(frame({"content": "b"}))
    assert objects(told)[1] == {
        "error": {"message": "it broke", "type": "api_error", "param": None, "code": "upstream_bad_response"}
    }
    assert b"[DONE]" not in told


def test_a_last_text_without_an_end_is_not_committed() -> None:
    """An unterminated event that holds text and no finish: interrupted, and nothing was sent. (F54)"""
    stream = ChatStream(chances())
    assert stream.feed(frame({"content": "a"})[:-1]) == b""
    with pytest.raises(StreamInterrupted):
        stream.finish()
    assert not stream.committed


def test_poison_is_rewritten_as_clean_json() -> None:
    """Lone surrogates, NaN and broken UTF-8 never reach the client. (F50, F57)"""
    for name in ("json_poison", "broken_utf8"):
        out = run([BY_NAME[name].data])[0]
        assert out.decode("utf-8", "strict")
        assert "\ufffd" in "".join(event["choices"][0]["delta"].get("content", "") for event in objects(out)[:-1])
        assert b"NaN" not in out


def test_an_event_that_is_not_json_is_junk() -> None:
    with pytest.raises(UpstreamJunk):
        ChatStream(chances()).feed(frame({"content": "a"}) + b"data: <html>\n\n")


def test_json_in_place_of_a_stream_becomes_chunks() -> None:
    """The message becomes one delta, calls get their index, usage and unknown keys stay."""
    events = objects(run([BY_NAME["json_answer_tools"].data])[0])
    assert events[0]["object"] == "chat.completion.chunk"
    assert [part["index"] for part in events[0]["choices"][0]["delta"]["tool_calls"]] == [0, 1]
    assert events[0]["choices"][0]["finish_reason"] == "tool_calls"
    assert events[1:] == ["[DONE]"]


def test_a_heartbeat_is_a_comment() -> None:
    """Not `: ping`."""
    assert ChatStream(chances()).heartbeat() == b": keep-alive\n\n"
