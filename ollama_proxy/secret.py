"""Owns how a provider's key is held and how text is cleaned of keys. Knows nothing about providers.

A Secret shows its label wherever it is printed, formatted or pickled by accident; only `reveal()` gives the key, and
only `upstream` calls it. The Scrubber stands before every sink: logs, error bodies, the database.

Some providers repeat a part of a key, so parts are masked as well: eight characters in a row from anywhere behind what
all keys of a kind begin with. Guessing the rest of a key is easier with every such piece, and two of them may meet.
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
_HALF = _SHORTEST // 2
#: A word that anybody may write, perhaps with a number.
_WORD = rb"(?:[A-Z]?[a-z]*|[A-Z]+)[0-9]{0,4}"
#: How keys begin that have nothing secret about their beginning: `AIzaSy`, `sk-or-v1-`, `gsk_`, `my-key-2-`.
_PUBLIC = re.compile(rb"(?:AIzaSy|(?:%b[-_.:])+)" % _WORD)
_ONE_WORD = re.compile(_WORD)
#: Where a piece may be: no key has a blank in it.
_STRETCH = re.compile(rb"\S{8,}")


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
    """Masks known keys, pieces of them, and whatever looks like a key, in text on its way out."""

    __slots__ = ("_halves", "_known", "_pieces", "_values")

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._values: set[bytes] = set()
        self._known: re.Pattern[bytes] | None = None
        self._pieces: set[bytes] = set()
        #: Every half of a piece.
        self._halves: set[bytes] = set()
        self.learn(values)

    def learn(self, values: Iterable[str]) -> None:
        """More keys to mask; what was known stays known, since old text may still be on its way."""
        new = {value.encode() for value in values if len(value) >= _SHORTEST} - self._values
        self._values |= new
        fresh = {piece for value in new for piece in _pieces(value)}
        self._pieces |= fresh
        self._halves |= {piece[at : at + _HALF] for piece in fresh for at in range(_HALF + 1)}
        longest_first = sorted(self._values, key=len, reverse=True)
        self._known = re.compile(b"|".join(map(re.escape, longest_first))) if longest_first else None

    def scrub(self, text: bytes) -> bytes:
        """The text with every key, and every piece of one, replaced by `[key]`."""
        if self._known is not None:
            text = self._known.sub(_MASK, text)
        # Any eight in a row hold four that begin at a fifth place: few looks tell that a text or a log line is clean.
        fours = [text[at : at + _HALF] for at in range(0, len(text), _HALF + 1)]
        if not self._halves.isdisjoint(fours):
            text = _STRETCH.sub(self._without_pieces, text)
        return _SHAPES.sub(_MASK, text)

    def scrub_text(self, text: str) -> str:
        """`scrub` for str."""
        return self.scrub(text.encode("utf-8", "replace")).decode("utf-8", "replace")

    def _without_pieces(self, stretch: re.Match[bytes]) -> bytes:
        text, known = stretch[0], self._pieces
        found = [at for at in range(len(text) - _SHORTEST + 1) if text[at : at + _SHORTEST] in known]
        if not found:
            return text
        out, end = b"", 0
        for at in found:
            if at > end or not out:
                out += text[end:at] + _MASK
            end = at + _SHORTEST
        return out + text[end:]


def _pieces(key: bytes) -> set[bytes]:
    """Every eight characters in a row of what is secret about a key; nothing for one that is made of words.

    Words would be masked wherever anybody writes them; such a key is known as a whole.
    """
    begin = _PUBLIC.match(key)
    secret = key[begin.end() :] if begin else key
    if _ONE_WORD.fullmatch(secret):
        return set()
    return {secret[at : at + _SHORTEST] for at in range(len(secret) - _SHORTEST + 1)}
