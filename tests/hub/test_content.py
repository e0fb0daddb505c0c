"""Content is plain text where it can be, and a tool's answer always is."""

from __future__ import annotations

import pytest

from ollama_proxy.hub.content import content_of, image_part, text_part, tool_messages

IMAGE = image_part("data:image/png;base64,AA==")


def test_texts_are_joined_and_images_keep_their_place() -> None:
    assert content_of([text_part("a"), text_part("b")]) == "a\nb"
    assert content_of([text_part("a"), text_part("b")], "") == "ab"
    assert content_of([text_part("a"), IMAGE]) == [text_part("a"), IMAGE]


def test_a_tools_image_follows_in_a_message_of_the_user() -> None:
    first, second = tool_messages("c1", [text_part("a"), IMAGE, text_part("b")])
    assert first == {"role": "tool", "tool_call_id": "c1", "content": "a\nb"}
    assert second == {"role": "user", "content": [IMAGE]}


def test_an_answer_that_is_only_an_image_says_so() -> None:
    assert "image" in tool_messages("c1", [IMAGE])[0]["content"]


@pytest.mark.parametrize(
    ("text", "told"),
    [("no such file", "Error: no such file"), ("<tool_use_error>x", "<tool_use_error>x"), ("", "Error: ")],
)
def test_a_failed_call_is_told_as_one(text: str, told: str) -> None:
    assert tool_messages("c1", [text_part(text)], failed=True)[0]["content"] == told
