"""Owns what one request to the Messages API wants of its answer. Holds no rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ollama_proxy.clock import Clock

__all__ = ["Terms"]


@dataclass(frozen=True, slots=True)
class Terms:
    """How to answer.

    model: the caller's string. message_id: of the answer. request_id: told in errors. hide_thinking: the client wants
    to see no thoughts. estimate: about how many tokens the request has; asked for only where nobody counted.
    may_be_silent: see `hub.finish.check_said`.
    """

    model: str
    clock: Clock
    message_id: str
    request_id: str
    hide_thinking: bool
    estimate: Callable[[], int]
    may_be_silent: bool = False
