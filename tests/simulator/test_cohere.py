"""Cohere's compatibility API as it is simulated."""

from __future__ import annotations

from typing import Any

import pytest

from ollama_proxy.simulator import Simulator
from tests.support.loops import play
from tests.support.sim_kit import PNG, chat, events, fetch, tool

CALL = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
ASK = {"role": "user", "content": "a"}
IMAGE = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": PNG}}]}
REMOTE = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x.invalid/a.png"}}]}


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("stream_options", {"stream_options": {"include_usage": True}}),
        ("tool_choice", {"tool_choice": "auto"}),
        ("max_completion_tokens", {"max_completion_tokens": 5}),
        ("n", {"n": 1}),
        ("strict", {"tools": [{"type": "function", "function": {"name": "f", "strict": True}}]}),
        ("index", {"messages": [ASK, {"role": "assistant", "tool_calls": [{**CALL, "index": 0}]}]}),
        ("reasoning_content", {"messages": [{"role": "assistant", "content": "a", "reasoning_content": "b"}]}),
        ("additionalProperties", {"tools": [tool(a={"type": "object", "additionalProperties": False})]}),
    ],
)
def test_unknown_field_is_a_422(name: str, more: dict[str, Any]) -> None:
    """Any field outside the documented list is refused, nested ones too."""

    async def story() -> None:
        async with Simulator() as sim:
            got = await fetch(sim, "cohere", chat("cohere", **more))
            assert got.status == 422
            assert got.json["message"] == f"unknown field: parameter '{name}' is not a valid field, "

    play(story())


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"temperature": 1.5}, "temperature must be between"),
        ({"frequency_penalty": 0.1, "presence_penalty": 0.1}, "cannot both be set"),
        ({"reasoning_effort": "low"}, "none, high"),
        ({"messages": []}, "must not be empty"),
        ({"messages": [{"role": "user", "content": ""}]}, "at least 1 token long"),
        ({"messages": [ASK, {"role": "system", "content": "b"}]}, "must come first"),
        ({"messages": [ASK, {"role": "tool", "tool_call_id": "x", "content": "b"}]}, "no tool call found"),
        ({"tools": [tool("my-tool")]}, "A-Za-z0-9_"),
        ({"messages": [IMAGE]}, "image content is not supported"),
        ({"model": "command-a-plus-05-2026", "messages": [REMOTE]}, "base64 data URI"),
    ],
)
def test_values_that_cohere_refuses(more: dict[str, Any], message: str) -> None:
    """Errors are flat, without an `error` object."""

    async def story() -> None:
        async with Simulator() as sim:
            got = await fetch(sim, "cohere", chat("cohere", **more))
            assert got.status == 400
            assert message in got.json["message"]

    play(story())


def test_plan_comes_before_the_call() -> None:
    """Text first, then the call in pieces; usage on the chunk that ends."""

    async def story() -> None:
        async with Simulator() as sim:
            body = chat("cohere", "use a tool", tools=[tool()], stream=True)
            chunks = events((await fetch(sim, "cohere", body)).body)
            assert chunks[1]["choices"][0]["delta"]["content"]
            assert chunks[2]["choices"][0]["delta"]["tool_calls"]
            assert chunks[-2]["choices"][0]["finish_reason"] == "tool_calls"
            assert chunks[-2]["usage"]["total_tokens"] > 0

    play(story())


@pytest.mark.parametrize("root", ["/cohere/v1/models", "/v1/models"])
def test_native_list_is_paged_and_keeps_the_retired(root: str) -> None:
    """Its key is `models`, its id `name`; features may be null."""

    async def story() -> None:
        async with Simulator() as sim:
            from tests.support.sim_kit import exchange

            async def page(query: str) -> Any:
                request = (
                    f"GET {root}?{query} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer k-a\r\nconnection: close\r\n\r\n"
                )
                return (await exchange(sim.port, request.encode())).json

            first = await page("page_size=5")
            assert len(first["models"]) == 5
            second = await page(f"page_size=5&page_token={first['next_page_token']}")
            rows = {row["name"]: row for row in first["models"] + second["models"]}
            assert rows["embed-v4.0"]["features"] is None
            assert rows["command-light"]["is_deprecated"] is True
            assert "vision" in rows["command-a-plus-05-2026"]["features"]
            chats = await page("endpoint=chat")
            assert all(row["endpoints"] == ["chat"] for row in chats["models"])

    play(story())


def test_embeddings_take_three_fields() -> None:
    """`dimensions` is refused, usage is there."""

    async def story() -> None:
        async with Simulator() as sim:
            body = {"model": "embed-v4.0", "input": ["a"]}
            got = await fetch(sim, "cohere", body, path="/embeddings")
            assert got.json["usage"]["total_tokens"] > 0
            assert len(got.json["data"][0]["embedding"]) == 1536
            got = await fetch(sim, "cohere", {**body, "dimensions": 3}, path="/embeddings")
            assert got.status == 422
            got = await fetch(sim, "cohere", {**body, "input": ["a"] * 97}, path="/embeddings")
            assert got.status == 400

    play(story())


@pytest.mark.parametrize(
    ("key", "text"), [("k-rate-1", "20 API calls / minute"), ("k-day-1", "1000 API calls / month")]
)
def test_trial_limits_are_prose(key: str, text: str) -> None:
    """Neither Retry-After nor a code, only words."""

    async def story() -> None:
        async with Simulator() as sim:
            got = await fetch(sim, "cohere", chat("cohere"), key=key)
            assert got.status == 429
            assert text in got.json["message"]
            assert "retry-after" not in got.headers

    play(story())
