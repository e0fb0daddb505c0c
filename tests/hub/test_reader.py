"""One reader understands every accent of a chat stream, wherever the bytes were cut."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ollama_proxy.errors import ErrorInside, StreamInterrupted, UpstreamError, UpstreamJunk
from ollama_proxy.hub.reader import Piece, StreamReader
from tests.support.cuts import bytewise, cut_at, cut_points
from tests.support.recordings import RECORDINGS, Recording


@dataclass
class Result:
    text: str = ""
    thinking: str = ""
    calls: list[list[str]] = field(default_factory=list)
    finish: str | None = None
    usage: list[int | None] | None = None
    raises: str | None = None
    progress: int = 0
    done: bool = False


def read(chunks: list[bytes], *, split_tags: bool = True) -> Result:
    """All that a stream says; pieces before an error count."""
    reader = StreamReader(split_tags=split_tags)
    result = Result()
    pieces: list[Piece] = []
    try:
        for chunk in chunks:
            pieces += reader.feed(chunk)
        pieces += reader.close()
    except UpstreamError as error:
        result.raises = type(error).__name__
        pieces += reader.unsent
    result.text = "".join(piece.text for piece in pieces)
    result.thinking = "".join(piece.thinking for piece in pieces)
    result.calls = [[call.id, call.name, call.arguments] for call in reader.calls]
    result.finish = reader.finish
    if reader.usage is not None:
        result.usage = [reader.usage.get("prompt_tokens"), reader.usage.get("completion_tokens")]
    result.progress, result.done = reader.progress, reader.done
    return result


def sse(*deltas: Any, finish: str | None = "stop") -> bytes:
    chunks = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    if finish is not None:
        chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    return b"".join(b"data: " + msgspec.json.encode(chunk) + b"\n\n" for chunk in chunks)


@pytest.mark.parametrize("recording", RECORDINGS, ids=str)
def test_every_accent_is_understood(recording: Recording) -> None:
    """Text, reasoning, calls, finish and usage are what the recording's author meant. (F37–F39, F54–F59)"""
    result = read([recording.data])
    assert (result.text, result.thinking) == (recording.text, recording.thinking)
    assert result.calls == recording.calls
    assert result.usage == recording.usage
    assert result.raises == recording.raises
    if recording.raises is None:
        assert result.finish == recording.finish
        assert result.done


@pytest.mark.parametrize("recording", RECORDINGS, ids=str)
def test_one_byte_at_a_time_is_the_same(recording: Recording) -> None:
    """(F46, F49, F51, F60)"""
    assert read(list(bytewise(recording.data))) == read([recording.data])


@given(st.sampled_from(RECORDINGS), cut_points)
@settings(deadline=None, max_examples=300)
def test_cuts_change_nothing(recording: Recording, places: list[float]) -> None:
    """Any cuts, inside letters and line ends too, give the same result. (F49, F60)"""
    assert read(cut_at(recording.data, places)) == read([recording.data])


@given(
    st.binary(max_size=300) | st.sampled_from(RECORDINGS).map(lambda r: r.data), st.binary(max_size=5), st.floats(0, 1)
)
@settings(deadline=None)
def test_no_stream_is_an_accident(data: bytes, noise: bytes, place: float) -> None:
    """Whatever comes, nothing but our own errors is raised, and all text can be written as UTF-8. (F57)"""
    at = int(place * len(data))
    result = read([data[:at] + noise + data[at:]])
    assert (result.text + result.thinking).encode() is not None


def test_tags_stay_where_nobody_asked_to_split_them() -> None:
    data = sse({"content": "<think>a</think>b"})
    assert read([data], split_tags=False).text == "<think>a</think>b"
    assert read([data]).thinking == "a"


def test_a_thought_without_tags_is_thinking_too() -> None:
    """Gemini marks thoughts; where the tags are missing the mark is enough."""
    thought = {"google": {"thought": True}}
    result = read([sse({"content": "hm", "extra_content": thought}, {"content": "Low."})])
    assert (result.text, result.thinking) == ("Low.", "hm")


def test_text_held_back_for_a_tag_comes_with_the_finish() -> None:
    reader = StreamReader()
    assert reader.feed(sse({"content": "<thi"}, finish=None)) == []
    assert reader.feed(sse()) == [Piece("<thi")]


def test_comments_and_empty_deltas_are_no_progress() -> None:
    """They prove life, not work. (F34)"""
    reader = StreamReader()
    assert reader.feed(b": x\n\n" + sse({"role": "assistant", "content": ""}, {}, finish=None)) == []
    assert (reader.began, reader.progress) == (False, 0)
    reader.feed(sse({"reasoning": "a"}, {"content": "b"}, {"tool_calls": [{"function": {"name": "f"}}]}, finish=None))
    assert (reader.began, reader.progress) == (True, 3)


def test_logprobs_come_with_their_piece() -> None:
    tokens = [{"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}]
    chunk = {"choices": [{"delta": {"content": "a"}, "logprobs": {"content": tokens}}]}
    assert StreamReader().feed(b"data: " + msgspec.json.encode(chunk) + b"\n\n") == [Piece("a", "", tokens)]


def test_an_error_carries_the_text_that_held_it() -> None:
    """The provider's own module judges it as if it had come with an error status. (F20, F21)"""
    payload = b'{"error":{"code":429,"message":"slow down"}}'
    with pytest.raises(ErrorInside) as caught:
        StreamReader().feed(b"data: " + payload + b"\n\n")
    assert caught.value.payload == payload


def test_pieces_before_an_error_in_the_same_bytes_are_kept() -> None:
    """(F25, F36)"""
    reader = StreamReader()
    with pytest.raises(ErrorInside):
        reader.feed(sse({"content": "a"}, finish=None) + b'data: {"error":"x"}\n\n')
    assert reader.unsent == [Piece("a")]


def test_junk_inside_an_event_is_junk() -> None:
    with pytest.raises(UpstreamJunk):
        StreamReader().feed(b"data: <html>\n\n")


def test_a_stop_beside_calls_is_a_tool_call() -> None:
    """Also where the finish comes before the calls."""
    reader = StreamReader()
    reader.feed(sse())
    assert reader.finish == "stop"
    reader.feed(sse({"tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "{}"}}]}, finish=None))
    assert reader.finish == "tool_calls"


def test_a_stream_that_stops_is_interrupted() -> None:
    """Neither finish_reason nor [DONE]: a cut answer never looks complete. (F37, P5)"""
    reader = StreamReader()
    reader.feed(sse({"content": "a"}, finish=None))
    with pytest.raises(StreamInterrupted):
        reader.close()
    assert not reader.done


def test_an_endless_json_answer_is_junk() -> None:
    """(F44, F45)"""
    reader = StreamReader()
    reader.feed(b'{"a":"')
    with pytest.raises(UpstreamJunk):
        for _ in range(10):
            reader.feed(b"x" * 1_000_000)


def test_seven_megabytes_in_one_event_are_read() -> None:
    """(F45, C234)"""
    text = "x" * 7_000_000
    data = sse({"content": text})
    begun = time.perf_counter()
    assert read([data[at : at + 4096] for at in range(0, len(data), 4096)]).text == text
    assert time.perf_counter() - begun < 3


def test_ten_thousand_chunks_in_one_read_keep_their_order() -> None:
    """(F46)"""
    words = [str(number) for number in range(10_000)]
    result = read([sse(*({"content": f"{word} "} for word in words))])
    assert result.text.split() == words
    assert result.progress == 10_000
