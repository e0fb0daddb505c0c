"""What each provider's refusals mean: who rests and for how long, who is told what, and who is left in peace."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from tests.support.behaving import MODELS, PLAIN, rests_of
from tests.support.client_kinds import Way, every_kind, every_way
from tests.support.faulty_world import NO_WAITING, World, make_world

HOUR = 3600.0
DAY = 24 * HOUR
GEMINI = "gemini-2.5-flash"
COMMAND = "command-a-03-2025"
CODER = "qwen3-coder-plus"

#: Provider, recorded answer, whose rest (a model, a group, "" for the key), state, cause, between how many seconds.
RESTS: list[tuple[str, str, str, str, str, float, float]] = [
    ("google", "429", GEMINI, "cooling", "rate", 33, 34.1),
    ("google", "429-tokens", GEMINI, "cooling", "rate", 47, 48.1),
    ("google", "429-bare", GEMINI, "cooling", "rate", 0, 2),
    ("google", "429-limit0", GEMINI, "exhausted", "model_access", HOUR - 9, HOUR + 1),
    ("google", "bad-key", "", "cooling", "credential", 20, 40),
    ("google", "key-expired", "", "cooling", "credential", 20, 40),
    ("google", "key-leaked", "", "cooling", "credential", 20, 40),
    ("google", "403-disabled", "", "exhausted", "quota", HOUR - 9, HOUR + 1),
    ("openrouter", "429", ":free", "cooling", "rate", 39, 40.1),
    ("openrouter", "429-day", ":free", "exhausted", "daily", 0, DAY),
    ("openrouter", "bad-key", "", "cooling", "credential", 20, 40),
    ("openrouter", "402", ":free", "exhausted", "quota", HOUR - 9, HOUR + 1),
    ("akash", "429", "", "cooling", "rate", 0, 2),
    ("akash", "402", "", "exhausted", "quota", HOUR - 9, HOUR + 1),
    ("akash", "bad-key", "", "cooling", "credential", 20, 40),
    ("akash", "bad-key-litellm", "", "cooling", "credential", 20, 40),
    ("cohere", "bad-key", "", "cooling", "credential", 20, 40),
    ("cohere", "402", "", "exhausted", "quota", HOUR - 9, HOUR + 1),
    ("cohere", "429", COMMAND, "cooling", "rate", 59, 60.1),
    ("cohere", "429-tokens", COMMAND, "cooling", "rate", 59, 60.1),
    ("cohere", "429-month", "", "exhausted", "daily", 0, 31 * DAY),
    ("codestral", "429", "", "cooling", "rate", 0, 2),
    ("codestral", "429-kong", "", "cooling", "rate", 1.5, 2.1),
    ("codestral", "bad-key", "", "cooling", "credential", 20, 40),
    ("codestral", "bad-key-detail", "", "cooling", "credential", 20, 40),
    ("qwen", "429", CODER, "cooling", "rate", 0, 2),
    ("qwen", "429-tpm", CODER, "cooling", "rate", 59, 60.1),
    ("qwen", "429-burst", CODER, "cooling", "rate", 2, 10),
    ("qwen", "429-native", CODER, "cooling", "rate", 0, 2),
    ("qwen", "oauth-429-quota", "", "exhausted", "daily", 0, DAY),
    ("qwen", "400-arrearage", "", "exhausted", "quota", HOUR - 9, HOUR + 1),
    ("qwen", "403-free-only", CODER, "exhausted", "quota", HOUR - 9, HOUR + 1),
    ("qwen", "bad-key", "", "cooling", "credential", 20, 40),
    ("cohere", "generic-empty-429", COMMAND, "cooling", "rate", 58, 60.1),
    ("cohere", "groq-429", COMMAND, "cooling", "rate", 7.5, 8.1),
    ("cohere", "deepseek-402", "", "exhausted", "quota", HOUR - 9, HOUR + 1),
    ("cohere", "openai-429-quota", "", "exhausted", "quota", HOUR - 9, HOUR + 1),
]


@pytest.mark.parametrize(
    ("provider", "shape", "whose", "state", "cause", "least", "most"), RESTS, ids=[f"{r[0]}-{r[1]}" for r in RESTS]
)
def test_what_was_refused_rests_for_its_time_and_another_key_serves(
    world: World, provider: str, shape: str, whose: str, state: str, cause: str, least: float, most: float
) -> None:
    """B8, B10–B13, B28, B29, B31, B40, B41, B44, B45, B54, B55, B62, B63, B68, B76: no client notices."""
    world.sim.play(provider, shape, key="one", times=None)
    world.ask(PLAIN, MODELS[provider]).assert_ok()
    assert world.used(provider) == ["one", "two"]
    ((name, found, why, left),) = rests_of(world, f"{provider}#1")
    assert (name, found, why) == (whose, state, cause)
    assert least <= left <= most
    world.clock.travel(left / 2)
    if left > 10:
        for _ in range(2):
            world.ask(PLAIN, MODELS[provider]).assert_ok()
        assert world.used(provider) == ["one", "two", "two", "two"]
    assert rests_of(world, f"{provider}#2") == []


def _next_day(now: datetime) -> datetime:
    return (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)


def _next_month(now: datetime) -> datetime:
    return _next_day((now.replace(day=1) + timedelta(days=31)).replace(day=1)) - timedelta(days=1)


@pytest.mark.parametrize(
    ("provider", "shape", "end"),
    [
        ("openrouter", "429-day", _next_day),
        ("qwen", "oauth-429-quota", _next_day),
        ("cohere", "429-month", _next_month),
    ],
)
@pytest.mark.parametrize("day", ["2026-02-28T23:10", "2026-12-31T00:20", "2027-07-15T12:00"])
def test_a_day_ends_at_midnight_and_a_month_with_its_last_day(
    world: World, provider: str, shape: str, end: Callable[[datetime], datetime], day: str
) -> None:
    """B29, B45, B62: by the world's clock, whatever the day; then the key serves again."""
    now = datetime.fromisoformat(day).replace(tzinfo=timezone.utc)
    world.clock.skew = now.timestamp() - world.clock.wall()
    world.sim.play(provider, shape, key="one")
    for _ in range(2):
        world.ask(PLAIN, MODELS[provider]).assert_ok()
    ((_, state, cause, left),) = rests_of(world, f"{provider}#1")
    assert (state, cause) == ("exhausted", "daily")
    assert abs(left - (end(now) - now).total_seconds()) < 5


@pytest.mark.parametrize(
    ("shape", "left"), [("429", 33.5), ("429-limit0", HOUR)], ids=["a minute", "not in the free plan"]
)
def test_another_model_on_the_same_key_goes_on(world: World, shape: str, left: float) -> None:
    """B8, B10: Gemini's limits are of one model; when the time is over that one is asked again."""
    world.sim.play("google", shape, times=2)
    world.ask(PLAIN, MODELS["google"]).assert_refused(429 if shape == "429" else 404)
    for _ in range(2):
        world.ask(PLAIN, "google:gemini-2.5-pro").assert_ok()
    assert world.used("google")[2:] in (["one", "two"], ["two", "one"])
    world.clock.travel(left + 2)
    world.ask(PLAIN, MODELS["google"]).assert_ok()


#: Provider, recorded answer, seconds that the model rests there.
SHORT: list[tuple[str, str, float]] = [
    ("google", "503", 1),
    ("openrouter", "429-upstream", 1),
    ("openrouter", "200-error", 1),
    ("openrouter", "503", 1),
    ("akash", "429-litellm", 60),
    ("akash", "529", 1),
    ("codestral", "429-capacity", 1),
    ("qwen", "500", 1),
]


@every_kind
@pytest.mark.parametrize(("provider", "shape", "rest"), SHORT, ids=[f"{r[0]}-{r[1]}" for r in SHORT])
def test_a_lack_of_capacity_blames_no_key(world: World, way: Way, provider: str, shape: str, rest: float) -> None:
    """B18, B27, B30, B40, B41, B54: the model rests for everybody, one call and no more; then it is asked again."""
    world.sim.play(provider, shape, times=None)
    told = world.ask(way, MODELS[provider])
    told.assert_refused(503)
    assert rest <= int(told.headers["retry-after"]) <= rest + 3
    assert len(world.calls(provider)) == 1
    assert [rests_of(world, f"{provider}#{n}") for n in (1, 2)] == [[], []]
    world.sim.reset()
    world.clock.travel(rest + 1)
    world.ask(way, MODELS[provider]).assert_ok()


@every_kind
def test_an_overloaded_model_is_asked_again_at_growing_distance(world: World, way: Way) -> None:
    """B18: three times, then it answers: one call for each time that the client was told to come back."""
    world.sim.play("google", "503", times=3)
    waits = []
    for _ in range(3):
        told = world.ask(way, MODELS["google"])
        told.assert_refused(503)
        waits.append(int(told.headers["retry-after"]))
        world.clock.travel(waits[-1])
    world.ask(way, MODELS["google"]).assert_ok()
    assert [call.status for call in world.calls("google")] == [503, 503, 503, 200]
    assert waits == sorted(waits)
    assert waits[2] > waits[0]
    assert [rests_of(world, f"google#{n}") for n in (1, 2)] == [[], []]


#: Provider, recorded answer, status and code for the client, words of the provider that it gets to see.
CALLERS: list[tuple[str, str, int, str, str]] = [
    ("google", "400-context", 400, "context_length_exceeded", "exceeds the maximum number of tokens"),
    ("openrouter", "403-moderation", 400, "content_filter", "Input was flagged"),
    ("openrouter", "404-tools", 400, "unsupported", "support tool use"),
    ("openrouter", "404-images", 400, "unsupported", "support image input"),
    ("openrouter", "400-context", 400, "context_length_exceeded", "maximum context length is 131072"),
    ("akash", "400-context", 400, "context_length_exceeded", "maximum context length"),
    ("cohere", "400-context", 400, "context_length_exceeded", "too many tokens"),
    ("cohere", "422-unknown-field", 400, "", "'strict' is not a valid field"),
    ("cohere", "498", 400, "content_filter", "blocked by the content filter"),
    ("codestral", "422-extra", 400, "extra_forbidden", "Extra inputs are not permitted (body.seed)"),
    ("codestral", "422-detail", 400, "extra_forbidden", "Extra inputs are not permitted (body.tools)"),
    ("codestral", "400-order", 400, "invalid_request_message_order", "Expected last role User or Tool"),
    ("codestral", "400-context", 400, "context_length_exceeded", "too large for model"),
    ("qwen", "400-inspection", 400, "content_filter", "inappropriate content"),
    ("qwen", "400-context", 400, "context_length_exceeded", "Range of input length"),
    ("cohere", "generic-error-detail-list", 400, "", "field required (body.messages)"),
    ("cohere", "cerebras-400-context", 400, "context_length_exceeded", "reduce the length"),
    ("cohere", "llamacpp-400-context", 400, "context_length_exceeded", "exceeds the available context size"),
]


@every_kind
@pytest.mark.parametrize(
    ("provider", "shape", "status", "code", "words"), CALLERS, ids=[f"{r[0]}-{r[1]}" for r in CALLERS]
)
def test_a_refused_request_is_told_once_and_hurts_nobody(
    world: World, way: Way, provider: str, shape: str, status: int, code: str, words: str
) -> None:
    """B32, B33, B34, B48, B53, B64, B77, B85: one call, the provider's own words as text, every key as it was."""
    world.sim.play(provider, shape, times=None)
    told = world.ask(way, MODELS[provider])
    told.assert_refused(status, code or None)
    assert words in told.error
    assert len(world.calls(provider)) == 1
    assert [rests_of(world, f"{provider}#{n}") for n in (1, 2)] == [[], []]


@every_kind
@pytest.mark.parametrize(
    ("provider", "shape"),
    [("google", "404-model"), ("openrouter", "404-model"), ("openrouter", "400-model"), ("cohere", "404-model"),
     ("codestral", "400-model"), ("qwen", "404-model"), ("cohere", "github-models-410")],
)  # fmt: skip
def test_a_model_that_is_gone_is_404_and_remembered(world: World, way: Way, provider: str, shape: str) -> None:
    """B33, B48: in the client's own form; no second call for it, and no key suffers."""
    world.sim.play(provider, shape, times=None)
    for _ in range(2):
        world.ask(way, MODELS[provider]).assert_refused(404, "model_not_found")
    assert len(world.calls(provider)) == 1
    assert [rests_of(world, f"{provider}#{n}") for n in (1, 2)] == [[], []]


#: Answers that make no sense, or tell of a stumble; in none of them may the client see what came.
STUMBLES = [
    ("akash", "502"),
    ("akash", "200-html"),
    ("qwen", "waf"),
    ("google", "500"),
    ("google", "504"),
    ("cohere", "500"),
    ("cohere", "generic-error-string"),
    ("cohere", "generic-plain-text-503"),
    ("cohere", "generic-cloudflare-524"),
    ("cohere", "lmstudio-string-error"),
]


@every_way
@pytest.mark.parametrize(("provider", "shape"), STUMBLES)
def test_a_stumble_is_tried_once_more_on_another_key(world: World, way: Way, provider: str, shape: str) -> None:
    """B42, B68, B77, B85: pages, texts, errors inside a 200: the client sees a good answer, or JSON without a page."""
    world.sim.play(provider, shape)
    told = world.ask(way, MODELS[provider])
    told.assert_ok()
    assert len(set(world.used(provider))) == 2
    world.fresh(luck=0.0)
    world.sim.play(provider, shape, times=None)
    told = world.ask(way, MODELS[provider])
    assert told.status in (502, 503, 504), told
    assert told.error
    assert b"<" not in told.body
    assert [rests_of(world, f"{provider}#{n}") for n in (1, 2)] == [[], []]


@every_kind
def test_a_country_that_is_not_served_is_no_keys_fault(way: Way, tmp_path_factory: pytest.TempPathFactory) -> None:
    """B14: the provider rests, the keys do not; where there is another target, it serves within the same request."""
    chain = f'{NO_WAITING}[fallbacks]\n"{MODELS["google"]}" = ["{MODELS["cohere"]}"]\n'
    with make_world(tmp_path_factory, {"google": ["one", "two"], "cohere": ["one"]}, chain) as world:
        world.sim.play("google", "400-location", times=None)
        told = world.ask(way, MODELS["google"])
        told.assert_ok()
        assert told.headers["x-proxy-provider"] == "cohere"
        assert len(world.calls("google")) == 1
        assert [rests_of(world, f"google#{n}") for n in (1, 2)] == [[], []]


@pytest.mark.parametrize(
    ("provider", "shape", "status", "code", "words"),
    [
        ("groq", "groq-413", 413, "request_too_large", "Request too large"),
        ("groq", "groq-400-tool-use-failed", None, "", ""),
        ("nvidia", "nim-400-degraded", 503, "upstream_overloaded", "DEGRADED function"),
        ("nvidia", "nim-400-single-tool", 400, "", "single tool-calls"),
        ("lmstudio", "lmstudio-string-error", None, "", ""),
        ("llamacpp", "llamacpp-400-context", 400, "context_length_exceeded", "available context size"),
        ("cerebras", "cerebras-400-context", 400, "context_length_exceeded", "reduce the length"),
    ],
)
def test_the_other_providers_refusals_are_understood(
    others: World, provider: str, shape: str, status: int | None, code: str, words: str
) -> None:
    """B83, B85: what is the caller's is told; a sick deployment is not; a call that the model spoilt is repeated."""
    others.fresh(luck=0.0)
    others.sim.play("openai", shape, model="sim-chat")
    told = others.ask(PLAIN, f"{provider}:sim-chat")
    if status is None:
        told.assert_ok()
        assert len(others.calls("openai")) == 2
    else:
        told.assert_refused(status, code or None)
        assert words in told.error
        assert len(others.calls("openai")) == 1


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Providers that only need their base address turned to a plain server."""
    names = ("groq", "nvidia", "lmstudio", "llamacpp", "cerebras", "together")
    with make_world(tmp_path_factory, {"openai": ["one"]}, NO_WAITING) as first:
        env = {f"{name.upper()}_BASE_URL": first.sim.base_url("openai") for name in names}
        env |= {f"{name.upper()}_API_KEYS": "key-a,key-b" for name in names}
        with make_world(tmp_path_factory, {}, NO_WAITING, env=env) as second:
            second.sim = first.sim
            yield second
