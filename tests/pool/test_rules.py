"""How a hint or a default becomes a moment."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollama_proxy.consequences import CONSEQUENCES
from ollama_proxy.outcome import Kind
from ollama_proxy.pool.rules import PoolRules, believed_wait, moment

RULES = PoolRules()
HOUR, DAY = 3600.0, 86400.0


@pytest.mark.parametrize(
    ("kind", "hint", "believed"),
    [
        (Kind.RATE, 7.0, 7.0),
        (Kind.RATE, 34.07, 34.07),
        (Kind.RATE, 0.001, 0.25),
        (Kind.RATE, 99999999999.0, 26 * HOUR),
        (Kind.RATE, 20 * DAY, 26 * HOUR),
        (Kind.DAILY, 9 * HOUR, 9 * HOUR),
        (Kind.DAILY, 20 * DAY, 20 * DAY),
        (Kind.DAILY, 32 * DAY, 32 * DAY),
        (Kind.DAILY, 33 * DAY, 26 * HOUR),
        (Kind.RATE, None, None),
        (Kind.RATE, 0.0, None),
        (Kind.RATE, -1.0, None),
        (Kind.RATE, math.nan, None),
        (Kind.RATE, math.inf, None),
    ],
)
def test_a_hint_is_kept_clamped_or_ignored(kind: Kind, hint: float | None, believed: float | None) -> None:
    """F7, I5: within a quarter of a second and 26 hours, a month for monthly limits; nonsense is no hint."""
    assert believed_wait(RULES, kind, hint) == believed


@given(
    kind=st.sampled_from(list(Kind)),
    hint=st.none() | st.floats(),
    level=st.integers(0, 8),
    now=st.floats(0, 1e7),
    rnd=st.floats(0, 1, exclude_max=True),
)
def test_jitter_only_ever_makes_a_hinted_rest_later(
    kind: Kind, hint: float | None, level: int, now: float, rnd: float
) -> None:
    """F7, I3, I5: never an exception, never before the hint, never long after it."""
    until = moment(RULES, kind, hint, level, now, rnd)
    believed = believed_wait(RULES, kind, hint)
    if believed is not None:
        assert now + believed <= until <= now + believed + 1
    else:
        assert now <= until <= now + CONSEQUENCES[kind].longest_s + 1


@pytest.mark.parametrize(
    ("kind", "waits"),
    [
        (Kind.CREDENTIAL, [30, 60, 120, 240, 300, 300]),
        (Kind.RATE, [2, 4, 8, 16, 32, 60, 60]),
        (Kind.CAPACITY, [2, 4, 8, 16, 32, 60, 60]),
        (Kind.TRANSIENT, [1, 2, 4, 8, 15, 15]),
        (Kind.QUOTA, [3600, 3600]),
        (Kind.DAILY, [3600, 3600]),
        (Kind.MODEL_ACCESS, [3600, 3600]),
        (Kind.MODEL_GONE, [86400, 86400]),
    ],
)
def test_a_rest_without_a_hint_doubles_up_to_its_cap(kind: Kind, waits: list[float]) -> None:
    """The defaults of the table, from episode to episode."""
    almost_one = 1 - 1e-12
    jitter = 0.0 if CONSEQUENCES[kind].random else 1.0
    for level, wait in enumerate(waits):
        assert moment(RULES, kind, None, level, 0.0, almost_one) == pytest.approx(wait + jitter)
        least = moment(RULES, kind, None, level, 0.0, 0.0)
        assert least == pytest.approx(wait * (1 - CONSEQUENCES[kind].random))


def test_the_table_speaks_about_every_kind_of_outcome() -> None:
    """A new kind without a row would be noticed here."""
    assert set(CONSEQUENCES) == set(Kind)
