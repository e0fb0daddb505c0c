"""Owns the old text completions of /v1/completions over chat and fill-in-the-middle, which is what upstreams have.

A prompt becomes one user message; with a suffix it is filled in the middle. The answer is told as `text_completion`
objects, reasoning left out: whoever completes code has no use for it. It may be empty: often nothing is missing.
Source: OpenAI API reference, "Completions", read 2026-11.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from ollama_proxy.clock import Clock
from ollama_proxy.errors import BadRequest, ProxyError, UnknownModel, UpstreamError
from ollama_proxy.hub.answer import read_answer
from ollama_proxy.hub.body import drop_target_keys, is_sdk_retry, read_body, take_flag, take_text
from ollama_proxy.hub.convert import DONE
from ollama_proxy.hub.ids import make_call_id
from ollama_proxy.hub.reader import Piece, StreamReader
from ollama_proxy.protocols.openai.errors import error_body, render_error
from ollama_proxy.protocols.openai.stream import HEARTBEAT, event
from ollama_proxy.types import Call, Capability, Headers, Operation, Stream

__all__ = ["CompletionFace", "CompletionStream", "parse_completions"]

#: What chat has no word for, or another meaning (`logprobs` is a number here and a flag there).
_NOT_IN_CHAT = ("echo", "best_of", "logprobs")


def parse_completions(body: bytes, headers: Mapping[bytes, bytes], clock: Clock) -> Call:
    """The Call for a completion request: FIM where there is a suffix, else chat with one user message.

    headers: names in lower case.
    Raises: BadRequest, TooLarge; UnknownModel when no model is named, as Ollama has it.
    """
    fields: dict[str, Any] = dict(read_body(body))
    model = take_text(fields, "model")
    if not model:
        raise UnknownModel("model '' not found", param="model")
    stream = bool(take_flag(fields, "stream"))
    prompt = take_text(fields, "prompt")
    suffix = take_text(fields, "suffix")
    _check_stop(fields)
    for key in _NOT_IN_CHAT:
        fields.pop(key, None)
    drop_target_keys(fields)
    face = CompletionFace(model, clock, include_usage=_wants_usage(fields))
    operation, needs = Operation.CHAT, frozenset[Capability]()
    if suffix:
        operation, needs = Operation.FIM, frozenset({Capability.INSERT})
        fields["prompt"] = prompt or ""
        fields["suffix"] = suffix
    else:
        fields["messages"] = [{"role": "user", "content": prompt or ""}]
    return Call(operation, model, fields, face, stream=stream, needs=needs, sdk_retry=is_sdk_retry(headers))


class CompletionFace:
    """Text completions for one request; implements `types.Face`."""

    __slots__ = ("_clock", "_include_usage", "_model")

    stream_type = b"text/event-stream"
    answer_type = b"application/json"

    def __init__(self, model: str, clock: Clock, *, include_usage: bool = False) -> None:
        self._model = model
        self._clock = clock
        self._include_usage = include_usage

    def open_stream(self) -> Stream:
        """A fresh translator."""
        return CompletionStream(self._envelope(), include_usage=self._include_usage)

    def render_answer(self, reply: bytes) -> bytes:
        """The text_completion for an upstream's chat answer.

        Raises: ErrorInside, UpstreamJunk, StreamInterrupted.
        """
        answer = read_answer(reply, may_be_silent=True)
        whole = {**self._envelope(), "choices": [_choice(answer.text, answer.finish)]}
        if answer.usage is not None:
            whole["usage"] = answer.usage
        return msgspec.json.encode(whole)

    def render_error(self, error: ProxyError) -> tuple[int, Headers, bytes]:
        """See `errors.render_error`."""
        return render_error(error)

    def _envelope(self) -> dict[str, Any]:
        return {
            "id": make_call_id(self._clock.rnd()).replace("call_", "cmpl-"),
            "object": "text_completion",
            "created": int(self._clock.wall()),
            "model": self._model,
        }


class CompletionStream:
    """One attempt's stream of text_completion chunks; implements `types.Stream`."""

    __slots__ = ("_envelope", "_include_usage", "_reader", "_unsent", "committed", "progress", "usage")

    def __init__(self, envelope: dict[str, Any], *, include_usage: bool) -> None:
        self._envelope = envelope
        self._include_usage = include_usage
        self._reader = StreamReader(may_be_silent=True)
        self._unsent = b""
        self.committed = False
        self.progress = 0
        self.usage: Mapping[str, Any] | None = None

    @property
    def over(self) -> bool:
        """See `types.Stream`."""
        return self._reader.done

    def feed(self, data: bytes) -> bytes:
        """See `types.Stream.feed`."""
        return self._sent(self._read(lambda: self._reader.feed(data)))

    def finish(self) -> bytes:
        """See `types.Stream.finish`."""
        ready = self._read(self._reader.close)
        last = self._event([_choice("", self._reader.finish)])
        if self._include_usage and self._reader.usage is not None:
            last += self._event([], usage=self._reader.usage)
        return self._sent(ready + last) + DONE

    def heartbeat(self) -> bytes:
        """A comment."""
        return HEARTBEAT

    def render_error(self, error: ProxyError) -> bytes:
        """What came before the error in the same bytes, then the error; no `[DONE]`."""
        unsent = self._unsent
        self._unsent = b""
        return unsent + event(error_body(error))

    def _read(self, read: Callable[[], list[Piece]]) -> bytes:
        reader = self._reader
        try:
            return self._render(read())
        except UpstreamError:
            self._unsent = self._render(reader.unsent)
            raise
        finally:
            self.progress = reader.progress
            self.usage = reader.usage

    def _render(self, pieces: list[Piece]) -> bytes:
        return b"".join([self._event([_choice(piece.text, None)]) for piece in pieces if piece.text])

    def _event(self, choices: list[dict[str, Any]], **more: Any) -> bytes:
        return event(msgspec.json.encode({**self._envelope, "choices": choices, **more}))

    def _sent(self, ready: bytes) -> bytes:
        self.committed = self.committed or bool(ready)
        return ready


def _choice(text: str, finish: str | None) -> dict[str, Any]:
    return {"text": text, "index": 0, "logprobs": None, "finish_reason": finish}


def _wants_usage(fields: Mapping[str, Any]) -> bool:
    options = _decoded(fields, "stream_options", dict[str, Any], "an object")
    return isinstance(options, dict) and options.get("include_usage") is True


def _check_stop(fields: Mapping[str, Any]) -> None:
    _decoded(fields, "stop", str | list[str], "a string or a list of strings")


def _decoded(fields: Mapping[str, Any], key: str, kind: Any, words: str) -> Any:
    value = fields.get(key)
    if value is None:
        return None
    try:
        return msgspec.json.decode(value, type=kind | None)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadRequest(f"invalid type for '{key}' field: {words} is expected", param=key) from error
