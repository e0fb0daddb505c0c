"""Tool calls are put together by what providers send, not by what the schema promises."""

from __future__ import annotations

import time
from typing import Any

import pytest

from ollama_proxy.hub.calls import CallAssembler, ToolCall


def delta(index: Any = None, id: Any = None, name: Any = None, arguments: Any = None, **extra: Any) -> dict[str, Any]:  # noqa: A002 - OpenAI's word
    part: dict[str, Any] = {"function": {}, **extra}
    for key, value in (("index", index), ("id", id)):
        if value is not None:
            part[key] = value
    for key, value in (("name", name), ("arguments", arguments)):
        if value is not None:
            part["function"][key] = value
    return part


def assemble(*parts: Any) -> list[tuple[str, str, str]]:
    assembler = CallAssembler()
    for part in parts:
        assembler.add(part)
    return [(call.id, call.name, call.arguments) for call in assembler.calls()]


ONE = [("a", "f", '{"x":1}')]
TWO = [("a", "f", "{}"), ("b", "g", "{}")]

CASES: dict[str, tuple[list[Any], list[tuple[str, str, str]]]] = {
    "as OpenAI has it": ([delta(0, "a", "f", ""), delta(0, arguments='{"x":'), delta(0, arguments="1}")], ONE),
    "no arguments at first": ([delta(0, "a", "f"), delta(0, arguments='{"x":1}')], ONE),
    "empty strings later": ([delta(0, "a", "f", '{"x":'), delta(0, "", "", "1}")], ONE),
    "id and name repeated": ([delta(0, "a", "f", '{"x":'), delta(0, "a", "f", "1}")], ONE),
    "name later": ([delta(0, "a", ""), delta(0, "", "f", '{"x":1}')], ONE),
    "id later": ([delta(0, None, "f", '{"x":'), delta(0, "a", None, "1}")], ONE),
    "name repeated without id": ([delta(0, None, "f", '{"x":'), delta(0, None, "f", "1}")], [("", "f", '{"x":1}')]),
    "a fresh id on every delta": ([delta(0, "a", "f", '{"x":'), delta(0, "b", None, "1}")], ONE),
    "continuation without index": ([delta(0, "a", "f", '{"x":'), delta(arguments="1}")], ONE),
    "arguments as object": ([delta(0, "a", "f", {"x": 1})], ONE),
    "arguments null": ([delta(0, "a", "f", '{"x":1}'), {"index": 0, "function": {"arguments": None}}], ONE),
    "no function at all": ([delta(0, "a", "f", '{"x":1}'), {"index": 0}], ONE),
    "no entry": ([None, "f", 3, delta(0, "a", "f", '{"x":1}')], ONE),
    "two by index": ([delta(0, "a", "f", "{}"), delta(1, "b", "g", "{}")], TWO),
    "two without index": ([delta(None, "a", "f", "{}"), delta(None, "b", "g", "{}")], TWO),
    "two, both index 0": ([delta(0, "a", "f", "{}"), delta(0, "b", "g", "{}")], TWO),
    "two without ids": ([delta(0, "", "f", "{}"), delta(0, "", "g", "{}")], [("", "f", "{}"), ("", "g", "{}")]),
    "one function twice without ids": ([delta(0, "", "f", "{}"), delta(0, "", "f", "{}")], [("", "f", "{}")] * 2),
    "one function twice, nothing at all": ([delta(None, "", "f", ""), delta(None, "", "f", "")], [("", "f", "")] * 2),
    "interleaved": (
        [delta(0, "a", "f", "{"), delta(1, "b", "g", "{"), delta(0, arguments="}"), delta(1, arguments="}")],
        TWO,
    ),
    "all index 0, in pieces": (
        [delta(0, "a", "f", "{"), delta(0, None, None, "}"), delta(0, "b", "g", "{"), delta(0, None, None, "}")],
        TWO,
    ),
    "one id for two": ([delta(0, "a", "f", "{}"), delta(1, "a", "f", "{}")], [("a", "f", "{}"), ("", "f", "{}")]),
}


@pytest.mark.parametrize("case", CASES)
def test_calls_are_assembled(case: str) -> None:
    """A known id goes on, a new id or a name begins, neither continues. (F56)"""
    parts, calls = CASES[case]
    assert assemble(*parts) == calls


def test_entries_of_a_whole_answer_are_calls_of_their_own() -> None:
    """Whatever their ids say; an id that comes twice is left empty the second time."""
    assembler = CallAssembler()
    for _ in range(2):
        assembler.add(delta(None, "f", "f", ""), whole=True)
    assert assembler.calls() == [ToolCall("f", "f", ""), ToolCall("", "f", "")]


def test_other_keys_are_kept() -> None:
    """Gemini's signature stands beside the function and must come back with the next turn."""
    signed = {"google": {"thought_signature": "c2ln"}}
    assembler = CallAssembler()
    assembler.add(
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}, "extra_content": signed}
    )
    assert assembler.calls() == [ToolCall("a", "f", "{}", {"extra_content": signed})]


def test_the_old_function_call_is_one_call() -> None:
    assembler = CallAssembler()
    for function in ({"name": "f", "arguments": ""}, {"arguments": "{"}, {"arguments": "}"}, None):
        assembler.add_legacy(function)
    assert assembler.calls() == [ToolCall("", "f", "{}")]


def test_a_hundred_thousand_fragments_take_linear_time() -> None:
    """Arguments in one-character pieces. (F56)"""
    assembler = CallAssembler()
    assembler.add(delta(0, "a", "f", '"'))
    fragment = delta(0, arguments="x")
    begun = time.perf_counter()
    for _ in range(100_000):
        assembler.add(fragment)
    assert len(assembler.calls()[0].arguments) == 100_001
    assert time.perf_counter() - begun < 5
