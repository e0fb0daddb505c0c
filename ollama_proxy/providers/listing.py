"""Owns how a provider's model list is read: any shape seen, into Models. Pure.

Shapes: OpenAI's (vLLM, llama.cpp, Groq and Mistral add fields), Gemini's compatible and native ones, OpenRouter's and
AkashML's rich ones, Cohere's native one (paged), Together's bare array, LM Studio's and Ollama's own. One reader takes
them all: it looks for each fact under every name it goes by, and asks the built-in table for the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from ollama_proxy.errors import UpstreamJunk
from ollama_proxy.providers.known import Facts, KnownModels
from ollama_proxy.types import Capability, Model

__all__ = ["read_models"]

#: More than the largest list there is, ten times over.
_MOST = 20_000
_LONGEST_ID = 256
_CONTEXT = ("context_length", "context_window", "max_context_length", "max_model_len", "inputTokenLimit")
_OUTPUT = ("max_output_length", "max_completion_tokens", "outputTokenLimit", "max_output_tokens")
_OTHER_KINDS = (
    "image",
    "audio",
    "video",
    "moderation",
    "rerank",
    "transcribe",
    "transcription",
    "tts",
    "stt",
    "speech",
)
#: A word in a list of abilities -> ours.
_WORDS = {
    "tools": Capability.TOOLS,
    "tool_use": Capability.TOOLS,
    "function_calling": Capability.TOOLS,
    "vision": Capability.VISION,
    "image": Capability.VISION,
    "multimodal": Capability.VISION,
    "reasoning": Capability.THINKING,
    "include_reasoning": Capability.THINKING,
    "thinking": Capability.THINKING,
    "insert": Capability.INSERT,
    "completion_fim": Capability.INSERT,
    "embedding": Capability.EMBEDDING,
}


def read_models(body: bytes, provider: str, known: KnownModels, list_path: str) -> tuple[list[Model], str | None]:
    """The models in a list, each once, and the path of the next page.

    Raises: UpstreamJunk for a body that is no list of models.
    """
    try:
        value = msgspec.json.decode(body.strip())
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UpstreamJunk("the model list is not JSON") from None
    entries = _entries(value)
    if entries is None:
        raise UpstreamJunk("the answer holds no list of models")
    found: dict[str, Model] = {}
    for entry in entries[:_MOST]:
        model = _model(entry, provider, known) if isinstance(entry, dict) else None
        if model is not None:
            found.setdefault(model.id, model)
    return list(found.values()), _next_page(value, list_path)


def _entries(value: Any) -> list[Any] | None:
    if isinstance(value, dict):
        value = value["data"] if isinstance(value.get("data"), list) else value.get("models")
    return value if isinstance(value, list) else None


def _next_page(value: Any, path: str) -> str | None:
    """Cohere and Gemini hand out the next page's token."""
    if not isinstance(value, dict):
        return None
    for key, parameter in (("next_page_token", "page_token"), ("nextPageToken", "pageToken")):
        token = value.get(key)
        if isinstance(token, str) and token:
            return f"{path}{'&' if '?' in path else '?'}{parameter}={quote(token, safe='')}"
    return None


def _model(entry: Mapping[str, Any], provider: str, known: KnownModels) -> Model | None:
    model_id = _id(entry)
    if model_id is None or not _is_for_text(entry) or not known.talks(model_id):
        return None
    facts = known.facts(provider, model_id)
    embeds = _embeds(entry, facts)
    flags = _dict(entry, "capabilities")
    if not embeds and flags.get("completion_chat") is False and not flags.get("completion_fim"):
        return None
    most = _size(_dict(entry, "top_provider").get("max_completion_tokens"))
    vector = _size(_dict(entry, "meta").get("n_embd")) if embeds else None
    return Model(
        provider,
        model_id,
        frozenset({Capability.EMBEDDING}) if embeds else _capabilities(entry, facts),
        _context(entry) or facts.context,
        _first_size(entry, _OUTPUT) or most or facts.max_output,
        facts.embedding_length or vector,
        _size(entry.get("created")) or 0,
        _title(entry, model_id),
    )


def _id(entry: Mapping[str, Any]) -> str | None:
    for key in ("id", "name", "model"):
        value = entry.get(key)
        if isinstance(value, str) and value:
            value = value.removeprefix("models/")
            fit = value and len(value) <= _LONGEST_ID and value.isprintable() and " " not in value
            return value if fit else None
    return None


def _is_for_text(entry: Mapping[str, Any]) -> bool:
    """Takes and gives text, or embeds it, and is in service."""
    if entry.get("is_deprecated") is True or entry.get("active") is False:
        return False
    if str(entry.get("type") or "").lower() in _OTHER_KINDS:
        return False
    gives = _strings(entry.get("output_modalities")) or _strings(_dict(entry, "architecture").get("output_modalities"))
    if gives and not {"text", "embeddings", "embedding"} & gives:
        return False
    endpoints = _strings(entry.get("endpoints"))
    if endpoints and not {"chat", "embed"} & endpoints:
        return False
    methods = _strings(entry.get("supportedGenerationMethods"))
    return not methods or bool({"generateContent", "embedContent"} & methods)


def _capabilities(entry: Mapping[str, Any], facts: Facts) -> frozenset[Capability]:
    """What the list says, each ability by itself; the table where it is silent."""
    found = set(facts.capabilities - {Capability.EMBEDDING}) | {Capability.COMPLETION}
    for capability, has in _said(entry):
        (found.add if has else found.discard)(capability)
    made = frozenset(found)
    return _SETS.setdefault(made, made)


#: Sets of abilities, each kept once: thousands of models share a handful of them.
_SETS: dict[frozenset[Capability], frozenset[Capability]] = {}


def _said(entry: Mapping[str, Any]) -> Iterator[tuple[Capability, bool]]:
    takes = _strings(entry.get("input_modalities")) or _strings(_dict(entry, "architecture").get("input_modalities"))
    if takes:
        yield Capability.VISION, "image" in takes
    for key in ("supported_parameters", "supported_features", "features"):
        words = _strings(entry.get(key))
        if words:
            yield Capability.TOOLS, "tools" in words
            yield Capability.THINKING, bool({"reasoning", "include_reasoning"} & words)
            if key == "features":
                yield Capability.VISION, "vision" in words
    if isinstance(entry.get("thinking"), bool):
        yield Capability.THINKING, entry["thinking"]
    if entry.get("type") in ("llm", "vlm"):
        yield Capability.VISION, entry["type"] == "vlm"
    yield from _own_words(entry.get("capabilities"))


def _own_words(capabilities: Any) -> Iterator[tuple[Capability, bool]]:
    """`capabilities` as a map of flags (Mistral) or a list of words (Ollama, LM Studio, llama.cpp)."""
    if isinstance(capabilities, dict):
        for word, has in capabilities.items():
            if word in _WORDS and isinstance(has, bool):
                yield _WORDS[word], has
    elif isinstance(capabilities, list):
        words = _strings(capabilities)
        for word in ("tools", "thinking", "vision", "insert") if "completion" in words else ():
            yield Capability(word), word in words
        for word in words & _WORDS.keys():
            yield _WORDS[word], True


def _embeds(entry: Mapping[str, Any], facts: Facts) -> bool:
    """Whether the model only embeds."""
    endpoints = _strings(entry.get("endpoints")) | _strings(entry.get("supportedGenerationMethods"))
    if endpoints:
        return bool({"embed", "embedContent"} & endpoints) and not {"chat", "generateContent"} & endpoints
    if str(entry.get("type") or "").startswith("embedding"):
        return True
    gives = _strings(entry.get("output_modalities")) or _strings(_dict(entry, "architecture").get("output_modalities"))
    if gives:
        return "text" not in gives
    flags = entry.get("capabilities")
    if isinstance(flags, list) and flags:
        return "embedding" in flags and "completion" not in flags
    return _only_embeds(facts)


def _only_embeds(facts: Facts) -> bool:
    return Capability.EMBEDDING in facts.capabilities


def _context(entry: Mapping[str, Any]) -> int | None:
    """Tokens that fit: of two numbers the smaller, since either may be the one that is enforced."""
    sizes = (
        _first_size(entry, _CONTEXT),
        _size(_dict(entry, "top_provider").get("context_length")),
        _size(_dict(entry, "meta").get("n_ctx_train")),
        _size(_dict(entry, "details").get("context_length")),
    )
    return min((size for size in sizes if size), default=None)


def _first_size(entry: Mapping[str, Any], keys: tuple[str, ...]) -> int | None:
    return next((size for key in keys if (size := _size(entry.get(key)))), None)


def _size(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 1 << 40 else None


def _title(entry: Mapping[str, Any], model_id: str) -> str:
    for key in ("display_name", "displayName", "name"):
        value = entry.get(key)
        if isinstance(value, str) and value and value.removeprefix("models/") != model_id:
            return value[:200]
    return ""


def _dict(entry: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = entry.get(key)
    return value if isinstance(value, dict) else {}


def _strings(value: Any) -> set[str]:
    return {item for item in value if isinstance(item, str)} if isinstance(value, list) else set()
