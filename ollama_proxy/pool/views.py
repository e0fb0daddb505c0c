"""Owns what a person is shown of a pool. Holds no secret: keys appear by label.

Times are seconds from now, since that is what a person asks: how long still?
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from ollama_proxy.pool.cell import Cell, State
from ollama_proxy.pool.cover import Place
from ollama_proxy.pool.slot import Account, Slot
from ollama_proxy.pool.state import PoolState

__all__ = [
    "KeyView",
    "LimitView",
    "ProviderView",
    "RestView",
    "describe",
    "suspected_accounts",
    "view_key",
    "view_provider",
]

#: The worst of a key's cells is the key's state.
_GRAVITY = (State.HEALTHY, State.RECOVERING, State.HALF_OPEN, State.COOLING, State.EXHAUSTED, State.DEAD)


@dataclass(frozen=True, slots=True)
class RestView:
    """One cell that is not plainly healthy. cause: the kind of outcome that brought it there, "" if unknown."""

    scope: str
    name: str
    state: State
    until_s: float
    cause: str


@dataclass(frozen=True, slots=True)
class LimitView:
    """One limit of an account under which calls were made. span: minute or day. by: operator or provider.

    used: the calls that count now. until_s: seconds from now to the next call that fits, None while there is room.
    """

    scope: str
    name: str
    span: str
    calls: int
    used: int
    until_s: float | None
    by: str


@dataclass(frozen=True, slots=True)
class KeyView:
    """One key. state, until_s and cause are those of the key as a whole; single models and groups are in `rests`.

    until_s: seconds from now, None where no time is set (it may be called, or nobody knows).
    served: calls answered well; faults: how often it was refused, by kind of outcome.
    limits: what its account may still call, where that is known.
    shares: labels of the keys that seem to belong to the same account, although nobody said so.
    """

    label: str
    account: str
    state: State
    until_s: float | None
    cause: str
    in_flight: int
    served: int
    faults: dict[str, int]
    strikes: int
    rests: tuple[RestView, ...]
    limits: tuple[LimitView, ...] = ()
    shares: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ProviderView:
    """The provider as a whole: its breaker, the models that rest for everybody, the retry budget's tokens."""

    provider: str
    state: State
    until_s: float | None
    rests: tuple[RestView, ...]
    retry_tokens: float


def view_key(state: PoolState, slot: Slot, now: float) -> KeyView:
    """One key as it stands."""
    account = slot.account
    worst = max((slot.own, account.whole), key=lambda cell: (_GRAVITY.index(cell.state(now)), cell.until))
    word = State.DEAD if slot.died_at is not None else worst.state(now)
    cause = "credential" if word is State.DEAD else _cause(worst)
    return KeyView(
        label=slot.secret.label,
        account="" if account.own else account.name,
        state=word,
        until_s=None if word is State.DEAD else _left(worst, now),
        cause="" if word is State.HEALTHY else cause,
        in_flight=slot.in_flight,
        served=slot.served,
        faults={kind.value: count for kind, count in slot.faults.items()},
        strikes=slot.strikes,
        rests=_rests((*account.groups.values(), *account.models.values()), now),
        limits=_limits(account, now),
        shares=_labels(state, state.siblings.suspected(account, now)),
    )


def suspected_accounts(state: PoolState, now: float) -> list[tuple[str, ...]]:
    """Labels of the keys that seem to belong to one account, for every such account."""
    found = []
    for account in state.accounts.values():
        others = state.siblings.suspected(account, now)
        if others:
            found.append(_labels(state, {account.name, *others}))
    return sorted(set(found))


def _labels(state: PoolState, accounts: Collection[str]) -> tuple[str, ...]:
    return tuple(slot.secret.label for slot in state.slots if slot.account.name in accounts)


def _limits(account: Account, now: float) -> tuple[LimitView, ...]:
    caps = {(place, calls): book for cover in account.covers.values() for book, calls, place in cover.caps}
    views = [
        _limit(place, calls, book.used(now), book.opens_at(calls) - now, "operator")
        for (place, calls), book in caps.items()
    ]
    for place, told in account.told.items():
        if told.believed:
            views.append(_limit(place, told.calls, told.minute.used(now), told.opens_at() - now, "provider"))
    used = (view for view in views if view.used)
    return tuple(sorted(used, key=lambda view: (view.scope, view.name, view.span, view.calls)))


def _limit(place: Place, calls: int, used: int, until_s: float, by: str) -> LimitView:
    span, scope, name = place
    return LimitView(scope.value, name, span.value, calls, used, until_s if until_s > 0 else None, by)


def view_provider(state: PoolState, retry_tokens: float, now: float) -> ProviderView:
    """The provider as it stands."""
    breaker = state.breaker
    rests = _rests(state.models.values(), now)
    return ProviderView(state.provider, breaker.state(now), _left(breaker, now), rests, retry_tokens)


def describe(state: PoolState, now: float) -> str:
    """One line for logs and tests: `3 keys: 1 healthy, 1 cooling 12.0s, 1 dead`."""
    views = [view_key(state, slot, now) for slot in state.slots]
    parts = []
    for word in _GRAVITY:
        alike = [view for view in views if view.state is word]
        waits = [view.until_s for view in alike if view.until_s is not None]
        if alike:
            parts.append(f"{len(alike)} {word.value}" + (f" {min(waits):.1f}s" if waits else ""))
    keys = "1 key" if len(views) == 1 else f"{len(views)} keys"
    text = f"{keys}: {', '.join(parts)}" if parts else "no keys"
    troubles = Counter(cell.state(now).value for cell in state.models.values())
    text += "".join(f"; {count} models {word}" for word, count in sorted(troubles.items()))
    return text if state.breaker.state(now) is State.HEALTHY else f"{text}; provider {state.breaker.state(now).value}"


def _rests(cells: Iterable[Cell], now: float) -> tuple[RestView, ...]:
    views = [RestView(c.scope, c.name, c.state(now), _left(c, now) or 0.0, _cause(c)) for c in cells if c.sick]
    return tuple(sorted(views, key=lambda view: (view.scope, view.name)))


def _left(cell: Cell, now: float) -> float | None:
    return cell.until - now if cell.until > now else None


def _cause(cell: Cell) -> str:
    return cell.cause.value if cell.cause is not None else ""
