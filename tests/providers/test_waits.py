"""How long to wait: every spelling that providers use."""

from __future__ import annotations

import math
from datetime import datetime, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ollama_proxy.outcome import Kind, Reply
from ollama_proxy.providers import load
from ollama_proxy.providers.waits import DAY_LIMIT_S, clamp, duration, moment, spent_for, until, wait_of

NOW = 1790000000.0  # 2026-09-21 14:13:20 UTC


def wait(text: str = "", *delays: str, **headers: str) -> float | None:
    return wait_of(
        {k.replace("_", "-").encode(): v.encode() for k, v in headers.items()}, NOW, delays=delays, text=text
    )


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("34s", 34.0),
        ("34.07s", 34.07),
        ("900ms", 0.9),
        ("1m2.5s", 62.5),
        ("6m0s", 360.0),
        ("2m59.56s", 179.56),
        ("1h30m", 5400.0),
        ("2 hours", 7200.0),
        ("1 hour 5 minutes", 3900.0),
        ("PT1M30S", 90.0),
        ("P1DT1H", 90000.0),
        ("60", 60.0),
        ("7.66", 7.66),
    ],
)
def test_a_duration_is_read(text: str, seconds: float) -> None:
    """F7: Go's durations, words, ISO 8601, plain seconds."""
    assert duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", "soon", "-1", "-5s", "NaN", "inf", "1e309", "1e5", "5x", "s", "P", "PT", "1m and more"]
)
def test_what_is_no_duration_is_no_hint(text: str) -> None:
    """F7: nonsense is ignored, never an exception."""
    assert duration(text) is None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("1.5", 1.5),
        ("7, 7", 7.0),
        ("Mon, 21 Sep 2026 14:14:20 GMT", 60.0),
        ("1790000030", 30.0),
        ("1790000030000", 30.0),
        ("2m", 120.0),
    ],
)
def test_retry_after_is_read(value: str, seconds: float) -> None:
    """F6, F7: whole seconds, decimals, a date, a repeated field; some send an epoch."""
    assert wait(retry_after=value) == pytest.approx(seconds)


def test_a_date_counts_from_the_answers_own_clock() -> None:
    """F7: a provider whose clock is an hour ahead still means one minute."""
    skewed = wait(retry_after="Mon, 21 Sep 2026 15:14:20 GMT", date="Mon, 21 Sep 2026 15:13:20 GMT")
    assert skewed == pytest.approx(60.0)


@pytest.mark.parametrize(
    "value", ["-1", "0", "NaN", "1e309", "", "tomorrow", "Mon, 21 Sep 2026 14:13:19 GMT", "Mon, 99 Zzz 2026"]
)
def test_a_retry_after_that_makes_no_sense_is_ignored(value: str) -> None:
    """F7: a past date and nothing at all are no hints."""
    assert wait(retry_after=value) is None


def test_the_order_of_trust() -> None:
    """What is meant for machines, then Google's own, then words, then resets."""
    everything = {
        "retry_after_ms": "1500",
        "retry_after": "20",
        "x_ratelimit_reset": "50",
        "x_ratelimit_remaining": "0",
    }
    assert wait("retry in 40s", "30s", **everything) == 1.5
    del everything["retry_after_ms"]
    assert wait("retry in 40s", "30s", **everything) == 20
    del everything["retry_after"]
    assert wait("retry in 40s", "30s", **everything) == 30
    assert wait("retry in 40s", **everything) == 40
    assert wait(**everything) == 50


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Please retry in 34.482914s.", 34.482914),
        ("Please try again in 7.66s. Need more tokens?", 7.66),
        ("no deployments available, try again in 60 seconds. passed model=x", 60.0),
        ("try again in 1m12s.", 72.0),
        ("Retry after 20 seconds", 20.0),
        ("please wait 30 seconds before the next", 30.0),
        ("try again in 2 minutes and 3 seconds", 123.0),
        ("your limit resets in 5 hours", 18000.0),
        ("try again in 350ms", 0.35),
    ],
)
def test_words_are_read(text: str, seconds: float) -> None:
    """Several providers say it to people only."""
    assert wait(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["try again later", "retry 3 times", "limit 20 requests per minute", "wait for it", "retry in a minute"]
)
def test_other_words_are_no_hint(text: str) -> None:
    """A number beside a limit is not a time to wait."""
    assert wait(text) is None


def test_a_spent_allowance_counts_before_one_with_something_left() -> None:
    """Groq names the day's reset and the minute's; only one of them is the reason."""
    headers = {
        "x_ratelimit_remaining_requests": "900",
        "x_ratelimit_reset_requests": "2m59.56s",
        "x_ratelimit_remaining_tokens": "0",
        "x_ratelimit_reset_tokens": "7.66s",
    }
    assert wait(**headers) == pytest.approx(7.66)


def test_of_several_spent_allowances_the_last_to_return_counts() -> None:
    """Coming back after the first would be too early."""
    headers = {
        "x_ratelimit_remaining_requests_day": "0",
        "x_ratelimit_reset_requests_day": "3600",
        "x_ratelimit_remaining_tokens_minute": "0",
        "x_ratelimit_reset_tokens_minute": "30",
    }
    assert wait(**headers) == 3600


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("1790000040000", 40.0), ("1790000040", 40.0), ("40", 40.0), ("2026-09-21T14:14:00Z", 40.0), ("40s", 40.0)],
)
def test_a_reset_is_a_span_or_a_moment(value: str, seconds: float) -> None:
    """F7, F10: epoch milliseconds, epoch seconds, seconds, ISO 8601, a duration."""
    assert moment(value, NOW) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("seconds", "kept"),
    [
        (None, None),
        (0.0, None),
        (-1.0, None),
        (math.nan, None),
        (math.inf, None),
        (0.01, 0.25),
        (99999999999.0, DAY_LIMIT_S),
    ],
)
def test_a_wait_stays_within_bounds(seconds: float | None, kept: float | None) -> None:
    """F7: a quarter of a second to 26 hours."""
    assert clamp(seconds) == kept


def test_a_giant_number_rests_a_key_for_a_day_at_most() -> None:
    """F7: 99999999999 seconds are three thousand years."""
    outcome = load()["together"].classify(Reply(429, {b"retry-after": b"99999999999"}), "m", NOW)
    assert (outcome.kind, outcome.wait_s) == (Kind.RATE, DAY_LIMIT_S)


@pytest.mark.parametrize("zone", ["UTC", "America/Los_Angeles", "Nowhere/Land"])
@given(wall=st.floats(1.7e9, 2.2e9))
@settings(deadline=None)
def test_a_reset_lies_ahead_and_within_its_period(zone: str, wall: float) -> None:
    """F95: whatever the clock says, a day ends within 25 hours and a month within 31 days and an hour."""
    assert 0 < until(f"midnight {zone}", wall) <= 25 * 3600
    assert 0 < until(f"month {zone}", wall) <= 31 * 86400 + 3600


@given(wall=st.floats(1.7e9, 2.2e9))
@settings(deadline=None)
def test_the_utc_day_ends_at_midnight(wall: float) -> None:
    """F10."""
    end = datetime.fromtimestamp(round(wall + until("midnight UTC", wall)), timezone.utc)
    assert (end.hour, end.minute, end.second) == (0, 0, 0)


@settings(deadline=None)
@given(value=st.text(max_size=40), name=st.sampled_from(["retry-after", "retry-after-ms", "x-ratelimit-reset", "date"]))
def test_no_header_breaks_the_reader(value: str, name: str) -> None:
    """F7: an exception here would cost a request."""
    result = wait_of({name.encode(): value.encode("utf-8", "replace")}, NOW, text=value, delays=[value])
    assert result is None or result > 0


def test_a_good_answer_can_say_that_it_was_the_last() -> None:
    """A key that has nothing left rests before it is refused."""
    headers = {b"x-ratelimit-remaining-requests": b"0", b"x-ratelimit-reset-requests": b"12s"}
    assert load()["groq"].foresee(headers, NOW).wait_s == 12.0
    assert spent_for({b"x-ratelimit-remaining-requests": b"1", b"x-ratelimit-reset-requests": b"12s"}, NOW) is None
    assert spent_for({b"x-ratelimit-remaining-requests": b"0"}, NOW) is None
