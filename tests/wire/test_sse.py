"""Frames are cut by WHATWG's rules, wherever the stream was cut before."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ollama_proxy.wire.sse import Frames, FrameTooLarge, event_of
from tests.support.cuts import bytewise, cut_at, cut_points

CASES = {
    "lf": (b"data: a\n\ndata: b\n\n", [b"data: a\n\n", b"data: b\n\n"], None),
    "crlf": (b"data: a\r\n\r\ndata: b\r\n\r\n", [b"data: a\r\n\r\n", b"data: b\r\n\r\n"], None),
    "cr": (b"data: a\r\rdata: b\r\r", [b"data: a\r\r"], b"data: b\r\r"),
    "mixed": (
        b"data: a\n\r\ndata: b\r\n\ndata: c\r\n\rd",
        [b"data: a\n\r\n", b"data: b\r\n\n", b"data: c\r\n\r"],
        b"d",
    ),
    "blank lines": (b"data: a\n\n\n\ndata: b\n\n", [b"data: a\n\n", b"\n\n", b"data: b\n\n"], None),
    "odd blank": (b"data: a\n\n\ndata: b\n\n", [b"data: a\n\n", b"\ndata: b\n\n"], None),
    "rest": (b"data: a\n\ndata: b\n", [b"data: a\n\n"], b"data: b\n"),
    "rest of line ends": (b"data: a\n\n\n", [b"data: a\n\n"], None),
    "bom": (b"\xef\xbb\xbfdata: a\n\n\xef\xbb\xbfb", [b"data: a\n\n"], b"\xef\xbb\xbfb"),
    "half a bom": (b"\xef\xbb", [], b"\xef\xbb"),
    "nothing": (b"", [], None),
    "separators": (
        "data: one\u2028two\u2029three\u0085four\x0bfive\x0csix\x1cseven\n\n".encode(),
        ["data: one\u2028two\u2029three\u0085four\x0bfive\x0csix\x1cseven\n\n".encode()],
        None,
    ),
}


def read(chunks: list[bytes]) -> tuple[list[bytes], bytes | None]:
    frames = Frames()
    return [frame for chunk in chunks for frame in frames.feed(chunk)], frames.finish()


@pytest.mark.parametrize("case", CASES)
def test_frames_end_at_blank_lines(case: str) -> None:
    """A blank line of any of the three kinds ends a frame; nothing else does. (F51, F52, F53)"""
    data, frames, rest = CASES[case]
    assert read([data]) == (frames, rest)
    assert read(list(bytewise(data))) == (frames, rest)


@given(st.lists(st.sampled_from([b"\n", b"\r", b"\r\n", b"data: x", b": c", b"\xef\xbb\xbf", b"\xea\xb0"])), cut_points)
@settings(deadline=None)
def test_cuts_change_nothing(parts: list[bytes], places: list[float]) -> None:
    """The same bytes give the same frames, however they are cut. (F46, F51, F60)"""
    data = b"".join(parts)
    whole = read([data])
    assert read(cut_at(data, places)) == whole
    assert read(list(bytewise(data))) == whole


@given(st.binary(max_size=200), cut_points)
@settings(deadline=None)
def test_frames_keep_their_bytes(data: bytes, places: list[float]) -> None:
    """What comes out is what went in, but for a byte order mark at the start and line ends at the end."""
    frames, rest = read(cut_at(data, places))
    assert (b"".join(frames) + (rest or b"")).rstrip(b"\r\n") == data.removeprefix(b"\xef\xbb\xbf").rstrip(b"\r\n")


def test_a_lone_frame_is_told_without_cutting() -> None:
    """One whole plain frame in one read gives its data at once, LF or CRLF, once the stream has begun."""
    frames = Frames()
    assert frames.lone(b"data: a\n\n") is None  # a byte order mark may still come
    frames.feed(b"data: a\n\n")
    assert frames.lone(b"data: a\n\n") == b"a"
    assert frames.lone(b"data: a\r\n\r\n") == b"a"


@pytest.mark.parametrize(
    "data",
    [
        b"data: a\n",
        b"data: a\ndata: b\n\n",
        b"data: a\rb\n\n",
        b"data:a\n\n",
        b": a\n\n",
        b"data: a\n\ndata: b\n\n",
        b"",
    ],
)
def test_only_a_lone_plain_frame_is_lone(data: bytes) -> None:
    """Half frames, several lines, several frames, comments and odd spellings go the long way."""
    frames = Frames()
    frames.feed(b"data: x\n\n")
    assert frames.lone(data) is None


def test_nothing_is_lone_behind_half_a_frame() -> None:
    frames = Frames()
    frames.feed(b"data: a")
    assert frames.lone(b"data: a\n\n") is None


def test_seven_megabytes_on_a_line_are_read() -> None:
    """A valid line of 7 MB passes, in linear time, even in small pieces. (F45, C234)"""
    line = b"data: " + b"x" * 7_000_000 + b"\n\n"
    begun = time.perf_counter()
    frames, rest = read([line[at : at + 1000] for at in range(0, len(line), 1000)])
    assert (frames, rest) == ([line], None)
    assert time.perf_counter() - begun < 2


@pytest.mark.parametrize("step", [16_384, 20_000_000])
def test_an_endless_line_is_refused(step: int) -> None:
    """More than 8 MB without a blank line is refused, and so is everything after it. (F45)"""
    line = b"data: " + b"x" * 9_000_000 + b"\n\n"
    frames = Frames()
    with pytest.raises(FrameTooLarge):
        for at in range(0, len(line), step):
            frames.feed(line[at : at + step])
    with pytest.raises(FrameTooLarge):
        frames.feed(b"data: a\n\n")


def test_frames_before_a_large_one_are_not_lost() -> None:
    frames = Frames(limit=20)
    assert frames.feed(b"data: a\n\ndata: " + b"x" * 30 + b"\n\ndata: b\n\n") == [b"data: a\n\n"]
    with pytest.raises(FrameTooLarge):
        frames.finish()


@pytest.mark.parametrize(
    ("frame", "event"),
    [
        (b"data: a\n\n", (b"message", b"a")),
        (b"data: a\r\n\r\n", (b"message", b"a")),
        (b"data:a\n\n", (b"message", b"a")),
        (b"data:  a\n\n", (b"message", b" a")),
        (b"data: a\ndata:b\ndata\n\n", (b"message", b"a\nb\n")),
        (b"data\n\n", (b"message", b"")),
        (b"data: a\rdata: b\r\r", (b"message", b"a\nb")),
        (b"data: a\rdata: b\n\n", (b"message", b"a\nb")),
        (b"event: error\ndata: a\n\n", (b"error", b"a")),
        (b"event:\ndata: a\n\n", (b"message", b"a")),
        (b"id: 1\nretry: 3\nfoo: bar\n: c\ndata: a\n\n", (b"message", b"a")),
        (b"\n\ndata: a\n\n", (b"message", b"a")),
        (b"data: a", (b"message", b"a")),
        (b" data: a\n\n", None),
        (b"Data: a\n\n", None),
        (b": comment\n\n", None),
        (b"event: ping\n\n", None),
        (b"\n\n", None),
    ],
)
def test_fields_are_read_as_the_standard_says(frame: bytes, event: tuple[bytes, bytes] | None) -> None:
    """One space after the colon goes, data lines are joined by LF, the rest means nothing. (F52)"""
    assert event_of(frame) == event
