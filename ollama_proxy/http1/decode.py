"""Owns the undoing of a content coding (RFC 9110 §8.4): gzip and deflate. Knows nothing about connections.

We ask for `identity`, so a coded body is a server's mistake or a bomb. It is decoded in blocks: the caller pushes what
came from the socket, and pulls at most BLOCK bytes at a time, when it has room for them. What is not pulled stays
coded, so an expansion of 1:1000 never becomes memory. brotli and zstd are refused: the standard library of the oldest
Python we support has neither, and nobody asked for them.
"""

from __future__ import annotations

import zlib
from typing import Protocol

from ollama_proxy.http1.faults import EncodingRefused, TooMuch

__all__ = ["BLOCK", "Decoder", "decoder_for"]

#: The most that one pull returns.
BLOCK = 65536
#: A body may expand to FREE_BYTES + MAX_RATIO times what was taken in. JSON and event streams reach 10 to 40; zlib's
#: own limit is 1032, which only a bomb comes near.
MAX_RATIO = 100
FREE_BYTES = 1 << 20

_GZIP, _ZLIB, _RAW = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS


class _Inflating(Protocol):
    """What `zlib.decompressobj` returns; typeshed's own name for it cannot be imported at run time."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    @property
    def unconsumed_tail(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes: ...


def decoder_for(content_encoding: bytes) -> Decoder | None:
    """The decoder for the value of a Content-Encoding field; None where there is nothing to undo.

    Raises: EncodingRefused for every other coding, several at once included.
    """
    coding = content_encoding.strip().lower()
    if coding in (b"", b"identity"):
        return None
    if coding in (b"gzip", b"x-gzip", b"deflate"):
        return Decoder(deflate=coding == b"deflate")
    # The value came from outside: it is not repeated in full.
    shown = coding[:20].decode("ascii", "replace")
    raise EncodingRefused(f"the answer is coded as {shown!r} although identity was asked for")


class Decoder:
    """One body. `push` coded bytes, `pull` decoded ones until b"", and `finish` when the body has ended."""

    __slots__ = ("_deflate", "_given", "_inflating", "_taken", "_waiting")

    def __init__(self, *, deflate: bool) -> None:
        self._deflate = deflate
        self._inflating: _Inflating | None = None if deflate else zlib.decompressobj(_GZIP)
        self._waiting = b""
        self._taken = 0  # coded bytes that were decoded
        self._given = 0  # decoded bytes

    def push(self, data: bytes) -> None:
        """Coded bytes as they came."""
        self._waiting = self._waiting + data if self._waiting else data

    def pull(self) -> bytes:
        """The next decoded bytes, at most BLOCK; b"" when more input is needed.

        Raises: EncodingRefused for broken data or data after its end, TooMuch for a bomb.
        """
        inflating = self._inflating or self._start()
        if inflating is None:
            return b""
        while True:
            if inflating.eof and (self._waiting or inflating.unused_data):
                raise EncodingRefused("there is data after the end of the compressed answer")
            before = len(self._waiting)
            try:
                block = inflating.decompress(self._waiting, BLOCK)
            except zlib.error:
                raise EncodingRefused("the compressed answer is broken") from None
            self._waiting = inflating.unconsumed_tail
            self._count(before - len(self._waiting), len(block))
            if block or not (self._waiting or inflating.unused_data):
                return block

    def finish(self) -> None:
        """To be called at the end of the body, after the last pull. Raises: EncodingRefused if the data is cut."""
        nothing_came = not self._taken and not self._waiting
        if not nothing_came and (self._inflating is None or not self._inflating.eof):
            raise EncodingRefused("the compressed answer ends too early")

    def _start(self) -> _Inflating | None:
        """`deflate` means zlib's format (RFC 9110 §8.4.1.2), but raw deflate is sent too: two bytes tell (RFC 1950)."""
        if len(self._waiting) < 2:
            return None
        first, second = self._waiting[:2]
        is_zlib = first & 0x0F == 8 and (first << 8 | second) % 31 == 0
        self._inflating = zlib.decompressobj(_ZLIB if is_zlib else _RAW)
        return self._inflating

    def _count(self, taken: int, given: int) -> None:
        self._taken += taken
        self._given += given
        if self._given > FREE_BYTES + MAX_RATIO * self._taken:
            raise TooMuch(f"the compressed answer expands more than {MAX_RATIO}-fold")
