"""Owns how many requests a key may make: per minute, per day and per month, in each provider's own scope and calendar.

Pure: the time is an argument. Numbers of the free plans as published or reported in 2026-07.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo

__all__ = ["FREE", "Limits", "Quota", "Refusal"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Requests allowed; None is no limit.

    scope: what they are counted for besides the key: "model", "free" (OpenRouter: all `:free` models together), "key".
    """

    per_minute: int | None = None
    per_day: int | None = None
    per_month: int | None = None
    scope: str = "model"


@dataclass(frozen=True, slots=True)
class Refusal:
    """One request too many. kind: minute, day or month; wait_s: seconds until the next one is allowed."""

    kind: str
    limit: int
    wait_s: float


FREE: Mapping[str, Limits] = {
    "google": Limits(per_minute=5, per_day=20),
    "openrouter": Limits(per_minute=20, per_day=50, scope="free"),
    "cohere": Limits(per_minute=20, per_month=1000),
    "codestral": Limits(per_minute=30, per_day=2000, scope="key"),
}
#: Whose midnight ends the day.
_ZONES = {"google": "America/Los_Angeles"}


class Quota:
    """The books of all keys. accounts: label of a key -> account, of keys that are counted together."""

    def __init__(self, limits: Mapping[str, Limits], accounts: Mapping[str, str] | None = None) -> None:
        self._limits = limits
        self._accounts = accounts or {}
        self._minute: defaultdict[tuple[str, ...], deque[float]] = defaultdict(deque)
        self._count: defaultdict[tuple[str, ...], int] = defaultdict(int)

    def take(self, provider: str, key: str, model: str, now: float, wall: float) -> Refusal | None:
        """Count a request, or say why not. A refused one is not counted."""
        limits = self._limits.get(provider)
        if limits is None or (limits.scope == "free" and not model.endswith(":free")):
            return None
        key = self._accounts.get(key, key)
        cell = (provider, key, model if limits.scope == "model" else limits.scope)
        local = datetime.fromtimestamp(wall, _zone(provider))
        day, month = (*cell, local.strftime("%Y-%m-%d")), (provider, key, local.strftime("%Y-%m"))
        recent = self._minute[cell]
        while recent and recent[0] <= now - 60:
            recent.popleft()
        if limits.per_month is not None and self._count[month] >= limits.per_month:
            return Refusal("month", limits.per_month, _until_month(local))
        if limits.per_day is not None and self._count[day] >= limits.per_day:
            return Refusal("day", limits.per_day, _until_midnight(local))
        if limits.per_minute is not None and len(recent) >= limits.per_minute:
            return Refusal("minute", limits.per_minute, recent[0] + 60 - now)
        recent.append(now)
        self._count[day] += 1
        self._count[month] += 1
        return None

    def clear(self) -> None:
        """Forget everything."""
        self._minute.clear()
        self._count.clear()


def _zone(provider: str) -> tzinfo:
    name = _ZONES.get(provider)
    if name is None:
        return timezone.utc
    from zoneinfo import ZoneInfo

    return ZoneInfo(name)


def _until_midnight(local: datetime) -> float:
    start = (local + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return start.timestamp() - local.timestamp()


def _until_month(local: datetime) -> float:
    first = (local.replace(day=1) + timedelta(days=32)).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return first.timestamp() - local.timestamp()
