"""Owns the second look at JSON that a strict decoder refused. Knows no message shape.

Providers do send lone surrogates, broken UTF-8, NaN and integers of hundreds of digits now and then. Losing an answer
over one of them helps nobody; passing them on would break the client. So: read what can be read, as clean values.
"""

from __future__ import annotations

import json
import re
from typing import Any

from ollama_proxy.errors import UpstreamJunk

__all__ = ["loads_loosely", "mend_surrogates"]

# Every escape in turn, so that an escaped backslash before a "u" is not mistaken for an escape of its own.
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}(?P<low>\\u[dD][c-fC-F][0-9a-fA-F]{2})?|(?P<lone>u[dD][c-fC-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
#: Python refuses longer integers (its own guard against quadratic time); as a float they would be infinite.
_MAX_DIGITS = 4000


def mend_surrogates(data: bytes) -> bytes:
    r"""JSON text in which every lone surrogate escape has become `\ufffd`; pairs stay as they are."""
    return _ESCAPE.sub(_mend, data)


def _mend(match: re.Match[bytes]) -> bytes:
    escape = match[0]
    if match["lone"] is not None or (len(escape) == 6 and escape[:3].lower() == rb"\ud"):
        return rb"\ufffd"
    return escape


def loads_loosely(data: bytes) -> Any:
    """The value in this JSON text as plain, clean Python values; NaN, infinity and giant integers become None.

    Raises: UpstreamJunk when it is not JSON at all.
    """
    text = mend_surrogates(data).decode("utf-8", "replace")
    try:
        return json.loads(text, strict=False, parse_constant=_nothing, parse_int=_integer, parse_float=_float)
    except (ValueError, RecursionError) as error:
        raise UpstreamJunk("The provider's answer is not valid JSON.") from error


def _nothing(_: str) -> None:
    return None


def _integer(digits: str) -> int | None:
    return int(digits) if len(digits) < _MAX_DIGITS else None


def _float(digits: str) -> float | None:
    number = float(digits)
    return number if number - number == 0 else None
