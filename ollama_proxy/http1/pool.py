"""Owns which connections one origin has: free ones to use again, and how many there may be. Opens none itself.

A Lane is all connections to one origin by one way (direct, or one proxy). Free connections are used last in, first out:
the freshest is the least likely to be closed by the other side, and the surplus grows old and is closed. There is no
timer per connection: the client sweeps now and then, and `take` looks at the clock itself.

A connection counts from the permission to open it until its socket is closed. Where a cap is set, whoever finds no
place waits in line (first come, first served) for a free connection or a place.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from ollama_proxy.http1.connection import Connection
from ollama_proxy.http1.faults import ConnectFailed, ConnectionLost, TimedOut

__all__ = ["ClientLimits", "Lane"]


@dataclass(frozen=True, slots=True)
class ClientLimits:
    """What a client keeps and allows, for each origin and way to it.

    max_connections: at the same time; None for no limit, as each one answers a request somebody waits for, and the
        server side has its own.
    max_idle: free ones kept; the default only guards file descriptors after a burst.
    idle_s: seconds a free one is kept. The frontends of large providers close after 60 s and more, address translation
        in routers forgets after 60 s and more; 20 s stays clear of both and still spans the pauses of a conversation.
        A server that closes earlier (5 s is common) is noticed by its EOF.
    max_age_s: seconds after which a connection is not used again, so that a moved name or a balancer is followed.
    """

    max_connections: int | None = None
    max_idle: int = 512
    idle_s: float = 20.0
    max_age_s: float = 600.0


class Lane:
    """The connections to one origin by one way."""

    def __init__(self, loop: asyncio.AbstractEventLoop, limits: ClientLimits) -> None:
        self._loop = loop
        self._limits = limits
        self._free: dict[Connection, float] = {}  # since when; in that order
        self._open: set[Connection] = set()
        self._opening = 0
        self._line: dict[asyncio.Future[Connection | None], None] = {}  # an ordered set
        self._emptied: asyncio.Future[None] | None = None

    def __repr__(self) -> str:
        free = len(self._free)
        return (
            f"<Lane {free} free, {len(self._open) - free} in use, {self._opening} opening, {len(self._line)} waiting>"
        )

    @property
    def is_empty(self) -> bool:
        """No connection, not even one that is still being opened or closed."""
        return not self._open and not self._opening

    def take(self) -> Connection | None:
        """The freshest free connection that is still good, now the caller's."""
        free = self._free
        while free:
            connection, since = free.popitem()
            if connection.is_closed:
                continue
            if self._loop.time() - since < self._limits.idle_s:
                return connection
            connection.abort()
        return None

    def reserve(self) -> bool:
        """Whether there is a place for one more; it is then the caller's, who has to say opened() or not_opened()."""
        most = self._limits.max_connections
        if most is not None and len(self._open) + self._opening >= most:
            return False
        self._opening += 1
        return True

    async def stand_in_line(self, patience_s: float) -> Connection | None:
        """A connection that became free, or None for a place, as from reserve().

        Raises: TimedOut("connect") after patience_s; ConnectFailed if the client closes meanwhile.
        """
        ticket: asyncio.Future[Connection | None] = self._loop.create_future()
        self._line[ticket] = None
        try:
            await asyncio.wait((ticket,), timeout=patience_s)
        except asyncio.CancelledError:
            if ticket.done() and not ticket.cancelled():
                self._give_back(ticket.result())
            raise
        finally:
            self._line.pop(ticket, None)
        if ticket.cancelled():
            raise ConnectFailed("the client is closed")
        if not ticket.done():
            raise TimedOut("connect", patience_s)
        return ticket.result()

    def opened(self, connection: Connection) -> None:
        """The place was used."""
        self._opening -= 1
        self._open.add(connection)
        connection.on_free = self._on_free
        connection.on_closed = self._on_closed

    def not_opened(self) -> None:
        """The place was not used."""
        self._opening -= 1
        self._place_is_left()

    def sweep(self) -> None:
        """Close what was free for too long."""
        now, keep_s = self._loop.time(), self._limits.idle_s
        for connection in [c for c, since in self._free.items() if now - since >= keep_s]:
            del self._free[connection]
            connection.abort()

    async def close(self) -> None:
        """End everything, in use or not, and wait for the sockets; who stands in line is sent away."""
        while ticket := self._next_in_line():
            ticket.cancel()
        for connection in list(self._open):
            connection.fail(ConnectionLost("the client was closed", response_began=True))
        if not self.is_empty:
            self._emptied = self._loop.create_future()
            await self._emptied

    def _on_free(self, connection: Connection) -> None:
        now = self._loop.time()
        if now - connection.created >= self._limits.max_age_s:
            connection.abort()
            return
        ticket = self._next_in_line()
        if ticket is not None:
            ticket.set_result(connection)
        elif len(self._free) >= self._limits.max_idle:
            connection.abort()
        else:
            self._free[connection] = now

    def _on_closed(self, connection: Connection) -> None:
        self._free.pop(connection, None)
        self._open.discard(connection)
        self._place_is_left()

    def _place_is_left(self) -> None:
        if self._emptied is not None and self.is_empty and not self._emptied.done():
            self._emptied.set_result(None)
        ticket = self._next_in_line()
        if ticket is not None:
            self._opening += 1
            ticket.set_result(None)

    def _next_in_line(self) -> asyncio.Future[Connection | None] | None:
        ticket = next(iter(self._line), None)
        if ticket is not None:
            del self._line[ticket]
        return ticket

    def _give_back(self, connection: Connection | None) -> None:
        """What was handed to somebody who left in the same moment."""
        if connection is None:
            self.not_opened()
        elif not connection.is_closed:
            self._on_free(connection)
