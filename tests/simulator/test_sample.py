"""Made-up values."""

from __future__ import annotations

import base64
import math
import struct
from typing import Any

import pytest

from ollama_proxy.simulator.sample import packed, sample, vector


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string"}, "value!"),
        ({"type": "string", "enum": ["b", "a"]}, "b"),
        ({"const": 7}, 7),
        ({"type": ["null", "integer"]}, 1),
        ({"type": "integer", "minimum": 2.5}, 3),
        ({"type": "number"}, 1.0),
        ({"type": "boolean"}, True),
        ({"type": "null"}, None),
        ({"type": "array", "items": {"type": "boolean"}, "minItems": 2}, [True, True]),
        ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, 1),
        ({"properties": {"a": {"type": "string"}}}, {"a": "a!"}),
        ({"type": "string", "format": "date"}, "2026-11-23"),
        ({"type": "string", "minLength": 9}, "value!xxx"),
        ({"type": "string", "maxLength": 3}, "val"),
        ({"$defs": {"n": {"type": "integer"}}, "type": "object", "properties": {"a": {"$ref": "#/$defs/n"}}}, {"a": 1}),
        ({}, "value!"),
        ("nonsense", "value!"),
    ],
)
def test_value_satisfies_the_schema(schema: Any, value: Any) -> None:
    """The usual words of JSON schema, one at a time."""
    assert sample(schema, lambda name: f"{name}!") == value


def test_schema_that_contains_itself_ends() -> None:
    """Recursion is cut at some depth."""
    schema = {"type": "object", "properties": {"me": {"$ref": "#"}}}
    assert sample(schema, str)


def test_vectors_have_length_one_and_know_their_text() -> None:
    """Same text, same vector; another text, another one."""
    assert math.isclose(sum(n * n for n in vector("a", 64)), 1.0, rel_tol=1e-4)
    assert vector("a", 8) == vector("a", 8)
    assert vector("a", 8) != vector("b", 8)
    assert len(vector("half \ud83d", 3)) == 3


def test_packed_vectors_are_32_bit_floats() -> None:
    """As `encoding_format: base64` promises."""
    assert struct.unpack("<2f", base64.b64decode(packed([0.5, -0.25]))) == (0.5, -0.25)
