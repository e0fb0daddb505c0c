"""Owns how OpenRouter behaves: comments, reasoning said twice, errors inside a 200, its rich list of models.

Rules: OpenRouter's documentation and API reference, read 2026-11.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from ollama_proxy.simulator.actions import Sleep, Wait
from ollama_proxy.simulator.ask import Ask, image_urls, mime_of
from ollama_proxy.simulator.events import DONE, Counts, Delta, Event, Head, Tail, compact
from ollama_proxy.simulator.models import Card
from ollama_proxy.simulator.providers.base import Provider, Reply, details
from ollama_proxy.simulator.shapes.base import fill
from ollama_proxy.simulator.shapes.openrouter import BUSY_HOST, LOST_HOST, PROCESSING, error_value
from ollama_proxy.simulator.talk import Talk

__all__ = ["OpenRouter"]

_HOST = "SimHost"


class OpenRouter(Provider):
    """Many hosts behind one address."""

    name: ClassVar[str] = "openrouter"
    title: ClassVar[str] = "OpenRouter"
    real_path: ClassVar[str] = "api/v1"
    routes: ClassVar[Mapping[tuple[str, str], str]] = {
        **Provider.routes,
        ("GET", "/key"): "key",
        ("GET", "/auth/key"): "key",
        ("GET", "/credits"): "credits",
        ("GET", "/embeddings/models"): "embedding-models",
    }
    public: ClassVar[frozenset[str]] = frozenset({"models", "model", "embedding-models"})
    words: ClassVar[Mapping[str, str]] = {
        "bad": "bad-key",
        "leaked": "bad-key",
        "expired": "bad-key",
        "disabled": "403",
        "rate": "429",
        "day": "429-day",
        "quota": "402",
        "busy": "429-upstream",
        "context": "400-context",
        "blocked": "403-moderation",
        "missing": "404-model",
    }

    def check(self, ask: Ask) -> Reply | None:
        """Lenient with fields; a model is asked only for what it can do."""
        refused = super().check(ask)
        if refused or ask.operation != "chat":
            return refused
        if ask.body.get("reasoning_effort") == "max":
            return self.error(400, "Invalid enum value for reasoning_effort: 'max'", ask)
        card = self.card(ask.model)
        if card and ask.tools and not card.tools:
            return self.reply("404-tools", ask)
        images = list(image_urls(ask.messages))
        if card and images and not card.vision:
            return self.reply("404-images", ask)
        if any(url.startswith("data:") and mime_of(url) is None for url in images):
            return self.error(400, "Invalid image data URL.", ask)
        return None

    def thinks(self, ask: Ask) -> bool:
        """`reasoning`, its shorthand, or a model that always does."""
        wanted = ask.body.get("reasoning")
        if isinstance(wanted, Mapping):
            if wanted.get("exclude") is True or wanted.get("enabled") is False:
                return False
            return wanted.get("effort") != "none"
        return ask.body.get("include_reasoning") is True or super().thinks(ask)

    def error_body(self, status: int, message: str) -> Any:
        """The status again inside."""
        return error_value(status, message)

    def failing(self, *, began: bool) -> list[Event]:
        """A chunk with an error beside its choice, then the end mark."""
        return [LOST_HOST if began else BUSY_HOST, DONE]

    def frame(self, event: Event, head: Head) -> bytes:
        """The recorded error chunks name the model."""
        data = super().frame(event, head)
        return fill(data.decode(), {"model": head.model}).encode() if event in (LOST_HOST, BUSY_HOST) else data

    def answer_id(self, number: int) -> str:
        """`gen-`, a time and something."""
        return f"gen-1790000000-sim{number:06d}"

    def usage(self, counts: Counts) -> dict[str, Any]:
        """With what it cost."""
        return {
            **super().usage(counts),
            "cost": 0,
            "is_byok": False,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "cost_details": {"upstream_inference_cost": None},
            "completion_tokens_details": {"reasoning_tokens": 0},
            **details(counts),
        }

    def chunk(self, event: Delta | Tail, head: Head) -> dict[str, Any]:
        """With the host's name and its own end reason."""
        delta = dict(event.delta) if isinstance(event, Delta) else {}
        finish = event.finish if isinstance(event, Delta) else None
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "native_finish_reason": finish, "logprobs": None}
        value = {
            "id": self.answer_id(head.number),
            "provider": _HOST,
            "model": head.model,
            "object": "chat.completion.chunk",
            "created": head.created,
            "choices": [choice],
        }
        return {**value, "usage": self.usage(event.usage)} if event.usage else value

    def events(self, talk: Talk, ask: Ask) -> Iterator[Event | Wait | Sleep]:
        """Comments first and between; role and content on every chunk; usage on one more chunk after the end."""
        yield PROCESSING
        if ask.operation == "completions":
            yield from self.completion_events(talk)
            return
        yield PROCESSING
        yield Delta(_said(None if talk.calls and not talk.pieces else ""))
        for piece in talk.thinking:
            yield Delta(_said("", **_thought(piece))) if isinstance(piece, str) else piece
        for n, piece in enumerate(talk.pieces):
            yield Delta(_said(piece)) if isinstance(piece, str) else piece
            if n == 0:
                yield PROCESSING
        yield from self.call_events(talk)
        yield Delta(_said(""), talk.finish)
        yield Delta(_said(""), talk.finish if talk.calls else None, talk.counts)
        yield DONE

    def call_events(self, talk: Talk) -> Iterator[Event]:
        """Ids and names are null after the first piece."""
        for index, call in enumerate(talk.calls):
            middle = len(call.arguments) // 2
            for n, part in enumerate(("", call.arguments[:middle], call.arguments[middle:])):
                call_id = self.call_id(talk.number, index) if n == 0 else None
                function = {"name": call.name if n == 0 else None, "arguments": part}
                value = {"index": index, "id": call_id, "type": "function", "function": function}
                yield Delta(_said(None, tool_calls=[value]))

    def message(self, talk: Talk) -> dict[str, Any]:
        """`refusal` and `reasoning` are always there."""
        message: dict[str, Any] = {"role": "assistant", "content": talk.text, "refusal": None, "reasoning": None}
        if talk.thinking:
            message |= _thought(talk.thoughts)
        if talk.calls:
            message["tool_calls"] = [{"index": n, **call} for n, call in enumerate(self.calls(talk))]
        return message

    def whole(self, talk: Talk) -> dict[str, Any]:
        """With the host's name."""
        choice = {
            "logprobs": None,
            "finish_reason": talk.finish,
            "native_finish_reason": talk.finish,
            "index": 0,
            "message": self.message(talk),
        }
        return {
            "id": self.answer_id(talk.number),
            "provider": _HOST,
            "model": talk.model,
            "object": "chat.completion",
            "created": talk.created,
            "choices": [choice],
            "usage": self.usage(talk.counts),
        }

    def listing(self, ask: Ask) -> Reply:
        """The list has no `object`; the key and the credits are asked for elsewhere."""
        if ask.operation == "key":
            return self.reply("key", ask)
        if ask.operation == "credits":
            return Reply("credits", 200, compact({"data": {"total_credits": 0, "total_usage": 0}}))
        if ask.operation == "model":
            return self.reply("404-model", ask)
        embeddings = ask.operation == "embedding-models"
        cards = [card for card in self.cards if (card.kind == "embedding") == embeddings]
        return Reply(ask.operation, 200, compact({"data": [self.entry(card) for card in cards]}))

    def entry(self, card: Card) -> dict[str, Any]:
        """Prices are texts, in dollars a token; -1 is variable."""
        price = "0" if card.id.endswith(":free") else "-1" if card.id == "openrouter/auto" else "0.0000004"
        inputs = ["text", "image"] if card.vision else ["text"]
        output = {"embedding": "embeddings", "image": "image"}.get(card.kind, "text")
        moving = {"alias_target": "anthropic/claude-sonnet-5"} if card.id.startswith("~") else {}
        return {
            "id": card.id,
            "canonical_slug": card.id.removesuffix(":free").lstrip("~"),
            "hugging_face_id": "",
            "name": card.title,
            "created": 1_753_230_546,
            "description": "Simulated.",
            "context_length": card.context,
            "architecture": {
                "modality": f"{'+'.join(inputs)}->{output}",
                "input_modalities": inputs,
                "output_modalities": [output],
                "tokenizer": "Other",
                "instruct_type": None,
            },
            "pricing": {**dict.fromkeys(("prompt", "completion"), price), "request": "0", "image": "0"},
            "top_provider": {
                "context_length": card.context,
                "max_completion_tokens": card.max_output,
                "is_moderated": False,
            },
            "per_request_limits": None,
            "supported_parameters": _parameters(card),
            "default_parameters": {},
            **moving,
        }


def _said(content: str | None, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **more}


def _thought(text: str) -> dict[str, Any]:
    details = [{"type": "reasoning.text", "text": text, "format": "unknown", "index": 0}]
    return {"reasoning": text, "reasoning_details": details}


def _parameters(card: Card) -> list[str]:
    words = ["max_tokens", "temperature", "top_p", "stop", "seed"] if card.kind == "chat" else []
    words += ["tools", "tool_choice"] if card.tools and card.kind == "chat" else []
    return words + (["reasoning", "include_reasoning"] if card.thinking else [])
