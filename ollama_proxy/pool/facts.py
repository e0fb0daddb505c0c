"""Owns what of a pool outlives the process, and how two reports of it become one. Knows no file and no network.

A fact is a plain tuple: epoch seconds, key fingerprints, short words. Kept are rests of at least a minute, EXHAUSTED
ones above all; that a key is dead, or was revived; that a key has ever worked (after a restart during a login outage
it must not die as a key that never did); how many calls were counted under the operator's limits. A report about one
thing is told from another by its first four fields; of two reports about the same thing the greater stands, compared by
moment first. That is a maximum, so reports may arrive in any order, any number of times, from any number of processes.
(Two processes that call with one account so learn of each other's calls only as far as they are more than their own: a
sum would count them again with every report.)

Facts may come from a stranger: another process, an old file, a broken clock. What has not the right shape is skipped,
and a rest is believed only within the bounds that hold for a provider's own hint.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ollama_proxy.outcome import Kind, Scope, Span
from ollama_proxy.pool.cell import Cell
from ollama_proxy.pool.counters import Counter, Day, Minute
from ollama_proxy.pool.cover import Place
from ollama_proxy.pool.credentials import declare_dead, is_last_hope
from ollama_proxy.pool.rules import HIGHEST_LEVEL, PoolRules, believed_wait
from ollama_proxy.pool.slot import CREDENTIAL_SCOPE, Slot
from ollama_proxy.pool.state import PoolState

__all__ = ["Fact", "apply_facts", "collect_facts", "merge_facts"]

#: The scope words of facts about a key's life; those about rests use the words of the cells.
_LIFE = "life"
_WORK = "work"
_DEAD, _REVIVED, _WORKED, _COOLING, _EXHAUSTED = "dead", "revived", "worked", "cooling", "exhausted"
#: Those of facts about calls name the span too: "day key+model".
_COUNTED = "counted"
_COUNTS = {f"{span.value} {scope.value}": (span, scope) for span in Span for scope in Scope}
#: Two clocks never agree quite; a difference this small is the same moment.
_SAME_MOMENT_S = 1.5
#: Epoch seconds beyond which there is no moment, but a number that somebody made up: 3,000 years.
_FARTHEST_S = 1e11


class Fact(NamedTuple):
    """One fact. A plain tuple of strings and numbers: JSON and SQL take it as it is.

    provider, fingerprint ("" for the provider itself), scope, name: what it is about (name: the model or group).
    moment: epoch seconds; the end of a rest, or when a key died, was revived, first worked; of counted calls the end
    of their day, or the last of the minute.
    level, state, cause: as in the cell; for counted calls level is their number.
    """

    provider: str
    fingerprint: str
    scope: str
    name: str
    moment: float
    level: int
    state: str
    cause: str


def merge_facts(*reports: Iterable[Fact]) -> list[Fact]:
    """All reports as one, sorted. Commutative, associative, idempotent."""
    best: dict[tuple[str, str, str, str], Fact] = {}
    for report in reports:
        for fact in report:
            best[fact[:4]] = max(fact, best.get(fact[:4], fact))
    return sorted(best.values())


# --- out ------------------------------------------------------------------------------------------------------------


def collect_facts(state: PoolState, now: float, wall: float) -> list[Fact]:
    """What is worth keeping of a pool, sorted."""
    facts = [fact for cell in state.models.values() if (fact := _rest_fact(state, "", cell, now, wall)) is not None]
    for slot in state.slots:
        facts.extend(_slot_facts(state, slot, now, wall))
    return sorted(facts)


def _slot_facts(state: PoolState, slot: Slot, now: float, wall: float) -> Iterator[Fact]:
    fingerprint = slot.secret.fingerprint

    def life(scope: str, at: float, word: str) -> Fact:
        return Fact(state.provider, fingerprint, scope, "", float(math.floor(wall - (now - at))), 0, word, "")

    if slot.worked_at is not None:
        yield life(_WORK, slot.worked_at, _WORKED)
    if slot.died_at is not None:
        yield life(_LIFE, slot.died_at, _DEAD)
    elif slot.revived_at is not None:
        yield life(_LIFE, slot.revived_at, _REVIVED)
    for cell in slot.account.cells() if slot.died_at is not None else (slot.own, *slot.account.cells()):
        fact = _rest_fact(state, fingerprint, cell, now, wall)
        if fact is not None:
            yield fact
    for place, book in slot.account.books.items():
        if state.limits.keeps(place) and book.used(now):
            scope, name = f"{place[0].value} {place[1].value}", place[2]
            yield Fact(
                state.provider, fingerprint, scope, name, _counted_until(book, now, wall), book.used(now), _COUNTED, ""
            )


def _counted_until(book: Counter, now: float, wall: float) -> float:
    if isinstance(book, Minute):
        # Rounded up: late by a millisecond at most, never early.
        return math.ceil((wall - (now - book.times[-1])) * 1000) / 1000
    if book.epoch is None or abs(book.epoch - (wall + book.ends - now)) > _SAME_MOMENT_S:
        book.epoch = float(math.ceil(wall + book.ends - now))
    return book.epoch


def _rest_fact(state: PoolState, fingerprint: str, cell: Cell, now: float, wall: float) -> Fact | None:
    left = cell.until - now
    if left <= 0 or cell.cause is None or (not cell.exhausted and left < state.rules.memorable_s):
        return None
    # What was said once is said again, unless the clock was set; rounded up once, it is never early and never creeps.
    if cell.epoch is None or abs(cell.epoch - (wall + left)) > _SAME_MOMENT_S:
        cell.epoch = float(math.ceil(wall + left))
    word = _EXHAUSTED if cell.exhausted else _COOLING
    return Fact(state.provider, fingerprint, cell.scope, cell.name, cell.epoch, cell.level, word, cell.cause.value)


# --- in -------------------------------------------------------------------------------------------------------------


def apply_facts(state: PoolState, reports: Iterable[Sequence[Any]], now: float, wall: float) -> None:
    """Takes reports over into a pool: rests only grow, a death counts unless a revival is younger."""
    facts = merge_facts(fact for report in reports if (fact := _read(report)) is not None)
    slots = {slot.secret.fingerprint: slot for slot in state.slots}
    mine = [fact for fact in facts if fact.provider == state.provider]
    # Who has worked comes first: the last such key is not given up, whatever a report says.
    for fact in sorted(mine, key=lambda fact: fact.scope != _WORK):
        slot = slots.get(fact.fingerprint)
        if fact.state == _COUNTED:
            _apply_count(state, slot, fact, now, wall)
        elif fact.scope not in (_WORK, _LIFE):
            _apply_rest(state, slot, fact, now, wall)
        elif slot is not None:
            _apply_life(state, slot, fact, now - max(0.0, wall - fact.moment))
    state.refresh()


def _apply_life(state: PoolState, slot: Slot, fact: Fact, at: float) -> None:
    if fact.state == _WORKED:
        slot.worked_at = at if slot.worked_at is None else min(at, slot.worked_at)
    elif fact.state == _REVIVED:
        if slot.died_at is not None and at > slot.died_at + _SAME_MOMENT_S:
            slot.died_at = None
        slot.revived_at = at if slot.revived_at is None else max(at, slot.revived_at)
    elif slot.died_at is None and at > (slot.revived_at or -math.inf) and not is_last_hope(slot, state.slots):
        declare_dead(slot, at, state.rules)


def _apply_count(state: PoolState, slot: Slot | None, fact: Fact, now: float, wall: float) -> None:
    """Calls that were counted elsewhere; no more than fill a limit, for a stranger may claim any number."""
    place: Place = (*_COUNTS[fact.scope], fact.name)
    if slot is None or not state.limits.keeps(place):
        return
    book = state.limits.book(slot.account, place, now)
    calls = min(fact.level, state.limits.most(place[0]))
    if isinstance(book, Day):
        ends = now + min(fact.moment - wall, state.rules.longest_hint_s)
        book.add(calls, ends, now)
        return
    last = min(now, now - (wall - fact.moment))
    if last + book.span_s > now:
        known = sum(last - book.span_s < at <= last + _SAME_MOMENT_S for at in book.times)
        book.fill([last] * (calls - known))


def _apply_rest(state: PoolState, slot: Slot | None, fact: Fact, now: float, wall: float) -> None:
    cause = Kind(fact.cause)
    left = _believed_left(state.rules, cause, fact.moment - wall)
    cell = _cell_of(state, slot, fact) if left > 0 else None
    if cell is not None and now + left > cell.until + _SAME_MOMENT_S:
        cell.level = max(cell.level, min(fact.level, HIGHEST_LEVEL))
        state.rest(cell, now + left, cause, exhausted=fact.state == _EXHAUSTED)
        cell.epoch = fact.moment


def _believed_left(rules: PoolRules, cause: Kind, left: float) -> float:
    """What is left of a rest, within the bounds of a hint and of the jitter and rounding that came on top of it."""
    slack = rules.hint_jitter_s + _SAME_MOMENT_S
    believed = believed_wait(rules, cause, left - slack)
    return left if believed is None else min(left, believed + slack)


def _cell_of(state: PoolState, slot: Slot | None, fact: Fact) -> Cell | None:
    if fact.scope == Scope.PROVIDER_MODEL.value:
        return state.named(state.models, Scope.PROVIDER_MODEL, fact.name)
    if slot is None:
        return None
    if fact.scope == CREDENTIAL_SCOPE:
        return slot.own
    return state.find(Scope(fact.scope), slot, fact.name, fact.name)


_WORDS: Mapping[str, frozenset[str]] = {
    _LIFE: frozenset({_DEAD, _REVIVED}),
    _WORK: frozenset({_WORKED}),
    # Of the provider as a whole nothing is kept: its rests are seconds long.
    **dict.fromkeys(
        (CREDENTIAL_SCOPE, *(scope.value for scope in Scope if scope is not Scope.PROVIDER)),
        frozenset({_COOLING, _EXHAUSTED}),
    ),
    **dict.fromkeys(_COUNTS, frozenset({_COUNTED})),
}
_CAUSES = frozenset({"", *(kind.value for kind in Kind)})
_NAMED = frozenset({Scope.PROVIDER_MODEL.value, Scope.KEY_MODEL.value, Scope.KEY_GROUP.value}) | {
    word for word, (_, scope) in _COUNTS.items() if scope in (Scope.KEY_MODEL, Scope.KEY_GROUP)
}


def _read(report: Any) -> Fact | None:
    """The fact in a tuple or list from outside, or None for what is none."""
    if not isinstance(report, (tuple, list)) or len(report) != len(Fact._fields):
        return None
    provider, fingerprint, scope, name, at, level, word, cause = report
    if not all(isinstance(text, str) for text in (provider, fingerprint, scope, name, word, cause)):
        return None
    if type(level) is not int or level < 0 or type(at) not in (int, float) or not abs(at) <= _FARTHEST_S:
        return None
    if word not in _WORDS.get(scope, ()) or cause not in _CAUSES:
        return None
    about_a_rest, about_a_name = word in (_COOLING, _EXHAUSTED), scope in _NAMED
    if bool(cause) != about_a_rest or bool(name) != about_a_name:
        return None
    return Fact(provider, fingerprint, scope, name, float(at), level, word, cause)
