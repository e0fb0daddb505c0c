"""Names of models: which are understood, and how the others are told."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.contract import CHAT, EMBED, PLAIN, World

ASK = [{"role": "user", "content": "hi"}]
#: A body for each endpoint that takes a model, without it.
BODIES: dict[str, dict[str, Any]] = {
    "/api/chat": {"messages": ASK},
    "/api/generate": {"prompt": "hi"},
    "/api/show": {},
    "/api/embed": {"input": "hi"},
}


@pytest.mark.parametrize("body", [{}, {"model": ""}, {"model": "  "}, {"model": None}])
def test_chat_wants_a_model(world: World, body: dict[str, Any]) -> None:
    """C143: 400, unlike generate."""
    world.post("/api/chat", {**body, "messages": ASK}).assert_error(400, "model is required")


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("path", ["/api/chat", "/api/generate"])
def test_an_unknown_model_is_told_as_it_was_asked_for(world: World, path: str, stream: bool) -> None:
    """C144 C145: with a real status, also for a stream; nothing is added to the name."""
    answer = world.post(path, {"model": "nope", "stream": stream, **BODIES[path]})
    answer.assert_error(404, "model 'nope' not found")


def test_embed_says_that_it_should_be_pulled(world: World) -> None:
    """C146: in double quotes; the old endpoint too."""
    text = 'model "nope" not found, try pulling it first'
    world.post("/api/embed", {"model": "nope", "input": "hi"}).assert_error(404, text)
    world.post("/api/embeddings", {"model": "nope", "prompt": "hi"}).assert_error(404, text)


def test_each_embedding_endpoint_has_its_words_for_no_model(world: World) -> None:
    """C147: the old one wants it, the new one does not know it."""
    world.post("/api/embeddings", {"prompt": "hi"}).assert_error(400, "model is required")
    world.post("/api/embed", {"input": "hi"}).assert_error(404, "model '' not found")


@pytest.mark.parametrize("name", ["a b", "a@b", ":x", "a:", "a/b/c/ d", "/a", "a+b", "~a", "ä", "-a"])
@pytest.mark.parametrize("path", BODIES)
def test_what_is_no_name_is_told_so(world: World, path: str, name: str) -> None:
    """C148: outside of Ollama's grammar, and nobody knows it."""
    world.post(path, {"model": name, **BODIES[path]}).assert_error(400, "invalid model name")


@pytest.mark.parametrize(
    "name",
    [
        PLAIN,
        f"{PLAIN}:latest",
        f"{PLAIN}:LATEST",
        PLAIN.upper(),
        PLAIN.title(),
        PLAIN.replace(":", "/"),
        f"{PLAIN.replace(':', '/')}:latest",
        f"  {PLAIN}",
    ],
)
def test_every_spelling_reaches_the_same_model(world: World, name: str) -> None:
    """C149: with a tag, in another case, with a slash instead of the colon; and every endpoint knows it."""
    assert world.chat(name).status == 200
    assert world.sent["model"] == "command-a-03-2025"
    assert world.post("/api/show", {"model": name}).status == 200
    assert world.complete(name).status == 200


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("openrouter:qwen/qwen3-coder:free", "qwen/qwen3-coder:free"),
        ("openrouter/qwen/qwen3-coder:free", "qwen/qwen3-coder:free"),
        ("OpenRouter:qwen/qwen3-coder:free:latest", "qwen/qwen3-coder:free"),
        ("openrouter:deepseek/deepseek-r1:free", "deepseek/deepseek-r1:free"),
        ("openrouter:deepseek/deepseek-r1", "deepseek/deepseek-r1"),
        ("google:gemini-2.5-flash", "gemini-2.5-flash"),
        ("google:models/gemini-2.5-flash", "gemini-2.5-flash"),
        ("akash:meta-llama/llama-3.3-70b-instruct", "meta-llama/Llama-3.3-70B-Instruct"),
    ],
)
def test_the_first_separator_ends_the_provider(world: World, name: str, sent: str) -> None:
    """C150 C151: the rest is the model's own name, whatever it holds, as the provider spells it."""
    answer = world.chat(name)
    assert (answer.status, answer.json["model"]) == (200, name)
    assert world.sent["model"] == sent


def test_a_name_of_ollamas_cloud_is_nothing_special(world: World) -> None:
    """C152: two suffixes are one too many; one is part of a name that nobody knows."""
    world.chat("x:local:cloud").assert_error(400, begins="use either :local or :cloud, not both")
    world.chat("x:cloud").assert_error(404, "model 'x:cloud' not found")
    world.chat("gpt-oss:20b-cloud").assert_error(404, "model 'gpt-oss:20b-cloud' not found")


def test_a_provider_without_a_key_says_which_variable_is_missing(tmp_path: Any) -> None:
    """C144: the one case in which more can be said."""
    from tests.support.contract import make_world

    with make_world(tmp_path, keys={"google": ["one"]}) as world:
        answer = world.chat(PLAIN)
        answer.assert_error(404, begins=f"model '{PLAIN}' not found: no key for cohere is set")
        assert "COHERE_API_KEYS" in answer.json["error"]


def test_a_talker_does_not_embed_and_an_embedder_does_not_talk(world: World) -> None:
    """C104 C137: a model is refused for what it cannot, under the name that was asked for."""
    world.chat(EMBED).assert_error(400, f'"{EMBED}" does not support chat')
    world.generate(EMBED).assert_error(400, f'"{EMBED}" does not support generate')
    world.post("/api/embed", {"model": CHAT, "input": "hi"}).assert_error(400, f'"{CHAT}" does not support embeddings')
    assert not world.arrivals
