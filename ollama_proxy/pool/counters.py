"""Owns the counting of calls: those of the last minute, those of a provider's day. Knows no limit, no key, no model.

A call is counted when it begins, since a provider counts it when it arrives, and taken out again when it was refused or
failed: nobody knows whether a provider counts those, and to send one call too many costs a refusal, while to send one
too few at the end of a day costs what the call was for. Calls under way are counted.

A minute slides: no sixty seconds, wherever they begin, hold more calls than were counted. A day is the provider's own:
whoever knows the calendar tells when it ends (`Calendar`); where nobody knows, it is a day from the first call on.
"""

from __future__ import annotations

import collections
import math
from collections import deque
from collections.abc import Iterable
from typing import TypeAlias

__all__ = ["Calendar", "Counter", "Day", "Minute"]

_MINUTE = 60.0
_DAY = 86400.0
#: Two reports of one moment; clocks are corrected by less than this every second.
_SAME_MOMENT_S = 1.5


class Minute:
    """The calls of the last `span_s` seconds. began: since when they are counted."""

    __slots__ = ("began", "span_s", "times")

    def __init__(self, began: float, span_s: float) -> None:
        self.began = began
        self.span_s = span_s
        self.times: deque[float] = deque()

    def count(self, now: float) -> None:
        """A call begins."""
        times, span_s = self.times, self.span_s
        while times and times[0] + span_s <= now:
            times.popleft()
        times.append(now)

    def uncount(self, at: float) -> None:
        """The call that began at `at` came to nothing."""
        if at in self.times:
            self.times.remove(at)

    def opens_at(self, calls: int) -> float:
        """The moment from which fewer than `calls` calls are counted; one in the past for: already."""
        times = self.times
        return times[-calls] + self.span_s if len(times) >= calls else -math.inf

    def used(self, now: float) -> int:
        """How many calls count at this moment."""
        return sum(at + self.span_s > now for at in self.times)

    def used_there(self, now: float) -> int:
        """How many calls the provider counts, whose minute has sixty seconds."""
        return sum(at + _MINUTE > now for at in self.times)

    def is_whole(self, now: float) -> bool:
        """Whether all calls of the present span were seen."""
        return now - self.began >= _MINUTE

    def add(self, times: Iterable[float]) -> None:
        """Calls that were made elsewhere, or before; one that is known is not counted twice.

        Several may have begun at one moment: as many as the book that knows more of them.
        """
        self.times = deque(sorted((collections.Counter(self.times) | collections.Counter(times)).elements()))

    def fill(self, times: Iterable[float]) -> None:
        """Calls of which only the number is known: each counts."""
        self.times = deque(sorted([*self.times, *times]))


class Calendar:
    """When the present day of a provider ends: monotonic seconds, None where nobody knows."""

    __slots__ = ("ends",)

    def __init__(self) -> None:
        self.ends: float | None = None

    def end_of_day(self, now: float) -> float:
        """The end of the day that is at `now`."""
        if self.ends is None:
            return now + _DAY
        late = math.floor((now - self.ends) / _DAY) + 1 if now >= self.ends else 0
        return self.ends + late * _DAY

    def tell(self, ends: float, now: float, edge_s: float) -> bool:
        """The day ends at `ends`, says who looks at the wall clock; whether that is another moment than before.

        For `edge_s` before it ends the present day stays as it is: whoever looks may already see the next one. Whoever
        looks for the first time sees that as a day that has all but begun.
        """
        if self.ends is not None and self.ends - edge_s <= now < self.ends:
            return False
        if self.ends is None and now < ends - _DAY <= now + edge_s:
            ends -= _DAY
        moved = self.ends is None or abs(ends - self.ends) > _SAME_MOMENT_S
        if moved:
            self.ends = ends
        return moved


class Day:
    """The calls of one day. opened, ends: monotonic seconds; epoch: its end by the wall clock, as others were told."""

    __slots__ = ("began", "calendar", "ends", "epoch", "opened", "so_far")

    def __init__(self, began: float, calendar: Calendar) -> None:
        self.began = began
        self.calendar = calendar
        self.opened = self.ends = -math.inf
        self.so_far = 0
        self.epoch: float | None = None

    def count(self, now: float) -> None:
        """A call begins; the first of a day opens it."""
        if now >= self.ends:
            self.opened, self.ends, self.epoch = now, self.calendar.end_of_day(now), None
            self.so_far = 0
        self.so_far += 1

    def uncount(self, at: float) -> None:
        """The call that began at `at` came to nothing; one of yesterday is yesterday's affair."""
        if at >= self.opened and self.so_far:
            self.so_far -= 1

    def opens_at(self, calls: int) -> float:
        """The moment from which fewer than `calls` calls are counted; one in the past for: already."""
        return self.ends if self.so_far >= calls else -math.inf

    def used(self, now: float) -> int:
        """How many calls count at this moment."""
        return self.so_far if now < self.ends else 0

    used_there = used

    def is_whole(self, now: float) -> bool:
        """Whether all calls of the present day were seen; never where nobody knows when it began."""
        return self.calendar.ends is not None and now < self.ends and self.began <= self.ends - _DAY

    def move(self, now: float) -> None:
        """The calendar was corrected: the day that is open ends when that says."""
        if now < self.ends:
            self.ends, self.epoch = self.calendar.end_of_day(now), None

    def add(self, used: int, ends: float, now: float) -> None:
        """What another book of the same day says. The larger number holds: a sum might count calls twice."""
        if now < ends:
            if self.calendar.ends is not None:
                ends = self.calendar.end_of_day(now)
            if now >= self.ends:
                self.opened, self.so_far = now, 0
            self.ends, self.epoch = max(ends, self.ends), None
            self.so_far = max(used, self.so_far)


Counter: TypeAlias = Minute | Day
