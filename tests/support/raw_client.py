"""A raw-socket client, a server around our protocol, and a handler that records: for tests of http1's server side.

Everything waits for an event (an answer, the end of the connection, a callback), never for time to pass.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import socket
import struct
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from http.client import HTTPResponse
from typing import Any, TypeVar, cast

from ollama_proxy.http1.server import Answer, Exchange, HTTPServerProtocol, Request, ServerLimits, protocol_factory
from tests.support.loops import play

T = TypeVar("T")

MakeLoop = Callable[[], asyncio.AbstractEventLoop]
#: Every loop of this machine, for parametrised tests.
LOOPS: list[MakeLoop] = [asyncio.new_event_loop]
if sys.platform != "win32":
    import uvloop

    LOOPS.append(uvloop.new_event_loop)

TEXT = [(b"Content-Type", b"text/plain")]


@dataclass
class HostState:
    """Stands in for uvicorn's server state."""

    connections: set[Any] = field(default_factory=set)


@dataclass(frozen=True)
class Reply:
    """One answer as http.client reads it."""

    status: int
    headers: dict[str, str]
    body: bytes


class _KeptOpen(io.BytesIO):
    """http.client closes what it reads from; the next answer is still in here."""

    def close(self) -> None:
        pass


class _Source:
    def __init__(self, data: bytes) -> None:
        self.file = _KeptOpen(data)

    def makefile(self, mode: str) -> io.BytesIO:
        return self.file


def parse_replies(data: bytes, *methods: str) -> list[Reply]:
    """The answers in these bytes, one for each method, read by the standard library; nothing may be left over."""
    source = _Source(data)
    replies = []
    for method in methods:
        response = HTTPResponse(cast("socket.socket", source), method=method)
        response.begin()
        body = response.read()
        replies.append(Reply(response.status, {k.lower(): v for k, v in response.getheaders()}, body))
    assert source.file.read() == b""
    return replies


class Recorder:
    """A handler that writes down what it is asked and answers at once, unless the test takes the exchange over."""

    def __init__(self) -> None:
        self.admitted: list[Request] = []
        self.handled: list[Exchange] = []
        self.faults: list[tuple[Request | None, int, str]] = []
        self.arrivals: asyncio.Queue[Exchange] = asyncio.Queue()
        #: What to do with an exchange; the default answers `METHOD target` and the body.
        self.answer: Callable[[Exchange], None] = echo
        #: What admit says.
        self.gate: Callable[[Request], Answer | None] = lambda request: None

    @property
    def targets(self) -> list[bytes]:
        return [exchange.request.target for exchange in self.handled]

    def admit(self, request: Request) -> Answer | None:
        self.admitted.append(request)
        return self.gate(request)

    def handle(self, exchange: Exchange) -> None:
        self.handled.append(exchange)
        self.arrivals.put_nowait(exchange)
        self.answer(exchange)

    def fault(self, request: Request | None, status: int, message: str) -> Answer:
        self.faults.append((request, status, message))
        return status, TEXT, message.encode()


def echo(exchange: Exchange) -> None:
    request = exchange.request
    exchange.respond(200, TEXT, b"%b %b\n%b" % (request.method.encode(), request.target, exchange.body))


def hold(exchange: Exchange) -> None:
    """Answer nothing: the test does."""


class Raw:
    """A client that sends exactly the bytes it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        with contextlib.suppress(ConnectionError):
            await self.writer.drain()

    async def read_reply(self, method: str = "GET") -> Reply:
        """The next answer; the connection stays open."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        lower = head.lower()
        body = b""
        if b"transfer-encoding: chunked" in lower and method != "HEAD":
            while not body.endswith(b"0\r\n\r\n"):
                body += await self.reader.readuntil(b"\r\n")
        elif b"content-length: " in lower and method != "HEAD":
            length = int(lower.split(b"content-length: ")[1].split(b"\r\n")[0])
            body = await self.reader.readexactly(length)
        return parse_replies(head + body, method)[0]

    async def read_rest(self) -> bytes:
        """Everything until the server closes. A reset raises ConnectionError."""
        return await self.reader.read()

    async def closed(self) -> bytes:
        """Everything until the connection ends, however it ends."""
        data = b""
        with contextlib.suppress(ConnectionError):
            while piece := await self.reader.read(65536):
                data += piece
        return data

    def finish(self) -> None:
        """FIN: we send no more."""
        self.writer.write_eof()

    def reset(self) -> None:
        """RST."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


class Site:
    """A listening server of ours."""

    def __init__(self, handler: Recorder, state: HostState, port: int) -> None:
        self.handler = handler
        self.state = state
        self.port = port
        self._clients: list[Raw] = []

    @property
    def connections(self) -> list[HTTPServerProtocol]:
        return list(self.state.connections)

    async def connect(self, *, receive_buffer: int | None = None) -> Raw:
        sock = socket.socket()
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self.port))
        # `limit` bounds what the client's own loop reads ahead: a client that does not read shall not read.
        client = Raw(*await asyncio.open_connection(sock=sock, limit=65536))
        self._clients.append(client)
        return client

    async def ask(self, data: bytes) -> bytes:
        """All that comes back on a connection of its own; the server is expected to end it."""
        client = await self.connect()
        await client.send(data)
        return await client.closed()

    async def alone(self) -> None:
        """Until no connection is left."""
        while self.state.connections:
            await asyncio.sleep(0)

    async def close(self) -> None:
        for client in self._clients:
            await client.close()
        for connection in self.connections:
            connection.abort()
        await self.alone()


@contextlib.asynccontextmanager
async def serving(handler: Recorder | None = None, limits: ServerLimits | None = None) -> AsyncIterator[Site]:
    """A site on a free port of 127.0.0.1; at the end every connection must be gone."""
    loop = asyncio.get_running_loop()
    state, recorder = HostState(), handler or Recorder()
    factory = cast("Callable[..., asyncio.Protocol]", protocol_factory(recorder, limits))
    server = await loop.create_server(
        lambda: factory(config=None, server_state=state, app_state={}, _loop=None), "127.0.0.1", 0
    )
    site = Site(recorder, state, server.sockets[0].getsockname()[1])
    try:
        yield site
    finally:
        server.close()
        await site.close()


def run_on(make_loop: MakeLoop, main: Coroutine[Any, Any, T]) -> T:
    """What `main` returns, run on a new loop that may have nothing to complain about in the end."""
    results: list[T] = []

    async def story() -> None:
        results.append(await main)

    play(story(), make_loop)
    return results[0]
