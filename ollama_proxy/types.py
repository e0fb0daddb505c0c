"""Owns the few shapes that pass between layers. Holds no rule.

The hub is OpenAI's chat-completions shape as plain dicts. A request body keeps every key that the client sent, and a
value may still be `msgspec.Raw` (JSON text that nobody had a reason to decode).
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from ollama_proxy.errors import ProxyError

__all__ = [
    "Access",
    "Body",
    "Call",
    "Capability",
    "Client",
    "Face",
    "Headers",
    "KeyLimit",
    "Model",
    "Operation",
    "Stream",
]

#: An OpenAI-shaped request; values may be `msgspec.Raw`.
Body: TypeAlias = dict[str, Any]
#: Header fields in the order in which they are sent.
Headers: TypeAlias = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True, repr=False)
class Access:
    """Where a key may be used, and the header fields that show it. It holds the key, so it has nothing to print."""

    base_url: str
    headers: Headers


class Operation(enum.Enum):
    """What is asked of a provider; each has its own path there."""

    CHAT = "chat"
    #: Fill in the middle: `prompt` and `suffix`.
    FIM = "fim"
    EMBEDDINGS = "embeddings"


class Capability(str, enum.Enum):
    """What a model can do, in Ollama's words."""

    COMPLETION = "completion"
    TOOLS = "tools"
    VISION = "vision"
    THINKING = "thinking"
    INSERT = "insert"
    EMBEDDING = "embedding"


@dataclass(frozen=True, slots=True)
class Model:
    """One model of one provider.

    id: the provider's own name for it, without any path prefix such as `models/`.
    context, max_output: tokens; embedding_length: numbers in a vector. None where nobody said.
    created: epoch seconds, 0 where nobody said.
    listed: the provider's live list has it (else it comes from the built-in table or was simply asked for).
    """

    provider: str
    id: str
    capabilities: frozenset[Capability] = frozenset({Capability.COMPLETION})
    context: int | None = None
    max_output: int | None = None
    embedding_length: int | None = None
    created: int = 0
    title: str = ""
    listed: bool = True

    @property
    def name(self) -> str:
        """The name in our lists: `provider:id`."""
        return f"{self.provider}:{self.id}"


@dataclass(frozen=True, slots=True)
class KeyLimit:
    """How many calls one key may make, as its owner says; None: without limit.

    pattern: whom it concerns: model ids, with `*` for any run of letters.
    """

    pattern: str = "*"
    per_minute: int | None = None
    per_day: int | None = None


class Stream(Protocol):
    """Turns one upstream stream into the client's stream. Synchronous, without I/O; one object per attempt.

    committed: something with content was returned by `feed`; until then the attempt may be repeated elsewhere.
    progress: how many chunks with content came so far; comments and empty deltas do not count.
    usage: the provider's last word on tokens, as it came; None if it never spoke.
    over: the upstream's end mark came; nothing that follows means anything.
    """

    committed: bool
    progress: int
    usage: Mapping[str, Any] | None

    @property
    def over(self) -> bool:
        """See above."""

    def feed(self, data: bytes) -> bytes:
        """Client bytes for these upstream bytes; b"" when nothing is ready.

        Raises: ErrorInside for an error inside the stream, UpstreamJunk for frames that make no sense.
        """

    def finish(self) -> bytes:
        """The last client bytes, once the upstream ended.

        Raises: StreamInterrupted when the stream stopped before its end.
        """

    def heartbeat(self) -> bytes:
        """Bytes that keep the client's connection alive and mean nothing."""

    def render_error(self, error: ProxyError) -> bytes:
        """The protocol's error inside a stream that has begun; no end mark follows it."""


class Client(Protocol):
    """The client's side of one request: where the answer goes.

    finished: the answer is complete, or the client is gone; later calls do nothing.
    on_gone: called once if the client leaves before the answer is complete.
    on_flow: called with True when the client reads too slowly, with False when it has caught up.
    """

    on_gone: Callable[[], None] | None
    on_flow: Callable[[bool], None] | None

    @property
    def finished(self) -> bool:
        """See above."""

    def respond(self, status: int, headers: Headers, body: bytes) -> None:
        """The whole answer."""

    def start(self, status: int, headers: Headers) -> None:
        """The head of an answer whose body follows in pieces."""

    def write(self, data: bytes) -> None:
        """One piece; not empty."""

    def end(self) -> None:
        """The end of the pieces."""

    def abort(self) -> None:
        """Cut the connection, so that nobody takes the answer for whole."""


class Face(Protocol):
    """How one request's answer is told in its client's protocol."""

    stream_type: bytes
    answer_type: bytes

    def open_stream(self) -> Stream:
        """A fresh translator: a failed attempt leaves nothing behind."""

    def render_answer(self, reply: bytes) -> bytes:
        """The whole answer for the upstream's whole JSON body.

        Raises: ErrorInside for an error inside a 200, UpstreamJunk for a body that makes no sense.
        """

    def render_error(self, error: ProxyError) -> tuple[int, Headers, bytes]:
        """Status, headers and body while nothing was sent."""


@dataclass(slots=True)
class Call:
    """What one client asked for.

    model: the caller's string, letter by letter; routing splits it.
    body: the hub request without its `model`.
    needs: capabilities without which a target cannot serve.
    sdk_retry: the client's SDK says that it is repeating this request by itself.
    """

    operation: Operation
    model: str
    body: Body
    face: Face
    stream: bool = False
    needs: frozenset[Capability] = frozenset()
    sdk_retry: bool = False
    on_served: Callable[[], None] | None = field(default=None)
