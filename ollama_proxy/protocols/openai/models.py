"""Owns how models look in OpenAI's lists. Knows nothing about where they come from.

Shape: OpenAI API reference, "List models": id, object, created, owned_by. The further keys are the ones that clients
look for elsewhere: `context_length` (OpenRouter's and vLLM's lists), `capabilities` in Ollama's words.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from ollama_proxy.types import Model

__all__ = ["render_model", "render_models"]


def render_models(models: Iterable[Model]) -> bytes:
    """The list, in the order given."""
    return msgspec.json.encode({"object": "list", "data": [_entry(model, model.name) for model in models]})


def render_model(model: Model, asked: str) -> bytes:
    """One model; `id` is the name that was asked for, letter by letter."""
    return msgspec.json.encode(_entry(model, asked))


def _entry(model: Model, name: str) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "id": name,
        "object": "model",
        "created": model.created,
        "owned_by": "proxy",
        "capabilities": sorted(capability.value for capability in model.capabilities),
    }
    if model.title:
        entry["name"] = model.title
    if model.context is not None:
        entry["context_length"] = model.context
    if model.max_output is not None:
        entry["max_output_tokens"] = model.max_output
    if model.embedding_length is not None:
        entry["embedding_length"] = model.embedding_length
    return entry
