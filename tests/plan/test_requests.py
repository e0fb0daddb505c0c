"""The properties of whole requests over random providers, keys and clients."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from ollama_proxy.outcome import Outcome
from tests.support.request_scripts import (
    KEY_FAULTS,
    Script,
    check_honest_wait,
    check_one_good_key,
    check_script,
    scripts,
)

bounded = settings(max_examples=150, derandomize=True, deadline=None, database=None)


@bounded
@given(scripts)
def test_attempts_waits_and_budgets_stay_within_their_bounds(script: Script) -> None:
    """I11, I12, I13, I14, P3: whatever providers, keys and clients do."""
    check_script(script)


@bounded
@given(
    count=st.integers(1, 8),
    good=st.integers(0, 7),
    faults=st.lists(
        st.builds(Outcome, kind=st.sampled_from(KEY_FAULTS), wait_s=st.sampled_from((None, 5.0))),
        min_size=1,
        max_size=7,
    ),
    requests=st.integers(1, 12),
    seed=st.integers(0, 5),
)
def test_one_good_key_among_eight_is_enough(
    count: int, good: int, faults: Sequence[Outcome], requests: int, seed: int
) -> None:
    """P1, I11: every request is served, in whatever way the other keys are bad."""
    check_one_good_key(count, good, faults, requests, seed)


@bounded
@given(hints=st.lists(st.floats(1.0, 5000.0), min_size=1, max_size=5), seed=st.integers(0, 20))
def test_the_wait_that_a_client_is_told_is_honest(hints: Sequence[float], seed: int) -> None:
    """I17: at least one second, at least the true soonest, at most the spread more."""
    check_honest_wait(hints, seed)
