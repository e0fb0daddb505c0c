"""Embeddings come out in input order, as numbers, whatever the provider sent."""

from __future__ import annotations

import base64
import struct
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from ollama_proxy.errors import ErrorInside, UpstreamJunk
from ollama_proxy.hub.vectors import join_replies, read_vectors, split_inputs, to_base64


def reply(*vectors: Any, **more: Any) -> bytes:
    data = [{"object": "embedding", "index": at, "embedding": vector} for at, vector in enumerate(vectors)]
    return msgspec.json.encode({"object": "list", "data": data, **more})


def packed(*numbers: float) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def test_vectors_come_in_input_order() -> None:
    """base64 and any order are understood; other keys are kept."""
    body = {
        "data": [{"index": 1, "embedding": packed(0.5, -0.25)}, {"index": 0, "embedding": [1, 0.1]}],
        "usage": {"prompt_tokens": 2},
    }
    assert read_vectors(b" \n" + msgspec.json.encode(body), 2) == (
        [[1, 0.1], [0.5, -0.25]],
        {"usage": {"prompt_tokens": 2}},
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"{}",
        b"[]",
        b'{"data":{}}',
        b'{"data":[1]}',
        b'{"data":[{}]}',
        reply("?"),
        reply("AAA="),
        reply(["a"]),
        reply([True]),
        reply(packed(float("nan"))),
    ],
)
def test_what_holds_no_vectors_is_junk(body: bytes) -> None:
    """(F22)"""
    with pytest.raises(UpstreamJunk):
        read_vectors(body)


def test_a_missing_vector_is_junk() -> None:
    with pytest.raises(UpstreamJunk):
        read_vectors(reply([1.0]), 2)


def test_an_error_inside_is_found() -> None:
    """(F20)"""
    with pytest.raises(ErrorInside):
        read_vectors(b'{"error":{"code":429}}')


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False)))
def test_base64_is_little_endian_float32(numbers: list[float]) -> None:
    assert struct.unpack(f"<{len(numbers)}f", base64.b64decode(to_base64(numbers))) == tuple(numbers)


def test_many_inputs_are_split_and_the_answers_joined() -> None:
    """The parts keep every other key; indexes go on and token counts are added up."""
    body = {"input": Raw(b'["a", "b" ,"c"]'), "dimensions": Raw(b"2")}
    parts = split_inputs(body, 2)
    assert [msgspec.json.encode(part) for part in parts] == [
        b'{"input":["a","b"],"dimensions":2}',
        b'{"input":["c"],"dimensions":2}',
    ]
    replies = [
        reply([1.0], [2.0], model="m", usage={"prompt_tokens": 5, "total_tokens": 5}),
        reply([3.0], model="m", usage={"prompt_tokens": 2, "total_tokens": 2}),
    ]
    vectors, rest = read_vectors(join_replies(replies, [2, 1]), 3)
    assert vectors == [[1.0], [2.0], [3.0]]
    assert (rest["model"], rest["usage"]) == ("m", {"prompt_tokens": 7, "total_tokens": 7})
    with pytest.raises(UpstreamJunk):
        join_replies(replies, [1, 1])


@pytest.mark.parametrize(
    "inputs", [Raw(b'"one text"'), Raw(b"[1,2,3]"), Raw(b'["a","b"]'), ["a", "b"], Raw(b"[]"), Raw(b"{}")]
)
def test_few_inputs_stay_one_request(inputs: Any) -> None:
    """One text as token numbers is one input."""
    body = {"input": inputs}
    assert split_inputs(body, 2) == [body]


def test_plain_lists_are_split_too() -> None:
    assert split_inputs({"input": ["a", "b", "c"]}, 1) == [{"input": ["a"]}, {"input": ["b"]}, {"input": ["c"]}]
