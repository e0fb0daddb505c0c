"""Owns how models look in OpenAI's lists. Knows nothing about where they come from.

Shape: OpenAI API reference, "List models": id, object, created, owned_by. The further keys are the ones that clients
look for elsewhere: `context_length` (OpenRouter's and vLLM's lists), `capabilities` in Ollama's words.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from ollama_proxy.types import Model

__all__ = ["Entry", "render_model", "render_models"]


class Entry(NamedTuple):
    """One line of the list. name: as listed, or as it was asked for. created: epoch seconds."""

    name: str
    model: Model
    created: int


def render_models(entries: Iterable[Entry]) -> bytes:
    """The list, in the order given."""
    return msgspec.json.encode({"object": "list", "data": [_told(entry) for entry in entries]})


def render_model(entry: Entry) -> bytes:
    """One model."""
    return msgspec.json.encode(_told(entry))


def _told(entry: Entry) -> dict[str, Any]:
    model = entry.model
    told: dict[str, Any] = {
        "id": entry.name,
        "object": "model",
        "created": entry.created,
        "owned_by": "proxy",
        "capabilities": sorted(capability.value for capability in model.capabilities),
    }
    if model.title:
        told["name"] = model.title
    if model.context is not None:
        told["context_length"] = model.context
    if model.max_output is not None:
        told["max_output_tokens"] = model.max_output
    if model.embedding_length is not None:
        told["embedding_length"] = model.embedding_length
    return told
