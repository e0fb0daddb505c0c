"""Owns the suspicion that several keys belong to one account although nobody said so. Knows no cell and no request.

Keys of one account share its limits. Where that is not known, each of them is asked, and refused, one after the other.
What gives them away is arithmetic: a provider refuses a key because "5 per minute" are used up, of which we have used 2
with this key; a moment later it refuses another one, with which we have used 3; and 2 and 3 are 5. So the rule is

- two or more keys are refused as one too many in the same scope within ten seconds,
- the limit is known, from the refusal or from the operator,
- our own books are whole, and with each of the keys we have made fewer calls than the limit,
- with all of them together we have made just as many (a tenth more or less).

Three such events in three different minutes of a week, and the keys are taken for one account's: when one is refused,
the others rest as long, and the person who looks after the proxy is told what to write down.

Why this is safe. A provider in trouble that says "too fast" to everybody fails the sum, and an unlimited one names no
limit. A key that is used elsewhere as well fails the sum but for chance, three times. The suspicion ends after an hour,
and holds again only once the keys have been refused together again: who was suspected wrongly has rested, at worst, for
as long as a key that was refused a few seconds before it anyway. Keys whose account the operator has named are never
suspected, so two names settle it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import combinations

from ollama_proxy.pool.cover import Place
from ollama_proxy.pool.rules import PoolRules
from ollama_proxy.pool.slot import Account

__all__ = ["Siblings"]

#: Events in the same minute are one event.
_APART_S = 60.0
#: Refusals that are remembered; a burst is over within `together_s`.
_BURST = 64
#: Of a limit of a hundred calls, ninety to a hundred and ten are "just as many": some are under way.
_TOLERANCE = 10


@dataclass(frozen=True, slots=True)
class _Refusal:
    """used: calls of the account that count for the limit, without the refused one."""

    account: str
    place: Place
    at: float
    used: int


class Siblings:
    """Which accounts of one pool seem to be one and the same."""

    __slots__ = ("_events", "_refusals", "_rules")

    def __init__(self, rules: PoolRules) -> None:
        self._rules = rules
        self._refusals: deque[_Refusal] = deque(maxlen=_BURST)
        self._events: dict[frozenset[str], deque[float]] = {}

    def refused(self, account: Account, place: Place, calls: int, now: float) -> None:
        """A call was one too many for the account: a limit of `calls` is used up. Its books are asked for the rest."""
        book = account.books.get(place)
        if not account.own or book is None or not book.is_whole(now):
            return
        self._refusals.append(_Refusal(account.name, place, now, book.used_there(now)))
        near = now - self._rules.together_s
        latest = {r.account: r for r in self._refusals if r.place == place and r.at >= near}
        used = [refusal.used for refusal in latest.values()]
        if len(used) > 1 and max(used) < calls and abs(sum(used) - calls) <= calls // _TOLERANCE:
            for pair in combinations(sorted(latest), 2):
                self._note(frozenset(pair), now)

    def _note(self, pair: frozenset[str], now: float) -> None:
        events = self._events.setdefault(pair, deque(maxlen=self._rules.together_times))
        if not events or now - events[-1] >= _APART_S:
            events.append(now)

    def of(self, account: Account, now: float) -> set[str]:
        """The names of the accounts that rest with this one."""
        hold_s = self._rules.together_hold_s
        return self._with(account, [p for p, e in self._events.items() if now - e[-1] <= hold_s], now)

    def suspected(self, account: Account, now: float) -> set[str]:
        """The names of the accounts that seem to be the same as this one."""
        return self._with(account, list(self._events), now)

    def _with(self, account: Account, pairs: list[frozenset[str]], now: float) -> set[str]:
        if not pairs or not account.own:
            return set()
        names = set().union(*(pair for pair in pairs if account.name in pair and self._is_proven(pair, now)))
        return names - {account.name}

    def _is_proven(self, pair: frozenset[str], now: float) -> bool:
        events = self._events[pair]
        return len(events) == self._rules.together_times and now - events[0] <= self._rules.together_memory_s

    def keep_only(self, accounts: set[str]) -> None:
        """Forgets the accounts that are no more."""
        for pair in [pair for pair in self._events if not pair <= accounts]:
            del self._events[pair]
