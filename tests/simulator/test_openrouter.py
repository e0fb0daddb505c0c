"""OpenRouter as it is simulated."""

from __future__ import annotations

from typing import Any

import pytest

from ollama_proxy.simulator import Simulator
from tests.support.loops import play
from tests.support.sim_kit import PNG, chat, events, fetch, tool


class FrozenClock:
    def now(self) -> float:
        return 5.0

    def wall(self) -> float:
        return 1_790_000_000.0


def test_comments_stand_before_and_between() -> None:
    """Comments prove life; usage comes on one more chunk with an empty delta."""

    async def story() -> None:
        async with Simulator() as sim:
            got = await fetch(sim, "openrouter", chat("openrouter", stream=True))
            frames = got.body.split(b"\n\n")
            assert frames[0] == frames[1] == b": OPENROUTER PROCESSING"
            assert b": OPENROUTER PROCESSING" in frames[3:]
            *_, end, tail, done = events(got.body)
            assert end["choices"][0]["finish_reason"] == "stop"
            assert tail["choices"][0]["delta"] == {"role": "assistant", "content": ""}
            assert tail["choices"][0]["finish_reason"] is None
            assert tail["usage"]["cost"] == 0
            assert done == "[DONE]"

    play(story())


def test_later_pieces_of_a_call_have_null_id_and_name() -> None:
    """Only the first piece names the call; the end is said twice."""

    async def story() -> None:
        async with Simulator() as sim:
            body = chat("openrouter", "use a tool", tools=[tool()], stream=True)
            chunks = events((await fetch(sim, "openrouter", body)).body)
            pieces = [
                c["choices"][0]["delta"]["tool_calls"][0]
                for c in chunks[:-1]
                if "tool_calls" in c["choices"][0]["delta"]
            ]
            assert pieces[0]["id"]
            assert [(p["id"], p["function"]["name"]) for p in pieces[1:]] == [(None, None), (None, None)]
            assert [c["choices"][0]["finish_reason"] for c in chunks[-3:-1]] == ["tool_calls", "tool_calls"]

    play(story())


def test_reasoning_is_said_in_two_fields() -> None:
    """`reasoning` and `reasoning_details` carry the same text."""

    async def story() -> None:
        async with Simulator() as sim:
            got = await fetch(sim, "openrouter", chat("openrouter", stream=True, reasoning={"effort": "low"}))
            deltas = [c["choices"][0]["delta"] for c in events(got.body)[:-1]]
            thoughts = [d for d in deltas if d.get("reasoning")]
            assert thoughts
            assert all(d["reasoning_details"][0]["text"] == d["reasoning"] for d in thoughts)
            off = await fetch(sim, "openrouter", chat("openrouter", reasoning={"enabled": False}))
            assert off.json["choices"][0]["message"]["reasoning"] is None

    play(story())


def test_limits_name_their_reset_in_milliseconds() -> None:
    """Minute: headers and metadata agree, 40 s ahead; day: the next midnight UTC."""

    async def story() -> None:
        async with Simulator(clock=FrozenClock()) as sim:
            minute = await fetch(sim, "openrouter", chat("openrouter"), key="k-rate-1")
            assert minute.status == 429
            assert minute.headers["x-ratelimit-reset"] == "1790000040000"
            assert minute.json["error"]["metadata"]["headers"]["X-RateLimit-Reset"] == "1790000040000"
            day = await fetch(sim, "openrouter", chat("openrouter"), key="k-day-1")
            assert "free-models-per-day" in day.json["error"]["message"]
            assert day.json["error"]["metadata"]["headers"]["X-RateLimit-Reset"] == "1790035200000"
            assert "x-ratelimit-reset" not in day.headers

    play(story())


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"model": "nousresearch/hermes-3-llama-3.1-405b:free", "tools": [tool()]}, "support tool use"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": PNG}}]}]},
            "support image input",
        ),
    ],
)
def test_models_are_asked_only_for_what_they_can(more: dict[str, Any], message: str) -> None:
    """Tools or images for a model without them are a 404."""

    async def story() -> None:
        async with Simulator() as sim:
            got = await fetch(sim, "openrouter", chat("openrouter", **more))
            assert got.status == 404
            assert message in got.json["error"]["message"]

    play(story())


def test_list_is_public_and_the_key_is_asked_elsewhere() -> None:
    """A bad key still sees the models; /key tells the truth about it."""

    async def story() -> None:
        async with Simulator() as sim:
            got = await fetch(sim, "openrouter", key="k-bad-1")
            assert got.status == 200
            assert "object" not in got.json
            entries = {entry["id"]: entry for entry in got.json["data"]}
            assert entries["qwen/qwen3-coder:free"]["pricing"]["prompt"] == "0"
            assert entries["openrouter/auto"]["pricing"]["prompt"] == "-1"
            assert any(name.startswith("~") for name in entries)
            assert entries["nousresearch/hermes-3-llama-3.1-405b:free"]["top_provider"]["max_completion_tokens"] is None
            assert "tools" not in entries["nousresearch/hermes-3-llama-3.1-405b:free"]["supported_parameters"]
            assert "image" in entries["google/gemma-4-31b-it:free"]["architecture"]["input_modalities"]
            assert (await fetch(sim, "openrouter", path="/key", key="k-bad-1")).status == 401
            assert (await fetch(sim, "openrouter", path="/key")).json["data"]["is_free_tier"] is True
            assert (await fetch(sim, "openrouter", path="/credits")).status == 200
            vectors = await fetch(sim, "openrouter", path="/embeddings/models")
            assert [entry["id"] for entry in vectors.json["data"]] == ["qwen/qwen3-embedding-8b"]

    play(story())


def test_error_in_the_middle_names_the_model() -> None:
    """A chunk with an error beside its choice, then the end mark."""

    async def story() -> None:
        async with Simulator() as sim:
            body = chat("openrouter", model="qwen/qwen3-coder:free!error-mid", stream=True)
            *_, error, done = events((await fetch(sim, "openrouter", body)).body)
            assert error["error"]["code"] == 502
            assert error["choices"][0]["finish_reason"] == "error"
            assert error["model"] == "qwen/qwen3-coder:free"
            assert done == "[DONE]"
            body = chat("openrouter", model="qwen/qwen3-coder:free!error-first", stream=True)
            opening, error, _ = events((await fetch(sim, "openrouter", body)).body)
            assert opening["choices"][0]["delta"] == {"role": "assistant", "content": ""}
            assert "qwen/qwen3-coder:free is temporarily" in error["error"]["metadata"]["raw"]

    play(story())


def test_text_completions() -> None:
    """The older endpoint answers with `text`, also as a stream."""

    async def story() -> None:
        async with Simulator() as sim:
            body = {"model": "qwen/qwen3-coder:free", "prompt": "def f("}
            plain = await fetch(sim, "openrouter", body, path="/completions")
            assert plain.json["object"] == "text_completion"
            stream = await fetch(sim, "openrouter", {**body, "stream": True}, path="/completions")
            chunks = events(stream.body)[:-1]
            assert "".join(c["choices"][0]["text"] for c in chunks) == plain.json["choices"][0]["text"]
            assert chunks[-1]["choices"][0]["finish_reason"] == "stop"

    play(story())
