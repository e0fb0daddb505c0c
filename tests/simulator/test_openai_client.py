"""The official `openai` client as judge of the simulated answers."""

from __future__ import annotations

import openai
import pytest
from openai import OpenAI

from ollama_proxy.simulator import Simulator
from ollama_proxy.simulator.thread import SimulatorThread
from tests.support.sim_kit import MODELS, tool

PROVIDERS = sorted(MODELS)
EMBEDDINGS = {
    "google": "gemini-embedding-001",
    "openrouter": "qwen/qwen3-embedding-8b",
    "akash": "BAAI-bge-large-en-v1-5",
    "cohere": "embed-v4.0",
    "codestral": "mistral-embed",
    "qwen": "text-embedding-v4",
    "openai": "sim-embedding",
}


def client(sim: SimulatorThread, provider: str, label: str = "k-ok-1") -> OpenAI:
    return OpenAI(base_url=sim.base_url(provider), api_key=Simulator.key(provider, label), max_retries=0)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_client_reads_plain_answer_stream_and_calls(provider: str) -> None:
    """What the client makes of them is what was said."""
    with SimulatorThread() as sim, client(sim, provider) as ai:
        model = MODELS[provider]
        plain = ai.chat.completions.create(model=model, messages=[{"role": "user", "content": "Where is Seoul?"}])
        text = plain.choices[0].message.content
        assert text
        assert "Where is Seoul?" in text
        stream = ai.chat.completions.create(
            model=model, messages=[{"role": "user", "content": "Where is Seoul?"}], stream=True
        )
        pieces = [chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices]
        assert "".join(pieces) == text
        ask = ai.chat.completions.create(
            model=model,
            messages=[{"role": "user", "content": "use a tool for Seoul"}],
            tools=[tool()],  # type: ignore[list-item]  # a plain dict is what goes over the wire
        )
        calls = ask.choices[0].message.tool_calls
        assert calls
        assert calls[0].function.name == "get_weather"  # type: ignore[union-attr]  # no custom tools here


@pytest.mark.parametrize("provider", PROVIDERS)
def test_client_reads_vectors(provider: str) -> None:
    """The client asks for base64 by itself and unpacks it."""
    with SimulatorThread() as sim, client(sim, provider) as ai:
        got = ai.embeddings.create(model=EMBEDDINGS[provider], input=["a", "b"])
        assert len(got.data) == 2
        assert all(isinstance(number, float) for number in got.data[0].embedding)
        assert len(got.data[0].embedding) > 8


@pytest.mark.parametrize("provider", sorted(set(PROVIDERS) - {"openrouter"}))
def test_client_reads_the_list(provider: str) -> None:
    """All lists are in the client's form, except OpenRouter's, which lacks a word it does not need."""
    with SimulatorThread() as sim, client(sim, provider) as ai:
        assert len(list(ai.models.list())) >= 3


@pytest.mark.parametrize(
    ("provider", "error"),
    [
        ("google", openai.BadRequestError),
        ("openrouter", openai.AuthenticationError),
        ("akash", openai.AuthenticationError),
        ("cohere", openai.AuthenticationError),
        ("codestral", openai.AuthenticationError),
        ("qwen", openai.AuthenticationError),
    ],
)
def test_client_raises_for_a_bad_key(provider: str, error: type[Exception]) -> None:
    """Google's is a 400, all others are a 401."""
    with SimulatorThread() as sim, client(sim, provider, "k-bad-1") as ai, pytest.raises(error):
        ai.chat.completions.create(model=MODELS[provider], messages=[{"role": "user", "content": "a"}])


def test_client_reads_a_text_completion() -> None:
    """The older endpoint too."""
    with SimulatorThread() as sim, client(sim, "openai") as ai:
        assert "Hello there" in ai.completions.create(model="sim-chat", prompt="Hello there").choices[0].text
