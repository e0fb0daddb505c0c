"""What each provider says in its own accent is told in every client's protocol: text, thoughts, calls, counts, ends."""

from __future__ import annotations

import asyncio
import json
import math
from typing import Any

import ollama
import openai
import pytest

from ollama_proxy.simulator import Chunk, Header, Sleep, Status
from ollama_proxy.simulator.shapes import ANYBODY, OWN
from tests.support.behaving import (
    MODELS,
    PLAIN,
    calls_of,
    counts_of,
    every_conversation,
    rests_of,
    said_by,
    thinking_streams,
)
from tests.support.client_kinds import KINDS, WHOLE, Told, Way, every_stream, every_way
from tests.support.faulty_world import World, make_world
from tests.support.sim_kit import fetch

WEATHER, BUSAN = ("get_weather", {"city": "Seoul"}), ("get_weather", {"city": "Busan"})
KST = ("get_time", {"zone": "KST"})
OPENAI = Way.find("openai", stream=True)

# --- text and counts --------------------------------------------------------------------------------------------------

#: Provider, recorded answer, what was said, tokens in and out (None: the provider told none).
TEXTS: list[tuple[str, str, str, tuple[int, int] | None]] = [
    ("google", "stream", "Seoul lies on the Han river.", (11, 7)),
    ("google", "chat", "Seoul lies on the Han river.", (11, 7)),
    ("openrouter", "stream", "Seoul.", (17, 8)),
    ("openrouter", "chat", "Seoul.", (17, 8)),
    ("openrouter", "chat-leading-ws", "fine", None),
    ("akash", "stream", "Seoul.", (40, 5)),
    ("akash", "chat", "Seoul.", (40, 5)),
    ("cohere", "stream", "Seoul.", (20, 6)),
    ("cohere", "chat", "Seoul.", (20, 6)),
    ("codestral", "stream", "echo('hello')", (15, 7)),
    ("codestral", "chat", "echo('hello')", (15, 7)),
    ("qwen", "stream", "Seoul.", (21, 3)),
    ("qwen", "chat", "Seoul.", (21, 3)),
    ("cohere", "generic-content-after-finish", "a", (1, 1)),
    ("cohere", "generic-crlf", "ab", None),
    ("cohere", "generic-json-instead-of-sse", "ab", (1, 1)),
    ("cohere", "generic-last-event-no-blank", "ab", None),
    ("cohere", "generic-no-done", "a", None),
    ("cohere", "generic-no-space-multiline", "ab", None),
    ("cohere", "generic-sse-instead-of-json", "ab", None),
    ("cohere", "generic-u2028", "one\u2028two\u0085three\u2029four", None),
    ("cohere", "generic-utf8-split", "짧은 답: 반갑습니다 🏯 «s» ñ", None),
]


@every_way
@pytest.mark.parametrize(("provider", "shape", "text", "counts"), TEXTS, ids=[f"{row[0]}-{row[1]}" for row in TEXTS])
def test_a_plain_answer_is_told_with_the_providers_last_count(
    world: World, way: Way, provider: str, shape: str, text: str, counts: tuple[int, int] | None
) -> None:
    """B1, B21, B35, B37, B69, B70, B71, B73: streamed or not, whatever was asked for: once, whole, with one end."""
    told = said_by(world, provider, shape, way)
    told.assert_ok(text)
    assert told.calls == []
    assert counts is None or counts_of(told) == counts
    assert told.finish in ("stop", "end_turn", "completed")
    assert told.headers["x-proxy-attempts"] == "1"


@every_stream
def test_letters_cut_between_two_writes_stay_whole(world: World, way: Way) -> None:
    """B69: Korean, a picture sign, one byte in each write, and no charset in the head."""
    world.sim.play("cohere", "generic-utf8-split")
    plain = world.ask(way, MODELS["cohere"]).text
    world.sim.say("cohere", plain)
    world.ask(way, f"{MODELS['cohere']}!utf8").assert_ok(plain)


# --- tool calls -------------------------------------------------------------------------------------------------------

CALLS: list[tuple[str, str, str, list[tuple[str, Any]]]] = [
    ("google", "stream-tools", "", [WEATHER, BUSAN]),
    ("google", "stream-tools-index0", "", [WEATHER, KST]),
    ("google", "chat-tools", "", [WEATHER]),
    ("openrouter", "stream-tools", "", [WEATHER, ("get_time", {})]),
    ("akash", "stream-tools", "", [WEATHER]),
    ("cohere", "stream-tools", "I will ask for the weather.", [WEATHER]),
    ("codestral", "stream-tools", "", [WEATHER, KST]),
    ("codestral", "stream-tools-noindex", "", [WEATHER, KST]),
    ("qwen", "stream-tools", "", [WEATHER]),
    ("cohere", "generic-args-object", "", [WEATHER]),
    ("cohere", "generic-legacy-function-call", "", [WEATHER]),
]


@every_conversation
@pytest.mark.parametrize(("provider", "shape", "text", "calls"), CALLS, ids=[f"{row[0]}-{row[1]}" for row in CALLS])
def test_tool_calls_come_out_whole_and_apart(
    world: World, way: Way, provider: str, shape: str, text: str, calls: list[tuple[str, Any]]
) -> None:
    """B2, B3, B4, B23, B38, B47, B50, B59, B74: each with an id of its own, an object as arguments, the right end."""
    told = said_by(world, provider, shape, way)
    told.assert_ok(text)
    if way == OPENAI and shape == "generic-legacy-function-call":
        # Who asks with `functions` waits for it; the pass-through mends what breaks OpenAI's schema, nothing else.
        assert b'"function_call"' in told.body
        return
    assert calls_of(told) == calls
    ends = {"ollama-chat": "stop", "openai": "tool_calls", "anthropic": "tool_use", "responses": "completed"}
    assert told.finish == ends[way.name]
    assert len(ids_of(told)) == len(calls)


def ids_of(told: Told) -> list[str]:
    """The ids of calls wherever they stand in the answer, each once; what says none goes on with the call before."""
    found: dict[str, None] = {}
    for line in told.body.decode().replace("data: ", "").splitlines():
        if line.startswith(("{", "[{")):
            _collect(json.loads(line), found)
    return [call_id for call_id in found if call_id]


def _collect(value: Any, found: dict[str, None]) -> None:
    if isinstance(value, list):
        for item in value:
            _collect(item, found)
    elif isinstance(value, dict):
        if value.get("type") == "function_call":
            found[value["call_id"]] = None
        elif value.get("type") == "tool_use" or ("function" in value and "name" in (value["function"] or ())):
            found[value["id"]] = None
        else:
            _collect(list(value.values()), found)


@every_conversation
def test_a_call_that_the_length_limit_tore_is_not_told(world: World, way: Way) -> None:
    """B74: the reason says that there was no room; nobody gets half an object."""
    told = said_by(world, "cohere", "generic-bad-arguments", way)
    assert told.status == 200
    assert not told.error
    if way.name != "openai":
        assert told.calls == []
    assert told.finish in ("length", "max_tokens", "incomplete")


# --- thoughts ---------------------------------------------------------------------------------------------------------

THOUGHTS: list[tuple[str, str, str, str]] = [
    ("google", "stream-reasoning", "A river is asked for.\n", "The Han; 2 < 5 and <i>this</i> stay."),
    ("openrouter", "stream-reasoning", "Rivers first.", "7"),
    ("akash", "stream-reasoning", "A city is wanted.", "\n\nSeoul."),
    ("akash", "stream-think-tags", "well\n", "Seoul."),
    ("cohere", "stream-reasoning", "A city is wanted.", "Seoul."),
    ("codestral", "stream-reasoning", "A city is wanted.", "Seoul."),
    ("codestral", "chat-content-list", "A city is wanted.", "Seoul."),
    ("qwen", "stream-reasoning", "A city is wanted.", "Seoul."),
    ("cohere", "generic-reasoning-only", "It is seven.", ""),
]


@thinking_streams
@pytest.mark.parametrize(
    ("provider", "shape", "thoughts", "text"), THOUGHTS, ids=[f"{row[0]}-{row[1]}" for row in THOUGHTS]
)
def test_thoughts_and_text_are_told_apart(
    world: World, way: Way, provider: str, shape: str, thoughts: str, text: str
) -> None:
    """B5, B24, B39, B57, B60, B75: under whichever name and with whichever tags they came, said once."""
    for each in (way, Way(way.kind, stream=False)):
        told = said_by(world, provider, shape, each)
        told.assert_ok(text)
        assert told.thinking == thoughts
        world.fresh()


@pytest.mark.parametrize("shape", ["stream-reasoning"])
@pytest.mark.parametrize("provider", ["openrouter", "akash", "cohere", "qwen"])
def test_openais_clients_get_thoughts_under_the_providers_name(world: World, provider: str, shape: str) -> None:
    """B24, B39, B60: the pass-through changes nothing of them."""
    told = said_by(world, provider, shape, OPENAI)
    told.assert_ok()
    assert told.thinking in ("Rivers first.", "A city is wanted.")


# --- odd and bad ends -------------------------------------------------------------------------------------------------


@every_way
def test_an_answer_that_was_withheld_says_so(world: World, way: Way) -> None:
    """B19: no content and a raw reason: an end at the first attempt, and no error."""
    told = said_by(world, "google", "empty-safety", way)
    told.assert_ok("")
    assert len(world.calls("google")) == 1
    assert told.finish in ("stop", "refusal", "content_filter", "incomplete", "end_turn")


@every_way
@pytest.mark.parametrize("shape", ["stream-malformed-call", "empty-choices"])
def test_an_answer_of_nothing_is_tried_once_more_and_then_told(world: World, way: Way, shape: str) -> None:
    """B19, B72: a call that the model could not spell, no choice at all."""
    said_by(world, "google", shape, way).assert_ok()
    assert len(set(world.used("google"))) == 2
    world.fresh()
    said_by(world, "google", shape, way, times=None).assert_refused(502)
    assert len(world.calls("google")) == 2


@every_way
@pytest.mark.parametrize("shape", ["generic-empty-stream", "generic-finish-only"])
def test_an_end_without_an_answer_fails_over_and_is_then_told(world: World, way: Way, shape: str) -> None:
    """B72: `[DONE]` alone, an end without text."""
    said_by(world, "cohere", shape, way).assert_ok()
    assert len(world.calls("cohere")) == 2
    world.fresh(luck=0.0)
    said_by(world, "cohere", shape, way, times=None).assert_refused(502)


@every_stream
@pytest.mark.parametrize("shape", ["generic-truncated", "generic-cut-json"])
def test_a_stream_without_an_end_is_an_error(world: World, way: Way, shape: str) -> None:
    """B71: what came is kept, the client knows that it is not all."""
    told = said_by(world, "cohere", shape, way, times=None)
    told.assert_broken("upstream_truncated")
    assert told.text in ("a", "ab")


@pytest.mark.parametrize("way", WHOLE, ids=str)
@pytest.mark.parametrize("shape", ["generic-truncated", "generic-cut-json"])
def test_half_an_answer_in_one_piece_is_asked_for_again(world: World, way: Way, shape: str) -> None:
    """B71: nothing was sent yet."""
    said_by(world, "cohere", shape, way).assert_ok()
    assert len(world.calls("cohere")) == 2


@every_stream
def test_an_error_after_text_is_told_behind_it(world: World, way: Way) -> None:
    """B25: text, then the error in the client's protocol, and no end as if all were well; nobody is asked again."""
    told = said_by_slowly(world, "openrouter", "stream-midstream-error", way)
    told.assert_broken(after="Seo")
    assert "Provider disconnected unexpectedly" in told.error
    assert len(world.calls("openrouter")) == 1


@every_stream
def test_a_stream_that_a_censor_ends_is_told_behind_the_text(world: World, way: Way) -> None:
    """B64: an error object, then the end of the connection, without an end mark."""
    told = said_by_slowly(world, "qwen", "stream-error", way)
    told.assert_broken(after="Seo")
    assert "inappropriate content" in told.error
    assert [rests_of(world, f"qwen#{n}") for n in (1, 2)] == [[], []]


def said_by_slowly(world: World, provider: str, shape: str, way: Way) -> Told:
    """The same with a pause before each piece, so that what came first is on its way to the client."""
    pieces: list[Any] = []
    for event in streamed(world, provider, shape):
        pieces += [Sleep(0.03), Chunk(event)]
    world.sim.on(provider, [Status(200), Header("content-type", "text/event-stream"), *pieces], times=1)
    return world.ask(way, MODELS[provider])


def streamed(world: World, provider: str, shape: str) -> list[bytes]:
    """The frames of a recorded stream, as the provider sends them."""
    world.sim.play(provider, shape)
    body = {"model": MODELS[provider].partition(":")[2], "messages": [{"role": "user", "content": "hi"}]}
    got = asyncio.run(fetch(world.sim.sim, provider, {**body, "stream": True}))
    world.sim.reset()
    return [frame + b"\n\n" for frame in got.body.split(b"\n\n") if frame]


@every_stream
def test_an_error_ahead_of_the_text_goes_to_another_target(way: Way, tmp_path_factory: pytest.TempPathFactory) -> None:
    """B26: comments, then an error: the client sees one clean stream of somebody else."""
    chain = f'[fallbacks]\n"{MODELS["openrouter"]}" = ["{MODELS["cohere"]}"]\n'
    with make_world(tmp_path_factory, {"openrouter": ["one"], "cohere": ["one"]}, chain) as world:
        told = said_by(world, "openrouter", "stream-error-first", way)
        told.assert_ok()
        assert told.headers["x-proxy-provider"] == "cohere"
        assert b"PROCESSING" not in told.body


@every_stream
def test_signs_of_life_without_an_answer_do_not_last_for_ever(
    way: Way, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """B22: comments alone, longer than the first content may take: another target serves."""
    chain = f'[timeouts]\nfirst_content_s = 0.3\n[fallbacks]\n"{MODELS["openrouter"]}" = ["{MODELS["cohere"]}"]\n'
    with make_world(tmp_path_factory, {"openrouter": ["one"], "cohere": ["one"]}, chain, slow_s=0.02) as world:
        world.clock.luck = 0.0
        world.sim.play("openrouter", "comments", times=None)
        told = world.ask(way, MODELS["openrouter"])
        told.assert_ok()
        assert told.headers["x-proxy-provider"] == "cohere"
        assert all(call.gave_up for call in world.calls("openrouter"))


# --- filling in the middle --------------------------------------------------------------------------------------------


def test_filling_in_the_middle_is_text_for_both_protocols(world: World) -> None:
    """B56: chat's shape comes back from there; Ollama's and OpenAI's clients get what they know, whole and streamed."""
    model = MODELS["codestral"]
    with ollama.Client(world.proxy.url) as client, openai.OpenAI(base_url=f"{world.proxy.url}/v1", api_key="x") as sdk:
        world.sim.play("codestral", "fim")
        assert client.generate(model, "def f(a, b):\n", suffix="\n").response == "    return a * b\n"
        world.sim.play("codestral", "fim-stream")
        parts = list(client.generate(model, "def f(a, b):\n", suffix="\n", stream=True))
        assert "".join(part.response for part in parts) == "    return a * b\n"
        assert (parts[-1].prompt_eval_count, parts[-1].eval_count) == (8, 7)
        world.sim.play("codestral", "fim")
        whole = sdk.completions.create(model=model, prompt="def f(a, b):\n", suffix="\n")
        assert whole.choices[0].text == "    return a * b\n"
        world.sim.play("codestral", "fim-stream")
        chunks = sdk.completions.create(model=model, prompt="def f(a, b):\n", suffix="\n", stream=True)
        assert "".join(choice.text for chunk in chunks for choice in chunk.choices) == "    return a * b\n"
    assert {call.path for call in world.calls("codestral")} == {"/fim/completions"}


# --- vectors ----------------------------------------------------------------------------------------------------------

EMBED = {"google": "google:gemini-embedding-001", "cohere": "cohere:embed-v4.0"}


@pytest.mark.parametrize(
    ("provider", "shape", "vectors"),
    [
        ("google", "embeddings", [[0.25, -0.75, 0.5, 0.125]]),
        ("cohere", "embeddings", [[0.02, -0.04, 0.06]]),
        ("cohere", "generic-embeddings-base64", [[1.0, -0.5, 0.25], [-0.5, 0.25, 0.5]]),
    ],
)
def test_vectors_are_numbers_in_the_order_of_the_inputs(
    world: World, provider: str, shape: str, vectors: list[list[float]]
) -> None:
    """B84: packed, out of order, without a count: floats, of length one for Ollama's clients, with a count for all."""
    texts = ["a", "b"][: len(vectors)]
    with ollama.Client(world.proxy.url) as client, openai.OpenAI(base_url=f"{world.proxy.url}/v1", api_key="x") as sdk:
        world.sim.play(provider, shape)
        told = client.embed(EMBED[provider], texts)
        world.sim.play(provider, shape)
        plain = sdk.embeddings.create(model=EMBED[provider], input=texts, encoding_format="float")
    for one, other, sent in zip(told.embeddings, plain.data, vectors, strict=True):
        assert other.embedding == sent
        assert list(one) == pytest.approx([number / math.hypot(*sent) for number in sent])
    assert told.prompt_eval_count is not None
    assert plain.usage.prompt_tokens >= 0


# --- each and every one -----------------------------------------------------------------------------------------------

EVERY = [
    (provider, name)
    for provider, shapes in {**OWN, "cohere": {**OWN["cohere"], **ANYBODY}}.items()
    for name, shape in shapes.items()
    if not shape.operation
]


@pytest.mark.parametrize(("number", "provider", "name"), [(number, *row) for number, row in enumerate(EVERY)])
def test_every_recorded_answer_is_an_answer_or_an_honest_error(
    world: World, number: int, provider: str, name: str
) -> None:
    """B42, B77: in the client's own form; no page, no trace of another protocol, nothing that hangs or looks whole."""
    kind = KINDS[number % len(KINDS)]
    for each in (Way(kind, stream=True), Way(kind, stream=False)):
        told = said_by(world, provider, name, each, times=None)
        assert bool(told.error) != told.complete, told
        if told.error:
            assert told.status in (200, 400, 404, 413, 429, 502, 503, 504), told
            assert b"<html" not in told.body.lower()
        world.fresh(luck=0.0)
    world.ask(PLAIN, MODELS[provider]).assert_ok()
