"""Owns what /api/chat and /api/generate have in common: fields, needs, and what can be answered on the spot."""

from __future__ import annotations

from typing import Any, Literal

from ollama_proxy.errors import BadRequest
from ollama_proxy.protocols.ollama.encode import json_bytes
from ollama_proxy.protocols.ollama.face import OllamaFace
from ollama_proxy.protocols.ollama.fields import ANY, BOOL, INT, MAP, STRING, Kind
from ollama_proxy.protocols.ollama.options import hub_format, hub_logprobs, hub_options, hub_think
from ollama_proxy.protocols.ollama.request import OllamaRequest
from ollama_proxy.protocols.ollama.shapes import Said, done
from ollama_proxy.types import Call, Capability, Operation
from ollama_proxy.wire.ndjson import quote

__all__ = ["COMMON_FIELDS", "build_request"]

#: `truncate` and `shift` speak of a context that we do not manage: taken, and without effect.
COMMON_FIELDS: dict[str, Kind] = {
    "model": STRING,
    "stream": BOOL,
    "format": ANY,
    "keep_alive": ANY,
    "options": MAP,
    "think": ANY,
    "truncate": BOOL,
    "shift": BOOL,
    "logprobs": BOOL,
    "top_logprobs": INT,
    "_debug_render_only": BOOL,
}


def build_request(
    call: Call,
    face: OllamaFace,
    given: dict[str, Any],
    think: bool | str | None,
    keep_alive_s: float | None,
    *,
    verb: Literal["chat", "generate"],
    empty: bool,
) -> OllamaRequest:
    """The request, once its endpoint has put what is to be said into `call.body`; this adds how it is to be said.

    empty: there is nothing to answer, so the request loads or unloads the model.
    """
    request = OllamaRequest(call, verb, keep_alive_s)
    call.needs = _needs(call, think)
    try:
        call.body.update(hub_options(given.get("options", {})))
        if not empty and call.operation is Operation.CHAT:
            call.body.update(hub_format(given.get("format")))
    except BadRequest as fault:
        request.fault = fault
    if call.operation is Operation.CHAT:
        call.body.update(hub_think(think))
        call.body.update(hub_logprobs(given))
        if call.stream:
            # Without it most providers do not say how many tokens it took.
            call.body["stream_options"] = {"include_usage": True}
    if empty:
        request.load_only = "unload" if keep_alive_s == 0 else "load"
        request.local_answer = face.render_local(Said(done=done(request.load_only)))
    elif given.get("_debug_render_only"):
        request.local_answer = face.render_local(Said(done=_debug_info(call)))
    return request


def _needs(call: Call, think: bool | str | None) -> frozenset[Capability]:
    needs = {Capability.COMPLETION}
    if call.operation is Operation.FIM:
        needs.add(Capability.INSERT)
    if call.body.get("tools"):
        needs.add(Capability.TOOLS)
    if think:
        needs.add(Capability.THINKING)
    if _images(call):
        needs.add(Capability.VISION)
    return frozenset(needs)


def _images(call: Call) -> int:
    contents = [message["content"] for message in call.body.get("messages", ())]
    return sum(part["type"] == "image_url" for parts in contents if type(parts) is list for part in parts)


def _debug_info(call: Call) -> bytes:
    """What `_debug_render_only` shows: instead of a rendered template, the request that a provider would get."""
    template = quote(json_bytes(call.body).decode())
    images = _images(call)
    count = b',"image_count":%d' % images if images else b""
    return b',"done":false,"_debug_info":{"rendered_template":%b%b}' % (template, count)
