"""Owns the steps that an answer is made of. Knows neither sockets nor providers.

A Behaviour is a list of steps; `connection` plays them one after another on the wire. Without Status and Header steps
the answer begins with a plain 200. What is not said is done properly: a length is counted, a chunked body is ended.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

__all__ = [
    "Action",
    "Behaviour",
    "Chunk",
    "Close",
    "Header",
    "Interim",
    "Pause",
    "Raw",
    "Rst",
    "Send",
    "Sleep",
    "Stall",
    "Status",
    "Wait",
]


@dataclass(frozen=True, slots=True)
class Status:
    """The status line; the reason is looked up when none is given."""

    code: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Header:
    """One header field. A `content-length` given here is sent as it is, true or not."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Interim:
    """An answer before the answer: 100, 103."""

    code: int


@dataclass(frozen=True, slots=True)
class Send:
    """Body bytes in one write. As first body step it brings its own Content-Length."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Chunk:
    """One chunk of a chunked body, in one write (plain bytes to an HTTP/1.0 client)."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes on the wire exactly as they are: neither head nor framing is added, before or after."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Wait:
    """Go on when the gate of this name is released."""

    gate: str


@dataclass(frozen=True, slots=True)
class Sleep:
    """Go on after this many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Stall:
    """Say nothing more until the client leaves."""


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection at once, after what was written; a chunked body stays without its end."""


@dataclass(frozen=True, slots=True)
class Rst:
    """Reset the connection (RST): what the client did not read yet may be lost."""


Action: TypeAlias = Status | Header | Interim | Send | Chunk | Raw | Wait | Sleep | Stall | Close | Rst
#: What may stand between the pieces of an answer.
Pause: TypeAlias = Wait | Sleep


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What is done with one request. `name` is what the log calls it. The steps may be made while they are played."""

    actions: Iterable[Action]
    name: str = "script"
