"""Owns time as Ollama writes and reads it: Go's durations, `keep_alive`, RFC 3339 stamps. Knows no clock.

Stamps always have nine fractional digits and `Z`: OllamaKit's Swift parser wants a fraction, LangChain4j misreads a
short one.
"""

from __future__ import annotations

import math
import re
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any

from ollama_proxy.errors import BadRequest
from ollama_proxy.protocols.ollama.fields import quoted

__all__ = ["parse_duration", "parse_keep_alive", "rfc3339", "second_text"]

_UNITS_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
#: What 64 bits of nanoseconds can hold, about 292 years.
_LONGEST_S = 2**63 / 1e9
_PART = re.compile(r"([0-9]*\.?[0-9]*)([^0-9.]*)")
#: The last second that RFC 3339's four-digit years can name.
_LAST_SECOND = 253402300799


def parse_duration(text: str) -> float:
    """Seconds for a duration such as `1h30m`, `300ms`, `-1m` or `0`.

    Raises: BadRequest in the words of Go's time package.
    """
    rest = text[1:] if text[:1] in ("+", "-") else text
    if rest == "0":
        return 0.0
    total = 0.0
    at = 0
    while at < len(rest) or at == 0:
        part = _PART.match(rest, at)
        assert part is not None
        number, unit = part.groups()
        if number in ("", "."):
            raise BadRequest(f"time: invalid duration {quoted(text)}")
        if not unit:
            raise BadRequest(f"time: missing unit in duration {quoted(text)}")
        if unit not in _UNITS_S:
            raise BadRequest(f"time: unknown unit {quoted(unit)} in duration {quoted(text)}")
        total += float(number) * _UNITS_S[unit]
        at = part.end()
    if total > _LONGEST_S:
        raise BadRequest(f"time: invalid duration {quoted(text)}")
    return -total if text[0] == "-" else total


def parse_keep_alive(value: Any) -> float | None:
    """Seconds that a model stays loaded; infinity for any negative value, None for the server's default.

    Raises: BadRequest
    """
    if value is None:
        return None
    if isinstance(value, str):
        seconds = parse_duration(value)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        seconds = float(value)
    else:
        go = {bool: "bool", list: "[]interface {}", dict: "map[string]interface {}"}[type(value)]
        raise BadRequest(f"Unsupported type: '{go}'")
    return math.inf if seconds < 0 or seconds > _LONGEST_S else seconds


@lru_cache(maxsize=8)
def second_text(second: int) -> bytes:
    """`2026-08-21T18:48:22.` for an epoch second: all of a stamp but its fraction and `Z`."""
    moment = datetime.fromtimestamp(min(max(second, 0), _LAST_SECOND), timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.").encode()


def rfc3339(epoch: float) -> bytes:
    """`2026-08-21T18:48:22.385406455Z` for epoch seconds."""
    second = math.floor(epoch) if math.isfinite(epoch) else _LAST_SECOND
    fraction = epoch - second if math.isfinite(epoch) else 0.0
    return b"%b%09dZ" % (second_text(second), fraction * 1e9)
