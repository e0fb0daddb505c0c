"""Mistral's Codestral host as it is simulated."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ollama_proxy.simulator import Simulator
from tests.support.loops import play
from tests.support.sim_kit import PNG, chat, events, fetch, tool

ASK = {"role": "user", "content": "a"}
CALL = {"id": "abcdefgh1", "function": {"name": "f", "arguments": "{}"}}
TURN = {"role": "assistant", "content": "", "tool_calls": [CALL]}
TOOL = {"role": "tool", "tool_call_id": "abcdefgh1", "content": "b"}


@pytest.mark.parametrize(
    ("loc", "more"),
    [
        (["body", "seed"], {"seed": 42}),
        (["body", "stream_options"], {"stream_options": {}}),
        (["body", "max_completion_tokens"], {"max_completion_tokens": 5}),
        (["body", "temperature"], {"temperature": 1.8}),
        (["body", "messages", 0, "user", "name"], {"messages": [{**ASK, "name": "me"}]}),
        (
            ["body", "messages", 1, "assistant", "reasoning_content"],
            {"messages": [ASK, {**TURN, "reasoning_content": ""}, TOOL]},
        ),
        (["body", "messages", 0], {"messages": [{"role": "developer", "content": "a"}]}),
    ],
)
def test_extra_field_is_a_422_with_an_object_for_a_message(loc: list[Any], more: dict[str, Any]) -> None:
    """`message` is an object with the place of the field."""

    async def story() -> None:
        async with Simulator() as sim:
            got = await fetch(sim, "codestral", chat("codestral", **more))
            assert got.status == 422
            assert got.json["message"]["detail"][0]["loc"] == loc
            assert got.json["raw_status_code"] == 422

    play(story())


def test_empty_tools_are_refused_as_a_bare_list() -> None:
    """`tools: []` is an extra input."""

    async def story() -> None:
        async with Simulator() as sim:
            got = await fetch(sim, "codestral", chat("codestral", tools=[]))
            assert got.status == 422
            assert got.json["detail"][0] == {
                "type": "extra_forbidden",
                "loc": ["body", "tools"],
                "msg": "Extra inputs are not permitted",
                "input": [],
            }

    play(story())


@pytest.mark.parametrize(
    ("code", "messages", "text"),
    [
        (
            "3280",
            [ASK, {**TURN, "tool_calls": [{**CALL, "id": "call_123"}]}, {**TOOL, "tool_call_id": "call_123"}],
            "length of 9",
        ),
        ("3230", [ASK, {"role": "assistant", "content": "b"}], "Expected last role User or Tool"),
        ("3230", [ASK, TURN, TOOL, ASK], "Unexpected role 'user' after role 'tool'"),
        ("3230", [ASK, TOOL], "Unexpected role 'tool' after role 'user'"),
        ("3230", [ASK, TURN, ASK], "Not the same number of function calls and responses"),
        ("3230", [ASK, {"role": "assistant", "content": ""}, ASK], "must have either content or tool_calls"),
        ("3230", [ASK, {"role": "system", "content": "b"}], "Unexpected role 'system' after role 'user'"),
        ("3230", [], "at least one message"),
    ],
)
def test_ids_and_order(code: str, messages: list[Any], text: str) -> None:
    """Nine letters or digits, and roles in the order Mistral wants."""

    async def story() -> None:
        async with Simulator() as sim:
            got = await fetch(sim, "codestral", chat("codestral", messages=messages))
            assert got.status == 400
            assert got.json["code"] == code
            assert text in got.json["message"]

    play(story())


def test_assistant_may_come_last_as_a_prefix() -> None:
    """With `prefix: true` the order is right."""

    async def story() -> None:
        async with Simulator() as sim:
            messages = [ASK, {"role": "assistant", "content": "b", "prefix": True}]
            assert (await fetch(sim, "codestral", chat("codestral", messages=messages))).status == 200

    play(story())


def test_calls_end_and_usage_share_a_chunk() -> None:
    """Ids are nine letters or digits, there is no type."""

    async def story() -> None:
        async with Simulator() as sim:
            body = chat("codestral", "use a tool", tools=[tool()], stream=True)
            chunks = events((await fetch(sim, "codestral", body)).body)
            last = chunks[-2]
            call = last["choices"][0]["delta"]["tool_calls"][0]
            assert re.fullmatch("[A-Za-z0-9]{9}", call["id"])
            assert set(call) == {"id", "function", "index"}
            assert last["choices"][0]["finish_reason"] == "tool_calls"
            assert last["usage"]["total_tokens"] > 0

    play(story())


def test_reasoning_models_answer_in_lists() -> None:
    """Thinking is a list of parts, then the content is a string again."""

    async def story() -> None:
        async with Simulator() as sim:
            body = chat("codestral", model="magistral-medium-latest")
            plain = await fetch(sim, "codestral", body)
            content = plain.json["choices"][0]["message"]["content"]
            assert [part["type"] for part in content] == ["thinking", "text"]
            chunks = events((await fetch(sim, "codestral", {**body, "stream": True})).body)
            kinds = [type(c["choices"][0]["delta"]["content"]) for c in chunks[1:-1]]
            assert kinds[0] is list
            assert kinds[-1] is str
            assert kinds == sorted(kinds, key=lambda kind: kind is str)

    play(story())


def test_plain_answer_has_null_calls_and_headers() -> None:
    """`tool_calls` is null; what is left of the minute stands in the headers."""

    async def story() -> None:
        async with Simulator() as sim:
            got = await fetch(sim, "codestral", chat("codestral"))
            assert got.json["choices"][0]["message"]["tool_calls"] is None
            assert got.headers["x-ratelimit-limit-req-minute"] == "30"

    play(story())


def test_fill_in_the_middle() -> None:
    """Answers are chat-shaped; foreign fields and a missing prompt are refused."""

    async def story() -> None:
        async with Simulator() as sim:
            body = {"model": "codestral-latest", "prompt": "def f(a, b):", "suffix": "print(f(1, 2))"}
            plain = await fetch(sim, "codestral", body, path="/fim/completions")
            text = plain.json["choices"][0]["message"]["content"]
            assert "between 12 and 14 characters" in text
            stream = await fetch(sim, "codestral", {**body, "stream": True}, path="/fim/completions")
            chunks = events(stream.body)[:-1]
            assert "".join(c["choices"][0]["delta"]["content"] for c in chunks) == text
            assert chunks[-1]["usage"]["total_tokens"] > 0
            assert sim.log[1].outcome == "fim-stream"
            extra = await fetch(sim, "codestral", {**body, "messages": []}, path="/fim/completions")
            assert extra.json["message"]["detail"][0]["loc"] == ["body", "messages"]
            missing = await fetch(sim, "codestral", {"model": "codestral-latest"}, path="/fim/completions")
            assert missing.json["message"]["detail"][0]["type"] == "missing"

    play(story())


def test_no_images_for_codestral() -> None:
    """It cannot see."""

    async def story() -> None:
        async with Simulator() as sim:
            content = [{"type": "image_url", "image_url": PNG}]
            got = await fetch(sim, "codestral", chat("codestral", messages=[{"role": "user", "content": content}]))
            assert got.status == 400

    play(story())


@pytest.mark.parametrize("word", ["$id", "$schema", "$ref"])
def test_tool_schemas_without_references(word: str) -> None:
    """Some words of JSON schema have caused 400s."""

    async def story() -> None:
        async with Simulator() as sim:
            got = await fetch(sim, "codestral", chat("codestral", tools=[tool(a={word: "#/x"})]))
            assert got.status == 400
            assert word in got.json["message"]

    play(story())


def test_list_or_its_absence() -> None:
    """Mistral's list with abilities; the host that has none is a recorded answer."""

    async def story() -> None:
        async with Simulator() as sim:
            rows = {row["id"]: row for row in (await fetch(sim, "codestral")).json["data"]}
            assert rows["codestral-2508"]["capabilities"]["completion_fim"] is True
            assert rows["mistral-embed"]["capabilities"]["completion_chat"] is False
            sim.play("codestral", "models-404")
            assert (await fetch(sim, "codestral")).status == 404

    play(story())
