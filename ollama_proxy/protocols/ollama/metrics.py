"""Owns the six numbers at the end of an answer. Knows no clock: moments come in as monotonic seconds.

Clients divide by these durations and read them as integers, so each is a whole number of nanoseconds and at least 1;
a span that nobody measured is 1. Counts are the provider's; where it reported none they are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Moments", "count", "durations", "render_metrics"]


@dataclass(slots=True)
class Moments:
    """When things happened, in monotonic seconds. None: not seen, as in an answer that came in one piece."""

    started: float
    opened: float | None = None
    first: float | None = None


def durations(moments: Moments, now: float) -> tuple[int, int, int, int]:
    """(total, load, prompt_eval, eval) in nanoseconds.

    load is the way to the attempt that answered, prompt_eval the wait for its first piece, eval the rest; total is
    never less than their sum.
    """
    opened = moments.started if moments.opened is None else moments.opened
    first = opened if moments.first is None else moments.first
    load, prompt, evaluation = _ns(opened - moments.started), _ns(first - opened), _ns(now - first)
    return max(_ns(now - moments.started), load + prompt + evaluation), load, prompt, evaluation


def render_metrics(moments: Moments, now: float, usage: Mapping[str, Any] | None) -> bytes:
    """`,"total_duration":…` to `,"eval_duration":…`."""
    total, load, prompt, evaluation = durations(moments, now)
    return b',"total_duration":%d,"load_duration":%d%b,"prompt_eval_duration":%d%b,"eval_duration":%d' % (
        total,
        load,
        _count_field(b"prompt_eval_count", count(usage, "prompt_tokens")),
        prompt,
        _count_field(b"eval_count", count(usage, "completion_tokens")),
        evaluation,
    )


def count(usage: Mapping[str, Any] | None, key: str) -> int | None:
    """A token count as the provider reported it; None where it reported none that makes sense."""
    value = usage.get(key) if usage else None
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 2**53:
        return int(value)
    return None


def _count_field(name: bytes, value: int | None) -> bytes:
    return b"" if value is None else b',"%b":%d' % (name, value)


def _ns(seconds: float) -> int:
    return max(1, int(seconds * 1e9))
