"""A whole answer in the Responses API's shape."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from openai.types.responses import Response

from ollama_proxy.errors import KeysResting, UpstreamJunk
from tests.support.event_streams import responses_call
from tests.support.openai_kit import dumps

CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
#: In the order in which Ollama sends them.
FIELDS = (
    "id object created_at completed_at status incomplete_details model previous_response_id instructions output error "
    "tools tool_choice truncation parallel_tool_calls text top_p presence_penalty frequency_penalty top_logprobs "
    "temperature reasoning usage max_output_tokens max_tool_calls store background service_tier metadata "
    "safety_identifier prompt_cache_key"
)


def answer(message: dict[str, Any], finish: str = "stop", *, ask: dict[str, Any] | None = None, **more: Any) -> Any:
    call, _ = responses_call(**(ask or {}))
    reply = dumps({"choices": [{"index": 0, "message": message, "finish_reason": finish}], **more})
    return json.loads(call.face.render_answer(reply))


def test_a_response_has_all_its_fields() -> None:
    """C206: status completed, one message with one text."""
    told = answer({"content": "안녕"})
    assert list(told) == FIELDS.split()
    assert re.fullmatch("resp_[0-9a-f]{24}", told["id"])
    assert (told["object"], told["status"], told["model"]) == ("response", "completed", "google:gemini")
    assert (told["created_at"], told["completed_at"]) == (1_800_000_000, 1_800_000_000)
    (message,) = told["output"]
    assert re.fullmatch("msg_[0-9a-f]{24}", message.pop("id"))
    assert message == {
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": [{"type": "output_text", "text": "안녕", "annotations": [], "logprobs": []}],
    }


def test_the_sdk_takes_it_word_for_word() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 2}
    told = answer({"content": "x", "reasoning": "y", "tool_calls": [CALL]}, "tool_calls", usage=usage)
    assert Response.model_validate(told, strict=False).output_text == "x"


def test_what_was_asked_for_is_repeated() -> None:
    """C209."""
    asked: dict[str, Any] = {
        "instructions": "Be brief.",
        "tools": [{"type": "function", "name": "f", "parameters": {}, "strict": False}, {"type": "web_search"}],
        "tool_choice": "required",
        "parallel_tool_calls": False,
        "temperature": 0.3,
        "top_p": 0.8,
        "truncation": "auto",
        "max_output_tokens": 9,
        "reasoning": {"effort": "low", "summary": None},
        "metadata": {"a": "b"},
        "background": True,
        "text": {"format": {"type": "json_object"}},
    }
    told = answer({"content": "x"}, ask={**asked, "store": True, "previous_response_id": "resp_1"})
    assert {name: told[name] for name in asked} == asked
    assert (told["store"], told["previous_response_id"]) == (False, None)


def test_what_was_not_asked_for_has_the_apis_own_value() -> None:
    told = answer({"content": "x"})
    values: tuple[Any, ...] = ("auto", "disabled", True, 1, 1, None, {}, [], {"format": {"type": "text"}})
    names = "tool_choice truncation parallel_tool_calls top_p temperature reasoning metadata tools text"
    assert tuple(told[name] for name in names.split()) == values


def test_items_come_in_their_order() -> None:
    """C208: reasoning, text and calls are items of their own; none drops another."""
    told = answer({"content": "I look.", "reasoning_content": "Hm.", "tool_calls": [CALL]}, "tool_calls")["output"]
    reasoning, message, call = told
    assert reasoning.pop("id").startswith("rs_")
    assert reasoning == {
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "Hm."}],
        "encrypted_content": "Hm.",
    }
    assert message["content"][0]["text"] == "I look."
    assert call.pop("id").startswith("fc_")
    assert call == {
        "type": "function_call",
        "status": "completed",
        "call_id": "c1",
        "name": "f",
        "arguments": '{"a":1}',
    }


def test_a_call_without_text_stands_alone() -> None:
    assert [item["type"] for item in answer({"tool_calls": [CALL]}, "tool_calls")["output"]] == ["function_call"]


def test_a_function_gets_its_namespace_back() -> None:
    tool = {"type": "namespace", "name": "maps", "tools": [{"type": "function", "name": "f", "parameters": {}}]}
    named = {"id": "c1", "function": {"name": "maps__f", "arguments": ""}}
    (call,) = answer({"tool_calls": [named]}, "tool_calls", ask={"tools": [tool]})["output"]
    assert (call["namespace"], call["name"], call["arguments"]) == ("maps", "f", "{}")


@pytest.mark.parametrize(("finish", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")])
def test_a_cut_answer_is_incomplete(finish: str, reason: str) -> None:
    told = answer({"content": "x"}, finish)
    assert (told["status"], told["incomplete_details"], told["completed_at"]) == (
        "incomplete",
        {"reason": reason},
        None,
    )
    assert told["output"][0]["status"] == "incomplete"


def test_an_empty_answer_is_an_empty_message() -> None:
    assert answer({"content": None}, "length")["output"][0]["content"][0]["text"] == ""


def test_tokens_are_told_as_reported_or_not_at_all() -> None:
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 9,
        "prompt_tokens_details": {"cached_tokens": 80},
        "completion_tokens_details": {"reasoning_tokens": 5},
    }
    assert answer({"content": "x"}, usage=usage)["usage"] == {
        "input_tokens": 100,
        "input_tokens_details": {"cached_tokens": 80, "cache_write_tokens": 0},
        "output_tokens": 9,
        "output_tokens_details": {"reasoning_tokens": 5},
        "total_tokens": 109,
    }
    assert answer({"content": "x"})["usage"] is None


def test_errors_are_told_as_everywhere_at_openai() -> None:
    face = responses_call()[0].face
    status, headers, body = face.render_error(KeysResting("wait", retry_after_s=3))
    assert (status, json.loads(body)["error"]["type"]) == (429, "rate_limit_error")
    assert (b"retry-after", b"3") in headers
    with pytest.raises(UpstreamJunk):
        face.render_answer(b"<html>")
