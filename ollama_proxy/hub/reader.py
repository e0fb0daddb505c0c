"""Owns how one upstream chat stream becomes pieces of text, reasoning and tool calls. Knows no client protocol.

Every provider speaks OpenAI's chunks with an accent of its own; the accents are met here once (and in `calls`,
`chunk`, `tags`, `finish`), so that a translator sees one shape. Pure: bytes in, pieces out.
"""

from __future__ import annotations

import contextlib
from typing import Any, NamedTuple

from ollama_proxy.errors import ErrorInside, StreamInterrupted, UpstreamError, UpstreamJunk
from ollama_proxy.hub.budget import Budget
from ollama_proxy.hub.calls import CallAssembler, ToolCall
from ollama_proxy.hub.chunk import (
    Delta,
    decode_chunk,
    raise_error_inside,
    says_something,
    text_of,
    thinking_of,
)
from ollama_proxy.hub.finish import ERROR, MALFORMED, check_said, map_finish
from ollama_proxy.hub.intake import Intake, data_of
from ollama_proxy.hub.tags import TagSplitter

__all__ = ["Piece", "StreamReader", "ToolCall"]


class Piece(NamedTuple):
    """Something to show now: reasoning, text, or both (then the reasoning comes first). Logprobs may come alone."""

    text: str = ""
    thinking: str = ""
    #: Entries of `choices[0].logprobs.content`, as they came.
    logprobs: list[dict[str, Any]] | None = None


_new_piece = tuple.__new__


class StreamReader:
    """One upstream chat stream, bytes to pieces.

    calls: tool calls assembled so far, in order; complete once `finish` is not None or after `close()`.
    finish: stop, length, tool_calls or content_filter; None until it came. `stop` beside calls reads `tool_calls`.
    usage: the provider's last word, as it came; None if it never spoke.
    done: `[DONE]` came after something, or a finish_reason and then the end of the stream.
    began: something with content (text, reasoning, a call or a finish_reason) came.
    progress: chunks with text, reasoning or a part of a call so far.
    unsent: after `feed` or `close` raised: the pieces that came before the error in the same bytes.
    budget: what the answer may make us keep; whoever keeps more of it than this reader spends from it too.
    """

    __slots__ = (
        "_calls",
        "_ended",
        "_finish",
        "_intake",
        "_may_be_silent",
        "_split_tags",
        "_splitter",
        "began",
        "budget",
        "done",
        "progress",
        "unsent",
        "usage",
    )

    def __init__(self, *, split_tags: bool = True, may_be_silent: bool = False) -> None:
        """may_be_silent: see `finish.check_said`."""
        self._intake = Intake()
        self._may_be_silent = may_be_silent
        self.budget = Budget()
        self._calls = CallAssembler(self.budget)
        self._split_tags = split_tags
        self._splitter = TagSplitter() if split_tags else None
        self._finish: str | None = None
        self._ended = False
        self.usage: dict[str, Any] | None = None
        self.done = False
        self.began = False
        self.progress = 0
        self.unsent: list[Piece] = []

    @property
    def calls(self) -> list[ToolCall]:
        """The tool calls so far, a fresh list."""
        return self._calls.calls()

    @property
    def finish(self) -> str | None:
        """Why the model stopped; None while nobody said."""
        return "tool_calls" if self._finish == "stop" and len(self._calls) else self._finish

    def feed(self, data: bytes) -> list[Piece]:
        """Pieces that are complete with these bytes, in order; [] when none is.

        Raises: ErrorInside for an error inside the stream, UpstreamJunk for frames that make no sense, EmptyAnswer.
        """
        pieces: list[Piece] = []
        try:
            payload = self._intake.lone(data)
            if payload is not None and not self._ended:
                self._take(payload, pieces)
                return pieces
            for frame in self._intake.feed(data):
                if self._ended:
                    break
                payload = data_of(frame)
                if payload is not None:
                    self._take(payload, pieces)
        except UpstreamError:
            self.unsent = pieces
            raise
        return pieces

    def close(self) -> list[Piece]:
        """The last pieces, once the upstream ended.

        Raises: StreamInterrupted unless a finish_reason or `[DONE]` came, and something besides; ErrorInside and
        UpstreamJunk for what was left.
        """
        pieces: list[Piece] = []
        try:
            self._take_rest(pieces)
            if not self._intake.spoke:
                raise UpstreamJunk("The provider answered with an empty stream.")
            if not self._ended:
                if not self.began or self._finish is None:
                    raise StreamInterrupted("The provider's stream stopped before its end.")
                self._end(pieces)
        except UpstreamError:
            self.unsent = pieces
            raise
        return pieces

    def _take_rest(self, pieces: list[Piece]) -> None:
        for frame in self._intake.close():
            payload = None if self._ended else data_of(frame)
            if payload is not None:
                # Torn JSON at the end is a cut, not junk: what came before decides whether the answer is complete.
                with contextlib.suppress(UpstreamJunk):
                    self._take(payload, pieces)

    def _take(self, payload: bytes, pieces: list[Piece]) -> None:
        if payload[:1] != b"{":
            payload = payload.strip()
            if payload == b"[DONE]":
                self._end(pieces)
            if payload in (b"", b"[DONE]"):
                return
        chunk = decode_chunk(payload)
        raise_error_inside(chunk, payload)
        if chunk.usage and isinstance(chunk.usage, dict):
            self.usage = chunk.usage
        if chunk.choices:
            # n is never asked for, so there is one choice, whatever its index says.
            choice = chunk.choices[0]
            delta = choice.delta or choice.message
            if delta is not None:
                self._take_delta(delta, choice.logprobs, pieces)
            if choice.finish_reason and self._finish is None:
                self._take_finish(choice.finish_reason, payload, pieces)

    def _take_finish(self, reason: Any, payload: bytes, pieces: list[Piece]) -> None:
        meaning = map_finish(reason) if isinstance(reason, str) else "stop"
        if meaning == ERROR:
            raise ErrorInside(payload)
        self._flush(pieces)
        if meaning == MALFORMED:
            if not self.began:
                raise UpstreamJunk("The model wrote a tool call that cannot be read. Please try again.")
            meaning = "stop"
        self._finish = meaning
        self.began = True

    def _take_delta(self, delta: Delta, logprobs: Any, pieces: list[Piece]) -> None:
        text = text_of(delta)
        thinking = thinking_of(delta)
        if text or thinking:
            self.began = True
            self.progress += 1
            if text and self._split_tags and (self._splitter is not None or delta.extra_content):
                text, inline = self._split(delta, text)
                thinking += inline
        elif says_something(delta):
            self.began = True
            self.progress += 1
        tokens = logprobs.get("content") if isinstance(logprobs, dict) else None
        if text or thinking or tokens:
            pieces.append(_new_piece(Piece, (text, thinking, tokens if isinstance(tokens, list) else None)))
        if delta.tool_calls and isinstance(delta.tool_calls, list):
            for part in delta.tool_calls:
                self._calls.add(part)
        elif delta.function_call:
            self._calls.add_legacy(delta.function_call)

    def _split(self, delta: Delta, text: str) -> tuple[str, str]:
        """(text, thinking) of a text that may hold tags, or that Gemini marks as a thought."""
        thought = delta.extra_content is not None and _is_thought(delta.extra_content)
        if thought and self._splitter is None:
            self._splitter = TagSplitter()
        splitter = self._splitter
        if splitter is None:
            return text, ""
        text, thinking = splitter.feed(text)
        if splitter.plain:
            self._splitter = None
            if thought and not splitter.tagged:
                return "", thinking + text
        return text, thinking

    def _flush(self, pieces: list[Piece]) -> None:
        if self._splitter is not None:
            text, thinking = self._splitter.flush()
            self._splitter = None
            if text or thinking:
                pieces.append(Piece(text, thinking))

    def _end(self, pieces: list[Piece]) -> None:
        check_said(self._finish, said=self.progress > 0, may_be_silent=self._may_be_silent)
        self._ended = True
        self._flush(pieces)
        self.done = True
        self._finish = self._finish or "stop"


def _is_thought(extra: Any) -> bool:
    """Whether Gemini marked this delta as a thought (`extra_content.google.thought`)."""
    google = extra.get("google") if isinstance(extra, dict) else None
    return isinstance(google, dict) and google.get("thought") is True
