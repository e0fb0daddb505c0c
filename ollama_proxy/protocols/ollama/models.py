"""Owns how a model of the catalogue looks to Ollama's clients: family, size, digest, capabilities, details.

A provider's model has no weights here, so some of it is made up; what is made up is stable and of the right type,
because one odd entry empties the whole list in Zed, Roo Code, Open WebUI and ollama-python. Rules: Ollama 0.33's
shapes; the strictest client of each field.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ollama_proxy.types import Capability, Model

__all__ = ["Listed", "Made", "capabilities", "context_of", "details", "digest_of", "family_of"]

#: Ollama's order.
_ORDER = (
    Capability.COMPLETION,
    Capability.TOOLS,
    Capability.INSERT,
    Capability.VISION,
    Capability.EMBEDDING,
    Capability.THINKING,
)
#: What VS Code Copilot assumes where a model does not say; clients divide and compare, so there must be a number.
_DEFAULT_CONTEXT = 32768
_FAMILY = re.compile(r"[a-z]+[0-9]*")
#: Billions or millions of parameters in a name: `70b`, `1.5B`, `8x7b`, `300m`.
_SIZE = re.compile(r"(?<![a-z0-9.])(\d+x)?(\d+(?:\.\d+)?)([bm])(?![a-z0-9])", re.IGNORECASE)
#: Makers whose names stand before the model's own.
_MAKERS = frozenset({"meta", "text"})


@dataclass(frozen=True, slots=True)
class Made:
    """What a name made by copy or create holds: where it comes from, and what it adds.

    messages: role and content of each. parameters: Ollama's, as they were written.
    """

    source: str
    system: str = ""
    messages: tuple[Mapping[str, Any], ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Listed:
    """One entry of our lists.

    name: as listed, `provider:id` or an alias. digest: 64 hex digits, see digest_of. modified_at: epoch seconds, the
    same at every call. size: bytes; nobody here has any. remote_host: the provider's address; "" hides it.
    made: for a name of our own.
    """

    name: str
    model: Model
    digest: str
    modified_at: float
    size: int = 0
    remote_host: str = ""
    made: Made | None = None


def digest_of(name: str, model: Model) -> str:
    """64 hex digits: unique per name, stable, and different once the model can do something else.

    llm-ollama merges models with one digest, and keeps capabilities on disk under it.
    """
    facts = [name, model.id, *capabilities(model), str(model.context), str(model.embedding_length)]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()


def capabilities(model: Model) -> list[str]:
    """What the model can do, in Ollama's words and order."""
    return [capability.value for capability in _ORDER if capability in model.capabilities]


def context_of(model: Model) -> int:
    """The model's context window in tokens, or a default that clients can work with."""
    return model.context or _DEFAULT_CONTEXT


def family_of(model: Model) -> str:
    """The model's family, from its id: `gemini` for `gemini-2.5-flash`, `qwen3` for `qwen/qwen3-coder:free`."""
    words = _FAMILY.findall(model.id.rpartition("/")[2].lower())
    return next((word for word in words if word not in _MAKERS), model.provider)


def details(model: Model, *, lengths: bool = False) -> Mapping[str, Any]:
    """`details` of an entry. lengths: with the two that only /api/tags has."""
    family = family_of(model)
    families = [family]
    if Capability.VISION in model.capabilities:
        # OllamaKit's apps offer images only where it stands.
        families.append("clip")
    told: dict[str, Any] = {
        "parent_model": "",
        "format": "",
        "family": family,
        "families": families,
        "parameter_size": _parameter_size(model.id),
        "quantization_level": "",
    }
    if lengths:
        told["context_length"] = context_of(model)
        if model.embedding_length:
            told["embedding_length"] = model.embedding_length
    return told


def _parameter_size(model_id: str) -> str:
    match = _SIZE.search(model_id)
    if match is None:
        return "unknown"
    experts, number, unit = match.groups()
    return f"{(experts or '').lower()}{number}{unit.upper()}"
