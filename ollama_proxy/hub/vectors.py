"""Owns how embeddings are read from an upstream's answer, and how a request for many is split and joined again.

Upstreams are asked for plain numbers; base64 (little-endian float32, OpenAI's second form) is read as well. The order
is that of `index`, whatever the order of the answer. How many inputs a provider takes at once is the caller's to know
(DashScope 10, Cohere 96, Gemini 100: their API references, read 2026-11).
"""

from __future__ import annotations

import base64
import binascii
import math
import sys
from array import array
from collections.abc import Sequence
from typing import Any, TypeAlias

import msgspec
from msgspec import Raw

from ollama_proxy.errors import UpstreamJunk
from ollama_proxy.hub.answer import bare_json
from ollama_proxy.hub.chunk import decode_chunk, raise_error_inside
from ollama_proxy.hub.convert import to_plain
from ollama_proxy.types import Body

__all__ = ["Vector", "join_replies", "read_vectors", "split_inputs", "to_base64"]

Vector: TypeAlias = list[float]


def read_vectors(reply: bytes, expected: int | None = None) -> tuple[list[Vector], dict[str, Any]]:
    """(the vectors in the order of the inputs, the other keys of the answer as they came).

    Raises: ErrorInside for an error inside the 200, UpstreamJunk for anything else that is not `expected` vectors.
    """
    body = bare_json(reply)
    if body is None:
        raise UpstreamJunk("The provider's answer is not JSON.")
    raise_error_inside(decode_chunk(body), body)
    answer = to_plain(body)
    data = answer.pop("data", None)
    if not isinstance(data, list) or not all(isinstance(item, dict) for item in data):
        raise UpstreamJunk("The provider's answer holds no embeddings.")
    if expected is not None and len(data) != expected:
        raise UpstreamJunk(f"The provider was asked for {expected} embeddings and sent {len(data)}.")
    return [_vector(item.get("embedding")) for item in sorted(data, key=_index)], answer


def split_inputs(body: Body, size: int) -> list[Body]:
    """The request as several with at most `size` inputs each; the same body alone where it is small enough.

    One text, or one text as token numbers, is one input.
    """
    inputs = body.get("input")
    try:
        items = msgspec.json.decode(inputs, type=list[Raw]) if isinstance(inputs, Raw) else inputs
    except msgspec.MsgspecError:
        return [body]
    if not isinstance(items, list) or len(items) <= size or _is_number(items[0]):
        return [body]
    return [{**body, "input": items[start : start + size]} for start in range(0, len(items), size)]


def join_replies(replies: Sequence[bytes], sizes: Sequence[int]) -> bytes:
    """One upstream answer made of several, whose requests held `sizes` inputs each, in the same order.

    Indexes go on from part to part and token counts are added up; every other key is the first answer's.
    Raises: ErrorInside, UpstreamJunk, also for a part with a wrong number of vectors.
    """
    whole: dict[str, Any] = {}
    data: list[dict[str, Any]] = []
    usage: dict[str, int] = {}
    for reply, size in zip(replies, sizes, strict=True):
        vectors, rest = read_vectors(reply, size)
        whole = whole or rest
        for vector in vectors:
            data.append({"object": "embedding", "index": len(data), "embedding": vector})
        counts = rest.get("usage")
        for key, count in counts.items() if isinstance(counts, dict) else ():
            if isinstance(count, int):
                usage[key] = usage.get(key, 0) + count
    return msgspec.json.encode({**whole, "data": data, "usage": usage or None})


def to_base64(vector: Vector) -> str:
    """OpenAI's second form of a vector: little-endian float32 in base64."""
    return base64.b64encode(_little_endian(array("f", vector)).tobytes()).decode()


def _index(item: dict[str, Any]) -> int:
    index = item.get("index")
    return index if isinstance(index, int) else 0


def _vector(value: Any) -> Vector:
    if isinstance(value, str):
        return _from_base64(value)
    # `true` is no number that anybody would send here; the rest is told apart by its type, which is quick.
    if not isinstance(value, list) or not {type(number) for number in value} <= {int, float}:
        raise UpstreamJunk("The provider sent an embedding that is no list of numbers.")
    return value


def _from_base64(text: str) -> Vector:
    try:
        vector = list(_little_endian(array("f", base64.b64decode(text, validate=True))))
    except (binascii.Error, ValueError) as error:
        raise UpstreamJunk("The provider sent an embedding that cannot be read.") from error
    if not all(map(math.isfinite, vector)):
        raise UpstreamJunk("The provider sent an embedding that cannot be read.")
    return vector


def _little_endian(numbers: array[float]) -> array[float]:
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def _is_number(item: Any) -> bool:
    if isinstance(item, Raw):
        return bytes(memoryview(item)[:1]) in b"-0123456789"
    return isinstance(item, (int, float))
