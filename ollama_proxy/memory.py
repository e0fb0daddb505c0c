"""Owns what a provider wants back with a tool call and no client returns: thought signatures, reasoning details. Pure.

Gemini 3 refuses the turn after a tool call unless the call's `thought_signature` comes back (Google AI for Developers,
"Thought signatures", read 2026-11), and OpenRouter wants a turn's `reasoning_details` unchanged. Ollama's clients drop
both, and often the call's id too. So they are kept here, by call id and by what was called with which arguments, and
put back on the way up, to the provider they came from and to no other.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ollama_proxy.types import Body
from ollama_proxy.wire.sse import Frames, FrameTooLarge, event_of

__all__ = ["Memory", "Tap"]

#: Calls that are remembered; an agent's long loop makes a few hundred.
_MOST = 4096
#: Bytes of one call's belongings; a signature has a few thousand.
_MOST_BYTES = 256 * 1024
#: Calls and details of one stream, and bytes of its events that speak of them, above which it is left alone.
_MOST_ITEMS = 256
_MOST_HEARD = 16 * 1024 * 1024
_decode = msgspec.json.decode


@dataclass(frozen=True, slots=True)
class _Kept:
    """What belongs to one call. call: keys beside it; turn: keys beside the turn's other calls and text."""

    provider: str
    call: Mapping[str, Any]
    turn: Mapping[str, Any]


class Memory:
    """Belongings of tool calls, the latest ones. `changed`: something was learnt since the last export."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self.changed = False

    # --- learning -----------------------------------------------------------------------------------------------------

    def tap(self, provider: str) -> Tap:
        """Listens to one stream of this provider."""
        return Tap(self, provider)

    def learn(self, provider: str, answer: bytes) -> None:
        """Takes note of a whole answer."""
        tap = self.tap(provider)
        for choice in _choices(_plain(answer)):
            tap.hear(choice.get("message"))
        tap.close()

    def keep(self, provider: str, call: Mapping[str, Any], turn: Mapping[str, Any]) -> None:
        """Remembers one call's belongings, if there are any."""
        extra = call.get("extra_content")
        belongings = {"extra_content": extra} if isinstance(extra, Mapping) and extra else {}
        if not belongings and not turn:
            return
        kept = _Kept(provider, belongings, turn)
        if len(msgspec.json.encode([kept.call, kept.turn])) > _MOST_BYTES:
            return
        for key in _keys(call):
            self._kept[key] = kept
            self._kept.move_to_end(key)
        while len(self._kept) > 2 * _MOST:
            self._kept.popitem(last=False)
        self.changed = True

    # --- giving back --------------------------------------------------------------------------------------------------

    def restore(self, provider: str, body: Body) -> Body:
        """The body with what its tool calls have lost; the very same one where nothing is known or missing."""
        messages = body.get("messages")
        if not self._kept or messages is None:
            return body
        if isinstance(messages, msgspec.Raw):
            if b'"tool_calls"' not in bytes(messages):
                return body
            messages = _decode(messages)
        if not isinstance(messages, list):
            return body
        restored = [self._restored(provider, message) for message in messages]
        if all(new is old for new, old in zip(restored, messages, strict=True)):
            return body
        return {**body, "messages": restored}

    def _restored(self, provider: str, message: Any) -> Any:
        calls = message.get("tool_calls") if isinstance(message, Mapping) else None
        if not isinstance(calls, list) or not all(isinstance(call, Mapping) for call in calls):
            return message
        found = [self._find(provider, call) for call in calls]
        whole = [
            {**call, **kept.call} if kept is not None and kept.call and "extra_content" not in call else call
            for call, kept in zip(calls, found, strict=True)
        ]
        turn = next((kept.turn for kept in found if kept is not None and kept.turn), {})
        missing = {key: value for key, value in turn.items() if key not in message}
        if not missing and all(new is old for new, old in zip(whole, calls, strict=True)):
            return message
        return {**message, **missing, "tool_calls": whole}

    def _find(self, provider: str, call: Mapping[str, Any]) -> _Kept | None:
        for key in _keys(call):
            kept = self._kept.get(key)
            if kept is not None and kept.provider == provider:
                return kept
        return None

    # --- the copy on disk ---------------------------------------------------------------------------------------------

    def export(self) -> list[list[Any]]:
        """Everything, oldest first, fit for JSON."""
        self.changed = False
        return [[key, kept.provider, dict(kept.call), dict(kept.turn)] for key, kept in self._kept.items()]

    def import_(self, data: Any) -> None:
        """Takes up an exported copy; what cannot be read is passed over."""
        for item in data if isinstance(data, list) else ():
            match item:
                case [str(key), str(provider), dict(call), dict(turn)]:
                    self._kept.setdefault(key, _Kept(provider, call, turn))


@dataclass(slots=True)
class Tap:
    """Listens to one stream: bytes in, memories out. Never fails: what it does not understand it leaves alone."""

    memory: Memory
    provider: str
    _frames: Frames | None = field(default_factory=Frames)
    _heard: int = 0
    _calls: list[Mapping[str, Any]] = field(default_factory=list)
    _details: list[dict[str, Any]] = field(default_factory=list)

    def feed(self, data: bytes) -> None:
        """The stream's bytes, as they came."""
        if self._frames is None:
            return
        try:
            frames = self._frames.feed(data)
        except FrameTooLarge:
            self._frames = None
            return
        for frame in frames:
            if b"tool_calls" in frame or b"reasoning_details" in frame:
                self._heard += len(frame)
                if self._heard > _MOST_HEARD or len(self._calls) + len(self._details) > _MOST_ITEMS:
                    self._frames = None
                    self._calls, self._details = [], []
                    return
                event = event_of(frame)
                for choice in _choices(_plain(event[1])) if event is not None else ():
                    self.hear(choice.get("delta"))

    def hear(self, said: Any) -> None:
        """One delta, or one whole message."""
        if not isinstance(said, Mapping):
            return
        details = said.get("reasoning_details")
        for detail in details if isinstance(details, list) else ():
            if isinstance(detail, dict):
                self._add_detail(detail)
        calls = said.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            if isinstance(call, Mapping):
                self._add_call(call)

    def close(self) -> None:
        """The answer is over: what was heard is remembered."""
        turn = {"reasoning_details": self._details} if self._details else {}
        for call in self._calls:
            self.memory.keep(self.provider, call, turn)

    def _add_call(self, call: Mapping[str, Any]) -> None:
        """A whole call, or a piece that continues the latest one with this index."""
        if not self._calls or (_name(call) and not _repeats(self._calls[-1], call)):
            self._calls.append(call)
            return
        index = call.get("index")
        for place in range(len(self._calls) - 1, -1, -1):
            if index is None or self._calls[place].get("index") == index:
                self._calls[place] = _joined(self._calls[place], call)
                return

    def _add_detail(self, detail: dict[str, Any]) -> None:
        """Pieces with one index are one detail: their text adds up, the rest is the last word."""
        for known in self._details:
            if known.get("index") == detail.get("index") and known.get("type") == detail.get("type"):
                for key, value in detail.items():
                    if key in ("text", "summary") and isinstance(value, str) and isinstance(known.get(key), str):
                        known[key] += value
                    elif value is not None:
                        known[key] = value
                return
        self._details.append(dict(detail))


def _name(call: Mapping[str, Any]) -> Any:
    function = call.get("function")
    return function.get("name") if isinstance(function, Mapping) else None


def _repeats(call: Mapping[str, Any], more: Mapping[str, Any]) -> bool:
    """Whether `more` continues the call although it has a name: some providers repeat id and name on every piece."""
    same = _name(call) == _name(more) and all(call.get(key) == more.get(key) for key in ("id", "index"))
    if not same or not call.get("id"):
        return False
    arguments = call["function"].get("arguments") or ""
    if not isinstance(arguments, str):
        return False  # an object is whole
    return not arguments.endswith("}") or _plain(arguments.encode("utf-8", "replace")) is None


def _joined(call: Mapping[str, Any], more: Mapping[str, Any]) -> Mapping[str, Any]:
    function, rest = call.get("function"), more.get("function")
    if not isinstance(function, Mapping) or not isinstance(rest, Mapping):
        return call
    arguments = f"{function.get('arguments') or ''}{rest.get('arguments') or ''}"
    extra = {"extra_content": more["extra_content"]} if "extra_content" in more else {}
    return {**call, **extra, "function": {**function, "arguments": arguments}}


def _keys(call: Mapping[str, Any]) -> list[str]:
    """Under what a call can be found again: its id, and what it calls with which arguments."""
    keys = []
    call_id = call.get("id")
    if isinstance(call_id, str) and call_id:
        keys.append(f"id {call_id}")
    function = call.get("function")
    if isinstance(function, Mapping):
        arguments = function.get("arguments")
        if isinstance(arguments, str):
            arguments = _plain(arguments.encode("utf-8", "replace")) if arguments else {}
        spelt = msgspec.json.encode([function.get("name"), arguments], order="sorted")
        keys.append(f"call {hashlib.sha256(spelt).hexdigest()[:32]}")
    return keys


def _plain(text: bytes) -> Any:
    try:
        return _decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _choices(value: Any) -> list[Mapping[str, Any]]:
    choices = value.get("choices") if isinstance(value, Mapping) else None
    return [choice for choice in choices if isinstance(choice, Mapping)] if isinstance(choices, list) else []
