"""What hosts and judges us: uvicorn as it is installed, and the standard library's HTTP client."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import random
import signal
import socket
from pathlib import Path
from typing import Any, cast

import pytest
import uvicorn

from ollama_proxy.http1.server import Exchange, HTTPServerProtocol, protocol_factory
from tests.support.raw_client import LOOPS, TEXT, MakeLoop, Raw, Recorder, hold, run_on, serving

GET = b"GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def no_app(scope: Any, receive: Any, send: Any) -> None:
    """Never called: uvicorn wants an application, our protocol does not ask it."""
    raise AssertionError


def config(protocol: type[asyncio.Protocol]) -> uvicorn.Config:
    return uvicorn.Config(no_app, http=protocol, host="127.0.0.1", port=0, lifespan="off", log_config=None, ws="none")


async def started(server: uvicorn.Server) -> int:
    """The port, once it listens."""
    while not server.started:
        await asyncio.sleep(0)
    return int(server.servers[0].sockets[0].getsockname()[1])


async def connect(port: int) -> Raw:
    return Raw(*await asyncio.open_connection("127.0.0.1", port))


@pytest.mark.parametrize("make_loop", LOOPS)
def test_uvicorn_hosts_us(make_loop: MakeLoop) -> None:
    """Requests are served, and on exit a stream is finished while idle connections close."""
    handler = Recorder()

    async def main() -> None:
        server = uvicorn.Server(config(protocol_factory(handler)))
        serve = asyncio.create_task(server.serve())
        port = await started(server)
        idle, busy = await connect(port), await connect(port)
        await idle.send(GET)
        assert (await idle.read_reply()).body == b"GET /x\n"
        assert {type(connection).__mro__[1] for connection in server.server_state.connections} == {HTTPServerProtocol}
        handler.answer = hold
        await handler.arrivals.get()
        await busy.send(GET)
        stream = await handler.arrivals.get()
        stream.start(200, TEXT)
        stream.write(b"one,")
        await busy.reader.readuntil(b"one,")
        server.should_exit = True
        assert await idle.read_rest() == b""
        assert not serve.done()
        stream.write(b"two")
        stream.end()
        assert (await busy.read_rest()).endswith(b"3\r\ntwo\r\n0\r\n\r\n")
        await idle.close()
        await busy.close()
        await serve

    run_on(make_loop, main())


def test_uvicorn_constructs_and_drains_as_we_expect() -> None:
    """What we use of uvicorn, and nothing more: four keywords, one set, `shutdown()` on each of its members."""
    built: list[dict[str, Any]] = []
    drained: list[asyncio.Protocol] = []

    class Probe(asyncio.Protocol):
        def __init__(self, **keywords: Any) -> None:
            built.append(keywords)

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport
            built[0]["server_state"].connections.add(self)

        def shutdown(self) -> None:
            drained.append(self)
            self.transport.close()

        def connection_lost(self, exc: Exception | None) -> None:
            built[0]["server_state"].connections.discard(self)

    async def main() -> None:
        server = uvicorn.Server(config(Probe))
        serve = asyncio.create_task(server.serve())
        client = await connect(await started(server))
        while not server.server_state.connections:
            await asyncio.sleep(0)
        server.should_exit = True
        await client.closed()
        await client.close()
        await serve
        assert server.server_state.connections == set()

    run_on(asyncio.new_event_loop, main())
    assert len(built) == len(drained) == 1
    assert set(built[0]) == {"config", "server_state", "app_state", "_loop"}
    assert type(built[0]["server_state"].connections) is set
    assert built[0]["_loop"] is None


def test_a_second_ctrl_c_reaches_our_connections() -> None:
    """uvicorn sets `force_exit` and stops waiting; its set of connections is where a host finds whom to abort."""
    handler = Recorder()
    handler.answer = hold

    async def main() -> None:
        server = uvicorn.Server(config(protocol_factory(handler)))
        serve = asyncio.create_task(server._serve())
        client = await connect(await started(server))
        await client.send(GET)
        exchange = await handler.arrivals.get()
        server.handle_exit(signal.SIGINT, None)
        server.handle_exit(signal.SIGINT, None)
        assert server.force_exit
        for connection in list(server.server_state.connections):
            cast("HTTPServerProtocol", connection).abort()
        assert exchange.finished
        await client.closed()
        await client.close()
        await serve

    run_on(asyncio.new_event_loop, main())


def talk(port: int) -> None:
    """The standard library's client, keeping one connection: lengths, chunks, HEAD, streams, refusals."""
    rnd = random.Random(4)
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        for size in [0, 1, 4095, 4096, 4097, 65536, 300_000, *rnd.choices(range(50_000), k=20)]:
            body = rnd.randbytes(size)
            connection.request("POST", f"/{size}", body)
            assert connection.getresponse().read() == b"POST /%d\n%b" % (size, body)
            parts = [part for part in (body[:100], body[100:20_000], body[20_000:]) if part]
            connection.request("POST", f"/stream/{size}", iter(parts), encode_chunked=True)
            assert connection.getresponse().read() == body
            connection.request("HEAD", f"/{size}")
            head = connection.getresponse()
            assert (head.read(), head.getheader("content-length")) == (b"", str(len(f"HEAD /{size}\n")))
        first = connection.sock
        connection.request("GET", "/again")
        assert connection.getresponse().read() == b"GET /again\n"
        assert connection.sock is first
        connection.putrequest("GET", "/two-hosts")
        connection.putheader("Host", "localhost")
        connection.endheaders()
        refusal = connection.getresponse()
        assert (refusal.status, refusal.will_close) == (400, True)
        refusal.read()


@pytest.mark.parametrize("make_loop", LOOPS)
def test_the_standard_library_can_talk_to_us(make_loop: MakeLoop) -> None:
    """A foreign client judges framing and keep-alive, as h11 lets it."""

    def answer(exchange: Exchange) -> None:
        if not exchange.request.path.startswith("/stream/"):
            exchange.respond(
                200, TEXT, b"%b %b\n%b" % (exchange.request.method.encode(), exchange.request.target, exchange.body)
            )
            return
        exchange.start(200, TEXT)
        for at in range(0, len(exchange.body), 7777):
            exchange.write(exchange.body[at : at + 7777])
        exchange.end()

    handler = Recorder()
    handler.answer = answer

    async def main() -> None:
        async with serving(handler) as site:
            await asyncio.gather(*(asyncio.to_thread(talk, site.port) for _ in range(3)))

    run_on(make_loop, main())


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets here")
def test_a_unix_socket_works_too(tmp_path: Path) -> None:
    """The peer is then `unix`; an aborted stream needs no socket option there."""
    handler = Recorder()
    handler.answer = hold

    async def main() -> None:
        address, protocol = str(tmp_path / "s"), protocol_factory(handler)
        server = uvicorn.Server(uvicorn.Config(no_app, http=protocol, uds=address, lifespan="off", log_config=None))
        serve = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0)
        client = Raw(*await asyncio.open_unix_connection(address))
        await client.send(GET)
        exchange = await handler.arrivals.get()
        assert exchange.request.peer == "unix"
        exchange.respond(200, TEXT, b"here")
        assert (await client.read_reply()).body == b"here"
        await client.send(GET.replace(b"1.1", b"1.0"))
        exchange = await handler.arrivals.get()
        exchange.start(200, TEXT)
        exchange.write(b"half")
        exchange.abort()
        await client.closed()
        await client.close()
        server.should_exit = True
        await serve

    run_on(asyncio.new_event_loop, main())


def test_each_connection_keeps_its_own_order() -> None:
    """F74: fifty pipelining connections at once, every answer given a turn of the loop later."""
    handler = Recorder()

    async def one(port: int, name: int) -> None:
        client = await connect(port)
        await client.send(b"".join(b"GET /%d/%d HTTP/1.1\r\nHost: a\r\n\r\n" % (name, turn) for turn in range(20)))
        for turn in range(20):
            assert (await client.read_reply()).body == b"GET /%d/%d\n" % (name, turn)
        await client.close()

    async def main() -> None:
        loop = asyncio.get_running_loop()

        def later(exchange: Exchange) -> None:
            reply = b"GET %b\n" % exchange.request.target
            loop.call_soon(exchange.respond, 200, TEXT, reply)

        handler.answer = later
        async with serving(handler) as site:
            await asyncio.gather(*(one(site.port, name) for name in range(50)))

    run_on(asyncio.new_event_loop, main())
