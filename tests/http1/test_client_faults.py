"""The client over real sockets against upstreams that fail: each fault has its name, its time and its end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ollama_proxy.http1.client import Client, Origin, Response, Timeouts
from ollama_proxy.http1.faults import (
    BadFraming,
    ConnectFailed,
    ConnectionLost,
    NoMeans,
    TimedOut,
    TooMuch,
    TransportFault,
)
from ollama_proxy.http1.trust import platform_context
from tests.support.fake_upstream import (
    Action,
    Upstream,
    answer,
    close,
    deaf,
    firehose,
    pieces,
    request,
    reset,
    send,
    stall,
    whole,
)
from tests.support.loops import on_every_loop, play

#: The defaults are longer than the patience of a test: what waits for them fails it.
LONG = Timeouts()
HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


async def post(client: Client, origin: Origin, *, body: bytes = b"{}", timeouts: Timeouts = LONG) -> Response:
    return await client.request("POST", origin, "/", [(b"Authorization", b"Bearer canary")], body, timeouts)


async def fault_of(script: list[Action], timeouts: Timeouts = LONG) -> TransportFault:
    """How one request ends, whether at its head or in its body; the upstream has to see the connection go."""
    async with Upstream(script) as upstream:
        client = Client()
        with pytest.raises(TransportFault) as caught:
            await (await post(client, upstream.origin, timeouts=timeouts)).read(1 << 20)
        await upstream.visits[0].gone.wait()
        await client.close()
    assert "canary" not in str(caught.value)
    return caught.value


# No descriptor


@contextlib.contextmanager
def no_descriptor_left() -> Iterator[None]:
    """This process may open nothing more."""
    resource = pytest.importorskip("resource")
    free = os.dup(0)
    os.close(free)
    usual = resource.getrlimit(resource.RLIMIT_NOFILE)
    # The next descriptor is the lowest that is free: the limit stands just below it.
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, usual[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, usual)


@on_every_loop
async def test_without_a_descriptor_it_is_our_own_want() -> None:
    """F105: an address, a name to look up, TLS: never told as the other side's fault, and all is well afterwards."""
    client = Client()
    origins = [Origin("http", "127.0.0.1", 9), Origin("http", "localhost", 9), Origin("https", "127.0.0.1", 9)]
    for origin in origins:
        with no_descriptor_left(), pytest.raises(NoMeans):
            await post(client, origin)
    async with Upstream([answer(whole(b"served"))]) as upstream:
        response = await post(client, upstream.origin)
        assert await response.read(100) == b"served"
        await client.close()


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="elsewhere the platform keeps the authorities")
def test_who_can_read_no_authority_trusts_nobody_only_for_now() -> None:
    """F31, F105: a context without any would be kept, and refuse every provider long after the want is over."""
    with no_descriptor_left(), pytest.raises(OSError, match=r".+"):
        platform_context()
    assert platform_context().cert_store_stats()["x509"] > 0


# No connection


@on_every_loop
async def test_a_refused_port_is_said_at_once() -> None:
    """F30: with host and port, and nothing else."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening
        port = taken.getsockname()[1]
        client = Client()
        with pytest.raises(ConnectFailed, match=rf"127\.0\.0\.1:{port}"):
            await post(client, Origin("http", "127.0.0.1", port))
        await client.close()


@on_every_loop
async def test_a_black_hole_costs_the_connect_timeout() -> None:
    """F30: a full backlog swallows the handshake, as a firewall would."""
    with socket.socket() as hole:
        hole.bind(("127.0.0.1", 0))
        hole.listen(0)
        fillers = [socket.socket() for _ in range(8)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(hole.getsockname())
        client = Client()
        with pytest.raises(TimedOut) as caught:
            await post(client, Origin("http", *hole.getsockname()), timeouts=Timeouts(connect_s=0.1))
        assert caught.value.phase == "connect"
        await client.close()
        for filler in fillers:
            filler.close()


@pytest.mark.parametrize("host", ["no-such-name.invalid", "a..b", "x" * 70 + ".test"])
def test_a_name_that_does_not_resolve_is_a_failed_connect(host: str) -> None:
    """F30: also a name that no resolver would take."""

    async def story() -> None:
        client = Client()
        with pytest.raises(ConnectFailed, match="resolved"):
            await post(client, Origin("http", host, 80))
        await client.close()

    play(story())


def test_a_hanging_resolver_blocks_neither_the_loop_nor_its_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """F30: fifty requests to one dead name wait for one lookup, end in time, and other names resolve meanwhile."""
    answered = threading.Event()
    asked: list[str] = []
    real = socket.getaddrinfo

    def slow(host: str, *args: Any, **kwargs: Any) -> Any:
        asked.append(host)
        if host == "dead.test":
            answered.wait(10)
        return real("127.0.0.1" if host.endswith(".test") else host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", slow)

    async def story() -> None:
        async with Upstream([answer()]) as upstream:
            client = Client()
            hasty = Timeouts(connect_s=0.1)
            dead = Origin("http", "dead.test", upstream.origin.port)
            alive = Origin("http", "alive.test", upstream.origin.port)
            waiting = asyncio.gather(*[post(client, dead, timeouts=hasty) for _ in range(50)], return_exceptions=True)
            assert (await post(client, alive)).status == 200
            ends = await waiting
            assert all(isinstance(end, TimedOut) and end.phase == "connect" for end in ends)
            assert asked.count("dead.test") == 1
            await client.close()
            answered.set()

    try:
        play(story())
    finally:
        answered.set()


def test_an_address_that_does_not_answer_does_not_delay_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 8305: the second address gets its turn while the first is still silent."""
    with socket.socket() as hole:
        hole.bind(("127.0.0.2", 0))
        hole.listen(0)
        fillers = [socket.socket() for _ in range(8)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(hole.getsockname())

        async def story() -> None:
            async with Upstream([answer()]) as upstream:
                found = [
                    (socket.AF_INET, socket.SOCK_STREAM, 6, "", address)
                    for address in (hole.getsockname(), ("127.0.0.1", upstream.origin.port))
                ]
                monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
                client = Client()
                started = asyncio.get_running_loop().time()
                assert (await post(client, Origin("http", "two.test", 80))).status == 200
                assert 0.2 < asyncio.get_running_loop().time() - started < 1.0
                await client.close()

        play(story())
        for filler in fillers:
            filler.close()


def test_a_refused_address_is_followed_by_the_next_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 8305: a failure does not wait for the head start to be over."""

    async def story() -> None:
        async with Upstream([answer()]) as upstream:
            found = [
                (socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, upstream.origin.port))
                for host in ("127.0.0.2", "127.0.0.1")
            ]
            monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
            client = Client()
            started = asyncio.get_running_loop().time()
            assert (await post(client, Origin("http", "two.test", 80))).status == 200
            assert asyncio.get_running_loop().time() - started < 0.2
            await client.close()

    play(story())


@on_every_loop
async def test_cancelling_a_connect_leaves_no_socket() -> None:
    """F61: the half open connection is closed (an unclosed socket would be a warning, and so an error)."""
    with socket.socket() as hole:
        hole.bind(("127.0.0.1", 0))
        hole.listen(0)
        fillers = [socket.socket() for _ in range(8)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(hole.getsockname())
        client = Client()
        task = asyncio.create_task(post(client, Origin("http", *hole.getsockname())))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await client.close()
        for filler in fillers:
            filler.close()


@on_every_loop
async def test_a_connection_that_is_reset_at_once_is_a_fault_and_leaves_nothing() -> None:
    """In whatever turn of the loop it is noticed: its place is given back, closing the client does not wait for it."""
    async with Upstream([reset()]) as upstream:
        client = Client()
        for _ in range(20):
            with pytest.raises((ConnectFailed, ConnectionLost)):
                await post(client, upstream.origin)
        await client.close()


# Time


@on_every_loop
async def test_an_upstream_that_says_nothing_costs_the_first_byte_timeout() -> None:
    """F33: from the end of the request to the whole head."""
    fault = await fault_of([request(), stall()], Timeouts(first_byte_s=0.05))
    assert isinstance(fault, TimedOut)
    assert fault.phase == "first_byte"


@on_every_loop
async def test_a_head_that_trickles_costs_the_same() -> None:
    """F33: neither single bytes of the head nor interim answers buy time."""

    async def trickle(visit: Any) -> None:
        for byte in (b"HTTP/1.1 100 Continue\r\n\r\n" + HEAD) * 100:
            if visit.gone.is_set():
                return
            visit.transport.write(bytes([byte]))
            await asyncio.sleep(0.002)

    fault = await fault_of([request(), trickle], Timeouts(first_byte_s=0.08))
    assert isinstance(fault, TimedOut)
    assert fault.phase == "first_byte"


@on_every_loop
async def test_a_stream_that_stalls_costs_the_idle_timeout_and_keeps_what_came() -> None:
    """F35: three chunks, then silence."""
    async with Upstream([request(), send(CHUNKED + b"1\r\na\r\n1\r\nb\r\n1\r\nc\r\n"), stall()]) as upstream:
        client = Client()
        got = await post(client, upstream.origin, timeouts=Timeouts(idle_s=0.05))
        seen: list[bytes] = []
        end: asyncio.Future[TransportFault | None] = asyncio.get_running_loop().create_future()
        got.relay(seen.append, end.set_result)
        fault = await end
        assert isinstance(fault, TimedOut)
        assert (fault.phase, b"".join(seen)) == ("idle", b"abc")
        await upstream.visits[0].gone.wait()
        await client.close()


@on_every_loop
async def test_a_stream_that_goes_on_is_never_idle() -> None:
    """Ten pieces, each within the timeout, together far beyond it."""

    async def paced(visit: Any) -> None:
        visit.transport.write(CHUNKED)
        for _ in range(10):
            await asyncio.sleep(0.02)
            visit.transport.write(b"1\r\nx\r\n")
        visit.transport.write(b"0\r\n\r\n")

    async with Upstream([request(), paced]) as upstream:
        client = Client()
        got = await post(client, upstream.origin, timeouts=Timeouts(first_byte_s=0.1, idle_s=0.1))
        assert await got.read(100) == b"x" * 10
        await client.close()


@on_every_loop
async def test_bytes_around_a_body_are_no_progress() -> None:
    """F34, F41: an endless chunk extension buys no time."""

    async def extend(visit: Any) -> None:
        visit.transport.write(CHUNKED + b"5;x=")
        while not visit.gone.is_set():
            visit.transport.write(b"y")
            await asyncio.sleep(0.005)

    fault = await fault_of([request(), extend], Timeouts(idle_s=0.05))
    assert isinstance(fault, TimedOut)
    assert fault.phase == "idle"


@on_every_loop
async def test_an_upstream_that_does_not_take_the_request_costs_the_write_timeout() -> None:
    """F47: 20 MB that nobody reads."""
    async with Upstream([deaf(), stall()], receive_buffer=4096) as upstream:
        client = Client()
        with pytest.raises(TimedOut) as caught:
            await post(client, upstream.origin, body=b"x" * 20_000_000, timeouts=Timeouts(write_idle_s=0.1))
        assert caught.value.phase == "write"
        await client.close()


@on_every_loop
async def test_an_upstream_that_takes_the_request_slowly_is_waited_for() -> None:
    """F47: progress counts, not the whole time; the first byte is waited for after the last piece left."""

    async def slow(visit: Any) -> None:
        for _ in range(6):
            visit.transport.pause_reading()
            await asyncio.sleep(0.1)
            visit.transport.resume_reading()
            await asyncio.sleep(0.001)

    async with Upstream([slow, request(), send(whole())], receive_buffer=1 << 19) as upstream:
        # Not smaller: loopback segments have 64 KB, and a window of that size makes the kernel itself pause.
        client = Client()
        timeouts = Timeouts(write_idle_s=0.4)
        got = await post(client, upstream.origin, body=b"x" * 30_000_000, timeouts=timeouts)
        assert await got.read(10) == b"ok"
        await client.close()


# Broken answers


@on_every_loop
async def test_a_reset_in_the_middle_of_the_body_is_a_lost_connection() -> None:
    """F36: and the caller knows that the answer had begun."""
    fault = await fault_of([request(), send(HEAD + b"Content-Length: 9\r\n\r\nhal"), reset()])
    assert isinstance(fault, ConnectionLost)
    assert fault.response_began


CUT = {
    "length": HEAD + b"Content-Length: 9\r\n\r\nhal",
    "chunk": CHUNKED + b"9\r\nhal",
    "last chunk": CHUNKED + b"3\r\nhal\r\n",
    "last line": CHUNKED + b"3\r\nhal\r\n0\r\n",
    "head": HEAD + b"Content-Le",
    "interim": b"HTTP/1.1 100 Continue\r\n\r\n",
}


@pytest.mark.parametrize("data", CUT.values(), ids=CUT)
def test_an_answer_that_is_cut_is_never_whole(data: bytes) -> None:
    """F37, F40, F41: EOF before the announced end."""

    async def story() -> None:
        fault = await fault_of([request(), send(data), close()])
        assert isinstance(fault, ConnectionLost)
        assert fault.response_began

    play(story())


BROKEN = {
    "html": b"<html>captive portal</html>",
    "http 3": b"HTTP/3.7 200 OK\r\n\r\n",
    "status": b"HTTP/1.1 2000 OK\r\n\r\n",
    "status 99": b"HTTP/1.1 099 Hm\r\n\r\n",
    "length and chunks": HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "chunks and length": HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "two lengths": HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nok",
    "length list": HEAD + b"Content-Length: 2, 2\r\n\r\nok",
    "length +2": HEAD + b"Content-Length: +2\r\n\r\nok",
    "length overflow": HEAD + b"Content-Length: 99999999999999999999\r\n\r\nok",
    "chunk size": CHUNKED + b"zz\r\nok\r\n0\r\n\r\n",
    "chunk size overflow": CHUNKED + b"fffffffffffffffff\r\nok",
    "chunk end": CHUNKED + b"2\r\nokXX0\r\n\r\n",
    "chunk bare LF": CHUNKED + b"2\nok\n0\n\n",
    "gzip, chunked": HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "xchunked": HEAD + b"Transfer-Encoding: xchunked\r\n\r\nok",
    "identity": HEAD + b"Transfer-Encoding: identity\r\n\r\nok",
    "NUL": HEAD + b"X: a\0b\r\n\r\n",
    "bare CR": HEAD + b"X: a\rb\r\n\r\n",
    "folded": HEAD + b"X: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    "space before colon": HEAD + b"X : a\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_an_answer_with_bad_framing_costs_its_connection(data: bytes) -> None:
    """F22, F41: nothing is guessed."""

    async def story() -> None:
        assert isinstance(await fault_of([request(), send(data), stall()]), BadFraming)

    play(story())


FLOODS: dict[str, list[Action]] = {
    "one field": [send(HEAD + b"X: "), firehose(b"y" * 50_000)],
    "fields": [send(HEAD), firehose(b"X-Y: z\r\n" * 5000)],
    "10,000 at once": [send(HEAD + b"X-Y: z\r\n" * 10_000 + b"\r\n")],
    "201 small ones": [send(HEAD + b"A:b\r\n" * 201 + b"\r\n")],
    "80 KB at once": [send(HEAD + b"X: " + b"y" * 80_000 + b"\r\nContent-Length: 0\r\n\r\n")],
    "reason": [send(b"HTTP/1.1 200 "), firehose(b"y" * 50_000)],
    "interim": [firehose(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * 1000)],
    "extension": [send(CHUNKED + b"5;x="), firehose(b"y" * 50_000)],
    "trailers": [send(CHUNKED + b"0\r\n"), firehose(b"X-Y: z\r\n" * 5000)],
    "one trailer": [send(CHUNKED + b"0\r\nX: "), firehose(b"y" * 50_000)],
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
def test_a_flood_around_the_body_is_cut_off(flood: list[Action]) -> None:
    """F42: 64 KiB and 200 fields are enough for everybody."""

    async def story() -> None:
        assert isinstance(await fault_of([request(), *flood, stall()]), BadFraming)

    play(story())


@on_every_loop
async def test_a_body_that_is_too_short_takes_nothing_from_the_next_answer() -> None:
    """F40: what follows the announced end is neither body nor the next answer; the next request is unaffected."""
    planted = HEAD + b"Content-Length: 2\r\n\r\nok" + whole(b"planted")
    async with Upstream([request(), send(planted), stall()], [answer(whole(b"real"))]) as upstream:
        client = Client()
        assert await (await post(client, upstream.origin)).read(100) == b"ok"
        await upstream.visits[0].gone.wait()
        assert await (await post(client, upstream.origin)).read(100) == b"real"
        await client.close()


@on_every_loop
async def test_a_line_end_behind_an_answer_harms_nobody() -> None:
    """Old servers end a body with one; the parser skips it before the next answer (RFC 9112 §2.2)."""
    async with Upstream([answer(whole(b"one") + b"\r\n"), answer(whole(b"two"))], [answer(whole(b"two"))]) as upstream:
        client = Client()
        for body in (b"one", b"two"):
            assert await (await post(client, upstream.origin)).read(100) == body
        await client.close()


@pytest.mark.parametrize("tail", [b"x", b"HTTP/1.1 200 OK\r\n", b"0\r\n\r\n"], ids=repr)
def test_anything_behind_an_answer_costs_the_connection_only(tail: bytes) -> None:
    """F40: with length, with chunks, and behind a 204 or a HEAD."""

    async def story() -> None:
        for method, head in (
            ("GET", HEAD + b"Content-Length: 2\r\n\r\nok"),
            ("GET", CHUNKED + b"2\r\nok\r\n0\r\n\r\n"),
            ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
            ("HEAD", HEAD + b"Content-Length: 2\r\n\r\n"),
            ("GET", HEAD + b"Connection: close\r\nContent-Length: 2\r\n\r\nok"),
        ):
            async with Upstream([request(), send(head + tail), stall()]) as upstream:
                client = Client()
                got = await client.request(method, upstream.origin, "/", [], b"", LONG)
                assert await got.read(100) == (b"ok" if head.endswith((b"ok", b"0\r\n\r\n")) else b"")
                await upstream.visits[0].gone.wait()
                await client.close()

    play(story())


@on_every_loop
async def test_an_early_answer_to_a_large_request_is_read_and_the_connection_left() -> None:
    """413 before the end of the upload: the answer counts, the rest is not sent after it."""

    async def early(visit: Any) -> None:
        while b"\r\n\r\n" not in visit.received:
            await asyncio.sleep(0)
        visit.transport.pause_reading()
        visit.transport.write(whole(b"no", status=b"413 Content Too Large"))

    async with Upstream([early, stall()], [answer()], receive_buffer=4096) as upstream:
        client = Client()
        got = await post(client, upstream.origin, body=b"x" * 20_000_000)
        assert (got.status, await got.read(10)) == (413, b"no")
        assert await (await post(client, upstream.origin)).read(10) == b"ok"
        assert len(upstream.visits) == 2
        await client.close()


# Too much


@on_every_loop
async def test_an_endless_body_is_too_much() -> None:
    """F44: the limit is the reader's; the connection goes at once."""
    script = [request(), send(HEAD + b"Content-Length: 10000000000\r\n\r\n"), firehose(b"x" * 100_000)]
    chunked = [request(), send(CHUNKED), firehose(b"186a0\r\n" + b"x" * 100_000 + b"\r\n")]
    for actions in (script, chunked):
        assert isinstance(await fault_of(actions), TooMuch)


@pytest.mark.parametrize("size", [65535, 65536, 65537, 1 << 20])
def test_bodies_around_the_buffer_sizes_are_whole(size: int) -> None:
    """F46: exactly the limit is fine, one more is not."""
    body = bytes(range(256)) * (size // 256 + 1)
    body = body[:size]

    async def story() -> None:
        async with Upstream([answer(whole(body), times=2)]) as upstream:
            client = Client()
            assert await (await post(client, upstream.origin)).read(size) == body
            with pytest.raises(TooMuch):
                await (await post(client, upstream.origin)).read(size - 1)
            await client.close()

    play(story())


SMALL_CHUNKS = CHUNKED + b"".join(b"4\r\n%04d\r\n" % n for n in range(10_000)) + b"0\r\n\r\n"


@pytest.mark.parametrize("play_it", [send, lambda data: pieces(data[:2000], 1)], ids=["one segment", "byte by byte"])
def test_granularity_changes_nothing(play_it: Callable[[bytes], Action]) -> None:
    """F46: ten thousand chunks in one write; single bytes."""

    async def story() -> None:
        async with Upstream([request(), play_it(SMALL_CHUNKS), close()]) as upstream:
            client = Client()
            got = await post(client, upstream.origin)
            seen: list[bytes] = []
            end: asyncio.Future[TransportFault | None] = asyncio.get_running_loop().create_future()
            got.relay(seen.append, end.set_result)
            await end
            text = b"".join(seen)
            assert text == b"".join(b"%04d" % n for n in range(10_000))[: len(text)]
            assert len(text) in (40_000, len(text))
            await client.close()

    play(story())
