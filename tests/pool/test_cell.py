"""The machine of one cell."""

from __future__ import annotations

from ollama_proxy.outcome import Kind
from ollama_proxy.pool.breaker import Breaker
from ollama_proxy.pool.cell import Cell, State
from ollama_proxy.pool.rules import PoolRules

RULES = PoolRules()


def fallen(until: float = 10.0, *, exhausted: bool = False) -> Cell:
    """A cell in which call 1 failed while it was the newest."""
    cell = Cell("key")
    cell.blame(1, 1)
    cell.rest(until, 1, Kind.RATE, exhausted=exhausted)
    return cell


def test_a_rest_ends_by_itself_and_admits_one_probe() -> None:
    """COOLING, then HALF_OPEN without any timer; while the probe is out nobody else begins."""
    cell = fallen()
    assert (cell.state(9.9), cell.opens_at(9.9, 0.25)) == (State.COOLING, 10.0)
    assert (cell.state(10.0), cell.opens_at(10.0, 0.25)) == (State.HALF_OPEN, 10.0)
    cell.enter(2)
    assert cell.opens_at(10.0, 0.25) == 10.25


def test_after_a_good_probe_two_may_run_then_four_then_eight_then_all() -> None:
    """The ramp of a recovered cell."""
    cell, seq, rooms = fallen(), 1, []
    for _ in range(5):
        seq += 1
        cell.enter(seq)
        cell.succeed(seq, 20.0, RULES)
        cell.leave(seq)
        rooms.append(cell.room(20.0))
    assert rooms[:3] == [2, 4, 8]
    assert rooms[3] == float("inf")
    assert not cell.sick


def test_a_cancelled_probe_leaves_the_cell_half_open_for_the_next() -> None:
    """I6."""
    cell = fallen()
    cell.enter(2)
    cell.leave(2)
    assert cell.state(10.0) is State.HALF_OPEN
    assert cell.opens_at(10.0, 0.25) == 10.0


def test_a_failed_probe_raises_the_level_and_a_burst_raises_it_once() -> None:
    """A level counts episodes: calls that began before the fall belong to the same one."""
    cell = Cell("key")
    assert [cell.blame(seq, 5) for seq in (1, 2, 3)] == [0, 0, 0]
    cell.rest(10.0, 5, Kind.RATE, exhausted=False)
    assert cell.blame(4, 5) == 0
    cell.enter(6)
    assert cell.blame(6, 6) == 1


def test_a_later_report_never_ends_a_rest_earlier() -> None:
    """I4: the longer rest stays, and what it is called with it."""
    cell = fallen(3600.0, exhausted=True)
    cell.rest(10.0, 1, Kind.RATE, exhausted=False)
    assert (cell.until, cell.state(20.0)) == (3600.0, State.EXHAUSTED)


def test_the_success_of_a_call_that_began_before_the_fall_heals_nothing() -> None:
    """Old news: the answer to a long stream says nothing about now."""
    cell = fallen()
    cell.succeed(1, 20.0, RULES)
    assert cell.state(20.0) is State.HALF_OPEN


def test_a_probe_that_succeeds_within_a_newer_rest_does_not_end_it() -> None:
    """While the probe was out, an older call failed and named a time: that time is kept, and then probed."""
    cell = fallen()
    cell.enter(2)
    cell.rest(60.0, 2, Kind.RATE, exhausted=False)
    cell.succeed(2, 20.0, RULES)
    cell.leave(2)
    assert cell.state(20.0) is State.COOLING
    assert cell.state(60.0) is State.HALF_OPEN
    assert cell.opens_at(60.0, 0.25) == 60.0


def test_five_failures_in_a_row_open_the_breaker_and_a_sign_of_life_starts_the_count_anew() -> None:
    """The provider's cell counts; anything else it hears between sets the count back."""
    breaker = Breaker()
    for seq in range(1, 5):
        breaker.fail(seq, 9, Kind.TRANSIENT, RULES, 0.0, 0.5)
    breaker.failures = 0
    for seq in range(5, 9):
        breaker.fail(seq, 9, Kind.TRANSIENT, RULES, 0.0, 0.5)
    assert breaker.state(0.0) is State.HEALTHY
    breaker.fail(9, 9, Kind.TRANSIENT, RULES, 0.0, 0.5)
    assert breaker.state(0.0) is State.COOLING


def test_an_open_breaker_does_not_listen_to_old_failures_and_rests_fifteen_seconds_at_most() -> None:
    """Twenty calls fail together: one rest of a second. A provider that stays ill is asked every 15 s."""
    breaker, now, newest = Breaker(), 0.0, 20
    for seq in range(1, 21):
        breaker.fail(seq, newest, Kind.TRANSIENT, RULES, now, 1.0)
    assert breaker.until == 1.0
    rests = []
    for _ in range(8):
        now = breaker.until
        newest += 1
        breaker.enter(newest)
        breaker.fail(newest, newest, Kind.TRANSIENT, RULES, now, 1.0)
        breaker.leave(newest)
        rests.append(breaker.until - now)
    assert rests == [2, 4, 8, 15, 15, 15, 15, 15]
