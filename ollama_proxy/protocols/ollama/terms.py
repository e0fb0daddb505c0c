"""Owns what one chat or generate request wants of its answer. Holds no rule."""

from __future__ import annotations

from dataclasses import dataclass

from ollama_proxy.clock import Clock
from ollama_proxy.protocols.ollama.shapes import Shape

__all__ = ["Terms"]


@dataclass(frozen=True, slots=True)
class Terms:
    """How to answer.

    model: the caller's string. started: monotonic seconds. hide_thinking: the client asked for no reasoning.
    logprobs: it asked for them. context: the last object carries an empty `context`. split_tags: `<think>` at the
    start of the text is reasoning. may_be_silent: see `hub.finish.check_said`.
    """

    shape: Shape
    model: str
    clock: Clock
    started: float
    hide_thinking: bool = False
    logprobs: bool = False
    context: bool = False
    split_tags: bool = True
    may_be_silent: bool = False
