"""Owns how an upstream's embeddings are read, ordered and normalised. Knows no endpoint."""

from __future__ import annotations

import base64
import binascii
import math
import struct
from typing import Any

from ollama_proxy.errors import UpstreamJunk
from ollama_proxy.hub.answer import bare_json
from ollama_proxy.hub.chunk import decode_chunk, raise_error_inside
from ollama_proxy.hub.convert import to_plain

__all__ = ["normalised", "read_vectors"]

Vector = list[float]


def read_vectors(reply: bytes, expected: int) -> tuple[list[Vector], dict[str, Any] | None]:
    """The vectors in the order of the inputs, and the usage as it came.

    Raises: ErrorInside for an error inside the 200, UpstreamJunk for anything but `expected` vectors.
    """
    body = bare_json(reply)
    if body is None:
        raise UpstreamJunk("The provider's answer is not JSON.")
    raise_error_inside(decode_chunk(body), body)
    answer = to_plain(body)
    data = answer.get("data")
    if not isinstance(data, list) or not all(isinstance(item, dict) for item in data):
        raise UpstreamJunk("The provider's answer holds no embeddings.")
    if len(data) != expected:
        raise UpstreamJunk(f"The provider answered with {len(data)} embeddings for {expected} texts.")
    vectors = [_vector(item.get("embedding")) for item in sorted(data, key=_index)]
    usage = answer.get("usage")
    return vectors, usage if isinstance(usage, dict) else None


def normalised(vector: Vector, dimensions: int = 0) -> Vector:
    """The vector at length 1; cut to `dimensions` numbers first, where that is less than it has."""
    if 0 < dimensions < len(vector):
        vector = vector[:dimensions]
    norm = math.hypot(*vector)
    return [number / norm for number in vector] if norm else vector


def _index(item: dict[str, Any]) -> int:
    index = item.get("index")
    return index if isinstance(index, int) else 0


def _vector(value: Any) -> Vector:
    if isinstance(value, str):
        return _from_base64(value)
    # `true` is no number that anybody would send here; the rest is told apart by its type, which is quick.
    if not isinstance(value, list) or not {type(number) for number in value} <= {int, float}:
        raise UpstreamJunk("The provider's answer holds an embedding that is no list of numbers.")
    return value


def _from_base64(text: str) -> Vector:
    """The numbers in OpenAI's base64 form: little-endian float32."""
    try:
        data = base64.b64decode(text, validate=True)
        vector = list(struct.unpack(f"<{len(data) // 4}f", data))
    except (binascii.Error, struct.error, ValueError):
        vector = [math.nan]
    if not all(map(math.isfinite, vector)):
        raise UpstreamJunk("The provider's answer holds an embedding that cannot be read.")
    return vector
