"""Owns how a provider's key is held and how text is cleaned of keys. Knows nothing about providers.

A Secret shows its label wherever it is printed, formatted or pickled by accident; only `reveal()` gives the key, and
only `upstream` calls it. The Scrubber stands before every sink: logs, error bodies, the database.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

__all__ = ["Scrubber", "Secret"]

#: Shapes of the keys we serve (Google, OpenRouter and OpenAI, Akash, Qwen and others): masked even when unknown to us.
_SHAPES = re.compile(
    rb"AIza[0-9A-Za-z_\-]{20,}|sk-[0-9A-Za-z_\-]{12,}|akml-[0-9A-Za-z_\-]{8,}|gsk_[0-9A-Za-z]{16,}|nvapi-[0-9A-Za-z_\-]{16,}"
)
_MASK = b"[key]"
#: Shorter strings would mask ordinary words.
_SHORTEST = 8


class Secret:
    """One provider key. `label` (`google#3`) is what people see; `fingerprint` tells keys apart across restarts."""

    __slots__ = ("_value", "fingerprint", "label")

    def __init__(self, value: str, label: str) -> None:
        self._value = value
        self.label = label
        self.fingerprint = hashlib.sha256(b"ollama-proxy key\0" + value.encode()).hexdigest()[:16]

    def reveal(self) -> str:
        """The key itself: for the header to its own provider, and nothing else."""
        return self._value

    def __repr__(self) -> str:
        return self.label

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(self.label, spec)

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a key is not pickled")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other.fingerprint == self.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)


class Scrubber:
    """Masks known keys, and whatever looks like one, in text on its way out."""

    __slots__ = ("_known", "_values")

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._values: set[bytes] = set()
        self._known: re.Pattern[bytes] | None = None
        self.learn(values)

    def learn(self, values: Iterable[str]) -> None:
        """More keys to mask; what was known stays known, since old text may still be on its way."""
        self._values |= {value.encode() for value in values if len(value) >= _SHORTEST}
        longest_first = sorted(self._values, key=len, reverse=True)
        self._known = re.compile(b"|".join(map(re.escape, longest_first))) if longest_first else None

    def scrub(self, text: bytes) -> bytes:
        """The text with every key replaced by `[key]`."""
        if self._known is not None:
            text = self._known.sub(_MASK, text)
        return _SHAPES.sub(_MASK, text)

    def scrub_text(self, text: str) -> str:
        """`scrub` for str."""
        return self.scrub(text.encode("utf-8", "replace")).decode("utf-8", "replace")
