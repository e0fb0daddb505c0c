from __future__ import annotations

import base64
import json
import math
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollama_proxy.errors import BadRequest, ErrorInside, InternalError, UnknownModel, UpstreamJunk
from ollama_proxy.protocols.ollama import OllamaRequest, check_capabilities, parse_embed, parse_embeddings
from ollama_proxy.protocols.ollama.embed import normalised
from ollama_proxy.types import Capability, Operation
from tests.support.ollama_kit import FakeClock, dumps, model

M = "google:gemini-embedding-001"


def embed(**fields: Any) -> OllamaRequest:
    return parse_embed(dumps({"model": M, "input": "hi", **fields}), FakeClock())


def embeddings(**fields: Any) -> OllamaRequest:
    return parse_embeddings(dumps({"model": M, "prompt": "hi", **fields}), FakeClock())


def reply(*vectors: Any, **more: Any) -> bytes:
    data = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)]
    return dumps(
        {"object": "list", "data": data, "model": "x", "usage": {"prompt_tokens": 4, "total_tokens": 4}, **more}
    )


def told(request: OllamaRequest, body: bytes) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(request.call.face.render_answer(body))
    return value


def test_inputs_go_to_the_provider_as_they_are() -> None:
    """C153: neither options nor keep_alive do."""
    request = embed(input=["a", ""], options={"num_ctx": 5}, truncate=True, keep_alive="1m")
    assert request.call.operation is Operation.EMBEDDINGS
    assert request.call.body == {"input": ["a", ""]}
    assert (request.call.stream, request.keep_alive_s) == (False, 60)
    assert embed().call.body == {"input": "hi"}
    assert embed(dimensions=256).call.body == {"input": "hi", "dimensions": 256}


def test_an_answer_has_ollamas_keys_in_order() -> None:
    """C153, C154, C158: one client refuses an answer without any of them."""
    value = told(embed(), reply([3, 4]))
    assert list(value) == ["model", "embeddings", "total_duration", "load_duration", "prompt_eval_count"]
    assert value["model"] == M
    assert value["embeddings"] == [[0.6, 0.8]]
    assert value["prompt_eval_count"] == 4
    assert value["total_duration"] >= value["load_duration"] > 0


def test_an_unreported_count_is_zero() -> None:
    """Gemini reports none."""
    assert told(embed(), reply([1.0], usage=None))["prompt_eval_count"] == 0


def test_vectors_come_in_the_order_of_the_inputs() -> None:
    """C159."""
    data = [{"index": 1, "embedding": [0, 2]}, {"index": 0, "embedding": [5, 0]}]
    assert told(embed(input=["a", "b"]), dumps({"data": data}))["embeddings"] == [[1, 0], [0, 1]]


def test_dimensions_cut_and_normalise_again() -> None:
    """C155: also where the provider ignored them."""
    assert told(embed(dimensions=2), reply([3, 4, 12]))["embeddings"] == [[0.6, 0.8]]
    assert told(embed(dimensions=9), reply([3, 4]))["embeddings"] == [[0.6, 0.8]]


def test_base64_vectors_are_read() -> None:
    """Some servers answer so whatever was asked."""
    text = base64.b64encode(struct.pack("<2f", 3, 4)).decode()
    assert told(embed(), reply(text))["embeddings"][0] == pytest.approx([0.6, 0.8])


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=30), st.integers(0, 40))
def test_every_vector_has_length_one(vector: list[float], dimensions: int) -> None:
    """C154, C155: but for one of zeros, which has no direction."""
    result = normalised(vector, dimensions)
    assert len(result) == (min(dimensions, len(vector)) if dimensions else len(vector))
    norm = math.sqrt(sum(number * number for number in result))
    assert norm == pytest.approx(1, abs=1e-5) or not any(vector[: len(result)])


@pytest.mark.parametrize("given", [None, "", []])
def test_no_input_loads_the_model(given: Any) -> None:
    """C156: no provider is called."""
    request = embed(input=given)
    assert request.load_only == "load"
    assert request.local_answer == b'{"model":"google:gemini-embedding-001","embeddings":[]}'
    assert parse_embed(dumps({"model": M}), FakeClock()).local_answer == request.local_answer


def test_an_empty_text_among_others_is_a_text() -> None:
    """It is embedded like any other."""
    assert embed(input=[""]).local_answer is None


@pytest.mark.parametrize("given", [[1, 2], ["a", None], {}, 5, True, [["a"]]])
def test_input_must_be_text(given: Any) -> None:
    """C157: it is looked at before the model."""
    with pytest.raises(BadRequest, match=r"^invalid input type$") as caught:
        embed(input=given, model="")
    assert caught.value.status == 400


def test_a_model_must_be_named() -> None:
    """The two endpoints say so differently (C147)."""
    with pytest.raises(UnknownModel, match=r"^model '' not found$"):
        embed(model="")
    with pytest.raises(BadRequest, match=r"^model is required$"):
        embeddings(model="")


@pytest.mark.parametrize("request_", [embed(model="nope"), embeddings(model="nope")])
def test_an_unknown_model_should_be_pulled(request_: OllamaRequest) -> None:
    """C146."""
    status, _, body = request_.call.face.render_error(UnknownModel("model 'nope' not found"))
    assert (status, json.loads(body)["error"]) == (404, 'model "nope" not found, try pulling it first')


def test_options_are_looked_at_although_nobody_needs_them() -> None:
    """As Ollama does."""
    with pytest.raises(BadRequest, match=r'^option "num_ctx" must be of type integer$'):
        check_capabilities(embed(options={"num_ctx": "x"}), model(Capability.EMBEDDING))


def test_a_model_that_only_talks_cannot_embed() -> None:
    """It would fail at the provider in other words."""
    with pytest.raises(BadRequest, match="does not support embeddings"):
        check_capabilities(embed(), model())
    check_capabilities(embed(), model(Capability.EMBEDDING))


def test_the_old_endpoint_answers_with_one_plain_vector() -> None:
    """C160: not normalised."""
    request = embeddings()
    assert request.call.body == {"input": "hi"}
    assert told(request, reply([3, 4])) == {"embedding": [3, 4]}


@pytest.mark.parametrize("prompt", ["", None])
def test_an_empty_prompt_has_an_empty_vector(prompt: Any) -> None:
    """C160."""
    assert embeddings(prompt=prompt).local_answer == b'{"embedding":[]}'


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"data: [DONE]",
        b"{}",
        b'{"data":null}',
        b'{"data":[]}',
        b'{"data":["x"]}',
        b'{"data":[{"index":0}]}',
        b'{"data":[{"embedding":[1,null]}]}',
        b'{"data":[{"embedding":"?"}]}',
        b'{"data":[{"embedding":"AAAA"}]}',
        b'{"data":[{"embedding":[1]},{"embedding":[2]}]}',
    ],
)
def test_anything_but_one_vector_for_each_text_is_junk(body: bytes) -> None:
    """A vector in the wrong place would poison an index silently."""
    with pytest.raises(UpstreamJunk):
        embed().call.face.render_answer(body)


@pytest.mark.parametrize("body", [b'{"error":{"message":"no"}}', b'[{"error":{"code":429}}]', b'{"detail":"no"}'])
def test_an_error_inside_is_passed_on(body: bytes) -> None:
    """The provider judges it."""
    with pytest.raises(ErrorInside):
        embed().call.face.render_answer(body)


def test_embeddings_are_never_streamed() -> None:
    """A bug of ours if somebody tries."""
    with pytest.raises(InternalError):
        embed().call.face.open_stream()
