"""Owns what a stream says once: a choice's role with its first delta, the token counts with the last word.

Gemini and OpenRouter repeat the role in every delta, Gemini the counts as well (their streams, read 2026-11). OpenAI's
own Python accumulator adds roles up to "assistantassistant", with which no provider takes the message back; Continue
holds back every chunk with counts but the last, and loses the text on it (openai-python 3.54, Continue 1.5, seen on the
wire 2026-11). Whatever else is in such a chunk keeps its bytes.
Source: OpenAI API reference, "The chat completion chunk object" (`usage`), read 2026-11.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ollama_proxy.hub.chunk import Chunk, says_something

__all__ = ["Once"]

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_choices = msgspec.json.Decoder(list[dict[str, msgspec.Raw]]).decode
_encode = msgspec.json.Encoder().encode
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
#: The index of a choice that has none.
_FIRST = msgspec.Raw(b"0")


class Once:
    """What one stream has said so far."""

    __slots__ = ("_counts_wanted", "_spoken", "_untold")

    def __init__(self, *, counts_wanted: bool = False) -> None:
        """counts_wanted: the client asked for counts on every chunk."""
        self._counts_wanted = counts_wanted
        self._spoken: set[bytes] = set()  # the choices whose role was told
        self._untold: Any = None  # counts that were taken away, and are the last so far

    def tidied(self, payload: bytes, chunk: Chunk) -> bytes | None:
        """The chunk without what was said before and with counts that are still owed; None where it is right as it is.

        payload: its JSON text, `chunk` what was read of it.
        """
        choices = chunk.choices or ()
        roles = any(choice.delta is not None and choice.delta.role for choice in choices)
        ends = any(choice.finish_reason for choice in choices)
        speaks = any(choice.delta is not None and says_something(choice.delta) for choice in choices)
        early = bool(chunk.usage) and speaks and not ends and not self._counts_wanted
        owed = ends and self._untold is not None and not chunk.usage
        if not (roles or early or owed):
            if chunk.usage:
                self._untold = None
            return None
        try:
            fields = _fields(payload)
            changed = self._silence(fields) if roles else False
        except _UNREADABLE:
            return None  # it is as it came in parts that nobody has read so far
        if early:
            self._untold = fields.pop("usage")
            return _encode(fields)
        if owed:
            fields["usage"] = self._untold
        self._untold = None
        return _encode(fields) if changed or owed else None

    def _silence(self, fields: dict[str, Any]) -> bool:
        """Takes away the roles that were told before; whether there were any."""
        choices: list[dict[str, Any]] = _choices(fields["choices"])
        changed = False
        for choice in choices:
            delta: dict[str, Any] = _fields(choice["delta"]) if "delta" in choice else {}
            if "role" not in delta:
                continue
            index = bytes(choice.get("index", _FIRST))
            if index in self._spoken:
                del delta["role"]
                choice["delta"] = delta
                changed = True
            self._spoken.add(index)
        if changed:
            fields["choices"] = choices
        return changed
