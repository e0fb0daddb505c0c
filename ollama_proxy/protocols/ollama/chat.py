"""Owns how a body of POST /api/chat becomes a request. Rules: Ollama 0.33's behaviour."""

from __future__ import annotations

from ollama_proxy.clock import Clock
from ollama_proxy.errors import BadRequest
from ollama_proxy.protocols.ollama.decode import decode_body
from ollama_proxy.protocols.ollama.durations import parse_keep_alive
from ollama_proxy.protocols.ollama.face import OllamaFace
from ollama_proxy.protocols.ollama.fields import Struct, list_of
from ollama_proxy.protocols.ollama.generation import COMMON_FIELDS, build_request
from ollama_proxy.protocols.ollama.messages import hub_messages, hub_tools
from ollama_proxy.protocols.ollama.names import Place
from ollama_proxy.protocols.ollama.options import check_top_logprobs, parse_think
from ollama_proxy.protocols.ollama.request import OllamaRequest
from ollama_proxy.protocols.ollama.shapes import CHAT
from ollama_proxy.protocols.ollama.terms import Terms
from ollama_proxy.types import Body, Call, Operation

__all__ = ["parse_chat"]

_CHAT = Struct("ChatRequest", {**COMMON_FIELDS, "messages": list_of("api.Message"), "tools": list_of("api.Tool")})


def parse_chat(body: bytes, clock: Clock) -> OllamaRequest:
    """The request in a body of /api/chat.

    Raises: BadRequest
    """
    given = _CHAT.read(decode_body(body))
    think = parse_think(given.get("think"))
    keep_alive_s = parse_keep_alive(given.get("keep_alive"))
    hub: Body = {"messages": hub_messages(given.get("messages", []), _CHAT)}
    tools = hub_tools(given.get("tools", []), _CHAT)
    if tools:
        hub["tools"] = tools
    check_top_logprobs(given)
    model = given.get("model", "")
    if not model.strip():
        raise BadRequest("model is required")
    terms = Terms(
        CHAT,
        model,
        clock,
        clock.now(),
        hide_thinking=think is False,
        logprobs=given.get("logprobs", False),
        may_be_silent=bool(given.get("options", {}).get("stop")),
    )
    face = OllamaFace(Place.CHAT, terms, given.get("stream", True))
    call = Call(Operation.CHAT, model, hub, face, face.streaming)
    return build_request(call, face, given, think, keep_alive_s, verb="chat", empty=not hub["messages"])
