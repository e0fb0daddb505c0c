"""Which of several healthy keys is taken."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ollama_proxy.outcome import OK, Kind, Outcome
from ollama_proxy.pool import KeyPool, Lease
from tests.support.pool_world import START, Place, World, make_pool


def take(pool: KeyPool, now: float, rnd: float = 0.5) -> Lease:
    """A lease that must be there."""
    lease = pool.acquire("m", None, now, rnd)
    assert isinstance(lease, Lease)
    return lease


@settings(derandomize=True, deadline=None)
@given(count=st.integers(1, 9), gaps=st.lists(st.sampled_from((0.0, 1e-6, 0.3, 7.0, 400.0, 20000.0)), max_size=120))
def test_one_call_after_another_goes_round(count: int, gaps: list[float]) -> None:
    """I10: sequential picks differ by at most one, whatever the time between them."""
    pool, now, picks = make_pool(count), START, Counter[str]()
    for gap in gaps:
        now += gap
        lease = take(pool, now)
        picks[lease.key.label] += 1
        pool.release(lease, OK, now, 0.5)
        counts = [picks[view.label] for view in pool.snapshot(now)]
        assert max(counts) - min(counts) <= 1


@pytest.mark.parametrize("keys", [2, 5, 8])
def test_under_load_every_key_has_its_share(keys: int) -> None:
    """I10, F109: 200 calls at once, a second long or so: shares differ by at most 5 % per 2,000 picks."""
    pool, world, draw = make_pool(keys), World(), random.Random(keys)
    place = Place(pool, lambda key, model, now: (OK, draw.uniform(0.8, 1.2)))
    for i in range(10_000):
        world.ask(place, at=START + i / 200)
    world.run()
    for first in range(0, 10_000, 2000):
        shares = Counter(a.key for a in world.attempts[first : first + 2000])
        assert max(shares.values()) / min(shares.values()) <= 1.05


def test_the_least_busy_key_is_taken_first() -> None:
    """I9: calls under way count before anything else."""
    pool = make_pool(3)
    leases = [take(pool, START) for _ in range(6)]
    for lease in leases:
        if lease.key.label == "p#2":
            pool.release(lease, OK, START, 0.5)
    assert [take(pool, START).key.label for _ in range(2)] == ["p#2", "p#2"]


def test_among_equally_busy_keys_the_one_used_less_in_the_last_minute_is_taken() -> None:
    """A key that rested has most of its per-minute limit left, and catches up."""
    pool = make_pool(2)
    first = take(pool, START)
    pool.release(first, Outcome(Kind.RATE, wait_s=5.0), START, 0.0)
    for second in range(5):
        pool.release(take(pool, START + second), OK, START + second, 0.5)
    back = [take(pool, START + 10) for _ in range(1)]
    assert back[0].key.label == first.key.label


@pytest.mark.parametrize("keys", [65, 300])
def test_many_keys_are_used_evenly_too(keys: int) -> None:
    """Above sixty-four keys two random candidates are compared: every key is used, none much more than others."""
    pool, draw, picks = make_pool(keys), random.Random(7), Counter[str]()
    for i in range(keys * 40):
        lease = take(pool, START + i / 10, draw.random())
        picks[lease.key.label] += 1
        pool.release(lease, OK, START + i / 10, 0.5)
    assert len(picks) == keys
    assert max(picks.values()) <= 2 * min(picks.values())


def test_one_living_key_among_many_is_found() -> None:
    """Two random candidates that may not be called are no reason to give up."""
    pool = make_pool(100)
    for _ in range(99):
        pool.release(take(pool, START), Outcome(Kind.RATE, wait_s=60.0), START, 0.0)
    [left] = pool.eligible("m", None, START)
    assert {take(pool, START, rnd / 50).key.label for rnd in range(50)} == {left}
