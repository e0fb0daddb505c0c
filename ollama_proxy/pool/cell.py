"""Owns the machine of one cell: the smallest thing that can rest as a whole. Knows neither keys nor providers.

A cell covers a provider, a model at it, an account, an account's group or model, or one key's credential. A call may
begin when every cell that covers it lets it in.

    HEALTHY ──fall──▶ COOLING / EXHAUSTED ──(time passes)──▶ HALF_OPEN ──probe ok──▶ RECOVERING ──successes──▶ HEALTHY
       ▲                    ▲                                  │    ▲                    │
       └────────────────────┼──────── probe fails ─────────────┘    │                    │
                            ├──────── fall ─────────────────────────┼────────────────────┘
                                                     probe cancelled┘

- There is no timer: whether the rest is over is computed when somebody asks.
- The end of a rest only ever moves later.
- HALF_OPEN admits one probe; a probe that ends without evidence leaves the cell as it was, for the next one.
- RECOVERING admits two, then twice as many after each success; from sixteen on the cell is open.
- `level` counts episodes of trouble and sets how long the next default rest is; a success while open forgets one.

News can be old. A call that began before the cell fell says nothing about the cell's present state: its success heals
nothing, and its failure belongs to the same episode (it may prolong the rest, not raise the level). Calls are numbered,
so "before" is a comparison of numbers, not of clocks.
"""

from __future__ import annotations

import enum
import math

from ollama_proxy.outcome import Kind
from ollama_proxy.pool.rules import PoolRules, level_after

__all__ = ["Cell", "State"]


class State(str, enum.Enum):
    """What a person is told about a cell or a key."""

    HEALTHY = "healthy"
    RECOVERING = "recovering"
    HALF_OPEN = "half-open"
    COOLING = "cooling"
    EXHAUSTED = "exhausted"
    DEAD = "dead"


class Cell:
    """One cell. `sick` is False only while it is plainly healthy, so that callers can skip it."""

    __slots__ = (
        "cause",
        "epoch",
        "exhausted",
        "fell_after",
        "home",
        "in_flight",
        "level",
        "name",
        "probe",
        "ramp",
        "scope",
        "sick",
        "suspect",
        "until",
    )

    def __init__(self, scope: str, name: str = "", home: dict[str, Cell] | None = None) -> None:
        """scope: the word for what it covers; name: the model or group, where the scope has one.

        home: the dict that holds a named cell, which exists only while it has something to remember.
        """
        self.scope = scope
        self.name = name
        self.home = home
        self.until = -math.inf
        #: The end of the rest by the wall clock, as others were told; None while nobody was.
        self.epoch: float | None = None
        self.level = 0
        self.suspect = False
        self.exhausted = False
        self.cause: Kind | None = None
        #: Calls numbered above this began after the last fall.
        self.fell_after = 0
        #: The number of the probe under way, 0 for none.
        self.probe = 0
        #: How many calls at once; 0: no limit.
        self.ramp = 0
        self.in_flight = 0
        self.sick = False

    def state(self, now: float) -> State:
        """Where in the picture above the cell is."""
        if now < self.until:
            return State.EXHAUSTED if self.exhausted else State.COOLING
        if self.suspect:
            return State.HALF_OPEN
        return State.RECOVERING if self.ramp else State.HEALTHY

    def opens_at(self, now: float, recheck_s: float) -> float:
        """`now` when one more call may begin; else the moment from which it is worth asking again."""
        if now < self.until:
            return self.until
        if self.suspect:
            return now + recheck_s if self.probe else now
        if self.ramp and self.in_flight >= self.ramp:
            return now + recheck_s
        return now

    def room(self, now: float) -> float:
        """How many more calls may begin at this instant; math.inf for no limit."""
        if now < self.until:
            return 0
        if self.suspect:
            return 0 if self.probe else 1
        return max(0, self.ramp - self.in_flight) if self.ramp else math.inf

    def enter(self, seq: int) -> None:
        """A call begins. The caller has asked `opens_at`."""
        self.in_flight += 1
        if self.suspect:
            self.probe = seq

    def leave(self, seq: int) -> None:
        """A call that entered has ended, however it ended."""
        self.in_flight -= 1
        if self.probe == seq:
            self.probe = 0

    def succeed(self, seq: int, now: float, rules: PoolRules) -> None:
        """Call `seq` was answered well."""
        if seq <= self.fell_after or now < self.until:
            return
        if self.suspect:
            if self.probe != seq:
                return
            self.suspect = self.exhausted = False
            self.probe = 0
            self.ramp = rules.ramp_first
        else:
            self.level = max(0, self.level - 1)
            self.ramp = self.ramp * 2 if self.ramp * 2 < rules.ramp_open else 0
        self.sick = bool(self.ramp or self.level)

    def blame(self, seq: int, newest: int) -> int:
        """Call `seq` failed here: the level that its rest is computed with. `newest`: the last number given out."""
        if seq <= self.fell_after:
            return max(0, self.level - 1)
        level = self.level
        self.level = level_after(level)
        self.fell_after = newest
        return level

    def rest(self, until: float, newest: int, cause: Kind, *, exhausted: bool) -> None:
        """Nobody begins before `until`, and then one probe first. An `until` before the present one is no news."""
        if not self.suspect:
            self.fell_after = newest
        self.suspect = self.sick = True
        self.ramp = 0
        if until > self.until:
            self.until = until
            self.epoch = None
            self.exhausted = exhausted
            self.cause = cause

    def heal(self) -> None:
        """A person says that all is well: healthy at once. Calls under way stay counted."""
        self.until = -math.inf
        self.level = self.ramp = self.probe = 0
        self.suspect = self.exhausted = self.sick = False
