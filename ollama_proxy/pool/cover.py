"""Owns what holds for the calls of one account to one model. Knows neither where a limit comes from nor whose it is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

from ollama_proxy.outcome import Kind, Scope, Span
from ollama_proxy.pool.counters import Counter
from ollama_proxy.pool.told import Told

__all__ = ["Cover", "Place"]

#: Where calls are counted: the span, the scope, and the model or group where the scope has one.
Place: TypeAlias = tuple[Span, Scope, str]
_KINDS = {Span.MINUTE: Kind.RATE, Span.DAY: Kind.DAILY}


@dataclass(slots=True)
class Cover:
    """What holds for the calls of one account to one model.

    caps: the operator's limits: the book, how many calls it may hold, what it counts. books: all that are to be kept.
    told: the limit per minute that the provider told, if it ever did.
    """

    caps: tuple[tuple[Counter, int, Place], ...]
    books: tuple[Counter, ...]
    told: Told | None

    def lets_in(self, now: float) -> bool:
        """Whether one more call may begin."""
        for book, calls, _ in self.caps:
            if book.opens_at(calls) > now:
                return False
        return self.told is None or self.told.opens_at() <= now

    def opens_at(self, now: float) -> tuple[float, Kind | None]:
        """When one more call may begin (`now`: at once), and what is the matter."""
        at, cause = now, None
        for book, calls, place in self.caps:
            if (opens_at := book.opens_at(calls)) > at:
                at, cause = opens_at, _KINDS[place[0]]
        if self.told is not None and (opens_at := self.told.opens_at()) > at:
            at, cause = opens_at, Kind.RATE
        return at, cause

    def room(self, now: float) -> float:
        """How many calls may begin at this moment; math.inf for no limit."""
        rooms = [max(0, calls - book.used(now)) for book, calls, _ in self.caps]
        return min([math.inf if self.told is None else self.told.room(now), *rooms])

    def begins(self, seq: int, now: float) -> None:
        """Call `seq` begins. The caller has asked `lets_in`."""
        if self.told is not None:
            self.told.begins(seq, now)
        for book in self.books:
            book.count(now)

    def succeeded(self, seq: int, at: float, now: float) -> None:
        """Call `seq`, begun at `at`, is being answered."""
        if self.told is not None:
            self.told.succeeded(seq, at, now)

    def failed(self, seq: int, at: float, kind: Kind, now: float) -> None:
        """Call `seq`, begun at `at`, ended without an answer. One that we ended ourselves may have been counted."""
        if self.told is not None:
            self.told.failed(seq, now, limited=kind is Kind.RATE or kind is Kind.DAILY)
        if kind is not Kind.CANCELLED:
            for book in self.books:
                book.uncount(at)
