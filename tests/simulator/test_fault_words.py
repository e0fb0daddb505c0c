"""Words in keys and after model names: what they mean at each provider, and how they are counted and combined."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

import pytest

from ollama_proxy.simulator import Simulator
from ollama_proxy.simulator.ask import Ask
from ollama_proxy.simulator.faults import FAULTS, WORDS, find_fault
from ollama_proxy.simulator.judge import Judge, Options
from ollama_proxy.simulator.providers import PROVIDERS
from ollama_proxy.simulator.quota import Quota
from ollama_proxy.simulator.script import Script
from tests.support.loops import play
from tests.support.sim_kit import MODELS, chat, fetch

WANTED: Mapping[tuple[str, str], tuple[int, str]] = {
    ("google", "bad"): (400, "API_KEY_INVALID"),
    ("google", "leaked"): (403, "reported as leaked"),
    ("google", "expired"): (400, "API key expired"),
    ("google", "disabled"): (403, "SERVICE_DISABLED"),
    ("google", "rate"): (429, "PerMinute"),
    ("google", "day"): (429, "PerDay"),
    ("google", "quota"): (429, "limit: 0"),
    ("google", "busy"): (503, "high demand"),
    ("google", "context"): (400, "input token count"),
    ("google", "blocked"): (200, "PROHIBITED_CONTENT"),
    ("google", "missing"): (404, "is not found for API version"),
    ("openrouter", "bad"): (401, "User not found."),
    ("openrouter", "disabled"): (403, "Key limit exceeded"),
    ("openrouter", "rate"): (429, "free-models-per-min"),
    ("openrouter", "day"): (429, "free-models-per-day"),
    ("openrouter", "quota"): (402, "requires more credits"),
    ("openrouter", "busy"): (429, "temporarily rate-limited upstream"),
    ("openrouter", "context"): (400, "context_length_exceeded"),
    ("openrouter", "blocked"): (403, "flagged"),
    ("openrouter", "missing"): (404, "No endpoints found for qwen/qwen3-coder:free"),
    ("akash", "bad"): (401, "Invalid API key"),
    ("akash", "expired"): (401, "LiteLLM_VerificationTokenTable"),
    ("akash", "rate"): (429, "rate_limit_error"),
    ("akash", "quota"): (402, "Insufficient credits"),
    ("akash", "busy"): (429, "No deployments available"),
    ("akash", "context"): (400, "maximum context length"),
    ("akash", "missing"): (404, "does not exist"),
    ("cohere", "bad"): (401, "invalid api token"),
    ("cohere", "rate"): (429, "API calls / minute"),
    ("cohere", "day"): (429, "API calls / month"),
    ("cohere", "quota"): (402, "payment method"),
    ("cohere", "busy"): (503, "Simulated status 503."),
    ("cohere", "context"): (400, "too many tokens"),
    ("cohere", "blocked"): (498, "blocked"),
    ("cohere", "missing"): (404, "not found, make sure"),
    ("codestral", "bad"): (401, "Unauthorized"),
    ("codestral", "expired"): (401, '{"detail":"Unauthorized"}'),
    ("codestral", "rate"): (429, '"1300"'),
    ("codestral", "day"): (429, "per day"),
    ("codestral", "quota"): (429, "monthly"),
    ("codestral", "busy"): (429, '"3505"'),
    ("codestral", "context"): (400, "too large for model with"),
    ("codestral", "missing"): (400, "Invalid model: codestral-latest"),
    ("qwen", "bad"): (401, "Incorrect API key"),
    ("qwen", "expired"): (401, "token expired"),
    ("qwen", "rate"): (429, "limit_requests"),
    ("qwen", "day"): (429, "Free allocated quota exceeded."),
    ("qwen", "quota"): (400, "Arrearage"),
    ("qwen", "busy"): (429, "limit_burst_rate"),
    ("qwen", "context"): (400, "Range of input length"),
    ("qwen", "blocked"): (400, "data_inspection_failed"),
    ("qwen", "missing"): (404, "model_not_found"),
    ("akash", "blocked"): (400, "Simulated status 400."),
    ("codestral", "blocked"): (400, "Simulated status 400."),
    ("openai", "bad"): (401, "401"),
    ("openai", "rate"): (429, "429"),
}


@pytest.mark.parametrize(("provider", "word"), WANTED)
def test_word_is_answered_in_the_provider_s_form(provider: str, word: str) -> None:
    """The same word in a key and after a model's name gives the provider's own answer."""

    async def story() -> None:
        status, text = WANTED[provider, word]
        async with Simulator() as sim:
            by_key = await fetch(sim, provider, chat(provider), key=f"k-{word}-1")
            by_model = await fetch(sim, provider, chat(provider, model=f"{MODELS[provider]}!{word}"))
            for got in (by_key, by_model):
                assert got.status == status, got.body
                assert text in got.body.decode()

    play(story())


@pytest.mark.parametrize("word", sorted(WORDS))
@pytest.mark.parametrize("provider", sorted(PROVIDERS))
def test_every_provider_knows_every_word(provider: str, word: str) -> None:
    """No word is unknown anywhere."""
    assert find_fault(PROVIDERS[provider], word) is not None


@pytest.mark.parametrize("status", [400, 401, 404, 418, 500, 502, 503, 504, 524, 529])
@pytest.mark.parametrize("provider", sorted(MODELS))
def test_any_status_in_the_provider_s_form(provider: str, status: int) -> None:
    """`!503` and `k-503-1` are answered with that status."""

    async def story() -> None:
        async with Simulator() as sim:
            for got in (
                await fetch(sim, provider, chat(provider, model=f"{MODELS[provider]}!{status}")),
                await fetch(sim, provider, chat(provider), key=f"k-{status}-1"),
            ):
                assert got.status == status
                assert got.body

    play(story())


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_any_redirect(status: int) -> None:
    """`!307` sends the client to another name for this machine."""

    async def story() -> None:
        async with Simulator() as sim:
            got = await fetch(sim, "openai", chat("openai", model=f"sim-chat!{status}"))
            assert got.status == status
            assert got.headers["location"].startswith("http://localhost:")

    play(story())


def test_answer_under_another_good_status() -> None:
    """`!206` is the usual answer under that status."""

    async def story() -> None:
        async with Simulator() as sim:
            got = await fetch(sim, "openai", chat("openai", model="sim-chat!206"))
            assert got.status == 206
            assert got.json["choices"]

    play(story())


def test_count_ends_a_fault() -> None:
    """`!500x2` fails twice, per model whatever the key; `-500x1` once per key."""

    async def story() -> None:
        async with Simulator() as sim:
            body = chat("google", model="gemini-2.5-flash!500x2")
            found = [(await fetch(sim, "google", body, key=key)).status for key in ("k-a", "k-b", "k-a")]
            assert found == [500, 500, 200]
            keys = ("k-500x1-a", "k-500x1-a", "k-500x1-b")
            assert [(await fetch(sim, "google", chat("google"), key=key)).status for key in keys] == [500, 200, 500]
            cut = chat("google", model="gemini-2.5-flash!cutx1", stream=True)
            assert not (await fetch(sim, "google", cut)).complete
            assert (await fetch(sim, "google", cut)).complete

    play(story())


def test_faults_may_follow_each_other() -> None:
    """`!crlf!no-done` does both."""

    async def story() -> None:
        async with Simulator() as sim:
            got = await fetch(sim, "openai", chat("openai", model="sim-chat!crlf!no-done", stream=True))
            assert got.body.endswith(b"}\r\n\r\n")
            assert sim.log[0].outcome == "crlf+no-done"
            assert sim.log[0].model == "sim-chat!crlf!no-done"

    play(story())


def test_key_can_spoil_the_sending_too() -> None:
    """A key with `-cut` cuts every stream made with it, of any model."""

    async def story() -> None:
        async with Simulator() as sim:
            got = await fetch(sim, "openai", chat("openai", stream=True), key="k-cut-1")
            assert not got.complete
            assert sim.log[0].outcome == "cut"

    play(story())


def test_bad_key_concerns_lists_and_a_fast_one_does_not() -> None:
    """What is wrong with the key itself is said everywhere; a rate limit only where a model works."""

    async def story() -> None:
        async with Simulator() as sim:
            assert (await fetch(sim, "qwen", key="k-bad-1")).status == 401
            assert (await fetch(sim, "qwen", key="k-rate-1")).status == 200

    play(story())


@pytest.mark.parametrize("key", ["k-badger-1", "k-ok-1", "sk-or-v1-0123456789abcdef", "AIzaSyExample_rate", "k-days-1"])
def test_only_whole_words_between_dashes_count(key: str) -> None:
    """A word inside another word, or in somebody's real key, is none."""

    async def story() -> None:
        async with Simulator() as sim:
            assert (await fetch(sim, "openai", chat("openai"), key=key)).status == 200

    play(story())


def test_unknown_fault_is_explained() -> None:
    """A typing mistake after the `!` is a 400 that says where to look."""

    async def story() -> None:
        async with Simulator() as sim:
            got = await fetch(sim, "openai", chat("openai", model="sim-chat!cutt"))
            assert got.status == 400
            assert "knows no fault 'cutt'" in got.json["error"]["message"]
            assert "--list" in got.json["error"]["message"]

    play(story())


def test_redirect_is_seen_when_it_is_followed() -> None:
    """The log shows a request to /elsewhere, with the key's label if it was carried there."""

    async def story() -> None:
        async with Simulator() as sim:
            await fetch(sim, "", path="elsewhere", key="k-a")
            assert sim.log[0].path == "/elsewhere"
            assert sim.log[0].provider == ""

    play(story())


@pytest.mark.parametrize("name", sorted(FAULTS))
@pytest.mark.parametrize("provider", sorted(PROVIDERS))
def test_every_fault_can_be_played_by_every_provider(provider: str, name: str) -> None:
    """No fault stumbles over a provider's shape; steps are only made here, not sent."""
    judge, bearer = Judge(Options(), Script(), Quota({})), {"authorization": "Bearer k"}
    for stream in (True, False):
        model = {"demo": "hello"}.get(provider) or MODELS[provider]
        body = {"model": model, "messages": [{"role": "user", "content": "Hi"}], "stream": stream}
        request = Ask(provider, "chat", "POST", "/chat/completions", {}, bearer, "k", "k", 1, 0.0, model, (name,), body)
        behaviour = judge.decide(request, 0.0)
        assert behaviour.name == name
        assert list(islice(behaviour.actions, 5))
