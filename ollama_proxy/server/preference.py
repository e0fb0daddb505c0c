"""Owns what a client would rather have, by `Accept` and `Accept-Language` (RFC 9110 §12.5). Pure; knows no answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

__all__ = ["first_choice"]

T = TypeVar("T")
#: No browser names more.
_MOST = 32


def first_choice(field: bytes, offers: Mapping[str, T], otherwise: T) -> T:
    """What is offered for the value that is dearest to the client; of equally dear ones the first that it names.

    offers: by value in lower case: `text/html`, `*/*`, `ko` (which serves for `ko-KR`, too). otherwise: where nothing
    fits, or nothing was said.
    """
    best, weight = otherwise, 0.0
    for item in field.decode("latin-1").lower().split(",")[:_MOST]:
        value, _, parameters = item.partition(";")
        value = value.strip()
        offered = offers.get(value, offers.get(value.partition("-")[0]))
        dear = _weight(parameters)
        if offered is not None and dear > weight:
            best, weight = offered, dear
    return best


def _weight(parameters: str) -> float:
    """From 0 (not at all) to 1."""
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                weight = float(value)
            except ValueError:
                return 0.0
            return weight if 0 <= weight <= 1 else 0.0
    return 1.0
