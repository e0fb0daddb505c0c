"""Owns the names of what can go wrong between us and an upstream. Knows nothing about keys, retries or clients.

    TransportFault
    ├── ConnectFailed     no connection: name not found, refused, unreachable, or the egress proxy said no
    │   └── NoMeans       our own machine has no descriptor or memory left for one: nobody else is to blame
    ├── TLSRefused        the other side is not who it should be, or speaks no TLS; never downgraded
    ├── TimedOut          with its phase: connect, write, first_byte, idle
    ├── ConnectionLost    closed or reset before the answer was whole
    ├── BadFraming        not HTTP/1.1 as RFC 9112 has it, or a head beyond every reason
    ├── TooMuch           the body is larger than the reader allows, or expands suspiciously
    └── EncodingRefused   a content coding that was not asked for and that we do not take, or a broken one

Foreign exceptions (OSError, ssl.SSLError, the parser's own) are renamed to these at the border and chained. The text of
a fault is short, in English, names at most host and port, and never holds a header value or any of the body.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

__all__ = [
    "BadFraming",
    "ConnectFailed",
    "ConnectionLost",
    "EncodingRefused",
    "NoMeans",
    "Phase",
    "TLSRefused",
    "TimedOut",
    "TooMuch",
    "TransportFault",
]

Phase: TypeAlias = Literal["connect", "write", "first_byte", "idle"]

_WAITED_FOR: dict[Phase, str] = {
    "connect": "a connection",
    "write": "the upstream to take the request",
    "first_byte": "the answer to begin",
    "idle": "the answer to go on",
}


class TransportFault(Exception):
    """One call to an upstream did not end with a whole HTTP answer."""


class ConnectFailed(TransportFault):
    """There is no connection; the request never left."""


class NoMeans(ConnectFailed):
    """No file descriptor or memory is left on our own machine for a connection; the other side was not even asked."""


class TLSRefused(TransportFault):
    """The certificate or the handshake was not acceptable; the request never left."""


class TimedOut(TransportFault):
    """Nothing happened for too long. `phase` says what was waited for."""

    def __init__(self, phase: Phase, seconds: float) -> None:
        super().__init__(f"waited {seconds:g} s in vain for {_WAITED_FOR[phase]}")
        self.phase = phase


class ConnectionLost(TransportFault):
    """The connection ended before the answer was whole.

    sent_anything: at least a part of the request was handed to the connection.
    response_began: at least one byte of the answer came.
    """

    def __init__(self, message: str, *, sent_anything: bool = True, response_began: bool = False) -> None:
        super().__init__(message)
        self.sent_anything = sent_anything
        self.response_began = response_began


class BadFraming(TransportFault):
    """What came is not an HTTP/1.1 answer; the connection cannot be trusted any further."""


class TooMuch(TransportFault):
    """More bytes than allowed."""


class EncodingRefused(TransportFault):
    """The body is coded in a way that we do not take, or the coding is broken."""
