"""Owns how Mistral's Codestral host behaves: a strict schema, nine-character ids, fill in the middle.

Rules: Mistral's OpenAPI and error glossary, read 2026-11.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from ollama_proxy.simulator.actions import Sleep, Wait
from ollama_proxy.simulator.ask import Ask
from ollama_proxy.simulator.events import DONE, Counts, Delta, Event, Whole, compact
from ollama_proxy.simulator.models import Card
from ollama_proxy.simulator.providers import codestral_rules as rules
from ollama_proxy.simulator.providers.base import Provider, Reply
from ollama_proxy.simulator.shapes.codestral import error_value, thought, validation_value
from ollama_proxy.simulator.talk import Talk

__all__ = ["Codestral"]

_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz0123456789"


class Codestral(Provider):
    """codestral.mistral.ai; with the models of La Plateforme, which speaks the same way."""

    name: ClassVar[str] = "codestral"
    title: ClassVar[str] = "Codestral"
    real_path: ClassVar[str] = "v1"
    routes: ClassVar[Mapping[tuple[str, str], str]] = {
        ("POST", "/chat/completions"): "chat",
        ("POST", "/fim/completions"): "fim",
        ("POST", "/embeddings"): "embeddings",
        ("GET", "/models"): "models",
    }
    words: ClassVar[Mapping[str, str]] = {
        "bad": "bad-key",
        "leaked": "bad-key",
        "expired": "bad-key-detail",
        "disabled": "bad-key",
        "rate": "429",
        "day": "429-day",
        "quota": "429-month",
        "busy": "429-capacity",
        "context": "400-context",
        "blocked": "400",
        "missing": "400-model",
    }

    def sign_in(self, ask: Ask) -> Reply | None:
        """No key is a wrong key."""
        return None if ask.key else self.reply("bad-key", ask)

    def check(self, ask: Ask) -> Reply | None:
        """The schema first (422), then what the schema cannot say (400)."""
        findings = rules.schema_findings(ask)
        if findings:
            # Both forms are seen in the wild: the bare list for an empty list of tools, the object otherwise.
            if findings[0]["loc"] == ["body", "tools"] and len(findings) == 1:
                return Reply("422-detail", 422, compact({"detail": findings}))
            return Reply("422-extra", 422, compact(validation_value(findings)))
        if ask.operation == "fim" and not isinstance(ask.body.get("prompt"), str):
            return Reply("422-extra", 422, compact(validation_value([rules.missing(["body", "prompt"])])))
        if ask.operation != "chat":
            return super().check(ask)
        fault = rules.find_fault(ask, self.card(ask.model))
        return (
            Reply(fault.name, 400, compact(error_value(400, fault.message, fault.kind, fault.code))) if fault else None
        )

    def thinks(self, ask: Ask) -> bool:
        """Only its reasoning models do."""
        return "magistral" in ask.model or ask.body.get("reasoning_effort") == "high"

    def error_body(self, status: int, message: str) -> Any:
        """Flat, with the status inside."""
        kind = "invalid_request_error" if status < 500 else "internal_server_error"
        return error_value(status, message, kind, None)

    def failing(self, *, began: bool) -> list[Event]:
        """The flat error, and no end mark (inferred: no capture is public)."""
        del began
        return [Whole(error_value(503, "Service unavailable.", "service_unavailable", None))]

    def answer_headers(self, talk: Talk) -> tuple[tuple[str, str], ...]:
        """What is left of the minute."""
        return (
            ("mistral-correlation-id", f"sim-{talk.number}"),
            ("x-ratelimit-limit-req-minute", "30"),
            ("x-ratelimit-remaining-req-minute", "29"),
        )

    def answer_id(self, number: int) -> str:
        """32 hex digits."""
        return hashlib.sha256(f"sim-{number}".encode()).hexdigest()[:32]

    def call_id(self, number: int, position: int) -> str:
        """Nine letters and digits."""
        digest = hashlib.sha256(f"sim-call-{number}-{position}".encode()).digest()
        return "".join(_LETTERS[byte % len(_LETTERS)] for byte in digest[:9])

    def usage(self, counts: Counts) -> dict[str, Any]:
        """Total before completion."""
        return {"prompt_tokens": counts[0], "total_tokens": counts[2], "completion_tokens": counts[1]}

    def events(self, talk: Talk, ask: Ask) -> Iterator[Event | Wait | Sleep]:
        """Thoughts as lists of parts; calls, end and usage together in the last chunk."""
        del ask
        yield Delta({"role": "assistant", "content": ""})
        for piece in talk.thinking:
            yield Delta({"content": [thought(piece)]}) if isinstance(piece, str) else piece
        if talk.thinking:
            yield Delta({"content": [thought("", closed=True)]})
        for piece in talk.pieces:
            yield Delta({"content": piece}) if isinstance(piece, str) else piece
        last: dict[str, Any] = {"content": ""}
        if talk.calls:
            last["tool_calls"] = [
                {"id": self.call_id(talk.number, n), "function": {"name": c.name, "arguments": c.arguments}, "index": n}
                for n, c in enumerate(talk.calls)
            ]
        yield Delta(last, talk.finish, talk.counts)
        yield DONE

    def calls(self, talk: Talk) -> list[dict[str, Any]]:
        """Without a type."""
        return [{k: v for k, v in call.items() if k != "type"} for call in super().calls(talk)]

    def message(self, talk: Talk) -> dict[str, Any]:
        """`tool_calls` is null where there are none."""
        content: Any = talk.text
        if talk.thinking:
            content = [thought(talk.thoughts), {"type": "text", "text": talk.text}]
        return {"role": "assistant", "tool_calls": self.calls(talk) or None, "content": content}

    def whole(self, talk: Talk) -> dict[str, Any]:
        """Usage in front."""
        return {
            "id": self.answer_id(talk.number),
            "created": talk.created,
            "model": talk.model,
            "usage": self.usage(talk.counts),
            "object": "chat.completion",
            "choices": [{"index": 0, "finish_reason": talk.finish, "message": self.message(talk)}],
        }

    def entry(self, card: Card) -> dict[str, Any]:
        """Mistral's list: abilities by name, aliases as entries of their own."""
        chat = card.kind == "chat"
        return {
            "id": card.id,
            "object": "model",
            "created": 1_790_000_000,
            "owned_by": "mistralai",
            "capabilities": {
                "completion_chat": chat,
                "completion_fim": card.fim,
                "function_calling": card.tools and chat,
                "fine_tuning": False,
                "vision": card.vision,
                "ocr": card.kind == "ocr",
                "classification": False,
            },
            "name": card.id,
            "description": "Simulated.",
            "max_context_length": card.context,
            "aliases": ["codestral-latest"] if card.id == "codestral-2508" else [],
            "deprecation": None,
            "deprecation_replacement_model": None,
            "default_model_temperature": 0.3 if chat else None,
            "type": "base",
        }
