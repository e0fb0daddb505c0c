"""Owns how one request is answered in the Messages API: the face, and the answer in one piece.

Source: Anthropic API reference, "Messages", read 2026-11. An empty answer has the content [], where Ollama 0.33 sends
null and SDKs fail. The signature of a thinking block is empty: nobody signed it.
"""

from __future__ import annotations

from typing import Any

from msgspec import Raw

from ollama_proxy.errors import ProxyError
from ollama_proxy.hub.answer import WholeAnswer, read_answer
from ollama_proxy.hub.tool_calls import ToldCall, told_calls
from ollama_proxy.protocols.anthropic.ending import stop_reason, usage_of
from ollama_proxy.protocols.anthropic.errors import render_error
from ollama_proxy.protocols.anthropic.stream import MessageStream
from ollama_proxy.protocols.anthropic.terms import Terms
from ollama_proxy.types import Headers, Stream
from ollama_proxy.wire.ndjson import encode_line

__all__ = ["MessagesFace"]


class MessagesFace:
    """One request's answer; implements `types.Face`."""

    __slots__ = ("_terms",)

    stream_type = b"text/event-stream"
    answer_type = b"application/json"

    def __init__(self, terms: Terms) -> None:
        self._terms = terms

    def open_stream(self) -> Stream:
        """A fresh translator."""
        return MessageStream(self._terms)

    def render_answer(self, reply: bytes) -> bytes:
        """The message for an upstream's whole answer.

        Raises: ErrorInside, UpstreamJunk, StreamInterrupted.
        """
        terms = self._terms
        answer = read_answer(reply, may_be_silent=terms.may_be_silent)
        calls = told_calls(answer.calls, answer.finish, terms.clock.rnd)
        said = [answer.text.encode("utf-8", "replace"), *(call.arguments for call in calls)]
        if not terms.hide_thinking:
            said.append(answer.thinking.encode("utf-8", "replace"))
        return encode_line(
            {
                "id": terms.message_id,
                "type": "message",
                "role": "assistant",
                "model": terms.model,
                "content": self._content(answer, calls),
                "stop_reason": stop_reason(answer.finish, calls=bool(calls)),
                "stop_sequence": None,
                "usage": usage_of(answer.usage, terms.estimate, sum(map(len, said))),
            }
        )

    def render_error(self, error: ProxyError) -> tuple[int, Headers, bytes]:
        """See `errors.render_error`."""
        return render_error(error, self._terms.request_id)

    def _content(self, answer: WholeAnswer, calls: list[ToldCall]) -> list[dict[str, Any]]:
        content: list[dict[str, Any]] = []
        if answer.thinking and not self._terms.hide_thinking:
            content.append({"type": "thinking", "thinking": answer.thinking, "signature": ""})
        if answer.text:
            content.append({"type": "text", "text": answer.text})
        content += [
            {"type": "tool_use", "id": call.id, "name": call.name, "input": Raw(call.arguments)} for call in calls
        ]
        return content
