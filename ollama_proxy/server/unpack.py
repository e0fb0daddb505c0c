"""Owns the undoing of a request's Content-Encoding: zstd on /v1, as Ollama takes it (Codex sends it). Pure.

Bounded twice: what comes out, and the window that a frame may ask for while it is undone.
"""

from __future__ import annotations

import sys

from ollama_proxy.errors import BadRequest, TooLarge, UnsupportedEncoding

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ["UNPACKED_BYTES", "is_taken", "unpack"]

#: Ollama's own bound.
UNPACKED_BYTES = 20 * 1024 * 1024
#: 2 to the power of this: 8 MiB, what the format asks every decoder to have.
_WINDOW_LOG = 23


def is_taken(coding: bytes, path: str) -> bool:
    """Whether a body in this coding is taken on this path."""
    return coding in (b"", b"identity") or (coding == b"zstd" and path.startswith("/v1/"))


def unpack(body: bytes, coding: bytes) -> bytes:
    """The body as it was before it was packed.

    Raises: UnsupportedEncoding, TooLarge; BadRequest for what is no zstd.
    """
    if coding in (b"", b"identity"):
        return body
    if coding != b"zstd":
        raise UnsupportedEncoding("Send the body without Content-Encoding.")
    options = {int(zstd.DecompressionParameter.window_log_max): _WINDOW_LOG}
    decompressor = zstd.ZstdDecompressor(options=options)
    try:
        plain: bytes = decompressor.decompress(body, UNPACKED_BYTES + 1)
    except zstd.ZstdError as error:
        raise BadRequest("The body is not valid zstd.") from error
    if len(plain) > UNPACKED_BYTES:
        raise TooLarge(f"The body is larger than {UNPACKED_BYTES} bytes once it is unpacked.")
    if not decompressor.eof:
        raise BadRequest("The body ends in the middle of its zstd frame.")
    return plain
