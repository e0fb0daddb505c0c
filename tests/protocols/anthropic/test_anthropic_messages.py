"""Messages and blocks of the Messages API become hub messages."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ollama_proxy.errors import BadRequest
from tests.support.event_streams import QUESTION, ask_messages, messages_call

USE = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"city": "서울"}}
CALL = {"id": "toolu_1", "type": "function", "function": {"name": "f", "arguments": '{"city":"서울"}'}}
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/webp", "data": "UklG"}}
IMAGE_PART = {"type": "image_url", "image_url": {"url": "data:image/webp;base64,UklG"}}


def text(said: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": said, **more}


def result(content: Any = "22 C", call_id: str = "toolu_1", **more: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": call_id, "content": content, **more}


def user(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def test_strings_and_blocks_of_text_are_text() -> None:
    cached = text("b", cache_control={"type": "ephemeral"})
    assert ask_messages(
        {"role": "user", "content": "안녕"}, assistant(text("a"), text("b")), user(text("a"), cached)
    ) == [
        {"role": "user", "content": "안녕"},
        {"role": "assistant", "content": "ab"},
        {"role": "user", "content": "a\nb"},
    ]


@pytest.mark.parametrize("system", ["Be brief.\nBe kind.", [text("Be brief."), text("Be kind.", cache_control={})]])
def test_the_system_prompt_comes_first(system: Any) -> None:
    assert ask_messages(QUESTION, system=system) == [{"role": "system", "content": "Be brief.\nBe kind."}, QUESTION]


def test_a_system_message_may_stand_in_the_middle() -> None:
    """Claude Code sends such."""
    messages = [QUESTION, {"role": "system", "content": "A skill was added."}]
    assert ask_messages(*messages) == messages


def test_images_become_parts_in_their_place() -> None:
    remote = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
    (message,) = ask_messages(user(text("What?"), IMAGE, remote))
    remote_part = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    assert message["content"] == [text("What?"), IMAGE_PART, remote_part]


def test_a_tool_round_trip_keeps_its_ids() -> None:
    """C215: tool results become tool messages, before the user's text of the same message."""
    assert ask_messages(QUESTION, assistant(text("I look."), USE), user(text("And?"), result())) == [
        QUESTION,
        {"role": "assistant", "content": "I look.", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "toolu_1", "content": "22 C"},
        {"role": "user", "content": "And?"},
    ]


def test_parallel_results_stand_side_by_side() -> None:
    second = {**USE, "id": "toolu_2"}
    pictured = result([text("a map"), IMAGE])
    hub = ask_messages(assistant(USE, second), user(pictured, result([text("a"), text("b")], "toolu_2")))
    assert [message["role"] for message in hub] == ["assistant", "tool", "tool", "user"]
    assert hub[0]["content"] is None
    assert hub[2] == {"role": "tool", "tool_call_id": "toolu_2", "content": "a\nb"}
    assert hub[3]["content"] == [IMAGE_PART]


def test_a_failed_tool_is_told_as_failed() -> None:
    (*_, answer) = ask_messages(assistant(USE), user(result("no such city", is_error=True)))
    assert answer["content"] == "Error: no such city"


def test_an_empty_result_is_still_an_answer() -> None:
    (_, answer) = ask_messages(assistant(USE), user({"type": "tool_result", "tool_use_id": "toolu_1"}))
    assert answer == {"role": "tool", "tool_call_id": "toolu_1", "content": ""}


def test_thoughts_of_earlier_turns_stay_here() -> None:
    thinking = {"type": "thinking", "thinking": "Hm.", "signature": ""}
    redacted = {"type": "redacted_thinking", "data": "x"}
    assert ask_messages(assistant(thinking, redacted, text("Hi"))) == [{"role": "assistant", "content": "Hi"}]
    assert ask_messages(QUESTION, assistant(thinking)) == [QUESTION]


def test_a_text_document_is_its_text() -> None:
    plain = {"type": "document", "title": "Notes", "source": {"type": "text", "media_type": "text/plain", "data": "x"}}
    nested = {"type": "document", "source": {"type": "content", "content": [text("y")]}}
    found = {"type": "search_result", "title": "T", "source": "https://e.org", "content": [text("z")]}
    assert ask_messages(user(plain, nested, found))[0]["content"] == "Notes\nx\ny\nT\nhttps://e.org\nz"


def test_a_document_that_cannot_go_is_owned_up_to() -> None:
    """The model reads that something is missing, and the client is told."""
    pdf = {"type": "document", "title": "a.pdf", "source": {"type": "base64", "data": "JVBE"}}
    call, left_out = messages_call(messages=[user(pdf, text("Sum it up"))])
    assert "a.pdf" in call.body["messages"][0]["content"]
    assert left_out == ["content.document"]


def test_unknown_blocks_are_skipped_and_named() -> None:
    searched = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
    call, left_out = messages_call(messages=[user(searched, {"type": "novel"}, text("hi"))])
    assert call.body["messages"] == [QUESTION]
    assert left_out == ["content.server_tool_use", "content.novel"]


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (assistant({"type": "tool_use", "name": "f"}), "tool_use block missing required 'id' field"),
        (assistant({"type": "tool_use", "id": "1"}), "tool_use block missing required 'name' field"),
        (user({"type": "tool_result"}), "tool_result block missing required 'tool_use_id' field"),
        (user({"type": "image", "source": {"type": "file"}}), "invalid image source type: file"),
        (user({"type": "image"}), "invalid image source"),
        (user({"type": "image", "source": {"type": "base64"}}), "invalid image source"),
        (user({"type": "text"}), r"messages\.0\.content\.0\.text"),
        ({"role": "user", "content": 1}, r"messages\.0\.content: must be a string or a list"),
        ({"role": "user", "content": [1]}, r"messages\.0\.content\.0"),
        ({"role": "boss", "content": "x"}, r"messages\.0\.role"),
    ],
)
def test_what_is_wrong_is_named(message: dict[str, Any], words: str) -> None:
    with pytest.raises(BadRequest, match=f"^{words}"):
        ask_messages(message)


def test_the_order_of_arguments_is_kept() -> None:
    (message,) = ask_messages(assistant({**USE, "input": {"z": 1, "a": [2.5, None]}}))
    assert json.loads(message["tool_calls"][0]["function"]["arguments"]) == {"z": 1, "a": [2.5, None]}
    assert message["tool_calls"][0]["function"]["arguments"].index("z") < 3
