"""Clients that leave, servers that drain, and what is left of a connection afterwards. On real sockets, both loops."""

from __future__ import annotations

import asyncio
import functools
import gc
import socket
import weakref
from collections.abc import Callable

import pytest

from ollama_proxy.http1.server import Exchange, ServerLimits
from tests.support.raw_client import LOOPS, TEXT, MakeLoop, Raw, Recorder, hold, parse_replies, run_on, serving

GET = b"GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n"
OLD_GET = b"GET /x HTTP/1.0\r\n\r\n"
POST = b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n"

pytestmark = pytest.mark.parametrize("make_loop", LOOPS)


def held() -> Recorder:
    handler = Recorder()
    handler.answer = hold
    return handler


LEAVING: dict[str, Callable[[Raw], None]] = {
    "FIN": lambda client: client.writer.close(),
    "RST": lambda client: client.reset(),
    "half-close": lambda client: client.finish(),
}


@pytest.mark.parametrize("way", LEAVING)
@pytest.mark.parametrize("streaming", [False, True])
def test_a_client_that_leaves_is_noticed_once(make_loop: MakeLoop, way: str, streaming: bool) -> None:
    """F62, F63, F64: before the first byte and in the middle; a half-close is leaving too."""
    handler, gone = held(), list[str]()

    async def main() -> None:
        async with serving(handler) as site:
            client = await site.connect()
            await client.send(GET)
            exchange = await handler.arrivals.get()
            left = asyncio.Event()

            def note() -> None:
                gone.append("gone")
                left.set()

            exchange.on_gone = note
            if streaming:
                exchange.start(200, TEXT)
                exchange.write(b"first")
                await client.reader.readuntil(b"first")
            LEAVING[way](client)
            await left.wait()
            assert exchange.finished
            exchange.write(b"more")
            exchange.end()
            await site.alone()

    run_on(make_loop, main())
    assert gone == ["gone"]


def test_a_pipelining_client_is_noticed_too(make_loop: MakeLoop) -> None:
    """F62: bytes waiting behind the request do not hide that nobody waits for it any more."""
    handler = held()

    async def main() -> None:
        async with serving(handler) as site:
            client = await site.connect()
            await client.send(GET * 3)
            exchange = await handler.arrivals.get()
            left = asyncio.Event()
            exchange.on_gone = left.set
            client.writer.close()
            await left.wait()
            await site.alone()
            assert len(handler.handled) == 1

    run_on(make_loop, main())


def test_nobody_is_told_of_a_client_that_leaves_satisfied(make_loop: MakeLoop) -> None:
    """After the answer, or before the request is whole, there is nothing to give up."""
    handler = Recorder()

    def answer(exchange: Exchange) -> None:
        exchange.on_gone = lambda: pytest.fail("told of nothing")
        exchange.respond(200, TEXT, b"done")

    handler.answer = answer

    async def main() -> None:
        async with serving(handler) as site:
            client = await site.connect()
            await client.send(GET)
            await client.read_reply()
            await client.send(POST + b"half")
            await client.close()
            await site.alone()

    run_on(make_loop, main())
    assert len(handler.handled) == 1


def test_an_answer_that_is_complete_still_reaches_who_half_closed(make_loop: MakeLoop) -> None:
    """Half-closing is leaving only while the answer is not complete."""
    handler = Recorder()
    handler.answer = lambda exchange: exchange.respond(200, TEXT, b"y" * 3_000_000)

    async def main() -> bytes:
        async with serving(handler) as site:
            client = await site.connect()
            await client.send(GET)
            first: bytes = await client.reader.readexactly(1000)
            client.finish()
            return first + await client.read_rest()

    assert len(parse_replies(run_on(make_loop, main()), "GET")[0].body) == 3_000_000


def test_an_aborted_stream_is_seen_as_cut(make_loop: MakeLoop) -> None:
    """P5: HTTP/1.1 lacks its last chunk, HTTP/1.0 ends in a reset; what was written before arrives in 1.1."""
    handler = held()

    async def main() -> None:
        async with serving(handler) as site:
            for request in (GET, OLD_GET):
                client = await site.connect()
                await client.send(request)
                exchange = await handler.arrivals.get()
                exchange.start(200, TEXT)
                exchange.write(b"half")
                if request is OLD_GET:
                    await client.reader.readuntil(b"half")
                    exchange.abort()
                    with pytest.raises(ConnectionResetError):
                        await client.read_rest()
                else:
                    exchange.abort()
                    data = await client.read_rest()
                    assert data.endswith(b"\r\n\r\n4\r\nhalf\r\n")

    run_on(make_loop, main())


def test_a_second_signal_resets_what_would_look_complete(make_loop: MakeLoop) -> None:
    """P5: an HTTP/1.0 stream cut by the server ends in a reset, whoever cut it."""
    handler = held()

    async def main() -> None:
        async with serving(handler) as site:
            client = await site.connect()
            await client.send(OLD_GET)
            exchange = await handler.arrivals.get()
            exchange.start(200, TEXT)
            exchange.write(b"half")
            await client.reader.readuntil(b"half")
            site.connections[0].abort()
            with pytest.raises(ConnectionResetError):
                await client.read_rest()

    run_on(make_loop, main())


def test_churn_leaves_nothing_behind(make_loop: MakeLoop) -> None:
    """F65: connections that come and go in every state."""
    handler = held()

    async def main() -> None:
        async with serving(handler) as site:
            for turn in range(300):
                client = await site.connect()
                await client.send((b"", GET[:7], POST + b"123", GET, GET * 3)[turn % 5])
                LEAVING[("FIN", "RST", "half-close")[turn % 3]](client)
            await site.alone()

    run_on(make_loop, main())
    assert all(exchange.finished for exchange in handler.handled)


def test_drain_closes_the_idle_and_finishes_the_busy(make_loop: MakeLoop) -> None:
    """F98: a stream in progress ends well; an answer not begun says close; half a head is idle; nothing queued runs."""
    handler = held()

    async def main() -> None:
        async with serving(handler, ServerLimits(linger_s=0.1)) as site:
            idle, half = await site.connect(), await site.connect()
            used, streaming, waiting, sending = [await site.connect() for _ in range(4)]
            await used.send(GET)
            (await handler.arrivals.get()).respond(200, TEXT, b"")
            await used.read_reply()
            await half.send(GET[:9])
            await streaming.send(GET + GET)
            stream = await handler.arrivals.get()
            stream.start(200, TEXT)
            stream.write(b"one,")
            await streaming.reader.readuntil(b"one,")
            await waiting.send(GET)
            answer = await handler.arrivals.get()
            await sending.send(POST.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"))
            await sending.reader.readuntil(b"100 Continue\r\n\r\n")

            for connection in site.connections:
                connection.shutdown()
                connection.shutdown()
            assert [await client.read_rest() for client in (idle, half, used)] == [b""] * 3
            stream.write(b"two")
            stream.end()
            assert (await streaming.read_rest()).endswith(b"3\r\ntwo\r\n0\r\n\r\n")
            answer.respond(200, TEXT, b"last")
            assert parse_replies(await waiting.read_rest(), "GET")[0].headers["connection"] == "close"
            await sending.send(b"0123456789")
            (await handler.arrivals.get()).respond(200, TEXT, b"last")
            assert parse_replies(await sending.read_rest(), "GET")[0].headers["connection"] == "close"
            await site.alone()
            assert len(handler.handled) == 4

    run_on(make_loop, main())


def test_a_second_signal_ends_everything(make_loop: MakeLoop) -> None:
    """F98: abort() cuts streams at once and tells their handlers; twice does no harm."""
    handler = held()

    async def main() -> None:
        async with serving(handler) as site:
            client = await site.connect()
            await client.send(GET)
            exchange = await handler.arrivals.get()
            left = asyncio.Event()
            exchange.on_gone = left.set
            exchange.start(200, TEXT)
            exchange.write(b"one")
            (connection,) = site.connections
            connection.shutdown()
            connection.abort()
            connection.abort()
            assert left.is_set()
            assert not (await client.closed()).endswith(b"0\r\n\r\n")
            await site.alone()
            connection.abort()
            connection.shutdown()

    run_on(make_loop, main())


@pytest.mark.parametrize("kept", [False, True])
def test_nothing_keeps_a_lost_connection(make_loop: MakeLoop, kept: bool) -> None:
    """Handlers may keep exchanges, hosts connections: the rest goes without the garbage collector, but for the
    standard library's transport, which is a circle in itself."""
    handler = held()
    keeper: list[object] = []

    async def main() -> None:
        async with serving(handler) as site:
            ours, theirs = list[weakref.ref[object]](), list[weakref.ref[object]]()
            clients = []
            for request in (GET, GET[:9], POST + b"123", GET + GET):
                client = await site.connect()
                await client.send(request)
                clients.append(client)
            for _ in range(2):
                await handler.arrivals.get()
            for connection in site.connections:
                ours.append(weakref.ref(connection))
                theirs.append(weakref.ref(connection._transport))
                if kept:
                    keeper.append(connection)
            del connection
            for client in clients:
                await client.close()
            await site.alone()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert [reference() for reference in ours] == [None] * 4 or kept
            gc.collect()
            assert [reference() for reference in theirs] == [None] * 4

    gc.collect()
    gc.disable()
    try:
        run_on(make_loop, main())
    finally:
        gc.enable()
    assert len(handler.handled) == 2


def test_small_writes_are_not_delayed(make_loop: MakeLoop) -> None:
    """The loops set TCP_NODELAY on what they accept; if that ever ends, we must."""

    async def main() -> int:
        async with serving() as site:
            client = await site.connect()
            await client.send(GET)
            await client.read_reply()
            sock = site.connections[0]._transport.get_extra_info("socket")
            return int(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    assert run_on(make_loop, main()) != 0


@pytest.mark.parametrize("status", [401, 413])
def test_a_refusal_arrives_although_the_client_is_still_sending(make_loop: MakeLoop, status: int) -> None:
    """F69, RFC 9112 §9.6: 413 or 401 is read in full while megabytes are on their way; no reset takes it away."""
    limits = ServerLimits(max_body_bytes=1000 if status == 413 else 10_000_000)
    handler = Recorder()
    handler.gate = lambda request: (401, TEXT, b"who are you?")

    async def main() -> list[bytes]:
        async with serving(handler, limits) as site:
            answers = []
            for _ in range(10):
                client = await site.connect()
                client.writer.write(POST.replace(b"10\r\n", b"9000000\r\n") + b"x" * 5_000_000)
                answers.append(await client.read_rest())
            return answers

    for answer in run_on(make_loop, main()):
        assert parse_replies(answer, "POST")[0].status == status


def test_two_streams_do_not_wait_for_each_other(make_loop: MakeLoop) -> None:
    """F66: fifty clients that never read cost their high-water mark each, and others nothing."""
    handler = held()
    limits = ServerLimits(high_water=20_000)

    async def main() -> None:
        async with serving(handler, limits) as site:
            clogged = set[Exchange]()

            def note(exchange: Exchange, stop: bool) -> None:
                (clogged.add if stop else clogged.discard)(exchange)

            for _ in range(50):
                client = await site.connect(receive_buffer=4096)
                await client.send(GET)
                exchange = await handler.arrivals.get()
                exchange.on_flow = functools.partial(note, exchange)
                exchange.start(200, TEXT)
            while len(clogged) < 50:
                for exchange in handler.handled:
                    if exchange not in clogged:
                        exchange.write(b"x" * 8000)
                await asyncio.sleep(0)
            waiting = [connection._transport.get_write_buffer_size() for connection in site.connections]
            assert max(waiting) <= 20_000 + 8_100
            client = await site.connect()
            await client.send(GET)
            (await handler.arrivals.get()).respond(200, TEXT, b"quick")
            assert (await client.read_reply()).body == b"quick"

    run_on(make_loop, main())
