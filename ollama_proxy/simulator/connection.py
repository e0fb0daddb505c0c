"""Owns one client connection: requests off the socket in turn, the steps of a Behaviour onto it. Knows no provider.

The client's leaving is noticed at once, also in the middle of a wait: no step outlives its client.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from collections import deque
from collections.abc import Awaitable
from email.utils import formatdate
from typing import Any, Protocol, cast

from ollama_proxy.simulator.actions import (
    Action,
    Behaviour,
    Chunk,
    Close,
    Header,
    Interim,
    Raw,
    Rst,
    Send,
    Sleep,
    Stall,
    Wait,
)
from ollama_proxy.simulator.actions import (
    Status as StatusLine,
)
from ollama_proxy.simulator.gates import Gates
from ollama_proxy.simulator.http import CONTINUE, Refused, Request, RequestReader, head
from ollama_proxy.simulator.log import Arrival

__all__ = ["Connection", "Desk"]

#: SO_LINGER on, zero seconds: closing then sends RST in place of FIN. Windows counts in shorts.
_LINGER_ZERO = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
_NO_BODY = frozenset({204, 304})


class Desk(Protocol):
    """What a connection needs from its simulator."""

    gates: Gates
    connections: set[Connection]

    def decide(self, request: Request, connection: int) -> tuple[Arrival, Behaviour]:
        """The request's entry in the log, and what is to be done."""

    def changed(self, arrival: Arrival) -> None:
        """Something about this arrival is new."""

    def now(self) -> float: ...

    def wall(self) -> float: ...


class _Ended(Exception):
    """The connection is gone: `by_peer`, or because we ended it."""

    def __init__(self, *, by_peer: bool) -> None:
        super().__init__()
        self.by_peer = by_peer


class Connection(asyncio.Protocol):
    """One accepted socket."""

    def __init__(self, desk: Desk, number: int) -> None:
        self._desk = desk
        self._number = number
        self._reader = RequestReader(self._on_request, lambda: self._transport.write(CONTINUE))
        self._queue: deque[Request | Refused] = deque()
        self._task: asyncio.Task[None] | None = None
        self._arrivals: deque[Arrival] = deque(maxlen=100)
        self._ours = self._deaf = False
        self._transport: asyncio.Transport

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclass of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        loop = asyncio.get_running_loop()
        #: Done when the client left, and when the socket is closed at last.
        self._gone: asyncio.Future[None] = loop.create_future()
        self.lost: asyncio.Future[None] = loop.create_future()
        self._flow = asyncio.Event()
        self._flow.set()
        self._desk.connections.add(self)

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        try:
            self._reader.feed(data)
        except Refused as refusal:
            self._deaf = True
            self._on_request(refusal)

    def eof_received(self) -> None:
        self._peer_left()

    def connection_lost(self, _exc: Exception | None) -> None:
        self._peer_left()
        self._desk.connections.discard(self)
        self.lost.set_result(None)

    def pause_writing(self) -> None:
        self._flow.clear()

    def resume_writing(self) -> None:
        self._flow.set()

    # our side

    @property
    def held_back(self) -> bool:
        """Whether the client does not read as fast as it is written to."""
        return not self._flow.is_set()

    def drop(self) -> list[asyncio.Future[None]]:
        """End the connection and what runs on it; what is returned is done when both are gone."""
        self._ours = True
        ends = [self.lost]
        if self._task is not None:
            self._task.cancel()
            ends.append(self._task)
        self._transport.abort()
        return ends

    async def write(self, data: bytes) -> None:
        """Send, and wait while the client does not read.

        Raises: _Ended.
        """
        if self._gone.done():
            raise _Ended(by_peer=True)
        self._transport.write(data)
        # A turn of the loop for each write: small pieces leave as such, and a client that left is noticed.
        await asyncio.sleep(0)
        if not self._flow.is_set():
            await self.until(self._flow.wait())

    async def until(self, awaited: Awaitable[Any] | None, timeout_s: float | None = None) -> None:
        """Wait for something, or for the time, or for ever.

        Raises: _Ended when the client leaves first.
        """
        task = asyncio.ensure_future(awaited) if awaited is not None else None
        try:
            await asyncio.wait(
                {self._gone, task} if task else {self._gone}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            if task is not None:
                task.cancel()
        if self._gone.done():
            raise _Ended(by_peer=True)

    def end(self, *, reset: bool = False) -> None:
        """Close after what was written (FIN), or reset at once.

        Raises: _Ended, always.
        """
        self._ours = True
        if reset:
            sock = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
            self._transport.abort()
        else:
            self._transport.close()
        raise _Ended(by_peer=False)

    def _on_request(self, request: Request | Refused) -> None:
        self._queue.append(request)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._serve())

    async def _serve(self) -> None:
        try:
            while self._queue:
                await self._answer(self._queue.popleft())
        except _Ended:
            self._queue.clear()
        finally:
            self._task = None

    async def _answer(self, request: Request | Refused) -> None:
        if isinstance(request, Refused):
            await self.write(head(request.status, "", [("content-length", "0"), ("connection", "close")]))
            self.end()
            return
        arrival, behaviour = self._desk.decide(request, self._number)
        self._arrivals.append(arrival)
        reply = _Reply(self, self._desk, request, arrival)
        try:
            for action in behaviour.actions:
                await reply.do(action)
            await reply.finish()
        except _Ended as end:
            arrival.gave_up = end.by_peer
            raise
        finally:
            arrival.finished_at = self._desk.now()
            self._desk.changed(arrival)

    def _peer_left(self) -> None:
        if self._gone.done():
            return
        self._gone.set_result(None)
        if self._ours:
            return
        for arrival in self._arrivals:
            arrival.peer_closed_at = self._desk.now()
            arrival.peer_closed.set()
            self._desk.changed(arrival)


class _Reply:
    """One answer on its way: collects the head, frames the body, ends it properly."""

    def __init__(self, connection: Connection, desk: Desk, request: Request, arrival: Arrival) -> None:
        self._connection = connection
        self._desk = desk
        self._request = request
        self._arrival = arrival
        self._status = StatusLine(200)
        self._headers: list[tuple[str, str]] = []
        self._begun = self._raw = self._chunked = self._until_close = False

    async def do(self, action: Action) -> None:
        """Play one step.

        Raises: _Ended when the connection is gone, by whichever side.
        """
        match action:
            case StatusLine():
                self._status = action
                self._arrival.status = action.code
            case Header(name, value):
                self._headers.append((name, value))
            case Interim(code):
                await self._write(head(code, "", []))
            case Send(data):
                await self._body(data, chunk=False)
            case Chunk(data):
                await self._body(data, chunk=True)
            case Raw(data):
                self._raw = True
                await self._write(data)
            case _:
                await self._pause(action)

    async def finish(self) -> None:
        """End the body as it was announced, and the connection where that is what ends the body."""
        if self._raw:
            self._connection.end()
        if not self._begun:
            await self._body(b"", chunk=False)
        if self._chunked and self._request.method != "HEAD":
            await self._write(b"0\r\n\r\n")
        wants_close = any(n.lower() == "connection" and v.lower() == "close" for n, v in self._headers)
        if self._until_close or wants_close or not self._request.keep_alive:
            self._connection.end()

    async def _pause(self, action: Action) -> None:
        match action:
            case Wait(gate):
                await self._connection.until(self._desk.gates.wait(gate))
            case Sleep(seconds):
                await self._connection.until(None, seconds)
            case Stall():
                await self._flush_head()
                await self._connection.until(None)
            case Close():
                await self._flush_head()
                self._connection.end()
            case Rst():
                await self._flush_head()
                self._connection.end(reset=True)

    async def _flush_head(self) -> None:
        """A head that was spelled out is sent even if no body follows it."""
        if self._headers and not self._begun and not self._raw:
            await self._write(self._head(0, chunk=True))

    async def _body(self, data: bytes, *, chunk: bool) -> None:
        start = b"" if self._begun or self._raw else self._head(len(data), chunk=chunk)
        if self._request.method == "HEAD":
            data = b""
        if data and self._chunked and chunk:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        if start or data:
            await self._write(start + data)

    def _head(self, length: int, *, chunk: bool) -> bytes:
        self._begun = True
        given = {name.lower() for name, _ in self._headers}
        fields = list(self._headers)
        if "date" not in given:
            fields.append(("date", formatdate(self._desk.wall(), usegmt=True)))
        if "transfer-encoding" in given:
            self._chunked = True
        elif "content-length" not in given and self._status.code not in _NO_BODY:
            if not chunk:
                fields.append(("content-length", str(length)))
            elif self._request.version == "1.1":
                self._chunked = True
                fields.append(("transfer-encoding", "chunked"))
            else:
                self._until_close = True
        self._arrival.status = self._status.code
        return head(self._status.code, self._status.reason, fields)

    async def _write(self, data: bytes) -> None:
        arrival = self._arrival
        if arrival.first_byte_at is None:
            arrival.first_byte_at = self._desk.now()
        arrival.bytes_sent += len(data)
        self._desk.changed(arrival)
        await self._connection.write(data)
