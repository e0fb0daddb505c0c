"""Owns /v1/audio/transcriptions: a form is read far enough to say what is wrong with it. Knows no provider.

No audio is passed on, and that is said; a form that is not right is told in Ollama's words before (Ollama 0.33).
Forms: RFC 7578, which wants plain parameters (the standard library's reading of RFC 2231's fails on odd ones). Only the
heads of the parts are parsed, so that a long recording costs nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.parser import BytesHeaderParser
from typing import NamedTuple

from ollama_proxy.errors import BadRequest

__all__ = ["parse_transcription", "refuse_transcription"]

#: No form of this endpoint has more parts, and no part a longer head.
_MOST_PARTS = 32
_LONGEST_HEAD = 8192
_LONGEST_NAME = 1024
_END = b"\r\n\r\n"
_PARAMETER = re.compile(r';\s*([a-z]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s"]*))', re.IGNORECASE)


class _Part(NamedTuple):
    """One field of a form. start, end: where its content stands in the body."""

    name: str
    is_file: bool
    start: int
    end: int


def parse_transcription(body: bytes, content_type: bytes) -> str:
    """The model that a form names, once everything else that is needed is there.

    Raises: BadRequest in Ollama's words.
    """
    fields: dict[str, _Part] = {}
    for part in _parts(body, _boundary(content_type)):
        fields.setdefault(part.name, part)
    model = fields.get("model")
    text = b"" if model is None or model.is_file else body[model.start : min(model.end, model.start + _LONGEST_NAME)]
    if not text.strip():
        raise BadRequest("model is required", param="model")
    file = fields.get("file")
    if file is None or not file.is_file:
        raise BadRequest("file is required: http: no such file", param="file")
    if file.start == file.end:
        raise BadRequest("audio file is empty", param="file")
    return text.decode("utf-8", "replace").strip()


def refuse_transcription(model: str) -> BadRequest:
    """The answer to a form that is right."""
    return BadRequest(
        f'"{model}" cannot be reached for transcription: this proxy passes no audio files on', param="model"
    )


def _boundary(content_type: bytes) -> bytes:
    text = content_type[:_LONGEST_NAME].decode("latin-1")
    if text.partition(";")[0].strip().lower() != "multipart/form-data":
        raise _malformed("request Content-Type isn't multipart/form-data")
    boundary = _parameters(text).get("boundary")
    if not boundary:
        raise _malformed("no multipart boundary param in Content-Type")
    return b"--" + boundary.encode("latin-1")


def _parameters(value: str) -> dict[str, str]:
    return {name.lower(): quoted or plain for name, quoted, plain in _PARAMETER.findall(value)}


def _parts(body: bytes, mark: bytes) -> Iterator[_Part]:
    """Raises: BadRequest where the form has no proper end."""
    at = 0 if body.startswith(mark) else _find(body, b"\r\n" + mark, 0) + 2
    for _ in range(_MOST_PARTS):
        at += len(mark)
        if body.startswith(b"--", at):
            return
        start = _find(body, _END, at, at + _LONGEST_HEAD) + len(_END)
        # A part without content ends with the line break that ends its head.
        end = _find(body, b"\r\n" + mark, start - 2)
        head = BytesHeaderParser().parsebytes(body[at:start].lstrip())
        given = _parameters(str(head["content-disposition"])[:_LONGEST_NAME])
        yield _Part(given.get("name", ""), "filename" in given, min(start, end), end)
        at = end + 2
    raise _malformed("too many parts")


def _find(body: bytes, what: bytes, start: int, end: int | None = None) -> int:
    at = body.find(what, start, end)
    if at < 0:
        raise _malformed("multipart: NextPart: EOF")
    return at


def _malformed(why: str) -> BadRequest:
    return BadRequest(f"failed to parse multipart form: {why}")
