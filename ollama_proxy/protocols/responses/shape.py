"""Owns the shapes of the Responses API: the response object and its output items. Holds no state.

Source: OpenAI API reference, "Responses" (the response object), read 2026-11, with the fields that Ollama 0.33 sends.
`store` is always false: nothing is stored here, whatever was asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ollama_proxy.clock import Clock
from ollama_proxy.hub.given import Given
from ollama_proxy.hub.ids import make_hex_id
from ollama_proxy.hub.tokens import counts
from ollama_proxy.hub.tool_calls import ToldCall
from ollama_proxy.protocols.responses.freehand import input_of
from ollama_proxy.protocols.responses.names import Names

__all__ = ["Terms", "call_item", "ended", "frame_of", "message_item", "reasoning_item", "text_part_of", "usage_of"]

Item = dict[str, Any]

_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


@dataclass(frozen=True, slots=True)
class Terms:
    """What one request wants of its answer. frame: the response object before anything was said."""

    frame: Item
    clock: Clock
    names: Names


def frame_of(given: Given, model: str, response_id: str, created: int) -> Item:
    """The response object in progress, in the order of its fields; what was asked for is repeated.

    model: the caller's string. created: epoch seconds.
    Raises: BadRequest.
    """
    return {
        "id": response_id,
        "object": "response",
        "created_at": created,
        "completed_at": None,
        "status": "in_progress",
        "incomplete_details": None,
        "model": model,
        "previous_response_id": None,
        "instructions": given.text("instructions"),
        "output": [],
        "error": None,
        "tools": given.objects("tools"),
        "tool_choice": _or(given.value("tool_choice"), "auto"),
        "truncation": given.text("truncation") or "disabled",
        "parallel_tool_calls": _or(given.flag("parallel_tool_calls"), True),
        "text": {"format": {"type": "text"}, **_given_only(given.object("text"))},
        "top_p": _or(given.number("top_p"), 1),
        "presence_penalty": 0,
        "frequency_penalty": 0,
        "top_logprobs": 0,
        "temperature": _or(given.number("temperature"), 1),
        "reasoning": given.object("reasoning"),
        "usage": None,
        "max_output_tokens": given.whole("max_output_tokens"),
        "max_tool_calls": None,
        "store": False,
        "background": given.flag("background") or False,
        "service_tier": "default",
        "metadata": given.object("metadata") or {},
        "safety_identifier": None,
        "prompt_cache_key": None,
    }


def ended(frame: Item, finish: str | None, output: list[Item], usage: Item | None, completed: int) -> Item:
    """The response object at its end: `completed`, or `incomplete` with the reason."""
    reason = _INCOMPLETE.get(finish or "")
    return {
        **frame,
        "completed_at": None if reason else completed,
        "status": "incomplete" if reason else "completed",
        "incomplete_details": {"reason": reason} if reason else None,
        "output": output,
        "usage": usage,
    }


def reasoning_item(item_id: str, text: str) -> Item:
    """Thoughts. `encrypted_content` is the same plain text, as in Ollama: clients send it back, and it can be read."""
    summary = [{"type": "summary_text", "text": text}]
    return {"id": item_id, "type": "reasoning", "summary": summary, "encrypted_content": text}


def text_part_of(text: str) -> Item:
    """The one part of a message."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def message_item(item_id: str, text: str | None, finish: str | None = "stop") -> Item:
    """A message; None for one that has only begun."""
    status = "in_progress" if text is None else "incomplete" if finish in _INCOMPLETE else "completed"
    content = [] if text is None else [text_part_of(text)]
    return {"id": item_id, "type": "message", "status": status, "role": "assistant", "content": content}


def call_item(call: ToldCall, names: Names, rnd: Callable[[], float]) -> Item:
    """A call, under the name that the client gave the tool; of a function, or with free text."""
    namespace, name = names.home(call.name)
    freehand = names.is_freehand(call.name)
    item = {
        "id": make_hex_id("ctc_" if freehand else "fc_", rnd),
        "type": "custom_tool_call" if freehand else "function_call",
        "status": "completed",
        "call_id": call.id,
        "name": name,
    }
    if freehand:
        item["input"] = input_of(call.arguments)
    else:
        item["arguments"] = call.arguments.decode()
    return {**item, "namespace": namespace} if namespace else item


def usage_of(reported: Mapping[str, Any] | None) -> Item | None:
    """The `usage`; None where the provider did not count."""
    told = counts(reported)
    if told.prompt is None and told.completion is None:
        return None
    prompt, completion = told.prompt or 0, told.completion or 0
    return {
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": told.cached or 0, "cache_write_tokens": told.cache_written or 0},
        "output_tokens": completion,
        "output_tokens_details": {"reasoning_tokens": told.reasoning or 0},
        "total_tokens": prompt + completion,
    }


def _or(value: Any, usual: Any) -> Any:
    return usual if value is None else value


def _given_only(fields: Mapping[str, Any] | None) -> Item:
    return {key: value for key, value in (fields or {}).items() if value is not None}
