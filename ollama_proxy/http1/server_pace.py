"""Owns the two questions of patience, as pure arithmetic: does a body come fast enough, does a reader still read.

Knows no timer: `now` comes in, the moment worth asking again goes out. Both stand against peers that hold a connection
by sending or taking a byte now and then (slow POST, slow READ); an idle timer alone would never end them.
"""

from __future__ import annotations

__all__ = ["BodyPace", "WritePace"]


class BodyPace:
    """Late: nothing for `idle_s`, or less than `min_rate` bytes/s over a whole window of `idle_s`."""

    __slots__ = ("_idle_s", "_least", "_seen", "_seen_at", "_window", "_window_at")

    def __init__(self, idle_s: float, min_rate: int, received: int, now: float) -> None:
        self._idle_s = idle_s
        self._least = min_rate * idle_s
        self._seen = self._window = received
        self._seen_at = self._window_at = now

    def note(self, received: int, now: float) -> float:
        """Bytes so far; returns when to ask `is_late` next."""
        if received != self._seen:
            self._seen, self._seen_at = received, now
        return min(self._seen_at, self._window_at) + self._idle_s

    def is_late(self, now: float) -> bool:
        """To be asked at the moment `note` named. A window that was fast enough makes room for the next."""
        if now - self._window_at >= self._idle_s:
            if self._seen - self._window < self._least:
                return True
            self._window, self._window_at = self._seen, now
        return now - self._seen_at >= self._idle_s


class WritePace:
    """Late: the bytes waiting for the client have not become fewer for `idle_s`, looked at four times in that span."""

    __slots__ = ("_idle_s", "_since", "_waiting")

    def __init__(self, idle_s: float, waiting: int, now: float) -> None:
        self._idle_s = idle_s
        self._waiting = waiting
        self._since = now

    def next_look(self, now: float) -> float:
        """When to ask `is_late` next."""
        return min(now + self._idle_s / 4, self._since + self._idle_s)

    def is_late(self, waiting: int, now: float) -> bool:
        """`waiting`: bytes not yet taken by the socket."""
        if waiting < self._waiting:
            self._since = now
        self._waiting = waiting
        return now - self._since >= self._idle_s
