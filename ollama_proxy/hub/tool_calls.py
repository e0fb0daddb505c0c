"""Owns what makes a model's tool calls fit to be told: an id of its own for each, arguments that are a JSON object.

Knows no client protocol.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from ollama_proxy.errors import UpstreamJunk
from ollama_proxy.hub.calls import ToolCall
from ollama_proxy.hub.ids import make_call_id
from ollama_proxy.hub.loose import mend_surrogates

__all__ = ["ToldCall", "told_calls"]

_decode = msgspec.json.Decoder().decode
#: Models write raw line breaks into strings; that is all that may be wrong.
_LENIENT = json.JSONDecoder(strict=False)

#: From one chance to another that was not there yet: chance may say the same twice.
_STEP = 0.6180339887


def _give_up(_name: str, _arguments: str) -> None:
    """Makes nothing of arguments that are no object."""


class ToldCall(NamedTuple):
    """A call as it may be told. arguments: compact JSON text of an object."""

    id: str
    name: str
    arguments: bytes


def told_calls(
    calls: list[ToolCall],
    finish: str | None,
    rnd: Callable[[], float],
    rescue: Callable[[str, str], str | None] = _give_up,
) -> list[ToldCall]:
    """The calls of a finished answer, in order, each under an id that no other has.

    finish: where the answer was cut for its length, the call that was torn by it is left out.
    rescue: makes JSON of the arguments of the function of this name that are no object; None where it cannot.
    Raises: UpstreamJunk for arguments that are no JSON object.
    """
    used: set[str] = set()
    told = []
    for call in calls:
        arguments = _arguments(call.arguments.strip())
        if arguments is None:
            if finish == "length":
                continue
            rescued = None if finish == "content_filter" else rescue(call.name, call.arguments)
            if rescued is None:
                raise UpstreamJunk(f'the model returned invalid tool call arguments for "{call.name}"')
            arguments = rescued.encode()
        call_id = call.id if call.id not in used else ""
        chance = rnd() if not call_id else 0.0
        while not call_id or call_id in used:
            call_id, chance = make_call_id(chance), (chance + _STEP) % 1
        used.add(call_id)
        told.append(ToldCall(call_id, call.name, arguments))
    return told


def _arguments(text: str) -> bytes | None:
    """The arguments as compact JSON; None if they are no object."""
    if not text or text == "null":
        return b"{}"
    try:
        # Minified, not decoded and encoded: numbers keep all their digits.
        if type(_decode(text)) is dict:
            return msgspec.json.format(text.encode(), indent=-1)
        value = _decode(_decode(text))
    except (ValueError, TypeError, RecursionError):
        value = _lenient(text)
    return msgspec.json.encode(value) if type(value) is dict else None


def _lenient(text: str) -> Any:
    try:
        value = _LENIENT.decode(mend_surrogates(text.encode("utf-8", "replace")).decode())
        json.dumps(value, allow_nan=False)
    except (ValueError, RecursionError):
        return None
    return value
