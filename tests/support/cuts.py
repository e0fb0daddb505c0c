"""How decoders are fed in tests: whole, byte by byte, and cut wherever hypothesis likes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from hypothesis import strategies as st

__all__ = ["bytewise", "cut_at", "cut_points"]

#: Relative places at which a byte string of any length is cut.
cut_points = st.lists(st.floats(0, 1, exclude_max=True), max_size=12)


def cut_at(data: bytes, places: list[float]) -> list[bytes]:
    """The data in pieces; some may be empty."""
    offsets = [0, *sorted(int(place * len(data)) for place in places), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(offsets)]


def bytewise(data: bytes) -> Iterator[bytes]:
    return (data[at : at + 1] for at in range(len(data)))
