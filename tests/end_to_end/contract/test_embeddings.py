"""Embeddings: /api/embed, the older /api/embeddings, and OpenAI's."""

from __future__ import annotations

import base64
import math
import struct
from typing import Any

import openai
import pytest

from tests.support.contract import JSON, World

MODEL = "qwen:text-embedding-v4"
KEYS = ["model", "embeddings", "total_duration", "load_duration", "prompt_eval_count"]


def vectors(*rows: list[float], order: list[int] | None = None, tokens: int | None = 5) -> dict[str, Any]:
    """A provider's answer with these vectors."""
    data = [{"object": "embedding", "index": at, "embedding": row} for at, row in enumerate(rows)]
    listed = data if order is None else [data[at] for at in order]
    answer: dict[str, Any] = {"object": "list", "model": "up", "data": listed}
    return answer if tokens is None else {**answer, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}}


def embed(world: World, **body: Any) -> Any:
    answer = world.post("/api/embed", {"model": MODEL, **body})
    assert (answer.status, answer.type) == (200, JSON)
    return answer.json


def norm(vector: list[float]) -> float:
    return math.sqrt(sum(number * number for number in vector))


# --- /api/embed -------------------------------------------------------------------------------------------------------


def test_a_text_has_one_vector_and_a_list_one_for_each(world: World) -> None:
    """C153: in the order of the texts; each the same as by itself."""
    texts = ["one", "two", "three"]
    alone = [embed(world, input=text)["embeddings"] for text in texts]
    assert [len(found) for found in alone] == [1, 1, 1]
    together = embed(world, input=texts)["embeddings"]
    assert together == [found[0] for found in alone]
    assert len(embed(world, input=[""])["embeddings"]) == 1


def test_an_answer_has_ollamas_keys_in_order(world: World) -> None:
    """C153 C158: the count is the provider's, durations are positive."""
    world.answer_with(vectors([3.0, 4.0], tokens=12))
    told = embed(world, input="hi")
    assert list(told) == KEYS
    assert told["model"] == MODEL
    assert told["prompt_eval_count"] == 12
    assert told["total_duration"] > 0
    assert told["total_duration"] >= told["load_duration"] > 0


@pytest.mark.parametrize(
    "model", [MODEL, "google:gemini-embedding-001", "cohere:embed-v4.0", "openrouter:qwen/qwen3-embedding-8b"]
)
def test_every_vector_has_length_one(world: World, model: str) -> None:
    """C154: whatever the provider's has."""
    for vector in embed(world, model=model, input=["one", "two"])["embeddings"]:
        assert abs(norm(vector) - 1) < 1e-5
    world.answer_with(vectors([3.0, 4.0], [-10.0, 0.0]))
    assert embed(world, input=["one", "two"])["embeddings"] == [[0.6, 0.8], [-1.0, 0.0]]


def test_dimensions_cut_and_normalise_again(world: World) -> None:
    """C155: the provider is asked, and cut where it did not listen."""
    vector = embed(world, input="hi", dimensions=4)["embeddings"][0]
    assert len(vector) == 4
    assert abs(norm(vector) - 1) < 1e-5
    assert world.sent["dimensions"] == 4
    world.fresh()
    world.answer_with(vectors([3.0, 4.0, 12.0]))
    assert embed(world, input="hi", dimensions=2)["embeddings"] == [[0.6, 0.8]]


@pytest.mark.parametrize("body", [{}, {"input": None}, {"input": ""}, {"input": []}])
def test_no_input_loads_the_model(world: World, body: dict[str, Any]) -> None:
    """C156: two keys, and no provider is called."""
    answer = world.post("/api/embed", {"model": MODEL, **body})
    assert (answer.status, answer.type) == (200, JSON)
    assert answer.body == f'{{"model":"{MODEL}","embeddings":[]}}'.encode()
    assert not world.arrivals


@pytest.mark.parametrize("value", [[1, 2], {}, 5, True, ["one", 2], [["one"]], [None]])
@pytest.mark.parametrize("model", [MODEL, "nope"])
def test_input_is_text(world: World, model: str, value: Any) -> None:
    """C157: told before the model is looked at."""
    world.post("/api/embed", {"model": model, "input": value}).assert_error(400, "invalid input type")


def test_vectors_come_in_the_order_of_the_texts(world: World) -> None:
    """C159: though the provider sent them in another."""
    world.answer_with(vectors([1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], order=[2, 0, 1]))
    assert embed(world, input=["a", "b", "c"])["embeddings"] == [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]
    body = {"model": MODEL, "input": ["a", "b", "c"]}
    data = world.post("/v1/embeddings", body).json["data"]
    assert [(one["index"], one["embedding"][0]) for one in data] == [(0, 1.0), (1, 0.0), (2, -1.0)]


# --- /api/embeddings --------------------------------------------------------------------------------------------------


def test_the_old_endpoint_tells_one_plain_vector(world: World) -> None:
    """C160: one key, and the numbers as the provider sent them."""
    world.answer_with(vectors([3.0, 4.0]))
    answer = world.post("/api/embeddings", {"model": MODEL, "prompt": "hi"})
    assert (answer.status, answer.type, answer.body) == (200, JSON, b'{"embedding":[3.0,4.0]}')


@pytest.mark.parametrize("body", [{}, {"prompt": ""}, {"prompt": None}])
def test_no_prompt_has_no_vector(world: World, body: dict[str, Any]) -> None:
    """C160: an empty list."""
    answer = world.post("/api/embeddings", {"model": MODEL, **body})
    assert (answer.status, answer.body) == (200, b'{"embedding":[]}')
    assert not world.arrivals


# --- OpenAI's ---------------------------------------------------------------------------------------------------------


def test_both_formats_say_the_same(world: World) -> None:
    """C161: base64 is little-endian float32."""
    world.answer_with(vectors([0.5, -0.25, 0.125]))
    plain = world.post("/v1/embeddings", {"model": MODEL, "input": "hi", "encoding_format": "float"})
    coded = world.post("/v1/embeddings", {"model": MODEL, "input": "hi", "encoding_format": "Base64"})
    data = base64.b64decode(coded.json["data"][0]["embedding"])
    assert list(struct.unpack("<3f", data)) == plain.json["data"][0]["embedding"] == [0.5, -0.25, 0.125]
    assert world.post("/v1/embeddings", {"model": MODEL, "input": "hi"}).body == plain.body


def test_the_official_client_reads_them(world: World) -> None:
    """C161: it asks for base64 by itself."""
    world.answer_with(vectors([0.5, -0.25, 0.125]))
    with openai.OpenAI(base_url=f"{world.proxy.url}/v1", api_key="x") as client:
        assert client.embeddings.create(model=MODEL, input="hi").data[0].embedding == [0.5, -0.25, 0.125]


@pytest.mark.parametrize("body", [{}, {"input": []}, {"input": None}, {"input": {}}, {"input": 5}])
def test_openais_endpoint_wants_an_input(world: World, body: dict[str, Any]) -> None:
    """C162: in Ollama's words."""
    answer = world.post("/v1/embeddings", {"model": MODEL, **body})
    answer.assert_openai_error(400, "invalid input", "invalid_request_error")
    assert not world.arrivals


def test_another_format_is_refused_by_name(world: World) -> None:
    """C162: with the two that there are."""
    answer = world.post("/v1/embeddings", {"model": MODEL, "input": "hi", "encoding_format": "hex"})
    text = "Invalid value for 'encoding_format' = hex. Supported values: ['float', 'base64']."
    answer.assert_openai_error(400, text, "invalid_request_error")


@pytest.mark.parametrize("asked", [MODEL, f"{MODEL}:latest", MODEL.upper()])
def test_openais_answer_names_the_model_as_asked(world: World, asked: str) -> None:
    """C163: and says what it took."""
    world.answer_with(vectors([0.5], tokens=3))
    answer = world.post("/v1/embeddings", {"model": asked, "input": "hi"})
    assert (answer.status, answer.type) == (200, "application/json")
    assert answer.json["object"] == "list"
    assert answer.json["model"] == asked
    assert answer.json["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
    assert answer.json["data"] == [{"object": "embedding", "index": 0, "embedding": [0.5]}]
