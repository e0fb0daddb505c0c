"""An answer longer than the model can give is asked for by many clients; the provider is asked for what there is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import ollama
import openai
import pytest

from tests.support.client_kinds import Way, every_way
from tests.support.faulty_world import World, make_world

#: Each provider's model and the most that it can answer, as its list or our table says; None: nobody says.
MODELS = {
    "google": ("gemini-2.5-flash", 65_536),
    "openrouter": ("qwen/qwen3-coder:free", 262_000),
    "akash": ("meta-llama/Llama-3.3-70B-Instruct", 131_072),
    "cohere": ("command-a-03-2025", 8_000),
    "codestral": ("codestral-latest", None),
    "qwen": ("qwen3-coder-plus", 65_536),
}
EVERY = pytest.mark.parametrize(("provider", "model", "most"), [(name, *row) for name, row in MODELS.items()])
TOO_MUCH = 1_000_000


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with make_world(tmp_path_factory, {name: ["one"] for name in MODELS}) as running:
        yield running


@pytest.fixture
def world(running: World) -> World:
    running.fresh()
    return running


def limit(way: Way, tokens: int) -> dict[str, Any]:
    """How this protocol says how long an answer may become."""
    if way.name.startswith("ollama"):
        return {"options": {"num_predict": tokens}}
    return {"max_output_tokens" if way.name == "responses" else "max_tokens": tokens}


@every_way
@EVERY
def test_no_more_is_asked_for_than_the_model_has(
    world: World, way: Way, provider: str, model: str, most: int | None
) -> None:
    """Served at the first attempt, and told; where nobody knows the limit the provider judges."""
    told = world.ask(way, f"{provider}:{model}", **limit(way, TOO_MUCH))
    told.assert_ok()
    (call,) = world.calls(provider)
    assert call.body["max_tokens"] == (most or TOO_MUCH)
    assert ("max_tokens" in told.headers.get("x-proxy-dropped", "").split(",")) == (most is not None)


@EVERY
def test_a_number_within_the_limit_stays(world: World, provider: str, model: str, most: int | None) -> None:
    """Up to the last token, and nothing is said of it."""
    way = Way.find("anthropic", stream=True)
    told = world.ask(way, f"{provider}:{model}", **limit(way, most or TOO_MUCH))
    told.assert_ok()
    (call,) = world.calls(provider)
    assert call.body["max_tokens"] == (most or TOO_MUCH)
    assert "x-proxy-dropped" not in told.headers


@EVERY
def test_openais_newer_name_has_the_same_limit(world: World, provider: str, model: str, most: int | None) -> None:
    """Under whichever name it goes on; what is told is the name that the client used."""
    way = Way.find("openai", stream=False)
    told = world.ask(way, f"{provider}:{model}", max_completion_tokens=TOO_MUCH)
    told.assert_ok()
    (call,) = world.calls(provider)
    sent = {name: call.body[name] for name in ("max_tokens", "max_completion_tokens") if name in call.body}
    assert list(sent.values()) == [most or TOO_MUCH]
    assert (told.headers.get("x-proxy-dropped") == "max_completion_tokens") == (most is not None)


def test_filling_in_the_middle_has_a_limit_too(world: World) -> None:
    """Of a model whose limit is known."""
    way = Way.find("ollama-generate", stream=False)
    told = world.ask(way, "codestral:codestral-2405", suffix="}", **limit(way, TOO_MUCH))
    assert told.headers["x-proxy-dropped"] == "max_tokens", told
    (call,) = world.calls("codestral")
    assert (call.operation, call.body["max_tokens"]) == ("fim", 8191)


@pytest.mark.parametrize("given", [0, -1, "many", None, True, 1.5, [9], {"a": 1}], ids=str)
def test_what_is_no_number_above_the_limit_goes_as_it_came(world: World, given: Any) -> None:
    """The provider knows its own rules best."""
    world.ask(Way.find("openai", stream=False), "openrouter:qwen/qwen3-coder:free", max_tokens=given)
    (call,) = world.calls("openrouter")
    assert call.body["max_tokens"] == given


def test_the_official_clients_are_served(world: World) -> None:
    """With the numbers that agents send to every model."""
    model, question = "cohere:command-a-03-2025", [{"role": "user", "content": "Say hello."}]
    asked: Any = question
    with ollama.Client(world.proxy.url) as client:
        assert client.chat(model, question, options={"num_predict": TOO_MUCH}).message.content
    with openai.OpenAI(base_url=f"{world.proxy.url}/v1", api_key="any", max_retries=0) as sdk:
        assert sdk.chat.completions.create(model=model, messages=asked, max_tokens=TOO_MUCH).choices[0].message.content
        assert sdk.responses.create(model=model, input="Say hello.", max_output_tokens=TOO_MUCH).output_text
    # Its own guard wants a stream for what may take long.
    with (
        anthropic.Anthropic(base_url=world.proxy.url, api_key="any", max_retries=0) as claude,
        claude.messages.stream(model=model, messages=asked, max_tokens=TOO_MUCH) as stream,
    ):
        assert stream.get_final_text()
    assert [call.body["max_tokens"] for call in world.calls("cohere")] == [8_000] * 4
