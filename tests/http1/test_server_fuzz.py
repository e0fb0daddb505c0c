"""Bytes nobody planned: cuts, mutations and noise. Never an exception, never a connection that stays for ever."""

from __future__ import annotations

import asyncio
import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ollama_proxy.http1.server import ServerLimits
from tests.support.raw_client import LOOPS, TEXT, MakeLoop, Recorder, parse_replies, run_on, serving
from tests.support.virtual_connection import VirtualConnection

BODY = b'{"model":"google:gemini","prompt":"' + "é\u2028".encode() + b'"}'
VALID = [
    b"GET /api/tags HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"HEAD / HTTP/1.1\r\nHost: localhost\r\nAccept: text/plain\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY),
    b"POST /v1/x?y=z HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
    b"POST / HTTP/1.1\r\nHost: [::1]\r\nTransfer-Encoding:chunked\r\n\r\n5;a=b\r\nhello\r\n2\r\n !\r\n0\r\nT:x\r\n\r\n",
    b"POST /h2c HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nhi",
    b"GET /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
]
CLOSING = [b"GET /bye HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", b"GET /old HTTP/1.0\r\n\r\n"]
TOKENS = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"\t",
    b":",
    b";",
    b"0\r\n\r\n",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: close\r\n",
    b"Connection: Upgrade\r\nUpgrade: x\r\n",
    b"Expect: 100-continue\r\n",
    b"HTTP/1.0",
    b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"\xff" * 5,
    b"a" * 5000,
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
]


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """The same bytes in pieces."""
    edges = [0, *sorted({place % (len(data) + 1) for place in places}), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


def without_continue(data: bytes) -> bytes:
    """Whether 100 is said depends on what has come by then; nothing else may."""
    return data.replace(b"HTTP/1.1 100 Continue\r\n\r\n", b"").replace(b"Date", b"date")


@given(
    st.lists(st.sampled_from(VALID), min_size=1, max_size=6),
    st.sampled_from([b"", *CLOSING]),
    st.lists(st.integers(0, 10_000), max_size=40),
)
@settings(max_examples=300, deadline=None)
def test_how_the_bytes_are_cut_changes_nothing(requests: list[bytes], last: bytes, places: list[int]) -> None:
    """The same requests, the same bodies, in the same order, with the same answers."""
    data = b"".join(requests) + last
    whole, torn = Recorder(), Recorder()
    first, second = VirtualConnection(whole), VirtualConnection(torn)
    first.feed(data)
    second.feed(*cut(data, places))
    assert len(whole.handled) == len(requests) + bool(last)
    assert [(x.request.target, x.request.headers, x.body) for x in whole.handled] == [
        (x.request.target, x.request.headers, x.body) for x in torn.handled
    ]
    methods = [exchange.request.method for exchange in whole.handled]
    bodies = [
        [(reply.status, reply.body) for reply in parse_replies(without_continue(connection.sent), *methods)]
        for connection in (first, second)
    ]
    assert bodies[0] == bodies[1]
    assert first.transport.closing == second.transport.closing == bool(last)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A few valid requests with some bytes put in, taken out or doubled."""
    data = b"".join(draw(st.lists(st.sampled_from(VALID + CLOSING), min_size=1, max_size=4)))
    for _ in range(draw(st.integers(1, 4))):
        at, length = draw(st.integers(0, len(data))), draw(st.integers(0, 12))
        kind = draw(st.integers(0, 3))
        if kind == 0:
            data = data[:at] + data[at + length :]
        elif kind == 1:
            data = data[:at] + draw(st.sampled_from(TOKENS)) + data[at:]
        elif kind == 2:
            data = data[:at] + draw(st.binary(max_size=8)) + data[at + length :]
        else:
            data = data[:at] + data[at : at + length] * 2 + data[at + length :]
    return data


@given(mutated() | st.binary(max_size=300), st.lists(st.integers(0, 10_000), max_size=20), st.booleans())
@settings(max_examples=600, deadline=None)
def test_no_bytes_break_a_connection_or_keep_it(data: bytes, places: list[int], later: bool) -> None:
    """Whatever comes: no exception, well-formed answers, and the connection is over when its limits are."""
    handler = Recorder()
    if later:
        # Streamed answers, given only after all bytes came.
        handler.answer = lambda exchange: None
    limits = ServerLimits(max_header_bytes=2000, max_body_bytes=3000, max_headers=10, max_target_bytes=200)
    connection = VirtualConnection(handler, limits)
    connection.feed(*cut(data, places))
    done = 0
    while done < len(handler.handled):
        exchange = handler.handled[done]
        done += 1
        exchange.start(200, TEXT)
        exchange.write(exchange.body)
        exchange.end()
        connection.feed()
    connection.advance(1000.0)
    assert connection.transport.lost
    assert connection.connections == set()
    assert connection.loop.timers == []
    methods = [exchange.request.method for exchange in handler.handled]
    for request, _, _ in handler.faults:
        methods.append(request.method if request is not None else "GET")
    assert len(handler.faults) <= 1
    parse_replies(without_continue(connection.sent), *methods)


@pytest.mark.parametrize("make_loop", LOOPS)
def test_noise_on_sockets_leaves_the_server_well(make_loop: MakeLoop) -> None:
    """Four hundred seeded mutants over real sockets: each connection ends by itself, and a plain request is served."""
    rnd = random.Random(20261)
    limits = ServerLimits(
        header_timeout_s=0.2, body_idle_s=0.2, keep_alive_s=0.2, write_idle_s=0.2, linger_s=0.1, max_body_bytes=3000
    )

    def mutant() -> bytes:
        data = b"".join(rnd.choices(VALID + CLOSING, k=rnd.randint(1, 3)))
        for _ in range(rnd.randint(1, 3)):
            at = rnd.randrange(len(data))
            data = data[:at] + rnd.choice([*TOKENS, rnd.randbytes(3)]) + data[at + rnd.randrange(4) :]
        return data

    async def main() -> None:
        async with serving(limits=limits) as site:
            for _ in range(4):
                await asyncio.gather(*(site.ask(mutant()) for _ in range(100)))
            client = await site.connect()
            await client.send(VALID[3])
            assert (await client.read_reply("POST")).body.endswith(BODY)

    run_on(make_loop, main())
