"""Owns how AkashML behaves: vLLM's habits behind a router. Rules: AkashML's documentation and vLLM, read 2026-11."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from ollama_proxy.simulator.actions import Sleep, Wait
from ollama_proxy.simulator.ask import Ask, image_urls, mime_of
from ollama_proxy.simulator.events import DONE, Counts, Delta, Event, Head, Tail
from ollama_proxy.simulator.models import Card
from ollama_proxy.simulator.providers.base import Provider, Reply, details
from ollama_proxy.simulator.shapes.akash import error_value
from ollama_proxy.simulator.talk import Talk

__all__ = ["Akash"]


class Akash(Provider):
    """AkashML."""

    name: ClassVar[str] = "akash"
    title: ClassVar[str] = "Akash"
    real_path: ClassVar[str] = "v1"
    words: ClassVar[Mapping[str, str]] = {
        "bad": "bad-key",
        "leaked": "bad-key",
        "expired": "bad-key-litellm",
        "disabled": "bad-key",
        "rate": "429",
        "day": "429",
        "quota": "402",
        "busy": "429-litellm",
        "context": "400-context",
        "blocked": "400",
        "missing": "404-model",
    }

    def sign_in(self, ask: Ask) -> Reply | None:
        """No key is a wrong key."""
        return None if ask.key else self.reply("bad-key", ask)

    def check(self, ask: Ask) -> Reply | None:
        """The checks of vLLM itself."""
        refused = super().check(ask)
        if refused:
            return refused
        body = ask.body
        if ask.operation == "embeddings" and not ask.model.startswith("BAAI-"):
            return self.reply("404-model", ask)
        if body.get("stream_options") is not None and not ask.stream:
            return self.error(400, "Stream options can only be defined when `stream=True`.", ask)
        if body.get("tool_choice") not in (None, "none") and not ask.tools:
            return self.error(400, "When using `tool_choice`, `tools` must be set.", ask)
        if any(mime_of(url) is None and url.startswith("data:") for url in image_urls(ask.messages)):
            return self.error(400, "Failed to load image: the data is not valid base64.", ask)
        return None

    def thinks(self, ask: Ask) -> bool:
        """`reasoning`, or vLLM's template switch."""
        wanted, template = ask.body.get("reasoning"), ask.body.get("chat_template_kwargs")
        if isinstance(wanted, Mapping):
            return wanted.get("enabled") is not False and wanted.get("effort") != "none"
        if isinstance(template, Mapping) and isinstance(template.get("thinking"), bool):
            return template["thinking"] is True
        return super().thinks(ask)

    def error_body(self, status: int, message: str) -> Any:
        """A number as code."""
        return error_value(status, message, "BadRequestError" if status == 400 else "server_error")

    def answer_headers(self, talk: Talk) -> tuple[tuple[str, str], ...]:
        """The router's own id."""
        return (("inference-id", f"sim-inf-{talk.number}"),)

    def call_id(self, number: int, position: int) -> str:
        """The form that vLLM gives it."""
        return f"chatcmpl-tool-sim{number:06d}{position}"

    def usage(self, counts: Counts) -> dict[str, Any]:
        """Total before completion."""
        usage = {
            "prompt_tokens": counts[0],
            "total_tokens": counts[2],
            "completion_tokens": counts[1],
            "prompt_tokens_details": None,
        }
        return {**usage, **details(counts)}

    def chunk(self, event: Delta | Tail, head: Head) -> dict[str, Any]:
        """With vLLM's nulls."""
        value = super().chunk(event, head)
        if isinstance(event, Delta):
            value["choices"] = [
                {
                    "index": 0,
                    "delta": dict(event.delta),
                    "logprobs": None,
                    "finish_reason": event.finish,
                    "token_ids": None,
                }
            ]
        return value

    def events(self, talk: Talk, ask: Ask) -> Iterator[Event | Wait | Sleep]:
        """The end carries an empty text; usage only if it was asked for."""
        if ask.operation == "completions":
            yield from self.completion_events(talk)
            return
        yield Delta({"role": "assistant", "content": ""})
        for piece in talk.thinking:
            yield Delta({"reasoning_content": piece}) if isinstance(piece, str) else piece
        for piece in talk.pieces:
            yield Delta({"content": piece}) if isinstance(piece, str) else piece
        yield from self.call_events(talk)
        yield Delta({"content": ""}, talk.finish)
        if talk.usage_wanted:
            yield Tail(talk.counts)
        yield DONE

    def call_events(self, talk: Talk) -> Iterator[Event]:
        """First without arguments, then without id and type, in three pieces."""
        for index, call in enumerate(talk.calls):
            first = {"id": self.call_id(talk.number, index), "type": "function", "index": index}
            yield Delta({"tool_calls": [{**first, "function": {"name": call.name}}]})
            third = max(1, len(call.arguments) // 3)
            for part in (call.arguments[:third], call.arguments[third : 2 * third], call.arguments[2 * third :]):
                yield Delta({"tool_calls": [{"index": index, "function": {"arguments": part}}]})

    def message(self, talk: Talk) -> dict[str, Any]:
        """An empty list where no tool is called."""
        return {
            "role": "assistant",
            "content": talk.text if talk.pieces or not talk.calls else None,
            "refusal": None,
            "annotations": None,
            "audio": None,
            "function_call": None,
            "tool_calls": self.calls(talk),
            "reasoning_content": talk.thoughts or None,
        }

    def whole(self, talk: Talk) -> dict[str, Any]:
        """With vLLM's nulls."""
        value = super().whole(talk)
        choice = {"index": 0, "message": self.message(talk), "logprobs": None}
        value["choices"] = [{**choice, "finish_reason": talk.finish, "stop_reason": None}]
        nulls = dict.fromkeys(("service_tier", "system_fingerprint", "prompt_logprobs", "kv_transfer_params"))
        return {**value, **nulls}

    def entry(self, card: Card) -> dict[str, Any]:
        """AkashML's list; the older gateway's is the recorded answer `models-litellm`."""
        features = ["tools", "json_mode"] if card.tools else []
        return {
            "id": card.id,
            "object": "model",
            "created": 1_770_000_000,
            "owned_by": "akashml",
            "name": card.title,
            "context_length": card.context,
            "max_output_length": card.max_output,
            "input_modalities": ["text"],
            "output_modalities": ["text" if card.kind == "chat" else "embeddings"],
            "supported_sampling_parameters": ["temperature", "top_p", "stop", "max_tokens"],
            "supported_features": features + (["reasoning"] if card.thinking else []),
            "quantization": "fp8",
            "pricing": {"input": "0.00000013", "output": "0.0000004", "request": "0"},
        }
