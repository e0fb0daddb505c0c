"""A clock that runs like the real one and can be set forward, for tests whose hours may not last an hour."""

from __future__ import annotations

import itertools
import random
import time

__all__ = ["TimeMachine"]


class TimeMachine:
    """Implements `Clock` for a whole proxy, and for its simulator.

    travel: everybody's time goes on by so many seconds at once. skew: somebody sets the wall clock, and only that.
    luck: every chance is about this number, and never twice the same; None leaves it to chance.
    """

    def __init__(self) -> None:
        self._ahead = 0.0
        self._chances = itertools.count(1)
        self.skew = 0.0
        self.luck: float | None = None

    def travel(self, seconds: float) -> None:
        self._ahead += seconds

    def now(self) -> float:
        return time.monotonic() + self._ahead

    def wall(self) -> float:
        return time.time() + self._ahead + self.skew

    def rnd(self) -> float:
        return random.random() if self.luck is None else self.luck + next(self._chances) * 1e-9
