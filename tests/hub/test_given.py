"""Fields of a body are read as what they must be, and a wrong one is named."""

from __future__ import annotations

from typing import Any

import pytest

from ollama_proxy.errors import BadRequest
from ollama_proxy.hub.given import Given

READERS = ("text", "flag", "number", "whole", "object", "objects", "texts")


@pytest.mark.parametrize("reader", READERS)
def test_null_is_the_same_as_absent(reader: str) -> None:
    given = Given(b'{"a":null}')
    assert getattr(given, reader)("a") == getattr(given, reader)("b")
    assert not getattr(given, reader)("a")


@pytest.mark.parametrize(
    ("reader", "json", "value"),
    [
        ("text", b'"x"', "x"),
        ("flag", b"true", True),
        ("number", b"0.5", 0.5),
        ("whole", b"5.0", 5),
        ("object", b'{"k":1}', {"k": 1}),
        ("objects", b"[{}]", [{}]),
        ("texts", b'["x"]', ["x"]),
    ],
)
def test_a_value_of_its_type_is_read(reader: str, json: bytes, value: Any) -> None:
    assert getattr(Given(b'{"a":%b}' % json), reader)("a") == value


@pytest.mark.parametrize(
    ("reader", "json"),
    [
        ("text", b"1"),
        ("flag", b"1"),
        ("number", b"true"),
        ("number", b'"1"'),
        ("whole", b"1.5"),
        ("object", b"[]"),
        ("objects", b"{}"),
        ("objects", b"[1]"),
        ("texts", b"[1]"),
        ("texts", b'"x"'),
        ("number", b"1e999"),
    ],
)
def test_a_wrong_type_is_refused_by_name(reader: str, json: bytes) -> None:
    with pytest.raises(BadRequest, match=r"^a") as caught:
        getattr(Given(b'{"a":%b}' % json), reader)("a")
    assert (caught.value.param or "").startswith("a")


def test_half_a_surrogate_pair_breaks_nothing() -> None:
    assert Given(rb'{"a":"x\ud83d"}').text("a") == "x\ufffd"
