"""Owns the order of hub messages: a tool's answers stand right behind the turn that asked for them.

Clients of other protocols put something in between (a reminder, the user's text, the image that a tool returned) or
tell one turn of the assistant in several messages. Which answer belongs to which call is the providers' business.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

__all__ = ["Message", "Turns"]

Message = dict[str, Any]


class Turns:
    """Hub messages in the making. A turn with calls stays open until the assistant's next one."""

    __slots__ = ("_answered", "_later", "_messages", "_open")

    def __init__(self) -> None:
        self._messages: list[Message] = []
        self._open: Message | None = None
        self._answered = False
        self._later: list[Message] = []

    def add(self, messages: Iterable[Message]) -> None:
        """Messages in the order in which the client told them."""
        for message in messages:
            self._add(message)

    def finish(self) -> list[Message]:
        """All messages."""
        self._settle()
        return self._messages

    def _add(self, message: Message) -> None:
        role = message["role"]
        if self._open is not None and role != "assistant":
            if role == "tool":
                self._answered = True
                self._messages.append(message)
            else:
                self._later.append(message)
            return
        if role == "assistant" and self._goes_on(message):
            message = _joined(self._messages.pop(), message)
        else:
            self._settle()
        self._messages.append(message)
        if message.get("tool_calls"):
            self._open = message

    def _goes_on(self, message: Message) -> bool:
        """Whether this is the rest of the turn that was just told."""
        last = self._messages[-1] if self._messages else None
        if last is None or last["role"] != "assistant" or self._answered or self._later:
            return False
        return bool(last.get("tool_calls") or message.get("tool_calls"))

    def _settle(self) -> None:
        self._messages += self._later
        self._open, self._answered, self._later = None, False, []


def _joined(first: Message, second: Message) -> Message:
    texts = [text for text in (first.get("content"), second.get("content")) if text]
    message: Message = {"role": "assistant", "content": "\n\n".join(texts) or None}
    thoughts = "".join(part.get("reasoning_content", "") for part in (first, second))
    if thoughts:
        message["reasoning_content"] = thoughts
    message["tool_calls"] = [*first.get("tool_calls", ()), *second.get("tool_calls", ())]
    return message
