"""Owns the shape of ids that we make up where a provider gave none. The randomness is the caller's."""

from __future__ import annotations

__all__ = ["make_call_id"]

_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


def make_call_id(rnd: float) -> str:
    """`call_` and eight of [a-z0-9], from `rnd` in [0, 1)."""
    number = int(rnd * len(_LETTERS) ** 8)
    letters = []
    for _ in range(8):
        number, rest = divmod(number, len(_LETTERS))
        letters.append(_LETTERS[rest])
    return "call_" + "".join(letters)
