"""The soak: its seed says what it does, what it finds is counted rightly, and some seconds of it find nothing."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from bench.machine import supported
from bench.soak.__main__ import soak
from bench.soak.books import Counts, Ledger, Log, Report, read_ledger, slope
from bench.soak.client import Note, judge
from bench.soak.plan import FAULTS, visits
from ollama_proxy.simulator.faults import find_fault
from ollama_proxy.simulator.providers import PROVIDERS
from tests.support.client_kinds import WAYS, Told

REST = Counts(descriptors=14, tasks=12, requests=0, leases=0)
NOTES = [Note(f"soak-0-{number}-", "ok", attempts=1) for number in range(2000)]


def calls(*names: str) -> Log:
    log = Log()
    for number, name in enumerate(names):
        log.add(number, "chat", f'{{"content": "{name} Say it."}}'.encode())
    return log


def report() -> Report:
    """Nothing is wrong."""
    log = calls(*(note.name for note in NOTES))
    samples = [(300.0 + number, 50.0) for number in range(0, 1500, 5)]
    return Report(NOTES, log, Ledger(2000, 0), REST, REST, samples, 1800.0)


def test_the_same_seed_plays_the_same() -> None:
    """F111: client by client, visit by visit; another seed or client plays something else."""

    def first(seed: int, client: int) -> list[object]:
        return list(itertools.islice(visits(seed, client), 200))

    assert first(7, 3) == first(7, 3)
    assert first(7, 3) != first(8, 3)
    assert first(7, 3) != first(7, 4)


def test_one_visit_in_twenty_meets_a_fault_and_every_protocol_is_spoken() -> None:
    """F111: by the seed's chance."""
    played = list(itertools.islice(visits(1, 1), 10_000))
    assert 0.04 < sum(bool(visit.fault) for visit in played) / len(played) < 0.06
    assert {visit.fault for visit in played} == {"", *FAULTS}
    assert {str(visit.way) for visit in played} == {str(way) for way in WAYS}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_one(fault: str) -> None:
    """The simulator knows the word, at every provider."""
    assert all(find_fault(provider, fault) for provider in PROVIDERS.values())


def test_an_answer_is_judged_by_its_words() -> None:
    """P5: complete with other words is wrong whatever was played; an error is a reason only where there was a fault."""
    visit = next(visits(1, 1))
    plain, faulty = replace(visit, fault=""), replace(visit, fault="cut")
    good = Told(200, {}, b"", True, text="Once.", complete=True)
    error = Told(502, {}, b"", True, error="no")
    assert judge(plain, good, "Once.") == ("ok", "")
    assert judge(faulty, replace(good, text="Onc"), "Once.")[0] == "wrong"
    assert judge(faulty, error, "Once.") == ("told", "")
    assert judge(plain, error, "Once.")[0] == "wrong"
    assert judge(plain, replace(error, status=429, headers={"retry-after": "1"}), "Once.") == ("turned away", "")
    assert judge(faulty, replace(error, error=""), "Once.")[0] == "wrong"


def test_the_books_are_read_from_the_metrics() -> None:
    """All outcomes of all providers."""
    text = (
        "# TYPE ollama_proxy_upstream_attempts_total counter\n"
        'ollama_proxy_upstream_attempts_total{provider="google",outcome="ok"} 40\n'
        'ollama_proxy_upstream_attempts_total{provider="qwen",outcome="cancelled"} 2\n'
        'ollama_proxy_requests_total{protocol="ollama",provider="google",status="200"} 40\n'
    )
    assert read_ledger(text) == Ledger(42, 2)


def test_a_free_repeat_is_known_by_its_connection() -> None:
    """F32: only where the connection had served before, and died without a byte."""
    log = Log()
    for connection, outcome in ((1, "chat"), (1, "close-first"), (2, "rst-first"), (2, "500")):
        log.add(connection, outcome, b"soak-1-1- Say it.")
    assert log.arrivals == Counter({"soak-1-1-": 4})
    assert log.repeats == Counter({"soak-1-1-": 1})


def test_memory_that_grows_has_a_slope() -> None:
    """MB in ten minutes; what only wavers has none."""
    assert slope([(number, 50 + number / 600) for number in range(0, 1200, 5)]) == pytest.approx(1.0)
    assert abs(slope([(number, 50 + number % 2) for number in range(1200)])) < 0.01


def test_a_soak_without_a_flaw_misses_no_bar() -> None:
    """And says so in as many lines as a screen has."""
    assert report().failures() == []
    assert len(report().lines()) == 8


@pytest.mark.parametrize(
    ("flaw", "told"),
    [
        ({"notes": [*NOTES, *[Note("soak-1-1-", "wrong", "it hangs")] * 3]}, "it hangs"),
        ({"notes": [*NOTES, *[Note("soak-1-1-", "turned away")] * 50]}, "turned away"),
        ({"notes": [replace(NOTES[0], attempts=2), *NOTES[1:]]}, "2 attempts told, 1 seen"),
        ({"ledger": Ledger(1999, 0)}, "one book only"),
        ({"ledger": Ledger(2002, 1)}, "one book only"),
        ({"after": replace(REST, leases=1)}, "leases: 0 before, 1 after"),
        ({"after": replace(REST, tasks=13)}, "tasks: 12 before, 13 after"),
        ({"samples": [(300.0 + n, 50 + n / 300) for n in range(0, 1500, 5)]}, "memory grows"),
        ({"errors": ["12:00:00 ERROR oops"]}, "oops"),
    ],
)
def test_each_flaw_misses_its_bar(flaw: dict[str, object], told: str) -> None:
    """F111: and is named."""
    failures = replace(report(), **flaw).failures()  # type: ignore[arg-type]
    assert any(told in line for line in failures), failures


@pytest.mark.skipif(not supported(), reason="reads Linux's /proc")
def test_some_seconds_of_everything_leave_nothing_behind(tmp_path: Path) -> None:
    """F65, F111, I19: faults, churn, every protocol, changing keys: both books agree, and all is as it was before."""
    found = asyncio.run(soak(5.0, 16, 1, tmp_path, pause_s=0.1, say=lambda _: None))
    assert len(found.notes) > 100
    assert found.failures() == []
