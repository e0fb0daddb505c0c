"""Owns how tokens are counted: what a provider reported, and an estimate where nobody did. Knows no client protocol."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from ollama_proxy.types import Body

__all__ = ["BYTES_PER_TOKEN", "IMAGE_TOKENS", "Counts", "counts", "estimate_prompt"]

#: A rule of thumb for English text and code; Korean comes out about a quarter too low.
BYTES_PER_TOKEN = 4
#: About what a picture of a megapixel costs (Anthropic docs, "Vision", read 2026-11: width * height / 750).
IMAGE_TOKENS = 1500


class Counts(NamedTuple):
    """What a provider reported; None where it did not. prompt holds cached, completion holds reasoning."""

    prompt: int | None = None
    completion: int | None = None
    cached: int | None = None
    cache_written: int | None = None
    reasoning: int | None = None


def counts(usage: Mapping[str, Any] | None) -> Counts:
    """The counts in a chat completion's `usage`."""
    if not usage:
        return Counts()
    prompt = usage.get("prompt_tokens_details")
    completion = usage.get("completion_tokens_details")
    return Counts(
        _count(usage, "prompt_tokens"),
        _count(usage, "completion_tokens"),
        _count(prompt, "cached_tokens"),
        _count(prompt, "cache_write_tokens"),
        _count(completion, "reasoning_tokens"),
    )


def estimate_prompt(body: Body) -> int:
    """About how many tokens a hub request has, at least 1: an estimate from its size, not a count."""
    size = images = 0
    for message in body.get("messages", ()):
        content = message.get("content")
        if isinstance(content, list):
            size += sum(len(part["text"].encode("utf-8", "replace")) for part in content if part["type"] == "text")
            images += sum(part["type"] != "text" for part in content)
        elif content:
            size += len(content.encode("utf-8", "replace"))
        if "tool_calls" in message:
            size += len(msgspec.json.encode(message["tool_calls"]))
    if body.get("tools"):
        size += len(msgspec.json.encode(body["tools"]))
    return max(1, size // BYTES_PER_TOKEN + images * IMAGE_TOKENS)


def _count(holder: Any, key: str) -> int | None:
    value = holder.get(key) if isinstance(holder, Mapping) else None
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 2**53:
        return int(value)
    return None
