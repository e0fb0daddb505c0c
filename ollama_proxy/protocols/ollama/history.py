"""Owns which tool result answers which call in the history that a client sends. Knows no endpoint.

Ollama clients rarely name the call that a result belongs to (many send neither id nor name), while providers want
every call answered, by id, right behind the turn that made it. So a result is matched by id, else by name, else by
order since the last turn with calls; what matches nothing becomes text of the user; a call without a result gets a
placeholder. What clients send was seen on the wire in November 2026: ollama-python drops ids, LangChain.js and n8n
send results without id or name, LiteLLM up to 1.83 removes the calls and keeps the results.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Asked", "Conversation"]

Hub = dict[str, Any]

_NO_RESULT = "(the client sent no result for this call)"


@dataclass(slots=True)
class Asked:
    """One call in the history.

    given_id: the client's own id, "" if it sent none. hub: the call as it is sent on, under an id of its own.
    """

    given_id: str
    name: str
    hub: Hub
    answer: Hub | None = None


class Conversation:
    """The hub messages so far. An assistant turn with calls stays open until the next assistant turn."""

    __slots__ = ("_asked", "_later", "_messages", "_turn")

    def __init__(self) -> None:
        self._messages: list[Hub] = []
        self._turn: Hub | None = None
        self._asked: list[Asked] = []
        self._later: list[Hub] = []

    def add(self, message: Hub) -> None:
        """A message without calls that is no tool result."""
        if self._turn is None:
            self._messages.append(message)
        elif message["role"] == "assistant":
            self._settle()
            self._messages.append(message)
        else:
            # Results that come after it still belong right behind the open turn.
            self._later.append(message)

    def add_calls(self, message: Hub, asked: list[Asked]) -> None:
        """An assistant's message with calls."""
        if self._turn is not None and self._is_same_turn(message):
            text = (self._turn["content"] or "") + (message["content"] or "")
            message = {**message, **self._turn, "content": text or None}
        else:
            self._settle()
        self._turn = message
        used = {call.hub["id"] for call in self._asked}
        for call in asked:
            # LlamaIndex uses the function's name as id, so two calls of one function share it.
            if call.given_id and call.given_id not in used:
                call.hub["id"] = call.given_id
            used.add(call.hub["id"])
        self._asked += asked

    def add_result(self, text: str, images: list[Hub], call_id: str, name: str) -> None:
        """A tool's result; `call_id` and `name` are "" where the client sent none."""
        call = self._asked_for(call_id, name)
        if call is None:
            text = f"Result of the tool {name}:\n{text}" if name else f"Result of a tool:\n{text}"
            content = [{"type": "text", "text": text}, *images] if images else text
            self.add({"role": "user", "content": content})
            return
        if call_id and not call.given_id and all(other.hub["id"] != call_id for other in self._asked):
            call.hub["id"] = call_id
        call.answer = {"role": "tool", "tool_call_id": call.hub["id"], "content": text}
        if images:
            # Chat-completions take only text in a tool's message.
            self.add({"role": "user", "content": images})

    def finish(self) -> list[Hub]:
        """All messages, every call answered."""
        self._settle()
        return self._messages

    def _asked_for(self, call_id: str, name: str) -> Asked | None:
        waiting = [call for call in self._asked if call.answer is None]
        if call_id:
            for call in waiting:
                if call.given_id == call_id:
                    return call
            waiting = [call for call in waiting if not call.given_id]
        named = [call for call in waiting if name and call.name == name]
        return next(iter(named or waiting), None)

    def _is_same_turn(self, message: Hub) -> bool:
        """Whether the open turn goes on: some clients write down each streamed call as a message of its own."""
        assert self._turn is not None
        contents = (self._turn["content"], message["content"])
        return not (self._later or any(call.answer for call in self._asked) or any(type(c) is list for c in contents))

    def _settle(self) -> None:
        """Writes down the open turn: its message, an answer for each call, then what came in between."""
        if self._turn is None:
            return
        self._messages.append({**self._turn, "tool_calls": [call.hub for call in self._asked]})
        for call in self._asked:
            missing = {"role": "tool", "tool_call_id": call.hub["id"], "content": _NO_RESULT}
            self._messages.append(call.answer or missing)
        self._messages += self._later
        self._turn, self._asked, self._later = None, [], []
