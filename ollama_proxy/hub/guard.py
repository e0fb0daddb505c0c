"""Owns how much structure a client's JSON may have before anything decodes it. Knows no message shape.

Small bodies can cost much: 9 MB of `{}` become hundreds of megabytes of objects, and 100,000 brackets exhaust a
recursive decoder. Counting first is cheap: under a microsecond for an ordinary body, linear for a hostile one.
Characters inside strings do not count, so a prompt may be about brackets.
"""

from __future__ import annotations

from ollama_proxy.errors import BadRequest, TooLarge

__all__ = ["MAX_DEPTH", "MAX_TOKENS", "check_structure"]

#: Levels of nesting. JSON schemas of real tools stay below 30.
MAX_DEPTH = 100
#: Openers and commas. A 10,000-message chat has about 40,000.
MAX_TOKENS = 200_000

_FOLD = bytes.maketrans(b"{}", b"[]")
_NOT_STRUCTURE = bytes(byte for byte in range(256) if byte not in b'"[]{},')


def check_structure(body: bytes) -> None:
    """Nothing, if the JSON in `body` is of reasonable shape; whether it is JSON at all is not looked at.

    Raises: BadRequest for too deep nesting, TooLarge for too many parts.
    """
    openers = body.count(b"[") + body.count(b"{")
    crowded = len(body) > MAX_TOKENS and openers + body.count(b",") > MAX_TOKENS
    if openers <= MAX_DEPTH and not crowded:
        return
    structure = _outside_strings(body)
    if structure.count(b"[") + structure.count(b",") > MAX_TOKENS:
        raise TooLarge(f"the request body has more than {MAX_TOKENS} parts")
    if not _nests_within(structure.replace(b",", b""), MAX_DEPTH):
        raise BadRequest(f"the request body nests deeper than {MAX_DEPTH} levels")


def _outside_strings(body: bytes) -> bytes:
    """Brackets (all as square ones) and commas that stand outside strings."""
    if b"\\" in body:
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    structure = body.translate(_FOLD, _NOT_STRUCTURE)
    # Two quotes a string, and hardly more strings than openers and commas: otherwise it is not JSON, and splitting
    # it would cost more memory than it is worth.
    if structure.count(b'"') > 4 * MAX_TOKENS + 4:
        raise TooLarge(f"the request body has more than {MAX_TOKENS} parts")
    return b"".join(structure.split(b'"')[::2])


def _nests_within(brackets: bytes, limit: int) -> bool:
    """Whether removing the innermost pairs `limit` times leaves no deeper nest; unbalanced text is the decoder's."""
    if brackets.count(b"]") > brackets.count(b"["):
        return True
    for _ in range(limit):
        rest = brackets.replace(b"[]", b"")
        if len(rest) == len(brackets):
            break
        brackets = rest
    return b"[]" not in brackets and brackets.count(b"[") <= limit
