"""Owns the NDJSON stream of /api/chat and /api/generate: pieces of the upstream's answer become lines.

The hot path: a line is put together from parts that were written before, only the text is quoted anew. Reasoning,
text and tool calls go into lines of their own, reasoning first and one call per line (LiteLLM drops the text of a line
with `thinking`, Haystack keeps only the last call of a line). The last line is held until the upstream's `[DONE]` or
its end, because usage comes after the finish reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ollama_proxy.errors import ProxyError, StreamInterrupted, UpstreamError, UpstreamJunk
from ollama_proxy.hub.reader import Piece, StreamReader
from ollama_proxy.hub.tool_calls import told_calls
from ollama_proxy.protocols.ollama.calls import render_call, render_logprobs
from ollama_proxy.protocols.ollama.errors import error_line
from ollama_proxy.protocols.ollama.metrics import Moments, render_metrics
from ollama_proxy.protocols.ollama.shapes import Said, Stamp, done
from ollama_proxy.protocols.ollama.terms import Terms
from ollama_proxy.wire.ndjson import quote

__all__ = ["OllamaStream"]

#: Characters of one line. Ollama's Go client reads lines of 8,000,000 bytes, and an escape can make 6 of one.
_LONGEST_TEXT = 1_000_000


class OllamaStream:
    """types.Stream for one attempt."""

    __slots__ = (
        "_calls_told",
        "_failure",
        "_hide_thinking",
        "_moments",
        "_reader",
        "_shape",
        "_stamp",
        "_terms",
        "committed",
        "over",
        "progress",
        "usage",
    )

    def __init__(self, terms: Terms) -> None:
        self.committed = False
        self.progress = 0
        self.usage: Mapping[str, Any] | None = None
        self._terms = terms
        self._shape = terms.shape
        self._stamp = Stamp(terms.model, terms.clock.wall)
        self._hide_thinking = terms.hide_thinking
        self._reader = StreamReader(split_tags=terms.split_tags, may_be_silent=terms.may_be_silent)
        self._moments = Moments(terms.started, opened=terms.clock.now())
        self._calls_told = 0
        self.over = False
        self._failure: UpstreamError | None = None

    def feed(self, data: bytes) -> bytes:
        """Lines for these upstream bytes."""
        reader = self._reader
        if self._failure is not None:
            raise self._failure
        try:
            pieces = reader.feed(data)
        except UpstreamError as error:
            return self._fail(error)
        self.progress = reader.progress
        self.usage = reader.usage
        if self.over:
            return b""
        out = self._lines(pieces) if pieces else b""
        if reader.done:
            out += self._calls() + self._last_line()
        elif not pieces and reader.finish is not None:
            out = self._calls()
        if out:
            self.committed = True
        return out

    def finish(self) -> bytes:
        """The last lines, once the upstream ended."""
        if self._failure is not None:
            raise self._failure
        pieces = self._reader.close()
        self.progress, self.usage = self._reader.progress, self._reader.usage
        if self.over:
            return b""
        return self._lines(pieces) + self._calls() + self._last_line()

    def heartbeat(self) -> bytes:
        """A line without content: harmless in every client that was tried."""
        return self._stamp.line(self._shape.text, b'""', self._shape.end)

    def render_error(self, error: ProxyError) -> bytes:
        """The error as a line; no line with `done` follows it."""
        return error_line(error)

    def _fail(self, error: UpstreamError) -> bytes:
        """The lines that came before the error, which is raised with the next call.

        Raises: the error at once where nothing is to be told, or nothing was yet: then another attempt may do better.
        """
        if not self.committed or not self._reader.unsent:
            raise error
        self._failure = error
        return self._lines(self._reader.unsent)

    def _lines(self, pieces: list[Piece]) -> bytes:
        if self._moments.first is None and pieces:
            self._moments.first = self._terms.clock.now()
        shape, line, out = self._shape, self._stamp.line, b""
        for text, thinking, logprobs in pieces:
            if len(text) > _LONGEST_TEXT or len(thinking) > _LONGEST_TEXT:
                out += self._lines(_cut(text, thinking))
                continue
            if thinking and not self._hide_thinking:
                out += line(shape.thinking, quote(thinking), shape.end)
            if logprobs and self._terms.logprobs:
                out += self._line(Said(quote(text), logprobs=render_logprobs(logprobs)))
            elif text:
                out += line(shape.text, quote(text), shape.end)
        return out

    def _line(self, said: Said) -> bytes:
        return self._stamp.line(b"", self._shape.rest(said), b"\n")

    def _calls(self) -> bytes:
        """Lines for the calls that were not told yet; they are whole once the finish reason came."""
        calls = self._reader.calls
        if len(calls) == self._calls_told:
            return b""
        if self._moments.first is None:
            self._moments.first = self._terms.clock.now()
        try:
            told = told_calls(calls, self._reader.finish, self._terms.clock.rnd)
        except UpstreamJunk as error:
            if self.committed:
                raise StreamInterrupted(error.message) from None
            raise
        new = enumerate(told[self._calls_told :], self._calls_told)
        self._calls_told = len(told)
        return b"".join(self._line(Said(calls=render_call(call, index))) for index, call in new)

    def _last_line(self) -> bytes:
        self.over = True
        reason = "length" if self._reader.finish == "length" else "stop"
        metrics = render_metrics(self._moments, self._terms.clock.now(), self.usage)
        return self._line(Said(done=done(reason, context=self._terms.context), metrics=metrics))


def _cut(text: str, thinking: str) -> list[Piece]:
    """Pieces of bearable length. Their logprobs are lost: nobody sends so much text with them."""
    starts = range(0, max(len(text), len(thinking)), _LONGEST_TEXT)
    thoughts = [Piece(thinking=thinking[at : at + _LONGEST_TEXT]) for at in starts]
    return thoughts + [Piece(text[at : at + _LONGEST_TEXT]) for at in starts]
