"""Owns what is told at the end of an answer: why it stopped, and how many tokens it took.

Source: Anthropic API reference, "Messages" (stop_reason, usage), read 2026-11. Chat completions do not say whether a
stop sequence was met, so that reason is never given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ollama_proxy.hub.tokens import BYTES_PER_TOKEN, counts

__all__ = ["start_usage", "stop_reason", "usage_of"]

_REASONS = {"length": "max_tokens", "content_filter": "refusal"}


def stop_reason(finish: str | None, *, calls: bool) -> str:
    """Anthropic's word. calls: tools are to be used."""
    return "tool_use" if calls else _REASONS.get(finish or "", "end_turn")


def usage_of(reported: Mapping[str, Any] | None, estimate: Callable[[], int], said: int) -> dict[str, Any]:
    """The `usage` of an answer of `said` bytes.

    Both counts have to be there, so where the provider reported none they are estimates from the sizes. Anthropic
    counts tokens that came from a cache beside `input_tokens`, not within it.
    """
    told = counts(reported)
    prompt = estimate() if told.prompt is None else told.prompt
    cached, written = told.cached or 0, told.cache_written or 0
    usage: dict[str, Any] = {"input_tokens": max(0, prompt - cached - written)}
    if written:
        usage["cache_creation_input_tokens"] = written
    if cached:
        usage["cache_read_input_tokens"] = cached
    usage["output_tokens"] = -(-said // BYTES_PER_TOKEN) if told.completion is None else told.completion
    if told.reasoning:
        usage["output_tokens_details"] = {"thinking_tokens": told.reasoning}
    return usage


def start_usage(reported: Mapping[str, Any] | None, estimate: Callable[[], int]) -> dict[str, Any]:
    """The `usage` before anything was said: nearly always an estimate, since providers count at the end."""
    return {**usage_of(reported, estimate, 0), "output_tokens": 0}
