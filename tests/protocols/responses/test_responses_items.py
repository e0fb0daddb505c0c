"""Input items of the Responses API become hub messages."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ollama_proxy.errors import BadRequest
from tests.support.event_streams import ask_responses

CALL = {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": '{"city":"서울"}'}
HUB_CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"city":"서울"}'}}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "22 C"}
HUB_OUTPUT = {"role": "tool", "tool_call_id": "c1", "content": "22 C"}
ASKED = {"role": "user", "content": "hi"}


def said(role: str, *parts: dict[str, Any]) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": list(parts)}


def text(words: str, kind: str = "input_text") -> dict[str, Any]:
    return {"type": kind, "text": words}


def test_a_string_is_what_the_user_says() -> None:
    assert ask_responses("안녕") == [{"role": "user", "content": "안녕"}]


def test_instructions_come_first() -> None:
    assert ask_responses("hi", instructions="Be brief.") == [{"role": "system", "content": "Be brief."}, ASKED]


def test_messages_of_every_role_are_text() -> None:
    assert ask_responses(
        [
            said("developer", text("Be kind.")),
            said("system", text("Be brief.")),
            said("user", text("a"), text("b")),
            said("assistant", text("c", "output_text"), {"type": "refusal", "refusal": "d"}),
            {"role": "user", "content": "hi"},
        ]
    ) == [
        {"role": "developer", "content": "Be kind."},
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "a\nb"},
        {"role": "assistant", "content": "cd"},
        ASKED,
    ]


def test_images_become_parts_in_their_place() -> None:
    image = {"type": "input_image", "image_url": "data:image/png;base64,iVBO", "detail": "high"}
    (message,) = ask_responses([said("user", text("What?"), image)])
    assert message["content"] == [
        {"type": "text", "text": "What?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO", "detail": "high"}},
    ]


def test_a_tool_round_trip_keeps_its_ids() -> None:
    """C208."""
    assert ask_responses([ASKED, CALL, OUTPUT]) == [
        ASKED,
        {"role": "assistant", "content": None, "tool_calls": [HUB_CALL]},
        HUB_OUTPUT,
    ]


def test_parallel_calls_are_one_turn_with_its_text_and_thoughts() -> None:
    reasoning = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}]}
    second = {**CALL, "call_id": "c2", "arguments": ""}
    third = {**OUTPUT, "call_id": "c2", "output": [text("a"), text("b")]}
    turn, *answers = ask_responses([reasoning, said("assistant", text("I look.")), CALL, second, third, OUTPUT])
    other = {"id": "c2", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    assert turn == {
        "role": "assistant",
        "content": "I look.",
        "reasoning_content": "Hm.",
        "tool_calls": [HUB_CALL, other],
    }
    assert answers == [{"role": "tool", "tool_call_id": "c2", "content": "a\nb"}, HUB_OUTPUT]


def test_an_image_from_a_tool_follows_its_answer() -> None:
    image = {"type": "input_image", "image_url": "data:image/png;base64,iVBO"}
    (*_, answer, picture) = ask_responses([CALL, {**OUTPUT, "output": [image]}])
    assert answer["role"] == "tool"
    assert picture["role"] == "user"
    assert picture["content"][0]["type"] == "image_url"


def test_a_call_within_a_namespace_has_a_name_that_providers_take() -> None:
    (turn, _) = ask_responses([{**CALL, "namespace": "mcp__maps"}, OUTPUT])
    assert turn["tool_calls"][0]["function"]["name"] == "mcp__maps__f"


def test_a_call_with_free_text_goes_back_as_a_function_call() -> None:
    """C208: whatever its text holds; so does the name of its namespace."""
    call = {"type": "custom_tool_call", "call_id": "c1", "name": "patch", "input": "*** Begin"}
    turn, answer = ask_responses([call, {**OUTPUT, "type": "custom_tool_call_output"}])
    assert turn["tool_calls"][0]["function"] == {"name": "patch", "arguments": '{"input":"*** Begin"}'}
    assert answer == HUB_OUTPUT
    (turn,) = ask_responses([{**call, "namespace": "files", "input": '"\\n\u2028서울'}])
    (function,) = [called["function"] for called in turn["tool_calls"]]
    assert function["name"] == "files__patch"
    assert json.loads(function["arguments"]) == {"input": '"\\n\u2028서울'}


@pytest.mark.parametrize(
    ("item", "thoughts"),
    [
        ({"summary": [], "encrypted_content": "Plain words."}, "Plain words."),
        ({"summary": [], "encrypted_content": "gAAAAABo"}, None),
        ({"summary": [], "content": [{"type": "reasoning_text", "text": "Raw."}]}, "Raw."),
        ({}, None),
    ],
)
def test_thoughts_go_back_where_they_can_be_read(item: dict[str, Any], thoughts: str | None) -> None:
    (message,) = ask_responses([{"type": "reasoning", **item}, said("assistant", text("Hi", "output_text"))])
    assert message.get("reasoning_content") == thoughts


def test_thoughts_that_led_to_nothing_are_forgotten() -> None:
    reasoning = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]}
    assert ask_responses([reasoning, ASKED, {"role": "assistant", "content": "x"}]) == [
        ASKED,
        {"role": "assistant", "content": "x"},
    ]


def test_searches_of_earlier_turns_are_skipped() -> None:
    assert ask_responses([{"type": "web_search_call", "id": "ws", "status": "completed"}, ASKED]) == [ASKED]


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ({"type": "novel"}, r'input\[0\]: unknown input item type: "novel"'),
        ({}, r"input\[0\]: input item missing required 'type' field"),
        ({"type": "item_reference", "id": "msg_1"}, r"input\[0\]: an item_reference needs stored responses"),
        ({"role": "boss", "content": "x"}, r"input\[0\]\.role"),
        (said("user", {"type": "input_file", "file_id": "f"}), "file inputs are not currently supported"),
        (said("user", {"type": "novel"}), r"input\[0\]\.content\[0\]: unknown content type: novel"),
        (said("user", {"type": "input_image", "file_id": "f"}), r"input\[0\]\.content\[0\]: an image needs"),
        (said("user", {"type": "input_text"}), r"input\[0\]\.content\[0\]\.text"),
        ({**CALL, "name": ""}, r"input\[0\]: function_call missing required 'name' field"),
        ({**OUTPUT, "call_id": None}, r"input\[0\]: function_call_output missing required 'call_id' field"),
        ("hi", r"input\[0\]: must be an item"),
    ],
)
def test_what_is_wrong_is_named(item: Any, words: str) -> None:
    """C211."""
    with pytest.raises(BadRequest, match=f"^{words}"):
        ask_responses([item])
