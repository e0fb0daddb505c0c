"""The machine's clocks: time goes on while the machine sleeps."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ollama_proxy.clock import SystemClock, steady
from ollama_proxy.outcome import OK
from ollama_proxy.pool import KeyPool, Lease
from ollama_proxy.types import KeyLimit
from tests.support.pool_world import secrets

#: What each system calls the clock that goes on in sleep.
LINUX = {"CLOCK_BOOTTIME": 7, "CLOCK_MONOTONIC": 1}
MACOS = {"CLOCK_MONOTONIC": 6, "CLOCK_UPTIME_RAW": 8}
WINDOWS: dict[str, int] = {}
HOUR = 3600.0


class Machine(SimpleNamespace):
    """A machine that is awake and asleep by turns."""

    def __init__(self, clocks: dict[str, int]) -> None:
        super().__init__(**clocks)
        self.awake = self.asleep = 0.0
        self.counts_sleep = {7, 6} if clocks else {0}

    def monotonic(self) -> float:
        return self.clock_gettime(0)

    def clock_gettime(self, which: int) -> float:
        return self.awake + (self.asleep if which in self.counts_sleep else 0.0)


@pytest.mark.parametrize("clocks", [LINUX, MACOS, WINDOWS], ids=["linux", "macos", "windows"])
def test_a_night_asleep_is_a_night(clocks: dict[str, int]) -> None:
    """F95, P1: a day's calls are not held against the next day, whose beginning the machine has slept through."""
    machine = Machine(clocks)
    now = steady(machine)

    def begins(pool: KeyPool) -> bool:
        lease = pool.acquire("m", None, now(), 0.0)
        if isinstance(lease, Lease):
            pool.release(lease, OK, now(), 0.0)
        return isinstance(lease, Lease)

    pool = KeyPool("p", secrets(1), limits=[KeyLimit(per_day=1)])
    machine.awake += HOUR
    pool.tick(now(), 3 * HOUR)
    assert [begins(pool), begins(pool)] == [True, False]
    machine.asleep += 7 * HOUR
    pool.tick(now(), 20 * HOUR)
    assert [begins(pool), begins(pool)] == [True, False]


def test_the_clock_never_goes_back() -> None:
    """F95: what is asked later is later."""
    moments = [SystemClock.now() for _ in range(100)]
    assert moments == sorted(moments)
