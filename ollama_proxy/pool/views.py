"""Owns what a person is shown of a pool. Holds no secret: keys appear by label.

Times are seconds from now, since that is what a person asks: how long still?
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from ollama_proxy.pool.cell import Cell, State
from ollama_proxy.pool.slot import Slot
from ollama_proxy.pool.state import PoolState

__all__ = ["KeyView", "ProviderView", "RestView", "describe", "view_key", "view_provider"]

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
class KeyView:
    """One key. state, until_s and cause are those of the key as a whole; single models and groups are in `rests`.

    until_s: seconds from now, None where no time is set (it may be called, or nobody knows).
    served: calls answered well; faults: how often it was refused, by kind of outcome.
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


@dataclass(frozen=True, slots=True)
class ProviderView:
    """The provider as a whole: its breaker, the models that rest for everybody, the retry budget's tokens."""

    provider: str
    state: State
    until_s: float | None
    rests: tuple[RestView, ...]
    retry_tokens: float


def view_key(slot: Slot, now: float) -> KeyView:
    """One key as it stands."""
    account = slot.account
    worst = max((slot.own, account.whole), key=lambda cell: (_GRAVITY.index(cell.state(now)), cell.until))
    state = State.DEAD if slot.died_at is not None else worst.state(now)
    cause = "credential" if state is State.DEAD else _cause(worst)
    return KeyView(
        label=slot.secret.label,
        account="" if account.name.endswith(slot.secret.fingerprint) else account.name,
        state=state,
        until_s=None if state is State.DEAD else _left(worst, now),
        cause="" if state is State.HEALTHY else cause,
        in_flight=slot.in_flight,
        served=slot.served,
        faults={kind.value: count for kind, count in slot.faults.items()},
        strikes=slot.strikes,
        rests=_rests((*account.groups.values(), *account.models.values()), now),
    )


def view_provider(state: PoolState, retry_tokens: float, now: float) -> ProviderView:
    """The provider as it stands."""
    breaker = state.breaker
    rests = _rests(state.models.values(), now)
    return ProviderView(state.provider, breaker.state(now), _left(breaker, now), rests, retry_tokens)


def describe(state: PoolState, now: float) -> str:
    """One line for logs and tests: `3 keys: 1 healthy, 1 cooling 12.0s, 1 dead`."""
    views = [view_key(slot, now) for slot in state.slots]
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
