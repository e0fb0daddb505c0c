"""Owns the smallest repairs of what breaks OpenAI's own schema. Everything else passes as it came.

Clients on the official SDKs crash or lose data without them: the Python accumulator needs `index` on tool deltas, every
tool loop needs an id and arguments as text, and most stop looking for calls when the finish_reason is `stop`
(openai-python 3.54 and openai-node 6.49, seen on the wire 2026-11).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ollama_proxy.errors import ErrorInside, UpstreamJunk
from ollama_proxy.hub.budget import Budget
from ollama_proxy.hub.calls import CallAssembler, arguments_text
from ollama_proxy.hub.chunk import Delta, text_of, thinking_of
from ollama_proxy.hub.finish import ERROR, MALFORMED, OPENAI_REASONS, map_finish
from ollama_proxy.hub.ids import make_call_id

__all__ = ["CallRepair", "flatten_content", "repair_reason"]


def repair_reason(reason: Any, payload: bytes, *, calls: bool, empty: bool) -> Any:
    """The finish_reason as OpenAI's schema knows it; the same object when nothing is wrong with it.

    calls: tool calls were made. empty: nothing else was said.
    Raises: ErrorInside for `error`; UpstreamJunk where an unreadable tool call is all that came.
    """
    if not isinstance(reason, str):
        return reason
    if reason in OPENAI_REASONS:
        return "tool_calls" if calls and reason == "stop" else reason
    meaning = map_finish(reason)
    if meaning == ERROR:
        raise ErrorInside(payload)
    if meaning == MALFORMED:
        if empty:
            raise UpstreamJunk("The model wrote a tool call that cannot be read. Please try again.")
        meaning = "stop"
    return "tool_calls" if calls and meaning == "stop" else meaning


def flatten_content(message: dict[str, Any]) -> bool:
    """Makes text of content that is a list of parts, in place; whether that was needed.

    Mistral's reasoning models answer so (Mistral docs, "Reasoning", read 2026-11). The thinking parts move to
    `reasoning_content`, the name that most clients look for.
    """
    content = message.get("content")
    if not isinstance(content, list):
        return False
    parts = Delta(content=content)
    message["content"] = text_of(parts)
    thinking = thinking_of(parts)
    if thinking and not message.get("reasoning_content"):
        message["reasoning_content"] = thinking
    return True


class CallRepair:
    """The tool calls of one choice, mended in place, delta by delta or all at once."""

    __slots__ = ("_assembler", "_named", "_rnd", "made")

    def __init__(self, rnd: Callable[[], float], budget: Budget) -> None:
        """budget: what the whole answer, with all its choices, may make us keep."""
        self._rnd = rnd
        self._assembler = CallAssembler(budget)
        self._named: set[int] = set()  # positions of the calls whose name was told
        #: Whether any call was made.
        self.made = False

    def mend(self, message: dict[str, Any], *, whole: bool) -> bool:
        """Mends `tool_calls` or `function_call` of a delta or message; whether anything had to change.

        whole: the calls of a whole message need no index, deltas do.
        """
        parts = message.get("tool_calls")
        if isinstance(parts, list):
            changes = [self._mend_part(part, whole=whole) for part in parts if isinstance(part, dict)]
            return any(changes)
        legacy = message.get("function_call")
        return _mend_arguments(legacy) if isinstance(legacy, dict) else False

    def _mend_part(self, part: dict[str, Any], *, whole: bool) -> bool:
        placed = self._assembler.add(part, whole=whole)
        if placed is None:
            return False
        self.made = True
        position, new = placed
        function = part.get("function")
        if not isinstance(function, dict):
            function = {}
        changed = _mend_arguments(function)
        if not whole and part.get("index") != position:
            part["index"] = position
            changed = True
        if new:
            changed = self._mend_head(part, position) or changed
        elif part.get("id"):
            del part["id"]
            changed = True
        if function.get("name"):
            # The official accumulator adds names and ids up, so a name told twice would read "tidetide".
            if position in self._named:
                del function["name"]
                changed = True
            self._named.add(position)
        return changed

    def _mend_head(self, part: dict[str, Any], position: int) -> bool:
        """The first delta of a call needs an id and a type."""
        changed = False
        if not self._assembler.id_of(position):
            part["id"] = self._make_id(position)
            changed = True
        if not part.get("type"):
            part["type"] = "function"
            changed = True
        return changed

    def _make_id(self, position: int) -> str:
        call_id = make_call_id(self._rnd())
        while not self._assembler.set_id(position, call_id):
            call_id += "x"
        return call_id


def _mend_arguments(function: dict[str, Any]) -> bool:
    arguments = function.get("arguments")
    if arguments is None or isinstance(arguments, str):
        return False
    function["arguments"] = arguments_text(arguments)
    return True
