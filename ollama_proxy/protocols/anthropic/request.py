"""Owns how bodies of /v1/messages and /v1/messages/count_tokens become a Call or a count.

What Anthropic has and chat completions do not (cache_control, metadata, context_management, betas) is ignored: the
answer is no other without it. What changes the answer is named to the caller.
Source: Anthropic API reference, "Messages" and "Count tokens", read 2026-11; refusals in Ollama 0.33's words.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import msgspec

from ollama_proxy.clock import Clock
from ollama_proxy.errors import BadRequest
from ollama_proxy.hub.body import is_sdk_retry
from ollama_proxy.hub.given import Given
from ollama_proxy.hub.ids import make_hex_id
from ollama_proxy.hub.tokens import estimate_prompt
from ollama_proxy.protocols.anthropic.face import MessagesFace
from ollama_proxy.protocols.anthropic.messages import hub_messages
from ollama_proxy.protocols.anthropic.terms import Terms
from ollama_proxy.protocols.anthropic.thinking import hub_format, read_wish
from ollama_proxy.protocols.anthropic.tools import hub_tools
from ollama_proxy.types import Body, Call, Capability, Operation

__all__ = ["parse_count", "parse_messages", "render_count"]


def parse_messages(
    body: bytes, headers: Mapping[bytes, bytes], clock: Clock, request_id: str
) -> tuple[Call, list[str]]:
    """The Call for a request, and the names of what could not go with it.

    headers: names in lower case. request_id: told in errors.
    Raises: BadRequest, TooLarge.
    """
    given = Given(body)
    model = _model(given)
    max_tokens = given.whole("max_tokens")
    if max_tokens is None or max_tokens <= 0:
        raise BadRequest("max_tokens is required and must be positive", param="max_tokens")
    left_out: list[str] = []
    hub = _conversation(given, left_out)
    hub["max_tokens"] = max_tokens
    hub.update(_sampling(given))
    wish = read_wish(given)
    hub.update(wish.body)
    hub.update(hub_format(given))
    stream = given.flag("stream") or False
    if stream:
        # Without it most providers do not say how many tokens it took.
        hub["stream_options"] = {"include_usage": True}
    message_id = make_hex_id("msg_", clock.rnd)
    terms = Terms(model, clock, message_id, request_id, wish.hide, partial(estimate_prompt, hub), "stop" in hub)
    call = Call(Operation.CHAT, model, hub, MessagesFace(terms), stream, _needs(hub), is_sdk_retry(headers))
    return call, left_out


def parse_count(body: bytes) -> tuple[str, int]:
    """The model, and about how many tokens the request has: an estimate from its size, since no provider counts.

    Raises: BadRequest, TooLarge.
    """
    given = Given(body)
    return _model(given), estimate_prompt(_conversation(given, []))


def render_count(tokens: int) -> bytes:
    """The answer of count_tokens."""
    return msgspec.json.encode({"input_tokens": tokens})


def _model(given: Given) -> str:
    model = given.text("model")
    if not model:
        raise BadRequest("model is required", param="model")
    return model


def _conversation(given: Given, left_out: list[str]) -> Body:
    messages = given.objects("messages")
    hub: Body = {"messages": hub_messages(given.value("system"), messages, left_out) if messages else []}
    if not hub["messages"]:
        raise BadRequest("messages is required", param="messages")
    hub.update(hub_tools(given, left_out))
    return hub


def _sampling(given: Given) -> Body:
    fields = {
        "temperature": given.number("temperature"),
        "top_p": given.number("top_p"),
        "top_k": given.whole("top_k"),
        "stop": given.texts("stop_sequences") or None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _needs(hub: Body) -> frozenset[Capability]:
    needs = set()
    if hub.get("tools"):
        needs.add(Capability.TOOLS)
    contents = [message["content"] for message in hub["messages"]]
    if any(part["type"] == "image_url" for parts in contents if isinstance(parts, list) for part in parts):
        needs.add(Capability.VISION)
    return frozenset(needs)
