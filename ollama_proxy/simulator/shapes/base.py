"""Owns what a recorded answer is: status, headers, body or stream, and the facts that are filled in when it is played.

Facts stand in strings as `$name`. Every shape may use `$model` (as asked for), `$key` (the caller's key), `$wall_date`
(an HTTP date a minute ahead), `$minute_ms` and `$day_ms` (epoch milliseconds of the next allowance: in 40 s, at the
next midnight UTC); `facts` are the shape's own, with the values they usually have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ollama_proxy.simulator.events import Event

__all__ = ["Shape", "fill", "stream"]

JSON = "application/json"
SSE = "text/event-stream"


@dataclass(frozen=True, slots=True)
class Shape:
    """One answer of a provider.

    says: what it means, in a line, for people.
    body: a JSON value, or text or bytes as they are. events: the stream, where it is one.
    operation: which calls it belongs to: "" is any call that generates.
    """

    says: str
    status: int
    body: Any = b""
    headers: tuple[tuple[str, str], ...] = ()
    media: str = JSON
    facts: Mapping[str, str] = field(default_factory=dict)
    operation: str = ""
    events: tuple[Event, ...] = ()

    @property
    def is_fault(self) -> bool:
        """Whether it is an error: only those may be chosen by a word in a key."""
        return self.status >= 400


def stream(says: str, *events: Event, **rest: Any) -> Shape:
    """A stream that began with 200."""
    return Shape(says, 200, media=SSE, events=events, **rest)


def fill(value: Any, facts: Mapping[str, str]) -> Any:
    """The same value with each `$fact` in its strings replaced; longer names first, so `$limit_s` is not `$limit`."""
    if isinstance(value, str):
        if "$" in value:
            for name in sorted(facts, key=len, reverse=True):
                value = value.replace(f"${name}", facts[name])
        return value
    if isinstance(value, Mapping):
        return {key: fill(item, facts) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [fill(item, facts) for item in value]
    return value
