"""A tool's answers end up right behind the turn that asked for them."""

from __future__ import annotations

from typing import Any

from ollama_proxy.hub.turns import Turns


def user(text: str = "u") -> dict[str, Any]:
    return {"role": "user", "content": text}


def calling(*ids: str, text: str | None = None) -> dict[str, Any]:
    return {"role": "assistant", "content": text, "tool_calls": [{"id": one} for one in ids]}


def answer(call_id: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": "a"}


def told(*messages: dict[str, Any]) -> list[dict[str, Any]]:
    turns = Turns()
    turns.add(messages)
    return turns.finish()


def test_an_orderly_conversation_stays_as_it_is() -> None:
    messages = [user(), calling("1", "2"), answer("1"), answer("2"), {"role": "assistant", "content": "x"}, user()]
    assert told(*messages) == messages


def test_what_stands_between_a_call_and_its_answer_comes_after_it() -> None:
    system = {"role": "system", "content": "reminder"}
    assert told(calling("1", "2"), system, answer("1"), user(), answer("2")) == [
        calling("1", "2"),
        answer("1"),
        answer("2"),
        system,
        user(),
    ]


def test_one_turn_in_several_messages_is_one_turn() -> None:
    text = {"role": "assistant", "content": "I look.", "reasoning_content": "Hm."}
    later = {"role": "assistant", "content": "Both."}
    (turn,) = told(text, calling("1"), calling("2"), later)
    assert turn == {**calling("1", "2", text="I look.\n\nBoth."), "reasoning_content": "Hm."}


def test_a_new_turn_begins_after_an_answer() -> None:
    messages = [calling("1"), answer("1"), calling("2"), answer("2")]
    assert told(*messages) == messages


def test_texts_of_the_assistant_are_not_joined_without_need() -> None:
    messages = [{"role": "assistant", "content": "a"}, {"role": "assistant", "content": "b"}]
    assert told(*messages) == messages
