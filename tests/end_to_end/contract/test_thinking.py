"""Reasoning: under whichever name and with whichever tags it comes, it is thinking and never content."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.contract import DEEP, World, chunk

ASK = {"model": DEEP, "messages": [{"role": "user", "content": "Why?"}]}
THOUGHTS = ["Let me ", "see."]
ANSWER = ["Be", "cause."]
#: The ways in which providers tell what a model thinks: deltas of a stream, then the message of a whole answer.
NAMES: dict[str, list[dict[str, Any]]] = {
    "reasoning_content": [{"reasoning_content": text} for text in THOUGHTS],
    "reasoning": [{"reasoning": text} for text in THOUGHTS],
    "both": [{"reasoning": text, "reasoning_content": text} for text in THOUGHTS],
}
#: Content with tags in it, cut anywhere.
TAGGED = {
    "whole": ["<think>Let me see.</think>", "Because."],
    "cut": ["<", "th", "ink>Let ", "me see.</", "thi", "nk>", "Be", "cause."],
    "with line breaks": ["<think>\n", "Let me see.\n", "</think>\n\n", "Because."],
    "letter by letter": list("<think>Let me see.</think>Because."),
}


def said(lines: list[dict[str, Any]]) -> tuple[str, str]:
    """(thinking, content) of a stream; what is thought comes first, and never beside content."""
    thinking = [line["message"].get("thinking", "") for line in lines]
    content = [line["message"]["content"] for line in lines]
    assert not any(a and b for a, b in zip(thinking, content, strict=True))
    last_thought = max((at for at, text in enumerate(thinking) if text), default=-1)
    assert not any(content[: last_thought + 1])
    assert all(text for line, text in zip(lines, thinking, strict=True) if "thinking" in line["message"])
    return "".join(thinking), "".join(content)


def whole(message: dict[str, Any]) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop"}
    return {"id": "up-1", "object": "chat.completion", "created": 7, "model": "up", "choices": [choice]}


@pytest.mark.parametrize("name", NAMES)
def test_reasoning_comes_first_in_lines_of_its_own(world: World, name: str) -> None:
    """C107 C108: under either name, and once where both carry it."""
    world.stream_with(*map(chunk, NAMES[name]), *(chunk({"content": text}) for text in ANSWER), chunk({}, "stop"))
    lines = world.post("/api/chat", ASK).lines
    assert said(lines) == ("Let me see.", "Because.")
    assert lines[0]["message"] == {"role": "assistant", "content": "", "thinking": "Let me "}


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_a_whole_answer_keeps_them_apart(world: World, name: str) -> None:
    """C109: all that was thought in `thinking`, the answer alone in `content`."""
    world.answer_with(whole({"content": "Because.", name: "Let me see."}))
    message = world.post("/api/chat", {**ASK, "stream": False}).json["message"]
    assert message == {"role": "assistant", "content": "Because.", "thinking": "Let me see."}


@pytest.mark.parametrize("pieces", TAGGED)
def test_tags_are_taken_out_wherever_they_are_cut(world: World, pieces: str) -> None:
    """C110: no part of a tag ever shows."""
    world.stream_with(*(chunk({"content": text}) for text in TAGGED[pieces]), chunk({}, "stop"))
    answer = world.post("/api/chat", ASK)
    thinking, content = said(answer.lines)
    assert (thinking.strip(), content.strip()) == ("Let me see.", "Because.")
    assert b"think>" not in answer.body


def test_tags_in_a_whole_answer_are_taken_out(world: World) -> None:
    """C110: the same in one piece."""
    world.answer_with(whole({"content": "<think>\nLet me see.\n</think>\n\nBecause."}))
    message = world.post("/api/chat", {**ASK, "stream": False}).json["message"]
    assert (message["thinking"].strip(), message["content"].strip()) == ("Let me see.", "Because.")


def test_a_tag_further_on_is_text(world: World) -> None:
    """C110: only what stands at the start was thought."""
    world.stream_with(chunk({"content": "Write <think> and </think>."}), chunk({}, "stop"))
    assert said(world.post("/api/chat", ASK).lines) == ("", "Write <think> and </think>.")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("path", ["/api/chat", "/api/generate"])
def test_who_wants_no_thinking_sees_none(world: World, path: str, name: str) -> None:
    """C111: no such key anywhere, streamed or not, though the provider sends it."""
    ask = {"model": DEEP, "prompt": "Why?"} if path == "/api/generate" else ASK
    world.stream_with(*map(chunk, NAMES[name]), chunk({"content": "Because."}), chunk({}, "stop"))
    streamed = world.post(path, {**ask, "think": False})
    world.fresh()
    names = dict.fromkeys(NAMES[name][0], "Let me see.")
    world.answer_with(whole({"content": "Because.", **names}))
    in_one = world.post(path, {**ask, "think": False, "stream": False})
    for answer in (streamed, in_one):
        assert answer.status == 200
        assert b"thinking" not in answer.body
        assert b"Let me" not in answer.body
        assert b"Because." in answer.body


def test_generate_tells_it_at_the_top(world: World) -> None:
    """C112: `thinking` beside an empty `response`, in every line; in a whole answer beside the text."""
    ask = {"model": DEEP, "prompt": "Why?"}
    world.stream_with(*map(chunk, NAMES["reasoning"]), chunk({"content": "Because."}), chunk({}, "stop"))
    lines = world.post("/api/generate", ask).lines
    assert [(line.get("thinking"), line["response"]) for line in lines] == [
        ("Let me ", ""),
        ("see.", ""),
        (None, "Because."),
        (None, ""),
    ]
    world.fresh()
    world.answer_with(whole({"content": "Because.", "reasoning": "Let me see."}))
    told = world.post("/api/generate", {**ask, "stream": False}).json
    assert (told["thinking"], told["response"]) == ("Let me see.", "Because.")
    assert json.dumps(list(told)).startswith('["model", "created_at", "response", "thinking", "done"')
