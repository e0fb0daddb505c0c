"""One server connection without socket or waiting: a transport that records, a loop whose time the test moves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

from ollama_proxy.http1.server import Handler, HTTPServerProtocol, ServerLimits


class _Timer:
    def __init__(self, when: float, callback: Callable[[], None]) -> None:
        self.when = when
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class VirtualLoop:
    """The three methods of a loop that a connection uses."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.timers: list[_Timer] = []
        self.armed = 0
        self.ready: list[Callable[[], None]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], None]) -> _Timer:
        self.armed += 1
        timer = _Timer(when, callback)
        self.timers.append(timer)
        return timer

    def call_soon(self, callback: Callable[[], None]) -> None:
        self.ready.append(callback)

    def turn(self) -> None:
        """Run what was called for soon."""
        ready, self.ready = self.ready, []
        for callback in ready:
            callback()

    def advance(self, seconds: float) -> None:
        """Let time pass, and each timer fire at its moment."""
        end = self.now + seconds
        while due := [timer for timer in self.timers if timer.callback is not None and timer.when <= end]:
            timer = min(due, key=lambda timer: timer.when)
            self.now = max(self.now, timer.when)
            callback, timer.callback = timer.callback, None
            assert callback is not None
            callback()
            self.turn()
        self.timers = [timer for timer in self.timers if timer.callback is not None]
        self.now = end


class VirtualTransport:
    """Takes bytes. While `stalled` it keeps them, and asks for a pause above the high-water mark, as a socket would."""

    def __init__(self) -> None:
        self.protocol: HTTPServerProtocol | None = None
        self.sent = b""
        self.waiting = b""
        self.stalled = False
        self.paused = False
        self.reading = True
        self.high = 0
        self.ended = self.closing = self.aborted = self.lost = False
        self.writes = 0

    def set_write_buffer_limits(self, high: int) -> None:
        self.high = high

    def get_extra_info(self, name: str) -> Any:
        return ("192.0.2.7", 4711) if name == "peername" else None

    def get_write_buffer_size(self) -> int:
        return len(self.waiting)

    def can_write_eof(self) -> bool:
        return True

    def write(self, data: bytes) -> None:
        assert not self.ended, "write after write_eof"
        assert not self.lost, "write after connection_lost"
        self.writes += 1
        if not self.stalled:
            self.sent += data
            return
        self.waiting += data
        if len(self.waiting) > self.high and not self.paused:
            self.paused = True
            assert self.protocol is not None
            self.protocol.pause_writing()

    def take(self, count: int) -> None:
        """The client reads this many bytes of those that wait."""
        self.sent += self.waiting[:count]
        self.waiting = self.waiting[count:]
        if self.paused and len(self.waiting) <= self.high // 4:
            self.paused = False
            assert self.protocol is not None
            self.protocol.resume_writing()

    def write_eof(self) -> None:
        self.ended = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def stops_reading(self) -> bool:
        return not self.reading

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.closing = self.aborted = True
        self.waiting = b""


class VirtualConnection:
    """A connection that has just been accepted."""

    def __init__(
        self, handler: Handler, limits: ServerLimits | None = None, connections: set[Any] | None = None
    ) -> None:
        self.loop = VirtualLoop()
        self.transport = VirtualTransport()
        self.connections: set[Any] = set() if connections is None else connections
        self.protocol = HTTPServerProtocol(
            handler, limits or ServerLimits(), self.connections, cast("asyncio.AbstractEventLoop", self.loop)
        )
        self.transport.protocol = self.protocol
        self.protocol.connection_made(cast("asyncio.BaseTransport", self.transport))

    @property
    def sent(self) -> bytes:
        return self.transport.sent

    @property
    def open(self) -> bool:
        """The server has not begun to close."""
        return not self.transport.closing and not self.transport.ended

    def feed(self, *pieces: bytes) -> None:
        """Bytes from the client, as many reads as pieces; a transport that is closing or paused reads no more."""
        for piece in pieces:
            if piece and not self.transport.closing and self.transport.reading:
                self.protocol.data_received(piece)
        while self.loop.ready:
            self.loop.turn()
        self._lose_if_closed()

    def finish(self) -> None:
        """FIN from the client."""
        if not self.transport.closing:
            self.protocol.eof_received()
            self.transport.close()
        self._lose_if_closed()

    def lose(self) -> None:
        """RST from the client."""
        if not self.transport.lost:
            self.transport.closing = self.transport.lost = True
            self.protocol.connection_lost(ConnectionResetError())

    def advance(self, seconds: float) -> None:
        self.loop.advance(seconds)
        self._lose_if_closed()

    def _lose_if_closed(self) -> None:
        transport = self.transport
        if transport.closing and not transport.waiting and not transport.lost:
            transport.lost = True
            self.protocol.connection_lost(None)
