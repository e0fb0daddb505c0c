"""When a key dies of refused credentials, and when it comes back."""

from __future__ import annotations

from ollama_proxy.outcome import OK, Kind, Outcome
from ollama_proxy.pool import KeyPool, Lease, State
from tests.support.pool_world import START, make_pool, secrets, warm

REFUSED = Outcome(Kind.CREDENTIAL, status=401)


def take(pool: KeyPool, now: float) -> Lease:
    lease = pool.acquire("m", None, now, 0.0)
    assert isinstance(lease, Lease)
    return lease


def refuse(pool: KeyPool, label: str, now: float) -> None:
    """One refusal of this key, all others left alone."""
    others = [view.label for view in pool.snapshot(now) if view.label != label]
    lease = pool.acquire("m", None, now, 0.0, others)
    assert isinstance(lease, Lease)
    pool.release(lease, REFUSED, now, 0.0)


def state(pool: KeyPool, label: str, now: float) -> State:
    return next(view.state for view in pool.snapshot(now) if view.label == label)


def kill_proven(pool: KeyPool, label: str, now: float = START) -> float:
    """Refusals until a proven key is dead; when that is."""
    while state(pool, label, now) is not State.DEAD:
        refuse(pool, label, now)
        now += 301
    return now


def test_a_burst_of_refusals_is_one_strike() -> None:
    """Twenty calls that were under way together are one event."""
    pool = make_pool(1)
    for i, lease in enumerate([take(pool, START) for _ in range(20)]):
        pool.release(lease, REFUSED, START + i * 2, 0.0)
    view = pool.snapshot(START + 40)[0]
    assert (view.strikes, view.state) == (1, State.COOLING)


def test_refusals_within_a_second_are_one_strike_even_when_the_provider_asks_for_less() -> None:
    """A quarter of a second is no second opinion."""
    pool, now = make_pool(1), START
    for _ in range(5):
        pool.release(take(pool, now), Outcome(Kind.CREDENTIAL, wait_s=0.1), now, 0.0)
        now += 0.3
    assert pool.snapshot(now)[0].strikes == 2


def test_a_key_that_never_worked_is_dead_after_two_refusals() -> None:
    """Thirty seconds apart is enough for a key that nobody misses."""
    pool = make_pool(1)
    refuse(pool, "p#1", START)
    assert state(pool, "p#1", START) is State.COOLING
    refuse(pool, "p#1", START + 30)
    assert state(pool, "p#1", START + 30) is State.DEAD


def test_a_success_in_between_clears_all_strikes() -> None:
    """Strikes count only in a row."""
    pool, now = make_pool(1), START
    for _ in range(6):
        refuse(pool, "p#1", now)
        pool.release(take(pool, now + 301), OK, now + 301, 0.0)
        now += 3600
    assert pool.snapshot(now)[0].strikes == 0
    assert state(pool, "p#1", now) is not State.DEAD


def test_a_callers_mistake_shows_that_the_key_was_accepted() -> None:
    """Evidence of life clears strikes too."""
    pool = make_pool(1)
    refuse(pool, "p#1", START)
    pool.release(take(pool, START + 31), Outcome(Kind.CALLER, status=400), START + 31, 0.0)
    assert pool.snapshot(START + 31)[0].strikes == 0


def test_the_last_key_that_ever_worked_is_never_given_up() -> None:
    """I16: it goes on being asked every five minutes at most."""
    pool, now = make_pool(2), START
    lease = take(pool, START - 1)
    assert lease.key.label == "p#1"
    pool.release(lease, OK, START - 1, 0.0)
    for _ in range(30):
        refuse(pool, "p#1", now)
        assert (pool.snapshot(now)[0].until_s or 0) <= 301
        now += 302
    assert state(pool, "p#1", now) is not State.DEAD


def test_when_a_refused_key_works_again_the_dead_return_with_one_strike_left() -> None:
    """Amnesty: the refusals were the provider's illness; a key that is refused once more is dead for good."""
    pool = make_pool(3)
    warm(pool)
    now = kill_proven(pool, "p#1")
    refuse(pool, "p#2", now)
    lease = pool.acquire("m", None, now + 40, 0.0, ["p#3"])
    assert isinstance(lease, Lease)
    pool.release(lease, OK, now + 40, 0.0)
    view = pool.snapshot(now + 40)[0]
    assert (view.state, view.until_s, view.strikes) == (State.COOLING, 30.0, 4)
    refuse(pool, "p#1", now + 71)
    assert state(pool, "p#1", now + 71) is State.DEAD


def test_a_success_of_an_unsuspected_key_is_no_amnesty() -> None:
    """Other keys working all along is what one expects when one key is revoked."""
    pool = make_pool(2)
    warm(pool)
    now = kill_proven(pool, "p#1")
    pool.release(take(pool, now), OK, now, 0.0)
    assert state(pool, "p#1", now) is State.DEAD


def test_an_answer_on_its_way_while_its_key_died_brings_the_key_back() -> None:
    """It died as a key that never worked; now it has."""
    pool = make_pool(1)
    slow = take(pool, START)
    refuse(pool, "p#1", START)
    refuse(pool, "p#1", START + 40)
    assert state(pool, "p#1", START + 40) is State.DEAD
    pool.release(slow, OK, START + 41, 0.0)
    assert state(pool, "p#1", START + 41) is State.COOLING


def test_a_new_secret_under_an_old_label_revives_only_its_key() -> None:
    """F99, I21: the operator replaced one of two dead keys."""
    pool = make_pool(2)
    for now in (START, START + 40):
        refuse(pool, "p#1", now)
        refuse(pool, "p#2", now)
    old = secrets(2)
    new = type(old[0])("sk-canary-new-0001", "p#1")
    pool.replace_keys([new, old[1]], START + 50)
    assert [view.state for view in pool.snapshot(START + 50)] == [State.HEALTHY, State.DEAD]


def test_when_everybody_is_refused_each_key_is_asked_every_minute() -> None:
    """F3: the login service is the suspect; a revoked key alone is asked ever more seldom."""
    pool, alone, now = make_pool(2), make_pool(2), START
    warm(pool)
    warm(alone)
    for _ in range(4):
        refuse(pool, "p#1", now)
        refuse(pool, "p#2", now)
        refuse(alone, "p#1", now)
        now += 301
    assert [view.until_s for view in pool.snapshot(now - 301)] == [60.0, 60.0]
    assert alone.snapshot(now - 301)[0].until_s == 240.0
