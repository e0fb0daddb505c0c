"""Owns how `instructions` and `input` of a request become the hub's messages.

Source: OpenAI API reference, "Responses" (input items), read 2026-11; what is refused is refused in Ollama 0.33's
words. Reasoning goes back to the model with the turn that it led to, as far as it can be read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ollama_proxy.errors import BadRequest
from ollama_proxy.hub.content import content_of, text_part, tool_messages
from ollama_proxy.hub.given import wrong
from ollama_proxy.hub.turns import Message, Turns
from ollama_proxy.protocols.responses.freehand import arguments_of
from ollama_proxy.protocols.responses.names import hub_name
from ollama_proxy.protocols.responses.parts import parts_of

__all__ = ["hub_messages"]

Item = dict[str, Any]

_ROLES = frozenset({"user", "assistant", "system", "developer"})


def hub_messages(instructions: str | None, given: Any) -> list[Message]:
    """The hub's messages for a text or a list of items.

    Raises: BadRequest, also for an item of a type that is not known here.
    """
    turns = Turns()
    if instructions:
        turns.add([{"role": "system", "content": instructions}])
    if isinstance(given, str):
        turns.add([{"role": "user", "content": given}])
        return turns.finish()
    if not isinstance(given, list):
        raise wrong("input", "a string or a list of items")
    thoughts = ""
    for number, item in enumerate(given):
        if not isinstance(item, dict):
            raise wrong(f"input[{number}]", "an item")
        kind = _kind(item, number)
        if kind == "reasoning":
            thoughts += _thoughts(item)
        elif kind not in _SKIPPED:
            messages = _READERS[kind](item, f"input[{number}]")
            thoughts = _give_back(thoughts, messages)
            turns.add(messages)
    return turns.finish()


def _kind(item: Item, number: int) -> str:
    kind = item.get("type")
    if kind is None and "role" in item:
        return "message"
    if not kind or not isinstance(kind, str):
        raise BadRequest(f"input[{number}]: input item missing required 'type' field", param="input")
    if kind == "item_reference":
        raise BadRequest(
            f"input[{number}]: an item_reference needs stored responses, and this proxy stores none. "
            "Send the items themselves (in SDKs: store=false).",
            param="input",
        )
    if kind not in _KNOWN:
        raise BadRequest(f'input[{number}]: unknown input item type: "{kind[:64]}"', param="input")
    return kind


def _give_back(thoughts: str, messages: list[Message]) -> str:
    """Puts thoughts into the assistant's message that they led to; what is still to be given back."""
    if thoughts and messages and messages[0]["role"] == "assistant":
        messages[0]["reasoning_content"] = thoughts
        return ""
    # What the user says next has nothing to do with thoughts that led to nothing.
    return thoughts if not messages or messages[0]["role"] == "tool" else ""


def _thoughts(item: Item) -> str:
    """The text of a reasoning item. An encrypted one is text only if it came from here or from Ollama."""
    texts: list[str] = []
    for key in ("content", "summary"):
        parts = item.get(key)
        if isinstance(parts, list) and not texts:
            texts = [p["text"] for p in parts if isinstance(p, dict) and isinstance(p.get("text"), str) and p["text"]]
    encrypted = item.get("encrypted_content")
    if not texts and isinstance(encrypted, str) and " " in encrypted:
        texts = [encrypted]
    return "\n\n".join(texts)


def _message(item: Item, place: str) -> list[Message]:
    role = item.get("role")
    if not isinstance(role, str) or role not in _ROLES:
        raise wrong(f"{place}.role", "user, assistant, system or developer")
    parts = parts_of(item.get("content"), place)
    if role != "user":
        parts = [part for part in parts if part["type"] == "text"]
    return [{"role": role, "content": content_of(parts, "" if role == "assistant" else "\n")}] if parts else []


def _call(item: Item, place: str) -> list[Message]:
    arguments = _text(item, "arguments")
    return [_calling(item, place, arguments if arguments.strip() else "{}")]


def _freehand_call(item: Item, place: str) -> list[Message]:
    return [_calling(item, place, arguments_of(_text(item, "input")))]


def _calling(item: Item, place: str, arguments: str) -> Message:
    name = hub_name(_text(item, "namespace"), _required(item, "name", place))
    function = {"name": name, "arguments": arguments}
    call = {"id": _required(item, "call_id", place), "type": "function", "function": function}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


def _output(item: Item, place: str) -> list[Message]:
    output = item.get("output")
    parts = [text_part(output)] if isinstance(output, str) else parts_of(output, place)
    return tool_messages(_required(item, "call_id", place), parts)


def _required(item: Item, key: str, place: str) -> str:
    value = item.get(key)
    if not value or not isinstance(value, str):
        raise BadRequest(f"{place}: {item['type']} missing required '{key}' field", param="input")
    return value


def _text(item: Item, key: str) -> str:
    value = item.get(key)
    return value if isinstance(value, str) else ""


_READERS: dict[str, Callable[[Item, str], list[Message]]] = {
    "message": _message,
    "function_call": _call,
    "function_call_output": _output,
    "custom_tool_call": _freehand_call,
    "custom_tool_call_output": _output,
}
#: What OpenAI's own servers did; the text that it led to is there as well.
_SKIPPED = frozenset({"web_search_call"})
_KNOWN = _READERS.keys() | _SKIPPED | {"reasoning"}
