"""Limits of an account's calls: the operator's hold; the provider's are believed as far as they prove true."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from ollama_proxy.outcome import OK, Allowance, Kind, Outcome, Scope, Span
from ollama_proxy.pool import KeyPool, Lease, PoolRules, Rest
from ollama_proxy.types import KeyLimit
from tests.support.pool_world import START, secrets

TELLING = Outcome(Kind.RATE, wait_s=30.0, allowance=Allowance(4, Span.MINUTE, 0))


def pool_of(
    count: int = 1, *limits: KeyLimit, scope: Scope = Scope.KEY, accounts: dict[str, str] | None = None
) -> KeyPool:
    """A pool whose provider counts in this scope."""
    rules = PoolRules(rate_scope=scope, daily_scope=scope)
    return KeyPool("p", secrets(count), rules, limits=limits, accounts=accounts)


def call(pool: KeyPool, now: float, outcome: Outcome = OK, model: str = "m", group: str | None = None) -> str | None:
    """One call that ends at once: the key's label, None where nobody may be called."""
    lease = pool.acquire(model, group, now, 0.0)
    if isinstance(lease, Rest):
        return None
    pool.release(lease, outcome, now, 0.0)
    return lease.key.label


def calls(pool: KeyPool, now: float, most: int = 50, model: str = "m", group: str | None = None) -> int:
    """How many calls go through at this moment."""
    return next((n for n in range(most) if call(pool, now, model=model, group=group) is None), most)


# --- what the operator says -------------------------------------------------------------------------------------------


def test_a_minute_slides() -> None:
    """P2: no sixty seconds, wherever they begin, hold more calls than allowed; who waits is told when."""
    pool = pool_of(1, KeyLimit(per_minute=2))
    assert call(pool, START)
    assert call(pool, START + 40)
    rest = pool.acquire("m", None, START + 59, 0.0)
    assert isinstance(rest, Rest)
    assert START + 60 <= (rest.soonest or 0) <= START + 62
    assert calls(pool, START + 62) == 1
    assert calls(pool, START + 80) == 0
    assert calls(pool, START + 102) == 1


def test_a_call_under_way_is_counted() -> None:
    """P2: a provider counts a request when it arrives."""
    pool = pool_of(1, KeyLimit(per_minute=1))
    assert isinstance(pool.acquire("m", None, START, 0.0), Lease)
    assert isinstance(pool.acquire("m", None, START + 30, 0.0), Rest)


def test_a_refused_call_gives_its_place_back() -> None:
    """P2: one call too many costs a refusal, one too few at the end of a day costs what it was for."""
    pool = pool_of(1, KeyLimit(per_day=2))
    assert call(pool, START, Outcome(Kind.TRANSIENT))
    assert calls(pool, START + 100) == 2


def test_a_model_is_counted_with_those_that_the_provider_counts_it_with() -> None:
    """P2: by key, all models; by model, each its own; by group, its group, and what has none for the key."""
    limit = KeyLimit(per_minute=2)
    assert [calls(pool := pool_of(1, limit), START, model=m) for m in ("a", "b")] == [2, 2]
    pool = pool_of(1, limit)
    assert [calls(pool, START, model=m) for m in ("a", "b")] == [2, 0]
    pool = pool_of(1, limit, scope=Scope.KEY_MODEL)
    assert [calls(pool, START, model=m) for m in ("a", "b")] == [2, 2]
    pool = pool_of(1, limit, scope=Scope.KEY_GROUP)
    assert [calls(pool, START, model=m, group=g) for m, g in (("a", "free"), ("b", "free"), ("c", None))] == [2, 0, 2]


def test_a_free_model_uses_up_what_it_shares_with_a_limited_one() -> None:
    """P2: the operator limits one model, and the provider counts the key's calls whatever they are for."""
    pool = pool_of(1, KeyLimit("small", per_day=3))
    assert calls(pool, START, most=2, model="large") == 2
    assert calls(pool, START, model="small") == 1
    assert calls(pool, START, most=9, model="large") == 9


def test_keys_of_one_account_are_counted_together() -> None:
    """P2: two keys of one project have one allowance."""
    pool = pool_of(2, KeyLimit(per_minute=3), accounts={"p#1": "me", "p#2": "me"})
    assert calls(pool, START) == 3


def test_a_day_ends_when_the_provider_says() -> None:
    """P2: with a calendar at its midnight, without one a day after the first call."""
    pool = pool_of(1, KeyLimit(per_day=1))
    pool.tick(START, 100.0)
    assert calls(pool, START + 10) == 1
    assert calls(pool, START + 99) == 0
    assert calls(pool, START + 106) == 1
    pool = pool_of(1, KeyLimit(per_day=1))
    assert calls(pool, START) == 1
    assert calls(pool, START + 86399) == 0
    assert calls(pool, START + 86401) == 1


def test_new_limits_count_what_was_called_before() -> None:
    """I21: a reload in the middle of a minute gives nobody a second minute."""
    pool = pool_of(1, KeyLimit(per_minute=5))
    assert calls(pool, START, most=3) == 3
    pool.replace_keys(secrets(1), START, limits=[KeyLimit(per_minute=4)])
    assert calls(pool, START) == 1


@pytest.mark.parametrize("restarted", [False, True])
def test_calls_of_one_moment_all_move_to_another_account(restarted: bool) -> None:
    """I21, P2: whether they began at once, or are known by their number only since a restart."""
    limit = KeyLimit(per_minute=4)
    pool = pool_of(2, limit)
    assert calls(pool, START) == 8
    if restarted:
        before, pool = pool, pool_of(2, limit)
        pool.restore(before.facts(START + 1, 1e9), START + 1, 1e9)
    pool.replace_keys(secrets(2), START + 2, {"p#1": "me", "p#2": "me"}, [limit])
    assert calls(pool, START + 2) == 0


def test_many_models_do_not_make_the_account_forget_its_own_calls() -> None:
    """P2, P8: the names are clients'; what all models use up together is not forgotten for them."""
    rules = PoolRules(rate_scope=Scope.KEY_MODEL, daily_scope=Scope.KEY)
    pool = KeyPool("p", secrets(1), rules, limits=[KeyLimit(per_minute=9, per_day=600)])
    assert sum(calls(pool, START, most=1, model=f"m{number}") for number in range(900)) == 600


def test_a_restart_on_the_edge_of_a_day_prolongs_no_day() -> None:
    """P1: what was used up yesterday is not held against a key until tomorrow."""
    before, pool = pool_of(1, KeyLimit(per_day=1)), pool_of(1, KeyLimit(per_day=1))
    before.tick(START, 100.0)
    assert calls(before, START) == 1
    facts = before.facts(START + 99, 1e9)
    pool.tick(START + 102, 86398.0)
    pool.restore(facts, START + 102, 1e9 + 3)
    pool.tick(START + 103, 86397.0)
    assert calls(pool, START + 103) == 0
    assert calls(pool, START + 106) == 1


def test_one_key_that_is_full_leaves_the_others() -> None:
    """P1: whoever has calls left is called."""
    pool = pool_of(3, KeyLimit(per_minute=2))
    assert calls(pool, START) == 6


# --- what the provider says -------------------------------------------------------------------------------------------


def learnt(before: Sequence[float] = (0, 1, 2, 3)) -> KeyPool:
    """A pool that was refused after calls at these seconds: "4 a minute"."""
    pool = pool_of()
    for at in before:
        assert call(pool, START + at)
    assert call(pool, START + 4, TELLING)
    return pool


def test_a_limit_that_agrees_with_our_books_is_believed() -> None:
    """P2: four calls, then "4 a minute": the next minutes are not overrun."""
    pool = learnt()
    assert calls(pool, START + 70) == 4
    assert calls(pool, START + 132) == 4


def test_a_limit_that_does_not_agree_is_not_believed() -> None:
    """P1: after one call "4 a minute" means that somebody else uses the account, and we cannot count for him."""
    pool = learnt(before=[0])
    assert calls(pool, START + 70, most=20) == 20


def test_a_believed_limit_is_tested_and_forgotten_when_it_no_longer_holds() -> None:
    """P1: every ten minutes one call is let through beyond it; two that succeed within a minute, and it is gone."""
    pool = learnt()
    now = START + 700
    assert calls(pool, now) >= 5
    assert calls(pool, now + 5, most=20) == 20


def test_a_test_that_fails_confirms_the_limit() -> None:
    """P3: one refusal in ten minutes is what the test costs."""
    pool = learnt()
    now = START + 700
    for _ in range(4):
        assert call(pool, now)
    assert call(pool, now, TELLING)
    assert calls(pool, now + 70) == 4
    assert calls(pool, now + 140) == 4


def test_a_good_answers_header_is_believed_at_once() -> None:
    """P2: "4 a minute, 1 left" counts calls that we know nothing of, too."""
    pool = pool_of()
    assert call(pool, START, Outcome(Kind.OK, allowance=Allowance(4, Span.MINUTE, 1)))
    assert calls(pool, START + 1) == 1


def test_what_was_told_long_ago_is_forgotten() -> None:
    """P8, P1: a limit that nobody has repeated for a day binds nobody."""
    pool = learnt()
    assert pool.snapshot(START + 5)[0].limits
    pool.tick(START + 27 * 3600)
    assert pool.snapshot(START + 27 * 3600)[0].limits == ()


# --- whose keys they are ----------------------------------------------------------------------------------------------


def together(pool: KeyPool, now: float) -> int:
    """Two calls with each key, then refusals until nobody is left: how many it took."""
    for _ in range(4):
        assert call(pool, now)
    refusals = 0
    while call(pool, now + 1, TELLING) is not None:
        refusals += 1
    return refusals


def test_keys_that_are_refused_together_rest_together() -> None:
    """P3: three times proves it, for an hour; then it has to be proven again."""
    pool = pool_of(2)
    assert [together(pool, START + 200 * n) for n in range(6)] == [2, 2, 2, 2, 1, 1]
    assert pool.suspicions(START + 1200) == [("p#1", "p#2")]
    assert together(pool, START + 1200 + 3700) == 2


@pytest.mark.parametrize("accounts", [{"p#1": "mine", "p#2": "yours"}, {"p#1": "mine"}])
def test_keys_with_a_named_account_are_never_suspected(accounts: dict[str, str]) -> None:
    """P1: the operator knows better."""
    pool = pool_of(2, accounts=accounts)
    assert [together(pool, START + 200 * n) for n in range(6)] == [2] * 6
    assert pool.suspicions(START + 1200) == []


def test_keys_that_are_refused_for_their_own_calls_are_not_suspected() -> None:
    """P1: two keys that have each made their four calls are two accounts."""
    pool = pool_of(2)
    for n in range(6):
        now = START + 200 * n
        assert calls(pool, now, most=8) == 8
        while call(pool, now + 1, TELLING) is not None:
            pass
    assert pool.suspicions(START + 1300) == []
