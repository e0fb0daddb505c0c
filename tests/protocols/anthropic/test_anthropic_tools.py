"""Tools with a schema are passed on; those that only Anthropic can offer are left out and named."""

from __future__ import annotations

from typing import Any

import pytest

from ollama_proxy.errors import BadRequest
from tests.support.event_streams import messages_call, sent

SCHEMA = {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "properties": {"a": {}}}
TOOL = {"name": "f", "description": "It does.", "input_schema": SCHEMA, "cache_control": {"type": "ephemeral"}}
HUB_TOOL = {"type": "function", "function": {"name": "f", "description": "It does.", "parameters": SCHEMA}}
SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}


def hub(**fields: Any) -> dict[str, Any]:
    body = sent(messages_call(**fields)[0])
    del body["max_tokens"]
    return body


@pytest.mark.parametrize("kind", [{}, {"type": "custom"}, {"type": None}, {"type": ""}])
def test_a_custom_tool_keeps_its_schema(kind: dict[str, Any]) -> None:
    assert hub(tools=[{**TOOL, **kind}]) == {"tools": [HUB_TOOL]}


def test_strictness_is_passed_on() -> None:
    assert hub(tools=[{**TOOL, "strict": True}])["tools"][0]["function"]["strict"] is True


def test_tools_without_a_schema_are_left_out_and_named() -> None:
    bash = {"type": "bash_20250124", "name": "bash"}
    call, left_out = messages_call(tools=[SEARCH, TOOL, bash])
    assert call.body["tools"] == [HUB_TOOL]
    assert left_out == ["tools.web_search_20250305", "tools.bash_20250124"]


def test_without_any_tool_nothing_is_said_of_tools() -> None:
    choice = {"type": "auto", "disable_parallel_tool_use": True}
    assert hub(tools=[SEARCH], tool_choice=choice) == hub(tools=[], tool_choice=choice) == {}


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        ({"type": "auto"}, {"tool_choice": "auto"}),
        ({"type": "any"}, {"tool_choice": "required"}),
        ({"type": "none"}, {"tool_choice": "none"}),
        ({"type": "tool", "name": "f"}, {"tool_choice": {"type": "function", "function": {"name": "f"}}}),
        ({"type": "any", "disable_parallel_tool_use": True}, {"tool_choice": "required", "parallel_tool_calls": False}),
        ({"type": "auto", "disable_parallel_tool_use": False}, {"tool_choice": "auto"}),
    ],
)
def test_a_choice_is_passed_on(choice: dict[str, Any], told: dict[str, Any]) -> None:
    assert hub(tools=[TOOL], tool_choice=choice) == {"tools": [HUB_TOOL], **told}


def test_a_choice_of_a_tool_that_was_left_out_is_left_out_as_well() -> None:
    call, left_out = messages_call(tools=[TOOL, SEARCH], tool_choice={"type": "tool", "name": "web_search"})
    assert "tool_choice" not in call.body
    assert left_out == ["tools.web_search_20250305", "tool_choice"]


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": [{"name": "f"}]},
        {"tools": [{"input_schema": {}}]},
        {"tools": {}},
        {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "g"}},
        {"tools": [TOOL], "tool_choice": {"type": "maybe"}},
        {"tools": [TOOL], "tool_choice": "auto"},
    ],
)
def test_what_makes_no_sense_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(BadRequest, match=r"^tool"):
        messages_call(**fields)
