"""Owns how function names that a provider could not take get their own names back in its answers. Pure.

Some providers allow fewer letters in a function's name than OpenAI does; the request then carried another name, and the
client must never see it. Needed for few requests, so it works on whole frames, before any protocol looks at them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ollama_proxy.wire.sse import Frames, event_of

__all__ = ["Renamer"]


class Renamer:
    """One answer's names. names: as the provider knows them -> as the client does."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names
        self._frames = Frames()

    def feed(self, data: bytes) -> bytes:
        """A stream's bytes, up to the last whole frame, with the client's names.

        Raises: FrameTooLarge
        """
        return b"".join(map(self._renamed, self._frames.feed(data)))

    def finish(self) -> bytes:
        """What is left at the stream's end."""
        rest = self._frames.finish()
        return b"" if rest is None else self._renamed(rest)

    def answer(self, body: bytes) -> bytes:
        """A whole answer with the client's names."""
        changed = self._json(body.strip())
        return body if changed is None else changed

    def _renamed(self, frame: bytes) -> bytes:
        if b"name" not in frame:
            return frame
        event = event_of(frame)
        changed = None if event is None else self._json(event[1])
        return frame if changed is None else b"data: " + changed + b"\n\n"

    def _json(self, text: bytes) -> bytes | None:
        """The JSON with names put back; None where there is nothing to put back."""
        try:
            value = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        changed = False
        for choice in _list(value, "choices"):
            for part in ("delta", "message"):
                said = choice.get(part) if isinstance(choice, dict) else None
                for call in (*_list(said, "tool_calls"), said):
                    changed = self._put_back(call) or changed
        return msgspec.json.encode(value) if changed else None

    def _put_back(self, call: Any) -> bool:
        """Whether the call, or the message with a call of the old kind, had a name of ours."""
        changed = False
        for key in ("function", "function_call"):
            function = call.get(key) if isinstance(call, dict) else None
            if isinstance(function, dict) and function.get("name") in self._names:
                function["name"] = self._names[function["name"]]
                changed = True
        return changed


def _list(value: Any, key: str) -> list[Any]:
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, list) else []
