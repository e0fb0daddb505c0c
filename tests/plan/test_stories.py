"""Whole requests against pools and scripted providers, in virtual time."""

from __future__ import annotations

import pytest

from ollama_proxy.outcome import OK, Kind, Outcome, Scope
from ollama_proxy.plan import Reason
from ollama_proxy.pool import Lease, PoolRules, Rest, State
from tests.support.pool_world import START, Place, World, always, by_key, in_turn, make_pool, until, warm

REFUSED = Outcome(Kind.CREDENTIAL, status=401)
RATE = Outcome(Kind.RATE, status=429)
BROKEN = Outcome(Kind.TRANSIENT, status=500)


def rate(wait_s: float | None, scope: Scope | None = None) -> Outcome:
    return Outcome(Kind.RATE, wait_s=wait_s, scope=scope, status=429)


# --- keys -----------------------------------------------------------------------------------------------------------


def test_a_revoked_key_costs_the_client_nothing_and_dies_after_two_calls() -> None:
    """F1: no added wait, the key is struck and later dead, the others share the load evenly, one row per attempt."""
    pool, world = make_pool(3), World()
    place = Place(pool, by_key({"p#1": REFUSED}))
    for second in range(60):
        world.ask(place, at=START + second)
    world.run()
    assert world.served() == 60
    assert all(answer.waits == [] for answer in world.answers)
    assert world.calls_by_key()["p#1"] == 2
    assert pool.snapshot(world.now)[0].state is State.DEAD
    assert abs(world.calls_by_key()["p#2"] - world.calls_by_key()["p#3"]) <= 2
    assert len(world.attempts) == 62


def test_a_revoked_key_that_once_worked_costs_five_calls_in_ten_minutes_and_one_more() -> None:
    """F1: a proven key dies of refusals over ten minutes, and is never called again."""
    pool, world = make_pool(3), World()
    warm(pool)
    place = Place(pool, by_key({"p#1": REFUSED}))
    for second in range(0, 3600, 2):
        world.ask(place, at=START + second)
    world.run()
    assert world.served() == 1800
    calls = [a.at for a in world.attempts if a.key == "p#1"]
    assert len([at for at in calls if at < calls[0] + 600]) == 5
    assert len(calls) == 6
    assert pool.snapshot(world.now)[0].state is State.DEAD


def test_keys_that_are_all_bad_from_the_start_end_in_a_clear_hopeless_answer_and_silence() -> None:
    """F2: refused at once, hopeless for an SDK; two calls per key in all, then none."""
    pool, world = make_pool(3), World()
    place = Place(pool, always(REFUSED))
    first = world.one(place)
    assert first.fail is not None
    assert (first.fail.reason, first.fail.hopeless, first.fail.retry_after_s) == (Reason.REFUSED, True, None)
    assert len(first.attempts) == 3
    for second in range(0, 600, 5):
        world.ask(place, at=START + 1 + second)
    world.run()
    assert len(world.attempts) == 6
    assert all(a.fail is not None and a.fail.reason is Reason.REFUSED for a in world.answers)
    assert isinstance(pool.acquire("m", None, world.now, 0.0), Rest)


@pytest.mark.parametrize("keys", [1, 2, 5])
@pytest.mark.parametrize("seconds", [120, 1000])
def test_a_login_outage_kills_no_key_and_is_over_within_a_minute(keys: int, seconds: int) -> None:
    """F3: everybody is refused for a while; meanwhile an honest wait, afterwards no key is dead."""
    pool, world = make_pool(keys), World(seed=keys)
    warm(pool)
    place = Place(pool, until(START + seconds, REFUSED))
    for second in range(seconds + 400):
        world.ask(place, at=START + second)
    world.run()
    meanwhile = [a for a in world.answers if a.ended < START + seconds]
    assert all(a.fail is not None and a.fail.reason is Reason.RESTING for a in meanwhile)
    assert all(a.fail is not None and (a.fail.retry_after_s or 0) >= 1 for a in meanwhile)
    back = min(a.ended for a in world.answers if a.served)
    assert back <= START + seconds + 61
    assert all(view.state is not State.DEAD for view in pool.snapshot(world.now))
    assert sum(a.served for a in world.answers if a.began > START + seconds + 150) == 249


def test_a_refused_content_is_the_answer_and_costs_no_key() -> None:
    """F4: moderation is the caller's affair: one attempt, every key as healthy as before."""
    pool, world = make_pool(3), World()
    before = pool.snapshot(START)
    answer = world.one(Place(pool, always(Outcome(Kind.CALLER, code="content_filter", status=403))))
    assert answer.fail is not None
    assert (answer.fail.reason, len(answer.attempts)) == (Reason.FAILED, 1)
    assert pool.snapshot(START) == before


def test_a_plain_403_tries_another_key_and_blames_only_key_and_model() -> None:
    """F4: 403 without a word about the key: this key lacks the model; it goes on serving others."""
    pool, world = make_pool(2), World()
    place = Place(pool, by_key({"p#1": Outcome(Kind.MODEL_ACCESS, status=403)}))
    assert world.one(place).served
    assert pool.snapshot(world.now)[0].state is State.HEALTHY
    assert pool.eligible("m", None, world.now) == ["p#2"]
    assert pool.eligible("other", None, world.now) == ["p#1", "p#2"]


@pytest.mark.parametrize("status", [402, 429, 400, 403])
def test_a_key_without_money_is_exhausted_not_merely_cooling(status: int) -> None:
    """F5: whatever status it hides behind, the key rests for an hour and the request is served by another."""
    pool, world = make_pool(2), World()
    assert world.one(Place(pool, by_key({"p#1": Outcome(Kind.QUOTA, status=status)}))).served
    view = pool.snapshot(world.now)[0]
    assert view.state is State.EXHAUSTED
    assert view.until_s is not None
    assert 3590 <= view.until_s <= 3602


def test_a_limited_key_is_silent_for_its_time_and_then_probed_once() -> None:
    """F6: `Retry-After: 7` on one of three: served at once by another; one probe by 8 s; the others share evenly."""
    pool, world = make_pool(3), World()
    warm(pool)
    limited = until(START + 6.9, rate(7.0))
    place = Place(pool, lambda k, m, now: limited(k, m, now) if k == "p#1" else (OK, 0.2))
    for tenth in range(100):
        world.ask(place, at=START + tenth / 10)
    world.run()
    assert world.served() == 100
    assert all(answer.waits == [] for answer in world.answers)
    calls = [a.at for a in world.attempts if a.key == "p#1"]
    refused_at = calls[0] + 0.2
    assert not [at for at in calls[1:] if at < refused_at + 7]
    assert refused_at + 7 <= calls[1] <= refused_at + 8
    assert calls[2] >= calls[1] + 0.2
    others = world.calls_by_key()
    assert abs(others["p#2"] - others["p#3"]) <= 2


def test_only_one_probe_is_under_way_when_a_rest_ends() -> None:
    """F6: the calls that come while the probe is out go elsewhere."""
    pool, world = make_pool(2), World()
    world.one(Place(pool, by_key({"p#1": rate(7.0)})))
    world.now = START + 20
    leases = [pool.acquire("m", None, world.now, 0.0) for _ in range(6)]
    assert [lease.key.label for lease in leases if isinstance(lease, Lease)].count("p#1") == 1


def test_a_per_minute_limit_of_one_model_leaves_the_keys_other_models_alone() -> None:
    """F8: only (key, model) rests, for the 34.07 s that were named and little more."""
    pool, world = make_pool(1, PoolRules(rate_scope=Scope.KEY_MODEL)), World(seed=3)
    answer = world.one(Place(pool, always(rate(34.07)), model="flash"))
    assert answer.fail is not None
    [rest] = pool.snapshot(world.now)[0].rests
    assert (rest.scope, rest.name) == ("key+model", "flash")
    assert 34.07 <= rest.until_s <= 35.1
    assert world.one(Place(pool, always(), model="pro")).served


def test_a_daily_limit_lasts_to_the_reset_that_was_given() -> None:
    """F9: EXHAUSTED until the moment the provider's day ends, however far that is within 26 hours."""
    pool, world = make_pool(1, PoolRules(daily_scope=Scope.KEY_MODEL)), World()
    nine_hours = 9 * 3600.0
    answer = world.one(Place(pool, always(Outcome(Kind.DAILY, wait_s=nine_hours))))
    assert answer.fail is not None
    assert answer.fail.reason is Reason.RESTING
    [rest] = pool.snapshot(world.now)[0].rests
    assert rest.state is State.EXHAUSTED
    assert nine_hours <= rest.until_s <= nine_hours + 1


def test_a_spent_free_allowance_leaves_the_paid_models_of_the_key() -> None:
    """F10: the quota group rests, the rest of the account does not."""
    pool, world = make_pool(1, PoolRules(daily_scope=Scope.KEY_GROUP)), World()
    world.one(Place(pool, always(Outcome(Kind.DAILY, wait_s=5 * 3600.0)), model="a:free", group=":free"))
    assert pool.eligible("b:free", ":free", world.now) == []
    assert pool.eligible("b", None, world.now) == ["p#1"]


def test_a_short_supply_of_one_model_blames_no_key_and_uses_the_fallback_at_once() -> None:
    """F11: the model rests at that provider; nobody waits while another target is there."""
    pool, other, world = make_pool(2), make_pool(1, provider="q"), World()
    first = Place(pool, always(Outcome(Kind.CAPACITY, status=429)))
    answer = world.one(first, Place(other, always(), name="q"))
    assert answer.served
    assert [a.provider for a in answer.attempts] == ["p", "q"]
    assert answer.waits == []
    assert all(view.state is State.HEALTHY for view in pool.snapshot(world.now))
    assert pool.eligible("m", None, world.now) == []
    assert pool.eligible("other", None, world.now) == ["p#1", "p#2"]


def test_a_short_supply_without_fallback_is_tried_once_more() -> None:
    """F11: one more try after the model's rest, then the model is said to be ill."""
    pool, world = make_pool(2), World()
    answer = world.one(Place(pool, always(Outcome(Kind.CAPACITY, status=529))))
    assert answer.fail is not None
    assert (answer.fail.reason, len(answer.attempts)) == (Reason.ILL, 2)
    assert answer.fail.retry_after_s is not None


# --- waiting --------------------------------------------------------------------------------------------------------


def resting_pool(wait_s: float, keys: int = 3, seed: int = 0) -> tuple[World, Place]:
    """A world in which every key was just told to rest."""
    pool, world = make_pool(keys), World(seed=seed)
    warm(pool)
    for lease in [pool.acquire("m", None, START, 0.0) for _ in range(keys)]:
        assert isinstance(lease, Lease)
        pool.release(lease, rate(wait_s), START, world.rnd())
    assert pool.eligible("m", None, world.now) == []
    return world, Place(pool, always(seconds=0.1))


def test_a_short_rest_of_all_keys_is_waited_for() -> None:
    """F12: the soonest key is free in 3 s: served between 3 and 3.3 s later."""
    world, place = resting_pool(3.0)
    answer = world.one(place)
    assert answer.served
    assert START + 3 <= answer.attempts[0].at <= START + 3.3


def test_those_who_waited_are_served_in_the_order_in_which_they_came() -> None:
    """F12: first come, first called."""
    world, place = resting_pool(3.0)
    for i in range(20):
        world.ask(place, at=START + i / 100)
    world.run()
    assert world.served() == 20
    assert [a.request for a in world.attempts] == sorted(a.request for a in world.attempts)


@pytest.mark.parametrize("hint", [None, 0.7, 4.0])
def test_the_only_key_is_used_again_after_a_short_rest(hint: float | None) -> None:
    """F12, P1: who has one key is not refused because it was too fast for a moment: one call more, after its rest."""
    pool, world = make_pool(1), World()
    answer = world.one(Place(pool, in_turn(rate(hint), seconds=0.1)))
    assert answer.served
    refused, served = answer.attempts
    assert refused.at + 0.1 + (hint or 1.0) <= served.at <= START + 5.1


def test_the_only_key_is_called_twice_at_most_and_never_before_its_rest_is_over() -> None:
    """P2, P3: a request waits five seconds in all, and a provider that goes on refusing is believed."""
    pool, world = make_pool(1), World()
    answer = world.one(Place(pool, always(rate(0.5), seconds=0.0)))
    assert answer.fail is not None
    assert (answer.fail.reason, len(answer.attempts)) == (Reason.RESTING, 2)
    assert answer.attempts[1].at >= answer.attempts[0].at + 0.5
    late = make_pool(1)
    answer = World().one(Place(late, always(rate(34.0))))
    assert answer.fail is not None
    assert (len(answer.attempts), answer.waits) == (1, [])
    assert 34 <= (answer.fail.retry_after_s or 0) <= 37


@pytest.mark.parametrize("kind", [Kind.CREDENTIAL, Kind.QUOTA, Kind.DAILY, Kind.MODEL_ACCESS])
def test_a_key_that_was_refused_for_good_is_not_asked_again(kind: Kind) -> None:
    """P2: however short the wait that was named; only "too fast" passes by itself."""
    pool, world = make_pool(1), World()
    assert len(world.one(Place(pool, always(Outcome(kind, wait_s=0.5)))).attempts) == 1


def test_a_key_that_was_too_fast_is_not_waited_for_where_another_target_can_serve() -> None:
    """F28: the fallback answers at once."""
    first, second, world = make_pool(1), make_pool(1, provider="q"), World()
    answer = world.one(Place(first, always(rate(2.0))), Place(second, always(), name="q"))
    assert answer.served
    assert answer.waits == []
    assert [a.provider for a in answer.attempts] == ["p", "q"]


def test_leaving_the_queue_costs_no_call() -> None:
    """F12: a client that goes while it waits has cost nothing."""
    world, place = resting_pool(3.0)
    world.ask(place, leaves_after_s=1.0)
    world.run()
    assert world.attempts == []
    assert world.served() == 0


def test_a_long_rest_of_all_keys_is_answered_at_once_with_the_honest_wait() -> None:
    """F13: soonest in 40 s: no call, no waiting, Retry-After from 40 to 43; who obeys it is served."""
    for seed in range(20):
        world, place = resting_pool(40.0, seed=seed)
        answer = world.one(place)
        assert answer.fail is not None
        assert (answer.ended, world.attempts) == (answer.began, [])
        assert answer.fail.reason is Reason.RESTING
        assert answer.fail.retry_after_s is not None
        assert 40 <= answer.fail.retry_after_s <= 43
        assert not answer.fail.hopeless
        world.now += answer.fail.retry_after_s
        assert world.one(place).served


def test_a_rest_of_hours_is_called_hopeless() -> None:
    """F14: nine hours: Retry-After says so, and an SDK is told not to try."""
    world, place = resting_pool(32400.0)
    fail = world.one(place).fail
    assert fail is not None
    assert fail.retry_after_s is not None
    assert 32400 <= fail.retry_after_s <= 32404
    assert fail.hopeless


def test_a_full_queue_answers_at_once() -> None:
    """F12: nobody waits behind sixty-four others."""
    world, place = resting_pool(3.0)
    for _ in range(70):
        world.ask(place)
    world.run()
    at_once = [a for a in world.answers if a.ended == a.began]
    assert len(at_once) == 6
    assert all(a.fail is not None and a.fail.retry_after_s in (3, 4) for a in at_once)
    assert world.served() == 64


# --- providers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Kind.TRANSIENT, Kind.JUNK])
def test_a_provider_that_is_down_is_left_alone_and_back_in_time(kind: Kind) -> None:
    """F15: 120 s down at 20 requests/s: attempts stay within 1.2 per request, keys are untouched, back within 15 s."""
    pool, world = make_pool(5), World()
    warm(pool)
    place = Place(pool, until(START + 120, Outcome(kind, status=503)))
    for tick in range(20 * 140):
        world.ask(place, at=START + tick / 20)
    world.run()
    assert len(world.attempts) <= 1.2 * 2800 + 10
    assert len([a for a in world.attempts if a.at < START + 120]) < 400
    assert min(a.ended for a in world.answers if a.served) <= START + 120 + 16
    assert {view.state for view in pool.snapshot(world.now)} == {State.HEALTHY}
    told = [a.fail for a in world.answers if a.fail is not None and not a.attempts]
    assert told
    assert {fail.reason for fail in told} == {Reason.ILL}
    assert all(fail.retry_after_s is not None and fail.retry_after_s <= 18 for fail in told)


def test_a_single_hiccup_is_repeated_once_after_a_short_random_pause() -> None:
    """F16: one 500, then fine: served, with one pause of at most a fifth of a second."""
    pauses = set()
    for seed in range(10):
        pool, world = make_pool(2), World(seed=seed)
        answer = world.one(Place(pool, in_turn(BROKEN, seconds=0.0)))
        assert answer.served
        assert len(answer.attempts) == 2
        pauses.add(answer.attempts[1].at - answer.attempts[0].at)
    assert all(0 <= pause <= 0.2 for pause in pauses)
    assert len(pauses) == 10


def test_a_thousand_bad_requests_leave_every_key_and_cell_as_it_was() -> None:
    """F17: one attempt each; nothing about the pool has changed."""
    pool, world = make_pool(3), World()
    before = pool.snapshot(START), repr(pool)
    place = Place(pool, always(Outcome(Kind.CALLER, status=400), seconds=0.0))
    for _ in range(1000):
        world.ask(place)
    world.run()
    assert len(world.attempts) == 1000
    assert (pool.snapshot(START), repr(pool)) == before
    assert pool.facts(START, 1e9) == []


def test_a_retired_model_is_remembered_for_a_day() -> None:
    """F18: gone everywhere: one attempt, then none for at least a day, and the answer stays 'gone'."""
    pool, world = make_pool(3), World()
    place = Place(pool, always(Outcome(Kind.MODEL_GONE, status=410)))
    assert len(world.one(place).attempts) == 1
    for hours in (1, 12, 23):
        world.now = START + hours * 3600
        answer = world.one(place)
        assert answer.attempts == []
        assert answer.fail is not None
        assert answer.fail.reason is Reason.GONE


def test_a_model_that_no_key_may_use_is_gone_and_one_that_another_key_may_use_is_served() -> None:
    """F18: 404 on one key only is served by the other; on all keys it is the answer."""
    pool, world = make_pool(2), World()
    lacks = Outcome(Kind.MODEL_ACCESS, status=404)
    assert world.one(Place(pool, by_key({"p#1": lacks}))).served
    fail = world.one(Place(pool, always(lacks), model="secret")).fail
    assert fail is not None
    assert fail.reason is Reason.GONE


def test_nonsense_is_tried_once_more_and_then_said_to_be_nonsense() -> None:
    """F22: a captive portal's page: one more try, then the outcome is the answer."""
    pool, world = make_pool(3), World()
    answer = world.one(Place(pool, always(Outcome(Kind.JUNK))))
    assert answer.fail is not None
    assert (answer.fail.reason, answer.fail.cause, len(answer.attempts)) == (Reason.FAILED, Kind.JUNK, 2)


def test_mixed_troubles_are_overcome_in_three_attempts() -> None:
    """F25: one key limited, one call broken, the third fine."""
    pool, world = make_pool(3), World()
    answer = world.one(Place(pool, by_key({"p#1": rate(30.0), "p#2": BROKEN})))
    assert answer.served
    assert len(answer.attempts) <= 4
    pool, world = make_pool(3), World()
    answer = world.one(Place(pool, in_turn(rate(30.0), BROKEN)))
    assert answer.served
    assert len(answer.attempts) == 3


def test_ten_bad_keys_stop_a_request_at_eight_and_the_next_one_goes_on_from_there() -> None:
    """F26: eight attempts, an honest 429; the next request skips what is known; one refusal per key and wait."""
    pool, world = make_pool(10), World()
    bad = {f"p#{i}": rate(60.0) for i in range(1, 10)}
    place = Place(pool, by_key(bad, seconds=0.01))
    first = world.one(place)
    assert first.fail is not None
    assert (first.fail.reason, len(first.attempts), first.fail.retry_after_s) == (Reason.RESTING, 8, 1)
    second = world.one(place)
    assert second.served
    assert len(second.attempts) == 2
    assert max(world.calls_by_key().values()) == 1


def test_an_empty_budget_makes_the_first_failure_the_answer() -> None:
    """F27: no tokens: no repetition, no change of key; tokens come back with time and requests."""
    pool, world = make_pool(3), World()
    while pool.budget.spend(1.0, world.now):
        pass
    answer = world.one(Place(pool, always(BROKEN)))
    assert answer.fail is not None
    assert (answer.fail.reason, len(answer.attempts)) == (Reason.FAILED, 1)
    world.now += 60
    assert world.one(Place(pool, in_turn(BROKEN))).served


# --- chains ---------------------------------------------------------------------------------------------------------


def test_when_every_key_of_the_first_target_is_limited_the_second_serves() -> None:
    """F28: the fallback is tried within the same request and the same deadline."""
    first, second, world = make_pool(2), make_pool(1, provider="q"), World()
    answer = world.one(Place(first, always(rate(30.0))), Place(second, always(), name="q"))
    assert answer.served
    assert [a.provider for a in answer.attempts] == ["p", "p", "q"]


def test_a_bad_request_is_not_carried_to_the_next_target() -> None:
    """F28: 400 at the first is the answer."""
    first, second, world = make_pool(2), make_pool(1, provider="q"), World()
    mistake = Outcome(Kind.CALLER, status=400)
    answer = world.one(Place(first, always(mistake)), Place(second, always(), name="q"))
    assert answer.fail is not None
    assert (answer.fail.outcome, len(answer.attempts)) == (mistake, 1)


def test_what_a_client_has_begun_to_read_is_never_repeated_elsewhere() -> None:
    """F28: the first target dies after the commit point: no second call."""
    first, second, world = make_pool(2), make_pool(1, provider="q"), World()
    answer = world.one(Place(first, always(BROKEN)), Place(second, always(), name="q"), commits=True)
    assert answer.fail is not None
    assert (answer.fail.reason, len(answer.attempts)) == (Reason.FAILED, 1)


def test_a_prompt_too_long_moves_on_only_to_a_larger_window() -> None:
    """F28: the exception for context length, and only with a declared larger one."""
    too_long = Outcome(Kind.CALLER, code="context_length_exceeded", status=400)
    for windows, served in (((8_000, 128_000), True), ((8_000, 8_000), False), ((8_000, None), False)):
        pools = make_pool(1), make_pool(1, provider="q")
        first = Place(pools[0], always(too_long), context=windows[0])
        answer = World().one(first, Place(pools[1], always(), name="q", context=windows[1]))
        assert answer.served is served
        assert answer.fail is None or answer.fail.outcome == too_long


def test_the_answer_for_a_chain_names_the_soonest_wait_over_all_targets() -> None:
    """F28: 300 s here, 20 s there: come back in about 20."""
    first, second, world = make_pool(1), make_pool(1, provider="q"), World()
    chain = Place(first, always(rate(300.0))), Place(second, always(rate(20.0)), name="q")
    fail = world.one(*chain).fail
    assert fail is not None
    assert fail.target == 1
    assert fail.retry_after_s is not None
    assert 20 <= fail.retry_after_s <= 23


def test_an_sdk_that_repeats_by_itself_is_not_multiplied() -> None:
    """F29: with `x-stainless-retry-count` no repetition of provider faults; SDK and proxy together make at most six."""
    pool, world = make_pool(3), World()
    place = Place(pool, always(BROKEN, seconds=0.0))
    world.one(place)
    world.one(place, sdk_retry=True)
    world.one(place, sdk_retry=True)
    assert len(world.attempts) <= 6


def test_an_sdks_own_repetition_may_still_change_keys() -> None:
    """F29: a key's fault is no reason to fail."""
    pool, world = make_pool(3), World()
    assert world.one(Place(pool, in_turn(RATE, RATE)), sdk_retry=True).served


# --- time and crowds ------------------------------------------------------------------------------------------------


def test_a_wall_clock_that_jumps_changes_no_wait() -> None:
    """F95: the pool never sees the wall clock but for what it writes down, and that follows the clock of the moment."""
    pool, world = make_pool(1, PoolRules(daily_scope=Scope.KEY)), World()
    world.one(Place(pool, always(Outcome(Kind.DAILY, wait_s=7200.0))))
    until_s = pool.snapshot(world.now)[0].until_s
    day = 86400.0
    moments = [fact.moment - wall for wall in (1e9, 1e9 + day, 1e9 - day) for fact in pool.facts(world.now, wall)]
    assert pool.snapshot(world.now)[0].until_s == until_s
    assert len(set(moments)) == 1


def test_a_stalled_loop_is_not_held_against_any_key() -> None:
    """F95: a stall makes calls time out together; the provider's breaker hears of it, the keys do not."""
    pool = make_pool(4)
    warm(pool)
    for lease in [pool.acquire("m", None, START, 0.0) for _ in range(20)]:
        assert isinstance(lease, Lease)
        pool.release(lease, Outcome(Kind.TRANSIENT), START + 5, 0.5)
    assert {view.state for view in pool.snapshot(START + 5)} == {State.HEALTHY}
    assert pool.outlook("m", None, START + 5).soonest is not None
    assert len(pool.eligible("m", None, START + 7)) == 4


def test_a_crowd_that_waited_comes_back_one_by_one_then_two_then_four() -> None:
    """F96: 300 wait for five keys that become free together: one call per key at first, all served within 2 s."""
    pool, world = make_pool(5, PoolRules(hint_jitter_s=0.0)), World(queue_limit=1000)
    for lease in [pool.acquire("m", None, START, 0.0) for _ in range(5)]:
        assert isinstance(lease, Lease)
        pool.release(lease, rate(4.0), START, 0.0)
    assert pool.eligible("m", None, START) == []
    place = Place(pool, always(seconds=0.1))
    for _ in range(300):
        world.ask(place)
    world.run()
    free = min(a.at for a in world.attempts)
    assert free >= START + 4
    assert len([a for a in world.attempts if a.at < free + 0.1]) == 5
    assert len([a for a in world.attempts if a.at < free + 0.3]) <= 5 + 2 * 5 + 4 * 5
    assert world.served() == 300
    assert max(answer.ended for answer in world.answers) <= free + 2


def test_when_the_probes_client_leaves_the_next_request_probes() -> None:
    """F97: a cancelled probe frees its place and leaves the key as it was."""
    pool, world = make_pool(1), World()
    world.one(Place(pool, always(rate(3.0), seconds=0.0)))
    place = Place(pool, always(seconds=0.5))
    world.now = START + 10
    world.ask(place, leaves_after_s=0.1)
    world.ask(place, at=START + 10.05)
    world.run()
    assert world.served() == 1
    assert world.attempts[-1].at <= START + 10.4
    assert pool.snapshot(world.now)[0].in_flight == 0
