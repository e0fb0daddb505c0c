"""The client over real sockets: what is sent, which answers come back, which connections are used again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from ollama_proxy.http1.client import Client, ClientLimits, Origin, Response, Timeouts
from ollama_proxy.http1.faults import BadFraming, ConnectFailed, ConnectionLost, TimedOut
from tests.support.fake_upstream import (
    Action,
    Upstream,
    Visit,
    answer,
    close,
    request,
    reset,
    send,
    stall,
    wait,
    whole,
)
from tests.support.loops import on_every_loop, play

#: The defaults are longer than the patience of a test: what waits for them fails it.
LONG = Timeouts()
HEADERS = [(b"Authorization", b"Bearer canary"), (b"X-Two", b"2")]


async def post(client: Client, origin: Origin, body: bytes = b"{}", *, timeouts: Timeouts = LONG) -> Response:
    return await client.request("POST", origin, "/v1/chat?x=1", HEADERS, body, timeouts)


async def post_and_read(client: Client, origin: Origin, body: bytes = b"{}") -> bytes:
    return await (await post(client, origin, body)).read(1 << 20)


# What is sent


@on_every_loop
async def test_a_request_leaves_as_one_exact_text() -> None:
    """Host first, the caller's fields as given, identity asked for, the length last."""
    async with Upstream([answer()]) as upstream:
        client = Client()
        assert await post_and_read(client, upstream.origin, b'{"a":1}') == b"ok"
        await client.close()
        host = f"127.0.0.1:{upstream.origin.port}".encode()
        assert upstream.requests == [
            b"POST /v1/chat?x=1 HTTP/1.1\r\nHost: " + host + b"\r\nAuthorization: Bearer canary\r\nX-Two: 2\r\n"
            b'Accept-Encoding: identity\r\nContent-Length: 7\r\n\r\n{"a":1}'
        ]


@on_every_loop
async def test_a_get_has_no_length_and_an_empty_post_has_one() -> None:
    """A method that usually has a body says so when it has none (RFC 9110 §8.6)."""
    async with Upstream([answer(times=2)]) as upstream:
        client = Client()
        for method in ("GET", "POST"):
            got = await client.request(method, upstream.origin, "/", [], b"", LONG)
            assert await got.read(10) == b"ok"
        await client.close()
        assert b"Content-Length" not in upstream.requests[0]
        assert b"Content-Length: 0\r\n" in upstream.requests[1]


@on_every_loop
async def test_a_large_body_arrives_whole() -> None:
    """20 MB leave in pieces and are the same bytes at the other end."""
    body = bytes(range(256)) * 80_000
    async with Upstream([answer()]) as upstream:
        client = Client()
        assert await post_and_read(client, upstream.origin, body) == b"ok"
        await client.close()
        assert upstream.requests[0].partition(b"\r\n\r\n")[2] == body


BAD_FIELDS = [
    (b"X-A", b"a\r\nX-B: b"),
    (b"X-A", b"a\nb"),
    (b"X-A", b"a\0"),
    (b"X-A\r\nX-B", b"b"),
    (b"X-A ", b"b"),
    (b"X:A", b"b"),
    (b"", b"b"),
    (b"Host", b"evil.test"),
    (b"content-length", b"3"),
    (b"Transfer-Encoding", b"chunked"),
    (b"Connection", b"close"),
]


@pytest.mark.parametrize("field", BAD_FIELDS, ids=repr)
def test_a_field_that_would_change_the_framing_is_never_sent(field: tuple[bytes, bytes]) -> None:
    """F89: ValueError before any connection, and its text does not hold the value."""

    async def story() -> None:
        with pytest.raises(ValueError, match="header") as caught:
            await Client().request("POST", Origin("http", "127.0.0.1", 1), "/", [field], b"", LONG)
        assert "evil" not in str(caught.value)

    play(story())


@pytest.mark.parametrize("path", ["", "x", "/a b", "/a\r\nX: y", "/a\0", "/ä", "/a#b", "http://evil.test/", "/\x7f"])
def test_a_path_that_is_none_is_never_sent(path: str) -> None:
    """F89: a model name in a path cannot change where the request goes."""

    async def story() -> None:
        with pytest.raises(ValueError, match="path"):
            await Client().request("GET", Origin("http", "127.0.0.1", 1), path, [], b"", LONG)

    play(story())


@pytest.mark.parametrize("method", ["", "get", "GET ", "GET / HTTP/1.1\r\nX", "G\0T"])
def test_a_method_that_is_none_is_never_sent(method: str) -> None:
    """A method is a word in capitals."""

    async def story() -> None:
        with pytest.raises(ValueError, match="method"):
            await Client().request(method, Origin("http", "127.0.0.1", 1), "/", [], b"", LONG)

    play(story())


# Which answers come back


@on_every_loop
async def test_fields_come_with_lower_case_names_and_repeated_ones_joined() -> None:
    """RFC 9110 §5.3: a list field may come in several lines."""
    async with Upstream([answer(whole(b"x", b"X-A: 1", b"Other: o", b"x-a: 2"))]) as upstream:
        client = Client()
        got = await post(client, upstream.origin)
        assert (got.status, got.headers[b"x-a"], got.headers[b"other"]) == (200, b"1, 2", b"o")
        assert await got.read(1) == b"x"
        await client.close()


@on_every_loop
async def test_a_redirect_is_an_answer_like_any_other() -> None:
    """F23: nobody follows it, so the key never reaches the target."""
    async with Upstream([answer()]) as target:
        location = f"Location: http://127.0.0.1:{target.origin.port}/".encode()
        async with Upstream([answer(whole(b"", location, status=b"307 Temporary Redirect"))]) as upstream:
            client = Client()
            got = await post(client, upstream.origin)
            assert got.status == 307
            assert await got.read(10) == b""
            await client.close()
        assert target.visits == []


@on_every_loop
async def test_interim_answers_are_skipped() -> None:
    """F24: 100 and 103, with a length that means nothing there, before the real answer."""
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\nContent-Length: 5\r\n\r\n"
    async with Upstream([answer(interim + whole(b"real")), request(), send(interim), send(whole(b"two"))]) as upstream:
        client = Client()
        got = await post(client, upstream.origin)
        assert (got.status, b"link" in got.headers, await got.read(10)) == (200, False, b"real")
        await client.close()


@on_every_loop
async def test_an_upgrade_nobody_asked_for_is_bad_framing() -> None:
    """F24: 101 ends the connection."""
    async with Upstream(
        [answer(b"HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nstuff"), stall()]
    ) as upstream:
        client = Client()
        with pytest.raises(BadFraming):
            await post(client, upstream.origin)
        await upstream.visits[0].gone.wait()
        await client.close()


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_answers_without_body_need_no_length(status: bytes) -> None:
    """F24, RFC 9112 §6.3: the head is the answer; the connection serves again."""

    async def story() -> None:
        head = b"HTTP/1.1 " + status + b"\r\nX: y\r\n\r\n"
        async with Upstream([answer(head), answer(whole(b"next"))]) as upstream:
            client = Client()
            assert await post_and_read(client, upstream.origin) == b""
            assert await post_and_read(client, upstream.origin) == b"next"
            assert len(upstream.visits) == 1
            await client.close()

    play(story())


@on_every_loop
async def test_a_partial_answer_is_passed_on_as_it_is() -> None:
    """F24: 206 is the caller's business."""
    async with Upstream(
        [answer(whole(b"part", b"Content-Range: bytes 0-3/9", status=b"206 Partial Content"))]
    ) as upstream:
        client = Client()
        got = await post(client, upstream.origin)
        assert (got.status, await got.read(10)) == (206, b"part")
        await client.close()


@on_every_loop
async def test_head_has_no_body_whatever_it_announces() -> None:
    """RFC 9110 §9.3.2: the next answer on the connection is not taken for the body."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n"
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with Upstream([answer(head), answer(chunked), answer(whole(b"next"))]) as upstream:
        client = Client()
        for _ in range(2):
            got = await client.request("HEAD", upstream.origin, "/", [], b"", LONG)
            assert await got.read(0) == b""
        assert await post_and_read(client, upstream.origin) == b"next"
        assert len(upstream.visits) == 1
        await client.close()


@on_every_loop
async def test_a_body_without_length_ends_with_the_connection() -> None:
    """RFC 9112 §6.3: neither length nor chunks."""
    async with Upstream([answer(b"HTTP/1.0 200 OK\r\n\r\nhello "), send(b"world"), close()]) as upstream:
        client = Client()
        assert await post_and_read(client, upstream.origin) == b"hello world"
        await client.close()


# Which connections are used again


@on_every_loop
async def test_one_after_the_other_use_one_connection() -> None:
    """Keep-alive, with length and with chunks, read and relayed."""
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nok\r\n0\r\nTrailer: t\r\n\r\n"
    async with Upstream([answer(times=10), answer(chunked, times=10)]) as upstream:
        client = Client()
        for _ in range(20):
            assert await post_and_read(client, upstream.origin) == b"ok"
        assert len(upstream.visits) == 1
        await client.close()


@on_every_loop
async def test_two_hundred_at_once_get_their_own_answers() -> None:
    """Every answer belongs to its request; the next two hundred open no further connection."""

    async def echo(visit: Visit) -> None:
        while True:
            body = (await visit.request()).partition(b"\r\n\r\n")[2]
            visit.transport.write(whole(body * 3))

    async with Upstream([echo]) as upstream:
        client = Client()
        for _ in range(2):
            bodies = [b"%d." % n for n in range(200)]
            got = await asyncio.gather(*[post_and_read(client, upstream.origin, body) for body in bodies])
            assert got == [body * 3 for body in bodies]
        assert len(upstream.visits) == 200
        await client.close()
        for visit in upstream.visits:
            await visit.gone.wait()


@pytest.mark.parametrize(
    "reply",
    [
        whole(b"ok", b"Connection: close"),
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ],
    ids=["close", "1.0", "1.0 chunked"],
)
def test_a_connection_that_may_not_go_on_is_closed_at_once(reply: bytes) -> None:
    """RFC 9112 §9.3: close, or HTTP/1.0 without keep-alive, or with faulty framing."""

    async def story() -> None:
        async with Upstream([answer(reply), stall()]) as upstream:
            client = Client()
            assert await post_and_read(client, upstream.origin) == b"ok"
            await upstream.visits[0].gone.wait()
            assert await post_and_read(client, upstream.origin) == b"ok"
            assert len(upstream.visits) == 2
            await client.close()

    play(story())


@on_every_loop
async def test_the_freshest_free_connection_is_taken() -> None:
    """Last in, first out: the surplus grows old."""
    gates = [asyncio.Event(), asyncio.Event()]
    first, second = (
        [request(), wait(gate), send(whole(b"%d" % n)), answer(whole(b"%d" % n), times=9)]
        for n, gate in enumerate(gates)
    )
    async with Upstream(first, second) as upstream:
        client = Client()
        early = asyncio.create_task(post_and_read(client, upstream.origin))
        await upstream.visit(0)
        late = asyncio.create_task(post_and_read(client, upstream.origin))
        await upstream.visit(1)
        gates[1].set()
        assert await late == b"1"
        gates[0].set()
        assert await early == b"0"
        assert [await post_and_read(client, upstream.origin) for _ in range(3)] == [b"0"] * 3
        await client.close()


@on_every_loop
async def test_a_free_connection_is_closed_after_its_idle_time() -> None:
    """The upstream sees it go without any further request."""
    async with Upstream([answer(), stall()]) as upstream:
        client = Client(limits=ClientLimits(idle_s=0.02))
        assert await post_and_read(client, upstream.origin) == b"ok"
        await upstream.visits[0].gone.wait()
        await client.close()


@on_every_loop
async def test_a_connection_that_was_free_too_long_is_not_used_even_if_the_loop_was_blocked() -> None:
    """The sweep had no turn yet; the clock is looked at all the same."""
    async with Upstream([answer(), stall()]) as upstream:
        client = Client(limits=ClientLimits(idle_s=0.02))
        assert await post_and_read(client, upstream.origin) == b"ok"
        time.sleep(0.04)
        assert await post_and_read(client, upstream.origin) == b"ok"
        assert len(upstream.visits) == 2
        await client.close()


@on_every_loop
async def test_an_old_connection_is_not_used_again() -> None:
    """max_age_s: a moved name is followed in the end."""
    async with Upstream([answer(), stall()]) as upstream:
        client = Client(limits=ClientLimits(max_age_s=0.0))
        for _ in range(2):
            assert await post_and_read(client, upstream.origin) == b"ok"
        assert len(upstream.visits) == 2
        await client.close()


@on_every_loop
async def test_no_more_than_max_idle_are_kept() -> None:
    """A burst leaves only so many descriptors behind."""
    async with Upstream([answer(), stall()]) as upstream:
        client = Client(limits=ClientLimits(max_idle=2))
        await asyncio.gather(*[post_and_read(client, upstream.origin) for _ in range(5)])
        closed = [asyncio.create_task(visit.gone.wait()) for visit in upstream.visits]
        for _ in range(3):
            done, _ = await asyncio.wait(closed, return_when=asyncio.FIRST_COMPLETED)
            closed = [task for task in closed if task not in done]
            if len(closed) <= 2:
                break
        assert len(closed) == 2
        await client.close()
        await asyncio.gather(*closed)


@on_every_loop
async def test_a_free_connection_that_the_upstream_closes_is_forgotten() -> None:
    """F32: EOF on an idle connection is seen when it comes; the next request goes elsewhere at once."""
    async with Upstream([answer(), close()], [answer()]) as upstream:
        client = Client()
        assert await post_and_read(client, upstream.origin) == b"ok"
        await upstream.visits[0].gone.wait()
        await asyncio.sleep(0)
        assert await post_and_read(client, upstream.origin) == b"ok"
        assert [len(visit.requests) for visit in upstream.visits] == [1, 1]
        await client.close()


@on_every_loop
async def test_bytes_nobody_asked_for_end_a_free_connection() -> None:
    """F40: a planted answer is never taken for the answer to the next request."""
    planted = asyncio.Event()
    async with Upstream(
        [answer(), wait(planted), send(whole(b"planted")), stall()], [answer(whole(b"real"))]
    ) as upstream:
        client = Client()
        assert await post_and_read(client, upstream.origin) == b"ok"
        planted.set()
        await upstream.visits[0].gone.wait()
        assert await post_and_read(client, upstream.origin) == b"real"
        await client.close()


# The one free retry


@pytest.mark.parametrize("end", [close, reset], ids=["FIN", "RST"])
def test_a_stale_connection_costs_nothing(end: Callable[[], Action]) -> None:
    """F32: a used connection that dies before any byte of the answer is replaced, once, unseen by the caller."""

    async def story() -> None:
        async with Upstream([answer(), request(), end()], [answer(whole(b"fresh"))]) as upstream:
            client = Client()
            assert await post_and_read(client, upstream.origin) == b"ok"
            assert await post_and_read(client, upstream.origin, b"again") == b"fresh"
            assert [len(visit.requests) for visit in upstream.visits] == [2, 1]
            assert upstream.visits[1].requests[0].endswith(b"again")
            await client.close()

    play(story())


@on_every_loop
async def test_there_is_one_free_retry_and_no_second() -> None:
    """F32: the fresh connection dies too: that is news."""
    async with Upstream([answer(), request(), close()], [request(), close()]) as upstream:
        client = Client()
        assert await post_and_read(client, upstream.origin) == b"ok"
        with pytest.raises(ConnectionLost) as caught:
            await post(client, upstream.origin)
        assert not caught.value.response_began
        assert len(upstream.visits) == 2
        await client.close()


@on_every_loop
async def test_a_fresh_connection_that_dies_is_not_replaced() -> None:
    """F33: the caller decides, and knows that something was sent and nothing came back."""
    async with Upstream([request(), reset()]) as upstream:
        client = Client()
        with pytest.raises(ConnectionLost) as caught:
            await post(client, upstream.origin)
        assert (caught.value.sent_anything, caught.value.response_began) == (True, False)
        assert len(upstream.visits) == 1
        await client.close()


@on_every_loop
async def test_an_answer_that_began_is_never_asked_for_again() -> None:
    """F36: half a status line on a used connection is an answer that began."""
    async with Upstream([answer(), request(), send(b"HTTP/1.1 2"), close()]) as upstream:
        client = Client()
        assert await post_and_read(client, upstream.origin) == b"ok"
        with pytest.raises(ConnectionLost) as caught:
            await post(client, upstream.origin)
        assert caught.value.response_began
        assert len(upstream.visits) == 1
        await client.close()


# A cap on connections


@on_every_loop
async def test_a_cap_makes_requests_wait_in_order() -> None:
    """First come, first served, on the one connection there may be."""
    async with Upstream([answer(times=9)]) as upstream:
        client = Client(limits=ClientLimits(max_connections=1))
        bodies = [b"%d" % n for n in range(9)]
        await asyncio.gather(*[post_and_read(client, upstream.origin, body) for body in bodies])
        assert [r.partition(b"\r\n\r\n")[2] for r in upstream.requests] == bodies
        assert len(upstream.visits) == 1
        await client.close()


@on_every_loop
async def test_whoever_leaves_the_line_costs_nobody_a_place() -> None:
    """One waits in vain, one is cancelled; the third gets the place when it is left."""
    gate = asyncio.Event()
    async with Upstream([request(), wait(gate), send(whole()), answer()]) as upstream:
        client = Client(limits=ClientLimits(max_connections=1))
        first = asyncio.create_task(post_and_read(client, upstream.origin))
        await upstream.visit(0)
        with pytest.raises(TimedOut) as caught:
            await post(client, upstream.origin, timeouts=Timeouts(connect_s=0.01))
        assert caught.value.phase == "connect"
        second = asyncio.create_task(post(client, upstream.origin))
        third = asyncio.create_task(post_and_read(client, upstream.origin, b"third"))
        await asyncio.sleep(0)
        second.cancel()
        gate.set()
        assert (await first, await third) == (b"ok", b"ok")
        assert len(upstream.requests) == 2
        await client.close()
        await asyncio.gather(second, return_exceptions=True)


@on_every_loop
async def test_a_connection_that_dies_leaves_its_place() -> None:
    """The one in line opens a new connection."""
    async with Upstream([request(), reset()], [answer(whole(b"second"))]) as upstream:
        client = Client(limits=ClientLimits(max_connections=1))
        both = [post_and_read(client, upstream.origin) for _ in range(2)]
        first, second = await asyncio.gather(*both, return_exceptions=True)
        assert isinstance(first, ConnectionLost)
        assert second == b"second"
        await client.close()


# Leaving


@on_every_loop
async def test_cancelling_before_the_answer_closes_the_connection_at_once() -> None:
    """F62, P7: the upstream sees it in the same turn, not after a timeout."""
    async with Upstream([request(), stall()]) as upstream:
        client = Client()
        task = asyncio.create_task(post(client, upstream.origin))
        visit = await upstream.visit(0)
        while not visit.requests:
            await asyncio.sleep(0)
        before = asyncio.get_running_loop().time()
        task.cancel()
        await visit.gone.wait()
        assert asyncio.get_running_loop().time() - before < 0.25
        with pytest.raises(asyncio.CancelledError):
            await task
        await client.close()


@on_every_loop
async def test_cancelling_while_the_body_is_read_closes_the_connection_at_once() -> None:
    """F64: the same for an answer that is not streamed."""
    async with Upstream([request(), send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhal"), stall()]) as upstream:
        client = Client()
        got = await post(client, upstream.origin)
        task = asyncio.create_task(got.read(100))
        await asyncio.sleep(0)
        task.cancel()
        await upstream.visits[0].gone.wait()
        with pytest.raises(asyncio.CancelledError):
            await task
        await client.close()


@on_every_loop
async def test_closing_an_unfinished_answer_closes_the_connection_at_once() -> None:
    """F63: and closing a finished one keeps it for the next."""
    async with Upstream([answer(whole(b"whole")), request(), send(b"HTTP/1.1 200 OK\r\n\r\nhal"), stall()]) as upstream:
        client = Client()
        (await post(client, upstream.origin)).close()
        got = await post(client, upstream.origin)
        assert len(upstream.visits) == 1
        got.close()
        got.close()
        await upstream.visits[0].gone.wait()
        await client.close()


@on_every_loop
async def test_closing_the_client_ends_everything() -> None:
    """A request under way fails, one in the middle of its body too, later ones are refused, sockets are closed."""
    async with Upstream([request(), send(b"HTTP/1.1 200 OK\r\n\r\nhal"), stall()], [request(), stall()]) as upstream:
        client = Client()
        got = await post(client, upstream.origin)
        reading = asyncio.create_task(got.read(100))
        waiting = asyncio.create_task(post(client, upstream.origin))
        visit = await upstream.visit(1)
        while not visit.requests:
            await asyncio.sleep(0)
        await client.close()
        for task in (reading, waiting):
            with pytest.raises(ConnectionLost):
                await task
        with pytest.raises(ConnectFailed):
            await post(client, upstream.origin)
        for visit in upstream.visits:
            await visit.gone.wait()


@on_every_loop
async def test_closing_the_client_sends_the_line_away() -> None:
    """Who waits for a place hears at once that there will be none."""
    async with Upstream([request(), stall()]) as upstream:
        client = Client(limits=ClientLimits(max_connections=1))
        tasks = [asyncio.create_task(post(client, upstream.origin)) for _ in range(3)]
        await upstream.visit(0)
        await client.close()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(end) for end in ends[1:]] == [ConnectFailed, ConnectFailed]
        assert len(upstream.visits) == 1


@on_every_loop
async def test_closing_the_client_in_any_moment_leaves_nothing_open() -> None:
    """Also in the turn in which a connection has just been made."""
    for turns in range(25):
        async with Upstream([answer(times=9), stall()]) as upstream:
            client = Client()
            task = asyncio.create_task(post(client, upstream.origin))
            for _ in range(turns):
                await asyncio.sleep(0)
            await client.close()
            end = (await asyncio.gather(task, return_exceptions=True))[0]
            assert isinstance(end, (Response, ConnectFailed, ConnectionLost))
            for visit in upstream.visits:
                await visit.gone.wait()


def test_importing_the_client_makes_no_context_and_opens_nothing() -> None:
    """A Client costs nothing until it is used."""
    client = Client()
    assert "Client" in repr(client)
