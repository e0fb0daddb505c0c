"""Owns which limits hold for a call, and the books that they are held against. Knows no cell and no choice of keys.

A limit is a number of calls per minute or day. It comes from the operator ([providers.NAME.limits]), and then it holds
without exception; or from the provider, and then it is believed as far as `told` says. Calls are counted where the
provider counts them: for the account, for the account and a group of models, or for the account and one model. A key
whose account has made its calls is not asked before the window moves, so that a limit is met and not hit.

Nothing is counted where nobody has spoken of a limit: a pool without limits pays nothing for them.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Sequence

from ollama_proxy.outcome import Allowance, Scope, Span
from ollama_proxy.pool.counters import Calendar, Counter, Day, Minute
from ollama_proxy.pool.cover import Cover, Place
from ollama_proxy.pool.rules import PoolRules
from ollama_proxy.pool.slot import Account
from ollama_proxy.pool.told import Told
from ollama_proxy.types import KeyLimit

__all__ = ["Limits", "place_of"]

_SCOPES = (Scope.KEY, Scope.KEY_GROUP, Scope.KEY_MODEL)
#: Models whose calls one account counts apart; more than any provider has, and their names come from clients.
_REMEMBERED = 512


def place_of(span: Span, scope: Scope, model: str, group: str | None) -> Place:
    """Where calls for this model are counted. Where a provider counts by group, the rest counts for the account."""
    if scope is Scope.KEY_MODEL:
        return span, scope, model
    if scope is Scope.KEY_GROUP and group is not None:
        return span, scope, group
    return span, Scope.KEY, ""


_NOTHING = Cover((), (), None)


class Limits:
    """The limits of one pool. active: there are any; otherwise nobody need ask."""

    __slots__ = ("_fitting", "_limits", "_rules", "_watched", "active", "calendar")

    def __init__(self, rules: PoolRules) -> None:
        self.active = False
        self.calendar = Calendar()
        self._rules = rules
        self._limits: list[tuple[re.Pattern[str], KeyLimit]] = []
        self._fitting: dict[str, KeyLimit | None] = {}
        #: Where somebody was told of a limit, and when last.
        self._watched: dict[Place, float] = {}

    # --- what holds ---------------------------------------------------------------------------------------------------

    def use(self, limits: Sequence[KeyLimit], accounts: Iterable[Account], now: float) -> None:
        """These limits of the operator and no others; the first that fits a model counts."""
        self._limits = [(re.compile(fnmatch.translate(limit.pattern.lower())), limit) for limit in limits]
        self._fitting.clear()
        self._renew(accounts, now)

    def fitting(self, model: str) -> KeyLimit | None:
        """The operator's limit for a model."""
        if model not in self._fitting:
            if len(self._fitting) >= _REMEMBERED:
                self._fitting.clear()
            found = (limit for pattern, limit in self._limits if pattern.match(model.lower()))
            self._fitting[model] = next(found, None)
        return self._fitting[model]

    def keeps(self, place: Place) -> bool:
        """Whether the operator's limits are held against what is counted here."""
        usual = self._scope(place[0])
        # Where groups are counted, what has no group counts for the account.
        return bool(self._limits) and (place[1] is usual or (usual is Scope.KEY_GROUP and place[1] is Scope.KEY))

    def most(self, span: Span) -> int:
        """The largest number of calls that any of the operator's limits allows."""
        numbers = (limit.per_minute if span is Span.MINUTE else limit.per_day for _, limit in self._limits)
        return max((number for number in numbers if number is not None), default=0)

    def allowed(self, place: Place, model: str, group: str | None) -> int | None:
        """The operator's limit for the calls that are counted at this place, if there is one."""
        span = place[0]
        limit = self.fitting(model)
        if limit is None or place != place_of(span, self._scope(span), model, group):
            return None
        return limit.per_minute if span is Span.MINUTE else limit.per_day

    def _scope(self, span: Span) -> Scope:
        """Where the provider counts."""
        return self._rules.rate_scope if span is Span.MINUTE else self._rules.daily_scope

    def _uses_up(self, place: Place, model: str, group: str | None) -> bool:
        """Whether a call, free itself, uses up what the operator allows others that are counted together with it."""
        span = place[0]
        return self.most(span) > 0 and place == place_of(span, self._scope(span), model, group)

    def cover(self, account: Account, model: str, group: str | None, now: float) -> Cover:
        """What holds for a call."""
        cover = account.covers.get((model, group))
        if cover is None:
            if len(account.covers) >= _REMEMBERED:
                self._make_room(account, now)
            cover = account.covers[model, group] = self._cover(account, model, group, now)
        return cover

    def _cover(self, account: Account, model: str, group: str | None, now: float) -> Cover:
        if not model:
            # The list of models is asked for; no provider counts that.
            return _NOTHING
        caps: list[tuple[Counter, int, Place]] = []
        books: list[Counter] = []
        told = None
        for place in dict.fromkeys(place_of(span, scope, model, group) for span in Span for scope in _SCOPES):
            calls = self.allowed(place, model, group)
            if calls is None and place not in self._watched and not self._uses_up(place, model, group):
                continue
            book = self.book(account, place, now)
            books.append(book)
            told = account.told.get(place, told)
            if calls is not None:
                caps.append((book, calls, place))
        return Cover(tuple(caps), tuple(books), told)

    def book(self, account: Account, place: Place, now: float) -> Counter:
        """Where an account's calls are counted, from now on if they were not before."""
        book = account.books.get(place)
        if book is None:
            minute = place[0] is Span.MINUTE
            book = Minute(now, self._rules.minute_s) if minute else Day(now, self.calendar)
            account.books[place] = book
        return book

    def _renew(self, accounts: Iterable[Account], now: float) -> None:
        """Something holds that did not, or no longer."""
        self.active = bool(self._limits or self._watched)
        for account in accounts:
            for place in [place for place in account.books if not self.keeps(place) and place not in self._watched]:
                del account.books[place]
            account.covers.update({call: self._cover(account, *call, now) for call in account.covers})

    @staticmethod
    def _make_room(account: Account, now: float) -> None:
        """Forgets models' books in which nothing stands, and then the oldest of the others: their names are clients'.

        The account's own book and those of its groups stay: there are few, and they count the calls of all models.
        """
        account.covers.clear()
        books = [place for place in account.books if place[1] is Scope.KEY_MODEL and place not in account.told]
        books.sort(key=lambda place: account.books[place].used(now) > 0)
        for place in books[: max(0, len(books) - _REMEMBERED // 2)]:
            del account.books[place]

    # --- what is learnt -----------------------------------------------------------------------------------------------

    def refused(
        self,
        account: Account,
        place: Place,
        allowance: Allowance,
        estimate: float,
        now: float,
        opens_at: float,
        accounts: Iterable[Account],
    ) -> None:
        """A call was one too many, and the provider told its limit. The numbers are those of `Told.refused`."""
        self._watch(place, now, accounts)
        if place[0] is Span.MINUTE:
            self._told(account, place, allowance.calls, now).refused(allowance.calls, estimate, now, opens_at)

    def heard(
        self, account: Account, place: Place, allowance: Allowance, now: float, accounts: Iterable[Account]
    ) -> None:
        """A good answer told the limit."""
        self._watch(place, now, accounts)
        if place[0] is Span.MINUTE:
            self._told(account, place, allowance.calls, now).heard(allowance.calls, allowance.left, now)

    def _watch(self, place: Place, now: float, accounts: Iterable[Account]) -> None:
        known = place in self._watched
        self._watched[place] = now
        if not known:
            self._renew(accounts, now)

    def _told(self, account: Account, place: Place, calls: int, now: float) -> Told:
        told = account.told.get(place)
        if told is None:
            book = self.book(account, place, now)
            assert isinstance(book, Minute)
            told = account.told[place] = Told(calls, book, self._rules)
            self._renew([account], now)
        return told

    def take_over(self, old: Account, new: Account, now: float) -> None:
        """A key has moved to another account, and what was counted for it with it."""
        for place, book in old.books.items():
            mine = self.book(new, place, book.began)
            if isinstance(mine, Minute) and isinstance(book, Minute):
                mine.add(book.times)
            elif isinstance(mine, Day) and isinstance(book, Day):
                mine.add(book.so_far, book.ends, now)

    # --- time ---------------------------------------------------------------------------------------------------------

    def tick(self, accounts: Sequence[Account], now: float, day_ends_in_s: float | None) -> None:
        """What the clock on the wall says; and what nobody has told again for a long time is forgotten."""
        edge_s = self._rules.day_edge_s
        if day_ends_in_s is not None and self.calendar.tell(now + day_ends_in_s + edge_s, now, edge_s):
            for account in accounts:
                for book in account.books.values():
                    if isinstance(book, Day):
                        book.move(now)
        old = [place for place, at in self._watched.items() if now - at > self._rules.told_s]
        for place in old:
            del self._watched[place]
            for account in accounts:
                account.told.pop(place, None)
        if old:
            self._renew(accounts, now)
