"""Owns how long a provider asks us to wait: every spelling of it, as seconds from now. Pure; `wall` comes in.

First that makes sense wins: retry-after-ms, Retry-After (a date counts from the answer's own Date), Google's RetryInfo,
the message's words, reset headers (those of a spent allowance before others). What makes no sense is no hint, and no
hint ever leaves the bounds below. Header forms: RFC 9110, 10.2.3; the reset headers are each vendor's own.
"""

from __future__ import annotations

import calendar
import math
import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone, tzinfo

__all__ = ["DAY_LIMIT_S", "MONTH_LIMIT_S", "clamp", "duration", "moment", "spent_for", "until", "wait_of"]

SHORTEST_S = 0.25
#: A day and a little, for clocks that differ.
DAY_LIMIT_S = 26 * 3600.0
MONTH_LIMIT_S = 32 * 86400.0

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PIECE = r"\d+(?:\.\d+)? {0,2}(?:milliseconds?|ms|seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d)\b"
#: "34.48s", "1m12s", "2m59.56s", "1h30m": pieces without a break between unit and next number.
_RUN = r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+"
_ONE = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|milli|s|m|h|d)[a-z]*", re.IGNORECASE)
_PROSE = re.compile(
    r"(?:retry|try again|wait|available|resets?)(?: again| it)?(?: in| after| for| about)? {0,2}"
    rf"({_RUN}\b|{_PIECE}(?:,? (?:and )?{_PIECE}){{0,3}})",
    re.IGNORECASE,
)
_ISO_SPAN = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?", re.IGNORECASE)
_ISO_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:\.\d+)?(Z|[+-]\d\d:?\d\d)?", re.IGNORECASE)
_HTTP_DATE = re.compile(r"(?:\w{3,9},\s*)?(\d{1,2})[ -](\w{3})[ -](\d{4}) (\d\d):(\d\d):(\d\d) GMT", re.IGNORECASE)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_RESET = re.compile(r"(?:x-)?ratelimit(?:bysize)?-reset(?:-[a-z-]+)?")


def spent_for(headers: Mapping[bytes, bytes], wall: float) -> float | None:
    """Seconds until an allowance returns that a good answer just used up; None while something is left."""
    if not any(value == b"0" and b"ratelimit" in name and b"remaining" in name for name, value in headers.items()):
        return None
    plain = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in headers.items()}
    spent = {
        name.replace("remaining", "reset") for name, value in plain.items() if value == "0" and "remaining" in name
    }
    waits = [_useful(moment(plain[name], wall)) for name in spent if name in plain and _RESET.fullmatch(name)]
    return max((wait for wait in waits if wait is not None), default=None)


def clamp(seconds: float | None, limit_s: float = DAY_LIMIT_S) -> float | None:
    """A wait within bounds; None for what is no wait at all."""
    if seconds is None or not math.isfinite(seconds) or seconds <= 0:
        return None
    return min(max(seconds, SHORTEST_S), limit_s)


def wait_of(
    headers: Mapping[bytes, bytes],
    wall: float,
    *,
    delays: Iterable[str] = (),
    text: str = "",
    inner: Mapping[str, str] | None = None,
) -> float | None:
    """Seconds to wait, unclamped, or None.

    delays: what google.rpc.RetryInfo said. text: the provider's words. inner: rate-limit headers inside the body.
    """
    plain = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in headers.items()}
    for name in ("retry-after-ms", "x-ms-retry-after-ms"):
        if (ms := _useful(_number(plain.get(name)))) is not None:
            return ms / 1000
    if (wait := _useful(_retry_after(plain, wall))) is not None:
        return wait
    for delay in delays:
        if (wait := _useful(duration(delay))) is not None:
            return wait
    if (wait := _useful(_prose(text))) is not None:
        return wait
    return _reset({**{k.lower(): v for k, v in (inner or {}).items()}, **plain}, wall)


def duration(text: str) -> float | None:
    """Seconds in a span: "34s", "34.07s", "900ms", "1m2.5s", "6m0s", "2 hours", "PT1M30S", "60"."""
    text = text.strip()
    number = _number(text)
    if number is not None:
        return number
    if (match := _ISO_SPAN.fullmatch(text)) and any(match.groups()):
        days, hours, minutes, seconds = (float(g or 0) for g in match.groups())
        return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    pieces = _ONE.findall(text)
    if not pieces or _ONE.sub("", text).strip(" ,and"):
        return None
    return sum(float(number) * _UNITS["ms" if unit.lower() == "milli" else unit.lower()] for number, unit in pieces)


def moment(text: str, wall: float) -> float | None:
    """Seconds until a reset that is given as a span, an epoch (s or ms) or a time of day and date."""
    number = _number(text)
    if number is not None:
        if number >= 1e12:
            return number / 1000 - wall
        return number - wall if number >= 1e9 else number
    if match := _ISO_TIME.fullmatch(text.strip()):
        year, month, day, hour, minute, second = (int(g) for g in match.groups()[:6])
        return _epoch(year, month, day, hour, minute, second) - _offset(match[7]) - wall
    return duration(text)


def until(reset: str, wall: float) -> float:
    """Seconds until a provider's known reset: "midnight ZONE" or "month ZONE"."""
    kind, _, zone = reset.partition(" ")
    here = datetime.fromtimestamp(wall, _zone(zone))
    if kind == "month":
        year, month = divmod(here.year * 12 + here.month, 12)
        turn = here.replace(year=year, month=month + 1, day=1, hour=0, minute=0, second=0, microsecond=0, fold=0)
    else:
        day = here.date() + timedelta(days=1)
        turn = datetime(day.year, day.month, day.day, tzinfo=here.tzinfo)
    return turn.timestamp() - wall


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return timezone.utc
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # not needed until a day is used up

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError):
        # Without zone data: eight hours behind, right in winter and an hour late in summer, never early.
        return timezone(timedelta(hours=-8))


def _useful(seconds: float | None) -> float | None:
    return seconds if seconds is not None and math.isfinite(seconds) and seconds > 0 else None


def _number(text: str | None) -> float | None:
    """A plain decimal number; of a repeated field the first."""
    if text is None:
        return None
    text = text.split(",")[0].strip()
    if not re.fullmatch(r"\d{1,20}(?:\.\d{1,12})?", text):
        return None
    return float(text)


def _retry_after(headers: Mapping[str, str], wall: float) -> float | None:
    value = headers.get("retry-after", "")
    number = _number(value)
    if number is not None:
        return moment(value, wall)
    then = _http_date(value)
    if then is None:
        return duration(value) if value else None
    now = _http_date(headers.get("date", ""))
    return then - (wall if now is None else now)


def _http_date(text: str) -> float | None:
    match = _HTTP_DATE.search(text)
    if match is None or match[2].lower() not in _MONTHS:
        return None
    day, year, hour, minute, second = (int(match[i]) for i in (1, 3, 4, 5, 6))
    return _epoch(year, _MONTHS.index(match[2].lower()) + 1, day, hour, minute, second)


def _epoch(year: int, month: int, day: int, hour: int, minute: int, second: int) -> float:
    try:
        return float(calendar.timegm((year, month, day, hour, minute, second)))
    except (ValueError, OverflowError):
        return math.nan


def _offset(zone: str | None) -> float:
    if not zone or zone.upper() == "Z":
        return 0.0
    sign = -1 if zone[0] == "-" else 1
    return float(sign * (int(zone[1:3]) * 3600 + int(zone[-2:]) * 60))


def _prose(text: str) -> float | None:
    match = _PROSE.search(text[:2000])
    return None if match is None else duration(match[1])


def _reset(headers: Mapping[str, str], wall: float) -> float | None:
    """The latest reset among spent allowances; where none says it is spent, the earliest of all."""
    spent: list[float] = []
    others: list[float] = []
    for name, value in headers.items():
        if not _RESET.fullmatch(name) or (wait := _useful(moment(value, wall))) is None:
            continue
        remaining = _number(headers.get(name.replace("reset", "remaining")))
        (spent if remaining == 0 else others).append(wait)
    return max(spent) if spent else min(others, default=None)
