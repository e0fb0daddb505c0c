"""Owns what the content of a hub message looks like: plain text wherever it is text, parts only beside images.

A tool's answer can only be text in chat completions, so its images follow in a message of the user.
"""

from __future__ import annotations

from typing import Any

from ollama_proxy.hub.turns import Message

__all__ = ["content_of", "image_part", "text_part", "tool_messages"]

Part = dict[str, Any]

_IMAGE_FOLLOWS = "(The result is an image; it follows.)"


def text_part(text: str) -> Part:
    """A part of text."""
    return {"type": "text", "text": text}


def image_part(url: str, detail: str | None = None) -> Part:
    """An image by its address, which may be a data URL."""
    image = {"url": url}
    if detail:
        image["detail"] = detail
    return {"type": "image_url", "image_url": image}


def content_of(parts: list[Part], joint: str = "\n") -> str | list[Part]:
    """The parts as content: one text where all are text (`joint` between them), else the parts."""
    if all(part["type"] == "text" for part in parts):
        return joint.join(part["text"] for part in parts)
    return parts


def tool_messages(call_id: str, parts: list[Part], failed: bool = False) -> list[Message]:
    """The answer of a tool, and what of it had to go into a message of its own.

    failed: the client says that the call failed, for which chat completions have no word but the text itself.
    """
    texts = [part["text"] for part in parts if part["type"] == "text"]
    others = [part for part in parts if part["type"] != "text"]
    text = "\n".join(texts) or (_IMAGE_FOLLOWS if others else "")
    if failed and "error" not in text[:40].lower():
        text = f"Error: {text}"
    messages: list[Message] = [{"role": "tool", "tool_call_id": call_id, "content": text}]
    if others:
        messages.append({"role": "user", "content": others})
    return messages
