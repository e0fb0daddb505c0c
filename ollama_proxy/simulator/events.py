"""Owns the words in which a stream is told before it is bytes: deltas, tails, comments. Knows no provider.

A provider turns each event into its own JSON (`chunk`); here that becomes one SSE frame. A Frame keeps the kind of what
it carries, so that a fault can say "after the second piece of text".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ollama_proxy.simulator.actions import Pause

__all__ = [
    "DONE",
    "Comment",
    "Counts",
    "Delta",
    "Event",
    "Frame",
    "Literal",
    "Tail",
    "Track",
    "Whole",
    "compact",
    "sse",
]

#: Prompt, completion and total tokens, as the provider would report them; then those of thoughts, if there are any.
Counts: TypeAlias = tuple[int, int, int] | tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Delta:
    """A usual chunk: one choice with this delta."""

    delta: Mapping[str, Any]
    finish: str | None = None
    usage: Counts | None = None


@dataclass(frozen=True, slots=True)
class Tail:
    """A chunk with empty `choices` that only carries usage."""

    usage: Counts


@dataclass(frozen=True, slots=True)
class Comment:
    """An SSE comment."""

    text: str


@dataclass(frozen=True, slots=True)
class Whole:
    """An event whose JSON is given as it is; errors mostly."""

    value: Any
    kind: str = "error"


@dataclass(frozen=True, slots=True)
class Literal:
    """Bytes as they are."""

    data: bytes
    kind: str = "raw"


Event: TypeAlias = Delta | Tail | Comment | Whole | Literal
DONE = Literal(b"data: [DONE]\n\n", "done")


@dataclass(frozen=True, slots=True)
class Frame:
    """One SSE frame with its blank line.

    kind: open, text, thinking, calls, finish, usage, comment, error, raw, done.
    """

    data: bytes
    kind: str


#: A stream as it will be played.
Track: TypeAlias = list[Frame | Pause]


@dataclass(frozen=True, slots=True)
class Head:
    """What is the same in all chunks of one answer."""

    model: str
    number: int
    created: int
    extra: Mapping[str, Any] = field(default_factory=dict)


def compact(value: Any) -> bytes:
    """JSON without blanks, in UTF-8; half a surrogate pair stays an escape."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    try:
        return text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()


def sse(value: Any) -> bytes:
    """One SSE frame with this JSON."""
    return b"data: " + compact(value) + b"\n\n"


def kind_of(event: Event) -> str:
    """What an event carries, in the words of Frame."""
    match event:
        case Delta(delta, finish, _):
            if delta.get("tool_calls") or delta.get("function_call"):
                return "calls"
            if _is_thought(delta):
                return "thinking"
            if delta.get("content"):
                return "text"
            return "finish" if finish else "open"
        case Tail():
            return "usage"
        case Comment():
            return "comment"
        case _:
            return event.kind


def _is_thought(delta: Mapping[str, Any]) -> bool:
    if delta.get("reasoning_content") or delta.get("reasoning") or delta.get("reasoning_details"):
        return True
    content = delta.get("content")
    return isinstance(content, list) or bool((delta.get("extra_content") or {}).get("google", {}).get("thought"))
