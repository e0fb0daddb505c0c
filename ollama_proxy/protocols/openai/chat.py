"""Owns how a /v1/chat/completions request becomes a Call, and which face its answer gets.

`model` and `stream` are all that is decoded; every other parameter reaches the upstream as it came.
Source: OpenAI API reference, "Create chat completion", read 2026-11.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ollama_proxy.clock import Clock
from ollama_proxy.errors import BadRequest, ProxyError
from ollama_proxy.hub.body import drop_target_keys, is_empty, is_list, is_sdk_retry, read_body, take_flag, take_text
from ollama_proxy.protocols.openai.answer import pass_answer
from ollama_proxy.protocols.openai.errors import render_error
from ollama_proxy.protocols.openai.stream import ChatStream
from ollama_proxy.types import Call, Capability, Headers, Operation, Stream

__all__ = ["ChatFace", "parse_chat"]

_NO_NEEDS: frozenset[Capability] = frozenset()
_NEEDS_TOOLS = frozenset({Capability.TOOLS})


class ChatFace:
    """Chat completions for one request; implements `types.Face`."""

    __slots__ = ("_may_be_silent", "_rnd")

    stream_type = b"text/event-stream"
    answer_type = b"application/json"

    def __init__(self, rnd: Callable[[], float], *, may_be_silent: bool = False) -> None:
        self._rnd = rnd
        self._may_be_silent = may_be_silent

    def open_stream(self) -> Stream:
        """A fresh pass-through stream."""
        return ChatStream(self._rnd, may_be_silent=self._may_be_silent)

    def render_answer(self, reply: bytes) -> bytes:
        """The upstream's answer, mended only where OpenAI's schema is broken; see `pass_answer`."""
        return pass_answer(reply, self._rnd, may_be_silent=self._may_be_silent)

    def render_error(self, error: ProxyError) -> tuple[int, Headers, bytes]:
        """See `errors.render_error`."""
        return render_error(error)


def parse_chat(body: bytes, headers: Mapping[bytes, bytes], clock: Clock) -> Call:
    """The Call for a chat request. The clock's chance serves for ids that an upstream leaves out.

    headers: names in lower case.
    Raises: BadRequest, TooLarge.
    """
    fields: dict[str, Any] = dict(read_body(body))
    model = take_text(fields, "model")
    if not model:
        raise BadRequest("model is required", param="model")
    stream = take_flag(fields, "stream")
    _check_messages(fields.get("messages"))
    drop_target_keys(fields)
    return Call(
        operation=Operation.CHAT,
        model=model,
        body=fields,
        face=ChatFace(clock.rnd, may_be_silent=not is_empty(fields.get("stop"))),
        stream=bool(stream),
        needs=_NO_NEEDS if is_empty(fields.get("tools")) else _NEEDS_TOOLS,
        sdk_retry=is_sdk_retry(headers),
    )


def _check_messages(messages: Any) -> None:
    """Raises: BadRequest unless this is a list with something in it; the upstream judges what."""
    if is_empty(messages):
        # Ollama's words on /v1, which clients and tests look for.
        raise BadRequest("[] is too short - 'messages'", param="messages")
    if not is_list(messages):
        raise BadRequest("'messages' must be a list", param="messages")
