"""Keys that come and go while the proxy runs."""

from __future__ import annotations

from ollama_proxy.outcome import OK, Kind, Outcome
from ollama_proxy.pool import KeyPool, Lease, State
from tests.support.pool_world import START, make_pool, secrets, warm

LIMITED = Outcome(Kind.RATE, wait_s=60.0)


def take(pool: KeyPool, now: float = START) -> Lease:
    lease = pool.acquire("m", None, now, 0.0)
    assert isinstance(lease, Lease)
    return lease


def limited(pool: KeyPool) -> str:
    """The label of the key that was just limited."""
    lease = take(pool)
    pool.release(lease, LIMITED, START, 0.0)
    return lease.key.label


def test_an_unchanged_key_keeps_its_rest_its_counts_and_its_calls() -> None:
    """F99, I21: order and neighbours do not matter."""
    pool = make_pool(2)
    label, open_call = limited(pool), take(pool)
    before = {view.label: view for view in pool.snapshot(START)}
    pool.replace_keys([*reversed(secrets(2)), *secrets(1, first=3)], START)
    after = {view.label: view for view in pool.snapshot(START)}
    assert {name: after[name] for name in before} == before
    assert label not in pool.eligible("m", None, START)
    pool.release(open_call, OK, START, 0.0)
    assert all(view.in_flight == 0 for view in pool.snapshot(START))


def test_a_changed_secret_begins_anew_and_its_neighbours_stay() -> None:
    """F99: the fingerprint is the key, the label is only its name."""
    pool = make_pool(2)
    limited(pool)
    limited(pool)
    new = secrets(1, provider="other")[0]
    new.label = "p#1"
    pool.replace_keys([new, secrets(2)[1]], START)
    assert pool.eligible("m", None, START) == ["p#1"]


def test_a_call_that_outlives_its_key_ends_quietly() -> None:
    """Nobody is left whom its news would concern; the provider still hears of it."""
    pool = make_pool(2)
    leases = [take(pool) for _ in range(4)]
    pool.replace_keys(secrets(1, first=9), START)
    for lease, kind in zip(leases, (Kind.RATE, Kind.CREDENTIAL, Kind.QUOTA, Kind.OK), strict=True):
        pool.release(lease, Outcome(kind), START, 0.0)
    assert [(view.label, view.state, view.in_flight) for view in pool.snapshot(START)] == [("p#9", State.HEALTHY, 0)]
    assert pool.room("m", None, START) == float("inf")
    assert pool.facts(START, 1e9) == []


def test_a_key_that_joins_an_account_brings_its_rest_along() -> None:
    """Better a rest too many than a call too early."""
    pool = make_pool(2)
    label = limited(pool)
    pool.replace_keys(secrets(2), START, {label: "team", "p#2": "team", "p#1": "team"})
    assert pool.eligible("m", None, START + 59) == []
    assert pool.eligible("m", None, START + 60) == ["p#1", "p#2"]
    assert {view.account for view in pool.snapshot(START)} == {"team"}


def test_the_same_key_twice_is_one_key() -> None:
    """A key pasted twice is not two allowances."""
    pool = KeyPool("p", [*secrets(2), *secrets(2)])
    assert [view.label for view in pool.snapshot(START)] == ["p#1", "p#2"]


def test_when_the_last_key_that_worked_is_taken_out_the_dead_get_another_chance() -> None:
    """I16: a pool does not die of a reload."""
    pool, now = make_pool(2), START
    warm(pool)
    while pool.snapshot(now)[0].state is not State.DEAD:
        lease = pool.acquire("m", None, now, 0.0, ["p#2"])
        assert isinstance(lease, Lease)
        pool.release(lease, Outcome(Kind.CREDENTIAL), now, 0.0)
        now += 301
    pool.replace_keys(secrets(1), now)
    assert pool.snapshot(now)[0].state is State.COOLING
