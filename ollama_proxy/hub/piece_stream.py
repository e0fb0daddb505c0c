"""Owns the order in which a stream that is told event by event goes on: pieces, calls, end. Knows no event's shape.

For client protocols that rebuild the stream (Anthropic's Messages, OpenAI's Responses); how pieces, calls and the end
are told is theirs, what happens to an error in the middle of a read is here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from ollama_proxy.errors import UpstreamError
from ollama_proxy.hub.reader import Piece, StreamReader

__all__ = ["PieceStream"]


class PieceStream(ABC):
    """One attempt's stream; implements the reading half of `types.Stream`.

    over: the end was told; whatever comes after it is left alone.
    """

    __slots__ = ("_reader", "_unsent", "committed", "over", "progress", "usage")

    def __init__(self, *, may_be_silent: bool = False) -> None:
        """may_be_silent: an answer without a word is none to be tried again."""
        self._reader = StreamReader(may_be_silent=may_be_silent)
        self._unsent = b""
        self.committed = False
        self.over = False
        self.progress = 0
        self.usage: Mapping[str, Any] | None = None

    def feed(self, data: bytes) -> bytes:
        """Events for these upstream bytes; see `types.Stream.feed`."""
        reader = self._reader
        try:
            pieces = reader.feed(data)
        except UpstreamError:
            self._unsent = self._deltas(reader.unsent)
            raise
        self.progress = reader.progress
        self.usage = reader.usage
        if self.over:
            return b""
        if reader.done:
            out = self._last(pieces)
        elif pieces:
            out = self._deltas(pieces)
        else:
            out = b"" if reader.finish is None else self._calls()
        if out:
            self.committed = True
        return out

    def finish(self) -> bytes:
        """The last events, once the upstream ended; see `types.Stream.finish`."""
        reader = self._reader
        try:
            pieces = reader.close()
        except UpstreamError:
            self._unsent = self._deltas(reader.unsent)
            raise
        self.progress, self.usage = reader.progress, reader.usage
        return b"" if self.over else self._last(pieces)

    def _take_unsent(self) -> bytes:
        """What came before an error in the same bytes, once."""
        unsent, self._unsent = self._unsent, b""
        return unsent

    @abstractmethod
    def _deltas(self, pieces: list[Piece]) -> bytes:
        """Events for pieces in the middle."""

    @abstractmethod
    def _calls(self) -> bytes:
        """Events for the tool calls, once all are known."""

    @abstractmethod
    def _last(self, pieces: list[Piece]) -> bytes:
        """Events for the last pieces and the end; sets `over`."""
