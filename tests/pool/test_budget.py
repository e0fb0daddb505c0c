"""The retry budget."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from ollama_proxy.pool import RetryBudget


@settings(derandomize=True, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(("deposit", 0.2, 1.0)), st.sampled_from((0.0, 0.01, 1.0, 50.0))), max_size=200)
)
def test_what_is_spent_never_exceeds_what_came_in(events: list[tuple[str | float, float]]) -> None:
    """I12: over R requests in T seconds at most 10 + 0.2·R + 0.1·T is spent; the level stays between 0 and 10."""
    budget, now, requests, spent = RetryBudget(), 1000.0, 0, 0.0
    for what, seconds in events:
        now += seconds
        if isinstance(what, float):
            before = budget.level(now)
            taken = budget.spend(what, now)
            assert taken or before < what
            spent += what if taken else 0.0
        else:
            budget.deposit(now)
            requests += 1
        assert -1e-9 <= budget.level(now) <= 10
        assert spent <= 10 + 0.2 * requests + 0.1 * (now - 1000.0) + 1e-6


def test_a_key_change_per_request_never_drains_it() -> None:
    """What a request brings is what one change of key costs."""
    budget = RetryBudget()
    for _ in range(1000):
        budget.deposit(5.0)
        assert budget.spend(0.2, 5.0)
    assert budget.level(5.0) > 9.7


def test_ten_tokens_buy_exactly_fifty_key_changes() -> None:
    """Sums of tenths do not get lost in floats."""
    budget = RetryBudget()
    assert [budget.spend(0.2, 5.0) for _ in range(51)] == [True] * 50 + [False]


def test_time_alone_refills_it() -> None:
    """A quiet proxy is able to retry again after a while, and never beyond the brim."""
    budget = RetryBudget()
    while budget.spend(1.0, 100.0):
        pass
    assert not budget.spend(1.0, 109.0)
    assert budget.spend(1.0, 110.0)
    assert budget.level(1e6) == 10
    assert repr(budget) == "<RetryBudget 0.0 of 10>"
