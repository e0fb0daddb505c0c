"""Owns how one request is answered in the Responses API: the face, and the answer in one piece.

Source: OpenAI API reference, "Responses", read 2026-11. Text beside calls is kept, where Ollama 0.33 drops it.
"""

from __future__ import annotations

from typing import Any

from ollama_proxy.errors import ProxyError
from ollama_proxy.hub.answer import WholeAnswer, read_answer
from ollama_proxy.hub.ids import make_hex_id
from ollama_proxy.hub.tool_calls import told_calls
from ollama_proxy.protocols.responses.errors import render_error
from ollama_proxy.protocols.responses.shape import Terms, call_item, ended, message_item, reasoning_item, usage_of
from ollama_proxy.protocols.responses.stream import ResponseStream
from ollama_proxy.types import Headers, Stream
from ollama_proxy.wire.ndjson import encode_line

__all__ = ["ResponsesFace"]


class ResponsesFace:
    """One request's answer; implements `types.Face`."""

    __slots__ = ("_terms",)

    stream_type = b"text/event-stream"
    answer_type = b"application/json"

    def __init__(self, terms: Terms) -> None:
        self._terms = terms

    def open_stream(self) -> Stream:
        """A fresh translator."""
        return ResponseStream(self._terms)

    def render_answer(self, reply: bytes) -> bytes:
        """The response object for an upstream's whole answer.

        Raises: ErrorInside, UpstreamJunk, StreamInterrupted.
        """
        terms = self._terms
        answer = read_answer(reply)
        response = ended(
            terms.frame, answer.finish, self._output(answer), usage_of(answer.usage), int(terms.clock.wall())
        )
        return encode_line(response)

    def render_error(self, error: ProxyError) -> tuple[int, Headers, bytes]:
        """See `errors.render_error`."""
        return render_error(error, self._terms.clock.wall())

    def _output(self, answer: WholeAnswer) -> list[dict[str, Any]]:
        terms = self._terms
        rnd = terms.clock.rnd
        calls = told_calls(answer.calls, answer.finish, rnd, terms.names.rescue)
        output = []
        if answer.thinking:
            output.append(reasoning_item(make_hex_id("rs_", rnd), answer.thinking))
        if answer.text or not calls:
            output.append(message_item(make_hex_id("msg_", rnd), answer.text, answer.finish))
        output += [call_item(call, terms.names, rnd) for call in calls]
        return output
