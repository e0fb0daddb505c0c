"""The pool's public face: leases, rests, accounts, what a person sees."""

from __future__ import annotations

import pytest

from ollama_proxy.outcome import CANCELLED, OK, Kind, Outcome, Scope
from ollama_proxy.pool import KeyPool, Lease, PoolRules, Rest, State
from tests.support.pool_world import START, make_pool, secrets, warm

REFUSED = Outcome(Kind.CREDENTIAL, status=401)


def take(pool: KeyPool, now: float = START, model: str = "m", group: str | None = None) -> Lease:
    """A lease that must be there."""
    lease = pool.acquire(model, group, now, 0.5)
    assert isinstance(lease, Lease)
    return lease


def end(pool: KeyPool, outcome: Outcome, now: float = START, model: str = "m", group: str | None = None) -> Lease:
    """One call that ends like this at once."""
    lease = take(pool, now, model, group)
    pool.release(lease, outcome, now, 0.0)
    return lease


def test_a_lease_is_given_back_once() -> None:
    """I2: a second time is our own bug, said loudly, and changes nothing."""
    pool = make_pool(1)
    lease = end(pool, OK)
    with pytest.raises(RuntimeError, match="twice"):
        pool.release(lease, OK, START, 0.0)
    assert pool.snapshot(START)[0].in_flight == 0


def test_a_confirmed_probe_lets_the_next_in_before_its_stream_has_ended() -> None:
    """F96: a probe may stream for minutes; its first content is proof enough."""
    pool = make_pool(1)
    end(pool, Outcome(Kind.RATE, wait_s=5.0))
    probe = take(pool, START + 6)
    assert isinstance(pool.acquire("m", None, START + 6, 0.0), Rest)
    pool.confirm(probe, START + 7, 0.0)
    second = take(pool, START + 7)
    assert isinstance(pool.acquire("m", None, START + 7, 0.0), Rest)
    pool.release(second, OK, START + 8, 0.0)
    pool.confirm(probe, START + 8, 0.0)
    assert [take(pool, START + 8).seq for _ in range(3)]
    assert isinstance(pool.acquire("m", None, START + 8, 0.0), Rest)


def test_confirming_and_ending_well_is_one_success() -> None:
    """Counted once, at the first good sign."""
    pool = make_pool(1)
    end(pool, Outcome(Kind.RATE, wait_s=5.0))
    probe = take(pool, START + 6)
    pool.confirm(probe, START + 6, 0.0)
    pool.release(probe, OK, START + 7, 0.0)
    assert pool.room("m", None, START + 7) == 2


def test_the_rest_tells_this_requests_hope_from_everybodys() -> None:
    """A request that has used up its keys waits for nothing, but its client is told when to come back."""
    pool = make_pool(1)
    end(pool, Outcome(Kind.RATE, wait_s=7.0))
    rest = pool.acquire("m", None, START, 0.0, ["p#1"])
    assert rest == Rest(None, all_dead=False, soonest=START + 7, cause=Kind.RATE)
    assert pool.acquire("m", None, START, 0.0) == Rest(START + 7, all_dead=False, soonest=START + 7, cause=Kind.RATE)


def test_a_pool_without_keys_has_no_hope() -> None:
    """Nothing will ever be ready."""
    assert KeyPool("p", []).acquire("m", None, START, 0.0) == Rest(None, all_dead=True)


def test_keys_refused_before_they_ever_worked_count_as_dead_at_once() -> None:
    """F2: nobody is told to wait for keys that were never good; a key that has worked is waited for."""
    fresh, proven = make_pool(2), make_pool(2)
    warm(proven)
    for pool in (fresh, proven):
        end(pool, REFUSED)
        end(pool, REFUSED)
    fresh_rest, proven_rest = (pool.acquire("m", None, START, 0.0) for pool in (fresh, proven))
    assert isinstance(fresh_rest, Rest)
    assert isinstance(proven_rest, Rest)
    assert (fresh_rest.all_dead, proven_rest.all_dead) == (True, False)


def test_keys_of_one_account_rest_together_but_are_refused_apart() -> None:
    """One project, one allowance; a revoked key says nothing about its sibling."""
    pool = make_pool(3, accounts={"p#1": "team", "p#2": "team"})
    lease = end(pool, Outcome(Kind.RATE, wait_s=60.0))
    assert lease.key.label == "p#1"
    assert pool.eligible("m", None, START) == ["p#3"]
    pool = make_pool(3, accounts={"p#1": "team", "p#2": "team"})
    end(pool, REFUSED)
    assert pool.eligible("m", None, START) == ["p#2", "p#3"]


def test_an_outcome_that_names_its_scope_is_taken_at_its_word() -> None:
    """The provider's usual scope is only a default."""
    pool = make_pool(2, PoolRules(rate_scope=Scope.KEY))
    end(pool, Outcome(Kind.RATE, wait_s=60.0, scope=Scope.KEY_MODEL), model="flash")
    assert pool.eligible("flash", None, START) == ["p#2"]
    assert pool.eligible("pro", None, START) == ["p#1", "p#2"]
    end(pool, Outcome(Kind.RATE, wait_s=60.0, scope=Scope.PROVIDER), model="pro")
    assert pool.eligible("pro", None, START) == []


def test_a_group_limit_without_a_group_concerns_the_account() -> None:
    """A provider that counts by group counts everything else by account."""
    pool = make_pool(1, PoolRules(daily_scope=Scope.KEY_GROUP))
    end(pool, Outcome(Kind.DAILY, wait_s=3600.0))
    assert pool.eligible("m", None, START) == []
    assert pool.eligible("a:free", ":free", START) == []


def test_a_good_answer_that_says_nothing_is_left_lets_its_scope_rest_ahead() -> None:
    """P2: `remaining: 0` with a reset is a hint before the first refusal; no strike, no fault."""
    pool = make_pool(2)
    end(pool, Outcome(Kind.OK, wait_s=20.0))
    view = pool.snapshot(START)[0]
    assert (view.state, view.until_s, view.served, view.faults) == (State.COOLING, 20.0, 1, {})
    assert pool.eligible("m", None, START + 20) == ["p#1", "p#2"]


def test_a_stumble_with_a_named_time_rests_the_model_for_that_time() -> None:
    """P2: 503 with Retry-After is kept, without blaming a key or the other models."""
    pool = make_pool(2)
    end(pool, Outcome(Kind.TRANSIENT, wait_s=9.0, status=503))
    assert pool.eligible("m", None, START + 8.9) == []
    assert pool.eligible("other", None, START) == ["p#1", "p#2"]
    assert pool.acquire("m", None, START, 0.0) == Rest(
        START + 9, all_dead=False, soonest=START + 9, cause=Kind.TRANSIENT
    )


def test_calls_at_once_with_one_key_can_be_limited() -> None:
    """For providers that count concurrency: the next call waits for a lease to come back."""
    pool = make_pool(1, PoolRules(max_in_flight=2))
    first = take(pool)
    take(pool)
    rest = pool.acquire("m", None, START, 0.0)
    assert isinstance(rest, Rest)
    assert (rest.until, rest.cause, pool.room("m", None, START)) == (START + 0.25, None, 0)
    pool.release(first, CANCELLED, START, 0.0)
    assert pool.room("m", None, START) == 1
    take(pool)


def test_a_key_that_lacks_a_model_is_no_hope_while_another_merely_rests() -> None:
    """The soonest honest moment is that of the key that can serve, though it comes later."""
    pool = make_pool(2)
    end(pool, Outcome(Kind.MODEL_ACCESS))
    end(pool, Outcome(Kind.DAILY, wait_s=9 * 3600.0))
    outlook = pool.outlook("m", None, START)
    assert (outlook.soonest, outlook.cause) == (START + 9 * 3600.0, Kind.DAILY)


def test_names_that_clients_invent_do_not_fill_the_memory() -> None:
    """P8: ten thousand unknown models leave a bounded number of cells; limits with a named time are never dropped."""
    pool = make_pool(1, PoolRules(named_cells=100, rate_scope=Scope.KEY_MODEL))
    end(pool, Outcome(Kind.RATE, wait_s=3600.0), model="real")
    for i in range(10_000):
        kind = Kind.MODEL_GONE if i % 2 else Kind.MODEL_ACCESS
        end(pool, Outcome(kind), START + i / 100, model=f"made-up-{i}")
    now = START + 100
    assert len(pool.overview(now).rests) + len(pool.snapshot(now)[0].rests) <= 101
    assert pool.eligible("real", None, now) == []


def test_a_healthy_pool_remembers_no_cells() -> None:
    """What has recovered is forgotten: the pool is as on its first day."""
    pool, now = make_pool(1), START
    end(pool, Outcome(Kind.RATE, wait_s=1.0, scope=Scope.KEY_MODEL))
    for _ in range(8):
        now += 10
        end(pool, OK, now)
    assert pool.snapshot(now)[0].rests == ()
    assert pool.snapshot(now)[0].state is State.HEALTHY
    assert pool.room("m", None, now) == float("inf")


def test_an_operator_can_revive_a_key() -> None:
    """A dead key lives again at once; a bill that was paid is believed; other limits stay."""
    pool = make_pool(2)
    end(pool, REFUSED)
    end(pool, OK)
    end(pool, REFUSED, START + 40)
    assert pool.snapshot(START + 40)[0].state is State.DEAD
    assert pool.revive("p#1", START + 50)
    assert pool.snapshot(START + 50)[0].state is State.HEALTHY
    assert not pool.revive("nobody", START)
    end(pool, Outcome(Kind.QUOTA), START + 60)
    label = next(v.label for v in pool.snapshot(START + 60) if v.state is State.EXHAUSTED)
    pool.revive(label, START + 61)
    assert len(pool.eligible("m", None, START + 61)) == 2
    lease = end(pool, Outcome(Kind.RATE, wait_s=60.0), START + 62)
    pool.revive(lease.key.label, START + 63)
    assert len(pool.eligible("m", None, START + 63)) == 1


def test_a_key_that_is_known_to_be_of_no_more_use_is_retired() -> None:
    """It is dead at once, though it has worked and is the last one; it can be revived like any other."""
    pool = make_pool(1)
    end(pool, OK)
    pool.retire("p#1", START + 10)
    rest = pool.outlook("m", None, START + 10)
    assert (rest.all_dead, rest.until) == (True, None)
    pool.retire("nobody", START + 10)
    assert pool.revive("p#1", START + 11)
    assert pool.eligible("m", None, START + 11) == ["p#1"]


def test_its_line_for_the_log_reads_well_and_holds_no_key() -> None:
    """P9: states and times, labels at most."""
    pool = make_pool(3)
    others = ["p#2", "p#3"]
    for now in (START, START + 40):
        lease = pool.acquire("m", None, now, 0.0, others)
        assert isinstance(lease, Lease)
        pool.release(lease, REFUSED, now, 0.0)
    end(pool, Outcome(Kind.RATE, wait_s=12.0), START + 40)
    assert repr(pool) == "<KeyPool p, 3 keys: 1 healthy, 1 cooling 12.0s, 1 dead>"
    lease = take(pool, START + 41)
    everything = f"{pool!r} {lease!r} {pool.snapshot(START + 41)} {pool.overview(START + 41)} {pool.facts(START, 1e9)}"
    assert "canary" not in everything
    assert repr(KeyPool("q", [])) == "<KeyPool q, no keys>"
    assert repr(KeyPool("q", secrets(1, "q"))) == "<KeyPool q, 1 key: 1 healthy>"


def test_its_line_tells_of_models_and_of_the_provider() -> None:
    """An outage is not the keys' fault, and the line says so."""
    pool = make_pool(2)
    end(pool, Outcome(Kind.MODEL_GONE), model="old")
    for _ in range(5):
        end(pool, Outcome(Kind.TRANSIENT))
    assert repr(pool) == "<KeyPool p, 2 keys: 2 healthy; 1 models exhausted; provider cooling>"
    overview = pool.overview(START)
    assert (overview.state, overview.until_s, overview.retry_tokens) == (State.COOLING, 0.5, 10.0)
    assert [(rest.name, rest.cause) for rest in overview.rests] == [("old", "model_gone")]


def test_the_view_of_a_key_tells_counts_faults_and_accounts() -> None:
    """What the operator's page shows."""
    pool = make_pool(2, accounts={"p#1": "team"})
    end(pool, OK)
    end(pool, Outcome(Kind.RATE, wait_s=30.0))
    take(pool)
    first, second = pool.snapshot(START)
    assert (first.label, first.account, first.state, first.served, first.in_flight) == (
        "p#1",
        "team",
        State.HEALTHY,
        1,
        1,
    )
    assert (second.account, second.state, second.until_s, second.cause) == ("", State.COOLING, 30.0, "rate")
    assert second.faults == {"rate": 1}
