"""Embeddings by the official clients: order, form, and more inputs than a provider takes at once."""

from __future__ import annotations

import math

import ollama
import openai
import pytest

from ollama_proxy.simulator import SimulatorThread
from tests.support.running import RunningProxy

MODELS = {
    "google": "google:gemini-embedding-001",
    "cohere": "cohere:embed-v4.0",
    "qwen": "qwen:text-embedding-v4",
}
ALL = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)


@ALL
def test_ollama_client_embeds_with_unit_vectors_in_order(proxy: RunningProxy, model: str) -> None:
    """C153 C154: one vector for each input, of length 1, the same alone as in company."""
    with ollama.Client(proxy.url) as client:
        vectors = client.embed(model, ["apple", "pear", "배"]).embeddings
        alone = client.embed(model, "pear").embeddings[0]
    assert len(vectors) == 3
    for vector in vectors:
        assert math.isclose(math.fsum(x * x for x in vector), 1.0, abs_tol=1e-5)
    assert list(vectors[1]) == pytest.approx(list(alone))


@ALL
def test_openai_client_gets_the_same_numbers_as_floats_and_as_base64(proxy: RunningProxy, model: str) -> None:
    """C161: the SDK asks for base64 by default; asked for floats it must get the same vector."""
    with openai.OpenAI(base_url=f"{proxy.url}/v1", api_key="x") as client:
        packed = client.embeddings.create(model=model, input="apple").data[0].embedding
        plain = client.embeddings.create(model=model, input="apple", encoding_format="float").data[0].embedding
    assert packed == pytest.approx(plain, abs=1e-6)


@pytest.mark.parametrize(("model", "size"), [(MODELS["qwen"], 10), (MODELS["cohere"], 96), (MODELS["google"], 100)])
def test_more_inputs_than_the_provider_takes_are_sent_in_parts(
    proxy: RunningProxy, simulator: SimulatorThread, model: str, size: int
) -> None:
    """The caller sends any number; no call to the provider holds more than it takes, and the order is the caller's."""
    texts = [f"text number {number}" for number in range(2 * size + 3)]
    with ollama.Client(proxy.url) as client:
        vectors = client.embed(model, texts).embeddings
        last = client.embed(model, texts[-1]).embeddings[0]
    assert len(vectors) == len(texts)
    assert list(vectors[-1]) == pytest.approx(list(last))
    sizes = [len(arrival.body["input"]) for arrival in simulator.calls(operation="embeddings")][:3]
    assert sorted(sizes) == [3, size, size]


def test_vectors_out_of_order_are_put_in_order(proxy: RunningProxy) -> None:
    """C159: a provider that shuffles its answer is understood by `index`."""
    with ollama.Client(proxy.url) as client:
        straight = client.embed(MODELS["google"], ["a", "b", "c"]).embeddings
        shuffled = client.embed(f"{MODELS['google']}!shuffled", ["a", "b", "c"]).embeddings
        packed = client.embed(f"{MODELS['google']}!base64", ["a", "b", "c"]).embeddings
    assert [list(v) for v in shuffled] == [list(v) for v in straight]
    assert list(packed[0]) == pytest.approx(list(straight[0]), abs=1e-5)


def test_one_part_that_fails_fails_the_whole(proxy: RunningProxy) -> None:
    """Half an answer is none."""
    with ollama.Client(proxy.url) as client, pytest.raises(ollama.ResponseError):
        client.embed(f"{MODELS['qwen']}!blocked", [str(number) for number in range(25)])
