"""The main job: official clients chat through the proxy with each of the six providers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import ollama
import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from ollama_proxy.simulator import SimulatorThread
from tests.support.running import RunningProxy
from tests.support.six import EVERY_MODEL, MODELS


@pytest.fixture
def client(proxy: RunningProxy) -> Iterator[ollama.Client]:
    with ollama.Client(proxy.url) as running:
        yield running


@pytest.fixture
def openai_client(proxy: RunningProxy) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{proxy.url}/v1", api_key="whatever") as running:
        yield running


@EVERY_MODEL
def test_ollama_client_chats(client: ollama.Client, model: str) -> None:
    """C60 C240: one question, one whole answer."""
    answer = client.chat(model, [{"role": "user", "content": "Say Paris, please"}])
    assert answer.message.content
    assert answer.done
    assert answer.done_reason == "stop"
    assert answer.model == model
    assert answer.eval_count


@EVERY_MODEL
def test_ollama_client_streams(client: ollama.Client, model: str) -> None:
    """C69 C70 C73: the pieces add up to what the whole answer says."""
    question = [{"role": "user", "content": "서울은 어디에 있나요?"}]
    whole = client.chat(model, question).message.content
    parts = list(client.chat(model, question, stream=True))
    assert "".join(part.message.content or "" for part in parts) == whole
    assert [part.done for part in parts].count(True) == 1
    assert parts[-1].done
    assert len(parts) > 2


@EVERY_MODEL
def test_async_ollama_client_streams(proxy: RunningProxy, model: str) -> None:
    """C233 C240: the asynchronous client, ten streams at a time without mixing."""

    async def ask(client: ollama.AsyncClient, number: int) -> str:
        text = ""
        stream = await client.chat(model, [{"role": "user", "content": f"Word number {number}"}], stream=True)
        async for part in stream:
            text += part.message.content or ""
        return text

    async def scene() -> list[str]:
        async with ollama.AsyncClient(proxy.url) as client:
            return await asyncio.gather(*(ask(client, number) for number in range(10)))

    answers = asyncio.run(scene())
    assert all(f"number {number}" in answer for number, answer in enumerate(answers))


@EVERY_MODEL
def test_openai_client_chats_and_streams(openai_client: openai.OpenAI, model: str) -> None:
    """The OpenAI SDK works with only base_url changed."""
    question: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Say Paris, please"}]
    create = openai_client.chat.completions.create
    whole = create(model=model, messages=question)
    assert whole.choices[0].message.content
    assert whole.choices[0].finish_reason == "stop"
    chunks = create(model=model, messages=question, stream=True)
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert text == whole.choices[0].message.content


def test_a_clients_own_key_never_goes_upstream(openai_client: openai.OpenAI, simulator: SimulatorThread) -> None:
    """F75: what the client sends as its key stays here; the provider sees one of its own."""
    openai_client.chat.completions.create(
        model="google:gemini-2.5-flash",
        messages=[{"role": "user", "content": "hi"}],
        extra_headers={"x-api-key": "client-canary", "cookie": "client-canary"},
    )
    (arrival,) = simulator.calls("google", path="/chat/completions")
    assert "canary" not in str(arrival.headers)
    assert arrival.key in {"one", "two"}


def test_keys_take_turns(client: ollama.Client, simulator: SimulatorThread) -> None:
    """I10: four requests in a row use each of two keys twice."""
    for _ in range(4):
        client.chat("cohere:command-a-03-2025", [{"role": "user", "content": "hi"}])
    used = [arrival.key for arrival in simulator.calls("cohere", path="/chat/completions")]
    assert sorted(used) == ["one", "one", "two", "two"]


def test_what_is_listed_can_be_shown(client: ollama.Client, openai_client: openai.OpenAI) -> None:
    """C37 C43 C49 C177: both lists agree, and every name in them is known to show."""
    names = [str(model.model) for model in client.list().models]
    assert set(MODELS.values()) <= set(names)
    for name in names:
        shown = client.show(name)
        assert shown.capabilities
        assert shown.modelinfo
    assert [model.id for model in openai_client.models.list()] == names
    assert openai_client.models.retrieve(MODELS["openrouter"]).id == MODELS["openrouter"]


def test_an_unknown_model_is_told_in_each_protocol(client: ollama.Client, openai_client: openai.OpenAI) -> None:
    """C144 C193: 404 with the client's own exception and a clear text."""
    with pytest.raises(ollama.ResponseError, match="model 'nope' not found") as caught:
        client.chat("nope", [{"role": "user", "content": "hi"}])
    assert caught.value.status_code == 404
    with pytest.raises(openai.NotFoundError):
        openai_client.chat.completions.create(model="nope", messages=[{"role": "user", "content": "hi"}])
