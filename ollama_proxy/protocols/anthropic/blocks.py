"""Owns what each kind of content block in a request becomes in the hub. Knows no whole message.

Source: Anthropic API reference, "Messages" (content blocks), read 2026-11; what is refused is refused in Ollama 0.33's
words. Thinking of earlier turns is left out: a provider keeps its own, and its signature means nothing elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from ollama_proxy.errors import BadRequest
from ollama_proxy.hub.content import image_part, text_part
from ollama_proxy.hub.given import wrong

__all__ = ["Part", "call_of", "parts_of"]

Part = dict[str, Any]

#: Said to the model in place of what chat completions cannot carry, so that it can say so itself.
_NO_DOCUMENT = "[A document was attached here that cannot be passed on to this model{title}: only text documents can.]"


def parts_of(blocks: Any, place: str, left_out: list[str]) -> list[Part]:
    """The hub's parts for a text or a list of blocks; of blocks that are not content the types go to `left_out`.

    Calls, their results and thinking are skipped: they are no parts.
    Raises: BadRequest.
    """
    if isinstance(blocks, str):
        return [text_part(blocks)]
    if blocks is None:
        return []
    if not isinstance(blocks, list):
        raise wrong(place, "a string or a list of content blocks")
    parts: list[Part] = []
    for number, block in enumerate(blocks):
        if not isinstance(block, dict):
            raise wrong(f"{place}.{number}", "a content block")
        kind = block.get("type")
        read = _READERS.get(kind) if isinstance(kind, str) else None
        if read is not None:
            parts += read(block, f"{place}.{number}", left_out)
        elif not isinstance(kind, str) or kind not in _NO_PARTS:
            left_out.append(f"content.{kind}")
    return parts


def call_of(block: dict[str, Any]) -> dict[str, Any]:
    """The hub's tool call for a `tool_use` block.

    Raises: BadRequest.
    """
    for field in ("id", "name"):
        value = block.get(field)
        if not value or not isinstance(value, str):
            raise BadRequest(f"tool_use block missing required '{field}' field")
    given = block.get("input")
    arguments = msgspec.json.encode(given if isinstance(given, dict) else {}).decode()
    return {"id": block["id"], "type": "function", "function": {"name": block["name"], "arguments": arguments}}


#: Read elsewhere, or of no use to another provider.
_NO_PARTS = frozenset({"tool_use", "tool_result", "thinking", "redacted_thinking"})


def _text(block: dict[str, Any], place: str, left_out: list[str]) -> list[Part]:
    text = block.get("text")
    if not isinstance(text, str):
        raise wrong(f"{place}.text", "a string")
    return [text_part(text)] if text else []


def _image(block: dict[str, Any], place: str, left_out: list[str]) -> list[Part]:
    source = block.get("source")
    if not isinstance(source, dict):
        raise BadRequest("invalid image source")
    kind = source.get("type")
    if kind == "url" and isinstance(source.get("url"), str):
        return [image_part(source["url"])]
    if kind != "base64":
        raise BadRequest(f"invalid image source type: {kind}. Only base64 and url images are supported.")
    data = source.get("data")
    if not data or not isinstance(data, str):
        raise BadRequest("invalid image source")
    media = source.get("media_type")
    return [image_part(f"data:{media if isinstance(media, str) and media else 'image/png'};base64,{data}")]


def _document(block: dict[str, Any], place: str, left_out: list[str]) -> list[Part]:
    """A text document is its text, under its title; any other leaves a note."""
    source = block.get("source")
    source = source if isinstance(source, dict) else {}
    title = block.get("title")
    title = title if isinstance(title, str) else ""
    kind = source.get("type")
    if kind == "text" and isinstance(source.get("data"), str):
        return [text_part(f"{title}\n{source['data']}" if title else source["data"])]
    if kind == "content":
        return [*([text_part(title)] if title else []), *parts_of(source.get("content"), place, left_out)]
    left_out.append("content.document")
    return [text_part(_NO_DOCUMENT.format(title=f' ("{title}")' if title else ""))]


def _search_result(block: dict[str, Any], place: str, left_out: list[str]) -> list[Part]:
    heads = [block[key] for key in ("title", "source") if isinstance(block.get(key), str)]
    return [*([text_part("\n".join(heads))] if heads else []), *parts_of(block.get("content"), place, left_out)]


_READERS: dict[str, Callable[[dict[str, Any], str, list[str]], list[Part]]] = {
    "text": _text,
    "image": _image,
    "document": _document,
    "search_result": _search_result,
}
