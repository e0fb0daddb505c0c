"""Owns the shape of ids that we make up where a provider gave none. The randomness is the caller's."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["make_call_id", "make_hex_id"]

_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


def make_call_id(rnd: float) -> str:
    """`call_` and eight of [a-z0-9], from `rnd` in [0, 1)."""
    number = int(rnd * len(_LETTERS) ** 8)
    letters = []
    for _ in range(8):
        number, rest = divmod(number, len(_LETTERS))
        letters.append(_LETTERS[rest])
    return "call_" + "".join(letters)


def make_hex_id(prefix: str, rnd: Callable[[], float]) -> str:
    """The prefix and 24 of [0-9a-f]; `rnd` gives floats in [0, 1)."""
    return f"{prefix}{int(rnd() * 16**12):012x}{int(rnd() * 16**12):012x}"
