"""Owns how `system` and `messages` of a request become the hub's messages. Knows no single block.

Source: Anthropic API reference, "Messages", read 2026-11. Claude Code sends messages with the role `system` in the
middle of a conversation (2.1, seen on the wire 2026-11).
"""

from __future__ import annotations

from typing import Any

from ollama_proxy.errors import BadRequest
from ollama_proxy.hub.content import content_of, text_part, tool_messages
from ollama_proxy.hub.given import wrong
from ollama_proxy.hub.turns import Message, Turns
from ollama_proxy.protocols.anthropic.blocks import Part, call_of, parts_of

__all__ = ["hub_messages"]

_ROLES = frozenset({"user", "assistant", "system"})


def hub_messages(system: Any, messages: list[dict[str, Any]], left_out: list[str]) -> list[Message]:
    """The hub's messages; types of blocks that could not go with them are added to `left_out`.

    Raises: BadRequest.
    """
    turns = Turns()
    turns.add(_said_by("system", parts_of(system, "system", left_out)))
    for number, message in enumerate(messages):
        role = message.get("role")
        if not isinstance(role, str) or role not in _ROLES:
            raise wrong(f"messages.{number}.role", "user, assistant or system")
        place = f"messages.{number}.content"
        content = message.get("content")
        parts = parts_of(content, place, left_out)
        blocks = content if isinstance(content, list) else []
        if role == "assistant":
            turns.add(_assistant(blocks, parts))
        else:
            turns.add(_results(blocks, place, left_out))
            turns.add(_said_by(role, parts))
    return turns.finish()


def _said_by(role: str, parts: list[Part]) -> list[Message]:
    if role == "system":
        parts = [part for part in parts if part["type"] == "text"]
    return [{"role": role, "content": content_of(parts)}] if parts else []


def _assistant(blocks: list[dict[str, Any]], parts: list[Part]) -> list[Message]:
    calls = [call_of(block) for block in blocks if block.get("type") == "tool_use"]
    # Citations cut one sentence into several blocks.
    text = "".join(part["text"] for part in parts if part["type"] == "text")
    if calls:
        return [{"role": "assistant", "content": text or None, "tool_calls": calls}]
    return [{"role": "assistant", "content": text}] if text else []


def _results(blocks: list[dict[str, Any]], place: str, left_out: list[str]) -> list[Message]:
    """The tools' answers in a message; in the hub they are messages of their own, before its text."""
    answers: list[Message] = []
    for number, block in enumerate(blocks):
        if block.get("type") != "tool_result":
            continue
        call_id = block.get("tool_use_id")
        if not call_id or not isinstance(call_id, str):
            raise BadRequest("tool_result block missing required 'tool_use_id' field")
        parts = parts_of(block.get("content"), f"{place}.{number}.content", left_out)
        answers += tool_messages(call_id, parts or [text_part("")], block.get("is_error") is True)
    return answers
