"""Owns the only two clocks and the only randomness. Knows nothing about requests.

Everything that decides takes `now` (monotonic seconds), `wall` (epoch seconds) and `rnd` (in [0, 1)) as plain
arguments; only the outer shell asks a Clock. Waiting is never a clock's business: the event loop does it.
"""

from __future__ import annotations

import random
import time
from typing import Protocol

__all__ = ["Clock", "SystemClock"]


class Clock(Protocol):
    """Where time and chance come from."""

    def now(self) -> float:
        """Monotonic seconds; only differences mean something."""

    def wall(self) -> float:
        """Seconds since 1970-01-01 UTC; may jump when somebody sets the clock."""

    def rnd(self) -> float:
        """A random float in [0, 1)."""


class SystemClock:
    """The machine's own clocks."""

    __slots__ = ()

    now = staticmethod(time.monotonic)
    wall = staticmethod(time.time)
    # Jitter only: nothing secret hangs on it.
    rnd = staticmethod(random.random)
