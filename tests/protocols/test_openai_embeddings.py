"""Embeddings are asked for as numbers and told in the form that the client wants."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import msgspec
import pytest
from openai.types import CreateEmbeddingResponse

from ollama_proxy.errors import BadRequest, ErrorInside
from ollama_proxy.protocols import openai
from ollama_proxy.types import Call, Capability, Operation
from tests.support.openai_kit import StillClock, dumps

REPLY = dumps(
    {
        "object": "list",
        "data": [
            {"object": "embedding", "index": 1, "embedding": [0.5, -0.25]},
            {"object": "embedding", "index": 0, "embedding": [1, 0.1]},
        ],
        "model": "up",
        "novel": 1,
        "usage": {"prompt_tokens": 2, "total_tokens": 2},
    }
)


def embed(**fields: Any) -> Call:
    return openai.parse_embeddings(dumps({"model": "google:embed", "input": "hi", **fields}), {}, StillClock())


def test_the_request_goes_on_without_the_form() -> None:
    """Upstreams are asked for numbers whatever the client wants."""
    call = embed(input=["a", "b"], encoding_format="base64", dimensions=3, user="u", api_key="k")
    assert json.loads(msgspec.json.encode(call.body)) == {"input": ["a", "b"], "dimensions": 3, "user": "u"}
    assert (call.operation, call.model, call.needs) == (
        Operation.EMBEDDINGS,
        "google:embed",
        frozenset({Capability.EMBEDDING}),
    )
    assert not call.stream


def test_numbers_come_in_input_order() -> None:
    """Other keys are kept."""
    answer = json.loads(embed().face.render_answer(REPLY))
    assert [item["embedding"] for item in answer["data"]] == [[1, 0.1], [0.5, -0.25]]
    assert [item["index"] for item in answer["data"]] == [0, 1]
    assert (answer["model"], answer["novel"], answer["usage"]["total_tokens"]) == ("google:embed", 1, 2)
    CreateEmbeddingResponse.model_validate(answer)


@pytest.mark.parametrize("spelling", ["base64", "BASE64"])
def test_base64_is_little_endian_float32(spelling: str) -> None:
    """openai-node asks for it by default and shows empty vectors otherwise."""
    answer = json.loads(embed(encoding_format=spelling).face.render_answer(REPLY))
    decoded = [struct.unpack("<2f", base64.b64decode(item["embedding"])) for item in answer["data"]]
    assert decoded == [pytest.approx((1, 0.1)), (0.5, -0.25)]


def test_a_missing_usage_is_made_up_for_the_schema() -> None:
    """Gemini leaves it out; the official types demand it."""
    answer = json.loads(embed().face.render_answer(b'{"data":[{"embedding":[1]}],"model":"up"}'))
    assert answer["usage"] == {"prompt_tokens": 0, "total_tokens": 0}
    CreateEmbeddingResponse.model_validate(answer)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model": ""}, "model is required"),
        (
            {"encoding_format": "hex"},
            "Invalid value for 'encoding_format' = hex. Supported values: ['float', 'base64'].",
        ),
        ({"input": []}, "invalid input"),
        ({"input": None}, "invalid input"),
        ({"input": 3}, "invalid input"),
        ({"input": {}}, "invalid input"),
    ],
)
def test_bad_requests_are_refused_with_words(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(BadRequest) as caught:
        embed(**fields)
    assert caught.value.message == message


@pytest.mark.parametrize("value", ["", "hi", ["hi"], [1, 2], [[1, 2]]])
def test_texts_and_token_numbers_pass(value: Any) -> None:
    """An empty text is a text."""
    assert json.loads(bytes(embed(input=value).body["input"])) == value


def test_errors_inside_are_found() -> None:
    """(F20)"""
    with pytest.raises(ErrorInside):
        embed().face.render_answer(b'{"error":{"code":429}}')
    assert embed().face.render_error(BadRequest("x"))[0] == 400


def test_vectors_are_not_streamed() -> None:
    with pytest.raises(BadRequest):
        embed(stream=True).face.open_stream()
