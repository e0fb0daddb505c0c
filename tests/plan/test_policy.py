"""The retry policy by itself: events in, steps out."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ollama_proxy.outcome import CANCELLED, OK, Kind, Outcome
from ollama_proxy.plan import Ended, Fail, NextTarget, Progress, Reason, Stage, Try, Wait, next_step
from ollama_proxy.pool import Rest, RetryBudget

NOW = 100.0
FREE = Rest(NOW, all_dead=False, soonest=NOW)
BROKEN = Outcome(Kind.TRANSIENT, status=500)
RATE = Outcome(Kind.RATE, status=429)


@dataclass
class Purse:
    """A budget that never runs dry and counts."""

    deposits: int = 0
    spent: float = 0.0

    def deposit(self, now: float) -> None:
        self.deposits += 1

    def spend(self, price: float, now: float) -> bool:
        self.spent += price
        return True


def progress(*purses: Purse | RetryBudget, deadline: float = NOW + 600, sdk_retry: bool = False) -> Progress:
    return Progress([Stage(p) for p in purses or (Purse(),)], deadline=deadline, sdk_retry=sdk_retry)


def resting(seconds: float, cause: Kind | None = Kind.RATE, *, excluded: bool = False) -> Rest:
    return Rest(None if excluded else NOW + seconds, all_dead=False, soonest=NOW + seconds, cause=cause)


def ended(outcome: Outcome, key: str = "p#1", outlook: Rest = FREE, *, stale: bool = False) -> Ended:
    return Ended(outcome, key, outlook, stale)


def test_the_first_step_is_a_try_with_the_time_that_is_left() -> None:
    """The limit of one attempt, or what is left of the request's."""
    assert next_step(progress(), None, NOW, 0.5) == Try(120.0)
    assert next_step(progress(deadline=NOW + 7), None, NOW, 0.5) == Try(7.0)


def test_in_the_last_second_nothing_is_begun() -> None:
    """I13: too late is said, not waited for."""
    step = next_step(progress(deadline=NOW + 0.9), None, NOW, 0.5)
    assert isinstance(step, Fail)
    assert step.reason is Reason.TOO_LATE


def test_an_attempt_that_ended_well_has_no_next_step() -> None:
    """Asking for one is our own bug."""
    with pytest.raises(ValueError, match="ended well"):
        next_step(progress(), ended(OK), NOW, 0.5)


def test_what_we_ended_ourselves_is_not_repeated() -> None:
    """Shutdown and leaving clients."""
    step = next_step(progress(), ended(CANCELLED), NOW, 0.5)
    assert isinstance(step, Fail)
    assert step.reason is Reason.CANCELLED


def test_once_the_client_has_read_something_every_failure_is_final() -> None:
    """I14: whatever kind, whoever asks."""
    for kind in set(Kind) - {Kind.OK, Kind.CANCELLED}:
        p = progress(Purse(), Purse())
        p.committed = True
        for event in (ended(Outcome(kind)), resting(1.0), None):
            step = next_step(p, event, NOW, 0.5)
            assert isinstance(step, Fail)
            assert step.reason is Reason.FAILED


def test_a_keys_fault_is_tried_with_another_key_at_once() -> None:
    """The used key is excluded, and the change is paid for."""
    for kind in (Kind.CREDENTIAL, Kind.QUOTA, Kind.DAILY, Kind.MODEL_ACCESS):
        purse = Purse()
        p = progress(purse)
        next_step(p, None, NOW, 0.5)
        assert isinstance(next_step(p, ended(Outcome(kind)), NOW, 0.5), Try)
        assert p.excluded == {"p#1"}
        assert purse.spent == pytest.approx(0.2)


def test_a_key_that_was_too_fast_is_left_to_its_pool_once() -> None:
    """F12: its rest protects it; the second time it is of no more use to this request."""
    purse = Purse()
    p = progress(purse)
    assert isinstance(next_step(p, ended(RATE), NOW, 0.5), Try)
    assert p.excluded == set()
    assert purse.spent == pytest.approx(0.2)
    next_step(p, ended(RATE), NOW, 0.5)
    assert p.excluded == {"p#1"}


def test_from_the_second_limited_key_on_there_is_a_short_random_pause() -> None:
    """Keys of one owner often share what they hit: 0, then up to 0.2, 0.4, 0.5 s."""
    p, pauses = progress(), []
    for i in range(5):
        step = next_step(p, ended(RATE, f"p#{i}"), NOW, 0.5)
        pauses.append(step.until - NOW if isinstance(step, Wait) else 0.0)
    assert pauses == pytest.approx([0.0, 0.1, 0.2, 0.25, 0.25])


def test_a_providers_fault_is_repeated_after_a_growing_random_pause_three_times() -> None:
    """Full jitter: up to 0.2, 0.4, 0.8 s; the fourth fault is the answer."""
    purse = Purse()
    p, pauses = progress(purse), []
    for _ in range(3):
        step = next_step(p, ended(BROKEN), NOW, 0.5)
        assert isinstance(step, Wait)
        assert not step.queued
        pauses.append(step.until - NOW)
    assert pauses == pytest.approx([0.1, 0.2, 0.4])
    step = next_step(p, ended(BROKEN), NOW, 0.5)
    assert step == Fail(Reason.FAILED, BROKEN, 0, Kind.TRANSIENT)
    assert (purse.spent, p.excluded) == (3.0, set())


def test_a_pause_that_would_end_in_the_last_second_is_not_begun() -> None:
    """I13: the failure is answered now."""
    step = next_step(progress(deadline=NOW + 1.05), ended(BROKEN), NOW, 0.5)
    assert isinstance(step, Fail)
    assert (step.reason, step.outcome) == (Reason.FAILED, BROKEN)


def test_a_connection_that_was_already_closed_costs_nothing_once() -> None:
    """F32: the provider cannot have seen the request: no budget, no fault; the second time it is a fault like any."""
    purse = Purse()
    p = progress(purse)
    assert isinstance(next_step(p, ended(BROKEN, stale=True), NOW, 0.5), Try)
    assert purse.spent == 0
    assert isinstance(next_step(p, ended(BROKEN, stale=True), NOW, 0.5), Wait)
    assert purse.spent == 1.0


def test_a_request_waits_in_the_queue_for_five_seconds_in_all() -> None:
    """P4: several short waits add up; what is left counts, not what was planned."""
    p, now = progress(), NOW
    assert next_step(p, resting(3.0), now, 0.5) == Wait(NOW + 3, queued=True)
    now += 3
    assert isinstance(next_step(p, None, now, 0.5), Try)
    assert next_step(p, Rest(now + 1, all_dead=False, soonest=now + 1), now, 0.5) == Wait(now + 1, queued=True)
    now += 0.5  # woken early
    assert isinstance(next_step(p, Rest(now + 2, all_dead=False, soonest=now + 2), now, 0.5), Fail)
    assert next_step(p, Rest(now + 1.4, all_dead=False, soonest=now + 1.4), now, 0.5) == Wait(now + 1.4, queued=True)


@pytest.mark.parametrize(
    ("rest", "reason"),
    [
        (resting(5.1), Reason.RESTING),
        (resting(1.0, excluded=True), Reason.RESTING),
        (resting(1.0, Kind.MODEL_GONE), Reason.GONE),
        (resting(1.0, Kind.MODEL_ACCESS), Reason.GONE),
        (resting(9.0, Kind.TRANSIENT), Reason.ILL),
        (resting(9.0, Kind.JUNK), Reason.ILL),
        (resting(9.0, Kind.CAPACITY), Reason.ILL),
        (resting(9.0, None), Reason.RESTING),
        (Rest(NOW + 1, all_dead=True, soonest=NOW + 1, cause=Kind.CREDENTIAL), Reason.REFUSED),
        (Rest(None, all_dead=True), Reason.REFUSED),
    ],
)
def test_when_waiting_cannot_help_the_reason_is_said_at_once(rest: Rest, reason: Reason) -> None:
    """P4: too long, excluded for this request, gone, or refused for good."""
    step = next_step(progress(), rest, NOW, 0.5)
    assert isinstance(step, Fail)
    assert step.reason is reason


def test_a_full_queue_is_no_place_to_wait() -> None:
    """The honest wait is told instead."""
    step = next_step(progress(), resting(3.0), NOW, 0.5, queue_full=True)
    assert isinstance(step, Fail)
    assert step.retry_after_s == 4


@pytest.mark.parametrize(
    ("seconds", "rnd", "told", "hopeless"),
    [
        (0.0, 0.9, 1, False),
        (0.3, 0.9, 1, False),
        (10.0, 0.0, 10, False),
        (10.0, 0.999, 12, False),
        (40.0, 0.999, 42, False),
        (60.0, 0.0, 60, False),
        (60.5, 0.0, 61, True),
        (32400.0, 0.5, 32401, True),
    ],
)
def test_the_wait_that_is_told_is_whole_honest_and_a_little_spread(
    seconds: float, rnd: float, told: int, hopeless: bool
) -> None:
    """I17, F14: rounded up, at least 1; a fifth more at most, two seconds at most; hopeless beyond a minute."""
    step = next_step(progress(), resting(seconds, excluded=True), NOW, rnd)
    assert isinstance(step, Fail)
    assert (step.retry_after_s, step.hopeless) == (told, hopeless)


GONE = ended(Outcome(Kind.MODEL_GONE))
REFUSED = Rest(None, all_dead=True)


@pytest.mark.parametrize(
    ("first", "second", "reason", "told"),
    [
        (resting(30.0), resting(20.0), Reason.RESTING, 20),
        (resting(30.0), resting(9.0, Kind.TRANSIENT), Reason.RESTING, 9),
        (resting(30.0), GONE, Reason.RESTING, 30),
        (REFUSED, resting(30.0), Reason.RESTING, 30),
        (resting(9.0, Kind.TRANSIENT), resting(7.0, Kind.JUNK), Reason.ILL, 7),
        (resting(9.0, Kind.TRANSIENT), REFUSED, Reason.ILL, 9),
        (resting(9.0, Kind.TRANSIENT), GONE, Reason.ILL, 9),
        (REFUSED, GONE, Reason.REFUSED, None),
        (GONE, REFUSED, Reason.REFUSED, None),
        (GONE, GONE, Reason.GONE, None),
    ],
)
def test_the_answer_for_a_chain_is_the_best_news_of_all(
    first: Rest | Ended, second: Rest | Ended, reason: Reason, told: int | None
) -> None:
    """F28: keys that will be back, then a provider that may recover, then what only an operator can mend."""
    p = progress(Purse(), Purse())
    assert next_step(p, first, NOW, 0.0) == NextTarget(1)
    step = next_step(p, second, NOW, 0.0)
    assert isinstance(step, Fail)
    assert (step.reason, step.retry_after_s) == (reason, told)


def test_a_request_is_counted_once_per_provider_and_a_second_target_there_is_paid_for() -> None:
    """I12: two models of one provider are one request and one further attempt."""
    same, other = Purse(), Purse()
    p = progress(same, same, other)
    next_step(p, None, NOW, 0.5)
    assert next_step(p, GONE, NOW, 0.5) == NextTarget(1)
    next_step(p, None, NOW, 0.5)
    assert same.deposits == 1
    assert same.spent == pytest.approx(0.2)
    assert next_step(p, GONE, NOW, 0.5) == NextTarget(2)
    next_step(p, None, NOW, 0.5)
    assert (other.deposits, other.spent) == (1, 0.0)


def test_a_target_that_was_never_called_costs_nothing_to_leave() -> None:
    """A pool that rested is no attempt."""
    same = Purse()
    p = progress(same, same)
    next_step(p, None, NOW, 0.5)
    assert next_step(p, resting(30.0), NOW, 0.5) == NextTarget(1)
    assert same.spent == 0


def test_an_empty_purse_at_one_provider_does_not_keep_a_request_from_another() -> None:
    """F27: each provider pays from its own."""
    empty, full = RetryBudget(), RetryBudget()
    while empty.spend(0.2, NOW):
        pass
    p = progress(empty, full)
    assert next_step(p, ended(BROKEN), NOW, 0.5) == NextTarget(1)


def test_the_next_target_starts_with_all_its_keys() -> None:
    """Excluded are keys for one target: labels of another pool, or another model, are another matter."""
    p = progress(Purse(), Purse())
    next_step(p, ended(RATE), NOW, 0.5)
    next_step(p, resting(30.0, excluded=True), NOW, 0.5)
    assert p.excluded == set()


def test_an_sdks_own_repetition_moves_on_instead_of_repeating() -> None:
    """F29: no second call to the provider that stumbled; the fallback is tried."""
    p = progress(Purse(), Purse(), sdk_retry=True)
    assert next_step(p, ended(BROKEN), NOW, 0.5) == NextTarget(1)
    step = next_step(p, ended(BROKEN), NOW, 0.5)
    assert isinstance(step, Fail)
    assert p.attempts == 2


@settings(max_examples=400, derandomize=True, deadline=None)
@given(seed=st.integers(), targets=st.integers(1, 3), patience_s=st.sampled_from((2.0, 20.0, 600.0)))
def test_every_request_comes_to_an_end_within_its_bounds(seed: int, targets: int, patience_s: float) -> None:
    """I11, I13, I14: over random events, in random order, however silly."""
    pick, now = random.Random(seed), NOW
    p = progress(*(Purse() for _ in range(targets)), deadline=NOW + patience_s)
    event: Ended | Rest | None = None
    tries, queued_s = 0, 0.0
    for _ in range(200):
        step = next_step(p, event, now, pick.choice((0.0, 0.5, 0.999)))
        event = None
        if isinstance(step, Fail):
            break
        assert not p.committed
        if isinstance(step, Wait):
            assert now <= step.until <= p.deadline - 1
            queued_s += (step.until - now) * step.queued
            now = step.until
        elif isinstance(step, Try):
            assert now <= p.deadline - 1
            event, seconds = random_event(pick, now)
            now += seconds
            tries += isinstance(event, Ended)
            p.committed = isinstance(event, Ended) and pick.random() < 0.1
    else:
        pytest.fail("it never ends")
    assert tries <= 10
    assert queued_s <= 5 + 1e-6


def random_event(pick: random.Random, now: float) -> tuple[Ended | Rest, float]:
    """Something that may happen after a Try, and how long it takes."""
    if pick.random() < 0.7:
        kind = pick.choice([kind for kind in Kind if kind is not Kind.OK])
        return ended(Outcome(kind), pick.choice("abcdefghij")), pick.choice((0.0, 0.5, 30.0))
    wait = pick.choice((0.25, 1.0, 40.0))
    cause = pick.choice([None, *Kind])
    return Rest(now + wait, all_dead=False, soonest=now + wait, cause=cause), 0.0
