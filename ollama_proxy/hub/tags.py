"""Owns how reasoning is told from the answer where a server writes both into one text, between tags.

`<think>` (DeepSeek and Qwen templates without a reasoning parser), `<thinking>` and `<thought>` (Gemini's and Gemma's
thoughts on the OpenAI-compatible endpoint). Only a tag at the very start of the text counts: later ones are text that
the model writes about. White space around the tags goes, as in Ollama's own thinking parser.
"""

from __future__ import annotations

import enum

__all__ = ["TagSplitter"]

_OPENING = ("<think>", "<thinking>", "<thought>")
#: White space at the start that may still turn out to stand before a tag.
_MAX_BLANK = 64


class _State(enum.Enum):
    START = enum.auto()
    OPENED = enum.auto()
    INSIDE = enum.auto()
    CLOSED = enum.auto()
    PLAIN = enum.auto()


class TagSplitter:
    """Splits one text that arrives in pieces; a tag may be cut anywhere. Holds back less than a tag's length."""

    __slots__ = ("_closing", "_held", "_state")

    def __init__(self) -> None:
        self._state = _State.START
        self._held = ""
        self._closing = ""

    @property
    def plain(self) -> bool:
        """Whether all that follows is plain text, so that this object is no longer needed."""
        return self._state is _State.PLAIN

    @property
    def tagged(self) -> bool:
        """Whether an opening tag was found."""
        return bool(self._closing)

    def feed(self, text: str) -> tuple[str, str]:
        """(text, thinking) that are certain now."""
        held = self._held + text
        self._held = ""
        thinking = ""
        if self._state is _State.START:
            held = self._open(held)
        if self._state is _State.OPENED:
            held = held.lstrip()
            if held:
                self._state = _State.INSIDE
        if self._state is _State.INSIDE:
            thinking, held = self._inside(held)
        if self._state is _State.CLOSED:
            held = held.lstrip()
            if held:
                self._state = _State.PLAIN
        return held, thinking

    def flush(self) -> tuple[str, str]:
        """(text, thinking) that were held back, at the end of the text."""
        held = self._held
        self._held = ""
        if self._state is _State.INSIDE:
            return "", held
        return held, ""

    def _open(self, held: str) -> str:
        start = held.lstrip()
        for tag in _OPENING:
            if start.startswith(tag):
                self._state = _State.OPENED
                self._closing = "</" + tag[1:]
                return start[len(tag) :]
        if any(tag.startswith(start) for tag in _OPENING) and len(held) - len(start) <= _MAX_BLANK:
            self._held = held
            return ""
        self._state = _State.PLAIN
        return held

    def _inside(self, held: str) -> tuple[str, str]:
        """(thinking, text after the closing tag)."""
        end = held.find(self._closing)
        if end >= 0:
            self._state = _State.CLOSED
            return held[:end], held[end + len(self._closing) :]
        keep = _overlap(held, self._closing)
        self._held = held[len(held) - keep :]
        return held[: len(held) - keep], ""


def _overlap(text: str, tag: str) -> int:
    """The length of the longest end of `text` that is a beginning of `tag`."""
    at = text.rfind("<", max(0, len(text) - len(tag) + 1))
    if at >= 0 and tag.startswith(text[at:]):
        return len(text) - at
    return 0
