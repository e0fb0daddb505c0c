"""Owns what one parsed request on /api is, and whether a model can serve it. Knows no endpoint.

Ollama looks at a request in a fixed order: body, model name, does the model exist, what can it do, are the options
right. The catalogue stands in the middle of it, so faults that come after it wait here until the model is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ollama_proxy.errors import BadRequest, ProxyError
from ollama_proxy.protocols.ollama.fields import quoted
from ollama_proxy.protocols.ollama.names import split
from ollama_proxy.types import Call, Capability, Model

__all__ = ["OllamaRequest", "check_capabilities"]

#: What Ollama checks besides completion and thinking, in its order. Vision is not among them: clients send images to
#: models that take none, and the provider's own words are better than a guess of ours.
_CHECKED = (Capability.TOOLS, Capability.INSERT)


@dataclass(slots=True)
class OllamaRequest:
    """One request for chat, generate or embed.

    verb: what a model that cannot serve it "does not support". keep_alive_s: seconds that the model counts as loaded
    from now on; infinity for ever, None for the server's default. load_only: nothing is to be generated.
    local_answer: the whole JSON answer, where no provider is needed. conflict, fault: found by the parser, due before
    and after the look at the model's capabilities.
    """

    call: Call
    verb: Literal["chat", "generate", "embed"]
    keep_alive_s: float | None = None
    load_only: Literal["load", "unload"] | None = None
    local_answer: bytes | None = None
    conflict: ProxyError | None = None
    fault: ProxyError | None = None


def check_capabilities(request: OllamaRequest, model: Model) -> None:
    """Returns if this model can serve this request; a model that no list describes is given the benefit of the doubt.

    Raises: BadRequest in Ollama's words.
    """
    if request.load_only == "unload":
        return
    if request.conflict is not None:
        raise request.conflict
    if model.listed:
        _check(request, request.call.needs - model.capabilities)
    if request.fault is not None:
        raise request.fault


def _check(request: OllamaRequest, missing: frozenset[Capability]) -> None:
    name = request.call.model
    if Capability.THINKING in missing:
        raise BadRequest(f"{quoted(name)} does not support thinking")
    if Capability.COMPLETION in missing:
        raise BadRequest(f"{quoted(name)} does not support {request.verb}")
    if Capability.EMBEDDING in missing:
        raise BadRequest(f"{quoted(name)} does not support embeddings")
    lacking = [capability.value for capability in _CHECKED if capability in missing]
    if lacking:
        raise BadRequest(f"{split(name).whole} does not support " + "\n".join(lacking))
