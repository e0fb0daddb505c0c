"""Owns the named gates at which an answer waits until somebody says go. Knows nothing about HTTP.

A gate nobody has touched is closed. `release` leaves it open, `hold` closes it again, `step` lets one answer through.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque

__all__ = ["Gates"]


class Gates:
    """All gates of one simulator."""

    def __init__(self) -> None:
        self._open: set[str] = set()
        self._credit: defaultdict[str, int] = defaultdict(int)
        self._waiting: defaultdict[str, deque[asyncio.Future[None]]] = defaultdict(deque)
        self._reached: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    def hold(self, name: str) -> None:
        """Close the gate: whoever comes from now on waits."""
        self._open.discard(name)
        self._credit[name] = 0
        self._reached.pop(name, None)

    def release(self, name: str) -> None:
        """Open the gate for everybody who waits or will come."""
        self._open.add(name)
        while self._waiting[name]:
            self._pass_one(name)

    def step(self, name: str) -> None:
        """Let exactly one answer through: the one that waits longest, else the next to come."""
        if not self._pass_one(name):
            self._credit[name] += 1

    async def reached(self, name: str) -> None:
        """Return as soon as an answer came to the gate (since the last `hold`)."""
        await self._reached[name].wait()

    async def wait(self, name: str) -> None:
        """Return when this caller may pass."""
        self._reached[name].set()
        if name in self._open:
            return
        if self._credit[name]:
            self._credit[name] -= 1
            return
        ticket = asyncio.get_running_loop().create_future()
        self._waiting[name].append(ticket)
        await ticket

    def _pass_one(self, name: str) -> bool:
        while self._waiting[name]:
            ticket = self._waiting[name].popleft()
            if not ticket.done():
                ticket.set_result(None)
                return True
        return False
