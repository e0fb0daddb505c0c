"""Owns how tool calls and logprobs of the hub are told by Ollama. Knows neither streams nor requests.

A call is always told whole, with an id, an index, and its arguments as an object.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from ollama_proxy.hub.tool_calls import ToldCall
from ollama_proxy.protocols.ollama.encode import json_bytes
from ollama_proxy.wire.ndjson import quote

__all__ = ["render_call", "render_logprobs"]


def render_call(call: ToldCall, index: int) -> bytes:
    """`{"id":…,"function":{"index":…,"name":…,"arguments":{…}}}`, the key order of the arguments kept."""
    arguments = json_bytes(msgspec.Raw(call.arguments))
    function = b'{"index":%d,"name":%b,"arguments":%b}' % (index, quote(call.name), arguments)
    return b'{"id":%b,"function":%b}' % (quote(call.id), function)


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
