"""Every recorded answer can be played, and is what its name says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ollama_proxy.simulator import Simulator
from ollama_proxy.simulator.shapes import ANYBODY, OWN, fill
from tests.support.loops import play
from tests.support.sim_kit import MODELS, SteadyClock, chat, events, fetch

#: What must be there; a name that vanishes would go unseen otherwise.
NAMES = {
    "google": "400-context 400-double-auth 400-location 400-missing-signature 400-unknown-name 403-disabled "
    "404-model 429 429-bare 429-day 429-limit0 429-tokens 500 503 bad-key chat chat-tools embeddings "
    "empty-safety key-expired key-leaked models models-native stream stream-malformed-call "
    "stream-reasoning stream-tools stream-tools-index0",
    "openrouter": "200-error 400-context 400-model 401-missing 402 403-moderation 404-model 404-tools 429 429-day "
    "429-upstream bad-key chat chat-leading-ws key stream stream-error-first stream-midstream-error "
    "stream-reasoning stream-tools",
    "akash": "200-html 402 429 429-litellm 502 529 bad-key bad-key-litellm chat models-litellm stream "
    "stream-reasoning stream-think-tags stream-tools",
    "cohere": "400-context 402 404-model 422-unknown-field 429 429-month 429-tokens 500 bad-key chat embeddings "
    "stream stream-reasoning stream-tools",
    "codestral": "400-context 400-model 400-order 400-tool-id 422-detail 422-extra 429 429-capacity 429-kong "
    "bad-key bad-key-detail chat chat-content-list fim fim-stream models-404 stream stream-reasoning "
    "stream-tools stream-tools-noindex",
    "qwen": "400-arrearage 400-context 400-empty-tools 400-inspection 400-thinking 403-free-only 404-model "
    "429 429-burst 429-tpm 429-native 500 bad-key chat device-pending oauth-401 oauth-429-quota "
    "stream stream-error stream-reasoning stream-tools token-refresh-invalid token-refresh-ok waf",
    "any": "generic-args-object generic-bad-arguments generic-cloudflare-524 generic-content-after-finish "
    "generic-crlf generic-cut-json generic-embeddings-base64 generic-empty-429 generic-empty-stream "
    "generic-error-detail-list generic-error-string generic-finish-only generic-json-instead-of-sse "
    "generic-last-event-no-blank generic-legacy-function-call generic-no-done "
    "generic-no-space-multiline generic-plain-text-503 generic-reasoning-only "
    "generic-sse-instead-of-json generic-truncated generic-u2028 generic-utf8-split "
    "cerebras-400-context deepseek-402 github-models-410 groq-400-tool-use-failed groq-413 groq-429 "
    "llamacpp-400-context lmstudio-string-error nim-400-degraded nim-400-single-tool ollama-cloud-429 "
    "together-models vllm-models",
}
ALL = [(provider, name) for provider, shapes in OWN.items() for name in shapes]
PATHS = {"embeddings": "/embeddings", "fim": "/fim/completions", "key": "/key"}


@pytest.mark.parametrize("provider", NAMES)
def test_nothing_is_missing(provider: str) -> None:
    """Every answer that the providers are known to give has its recorded form."""
    assert set(NAMES[provider].split()) <= set(OWN.get(provider, ANYBODY))


@pytest.mark.parametrize(("provider", "name"), ALL + [("google", name) for name in ANYBODY])
def test_recorded_answer_is_played_as_it_is(provider: str, name: str) -> None:
    """Status, type, headers and body arrive with the facts filled in, whatever the request says."""

    async def story() -> None:
        async with Simulator(clock=SteadyClock()) as sim:
            shape = sim.shape(provider, name)
            sim.play(provider, name)
            body: Any = chat(provider, model="a-model", nonsense=1, stream=bool(shape.events))
            if shape.operation == "models":
                got = await fetch(sim, provider)
            elif shape.operation == "key":
                got = await fetch(sim, provider, path="/key")
            elif shape.operation == "token":
                sim.reset()
                sim.on(provider, sim_play(name), operation="*")
                got = await fetch(sim, provider, body)
            else:
                got = await fetch(sim, provider, body, path=PATHS.get(shape.operation))
            assert sim.log[-1].outcome == name
            assert got.status == shape.status
            assert got.headers["content-type"] == shape.media
            assert {n.lower() for n, _ in shape.headers} <= set(got.headers)
            assert got.complete
            assert b"$" not in got.body.replace(b"$schema", b"")
            if shape.media == "application/json" and not isinstance(shape.body, (str, bytes)):
                json.loads(got.body)

    play(story())


def sim_play(name: str) -> Any:
    from ollama_proxy.simulator import Play

    return Play(name)


def test_streams_are_in_the_provider_s_own_chunks() -> None:
    """The same delta has another place and other company at each provider."""

    async def story() -> None:
        async with Simulator() as sim:
            keys: dict[str, list[str]] = {}
            for provider in OWN:
                sim.play(provider, "stream")
                got = await fetch(sim, provider, chat(provider, stream=True))
                keys[provider] = list(events(got.body)[0])
            assert keys["google"] == ["choices", "created", "id", "model", "object", "usage"]
            assert keys["openrouter"] == ["id", "provider", "model", "object", "created", "choices"]
            assert keys["akash"] == ["id", "object", "created", "model", "choices"]
            assert keys["cohere"] == ["id", "choices", "created", "model", "object"]
            assert keys["codestral"] == ["id", "object", "created", "model", "choices"]
            assert keys["qwen"] == ["choices", "object", "usage", "created", "system_fingerprint", "model", "id"]

    play(story())


def test_recorded_answer_may_be_chosen_after_the_model_s_name() -> None:
    """Whoever has no Python can play every one of them."""

    async def story() -> None:
        async with Simulator() as sim:
            got = await fetch(sim, "qwen", chat("qwen", model="qwen3-coder-plus!groq-429"))
            assert got.headers["x-ratelimit-reset-tokens"] == "7.66s"
            got = await fetch(sim, "google", chat("google", model="gemini-2.5-flash!stream-tools", stream=True))
            assert sim.log[-1].outcome == "stream-tools"

    play(story())


def test_only_errors_may_be_chosen_by_a_key() -> None:
    """`chat` and `stream` in a key mean nothing."""

    async def story() -> None:
        async with Simulator() as sim:
            for key in ("k-chat-1", "k-stream-1", "k-models-1"):
                got = await fetch(sim, "google", chat("google"), key=key)
                assert "simulated gemini" in got.body.decode()
            got = await fetch(sim, "google", chat("google"), key="k-429-tokens-1")
            assert "InputTokens" in got.body.decode()

    play(story())


def test_texts_are_not_the_fixtures() -> None:
    """Recorded answers are told in our own words and ids."""
    for shapes in (*OWN.values(), ANYBODY):
        for name, shape in shapes.items():
            text = repr(shape)
            assert "fixture" not in text, name
            assert "fx-" not in text, name


def test_facts_fill_longer_names_first() -> None:
    """`$minute_ms` is not `$minute` and a rest; other values stay as they are."""
    facts = {"a": "1", "ab": "2"}
    assert fill({"x": ["$ab$a", 3, None]}, facts) == {"x": ["21", 3, None]}


def test_every_model_of_the_kit_is_listed() -> None:
    """The tests use models that the lists have."""
    from ollama_proxy.simulator.models import CARDS

    for provider, model in MODELS.items():
        assert model in {card.id for card in CARDS[provider]}
