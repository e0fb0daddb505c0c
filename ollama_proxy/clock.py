"""Owns the only two clocks and the only randomness. Knows nothing about requests.

Everything that decides takes `now` (monotonic seconds), `wall` (epoch seconds) and `rnd` (in [0, 1)) as plain
arguments; only the outer shell asks a Clock. Waiting is never a clock's business: the event loop does it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

__all__ = ["Clock", "SystemClock", "steady"]


class Clock(Protocol):
    """Where time and chance come from."""

    def now(self) -> float:
        """Monotonic seconds; only differences mean something."""

    def wall(self) -> float:
        """Seconds since 1970-01-01 UTC; may jump when somebody sets the clock."""

    def rnd(self) -> float:
        """A random float in [0, 1)."""


def steady(machine: Any = time) -> Callable[[], float]:
    """The machine's monotonic seconds, those it has slept included: providers' minutes and days go on meanwhile.

    A notebook that sleeps through its provider's midnight would else hold yesterday's calls against the new day.
    `time.monotonic` stands still in sleep on Linux and macOS, not on Windows (clock_getres(2), Linux man-pages; Apple's
    clock_gettime(3); Python's `time`; read 2026-11).
    """
    for name in ("CLOCK_BOOTTIME", "CLOCK_MONOTONIC"):
        which = getattr(machine, name, None)
        if which is not None:
            return partial(machine.clock_gettime, which)
    monotonic: Callable[[], float] = machine.monotonic
    return monotonic


class SystemClock:
    """The machine's own clocks."""

    __slots__ = ()

    now = staticmethod(steady())
    wall = staticmethod(time.time)
    # Jitter only: nothing secret hangs on it.
    rnd = staticmethod(random.random)
