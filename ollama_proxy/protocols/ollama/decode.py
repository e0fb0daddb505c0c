"""Owns how a request body becomes a JSON value: as generous as Ollama, and with its words where it is not.

Whatever the Content-Type says, the first JSON value counts and what follows is ignored; wrong UTF-8 inside strings and
lone surrogates become U+FFFD; a BOM, NaN and broken text are refused. Knows no endpoint.
Rules: Ollama 0.33's behaviour; its bodies go through Go's encoding/json.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

import msgspec

from ollama_proxy.errors import BadRequest
from ollama_proxy.hub.guard import check_structure
from ollama_proxy.protocols.ollama.scan import why_broken

__all__ = ["decode_body"]

#: Longer numbers are refused: nothing that we serve needs them, and turning them into digits costs square time.
_LONGEST_NUMBER = 400

#: Finding Go's words takes about a microsecond per byte; beyond this size the plain parser's own words must do.
_EXPLAINED = 100_000
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")

_decode = msgspec.json.Decoder().decode


def decode_body(body: bytes) -> Any:
    """The first JSON value in a request body: dict, list, str, int, float, bool or None.

    Raises: BadRequest in Go's words; TooLarge for more structure than any request needs.
    """
    check_structure(body)
    try:
        return _decode(body)
    except ValueError:
        return _decode_slowly(body)


def _decode_slowly(body: bytes) -> Any:
    """The same for a body that the strict decoder refused: trailing text, odd Unicode, or really broken."""
    text = body.lstrip(b" \t\r\n")
    if not text:
        raise BadRequest("missing request body")
    try:
        value, _ = _LENIENT.raw_decode(text.decode("utf-8", "replace"))
    except json.JSONDecodeError as error:
        raise BadRequest(_why(text, error)) from None
    return _mended(value) if _SURROGATE.search(text) else value


def _why(text: bytes, error: json.JSONDecodeError) -> str:
    """What to tell about text that nobody can read."""
    if len(text) <= _EXPLAINED:
        return why_broken(text) or "invalid JSON"
    return f"invalid JSON near character {error.pos}: {error.msg}"


def _refuse(constant: str) -> NoReturn:
    # NaN, Infinity, -Infinity: Python's additions to JSON.
    raise json.JSONDecodeError("Expecting value", constant, 0)


def _float(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise _too_large(digits)
    return number


def _int(digits: str) -> int:
    if len(digits) > _LONGEST_NUMBER:
        raise _too_large(digits)
    return int(digits)


def _too_large(digits: str) -> BadRequest:
    return BadRequest(f"json: cannot unmarshal number {digits[:40]} into Go value of type float64")


_LENIENT = json.JSONDecoder(parse_constant=_refuse, parse_float=_float, parse_int=_int)


def _mended(value: Any) -> Any:
    r"""The value with lone halves of surrogate pairs, which no UTF-8 text can hold, replaced by U+FFFD."""
    # After decoding, because there are far fewer strings than there can be escapes.
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, list):
        return [_mended(item) for item in value]
    if isinstance(value, dict):
        return {_mended(key): _mended(item) for key, item in value.items()}
    return value
