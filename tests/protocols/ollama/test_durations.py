from __future__ import annotations

import contextlib
import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollama_proxy.errors import BadRequest
from ollama_proxy.protocols.ollama.durations import parse_duration, parse_keep_alive, rfc3339


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (300, 300.0),
        (0.5, 0.5),
        (0, 0.0),
        (-1, math.inf),
        (-0.5, math.inf),
        ("5m", 300.0),
        ("1h30m", 5400.0),
        ("300ms", 0.3),
        ("1.5s", 1.5),
        (".5s", 0.5),
        ("2us", 2e-6),
        ("2µs", 2e-6),
        ("+10m", 600.0),
        ("0", 0.0),
        ("0s", 0.0),
        ("-0s", 0.0),
        ("-1m", math.inf),
        (1e300, math.inf),
        (None, None),
    ],
)
def test_keep_alive_takes_numbers_and_durations(given: Any, seconds: float | None) -> None:
    """Numbers are seconds, negative ones mean for ever, null leaves it to the server (C99)."""
    assert parse_keep_alive(given) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("300", 'time: missing unit in duration "300"'),
        ("-1", 'time: missing unit in duration "-1"'),
        ("", 'time: invalid duration ""'),
        ("x", 'time: invalid duration "x"'),
        ("m", 'time: invalid duration "m"'),
        ("-", 'time: invalid duration "-"'),
        ("1m.", 'time: invalid duration "1m."'),
        ("5 m", 'time: unknown unit " m" in duration "5 m"'),
        ("5d", 'time: unknown unit "d" in duration "5d"'),
        ("9999999h", 'time: invalid duration "9999999h"'),
        (True, "Unsupported type: 'bool'"),
        ([], "Unsupported type: '[]interface {}'"),
        ({}, "Unsupported type: 'map[string]interface {}'"),
    ],
)
def test_a_wrong_keep_alive_is_told_in_gos_words(given: Any, words: str) -> None:
    """C100."""
    with pytest.raises(BadRequest, match=f"^{re.escape(words)}$"):
        parse_keep_alive(given)


@given(st.integers(0, 100), st.integers(0, 59), st.integers(0, 59))
def test_parts_of_a_duration_add_up(hours: int, minutes: int, seconds: int) -> None:
    """As Go writes them."""
    assert parse_duration(f"{hours}h{minutes}m{seconds}s") == hours * 3600 + minutes * 60 + seconds


@given(st.text(max_size=12))
def test_any_text_is_a_duration_or_a_bad_request(text: str) -> None:
    """No other failure comes out."""
    with contextlib.suppress(BadRequest):
        assert math.isfinite(parse_duration(text))


@pytest.mark.parametrize(
    ("epoch", "text"),
    [
        (0, b"1970-01-01T00:00:00.000000000Z"),
        (1787338102.5, b"2026-08-21T18:48:22.500000000Z"),
        (math.inf, b"9999-12-31T23:59:59.000000000Z"),
        (1e15, b"9999-12-31T23:59:59.000000000Z"),
    ],
)
def test_a_stamp_has_nine_fractional_digits_and_a_z(epoch: float, text: bytes) -> None:
    """Some Swift and Java clients read nothing else (C62)."""
    assert rfc3339(epoch) == text


@given(st.floats(0, 4e9))
def test_every_stamp_has_the_same_form(epoch: float) -> None:
    """Whatever the moment (C40, C62)."""
    assert re.fullmatch(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", rfc3339(epoch))
