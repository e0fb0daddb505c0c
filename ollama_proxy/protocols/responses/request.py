"""Owns how a body of /v1/responses becomes a Call.

Nothing is stored here, so `previous_response_id` and `conversation` find nothing: as in Ollama 0.33 they are ignored,
and here they are named to the caller. `include`, `client_metadata` and cache keys change no answer and are ignored.
Source: OpenAI API reference, "Responses", read 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ollama_proxy.clock import Clock
from ollama_proxy.errors import BadRequest
from ollama_proxy.hub.body import is_sdk_retry
from ollama_proxy.hub.given import Given, wrong
from ollama_proxy.hub.ids import make_hex_id
from ollama_proxy.protocols.responses.face import ResponsesFace
from ollama_proxy.protocols.responses.items import hub_messages
from ollama_proxy.protocols.responses.names import Names
from ollama_proxy.protocols.responses.shape import Terms, frame_of
from ollama_proxy.protocols.responses.tools import hub_tools
from ollama_proxy.types import Body, Call, Capability, Operation

__all__ = ["parse_responses"]

_STATEFUL = ("previous_response_id", "conversation", "prompt")


def parse_responses(body: bytes, headers: Mapping[bytes, bytes], clock: Clock) -> tuple[Call, list[str]]:
    """The Call for a request, and the names of what could not go with it.

    headers: names in lower case.
    Raises: BadRequest, TooLarge.
    """
    given = Given(body)
    model = given.text("model")
    if not model:
        raise BadRequest("model is required", param="model")
    left_out = [name for name in _STATEFUL if given.value(name) is not None]
    names = Names()
    hub: Body = {"messages": hub_messages(given.text("instructions"), given.value("input"))}
    if not hub["messages"]:
        raise BadRequest("input is required", param="input")
    hub.update(hub_tools(given, names, left_out))
    hub.update(_sampling(given))
    hub.update(_thinking(given))
    hub.update(_format(given, left_out))
    stream = given.flag("stream") or False
    if stream:
        # Without it most providers do not say how many tokens it took.
        hub["stream_options"] = {"include_usage": True}
    terms = Terms(frame_of(given, model, make_hex_id("resp_", clock.rnd), int(clock.wall())), clock, names)
    call = Call(Operation.CHAT, model, hub, ResponsesFace(terms), stream, _needs(hub), is_sdk_retry(headers))
    return call, left_out


def _sampling(given: Given) -> Body:
    fields = {
        "temperature": given.number("temperature"),
        "top_p": given.number("top_p"),
        "max_tokens": given.whole("max_output_tokens"),
    }
    return {name: value for name, value in fields.items() if value is not None}


def _thinking(given: Given) -> Body:
    """`reasoning`: its effort, and whether thoughts are to be shown (a summary was asked for)."""
    reasoning = given.object("reasoning") or {}
    effort, summary = reasoning.get("effort"), reasoning.get("summary") or reasoning.get("generate_summary")
    if effort is not None and not isinstance(effort, str):
        raise wrong("reasoning.effort", "a string")
    body: Body = {"reasoning_effort": effort} if effort else {}
    if summary and effort != "none":
        body["think"] = effort or True
    return body


def _format(given: Given, left_out: list[str]) -> Body:
    """The hub's `response_format` for `text.format`."""
    text = given.object("text") or {}
    if text.get("verbosity") not in (None, "medium"):
        left_out.append("text.verbosity")
    wanted: Any = text.get("format")
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    if wanted is None or kind == "text":
        return {}
    if kind == "json_object":
        return {"response_format": {"type": "json_object"}}
    if kind != "json_schema" or not isinstance(wanted.get("schema"), dict):
        raise wrong("text.format", "text, json_object or a json_schema with a schema")
    schema = {key: wanted[key] for key in ("name", "description", "schema", "strict") if wanted.get(key) is not None}
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "schema", **schema}}}


def _needs(hub: Body) -> frozenset[Capability]:
    needs = set()
    if hub.get("tools"):
        needs.add(Capability.TOOLS)
    contents = [message["content"] for message in hub["messages"]]
    if any(part["type"] == "image_url" for parts in contents if isinstance(parts, list) for part in parts):
        needs.add(Capability.VISION)
    return frozenset(needs)
