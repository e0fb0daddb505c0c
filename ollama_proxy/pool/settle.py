"""Owns what the end of a call does to the pool: the table of consequences, applied. Chooses no key.

Evidence is taken only as far as it goes. A good answer (or a caller's own mistake, which the provider took the trouble
to answer) heals every cell the call went through. A fault concerns one cell; for the others the call is as if it had
never been, except that any answer at all shows the provider to be alive. A cancelled call says nothing to anybody.
"""

from __future__ import annotations

from collections.abc import Sequence

from ollama_proxy.consequences import CONSEQUENCES, Effect
from ollama_proxy.outcome import Kind, Outcome, Scope, Span
from ollama_proxy.pool.credentials import must_die, pardon, strike
from ollama_proxy.pool.limits import place_of
from ollama_proxy.pool.rules import believed_wait, moment
from ollama_proxy.pool.slot import Account, Lease, Slot
from ollama_proxy.pool.state import PoolState

__all__ = ["credit", "keep_a_hope", "settle"]


def settle(state: PoolState, lease: Lease, outcome: Outcome, now: float, rnd: float) -> None:
    """Everything that follows from the end of a call, its place in the cells included."""
    kind = outcome.kind
    if kind is Kind.OK or kind is Kind.CALLER:
        credit(state, lease, now, rnd, worked=kind is Kind.OK)
    else:
        if lease.cover is not None and not lease.confirmed:
            lease.cover.failed(lease.seq, lease.at, kind, now)
        if kind is not Kind.CANCELLED:
            _debit(state, lease, outcome, now, rnd)
    for cell in lease.held:
        cell.leave(lease.seq)
    if kind is Kind.OK and outcome.allowance is not None:
        _hear(state, lease, outcome, now)
    if kind is Kind.OK and outcome.wait_s is not None:
        _rest_ahead(state, lease, outcome, now, rnd)


def credit(state: PoolState, lease: Lease, now: float, rnd: float, *, worked: bool) -> None:
    """The provider answered well; counts once per call, at its first good sign.

    worked: this key has served a call, and not only been listened to.
    """
    slot = lease.slot
    if worked and slot.worked_at is None:
        slot.worked_at = now
        if slot.died_at is not None:
            # It died as a key that never worked, while this answer was already on its way.
            _pardon([slot], state, now, rnd)
    state.breaker.failures = 0
    if lease.confirmed:
        return
    lease.confirmed = True
    if lease.cover is not None:
        lease.cover.succeeded(lease.seq, lease.at, now)
    for cell in lease.held:
        cell.succeed(lease.seq, now, state.rules)
        state.tidy(cell)
    if slot.strikes and lease.seq > slot.own.fell_after:
        slot.strikes = 0
        _pardon_all(state, now, rnd)


def _debit(state: PoolState, lease: Lease, outcome: Outcome, now: float, rnd: float) -> None:
    kind, slot, row = outcome.kind, lease.slot, CONSEQUENCES[outcome.kind]
    slot.faults[kind] = slot.faults.get(kind, 0) + 1
    if row.effect is Effect.COUNTED:
        _stumble(state, lease, outcome, now, rnd)
        return
    state.breaker.failures = 0
    if state.breaker in lease.held:
        state.breaker.succeed(lease.seq, now, state.rules)
        state.tidy(state.breaker)
    if kind is Kind.CREDENTIAL:
        _refuse(state, lease, outcome, now, rnd)
    else:
        _fall(state, lease, outcome, outcome.scope or _usual_scope(state, kind), now, rnd)


def _stumble(state: PoolState, lease: Lease, outcome: Outcome, now: float, rnd: float) -> None:
    """The breaker counts; and where the provider named a time, it is kept, for the model that was asked for."""
    breaker = state.breaker
    breaker.fail(lease.seq, state.newest, outcome.kind, state.rules, now, rnd)
    if breaker.sick:
        state.sick.add(breaker)
    if believed_wait(state.rules, outcome.kind, outcome.wait_s) is not None:
        _fall(state, lease, outcome, outcome.scope or Scope.PROVIDER_MODEL, now, rnd)


def _usual_scope(state: PoolState, kind: Kind) -> Scope:
    if kind is Kind.RATE:
        return state.rules.rate_scope
    if kind is Kind.DAILY:
        return state.rules.daily_scope
    return CONSEQUENCES[kind].scope or Scope.KEY


def _fall(state: PoolState, lease: Lease, outcome: Outcome, scope: Scope, now: float, rnd: float) -> None:
    if _is_of_the_past(state, lease.slot, scope):
        return
    cell = state.find(scope, lease.slot, lease.model, lease.group)
    level = cell.blame(lease.seq, state.newest)
    until = moment(state.rules, outcome.kind, outcome.wait_s, level, now, rnd)
    exhausted = CONSEQUENCES[outcome.kind].effect is Effect.EXHAUSTED
    state.rest(cell, until, outcome.kind, exhausted=exhausted)
    if outcome.kind in _SPANS and scope in _OF_ACCOUNTS:
        _learn(state, lease, outcome, scope, now, until)
        for account in _siblings(state, lease.slot.account, now):
            other = state.find_in(scope, account, lease.model, lease.group)
            state.rest(other, until, outcome.kind, exhausted=exhausted)


_SPANS = {Kind.RATE: Span.MINUTE, Kind.DAILY: Span.DAY}
_OF_ACCOUNTS = (Scope.KEY, Scope.KEY_GROUP, Scope.KEY_MODEL)


def _learn(state: PoolState, lease: Lease, outcome: Outcome, scope: Scope, now: float, until: float) -> None:
    """A call was one too many: what that says of the account's limit, and of whose account it is."""
    limits, account, span = state.limits, lease.slot.account, _SPANS[outcome.kind]
    place = place_of(span, scope, lease.model, lease.group)
    told, accounts = outcome.allowance, list(state.accounts.values())
    if told is not None and told.span is span:
        # The refused call is one of those begun, and does not count.
        begun = state.use_lately(account, now) - 1
        limits.refused(account, place, told, begun, now, until, accounts)
        state.siblings.refused(account, place, told.calls, now)
    elif (calls := limits.allowed(place, lease.model, lease.group)) is not None:
        state.siblings.refused(account, place, calls, now)


def _siblings(state: PoolState, account: Account, now: float) -> Sequence[Account]:
    """The accounts that seem to be this one under another name."""
    names = state.siblings.of(account, now)
    return [other for other in state.accounts.values() if other.name in names]


def _hear(state: PoolState, lease: Lease, outcome: Outcome, now: float) -> None:
    """The answer was good, and told the account's limit."""
    scope, allowance = outcome.scope or state.rules.rate_scope, outcome.allowance
    if allowance is not None and scope in _OF_ACCOUNTS and not _is_of_the_past(state, lease.slot, scope):
        place = place_of(allowance.span, scope, lease.model, lease.group)
        state.limits.heard(lease.slot.account, place, allowance, now, list(state.accounts.values()))


def _is_of_the_past(state: PoolState, slot: Slot, scope: Scope) -> bool:
    """A call outlived its key's place in the settings: nobody is left whom its news would concern."""
    if scope is Scope.PROVIDER or scope is Scope.PROVIDER_MODEL:
        return False
    return state.accounts.get(slot.account.name) is not slot.account


def _refuse(state: PoolState, lease: Lease, outcome: Outcome, now: float, rnd: float) -> None:
    slot, rules = lease.slot, state.rules
    if slot.gone or slot.died_at is not None:
        return
    fresh = lease.seq > slot.own.fell_after
    level = slot.own.blame(lease.seq, state.newest)
    until = moment(rules, outcome.kind, outcome.wait_s, level, now, rnd)
    others = (other for other in state.living if other is not slot)
    if believed_wait(rules, outcome.kind, outcome.wait_s) is None and all(other.strikes for other in others):
        until = min(until, now + rules.all_refused_s)
    state.rest(slot.own, until, outcome.kind, exhausted=False)
    if not fresh:
        return
    strike(slot, now, rules)
    if must_die(slot, state.slots, now, rules):
        slot.died_at = now
        state.refresh()


def keep_a_hope(state: PoolState, now: float) -> None:
    """After keys have come and gone: if none lives that has ever worked, the dead that have get another chance."""
    if all(slot.worked_at is None for slot in state.living):
        _pardon_all(state, now, 0.0)


def _pardon_all(state: PoolState, now: float, rnd: float) -> None:
    _pardon([slot for slot in state.slots if slot.died_at is not None and slot.worked_at is not None], state, now, rnd)


def _pardon(slots: Sequence[Slot], state: PoolState, now: float, rnd: float) -> None:
    for slot in slots:
        pardon(slot, now, state.rules)
        state.rest(slot.own, now + state.rules.amnesty_s + rnd, Kind.CREDENTIAL, exhausted=False)
    if slots:
        state.refresh()


def _rest_ahead(state: PoolState, lease: Lease, outcome: Outcome, now: float, rnd: float) -> None:
    """The answer was good, and said that nothing is left until a moment: no episode of trouble, but a rest."""
    scope = outcome.scope or state.rules.rate_scope
    wait = believed_wait(state.rules, Kind.RATE, outcome.wait_s)
    if wait is not None and not _is_of_the_past(state, lease.slot, scope):
        cell = state.find(scope, lease.slot, lease.model, lease.group)
        state.rest(cell, moment(state.rules, Kind.RATE, wait, 0, now, rnd), Kind.RATE, exhausted=False)
