"""Owns the upstream of socket tests: a raw server that plays a script and keeps a log. It parses no HTTP but lengths.

    script = [request(), send(b"HTTP/1.1 200 OK\\r\\n..."), stall()]
    async with Upstream(script) as upstream:
        ... upstream.origin ... upstream.visits[0].received ...

Each connection is a Visit and plays one script: the first visit the first script, later ones the last. A script is a
list of actions; after the last one the connection stays open until the other side, or the test, ends it.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import struct
import sys
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Any, cast

from ollama_proxy.http1.origin import Origin

__all__ = [
    "Action",
    "Upstream",
    "Visit",
    "answer",
    "close",
    "deaf",
    "firehose",
    "pieces",
    "request",
    "reset",
    "send",
    "stall",
    "tell",
    "wait",
    "whole",
]

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_LINGER = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)


class Visit(asyncio.Protocol):
    """One connection as the upstream sees it.

    received: every byte that came. requests: the whole ones. gone: set when the other side closed or reset.
    """

    def __init__(self, script: Sequence[Action]) -> None:
        self.received = bytearray()
        self.requests: list[bytes] = []
        self.gone = asyncio.Event()
        self.was_reset = False
        self.opened_at = asyncio.get_running_loop().time()
        self.closed_at: float | None = None
        self.transport: asyncio.Transport
        self.is_clear = asyncio.Event()  # the transport's buffer is low
        self.is_clear.set()
        self.playing: asyncio.Task[None] | None = None
        self._script = script
        self._taken = 0
        self._arrived = asyncio.Event()

    async def request(self) -> bytes:
        """The next whole request."""
        while True:
            whole = self._cut()
            if whole is not None:
                self.requests.append(whole)
                return whole
            self._arrived.clear()
            await self._arrived.wait()

    def _cut(self) -> bytes | None:
        end = self.received.find(b"\r\n\r\n", self._taken)
        if end < 0:
            return None
        length = _LENGTH.search(self.received[self._taken : end])
        stop = end + 4 + (int(length[1]) if length else 0)
        if len(self.received) < stop:
            return None
        start, self._taken = self._taken, stop
        return bytes(self.received[start:stop])

    async def _play(self) -> None:
        for action in self._script:
            if self.gone.is_set():
                return
            await action(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.playing = asyncio.get_running_loop().create_task(self._play())

    def data_received(self, data: bytes) -> None:
        self.received += data
        self._arrived.set()

    def eof_received(self) -> None:
        self._left()

    def connection_lost(self, exc: Exception | None) -> None:
        self.was_reset = exc is not None
        self._left()

    def _left(self) -> None:
        if not self.gone.is_set():
            self.closed_at = asyncio.get_running_loop().time()
            self.gone.set()
        self.is_clear.set()

    def pause_writing(self) -> None:
        self.is_clear.clear()

    def resume_writing(self) -> None:
        self.is_clear.set()


Action = Callable[[Visit], Awaitable[None]]


class Upstream:
    """The server. Leaving it ends every visit; what a script raised is raised there."""

    def __init__(
        self, *scripts: Sequence[Action], tls: ssl.SSLContext | None = None, receive_buffer: int | None = None
    ) -> None:
        self._scripts = scripts
        self._tls = tls
        self._receive_buffer = receive_buffer
        self.visits: list[Visit] = []
        self.origin = Origin("http", "127.0.0.1", 0)
        self._server: asyncio.AbstractServer | None = None
        self._came = asyncio.Event()

    async def __aenter__(self) -> Upstream:
        sock = socket.socket()
        if self._receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer)
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        port = sock.getsockname()[1]
        self._server = await asyncio.get_running_loop().create_server(
            self._new_visit, sock=sock, ssl=self._tls, backlog=1000
        )
        self.origin = Origin("https", "localhost", port) if self._tls else Origin("http", "127.0.0.1", port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        outcomes: list[Any] = []
        for visit in self.visits:
            if visit.playing is not None:
                visit.playing.cancel()
                outcomes += await asyncio.gather(visit.playing, return_exceptions=True)
                visit.transport.abort()
                await visit.gone.wait()
        await asyncio.sleep(0)
        failures = [o for o in outcomes if isinstance(o, Exception)]
        if failures and error is None:
            raise failures[0]

    def _new_visit(self) -> Visit:
        script = self._scripts[min(len(self.visits), len(self._scripts) - 1)]
        self.visits.append(Visit(script))
        self._came.set()
        return self.visits[-1]

    async def visit(self, number: int) -> Visit:
        """The visit of this number, from 0, as soon as it came."""
        while len(self.visits) <= number:
            self._came.clear()
            await self._came.wait()
        return self.visits[number]

    @property
    def requests(self) -> list[bytes]:
        """All whole requests, visit by visit."""
        return [request for visit in self.visits for request in visit.requests]


def whole(body: bytes = b"ok", *fields: bytes, status: bytes = b"200 OK") -> bytes:
    """A well-formed answer with Content-Length."""
    lines = [b"HTTP/1.1 " + status, *fields, b"Content-Length: %d" % len(body)]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def request() -> Action:
    """Wait for a whole request."""

    async def act(visit: Visit) -> None:
        await visit.request()

    return act


def send(data: bytes) -> Action:
    """Send in one write."""

    async def act(visit: Visit) -> None:
        visit.transport.write(data)
        await visit.is_clear.wait()

    return act


def answer(data: bytes | None = None, *, times: int = 1) -> Action:
    """A request comes, an answer leaves; so many times."""

    async def act(visit: Visit) -> None:
        for _ in range(times):
            await visit.request()
            visit.transport.write(whole() if data is None else data)

    return act


def pieces(data: bytes, size: int = 1) -> Action:
    """Send in pieces, each in a write of its own, the loop turning in between."""

    async def act(visit: Visit) -> None:
        for start in range(0, len(data), size):
            visit.transport.write(data[start : start + size])
            await asyncio.sleep(0)

    return act


def firehose(data: bytes) -> Action:
    """Send the same for ever, as fast as it is taken."""

    async def act(visit: Visit) -> None:
        while not visit.gone.is_set():
            await visit.is_clear.wait()
            visit.transport.write(data)
            await asyncio.sleep(0)

    return act


def stall() -> Action:
    """Do nothing until the other side leaves."""

    async def act(visit: Visit) -> None:
        await visit.gone.wait()

    return act


def deaf() -> Action:
    """Read nothing from now on."""

    async def act(visit: Visit) -> None:
        visit.transport.pause_reading()

    return act


def close() -> Action:
    """Close in an orderly way: FIN after what was sent."""

    async def act(visit: Visit) -> None:
        visit.transport.close()
        await visit.gone.wait()

    return act


def reset() -> Action:
    """Break the connection: RST."""

    async def act(visit: Visit) -> None:
        sock = visit.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
        visit.transport.abort()
        await visit.gone.wait()

    return act


def wait(event: asyncio.Event) -> Action:
    """Wait for the test."""

    async def act(_: Visit) -> None:
        await event.wait()

    return act


def tell(event: asyncio.Event) -> Action:
    """Tell the test."""

    async def act(_: Visit) -> None:
        event.set()

    return act
