"""Owns what kind of bytes an upstream really sent where a stream was asked for. Knows no client protocol.

Usually server-sent events. Also seen: JSON (a provider that ignored `stream`, or an error), which is turned into the
events that it should have been, and web pages and plain text, which are junk.
"""

from __future__ import annotations

from ollama_proxy.errors import ErrorInside, UpstreamJunk
from ollama_proxy.hub.convert import answer_to_frames
from ollama_proxy.wire.sse import MAX_FRAME, Frames, FrameTooLarge, event_of

__all__ = ["Intake", "data_of"]

_BLANK = b" \t\r\n"
_BOM = b"\xef\xbb\xbf"
#: How the first line of an event stream begins: a comment or one of the four fields.
_OPENINGS = (b":", b"data", b"event", b"id", b"retry")


class Intake:
    """Upstream bytes to raw SSE frames, whatever they are."""

    __slots__ = ("_frames", "_head", "_json", "_size", "lone", "spoke")

    def __init__(self) -> None:
        self._frames = Frames()
        #: The data of one whole plain frame, or None: see Frames.lone. Only true once something was fed.
        self.lone = self._frames.lone
        self._head: bytes | None = b""  # what came while the kind is unknown; None once it is known
        self._json: list[bytes] | None = None
        self._size = 0
        #: Whether anything but white space came.
        self.spoke = False

    def feed(self, data: bytes) -> list[bytes]:
        """Complete raw frames.

        Raises: UpstreamJunk for a web page, for plain text and for a frame over the limit.
        """
        if self._head is not None:
            data = self._recognise(data)
            if not data:
                return []
        if self._json is not None:
            self._size += len(data)
            if self._size > MAX_FRAME:
                raise UpstreamJunk("The provider sent an endless JSON answer where a stream was asked for.")
            self._json.append(data)
            return []
        try:
            return self._frames.feed(data)
        except FrameTooLarge as error:
            raise UpstreamJunk("The provider sent a stream event that is far too large.") from error

    def close(self) -> list[bytes]:
        """The last frames: an event without its blank line, or the events of a JSON answer.

        Raises: ErrorInside, UpstreamJunk.
        """
        if self._json is not None:
            body = b"".join(self._json)
            self._json = []
            return answer_to_frames(body) if body else []
        try:
            rest = self._frames.finish()
        except FrameTooLarge as error:
            raise UpstreamJunk("The provider sent a stream event that is far too large.") from error
        return [] if rest is None else [rest.rstrip(b"\r\n") + b"\n\n"]

    def _recognise(self, data: bytes) -> bytes:
        """Decides what is coming; what of the bytes is to be read now."""
        head = ((self._head or b"") + data).lstrip(_BLANK)
        if len(head) < len(_BOM) and _BOM.startswith(head):
            self._head = head
            return b""
        head = head.removeprefix(_BOM).lstrip(_BLANK)
        self.spoke = self.spoke or bool(head)
        if head[:1] in (b"{", b"["):
            self._json = []
        elif head[:1] == b"<":
            raise UpstreamJunk("The provider answered with a web page instead of a stream.")
        elif not head.startswith(_OPENINGS):
            if not any(opening.startswith(head) for opening in _OPENINGS):
                raise UpstreamJunk("The provider answered with plain text instead of a stream.")
            self._head = head
            return b""
        self._head = None
        return head


def data_of(frame: bytes) -> bytes | None:
    """The data of a raw frame; None for a comment and the like.

    Raises: ErrorInside for `event: error`, and for bare JSON with an error in it: gateways write errors so, without
    `data:`, when they fail half-way.
    """
    event = event_of(frame)
    if event is None:
        bare = frame.strip()
        if bare[:1] in (b"{", b"[") and b'"error"' in bare:
            raise ErrorInside(bare)
        return None
    name, data = event
    if name == b"error":
        raise ErrorInside(data)
    return data
