"""Owns that every tool call in a conversation has exactly one answer, right behind its turn. Knows no provider.

Clients lose ids, answers or calls on the way (some Ollama clients send neither id nor name with a tool's answer);
providers refuse a conversation in which the two do not fit. An answer belongs to the open call with its id, else with
its name, else to the first open call. An answer without a call becomes the user's text, a call without an answer gets
a short one.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, TypeAlias

__all__ = ["NO_ANSWER", "Message", "pair", "text_of"]

Message: TypeAlias = dict[str, Any]

NO_ANSWER = "(no result)"


@dataclass(slots=True)
class _Open:
    """One call that waits for its answer: the id it came with, the id it goes with, its function's name."""

    asked: str
    id: str
    name: str


def pair(messages: list[Message], *, named: bool = False) -> list[Message]:
    """The conversation with calls and answers paired; messages that need no change are the same objects.

    named: answers are given the name of the function that was called.
    """
    return _Pairing(named=named).run(messages)


def text_of(content: object) -> str:
    """The text of a message's content: a string, or the text parts of a list."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(p["text"] for p in content if isinstance(p, dict) and isinstance(p.get("text"), str))
    return ""


class _Pairing:
    def __init__(self, *, named: bool) -> None:
        self.named = named
        self.out: list[Message] = []
        self.open: list[_Open] = []
        self.strays: list[Message] = []
        self.used: set[str] = set()

    def run(self, messages: list[Message]) -> list[Message]:
        for message in messages:
            if message.get("role") == "tool":
                self._answer(message)
            else:
                self._close()
                self.out.append(self._calls(message) if message.get("tool_calls") else message)
        self._close()
        return self.out

    def _calls(self, message: Message) -> Message:
        """The assistant's turn with ids that are there and not used twice."""
        calls = []
        for index, call in enumerate(message["tool_calls"]):
            asked = call.get("id") if isinstance(call.get("id"), str) else ""
            function = call.get("function")
            name = str(function.get("name") or "") if isinstance(function, dict) else ""
            fresh = asked if asked and asked not in self.used else self._invent(asked, name, index)
            self.used.add(fresh)
            self.open.append(_Open(asked or "", fresh, name))
            calls.append(call if call.get("id") == fresh else {**call, "id": fresh})
        unchanged = all(new is old for new, old in zip(calls, message["tool_calls"], strict=True))
        return message if unchanged else {**message, "tool_calls": calls}

    def _invent(self, asked: str, name: str, index: int) -> str:
        """The same id for the same place in the same conversation: the next request repeats it."""
        place = f"{asked}\0{name}\0{index}\0{len(self.out)}"
        return "call_" + hashlib.sha256(place.encode("utf-8", "replace")).hexdigest()[:16]

    def _answer(self, message: Message) -> None:
        call = self._match(message)
        if call is None:
            self.strays.append(_as_user(message))
            return
        self.open.remove(call)
        if message.get("tool_call_id") != call.id:
            message = {**message, "tool_call_id": call.id}
        if self.named and call.name and message.get("name") != call.name:
            message = {**message, "name": call.name}
        self.out.append(message)

    def _match(self, message: Message) -> _Open | None:
        asked = message.get("tool_call_id")
        if asked and isinstance(asked, str):
            for call in self.open:
                if call.asked == asked:
                    return call
            if asked in self.used:
                return None
        name = message.get("name")
        return next((call for call in self.open if name and call.name == name), self.open[0] if self.open else None)

    def _close(self) -> None:
        self.out.extend({"role": "tool", "tool_call_id": call.id, "content": NO_ANSWER} for call in self.open)
        self.out.extend(self.strays)
        self.open.clear()
        self.strays.clear()


def _as_user(message: Message) -> Message:
    name = message.get("name")
    said = text_of(message.get("content"))
    return {"role": "user", "content": f"Result of {name}: {said}" if name else f"Result of a tool: {said}"}
