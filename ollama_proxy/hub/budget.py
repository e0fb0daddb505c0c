"""Owns how much of one answer may be kept until it can be told whole. Knows not what is kept, nor where.

Most of a stream is passed on and forgotten. Tool calls are not, and neither is what the Responses API repeats at its
end; a provider that never stops would fill the memory with them.
"""

from __future__ import annotations

from ollama_proxy.errors import UpstreamJunk
from ollama_proxy.wire.sse import MAX_FRAME

__all__ = ["ITEM", "Budget"]

#: Bytes that a call or another item costs in memory beside its text, about.
ITEM = 500


class Budget:
    """What one answer may still make us keep, in bytes: at first as many as one event of a stream may have."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = MAX_FRAME

    def spend(self, size: int) -> None:
        """Takes note of `size` bytes more that are kept.

        Raises: UpstreamJunk when it is too much.
        """
        self._left -= size
        if self._left < 0:
            raise UpstreamJunk("The provider's answer is far too long to be told whole.")
