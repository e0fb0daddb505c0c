"""A body of the Responses API becomes a hub request."""

from __future__ import annotations

from typing import Any

import pytest

from ollama_proxy.errors import BadRequest
from ollama_proxy.protocols import responses
from ollama_proxy.types import Capability, Operation
from tests.support.event_streams import responses_call, sent
from tests.support.openai_kit import StillClock, dumps

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
TOOL = {"type": "function", "name": "f", "description": "It does.", "strict": False, "parameters": SCHEMA}
HUB_TOOL = {"type": "function", "function": {"name": "f", "description": "It does.", "parameters": SCHEMA}}
OTHER = {"type": "function", "name": "g", "parameters": None, "strict": True}


def hub(**fields: Any) -> dict[str, Any]:
    return sent(responses_call(**fields)[0])


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"model": None}, "model is required"),
        ({"input": None}, "input: must be a string or a list of items"),
        ({"input": []}, "input is required"),
        ({"input": {}}, "input: must be a string or a list of items"),
    ],
)
def test_what_is_required_is_asked_for(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(BadRequest) as caught:
        responses_call(**fields)
    assert caught.value.message == words


def test_parameters_reach_the_hub_under_its_names() -> None:
    call, left_out = responses_call(
        temperature=0.5,
        top_p=0.9,
        max_output_tokens=7,
        include=["reasoning.encrypted_content"],
        prompt_cache_key="k",
        client_metadata={"a": "b"},
        store=False,
        novel=1,
    )
    assert sent(call) == {"temperature": 0.5, "top_p": 0.9, "max_tokens": 7}
    assert (call.operation, call.model, call.stream, left_out) == (Operation.CHAT, "google:gemini", False, [])


def test_nothing_is_said_that_was_not_asked_for() -> None:
    assert hub() == {}
    assert responses_call()[0].needs == set()


def test_a_stream_asks_for_its_usage() -> None:
    assert hub(stream=True) == {"stream_options": {"include_usage": True}}


@pytest.mark.parametrize("name", ["previous_response_id", "conversation", "prompt"])
def test_what_would_have_been_stored_is_named_as_left_out(name: str) -> None:
    assert responses_call(**{name: "resp_1"})[1] == [name]


@pytest.mark.parametrize(
    ("reasoning", "told"),
    [
        ({"effort": "low"}, {"reasoning_effort": "low"}),
        ({"effort": "none", "summary": "auto"}, {"reasoning_effort": "none"}),
        ({"effort": "high", "summary": "auto"}, {"reasoning_effort": "high", "think": "high"}),
        ({"summary": "auto"}, {"think": True}),
        ({}, {}),
    ],
)
def test_reasoning_is_an_effort_and_a_wish_to_see_it(reasoning: dict[str, Any], told: dict[str, Any]) -> None:
    assert hub(reasoning=reasoning) == told


def test_the_form_of_the_answer_is_passed_on() -> None:
    named = {"type": "json_schema", "name": "answer", "strict": True, "schema": SCHEMA}
    told = {"name": "answer", "schema": SCHEMA, "strict": True}
    assert hub(text={"format": named}) == {"response_format": {"type": "json_schema", "json_schema": told}}
    assert hub(text={"format": {"type": "json_object"}}) == {"response_format": {"type": "json_object"}}
    assert hub(text={"format": {"type": "text"}, "verbosity": "medium"}) == {}
    assert responses_call(text={"verbosity": "low"})[1] == ["text.verbosity"]
    with pytest.raises(BadRequest, match=r"text\.format"):
        hub(text={"format": {"type": "xml"}})


def test_functions_are_passed_on() -> None:
    call, left_out = responses_call(tools=[TOOL, OTHER])
    empty = {"name": "g", "parameters": {"type": "object", "properties": {}}, "strict": True}
    assert sent(call) == {"tools": [HUB_TOOL, {"type": "function", "function": empty}]}
    assert call.needs == {Capability.TOOLS}
    assert left_out == []


def test_members_of_a_namespace_carry_its_name() -> None:
    members = [TOOL, {"type": "custom", "name": "patch"}, {"type": "web_search"}]
    call, left_out = responses_call(tools=[{"type": "namespace", "name": "maps", "description": "d", "tools": members}])
    assert [tool["function"]["name"] for tool in call.body["tools"]] == ["maps__f", "maps__patch"]
    assert left_out == ["tools.web_search"]


def test_a_tool_for_free_text_is_a_function_of_one_text() -> None:
    """C208: it may be the one to choose, and one of those that are allowed."""
    patch = {"type": "custom", "name": "patch", "description": "Changes files.", "format": {"type": "text"}}
    call, left_out = responses_call(tools=[TOOL, patch], tool_choice={"type": "custom", "name": "patch"})
    told = call.body["tools"][1]["function"]
    assert (told["name"], told["description"]) == ("patch", "Changes files.")
    assert (list(told["parameters"]["properties"]), told["parameters"]["required"]) == (["input"], ["input"])
    assert told["parameters"]["properties"]["input"]["type"] == "string"
    assert call.body["tool_choice"] == {"type": "function", "function": {"name": "patch"}}
    assert left_out == []
    allowed = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "custom", "name": "patch"}]}
    assert hub(tools=[TOOL, patch], tool_choice=allowed)["tools"] == call.body["tools"][1:]


def test_tools_of_openais_servers_are_left_out_and_named() -> None:
    call, left_out = responses_call(tools=[{"type": "web_search"}, TOOL, {"type": "mcp", "server_url": "https://e"}])
    assert call.body["tools"] == [HUB_TOOL]
    assert left_out == ["tools.web_search", "tools.mcp"]
    assert hub(tools=[{"type": "web_search"}], tool_choice="auto", parallel_tool_calls=True) == {}


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        ("auto", "auto"),
        ("required", "required"),
        ("none", "none"),
        ({"type": "function", "name": "g"}, {"type": "function", "function": {"name": "g"}}),
    ],
)
def test_a_choice_is_passed_on(choice: Any, told: Any) -> None:
    body = hub(tools=[TOOL, OTHER], tool_choice=choice, parallel_tool_calls=False)
    assert (body["tool_choice"], body["parallel_tool_calls"]) == (told, False)


def test_allowed_tools_are_the_only_ones_that_go() -> None:
    def allowed(*names: str, mode: str = "auto") -> dict[str, Any]:
        listed = [{"type": "function", "name": name} for name in names]
        return hub(tools=[TOOL, OTHER], tool_choice={"type": "allowed_tools", "mode": mode, "tools": listed})

    assert allowed("f", mode="required") == {"tools": [HUB_TOOL], "tool_choice": "required"}
    assert allowed("f")["tool_choice"] == "auto"
    assert allowed()["tool_choice"] == "none"


def test_a_choice_that_cannot_be_made_is_named() -> None:
    assert responses_call(tools=[TOOL], tool_choice={"type": "web_search"})[1] == ["tool_choice"]


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": [{"type": "function"}]},
        {"tools": {}},
        {"tools": [TOOL], "tool_choice": "maybe"},
        {"tools": [TOOL], "tool_choice": 1},
        {"tools": [TOOL], "tool_choice": {"type": "function", "name": "nope"}},
    ],
)
def test_what_makes_no_sense_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(BadRequest, match=r"^tool"):
        responses_call(**fields)


def test_a_repetition_by_the_sdk_is_seen() -> None:
    headers = {b"x-stainless-retry-count": b"1"}
    call, _ = responses.parse_responses(dumps({"model": "m", "input": "hi"}), headers, StillClock())
    assert call.sdk_retry
