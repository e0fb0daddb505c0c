"""Owns how Qwen's DashScope (compatible mode) behaves: thinking that wants a stream, empty texts that mean nothing.

Below `/v1/` it is the portal of the sign-in, which takes that sign-in's tokens only and has no list of models.

Rules: Alibaba Model Studio (compatible mode, error codes), read 2026-11.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from ollama_proxy.simulator.actions import Sleep, Wait
from ollama_proxy.simulator.ask import Ask, dicts, image_urls, mime_of, text_of
from ollama_proxy.simulator.events import DONE, Counts, Delta, Event, Head, Tail
from ollama_proxy.simulator.models import Card
from ollama_proxy.simulator.providers.base import Provider, Reply, details
from ollama_proxy.simulator.shapes.qwen import INSPECTION, error_value
from ollama_proxy.simulator.talk import Talk

__all__ = ["Qwen"]

#: Models that always think, and answer only as a stream.
_ALWAYS = ("qwq", "qvq", "-thinking")
#: Open models think unless told not to, where they are hybrids; commercial ones only when told.
_HYBRIDS = ("qwen3-235b-a22b", "qwen3-32b", "qwen3-14b", "qwen3-8b")
_ALGO = "<400> InternalError.Algo.InvalidParameter: "


class Qwen(Provider):
    """DashScope's compatible mode."""

    name: ClassVar[str] = "qwen"
    title: ClassVar[str] = "Qwen"
    real_path: ClassVar[str] = "compatible-mode/v1"
    routes: ClassVar[Mapping[tuple[str, str], str]] = {
        **Provider.routes,
        ("POST", "/v1/chat/completions"): "chat",
        ("POST", "/api/v1/oauth2/token"): "token",
    }
    portal: ClassVar[str] = "/v1/"
    words: ClassVar[Mapping[str, str]] = {
        "bad": "bad-key",
        "leaked": "bad-key",
        "expired": "oauth-401",
        "disabled": "bad-key",
        "rate": "429",
        "day": "oauth-429-quota",
        "quota": "400-arrearage",
        "busy": "429-burst",
        "context": "400-context",
        "blocked": "400-inspection",
        "missing": "404-model",
    }
    most_inputs: ClassVar[int] = 10

    def sign_in(self, ask: Ask) -> Reply | None:
        """No key is a wrong key."""
        return None if ask.key else self.reply("bad-key", ask)

    def check(self, ask: Ask) -> Reply | None:
        """DashScope's checks in its order."""
        refused = super().check(ask)
        if refused or ask.operation != "chat":
            return refused
        if ask.body.get("tools") == []:
            return self.reply("400-empty-tools", ask)
        thinking = self.thinks(ask)
        if (
            thinking
            and not ask.stream
            and not ask.model.startswith(("qwen-plus", "qwen-flash", "qwen-turbo", "qwen3."))
        ):
            return self.reply("400-thinking", ask)
        fault = _find_fault(ask, thinking=thinking)
        return self.error(400, fault, ask) if fault else None

    def thinks(self, ask: Ask) -> bool:
        """`enable_thinking`, or the model's habit."""
        if any(word in ask.model for word in _ALWAYS):
            return True
        wanted = ask.body.get("enable_thinking")
        return wanted if isinstance(wanted, bool) else ask.model in _HYBRIDS

    def error_body(self, status: int, message: str) -> Any:
        """With a request id beside the error."""
        if status >= 500:
            return error_value(message, "internal_error", "internal_error")
        return error_value(message, "invalid_parameter_error")

    def failing(self, *, began: bool) -> list[Event]:
        """An error object, then nothing more."""
        del began
        return [INSPECTION]

    def answer_id(self, number: int) -> str:
        """OpenAI's form."""
        return f"chatcmpl-simqwen{number:06d}"

    def usage(self, counts: Counts) -> dict[str, Any]:
        """With what came from the cache."""
        return {**super().usage(counts), **details(counts), "prompt_tokens_details": {"cached_tokens": 0}}

    def chunk(self, event: Delta | Tail, head: Head) -> dict[str, Any]:
        """`usage` is null on all chunks but its own."""
        choices: list[Any] = []
        if isinstance(event, Delta):
            choices = [{"delta": dict(event.delta), "finish_reason": event.finish, "index": 0, "logprobs": None}]
        return {
            "choices": choices,
            "object": "chat.completion.chunk",
            "usage": self.usage(event.usage) if event.usage else None,
            "created": head.created,
            "system_fingerprint": None,
            "model": head.model,
            "id": self.answer_id(head.number),
        }

    def events(self, talk: Talk, ask: Ask) -> Iterator[Event | Wait | Sleep]:
        """`content` is null while it thinks; end and usage in chunks of their own."""
        if ask.operation == "completions":
            yield from self.completion_events(talk)
            return
        null: dict[str, Any] = {"reasoning_content": None} if talk.thinking else {}
        empty = {"content": None, "role": "assistant", "reasoning_content": ""}
        yield Delta(empty if talk.thinking else {"content": "", "role": "assistant"})
        for piece in talk.thinking:
            yield Delta({"content": None, "reasoning_content": piece}) if isinstance(piece, str) else piece
        for piece in talk.pieces:
            yield Delta({"content": piece, **null}) if isinstance(piece, str) else piece
        yield from self.call_events(talk)
        yield Delta({"content": "", **null}, talk.finish)
        if talk.usage_wanted:
            yield Tail(talk.counts)
        yield DONE

    def call_events(self, talk: Talk) -> Iterator[Event]:
        """After the first piece id and name are empty texts; a piece with null arguments ends each call."""
        for index, call in enumerate(talk.calls):
            middle = len(call.arguments) // 2
            parts = ("", call.arguments[:middle], call.arguments[middle:], None)
            for n, part in enumerate(parts):
                name = {"name": call.name if n == 0 else ""} if n < 2 else {}
                value = {"index": index, "id": self.call_id(talk.number, index) if n == 0 else "", "type": "function"}
                yield Delta({"tool_calls": [{**value, "function": {**name, "arguments": part}}]})

    def message(self, talk: Talk) -> dict[str, Any]:
        """`content` is an empty text beside calls."""
        return {**super().message(talk), "content": talk.text}

    def whole(self, talk: Talk) -> dict[str, Any]:
        """Other places for the same keys."""
        choice = {"message": self.message(talk), "finish_reason": talk.finish, "index": 0, "logprobs": None}
        return {
            "choices": [choice],
            "object": "chat.completion",
            "usage": self.usage(talk.counts),
            "created": talk.created,
            "system_fingerprint": None,
            "model": talk.model,
            "id": self.answer_id(talk.number),
        }

    def entry(self, card: Card) -> dict[str, Any]:
        """Ids and nothing else."""
        return {"id": card.id, "object": "model", "created": 1_790_000_000, "owned_by": "system"}


def _find_fault(ask: Ask, *, thinking: bool) -> str | None:
    body = ask.body
    if body.get("stream_options") is not None and not ask.stream:
        return _ALGO + "'stream_options' can only be set when 'stream' is true."
    if thinking and (body.get("tool_choice") == "required" or isinstance(body.get("tool_choice"), Mapping)):
        return _ALGO + "The tool_choice parameter does not support being set to required or object in thinking mode"
    wanted = body.get("response_format")
    if isinstance(wanted, Mapping) and wanted.get("type") == "json_object":
        if thinking:
            return _ALGO + "Json mode response is not supported when enable_thinking is true"
        if not any("json" in text_of(message.get("content")).lower() for message in ask.messages):
            return _ALGO + (
                "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'."
            )
    temperature = body.get("temperature")
    if isinstance(temperature, (int, float)) and not 0 <= temperature < 2:
        return _ALGO + "'temperature' must be in [0.0, 2.0)."
    parts = [part for message in ask.messages for part in dicts(message.get("content"))]
    if any(part.get("type") == "file" for part in parts):
        return _ALGO + "Content part type 'file' is not supported."
    if any(url.startswith("data:") and mime_of(url) is None for url in image_urls(ask.messages)):
        return _ALGO + "The image format is illegal and cannot be opened."
    return None
