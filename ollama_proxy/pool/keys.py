"""Owns the choice of a key for each call to one provider. Never waits, reads no clock, draws no lot.

    lease = pool.acquire(model, group, now, rnd)     # a Lease, or a Rest that says when to ask again
    pool.confirm(lease, now, rnd)                    # as soon as the answer proves good (optional, for long streams)
    pool.release(lease, outcome, now, rnd)           # exactly once, however the call ended

`now` is monotonic seconds, `rnd` a float in [0, 1); the same calls with the same numbers give the same decisions. What
an outcome means is the table in `consequences`; how a cell rests and returns is in `cell`; when a key dies in
`credentials`; how many calls an account has left in `limits`; which keys seem to be one account's in `siblings`. As
long as nothing is sick and nobody has spoken of a limit, a choice looks at the keys' load and at nothing else.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from ollama_proxy.outcome import OK, Kind, Outcome
from ollama_proxy.pool.budget import RetryBudget
from ollama_proxy.pool.cell import Cell
from ollama_proxy.pool.choose import lightest, two_of
from ollama_proxy.pool.cover import Cover
from ollama_proxy.pool.credentials import declare_dead
from ollama_proxy.pool.facts import Fact, apply_facts, collect_facts
from ollama_proxy.pool.rules import PoolRules
from ollama_proxy.pool.settle import credit, keep_a_hope, settle
from ollama_proxy.pool.slot import Lease, Rest, Slot
from ollama_proxy.pool.state import PoolState
from ollama_proxy.pool.views import KeyView, ProviderView, describe, suspected_accounts, view_key, view_provider
from ollama_proxy.secret import Secret
from ollama_proxy.types import KeyLimit

__all__ = ["KeyPool"]


class KeyPool:
    """The keys of one provider. `budget` is the provider's retry budget, which the plan draws on."""

    __slots__ = ("_breaker", "_careful", "_heat", "_limits", "_living", "_seen", "_sick", "_state", "budget", "rules")

    def __init__(
        self,
        provider: str,
        keys: Sequence[Secret],
        rules: PoolRules | None = None,
        *,
        accounts: Mapping[str, str] | None = None,
        limits: Sequence[KeyLimit] = (),
    ) -> None:
        """accounts: label of a key -> name of its account; keys of one account share its limits.

        limits: what each account may call; the first that fits a model counts.
        """
        self.rules = rules if rules is not None else PoolRules()
        self.budget = RetryBudget()
        self._state = PoolState(provider, self.rules)
        self._state.replace_keys(keys, accounts or {}, 0.0)
        self._state.limits.use(limits, (), 0.0)
        self._careful = self._state.is_careful()
        self._seen = 0.0
        # Parts of the state that the fast path needs; they are the same objects for good.
        self._breaker = self._state.breaker
        self._heat = self._state.heat
        self._limits = self._state.limits
        self._living = self._state.living
        self._sick = self._state.sick

    # --- a call -------------------------------------------------------------------------------------------------------

    def acquire(
        self, model: str, group: str | None, now: float, rnd: float, excluded: Collection[str] = ()
    ) -> Lease | Rest:
        """A key for one call, or when to ask again.

        group: the model's quota group at this provider, None for none. excluded: labels of keys that this request has
        no more use for.
        """
        living = self._living
        if self._sick or excluded or self._careful or not living:
            return self._acquire_carefully(model, group, now, rnd, excluded)
        slot = lightest(living if len(living) <= self.rules.two_choices_above else two_of(living, rnd))
        return self._lease(slot, model, group, now, (), None)

    def confirm(self, lease: Lease, now: float, rnd: float) -> None:
        """The answer has begun and is good: what waits for that news need not wait for the answer's end."""
        if lease.open and not lease.confirmed:
            credit(self._state, lease, now, rnd, worked=True)

    def release(self, lease: Lease, outcome: Outcome, now: float, rnd: float) -> None:
        """Takes a lease back, and what was learnt with it.

        Raises: RuntimeError for a lease that was given back before; nothing has changed then.
        """
        if not lease.open:
            raise RuntimeError(f"{lease!r} was given back twice")
        lease.open = False
        self._seen = now
        slot = lease.slot
        slot.in_flight -= 1
        if outcome is OK:
            slot.served += 1
            cover = lease.cover
            plain = not lease.held and (cover is None or cover.told is None)
            if plain and slot.worked_at is not None and not self._sick:
                self._breaker.failures = 0
                return
        elif outcome.kind is Kind.OK:
            slot.served += 1
        settle(self._state, lease, outcome, now, rnd)
        self._careful = self._state.is_careful()

    def _lease(
        self, slot: Slot, model: str, group: str | None, now: float, held: tuple[Cell, ...], cover: Cover | None
    ) -> Lease:
        state = self._state
        state.newest = seq = state.newest + 1
        slot.in_flight += 1
        weight = self._heat.weight(now, state.slots)  # may scale every heat, this one's too: so before the addition
        slot.heat += weight
        slot.last_pick = seq
        self._seen = now
        for cell in held:
            cell.enter(seq)
        if cover is not None:
            cover.begins(seq, now)
        return Lease(slot, model, group, seq, held, cover, now)

    def _acquire_carefully(
        self, model: str, group: str | None, now: float, rnd: float, excluded: Collection[str]
    ) -> Lease | Rest:
        living = self._living
        if not self._sick and not excluded and living and self.rules.max_in_flight is None:
            # There are limits and nothing else: the one that would be chosen mostly has calls left.
            slot = lightest(living if len(living) <= self.rules.two_choices_above else two_of(living, rnd))
            cover = self._limits.cover(slot.account, model, group, now)
            if cover.lets_in(now):
                return self._lease(slot, model, group, now, (), cover)
        chosen = self._pick_carefully(model, group, now, rnd, excluded)
        if chosen is None:
            return self._rest(model, group, now, excluded)
        held = self._state.covering(chosen, model, group) if self._sick else ()
        return self._lease(chosen, model, group, now, held, self._state.cover(chosen, model, group, now))

    def _pick_carefully(
        self, model: str, group: str | None, now: float, rnd: float, excluded: Collection[str]
    ) -> Slot | None:
        state = self._state
        if state.provider_opens_at(model, now)[0] > now:
            return None
        if len(self._living) > self.rules.two_choices_above:
            pair = self._admitting(two_of(self._living, rnd), model, group, now, excluded)
            if pair:
                return lightest(pair)
        eligible = self._admitting(self._living, model, group, now, excluded)
        return lightest(eligible) if eligible else None

    def _admitting(
        self, slots: Sequence[Slot], model: str, group: str | None, now: float, excluded: Collection[str]
    ) -> list[Slot]:
        admits = self._state.admits
        return [s for s in slots if s.secret.label not in excluded and admits(s, model, group, now)]

    # --- when nobody may be called ------------------------------------------------------------------------------------

    def _rest(self, model: str, group: str | None, now: float, excluded: Collection[str]) -> Rest:
        state = self._state
        soonest: tuple[bool, float] | None = None
        until, cause = None, None
        for slot in self._living:
            at, why = max(
                state.provider_opens_at(model, now), state.slot_opens_at(slot, model, group, now), key=lambda o: o[0]
            )
            # A key that may not use this model is no hope while another merely rests.
            rank = (why is Kind.MODEL_ACCESS, at)
            if soonest is None or rank < soonest:
                soonest, cause = rank, why
            if slot.secret.label not in excluded:
                until = at if until is None else min(at, until)
        all_dead = all(slot.refused for slot in state.slots)
        return Rest(until, all_dead, None if soonest is None else soonest[1], cause)

    def outlook(self, model: str, group: str | None, now: float) -> Rest:
        """How a request for this model would find things, whoever asks: `soonest` is `now` where a key is free."""
        return self._rest(model, group, now, ())

    def eligible(self, model: str, group: str | None, now: float, excluded: Collection[str] = ()) -> list[str]:
        """Labels of the keys that may be called for this model now."""
        if self._state.provider_opens_at(model, now)[0] > now:
            return []
        return [slot.secret.label for slot in self._admitting(self._living, model, group, now, excluded)]

    def room(self, model: str, group: str | None, now: float) -> float:
        """How many calls for this model may begin at this instant; math.inf for no limit.

        That many of those who wait are worth waking.
        """
        return self._state.room(model, group, now)

    # --- keys come and go ---------------------------------------------------------------------------------------------

    def replace_keys(
        self,
        keys: Sequence[Secret],
        now: float,
        accounts: Mapping[str, str] | None = None,
        limits: Sequence[KeyLimit] = (),
    ) -> None:
        """These keys from now on; one that was there before (by fingerprint) keeps its history and its rests.

        What was counted stays counted, whatever the limits are now.
        """
        self._seen = now
        self._state.replace_keys(keys, accounts or {}, now)
        self._limits.use(limits, self._state.accounts.values(), now)
        keep_a_hope(self._state, now)
        self._careful = self._state.is_careful()

    def revive(self, label: str, now: float) -> bool:
        """An operator says that a key is good again; False if there is no such key.

        An empty balance is forgotten with it (the bill may be paid); limits that the provider counts stay.
        """
        for slot in self._state.slots:
            if slot.secret.label == label:
                slot.died_at, slot.strikes, slot.revived_at = None, 0, now
                slot.own.heal()
                if slot.account.whole.cause is Kind.QUOTA:
                    slot.account.whole.heal()
                self._state.refresh()
                return True
        return False

    def retire(self, label: str, now: float) -> None:
        """Whoever looks after a key knows that it will not be accepted any more, and need not try: it is dead."""
        for slot in self._state.slots:
            if slot.secret.label == label and slot.died_at is None:
                declare_dead(slot, now, self.rules)
                self._state.refresh()

    # --- what others may know -----------------------------------------------------------------------------------------

    def facts(self, now: float, wall: float) -> list[Fact]:
        """What should outlive the process; `wall` is epoch seconds at `now`."""
        return collect_facts(self._state, now, wall)

    def restore(self, facts: Iterable[Sequence[Any]], now: float, wall: float) -> None:
        """Takes over what this or another process has learnt; rests only grow by it."""
        apply_facts(self._state, facts, now, wall)
        keep_a_hope(self._state, now)

    def tick(self, now: float, day_ends_in_s: float | None = None) -> None:
        """What somebody with a clock on the wall says about once a second.

        day_ends_in_s: when the provider's day ends, at which its daily allowances return; None where nobody knows.
        """
        self._limits.tick(list(self._state.accounts.values()), now, day_ends_in_s)
        self._careful = self._state.is_careful()

    def suspicions(self, now: float) -> list[tuple[str, ...]]:
        """Labels of keys that seem to belong to one account, although nobody said so; see `siblings`."""
        return suspected_accounts(self._state, now)

    def snapshot(self, now: float) -> list[KeyView]:
        """Every key as it stands, in the order of the settings."""
        return [view_key(self._state, slot, now) for slot in self._state.slots]

    def overview(self, now: float) -> ProviderView:
        """The provider as a whole."""
        return view_provider(self._state, self.budget.level(now), now)

    def __repr__(self) -> str:
        return f"<KeyPool {self._state.provider}, {describe(self._state, self._seen)}>"
