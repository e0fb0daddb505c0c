"""Owns what is believed of a limit per minute that a provider told of: whether, for how long, and when it is tested.

A provider's word about its limit is worth having: the limit is then met, not hit. But the word may mean something else
than it says, and it may be out of date by tomorrow. So it is believed only

- when a good answer said it in a header made for that, or
- when a refusal said it and our own books agree: with this account we had made about so many calls in the minute
  before. Many fewer, and somebody else uses the account; many more, and the number means something else.

and tested while it is believed: every ten minutes in which it stands in the way, one call is let through beyond it. If
that is refused, the limit stands. If it succeeds, the provider's minute had begun anew, and the next call beyond the
limit is a test again; two that succeed within a minute, and the limit is forgotten.

What it costs to be wrong: a key that is slower than it might be, for ten minutes and as long as two calls take.

A limit per day that a provider told of is not used. To find out by asking costs one refusal per key and day; to believe
in a number that is too small costs the rest of the day.
"""

from __future__ import annotations

import math

from ollama_proxy.pool.counters import Minute
from ollama_proxy.pool.rules import PoolRules

__all__ = ["Told"]

#: "About so many": of calls whose times we know exactly, and of a decaying sum, in which a call of a minute ago weighs
#: a third. More than the limit may have gone through where the provider's minute began in the middle of ours.
_AT_MOST = 1.3
_FEWEST_BY_ESTIMATE = 0.6


class Told:
    """One account's limit per minute for one scope, as the provider told it. calls: the limit."""

    __slots__ = (
        "_disproved",
        "_passed_at",
        "_rules",
        "_since",
        "_test_at",
        "_tested_by",
        "believed",
        "calls",
        "minute",
    )

    def __init__(self, calls: int, minute: Minute, rules: PoolRules) -> None:
        """minute: the account's book of calls."""
        self.calls = calls
        self.minute = minute
        self.believed = False
        self._rules = rules
        #: Calls before this do not count: the provider's minute was seen to begin anew.
        self._since = -math.inf
        #: From then on one call beyond the limit is let through; inf while one is under way.
        self._test_at = math.inf
        self._tested_by = 0
        self._passed_at = -math.inf
        #: Two tests have succeeded: the header that says this number is not listened to any more.
        self._disproved = False

    # --- what the provider says ---------------------------------------------------------------------------------------

    def refused(self, calls: int, estimate: float, now: float, opens_at: float) -> None:
        """The provider refused a call and said that its limit is `calls` a minute.

        estimate: about how many calls we made in the minute before, for the time before they were counted.
        opens_at: when the provider will take the next call.
        """
        self._take(calls)
        if self.believed:
            self._test_at = now + self._rules.test_every_s
            return
        counted = self.minute.is_whole(now)
        recent = self.minute.used_there(now) if counted else estimate
        fewest = calls if counted else _FEWEST_BY_ESTIMATE * calls
        if not fewest <= recent <= _AT_MOST * calls + 1:
            return
        self._believe(now)
        missing = calls - self.minute.used(now)
        if missing > 0:
            # One place is free when the provider says so; of the others nothing is known but that they are taken.
            first = min(now, opens_at - self.minute.span_s)
            self.minute.fill([first, *[now] * (missing - 1)])

    def heard(self, calls: int, left: int | None, now: float) -> None:
        """A good answer said that the limit is `calls` a minute, and how many of them are left."""
        self._take(calls)
        if self._disproved:
            return
        if not self.believed:
            self._believe(now)
        if left is not None:
            self.minute.fill([now] * (calls - left - self.minute.used(now)))

    def _take(self, calls: int) -> None:
        if calls != self.calls:
            self.calls = calls
            self.believed = self._disproved = False

    def _believe(self, now: float) -> None:
        self.believed, self._disproved = True, False
        self._since, self._tested_by = -math.inf, 0
        self._test_at = now + self._rules.test_every_s

    # --- calls --------------------------------------------------------------------------------------------------------

    def opens_at(self) -> float:
        """The moment from which a call may begin; one in the past for: already."""
        return min(self._full_until(), self._test_at) if self.believed else -math.inf

    def _full_until(self) -> float:
        times, calls = self.minute.times, self.calls
        if len(times) < calls or times[-calls] < self._since:
            return -math.inf
        return times[-calls] + self.minute.span_s

    def room(self, now: float) -> float:
        """How many calls may begin at this moment."""
        if not self.believed:
            return math.inf
        count = sum(at + self.minute.span_s > now and at >= self._since for at in self.minute.times)
        return max(0, self.calls - count) + (now >= self._test_at)

    def begins(self, seq: int, now: float) -> None:
        """Call `seq` begins, and is not counted yet; it may be a test."""
        if self.believed and self._full_until() > now:
            self._test_at, self._tested_by = math.inf, seq

    def succeeded(self, seq: int, at: float, now: float) -> None:
        """Call `seq`, begun at `at`, was answered."""
        if seq != self._tested_by or not self.believed:
            return
        self._tested_by = 0
        if now - self._passed_at <= self.minute.span_s:
            self.believed, self._disproved = False, True
            return
        self._since, self._passed_at, self._test_at = at, now, now

    def failed(self, seq: int, now: float, *, limited: bool) -> None:
        """Call `seq` ended without an answer; limited: it was refused as one too many.

        A test that said nothing may be made again.
        """
        if seq == self._tested_by:
            self._tested_by = 0
            self._test_at = now + self._rules.test_every_s if limited else now
