"""Owns how `messages`, `images` and `tools` of a request become the hub's. Knows no endpoint.

Rules: Ollama 0.33's behaviour. Tool schemas are passed on untouched (Ollama drops the keywords it does not know).
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from ollama_proxy.protocols.ollama.fields import ANY, INT, MAP, STRING, Struct, list_of
from ollama_proxy.protocols.ollama.history import Asked, Conversation
from ollama_proxy.protocols.ollama.media import media_part

__all__ = ["hub_messages", "hub_tools", "image_parts", "with_images"]

Hub = dict[str, Any]

_MESSAGE = Struct(
    "Message",
    {
        "role": STRING,
        "content": ANY,
        "thinking": STRING,
        "images": list_of("api.ImageData"),
        "tool_calls": list_of("api.ToolCall"),
        "tool_name": STRING,
        "tool_call_id": STRING,
    },
)
_CALL = Struct("ToolCall", {"id": STRING, "function": MAP})
_FUNCTION = Struct("ToolCallFunction", {"index": INT, "name": STRING, "arguments": MAP})
_PLAIN_KEYS = frozenset(("role", "content"))
_PLAIN_ROLES = frozenset(("system", "user", "assistant"))


def hub_messages(messages: list[Any], holder: Struct) -> list[Hub]:
    """The hub's messages for the field `messages` of `holder`.

    Raises: BadRequest for a field of the wrong type, or an image that is not base64.
    """
    conversation = Conversation()
    for place, message in enumerate(messages):
        if type(message) is dict:
            if _is_plain(message):
                conversation.add(message)
            else:
                _add(conversation, _MESSAGE.read(message), place)
        elif message is not None:
            raise holder.wrong("messages", message)
    return conversation.finish()


def hub_tools(tools: list[Any], holder: Struct) -> list[Hub]:
    """The hub's tools; only a missing `type` is filled in. Raises: BadRequest if one is no object."""
    hub = []
    for tool in tools:
        if type(tool) is not dict:
            raise holder.wrong("tools", tool)
        hub.append(tool if tool.get("type") else {**tool, "type": "function"})
    return hub


def image_parts(images: list[Any], holder: Struct) -> list[Hub]:
    """The hub's content parts for `images` of `holder`. Raises: BadRequest for what is not base64."""
    parts = []
    for image in images:
        if type(image) is str:
            part = media_part(image)
            if part is not None:
                parts.append(part)
        elif image is not None:
            raise holder.wrong("images", image)
    return parts


def with_images(text: str, images: list[Hub]) -> str | list[Hub]:
    """The content of a message: plain text, or parts with the text first where there are images."""
    if not images:
        return text
    return [{"type": "text", "text": text}, *images] if text else images


def _is_plain(message: dict[str, Any]) -> bool:
    """Whether it is a hub message as it stands; almost every message is."""
    role = message.get("role")
    return (
        type(role) is str
        and role in _PLAIN_ROLES
        and type(message.get("content")) is str
        and message.keys() == _PLAIN_KEYS
    )


def _add(conversation: Conversation, given: dict[str, Any], place: int) -> None:
    # Ollama takes any role; one that is missing can only be the user's.
    role = given.get("role", "").lower() or "user"
    text = _text(given)
    images = image_parts(given.get("images", []), _MESSAGE)
    if role == "tool":
        conversation.add_result(text, images, given.get("tool_call_id", ""), given.get("tool_name", ""))
        return
    message: Hub = {"role": role, "content": with_images(text, images)}
    if given.get("thinking"):
        message["reasoning_content"] = given["thinking"]
    calls = given.get("tool_calls")
    if calls:
        message["content"] = message["content"] or None
        conversation.add_calls(message, [_asked(call, f"{place}.{number}") for number, call in enumerate(calls)])
    else:
        conversation.add(message)


def _text(given: dict[str, Any]) -> str:
    content = given.get("content")
    # ollama-ai-provider-v2 sends an empty list for a message that is only an image.
    if content is None or content == []:
        return ""
    if type(content) is not str:
        raise _MESSAGE.wrong("content", content, STRING)
    return content


def _asked(value: Any, place: str) -> Asked:
    if type(value) is not dict:
        raise _MESSAGE.wrong("tool_calls", value)
    call = _CALL.read(value)
    function = _FUNCTION.read(call.get("function"))
    name = function.get("name", "")
    arguments = msgspec.json.encode(function.get("arguments", {})).decode()
    # Made from the call's place, not from chance: the next request gets the same id, so a provider's prompt cache
    # still fits.
    made_id = "call_" + hashlib.sha256(f"{place}.{name}.{arguments}".encode()).hexdigest()[:8]
    hub = {"id": made_id, "type": "function", "function": {"name": name, "arguments": arguments}}
    return Asked(call.get("id", ""), name, hub)
