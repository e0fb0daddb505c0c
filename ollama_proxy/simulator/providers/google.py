"""Owns how Gemini's OpenAI-compatible endpoint behaves: sign-in, the chunks' shape, thoughts, signatures, lists.

Rules: Google AI for Developers (OpenAI compatibility, thinking, thought signatures), reports of clients, read 2026-11.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from ollama_proxy.simulator.actions import Sleep, Wait
from ollama_proxy.simulator.ask import Ask
from ollama_proxy.simulator.events import DONE, Counts, Delta, Event, Head, Tail, Whole, compact
from ollama_proxy.simulator.models import Card
from ollama_proxy.simulator.providers import google_rules as rules
from ollama_proxy.simulator.providers.base import Provider, Reply, page
from ollama_proxy.simulator.shapes.google import error_value
from ollama_proxy.simulator.talk import Call, Talk

__all__ = ["Google", "signature_of"]

#: Google's stand-in for histories that come from another model (thought signatures, read 2026-11).
STAND_IN = "skip_thought_signature_validator"


def signature_of(name: str, arguments: str) -> str:
    """The signature this simulator gives a call; it depends on the call alone, so a restart does not spoil it."""
    try:
        arguments = json.dumps(json.loads(arguments), sort_keys=True)
    except (ValueError, RecursionError):
        arguments = "?"
    digest = hashlib.sha256(f"{name}\0{arguments}".encode("utf-8", "replace")).digest()
    return base64.b64encode(b"sim-signature:" + digest[:12]).decode()


class Google(Provider):
    """Gemini."""

    name: ClassVar[str] = "google"
    title: ClassVar[str] = "Google"
    real_path: ClassVar[str] = "v1beta/openai"
    routes: ClassVar[Mapping[tuple[str, str], str]] = {
        ("POST", "/chat/completions"): "chat",
        ("POST", "/embeddings"): "embeddings",
        ("GET", "/models"): "models",
        ("GET", "/v1beta/models"): "models-native",
    }
    words: ClassVar[Mapping[str, str]] = {
        "bad": "bad-key",
        "leaked": "key-leaked",
        "expired": "key-expired",
        "disabled": "403-disabled",
        "rate": "429",
        "day": "429-day",
        "quota": "429-limit0",
        "busy": "503",
        "context": "400-context",
        "blocked": "empty-safety",
        "missing": "404-model",
    }
    most_inputs: ClassVar[int] = 100

    # Requests

    def sign_in(self, ask: Ask) -> Reply | None:
        """Bearer and nothing beside it; the native list takes `x-goog-api-key` (or `?key=`) and nothing beside it."""
        given = [bool(ask.headers.get("authorization")), "x-goog-api-key" in ask.headers, "key" in ask.query]
        if sum(given) > 1:
            return self.reply("400-double-auth", ask)
        if ask.operation == "models-native":
            return None if ask.key else self.error(403, "Method doesn't allow unregistered callers.", ask)
        if not given[0] or not ask.key:
            return self.error(400, "Missing or invalid Authorization header.", ask)
        return None

    def check(self, ask: Ask) -> Reply | None:
        """What Gemini refuses, in the order in which it looks."""
        unknown = rules.unknown_names(ask)
        if unknown:
            return self._unknown(unknown)
        if ask.operation != "chat":
            return super().check(ask)
        fault = rules.find_fault(ask)
        return self.error(400, fault, ask) if fault else self._check_signatures(ask)

    def thinks(self, ask: Ask) -> bool:
        """Thoughts are shown when `include_thoughts` asks for them; Gemma shows them by itself."""
        return rules.thinking_config(ask).get("include_thoughts") is True or ask.model.startswith("gemma-4")

    def error_body(self, status: int, message: str) -> Any:
        """A list with one object."""
        return error_value(status, message)

    def failing(self, *, began: bool) -> list[Event]:
        """An error object, and no end mark (inferred: no capture is public)."""
        del began
        return [Whole(error_value(503, "The model is overloaded. Please try again later.")[0])]

    def _unknown(self, names: list[str]) -> Reply:
        lines = [f"Invalid JSON payload received. Unknown name {name}: Cannot find field." for name in names]
        detail = {
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": [{"description": line} for line in lines],
        }
        return Reply("400-unknown-name", 400, compact(error_value(400, "\n".join(lines), details=[detail])))

    def _check_signatures(self, ask: Ask) -> Reply | None:
        """Since Gemini 3: of the calls after the last user message, each turn's first must bring its signature back."""
        if not _signs(ask.model):
            return None
        for position, call, given in rules.calls_to_check(ask):
            name = str(call.get("name"))
            if not given:
                return self.reply("400-missing-signature", ask, tool=name, position=str(position))
            if given not in {STAND_IN, signature_of(name, str(call.get("arguments")))}:
                return self.error(400, "Thought signature is not valid.", ask)
        return None

    # Answers

    def answer_id(self, number: int) -> str:
        """No `chatcmpl` here."""
        return base64.urlsafe_b64encode(f"sim-gm-{number:08d}".encode()).decode().rstrip("=")

    def call_id(self, number: int, position: int) -> str:
        """Eight letters and digits."""
        return f"s{number:05x}c{position}"

    def usage(self, counts: Counts) -> dict[str, Any]:
        """Sorted by name, as everything here."""
        return {"completion_tokens": counts[1], "prompt_tokens": counts[0], "total_tokens": counts[2]}

    def chunk(self, event: Delta | Tail, head: Head) -> dict[str, Any]:
        """`finish_reason` only where there is one."""
        choices: list[Any] = []
        if isinstance(event, Delta):
            finish = {"finish_reason": event.finish} if event.finish else {}
            choices = [{"delta": dict(event.delta), **finish, "index": 0}]
        value = {
            "choices": choices,
            "created": head.created,
            "id": self.answer_id(head.number),
            "model": head.model,
            "object": "chat.completion.chunk",
        }
        return {**value, "usage": self.usage(event.usage)} if event.usage else value

    def events(self, talk: Talk, ask: Ask) -> Iterator[Event | Wait | Sleep]:
        """Role and growing usage on every chunk; thoughts are left out of completion_tokens, not out of the total."""
        meter = _Meter(talk)
        opening = ""
        if talk.thinking:
            yield from self._thought_chunks(talk, meter)
            opening = "ught>"
        if opening and not talk.text:
            yield Delta({"content": opening, "role": "assistant"}, usage=meter.say(""))
        for index, item in enumerate(talk.pieces):
            if not isinstance(item, str):
                yield item
                continue
            last = index == len(talk.pieces) - 1 and not talk.calls
            finish = talk.finish if last else None
            yield Delta({"content": opening + item, "role": "assistant"}, finish, meter.say(item, last=last))
            opening = ""
        if talk.calls:
            yield from self._call_chunks(talk, meter)
        elif not talk.pieces or not isinstance(talk.pieces[-1], str):
            yield Delta({"role": "assistant"}, talk.finish, meter.say("", last=True))
        yield DONE

    def _thought_chunks(self, talk: Talk, meter: _Meter) -> Iterator[Event | Wait | Sleep]:
        """Thoughts inside the content; their tags are cut in two, as the real ones sometimes are."""
        extra = {"extra_content": {"google": {"thought": True}}}
        yield Delta({"content": "<tho", **extra, "role": "assistant"}, usage=meter.say(""))
        opening = "ught>"
        for piece in talk.thinking:
            if not isinstance(piece, str):
                yield piece
                continue
            yield Delta({"content": opening + piece, **extra, "role": "assistant"}, usage=meter.think())
            opening = ""
        yield Delta({"content": "</tho", "role": "assistant"}, usage=meter.say(""))

    def _call_chunks(self, talk: Talk, meter: _Meter) -> Iterator[Event]:
        """2.5: all in one chunk, every index 0, no ids, and the end says stop. Later: one a chunk, without index."""
        if not _signs(talk.model):
            calls = [
                {"index": 0, "id": "", "type": "function", "function": {"name": c.name, "arguments": c.arguments}}
                for c in talk.calls
            ]
            yield Delta({"role": "assistant", "tool_calls": calls}, usage=meter.call(*talk.calls))
            yield Delta({"role": "assistant"}, "stop", meter.say("", last=True))
            return
        for call, value in zip(talk.calls, self.calls(talk), strict=True):
            yield Delta({"role": "assistant", "tool_calls": [value]}, usage=meter.call(call))
        yield Delta({"role": "assistant"}, talk.finish, meter.say("", last=True))

    def calls(self, talk: Talk) -> list[dict[str, Any]]:
        """The first call of a turn is signed, the others are not."""
        values: list[dict[str, Any]] = []
        for index, call in enumerate(talk.calls):
            signed = index == 0 and _signs(talk.model)
            signature = {"google": {"thought_signature": signature_of(call.name, call.arguments)}}
            values.append(
                {
                    **({"extra_content": signature} if signed else {}),
                    "function": {"arguments": call.arguments, "name": call.name},
                    "id": self.call_id(talk.number, index),
                    "type": "function",
                }
            )
        return values

    def message(self, talk: Talk) -> dict[str, Any]:
        """No `content` beside calls; thoughts stand before the text."""
        message: dict[str, Any] = {"role": "assistant"}
        if talk.thinking:
            message["content"] = f"<thought>{talk.thoughts}</thought>{talk.text}"
        elif talk.pieces:
            message["content"] = talk.text
        return {**message, "tool_calls": self.calls(talk)} if talk.calls else message

    def whole(self, talk: Talk) -> dict[str, Any]:
        """Keys sorted by name, usage without thoughts."""
        return {
            "choices": [{"finish_reason": talk.finish, "index": 0, "message": self.message(talk)}],
            "created": talk.created,
            "id": self.answer_id(talk.number),
            "model": talk.model,
            "object": "chat.completion",
            "usage": self.usage(_Meter(talk).total()),
        }

    def embedding_body(self, ask: Ask, rows: list[dict[str, Any]]) -> dict[str, Any]:
        """No usage."""
        return {"object": "list", "data": rows, "model": ask.model}

    # Lists

    def listing(self, ask: Ask) -> Reply:
        """The compat list, or the native one in pages of `pageSize`."""
        if ask.operation != "models-native":
            return super().listing(ask)
        start, size = page(ask.query.get("pageToken", ""), ask.query.get("pageSize", ""))
        rows = [_native(card) for card in self.cards]
        body: dict[str, Any] = {"models": rows[start : start + size]}
        if start + size < len(rows):
            body["nextPageToken"] = f"p{start + size}"
        return Reply("models-native", 200, compact(body))

    def entry(self, card: Card) -> dict[str, Any]:
        """The id has a prefix; a title is not always there."""
        titled = {"display_name": card.title} if card.kind == "chat" and "gemma" not in card.id else {}
        return {"id": f"models/{card.id}", "object": "model", "owned_by": "google", **titled}


def _signs(model: str) -> bool:
    return model.startswith(("gemini-3", "gemini-4", "gemini-flash", "gemini-pro"))


class _Meter:
    """Counts tokens while the answer goes on."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._thought = self._said = 0

    def think(self) -> Counts:
        self._thought += 1
        return self._now()

    def say(self, text: str, *, last: bool = False) -> Counts:
        self._said += bool(text)
        return self.total() if last else self._now()

    def call(self, *calls: Call) -> Counts:
        self._said += sum((len(c.name + c.arguments) + 3) // 4 for c in calls)
        return self._now()

    def total(self) -> Counts:
        """The last word on usage."""
        talk = self._talk
        if talk.usage is not None:
            return talk.usage
        return talk.prompt_tokens, talk.answer_tokens, talk.prompt_tokens + talk.answer_tokens + talk.thinking_tokens

    def _now(self) -> Counts:
        prompt = self._talk.prompt_tokens
        return prompt, self._said, prompt + self._said + self._thought


def _native(card: Card) -> dict[str, Any]:
    methods = {"chat": ["generateContent", "countTokens"], "embedding": ["embedContent"]}.get(card.kind, ["predict"])
    entry: dict[str, Any] = {
        "name": f"models/{card.id}",
        "version": "001",
        "displayName": card.title,
        "inputTokenLimit": card.context,
        "outputTokenLimit": card.max_output,
        "supportedGenerationMethods": methods,
    }
    if card.kind == "chat":
        entry |= {"temperature": 1, "topP": 0.95, "topK": 64, "maxTemperature": 2, "thinking": card.thinking}
    return entry
