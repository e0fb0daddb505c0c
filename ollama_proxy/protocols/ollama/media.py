"""Owns what comes as base64 in `images`: is it base64, what is it, how does the hub say it. Knows no endpoint.

Rules: Ollama 0.33, which decodes with Go's encoding/base64 (standard alphabet, padding, line breaks allowed) and calls
WAV and MP3 bytes audio. Signatures: WHATWG MIME Sniffing, "Matching an image type pattern" and "audio or video".
"""

from __future__ import annotations

import binascii
import re
import string
from typing import Any

from ollama_proxy.errors import BadRequest

__all__ = ["media_part"]

_ALPHABET = (string.ascii_letters + string.digits + "+/").encode()
_BREAKS = b"\r\n"
_FOREIGN = re.compile(rb"[^A-Za-z0-9+/\r\n]")
_NO_BREAK = re.compile(rb"[^\r\n]")
#: 16 base64 characters are 12 bytes: all that the signatures look at.
_HEAD = 16


def media_part(text: str) -> dict[str, Any] | None:
    """The hub's content part for one entry of `images`: `image_url`, or `input_audio` for WAV and MP3; None if empty.

    Raises: BadRequest with the position of the first byte that is not base64.
    """
    data = _checked(text.encode("utf-8", "replace"))
    if not data:
        return None
    head = binascii.a2b_base64(data[:_HEAD])
    plain = data.decode("ascii")
    audio = _audio_format(head)
    if audio is not None:
        return {"type": "input_audio", "input_audio": {"data": plain, "format": audio}}
    return {"type": "image_url", "image_url": {"url": f"data:{_image_type(head)};base64,{plain}"}}


def _checked(data: bytes) -> bytes:
    """The base64 text without line breaks."""
    # Deleting the alphabet in C is many times faster on a photo than a regular expression.
    rest = data.translate(None, _ALPHABET)
    if rest not in (b"", b"=", b"=="):
        if rest.translate(None, _BREAKS) not in (b"", b"=", b"=="):
            raise _illegal(_first_fault(data))
        fault = _first_fault(data)
        if fault is not None:
            raise _illegal(fault)
        data = data.translate(None, _BREAKS)
    elif len(data) % 4 or not data.endswith(rest):
        raise _illegal(_first_fault(data))
    return data


def _illegal(at: int | None) -> BadRequest:
    return BadRequest(f"illegal base64 data at input byte {at or 0}")


def _first_fault(data: bytes) -> int | None:
    """Where Go's decoder stops; None if all is well. It counts in groups of four letters and looks for padding."""
    foreign = _FOREIGN.search(data)
    at = foreign.start() if foreign else len(data)
    in_group = len(data[:at].translate(None, _BREAKS)) % 4
    if foreign is None:
        return at - in_group if in_group else None
    if data[at] != ord("=") or in_group < 2:
        return at
    end = at + 1
    if in_group == 2:
        second = _NO_BREAK.search(data, end)
        if second is None:
            return len(data)
        if second.group() != b"=":
            return second.start() - 1
        end = second.end()
    tail = _NO_BREAK.search(data, end)
    return tail.start() if tail else None


def _audio_format(head: bytes) -> str | None:
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return "wav"
    # An MPEG audio frame: eleven sync bits, and a layer that is not the reserved one (which is AAC's).
    framed = len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0 and head[1] & 0x06
    return "mp3" if framed or head[:3] == b"ID3" else None


def _image_type(head: bytes) -> str:
    if head[:8] == b"\x89PNG\r\n\x1a\n":
        return "image/png"
    if head[:4] == b"GIF8":
        return "image/gif"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    return "image/jpeg"
