"""Owns how a body of POST /api/generate becomes a request. Rules: Ollama 0.33's behaviour.

A prompt is a conversation of one turn; with `suffix` it is a gap to fill. `template` and `context` are taken and have
no effect: the provider has its own template, and we have no tokenizer.
"""

from __future__ import annotations

from typing import Any

from ollama_proxy.clock import Clock
from ollama_proxy.errors import BadRequest, UnknownModel
from ollama_proxy.protocols.ollama.decode import decode_body
from ollama_proxy.protocols.ollama.durations import parse_keep_alive
from ollama_proxy.protocols.ollama.face import OllamaFace
from ollama_proxy.protocols.ollama.fields import BOOL, STRING, Struct, list_of
from ollama_proxy.protocols.ollama.generation import COMMON_FIELDS, build_request
from ollama_proxy.protocols.ollama.messages import image_parts, with_images
from ollama_proxy.protocols.ollama.names import Place
from ollama_proxy.protocols.ollama.options import check_top_logprobs, parse_think
from ollama_proxy.protocols.ollama.request import OllamaRequest
from ollama_proxy.protocols.ollama.shapes import GENERATE
from ollama_proxy.protocols.ollama.terms import Terms
from ollama_proxy.types import Body, Call, Operation

__all__ = ["parse_generate"]

_GENERATE = Struct(
    "GenerateRequest",
    {
        **COMMON_FIELDS,
        "prompt": STRING,
        "suffix": STRING,
        "system": STRING,
        "template": STRING,
        "context": list_of("int"),
        "raw": BOOL,
        "images": list_of("api.ImageData"),
    },
)


def parse_generate(body: bytes, clock: Clock) -> OllamaRequest:
    """The request in a body of /api/generate.

    Raises: BadRequest; UnknownModel if no model is named.
    """
    given = _GENERATE.read(decode_body(body))
    think = parse_think(given.get("think"))
    keep_alive_s = parse_keep_alive(given.get("keep_alive"))
    hub = _hub(given)
    check_top_logprobs(given)
    model = given.get("model", "")
    if not model.strip():
        raise UnknownModel("model '' not found")
    operation = Operation.FIM if "suffix" in hub else Operation.CHAT
    terms = Terms(
        GENERATE,
        model,
        clock,
        clock.now(),
        hide_thinking=think is False,
        logprobs=given.get("logprobs", False),
        context=not given.get("raw"),
        split_tags=operation is not Operation.FIM,
        may_be_silent=operation is Operation.FIM or bool(given.get("options", {}).get("stop")),
    )
    face = OllamaFace(Place.GENERATE, terms, given.get("stream", True))
    call = Call(operation, model, hub, face, face.streaming)
    empty = not given.get("prompt")
    request = build_request(call, face, given, think, keep_alive_s, verb="generate", empty=empty)
    if given.get("raw") and (given.get("template") or given.get("system") or given.get("context")):
        request.conflict = BadRequest("raw mode does not support template, system, or context")
    return request


def _hub(given: dict[str, Any]) -> Body:
    prompt = given.get("prompt", "")
    images = image_parts(given.get("images", []), _GENERATE)
    if given.get("suffix"):
        return {"prompt": prompt, "suffix": given["suffix"]}
    messages = [{"role": "user", "content": with_images(prompt, images)}]
    if given.get("system") and not given.get("raw"):
        messages.insert(0, {"role": "system", "content": given["system"]})
    return {"messages": messages}
