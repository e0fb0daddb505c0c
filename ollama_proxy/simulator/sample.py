"""Owns made-up values: an object that satisfies a simple JSON schema, and vectors. Deterministic, and pure."""

from __future__ import annotations

import base64
import hashlib
import math
import struct
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["packed", "sample", "vector"]

_DEEPEST = 8
_FORMATS = {
    "date": "2026-11-23",
    "date-time": "2026-11-23T09:00:00Z",
    "time": "09:00:00Z",
    "email": "someone@example.invalid",
    "uri": "https://example.invalid/",
    "uuid": "51051051-0510-4105-8105-105105105105",
    "ipv4": "192.0.2.1",
}


def sample(schema: Any, text: Callable[[str], str]) -> Any:
    """A value that satisfies the schema, as far as its usual words go. `text(name)` gives the plain strings."""
    root = schema if isinstance(schema, Mapping) else {}
    return _sample(root, root, text, "value", 0)


def _sample(schema: Any, root: Mapping[str, Any], text: Callable[[str], str], name: str, depth: int) -> Any:
    if not isinstance(schema, Mapping) or depth > _DEEPEST:
        return None
    if isinstance(schema.get("$ref"), str):
        return _sample(_resolve(root, schema["$ref"]), root, text, name, depth + 1)
    if "const" in schema:
        return schema["const"]
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return schema["enum"][0]
    for word in ("anyOf", "oneOf", "allOf"):
        options = schema.get(word)
        if isinstance(options, list) and options:
            return _sample(options[0], root, text, name, depth + 1)
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((k for k in kind if k != "null"), "null")
    return _of_kind(kind or ("object" if "properties" in schema else None), schema, root, text, name, depth)


def _of_kind(
    kind: Any, schema: Mapping[str, Any], root: Mapping[str, Any], text: Callable[[str], str], name: str, depth: int
) -> Any:
    if kind == "object":
        properties = schema.get("properties")
        properties = properties if isinstance(properties, Mapping) else {}
        return {key: _sample(value, root, text, str(key), depth + 1) for key, value in properties.items()}
    if kind == "array":
        few = _number(schema, ("minItems",), 1)
        return [_sample(schema.get("items", {"type": "string"}), root, text, name, depth + 1) for _ in range(few or 1)]
    if kind == "string":
        return _string(schema, text(name))
    if kind == "integer":
        return math.ceil(_number(schema, ("minimum",), 1))
    if kind == "number":
        return float(_number(schema, ("minimum",), 1))
    if kind == "boolean":
        return True
    return None if kind == "null" else text(name)


def _string(schema: Mapping[str, Any], plain: str) -> str:
    value = _FORMATS.get(str(schema.get("format")), plain)
    shortest, longest = _number(schema, ("minLength",), 0), _number(schema, ("maxLength",), 1000)
    return (value + "x" * max(0, int(shortest) - len(value)))[: int(longest)]


def _number(schema: Mapping[str, Any], words: tuple[str, ...], default: int) -> Any:
    for word in words:
        value = schema.get(word)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1000:
            return value
    return default


def _resolve(root: Mapping[str, Any], ref: str) -> Any:
    """What a reference inside the document points at; None for any other."""
    if not ref.startswith("#"):
        return None
    found: Any = root
    for step in ref.lstrip("#").strip("/").split("/"):
        if step:
            found = found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
    return found


def vector(text: str, length: int) -> list[float]:
    """Numbers of length one together, the same each time for the same text."""
    raw = hashlib.shake_256(text.encode("utf-8", "replace")).digest(2 * length)
    numbers = struct.unpack(f"<{length}h", raw)
    size = math.sqrt(sum(n * n for n in numbers)) or 1.0
    return [round(n / size, 7) for n in numbers]


def packed(numbers: list[float]) -> str:
    """The same as base64 of 32-bit floats, as `encoding_format: base64` asks for it."""
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()
