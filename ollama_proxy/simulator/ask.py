"""Owns one request as the simulated providers read it, and the questions they ask about its messages.

Whatever a client may put into JSON is tolerated here; whether it is allowed is each provider's business.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Ask", "dicts", "image_urls", "is_korean", "mime_of", "text_of", "words"]

_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+);base64,([A-Za-z0-9+/=\s]*)")
_HANGUL = re.compile(r"[\uac00-\ud7a3\u1100-\u11ff\u3130-\u318f]")


@dataclass(frozen=True, slots=True)
class Ask:
    """One request to one provider.

    path: below the provider's base address. model: without `models/` and without `!fault`; faults: those words.
    key: as sent (secret), label: how it is shown. number: which request of this simulator it is, from 1.
    wall: epoch seconds.
    """

    provider: str
    operation: str
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    key: str
    label: str
    number: int
    wall: float
    model: str = ""
    faults: tuple[str, ...] = ()
    body: Mapping[str, Any] = field(default_factory=dict)

    @property
    def stream(self) -> bool:
        """Whether a stream was asked for."""
        return self.body.get("stream") is True

    @property
    def messages(self) -> list[Mapping[str, Any]]:
        """The messages that are objects."""
        return dicts(self.body.get("messages"))

    @property
    def tools(self) -> list[Mapping[str, Any]]:
        """The functions offered: name, description, parameters."""
        return [t["function"] for t in dicts(self.body.get("tools")) if isinstance(t.get("function"), Mapping)]

    @property
    def question(self) -> str:
        """The text of the last user message; for other operations the prompt or the first input."""
        for message in reversed(self.messages):
            if message.get("role") == "user":
                return text_of(message.get("content"))
        first = self.body.get("prompt") or self.body.get("input") or ""
        return first if isinstance(first, str) else ""


def dicts(value: Any) -> list[Mapping[str, Any]]:
    """The objects in a list; nothing for anything else."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def text_of(content: Any) -> str:
    """The text in a message's content, be it a string or a list of parts."""
    if isinstance(content, str):
        return content
    return " ".join(str(part.get("text", "")) for part in dicts(content) if part.get("type") == "text")


def image_urls(messages: list[Mapping[str, Any]]) -> Iterator[str]:
    """Every image's address, in order; "" for one that is no text."""
    for message in messages:
        for part in dicts(message.get("content")):
            if part.get("type") == "image_url":
                url = part.get("image_url")
                url = url.get("url") if isinstance(url, Mapping) else url
                yield url if isinstance(url, str) else ""


def mime_of(url: str) -> str | None:
    """The MIME type of an image in a data URL; None if it is none, or its base64 is broken or empty."""
    match = _DATA_URL.fullmatch(url)
    if match is None:
        return None
    try:
        data = base64.b64decode(match[2], validate=True)
    except (binascii.Error, ValueError):
        return None
    return match[1] if data else None


def is_korean(text: str) -> bool:
    """Whether there is any Hangul in it."""
    return _HANGUL.search(text) is not None


def words(text: str) -> frozenset[str]:
    """The words of a text, as a set of allowed names."""
    return frozenset(text.split())
