"""Owns how tool calls and logprobs of the hub are told by Ollama. Knows neither streams nor requests.

A call is always told whole, with an id, an index, and its arguments as an object.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from ollama_proxy.errors import UpstreamJunk
from ollama_proxy.hub.calls import ToolCall
from ollama_proxy.hub.ids import make_call_id
from ollama_proxy.protocols.ollama.encode import json_bytes
from ollama_proxy.wire.ndjson import quote

__all__ = ["name_calls", "render_call", "render_logprobs"]

_decode = msgspec.json.Decoder().decode
#: Models write raw line breaks into strings; that is all that may be wrong.
_LENIENT = json.JSONDecoder(strict=False)


def name_calls(calls: list[ToolCall], rnd: Callable[[], float]) -> None:
    """Gives an id to each call that has none, or one that an earlier call has."""
    used: set[str] = set()
    for call in calls:
        while not call.id or call.id in used:
            call.id = make_call_id(rnd())
        used.add(call.id)


def render_call(call: ToolCall, index: int) -> bytes:
    """`{"id":…,"function":{"index":…,"name":…,"arguments":{…}}}`, the key order of the arguments kept.

    Raises: UpstreamJunk if the arguments are no JSON object.
    """
    function = b'{"index":%d,"name":%b,"arguments":%b}' % (index, quote(call.name), _arguments(call))
    return b'{"id":%b,"function":%b}' % (quote(call.id), function)


def _arguments(call: ToolCall) -> bytes:
    text = call.arguments.strip()
    if not text or text == "null":
        return b"{}"
    try:
        # Minified, not decoded and encoded: numbers keep all their digits.
        if type(_decode(text)) is dict:
            return json_bytes(msgspec.Raw(msgspec.json.format(text.encode(), indent=-1)))
        value = _decode(_decode(text))
    except (ValueError, TypeError, RecursionError):
        value = _lenient(text)
    if type(value) is not dict:
        raise UpstreamJunk(f'the model returned invalid tool call arguments for "{call.name}"')
    return json_bytes(value)


def _lenient(text: str) -> Any:
    try:
        value = _LENIENT.decode(text)
        json.dumps(value, allow_nan=False)
    except (ValueError, RecursionError):
        return None
    return value


def render_logprobs(entries: Iterable[Any] | None) -> bytes:
    """The elements of Ollama's flat `logprobs` list for entries of `choices[0].logprobs.content`; b"" for none."""
    return b",".join(json_bytes(_logprob(entry, deep=True)) for entry in entries or () if isinstance(entry, dict))


def _logprob(entry: dict[str, Any], *, deep: bool) -> dict[str, Any]:
    told = {"token": entry.get("token", ""), "logprob": entry.get("logprob", 0.0)}
    if entry.get("bytes"):
        told["bytes"] = entry["bytes"]
    others = entry.get("top_logprobs")
    if deep and others and isinstance(others, list):
        told["top_logprobs"] = [_logprob(other, deep=False) for other in others if isinstance(other, dict)]
    return told
