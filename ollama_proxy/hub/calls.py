"""Owns how tool calls are put together from an answer or from the deltas of a stream. Knows no client protocol.

OpenAI's rule (deltas belong together by `index`) holds only where providers keep it. What was seen instead:
- Gemini's OpenAI-compatible endpoint sends whole calls without `index`, or with index 0 for all, with an empty id, or
  one call per chunk (Google AI developer forum and client issue trackers, read 2026-11).
- Mistral leaves out `type`, and `index` in older captures; hosted third-party models send the id first, the name later.
- DashScope and OpenRouter repeat `id` and `name` as "" or null in continuations.
- vLLM's first delta of a call has no `arguments`; some servers send arguments as an object.

So: a known id means the same call; a new id, or a name without an id, means a new call; a delta with neither continues
the latest call at its index, or the latest of all. The exceptions stand beside the code.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ollama_proxy.hub.budget import ITEM, Budget

__all__ = ["CallAssembler", "ToolCall", "arguments_text"]

_CALL_KEYS = frozenset({"id", "type", "index", "function"})


@dataclass(slots=True)
class ToolCall:
    """One call that the model wants made.

    id: the upstream's id, "" where it gave none or gave the same one twice: the protocol makes one up.
    arguments: JSON text as assembled, "" where nothing came. It may be broken JSON: models do that.
    extra: keys beside id, type, index and function, kept as they came (Gemini's `extra_content`).
    """

    id: str
    name: str
    arguments: str
    extra: dict[str, Any] = field(default_factory=dict)


def arguments_text(value: Any) -> str:
    """Arguments as JSON text, whether they came as text, as an object or not at all."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    return msgspec.json.encode(value).decode()


class _Open:
    """A call in the making; its arguments come in up to thousands of fragments."""

    __slots__ = ("arguments", "extra", "id", "index", "name")

    def __init__(self, call_id: str, name: str, index: int | None) -> None:
        self.id = call_id
        self.name = name
        self.index = index
        self.arguments = io.BytesIO()
        self.extra: dict[str, Any] = {}

    def unfinished(self) -> bool:
        """Whether more arguments must follow to make them JSON."""
        arguments = self.arguments.getvalue()
        if arguments.startswith(b"{") and not arguments.rstrip().endswith(b"}"):
            return True  # told at a glance, because it may be asked for each of thousands of fragments
        try:
            msgspec.json.decode(arguments)
        except (msgspec.MsgspecError, RecursionError):
            return True
        return False


class CallAssembler:
    """Puts the tool calls of one answer together, delta by delta."""

    __slots__ = ("_budget", "_by_id", "_by_index", "_open")

    def __init__(self, budget: Budget | None = None) -> None:
        """budget: shared with whatever else is kept of the answer."""
        self._budget = budget or Budget()
        self._open: list[_Open] = []
        self._by_id: dict[str, int] = {}
        self._by_index: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._open)

    def calls(self) -> list[ToolCall]:
        """The calls so far, in the order in which they began."""
        return [ToolCall(call.id, call.name, call.arguments.getvalue().decode(), call.extra) for call in self._open]

    def id_of(self, position: int) -> str:
        """The id of the call at this position, "" if it has none."""
        return self._open[position].id

    def set_id(self, position: int, call_id: str) -> bool:
        """Gives a call an id that was made up; False when another call has it."""
        if call_id in self._by_id:
            return False
        self._open[position].id = call_id
        self._by_id[call_id] = position
        return True

    def add(self, part: Any, *, whole: bool = False) -> tuple[int, bool] | None:
        """Takes one entry of `tool_calls`: (position of its call, whether the call is new); None if it is no entry.

        whole: the entry is of a whole answer, so it is a call of its own, whatever its id says.
        Raises: UpstreamJunk for more than can be kept.
        """
        if not isinstance(part, dict):
            return None
        function = part.get("function")
        if not isinstance(function, dict):
            function = {}
        index, call_id, name = _index(part.get("index")), _text(part.get("id")), _text(function.get("name"))
        position, new = (self._begin(index, call_id, name), True) if whole else self._place(index, call_id, name)
        call = self._open[position]
        fragment = arguments_text(function.get("arguments")).encode("utf-8", "replace")
        if fragment:
            self._budget.spend(len(fragment))
            call.arguments.write(fragment)
        if len(part) > 2:
            self._keep_extra(call, {key: value for key, value in part.items() if key not in _CALL_KEYS})
        return position, new

    def add_legacy(self, function: Any) -> tuple[int, bool] | None:
        """Takes a `function_call`, OpenAI's shape before tools: there is only ever one."""
        return self.add({"index": 0, "function": function}) if isinstance(function, dict) else None

    def _keep_extra(self, call: _Open, extra: dict[str, Any]) -> None:
        fresh = {key: value for key, value in extra.items() if call.extra.get(key) != value}
        if fresh:
            self._budget.spend(len(msgspec.json.encode(fresh)))
            call.extra.update(fresh)

    def _place(self, index: int | None, call_id: str, name: str) -> tuple[int, bool]:
        here = None if index is None else self._by_index.get(index)
        known = self._continued(index, here, call_id, name)
        if known is None:
            return self._begin(index, call_id, name), True
        call = self._open[known]
        call.name = call.name or name
        if call_id and not call.id and call_id not in self._by_id:
            call.id = call_id
            self._by_id[call_id] = known
        return known, False

    def _continued(self, index: int | None, here: int | None, call_id: str, name: str) -> int | None:
        """The position of the call that this delta continues; None if it begins one."""
        same_id = self._by_id.get(call_id) if call_id else None
        if same_id is not None:
            # One id for several calls, told apart by index and name only: the function's name used as id.
            another = name and index is not None and self._open[same_id].index not in (None, index)
            return None if another else same_id
        latest = here if here is not None else len(self._open) - 1 if self._open else None
        if latest is None:
            return None
        if call_id:
            # A fresh id on every delta of one index: without a name it cannot be a call of its own.
            return here if not name and here is not None and self._open[here].name else None
        if not name:
            return latest
        call = self._open[latest]
        if not call.name:
            return latest
        # The name repeated on every delta of one index. Two calls of one function, both at index 0, look the same,
        # but the first of them is complete by then.
        return latest if here is not None and call.name == name and call.unfinished() else None

    def _begin(self, index: int | None, call_id: str, name: str) -> int:
        self._budget.spend(ITEM + len(call_id) + len(name))
        position = len(self._open)
        if call_id in self._by_id:
            call_id = ""
        if call_id:
            self._by_id[call_id] = position
        if index is not None:
            self._by_index[index] = position
        self._open.append(_Open(call_id, name, index))
        return position


def _index(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
