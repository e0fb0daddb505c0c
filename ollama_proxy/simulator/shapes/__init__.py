"""Owns where a recorded answer is looked up: first the provider's own, then those that anybody might give."""

from __future__ import annotations

from collections.abc import Mapping

from ollama_proxy.simulator.shapes import akash, codestral, cohere, generic, google, openrouter, others, qwen
from ollama_proxy.simulator.shapes.base import Shape, fill, stream

__all__ = ["ANYBODY", "OWN", "Shape", "fill", "find_shape", "stream"]

#: Each provider's own answers.
OWN: Mapping[str, Mapping[str, Shape]] = {
    "google": google.SHAPES,
    "openrouter": openrouter.SHAPES,
    "akash": akash.SHAPES,
    "cohere": cohere.SHAPES,
    "codestral": codestral.SHAPES,
    "qwen": qwen.SHAPES,
}
#: What every provider can be told to play.
ANYBODY: Mapping[str, Shape] = {**generic.SHAPES, **others.SHAPES}


def find_shape(provider: str, name: str) -> Shape | None:
    """The answer of that name, for this provider; None if there is none."""
    return OWN.get(provider, {}).get(name) or ANYBODY.get(name)
