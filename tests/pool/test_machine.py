"""The pool's properties over random calls, outcomes and times."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.support.pool_machine import PoolMachine


def test_the_pools_properties_hold_over_random_calls_outcomes_and_times() -> None:
    """I1 to I9, I15, I16, I18, I20, I21: see the machine's rules."""
    run_state_machine_as_test(
        PoolMachine,
        settings=settings(
            max_examples=300,
            stateful_step_count=40,
            derandomize=True,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
