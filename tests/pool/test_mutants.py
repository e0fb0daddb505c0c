"""Bugs planted on purpose: each must turn the property suite red, or the suite could not be trusted when it is green.

Every mutant is a mistake that somebody made in earnest somewhere, in one line or two.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test

from ollama_proxy.outcome import CANCELLED, Kind, Outcome
from ollama_proxy.plan import Limits, policy
from ollama_proxy.pool import breaker, budget, cell, counters, cover, facts, keys, limits, rules, settle, state
from tests.support.fact_reports import check_merge, reports
from tests.support.pool_machine import PoolMachine
from tests.support.request_scripts import KEY_FAULTS, check_honest_wait, check_one_good_key, check_script, scripts

Patch = pytest.MonkeyPatch

quick = settings(
    # A miss needs a search this long; most bugs are seen within the first dozen.
    max_examples=800,
    stateful_step_count=30,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
    report_multiple_bugs=False,
)


# --- the suites -----------------------------------------------------------------------------------------------------


def check_pool() -> None:
    run_state_machine_as_test(PoolMachine, settings=quick)


def check_requests() -> None:
    quick(given(scripts)(check_script))()


def check_good_key() -> None:
    count, good, seed = st.integers(2, 8), st.integers(0, 7), st.just(0)
    faults = st.lists(st.builds(Outcome, st.sampled_from(KEY_FAULTS)), min_size=1, max_size=7)
    quick(given(count, good, faults, st.integers(1, 12), seed)(check_one_good_key))()


def check_waits() -> None:
    quick(given(st.lists(st.floats(1.0, 5000.0), min_size=1, max_size=5), st.integers(0, 20))(check_honest_wait))()


def check_reports() -> None:
    quick(given(reports, reports, reports)(check_merge))()


# --- the mutants ----------------------------------------------------------------------------------------------------


def a_shorter_rest_wins(patch: Patch) -> None:
    real = cell.Cell.rest

    def rest(self: cell.Cell, until: float, newest: int, cause: Kind, *, exhausted: bool) -> None:
        real(self, until, newest, cause, exhausted=exhausted)
        self.until = until

    patch.setattr(cell.Cell, "rest", rest)


def a_cancelled_call_stays_counted(patch: Patch) -> None:
    real = keys.KeyPool.release

    def release(self: keys.KeyPool, lease: Any, outcome: Outcome, now: float, rnd: float) -> None:
        real(self, lease, outcome, now, rnd)
        lease.slot.in_flight += outcome is CANCELLED

    patch.setattr(keys.KeyPool, "release", release)


def a_cancelled_probe_is_stuck(patch: Patch) -> None:
    def leave(self: cell.Cell, seq: int) -> None:
        self.in_flight -= 1

    patch.setattr(cell.Cell, "leave", leave)


def half_open_admits_all(patch: Patch) -> None:
    def opens_at(self: cell.Cell, now: float, recheck_s: float) -> float:
        return max(now, self.until)

    patch.setattr(cell.Cell, "opens_at", opens_at)


def the_dead_are_chosen(patch: Patch) -> None:
    real = state.PoolState.refresh

    def refresh(self: state.PoolState) -> None:
        real(self)
        self.living[:] = self.slots

    patch.setattr(state.PoolState, "refresh", refresh)


def jitter_comes_before_the_hint(patch: Patch) -> None:
    real = rules.moment

    def moment(r: Any, kind: Kind, wait_s: float | None, level: int, now: float, rnd: float) -> float:
        return real(r, kind, wait_s, level, now, -rnd if wait_s else rnd)

    patch.setattr(settle, "moment", moment)


def hints_are_not_clamped(patch: Patch) -> None:
    def believed_wait(r: Any, kind: Kind, wait_s: float | None) -> float | None:
        return wait_s if wait_s is not None and 0 < wait_s < math.inf else None

    for module in (rules, settle, facts):
        patch.setattr(module, "believed_wait", believed_wait)


def round_robin_is_blind(patch: Patch) -> None:
    patch.setattr(keys, "lightest", lambda slots: min(slots, key=lambda slot: slot.last_pick))


def the_budget_is_not_spent(patch: Patch) -> None:
    patch.setattr(budget.RetryBudget, "spend", lambda self, price, now: True)


def a_callers_mistake_is_held_against_the_key(patch: Patch) -> None:
    real = settle.settle

    def blaming(s: Any, lease: Any, outcome: Outcome, now: float, rnd: float) -> None:
        real(s, lease, replace(outcome, kind=Kind.RATE) if outcome.kind is Kind.CALLER else outcome, now, rnd)

    patch.setattr(keys, "settle", blaming)


def the_last_key_that_worked_may_die(patch: Patch) -> None:
    patch.setattr("ollama_proxy.pool.credentials.is_last_hope", lambda slot, slots: False)


def every_refusal_of_a_burst_is_a_strike(patch: Patch) -> None:
    real = settle._refuse

    def refuse(s: Any, lease: Any, *arguments: Any) -> None:
        lease.slot.own.fell_after = 0
        real(s, lease, *arguments)

    patch.setattr(settle, "_refuse", refuse)


def a_recovered_cell_is_wide_open_at_once(patch: Patch) -> None:
    real = cell.Cell.succeed

    def succeed(self: cell.Cell, seq: int, now: float, r: Any) -> None:
        real(self, seq, now, r)
        self.ramp = 0

    patch.setattr(cell.Cell, "succeed", succeed)


def old_news_heals(patch: Patch) -> None:
    def succeed(self: cell.Cell, seq: int, now: float, r: Any) -> None:
        self.suspect, self.until, self.level, self.ramp = False, -math.inf, 0, 0

    patch.setattr(cell.Cell, "succeed", succeed)


def a_reload_forgets(patch: Patch) -> None:
    real = state.PoolState.replace_keys

    def replace_keys(self: state.PoolState, *arguments: Any) -> None:
        self.slots.clear()
        self.accounts.clear()
        real(self, *arguments)

    patch.setattr(state.PoolState, "replace_keys", replace_keys)


def excluded_keys_are_taken_again(patch: Patch) -> None:
    real = keys.KeyPool._admitting
    patch.setattr(
        keys.KeyPool, "_admitting", lambda self, slots, model, group, now, _: real(self, slots, model, group, now, ())
    )


def reports_merge_to_the_shortest(patch: Patch) -> None:
    patch.setattr(facts, "max", min, raising=False)


def the_last_report_wins(patch: Patch) -> None:
    patch.setattr(facts, "max", lambda fact, best: fact, raising=False)


def facts_lose_the_dead(patch: Patch) -> None:
    real = facts.collect_facts
    patch.setattr(
        "ollama_proxy.pool.keys.collect_facts", lambda *a: [fact for fact in real(*a) if fact.state != "dead"]
    )


def the_breaker_never_opens(patch: Patch) -> None:
    patch.setattr(breaker.Breaker, "fail", lambda self, *arguments: None)


def what_was_read_is_repeated(patch: Patch) -> None:
    real_after, real_ask = policy._after, policy._ask

    def uncommitted(real: Callable[..., Any]) -> Callable[..., Any]:
        def step(progress: policy.Progress, *arguments: Any) -> Any:
            progress.committed = False
            return real(progress, *arguments)

        return step

    patch.setattr(policy, "_after", uncommitted(real_after))
    patch.setattr(policy, "_ask", uncommitted(real_ask))


def the_deadline_is_slept_through(patch: Patch) -> None:
    real = policy._again

    def again(progress: policy.Progress, *arguments: Any) -> Any:
        progress.limits = Limits(last_second_s=-1e9)
        return real(progress, *arguments)

    patch.setattr(policy, "_again", again)


def attempts_are_not_counted(patch: Patch) -> None:
    patch.setattr(policy, "_attempts_left", lambda progress: True)


def two_loops_multiply(patch: Patch) -> None:
    real = policy._may_repeat

    def may_repeat(progress: policy.Progress, kind: Kind) -> bool:
        progress.sdk_retry = False
        return real(progress, kind)

    patch.setattr(policy, "_may_repeat", may_repeat)


def keys_are_changed_only_once(patch: Patch) -> None:
    real = policy._may_repeat
    patch.setattr(policy, "_may_repeat", lambda progress, kind: progress._here.attempts < 2 and real(progress, kind))


def the_wait_is_rounded_down(patch: Patch) -> None:
    patch.setattr(policy, "_soonest", lambda end: (end.soonest or math.inf) - 2.5)


def limits_are_not_looked_at(patch: Patch) -> None:
    patch.setattr(cover.Cover, "lets_in", lambda self, now: True)


def a_minute_has_thirty_seconds(patch: Patch) -> None:
    real = counters.Minute.__init__
    patch.setattr(counters.Minute, "__init__", lambda self, began, span_s: real(self, began, 30.0))


def a_minute_begins_anew_on_the_minute(patch: Patch) -> None:
    def count(self: counters.Minute, now: float) -> None:
        if self.times and self.times[0] // 60 < now // 60:
            self.times.clear()
        self.times.append(now)

    patch.setattr(counters.Minute, "count", count)


def only_what_went_well_is_counted(patch: Patch) -> None:
    def failed(self: cover.Cover, seq: int, at: float, kind: Kind, now: float) -> None:
        for book in self.books:
            book.uncount(at)

    patch.setattr(cover.Cover, "failed", failed)


def every_model_has_a_limit_of_its_own(patch: Patch) -> None:
    patch.setattr(limits, "place_of", lambda span, scope, model, group: (span, scope, model))


def every_key_has_a_limit_of_its_own(patch: Patch) -> None:
    real = state.PoolState.replace_keys

    def replace_keys(self: state.PoolState, secrets: Any, accounts: Any, now: float) -> None:
        real(self, secrets, {}, now)

    patch.setattr(state.PoolState, "replace_keys", replace_keys)


def a_day_never_ends(patch: Patch) -> None:
    patch.setattr(counters.Calendar, "end_of_day", lambda self, now: now + 40 * 86400)


def a_day_ends_whenever_somebody_looks(patch: Patch) -> None:
    patch.setattr(counters.Calendar, "tell", lambda self, ends, now, edge_s: setattr(self, "ends", now) or True)


def a_reload_begins_to_count_anew(patch: Patch) -> None:
    real = limits.Limits.use

    def use(self: limits.Limits, new: Any, accounts: Any, now: float) -> None:
        for account in accounts:
            account.books.clear()
        real(self, new, accounts, now)

    patch.setattr(limits.Limits, "use", use)


def a_restart_forgets_what_was_counted(patch: Patch) -> None:
    patch.setattr(facts, "_apply_count", lambda *arguments: None)


def a_restart_counts_twice(patch: Patch) -> None:
    def add(self: counters.Day, used: int, ends: float, now: float) -> None:
        self.so_far, self.opened, self.ends = self.so_far + used, now, ends

    patch.setattr(counters.Day, "add", add)


def the_wait_for_a_limit_is_not_told(patch: Patch) -> None:
    patch.setattr(cover.Cover, "opens_at", lambda self, now: (now, None))


MUTANTS: Sequence[tuple[Callable[[Patch], None], Callable[[], None]]] = (
    (a_shorter_rest_wins, check_pool),
    (a_cancelled_call_stays_counted, check_pool),
    (a_cancelled_probe_is_stuck, check_pool),
    (half_open_admits_all, check_pool),
    (the_dead_are_chosen, check_pool),
    (jitter_comes_before_the_hint, check_pool),
    (hints_are_not_clamped, check_pool),
    (round_robin_is_blind, check_pool),
    (the_budget_is_not_spent, check_requests),
    (a_callers_mistake_is_held_against_the_key, check_pool),
    (the_last_key_that_worked_may_die, check_pool),
    (every_refusal_of_a_burst_is_a_strike, check_pool),
    (a_recovered_cell_is_wide_open_at_once, check_pool),
    (old_news_heals, check_pool),
    (a_reload_forgets, check_pool),
    (excluded_keys_are_taken_again, check_pool),
    (reports_merge_to_the_shortest, check_reports),
    (the_last_report_wins, check_reports),
    (facts_lose_the_dead, check_pool),
    (the_breaker_never_opens, check_pool),
    (limits_are_not_looked_at, check_pool),
    (a_minute_has_thirty_seconds, check_pool),
    (a_minute_begins_anew_on_the_minute, check_pool),
    (only_what_went_well_is_counted, check_pool),
    (every_model_has_a_limit_of_its_own, check_pool),
    (every_key_has_a_limit_of_its_own, check_pool),
    (a_day_never_ends, check_pool),
    (a_day_ends_whenever_somebody_looks, check_pool),
    (a_reload_begins_to_count_anew, check_pool),
    (a_restart_forgets_what_was_counted, check_pool),
    (a_restart_counts_twice, check_pool),
    (the_wait_for_a_limit_is_not_told, check_pool),
    (what_was_read_is_repeated, check_requests),
    (the_deadline_is_slept_through, check_requests),
    (attempts_are_not_counted, check_requests),
    (two_loops_multiply, check_requests),
    (keys_are_changed_only_once, check_good_key),
    (the_wait_is_rounded_down, check_waits),
)


@pytest.mark.parametrize(("plant", "suite"), MUTANTS, ids=[plant.__name__ for plant, _ in MUTANTS])
def test_a_planted_bug_is_seen(plant: Callable[[Patch], None], suite: Callable[[], None], monkeypatch: Patch) -> None:
    """I1 to I21: the suite that is green without the bug is red with it."""
    plant(monkeypatch)
    with pytest.raises(AssertionError):
        suite()
