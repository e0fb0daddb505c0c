"""Owns how one chat or generate request is answered. Knows neither how it was asked nor who answers it."""

from __future__ import annotations

from dataclasses import dataclass, field

from ollama_proxy.errors import ProxyError, UnknownModel
from ollama_proxy.hub.answer import read_answer
from ollama_proxy.hub.tool_calls import told_calls
from ollama_proxy.protocols.ollama.calls import render_call, render_logprobs
from ollama_proxy.protocols.ollama.errors import JSON, NDJSON, render_error
from ollama_proxy.protocols.ollama.metrics import Moments, render_metrics
from ollama_proxy.protocols.ollama.names import Place, told_as
from ollama_proxy.protocols.ollama.shapes import Said, Stamp, done
from ollama_proxy.protocols.ollama.stream import OllamaStream
from ollama_proxy.protocols.ollama.terms import Terms
from ollama_proxy.types import Headers
from ollama_proxy.wire.ndjson import quote

__all__ = ["OllamaFace"]


@dataclass(slots=True)
class OllamaFace:
    """types.Face for /api/chat and /api/generate. place: in whose words errors are told."""

    place: Place
    terms: Terms
    streaming: bool
    stream_type: bytes = field(default=NDJSON, init=False)
    answer_type: bytes = field(default=JSON, init=False)

    def open_stream(self) -> OllamaStream:
        """A fresh translator."""
        return OllamaStream(self.terms)

    def render_answer(self, reply: bytes) -> bytes:
        """The one object for an upstream's whole answer."""
        terms = self.terms
        answer = read_answer(reply, split_tags=terms.split_tags, may_be_silent=terms.may_be_silent)
        calls = told_calls(answer.calls, answer.finish, terms.clock.rnd)
        said = Said(
            text=quote(answer.text),
            thinking=quote(answer.thinking) if answer.thinking and not self.terms.hide_thinking else b"",
            calls=b",".join(render_call(call, index) for index, call in enumerate(calls)),
            logprobs=render_logprobs(answer.logprobs) if self.terms.logprobs else b"",
            done=done("length" if answer.finish == "length" else "stop", context=self.terms.context),
            metrics=render_metrics(Moments(self.terms.started), self.terms.clock.now(), answer.usage),
        )
        return self.render_local(said)

    def render_local(self, said: Said) -> bytes:
        """One object that needed no upstream."""
        return Stamp(self.terms.model, self.terms.clock.wall).line(b"", self.terms.shape.rest(said), b"")

    def render_error(self, error: ProxyError) -> tuple[int, Headers, bytes]:
        """Status, headers and body while nothing was sent."""
        if isinstance(error, UnknownModel):
            error = told_as(self.place, self.terms.model, error)
        return render_error(error, instead_of_stream=self.streaming)
