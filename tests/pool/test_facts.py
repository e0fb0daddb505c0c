"""What outlives the process."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ollama_proxy.outcome import OK, Kind, Outcome, Scope
from ollama_proxy.pool import Fact, KeyPool, Lease, PoolRules, State, merge_facts
from tests.support.fact_reports import check_merge, reports
from tests.support.pool_world import START, make_pool, secrets, warm

WALL = 1.8e9
DAY = 86400.0
REFUSED = Outcome(Kind.CREDENTIAL)


def end(pool: KeyPool, outcome: Outcome, now: float = START, model: str = "m", group: str | None = None) -> None:
    lease = pool.acquire(model, group, now, 0.0)
    assert isinstance(lease, Lease)
    pool.release(lease, outcome, now, 0.0)


def restarted(pool: KeyPool, now: float = START, later: float = 0.0, keys: int = 1) -> KeyPool:
    """A new process `later` seconds after, that read the facts from JSON; its monotonic clock begins at 5."""
    text = json.dumps(pool.facts(now, WALL))
    other = make_pool(keys, pool.rules)
    other.restore(json.loads(text), 5.0, WALL + later)
    return other


@settings(derandomize=True, deadline=None)
@given(reports, reports, reports)
def test_reports_merge_in_any_order_and_any_number_of_times(
    a: Sequence[Fact], b: Sequence[Fact], c: Sequence[Fact]
) -> None:
    """I18: commutative, associative, idempotent."""
    check_merge(a, b, c)


@pytest.mark.parametrize(
    ("scope", "model", "group"),
    [(Scope.KEY, "m", None), (Scope.KEY_MODEL, "m", None), (Scope.KEY_GROUP, "a:free", ":free")],
)
def test_a_spent_day_survives_a_restart(scope: Scope, model: str, group: str | None) -> None:
    """F9: exhausted to the same moment, an hour less after an hour."""
    pool = make_pool(1, PoolRules(daily_scope=scope))
    end(pool, Outcome(Kind.DAILY, wait_s=9 * 3600.0), model=model, group=group)
    other = restarted(pool, later=3600.0)
    outlook = other.outlook(model, group, 5.0)
    assert outlook.cause is Kind.DAILY
    assert outlook.soonest is not None
    assert 8 * 3600 <= outlook.soonest - 5.0 <= 8 * 3600 + 1


def test_a_spent_month_survives_a_restart() -> None:
    """The bound of a monthly limit is a month, jitter and rounding included."""
    pool = make_pool(1)
    end(pool, Outcome(Kind.DAILY, wait_s=32 * DAY))
    assert (restarted(pool).snapshot(5.0)[0].until_s or 0) >= 32 * DAY


def test_a_retired_model_and_a_long_cooldown_survive_a_restart_and_a_short_one_does_not() -> None:
    """A minute and more is worth remembering."""
    pool = make_pool(1)
    end(pool, Outcome(Kind.MODEL_GONE), model="old")
    assert restarted(pool).outlook("old", None, 5.0).cause is Kind.MODEL_GONE
    for wait_s, kept in ((59.0, False), (61.0, True)):
        pool = make_pool(1)
        end(pool, Outcome(Kind.RATE, wait_s=wait_s))
        assert bool(pool.facts(START, WALL)) is kept


def test_a_dead_key_stays_dead_over_a_restart() -> None:
    """It costs no further call."""
    pool = make_pool(1)
    end(pool, REFUSED)
    end(pool, REFUSED, START + 40)
    assert restarted(pool, START + 40).snapshot(5.0)[0].state is State.DEAD


def test_a_key_that_has_worked_is_known_to_have_worked_after_a_restart() -> None:
    """A restart in the middle of a login outage must not kill a good key as one that was never good."""
    pool = make_pool(1)
    warm(pool)
    other = restarted(pool)
    end(other, REFUSED, 10.0)
    end(other, REFUSED, 100.0)
    assert other.snapshot(100.0)[0].state is State.COOLING


def test_a_younger_revival_beats_an_older_death_in_any_order() -> None:
    """What an operator did here is not undone by what another process remembers."""
    pool = make_pool(1)
    end(pool, REFUSED)
    end(pool, REFUSED, START + 40)
    dead = pool.facts(START + 40, WALL)
    pool.revive("p#1", START + 50)
    revived = pool.facts(START + 50, WALL + 10)
    pool.restore(dead, START + 60, WALL + 20)
    assert pool.snapshot(START + 60)[0].state is State.HEALTHY
    for report in (merge_facts(dead, revived), merge_facts(revived, dead)):
        other = make_pool(1)
        other.restore(report, 5.0, WALL + 20)
        assert other.snapshot(5.0)[0].state is State.HEALTHY
    behind = make_pool(1)
    behind.restore(dead, 5.0, WALL + 1)
    behind.restore(revived, 15.0, WALL + 11)
    assert behind.snapshot(15.0)[0].state is State.HEALTHY


def test_reports_sent_to_and_fro_do_not_creep() -> None:
    """I18, B86: two processes that copy each other's facts for an hour still agree on the moment."""
    a, b = make_pool(1), make_pool(1)
    end(a, Outcome(Kind.QUOTA, wait_s=7200.0))
    first = a.facts(START, WALL)
    for i in range(1, 3600):
        drift = i * 1e-5
        b.restore(a.facts(START + i, WALL + i + drift), 77.0 + i, WALL + i + drift)
        a.restore(b.facts(77.0 + i, WALL + i + drift), START + i, WALL + i + drift)
    assert abs(a.facts(START + 3600, WALL + 3600)[0].moment - first[0].moment) <= 3


@pytest.mark.parametrize(("cause", "believed"), [("rate", 26 * 3600.0), ("quota", 26 * 3600.0), ("daily", 26 * 3600.0)])
def test_a_moment_in_the_far_future_is_believed_for_a_day(cause: str, believed: float) -> None:
    """F103, I5: an entry of the year 2999 is a broken clock, not a limit."""
    pool = make_pool(1)
    fact = ("p", secrets(1)[0].fingerprint, "key", "", 32472144000.0, 1, "exhausted", cause)
    pool.restore([fact], START, WALL)
    until_s = pool.snapshot(START)[0].until_s
    assert until_s is not None
    assert until_s == pytest.approx(believed, abs=3)


FINGERPRINT = secrets(1)[0].fingerprint
GOOD: tuple[Any, ...] = ("p", FINGERPRINT, "key", "", WALL + 3600, 0, "exhausted", "quota")


@pytest.mark.parametrize(
    "fact",
    [
        None,
        7,
        10**400,
        "eightfit",
        {},
        dict.fromkeys(range(8)),
        (),
        (None,) * 8,
        GOOD[:-1],
        (*GOOD, 1),
        ("q", *GOOD[1:]),
        (*GOOD[:1], "unknown key", *GOOD[2:]),
        (*GOOD[:2], "nonsense", *GOOD[3:]),
        (*GOOD[:2], "provider", *GOOD[3:]),
        (*GOOD[:2], "key+model", *GOOD[3:]),
        (*GOOD[:3], "a name where none belongs", *GOOD[4:]),
        (*GOOD[:4], math.nan, *GOOD[5:]),
        (*GOOD[:4], math.inf, *GOOD[5:]),
        (*GOOD[:4], "soon", *GOOD[5:]),
        (*GOOD[:4], None, *GOOD[5:]),
        (*GOOD[:4], 10**400, *GOOD[5:]),
        (*GOOD[:4], 1e300, *GOOD[5:]),
        (*GOOD[:4], -(10**400), *GOOD[5:]),
        (*GOOD[:4], True, *GOOD[5:]),
        (*GOOD[:4], WALL - 1, *GOOD[5:]),
        (*GOOD[:5], -1, *GOOD[6:]),
        (*GOOD[:5], None, *GOOD[6:]),
        (*GOOD[:6], "dead", ""),
        (*GOOD[:7], "no such cause"),
        (*GOOD[:7], ["quota"]),
        ("p", FINGERPRINT, "life", "", WALL, 0, "worked", ""),
    ],
)
def test_what_is_no_fact_of_ours_is_skipped(fact: Any) -> None:
    """F103: garbage from outside changes nothing and raises nothing."""
    pool = make_pool(1)
    pool.restore([fact], START, WALL)
    assert pool.snapshot(START) == make_pool(1).snapshot(START)
    pool.restore([fact, GOOD], START, WALL)
    assert pool.snapshot(START)[0].state is State.EXHAUSTED


anything = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(10**400), 10**400),
        st.floats(),
        st.sampled_from([item for item in GOOD if isinstance(item, str)]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=8), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=12,
)
nearly = st.tuples(*(st.one_of(st.just(item), anything) for item in GOOD))


@settings(derandomize=True, deadline=None)
@given(st.lists(st.one_of(anything, nearly), max_size=4))
def test_whatever_json_the_file_holds_the_pool_goes_on(report: list[Any]) -> None:
    """F103, I5: wrong types, nulls, numbers without end: nothing is raised, every wait has its bound."""
    pool = make_pool(1)
    pool.restore([*report, GOOD], START, WALL)
    until_s = pool.snapshot(START)[0].until_s
    assert until_s is not None
    assert 0 < until_s <= 32 * DAY
    json.dumps(pool.facts(START, WALL), allow_nan=False)


def test_other_processes_cannot_kill_every_key_that_ever_worked() -> None:
    """I16: each of two processes gave up another key; together they must not give up both."""
    pool = make_pool(2)
    warm(pool)
    deaths = [("p", key.fingerprint, "life", "", WALL, 0, "dead", "") for key in secrets(2)]
    pool.restore(deaths, START, WALL)
    assert [view.state for view in pool.snapshot(START)].count(State.DEAD) == 1


def test_facts_hold_fingerprints_and_no_key() -> None:
    """P9: plain tuples of words and numbers that JSON takes as they are."""
    pool = make_pool(2, accounts={"p#1": "team", "p#2": "team"})
    end(pool, OK)
    end(pool, Outcome(Kind.QUOTA))
    facts = pool.facts(START, WALL)
    assert {fact.fingerprint for fact in facts} == {key.fingerprint for key in secrets(2)}
    text = json.dumps(facts, allow_nan=False)
    assert "canary" not in text
    assert pool.facts(START + 0.2, WALL + 0.2) == facts


def test_a_shared_accounts_rest_survives_the_loss_of_one_of_its_keys() -> None:
    """The report stands under each key's fingerprint."""
    pool = make_pool(2, accounts={"p#1": "team", "p#2": "team"})
    end(pool, Outcome(Kind.QUOTA))
    other = KeyPool("p", secrets(2)[1:], accounts={"p#2": "team"})
    other.restore(pool.facts(START, WALL), 5.0, WALL)
    assert other.snapshot(5.0)[0].state is State.EXHAUSTED
