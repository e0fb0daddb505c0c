"""Any cut of a well-formed answer is the same answer; any bytes at all end in an answer or a fault."""

from __future__ import annotations

import asyncio
import gzip
import itertools
from collections.abc import Sequence
from typing import TypeAlias

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ollama_proxy.http1.client import Timeouts
from ollama_proxy.http1.faults import TransportFault
from tests.support.fake_upstream import whole
from tests.support.memory_transport import connect_in_memory

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n"
EVENTS = b"".join(b'data: {"n":%d,"t":"\xed\x95\x9c\xea\xb8\x80"}\n\n' % n for n in range(12))
PACKED = gzip.compress(EVENTS)

#: (answer, whether the connection serves on)
WELL_FORMED: dict[str, tuple[bytes, bool]] = {
    "length": (whole(EVENTS, b"Content-Type: text/event-stream", b"Set-Cookie: a", b"Set-Cookie: b"), True),
    "empty": (whole(b""), True),
    "chunks": (
        CHUNKED + b"\r\n" + b"".join(b"%x\r\n%b\r\n" % (len(EVENTS), EVENTS) for _ in range(3)) + b"0\r\n\r\n",
        True,
    ),
    "extensions and trailers": (CHUNKED + b'Trailer: X\r\n\r\n3;a="b;c"\r\nabc\r\n0;z\r\nX: y\r\nY: z\r\n\r\n', True),
    "until EOF": (HEAD + b"\r\n" + EVENTS, False),
    "close": (whole(EVENTS, b"Connection: close"), False),
    "1.0": (b"HTTP/1.0 200\r\nContent-Length: 3\r\n\r\nabc", False),
    "interim": (b"HTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 C\r\n\r\n" + whole(b"abc"), True),
    "204": (b"HTTP/1.1 204 No Content\r\nX: y\r\n\r\n", True),
    "304": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n", True),
    "gzip": (whole(PACKED, b"Content-Encoding: gzip"), True),
    "gzip in chunks": (CHUNKED + b"Content-Encoding: gzip\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(PACKED), PACKED), True),
    "planted behind": (whole(b"abc") + whole(b"planted"), False),
}

#: status, headers, body, the fault's name, whether the connection serves on
Result: TypeAlias = tuple[int, dict[bytes, bytes], bytes, str, bool]


async def play(parts: Sequence[bytes], *, relay_at: int = 0, no_body: bool = False) -> Result:
    """Feed the parts, then EOF. The body is relayed from part number `relay_at` on (if its head is there)."""
    connection, transport = connect_in_memory()
    future = connection.send(b"", b"", Timeouts(), no_body=no_body)
    pieces: list[bytes] = []
    ends: list[TransportFault | None] = []
    asked = False
    served_on = False
    for number, part in enumerate([*parts, None]):
        if part is not None and not transport.aborted:
            connection.data_received(part)
        elif part is None and not transport.aborted:
            served_on = connection.has_served
            connection.eof_received()
        ready = future.done() and future.exception() is None
        if ready and not asked and (number >= relay_at or part is None):
            asked = True
            future.result().relay(pieces.append, ends.append)
    await asyncio.sleep(0)
    assert transport.aborted
    if future.exception() is not None:
        return 0, {}, b"", type(future.exception()).__name__, served_on
    answer = future.result()
    assert len(ends) == 1, "the end is told exactly once"
    return answer.status, answer.headers, b"".join(pieces), type(ends[0]).__name__, served_on


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted({place % (len(data) + 1) for place in places}), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges) if b > a]


@pytest.mark.parametrize(("data", "serves_on"), WELL_FORMED.values(), ids=WELL_FORMED)
def test_well_formed_answers_are_whole_and_say_whether_the_connection_serves_on(data: bytes, serves_on: bool) -> None:
    """The reference for the cuts below."""
    status, headers, body, fault, served_on = asyncio.run(play([data]))
    assert (fault, served_on) == ("NoneType", serves_on)
    assert (status in (200, 204, 304), b"link" in headers) == (True, False)
    assert body in (EVENTS, EVENTS * 3, b"abc", b"")


@pytest.mark.parametrize("name", WELL_FORMED)
def test_byte_by_byte_is_the_same_answer(name: str) -> None:
    """F46, F60: except that bytes behind the answer then come to a connection that is already free."""
    data, _ = WELL_FORMED[name]
    together = asyncio.run(play([data]))
    apart = asyncio.run(play([bytes([byte]) for byte in data]))
    assert apart[:4] == together[:4]


def test_framing_between_body_bytes_does_not_add_up() -> None:
    """F46: ninety thousand bytes of framing around fifteen thousand single bytes are no flood."""
    parts = [CHUNKED + b"\r\n", *([b"1\r\nx\r\n"] * 15_000), b"0\r\n", b"\r\n"]
    assert asyncio.run(play(parts))[2:] == (b"x" * 15_000, "NoneType", True)


@settings(max_examples=300, deadline=None)
@given(
    name=st.sampled_from(sorted(WELL_FORMED)),
    places=st.lists(st.integers(0, 5000), max_size=12),
    relay_at=st.integers(0, 14),
)
def test_any_cut_is_the_same_answer(name: str, places: list[int], relay_at: int) -> None:
    """F60: wherever the reads end, and whenever the body is asked for."""
    data, _ = WELL_FORMED[name]
    assert asyncio.run(play(cut(data, places), relay_at=relay_at))[:4] == asyncio.run(play([data]))[:4]


@settings(max_examples=300, deadline=None)
@given(name=st.sampled_from(sorted(set(WELL_FORMED) - {"until EOF"})), end=st.integers(0, 5000))
def test_any_prefix_is_a_fault(name: str, end: int) -> None:
    """P5: only the whole answer is whole (one that lasts until EOF cannot be told from its prefix)."""
    data, _ = WELL_FORMED[name]
    data = data.removesuffix(whole(b"planted"))
    result = asyncio.run(play([data[: end % len(data)]] if end % len(data) else []))
    assert result[3] in ("ConnectionLost", "EncodingRefused")


@settings(max_examples=600, deadline=None)
@given(
    parts=st.lists(st.binary(max_size=60) | st.sampled_from([d for d, _ in WELL_FORMED.values()]), max_size=6),
    no_body=st.booleans(),
)
@example(parts=[b"HTTP/1.1 200 OK\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", b"x"], no_body=True)
@example(parts=[b"HTTP/1.1 101 S\r\n\r\nabc"], no_body=False)
def test_any_bytes_end_in_an_answer_or_a_fault(parts: list[bytes], no_body: bool) -> None:
    """Nothing is ever raised into the event loop, and nothing is left open."""
    asyncio.run(play(parts, no_body=no_body))


@settings(max_examples=600, deadline=None)
@given(
    name=st.sampled_from(sorted(WELL_FORMED)),
    changes=st.lists(st.tuples(st.integers(0, 5000), st.binary(max_size=3)), min_size=1, max_size=4),
    places=st.lists(st.integers(0, 5000), max_size=6),
)
def test_any_damage_ends_in_an_answer_or_a_fault(
    name: str, changes: list[tuple[int, bytes]], places: list[int]
) -> None:
    """The same for answers that are nearly right."""
    data, _ = WELL_FORMED[name]
    for place, new in changes:
        at = place % len(data)
        data = data[:at] + new + data[at + 1 :]
    asyncio.run(play(cut(data, places)))
