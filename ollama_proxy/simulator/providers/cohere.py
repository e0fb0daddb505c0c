"""Owns how Cohere's compatibility API behaves: a short list of fields, flat errors, a plan before a tool call.

Rules: Cohere's documentation (compatibility API) and OpenAPI, read 2026-11.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from ollama_proxy.simulator.actions import Sleep, Wait
from ollama_proxy.simulator.ask import Ask, dicts, image_urls, mime_of, words
from ollama_proxy.simulator.events import DONE, Delta, Event, Head, Tail, Whole, compact
from ollama_proxy.simulator.models import Card
from ollama_proxy.simulator.providers.base import Provider, Reply, page
from ollama_proxy.simulator.shapes.cohere import error_value
from ollama_proxy.simulator.talk import Talk

__all__ = ["Cohere"]

_CHAT = words(
    "model messages stream reasoning_effort response_format tools temperature max_tokens stop seed top_p "
    "frequency_penalty presence_penalty"
)
_EMBEDDINGS = words("input model encoding_format")
_MESSAGE = words("role content tool_calls tool_call_id")
_TOOL_MESSAGE = _MESSAGE | {"name"}
_CALL = words("id type function")
_TOOL = words("type function")
_FUNCTION = words("name description parameters")
_CALL_FUNCTION = words("name arguments")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PLAN = "I will use a tool for that. "


class Cohere(Provider):
    """Cohere's compatibility API."""

    name: ClassVar[str] = "cohere"
    title: ClassVar[str] = "Cohere"
    real_path: ClassVar[str] = "compatibility/v1"
    routes: ClassVar[Mapping[tuple[str, str], str]] = {
        ("POST", "/chat/completions"): "chat",
        ("POST", "/embeddings"): "embeddings",
        ("GET", "/models"): "models",
        ("GET", "/v1/models"): "models-native",
    }
    words: ClassVar[Mapping[str, str]] = {
        "bad": "bad-key",
        "leaked": "bad-key",
        "expired": "bad-key",
        "disabled": "bad-key",
        "rate": "429",
        "day": "429-month",
        "quota": "402",
        "busy": "503",
        "context": "400-context",
        "blocked": "498",
        "missing": "404-model",
    }
    most_inputs: ClassVar[int] = 96

    def check(self, ask: Ask) -> Reply | None:
        """Unknown names first, also inside; then values and turns."""
        unknown = _unknown(ask)
        if unknown:
            return Reply(
                "422-unknown-field",
                422,
                compact(error_value(f"unknown field: parameter '{unknown}' is not a valid field, ")),
            )
        if ask.operation != "chat":
            return super().check(ask)
        fault = _values(ask) or _turns(ask) or _images(ask, self.card(ask.model))
        return self.error(400, fault, ask) if fault else None

    def error_body(self, status: int, message: str) -> Any:
        """Flat."""
        del status
        return error_value(message)

    def failing(self, *, began: bool) -> list[Event]:
        """A flat error, and no end mark (inferred: no capture is public)."""
        del began
        return [Whole(error_value("internal server error, this has been reported to our developers."))]

    def answer_id(self, number: int) -> str:
        """A plain id."""
        return f"sim-cohere-{number:06d}"

    def call_id(self, number: int, position: int) -> str:
        """Made of words and digits."""
        return f"tool_sim{number:06d}{position}"

    def chunk(self, event: Delta | Tail, head: Head) -> dict[str, Any]:
        """Other places for the same keys."""
        value: dict[str, Any] = {"id": self.answer_id(head.number), "choices": []}
        if isinstance(event, Delta):
            value["choices"] = [{"index": 0, "finish_reason": event.finish, "delta": dict(event.delta)}]
        value |= {"created": head.created, "model": head.model, "object": "chat.completion.chunk"}
        return {**value, "usage": self.usage(event.usage)} if event.usage else value

    def events(self, talk: Talk, ask: Ask) -> Iterator[Event | Wait | Sleep]:
        """A plan before calls; usage on the chunk that ends."""
        del ask
        yield Delta({"role": "assistant", "content": ""})
        for piece in talk.thinking:
            yield Delta({"reasoning_content": piece}) if isinstance(piece, str) else piece
        for piece in talk.pieces or ((_PLAN,) if talk.calls else ()):
            yield Delta({"content": piece}) if isinstance(piece, str) else piece
        yield from self.call_events(talk)
        yield Delta({}, talk.finish, talk.counts)
        yield DONE

    def message(self, talk: Talk) -> dict[str, Any]:
        """The plan is the content."""
        message = super().message(talk)
        return {**message, "content": talk.text or _PLAN} if talk.calls else message

    def whole(self, talk: Talk) -> dict[str, Any]:
        """Other places for the same keys."""
        return {
            "id": self.answer_id(talk.number),
            "choices": [{"index": 0, "finish_reason": talk.finish, "message": self.message(talk)}],
            "created": talk.created,
            "model": talk.model,
            "object": "chat.completion",
            "usage": self.usage(talk.counts),
        }

    def listing(self, ask: Ask) -> Reply:
        """The native list is paged, may be asked for one endpoint, and keeps retired models."""
        if ask.operation != "models-native":
            return super().listing(ask)
        rows = [_native(card) for card in self.cards]
        if "endpoint" in ask.query:
            rows = [row for row in rows if ask.query["endpoint"] in row["endpoints"]]
        start, size = page(ask.query.get("page_token", ""), ask.query.get("page_size", "20"))
        body: dict[str, Any] = {"models": rows[start : start + size]}
        if start + size < len(rows):
            body["next_page_token"] = f"p{start + size}"
        return Reply("models-native", 200, compact(body))

    def entry(self, card: Card) -> dict[str, Any]:
        """The compat list (its shape is not documented)."""
        return {"id": card.id, "object": "model", "created": 0, "owned_by": "cohere"}


def _native(card: Card) -> dict[str, Any]:
    endpoints = {"chat": ["chat"], "embedding": ["embed"], "rerank": ["rerank"]}.get(card.kind, ["generate"])
    features = ["json_mode", "json_schema"]
    features += ["tools", "strict_tools"] if card.tools else []
    features += ["vision"] if card.vision else []
    features += ["reasoning"] if card.thinking else []
    return {
        "name": card.id,
        "is_deprecated": card.deprecated,
        "endpoints": endpoints,
        "finetuned": False,
        "context_length": card.context,
        "tokenizer_url": "https://example.invalid/tokenizer.json",
        "default_endpoints": [],
        "features": features if card.kind == "chat" else None,
    }


def _unknown(ask: Ask) -> str | None:
    """The first name that Cohere does not know, wherever it stands."""
    names = [_first(ask.body, _EMBEDDINGS if ask.operation == "embeddings" else _CHAT)]
    for message in ask.messages:
        names.append(_first(message, _TOOL_MESSAGE if message.get("role") == "tool" else _MESSAGE))
        for call in dicts(message.get("tool_calls")):
            names += [_first(call, _CALL), _first(call.get("function"), _CALL_FUNCTION)]
    for tool in dicts(ask.body.get("tools")):
        function = tool.get("function")
        names += [_first(tool, _TOOL), _first(function, _FUNCTION)]
        if isinstance(function, Mapping):
            names.append(_schema_word(function.get("parameters")))
    return next(filter(None, names), None)


def _first(value: Any, allowed: frozenset[str]) -> str | None:
    return next((name for name in value if name not in allowed), None) if isinstance(value, Mapping) else None


def _schema_word(value: Any, depth: int = 0) -> str | None:
    if depth > 40:
        return None
    if isinstance(value, list):
        return next(filter(None, (_schema_word(item, depth + 1) for item in value)), None)
    if not isinstance(value, Mapping):
        return None
    bad = next((word for word in ("additionalProperties", "$schema") if word in value), None)
    return bad or _schema_word(list(value.values()), depth + 1)


def _values(ask: Ask) -> str | None:
    body = ask.body
    if body.get("reasoning_effort") not in (None, "none", "high"):
        return "invalid request: reasoning_effort must be one of: none, high."
    for name in ("temperature", "frequency_penalty", "presence_penalty"):
        value = body.get(name)
        if isinstance(value, (int, float)) and not 0 <= value <= 1:
            return f"invalid request: {name} must be between 0 and 1.0 inclusive."
    if body.get("frequency_penalty") and body.get("presence_penalty"):
        return "invalid request: frequency_penalty and presence_penalty cannot both be set."
    for tool in ask.tools:
        if not _NAME.fullmatch(str(tool.get("name"))):
            return "invalid request: tool names can only contain A-Za-z0-9_ and can't begin with a digit."
    return None


def _turns(ask: Ask) -> str | None:
    if not ask.messages:
        return "invalid request: messages must not be empty."
    known: set[str] = set()
    spoken = False
    for message in ask.messages:
        role, content = str(message.get("role")), message.get("content")
        if role in {"system", "developer"} and spoken:
            return "invalid request: system messages must come first."
        spoken = spoken or role not in {"system", "developer"}
        if role in {"user", "system"} and not content:
            return "invalid request: message must be at least 1 token long or tool results must be specified."
        known |= {str(call.get("id")) for call in dicts(message.get("tool_calls"))}
        if role == "tool":
            call_id = str(message.get("tool_call_id"))
            if call_id not in known:
                return f"invalid request: no tool call found with id '{call_id}', or it was answered before."
            known.discard(call_id)
    return None


def _images(ask: Ask, card: Card | None) -> str | None:
    urls = list(image_urls(ask.messages))
    if urls and card is not None and not card.vision:
        return "invalid request: image content is not supported for this model."
    if any(mime_of(url) is None for url in urls):
        return "invalid request: image url must be a base64 data URI."
    return None
