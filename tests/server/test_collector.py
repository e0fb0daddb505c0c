"""The great rounds of the garbage collector come in quiet moments."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from ollama_proxy.server.collector import Collector

START = 1000.0


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    collector.begin(START)
    yield collector
    assert gc.get_threshold()[2] > 1_000_000
    collector.end()
    assert gc.get_threshold()[2] <= 100


def leave_work() -> None:
    """As many young rounds as make a great one worth it."""
    for _ in range(12):
        gc.collect(1)


def test_no_great_round_comes_by_itself(collector: Collector) -> None:
    """L10: nobody is kept waiting while many streams open, however many objects they make."""
    great: list[int] = []

    def note(phase: str, info: dict[str, int]) -> None:
        if phase == "stop" and info["generation"] == 2:
            great.append(info["collected"])

    gc.callbacks.append(note)
    try:
        kept = [[n] for n in range(300_000)]
    finally:
        gc.callbacks.remove(note)
    assert (len(kept), great) == (300_000, [])


def test_a_quiet_moment_is_used(collector: Collector) -> None:
    """P8: what did come to lie in cycles is found."""
    leave_work()
    cycle: list[object] = []
    cycle.append(cycle)
    del cycle
    assert collector.look(50, START + 31)
    assert not collector.look(0, START + 62)


def test_many_under_way_are_not_disturbed_for_ten_minutes(collector: Collector) -> None:
    """L10: and then they are, for memory has to have an end."""
    leave_work()
    assert not collector.look(51, START + 599)
    assert collector.look(51, START + 601)


def test_it_does_not_come_again_at_once(collector: Collector) -> None:
    """L10: half a minute at least lies between two."""
    leave_work()
    assert not collector.look(0, START + 29)
    assert collector.look(0, START + 31)
    leave_work()
    assert not collector.look(0, START + 32)
