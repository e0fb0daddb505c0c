"""Owns the stream of the Messages API: pieces of the upstream's answer become events, block after block.

The order is Anthropic's (Anthropic docs, "Streaming messages", read 2026-11): message_start; for each block, numbered
from 0, start, deltas, stop; message_delta with the reason and the usage; message_stop. A tool call is told whole once
it is complete, so that no client gets arguments that are no JSON. The end is held until the upstream's `[DONE]` or its
end, because usage comes after the finish reason.
"""

from __future__ import annotations

from typing import Any

from ollama_proxy.errors import ProxyError, StreamInterrupted, UpstreamError, UpstreamJunk
from ollama_proxy.hub.piece_stream import PieceStream
from ollama_proxy.hub.reader import Piece
from ollama_proxy.hub.tool_calls import told_calls
from ollama_proxy.protocols.anthropic.ending import start_usage, stop_reason, usage_of
from ollama_proxy.protocols.anthropic.errors import error_body
from ollama_proxy.protocols.anthropic.terms import Terms
from ollama_proxy.wire.ndjson import encode_line, quote

__all__ = ["MessageStream"]

_PING = b'event: ping\ndata: {"type":"ping"}\n\n'
_STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
_START = b'event: content_block_start\ndata: {"type":"content_block_start","index":%d,"content_block":%b}\n\n'
_DELTA = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":{"type":"%b_delta","%b":'
_TOOL_USE = b'{"type":"tool_use","id":%b,"name":%b,"input":{}}'
_BLOCKS = {
    "text": b'{"type":"text","text":""}',
    "thinking": b'{"type":"thinking","thinking":"","signature":""}',
}


class MessageStream(PieceStream):
    """One attempt's stream; implements `types.Stream`."""

    __slots__ = (
        "_calls_told",
        "_delta",
        "_index",
        "_kind",
        "_said",
        "_started",
        "_terms",
    )

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        super().__init__(may_be_silent=terms.may_be_silent)
        self._started = False
        self._index = -1  # of the latest block
        self._kind = ""  # of the open block; "" when none is
        self._delta = b""  # what a delta of the open block begins with
        self._calls_told = 0
        self._said = 0  # bytes of text, thoughts and arguments

    def heartbeat(self) -> bytes:
        """Anthropic's own `ping`, which may come at any time."""
        return _PING

    def render_error(self, error: ProxyError) -> bytes:
        """What came before the error in the same bytes, then the error; no `message_stop`."""
        unsent = self._take_unsent()
        return unsent + b"event: error\ndata: " + error_body(error, self._terms.request_id) + b"\n\n"

    # --- blocks -------------------------------------------------------------------------------------------------------

    def _deltas(self, pieces: list[Piece]) -> bytes:
        out: list[bytes] = []
        for text, thinking, _ in pieces:
            if thinking and not self._terms.hide_thinking:
                if self._kind != "thinking":
                    out.append(self._open("thinking", _BLOCKS["thinking"]))
                out.append(self._say(thinking))
            if text:
                if self._kind != "text":
                    out.append(self._open("text", _BLOCKS["text"]))
                out.append(self._say(text))
        return out[0] if len(out) == 1 else b"".join(out)

    def _say(self, text: str) -> bytes:
        """A delta of the open block."""
        literal = quote(text)
        self._said += len(literal) - 2
        return self._delta + literal + b"}}\n\n"

    def _calls(self) -> bytes:
        """Blocks for the calls that were not told yet; they are whole once the finish reason came."""
        calls = self._reader.calls
        if len(calls) == self._calls_told:
            return b""
        try:
            told = told_calls(calls, self._reader.finish, self._terms.clock.rnd)
        except UpstreamJunk as error:
            if self.committed:
                raise StreamInterrupted(error.message) from None
            raise
        out = []
        for call in told[self._calls_told :]:
            out.append(self._open("input_json", _TOOL_USE % (quote(call.id), quote(call.name))))
            out.append(self._say(call.arguments.decode()))
        self._calls_told = len(told)
        return b"".join(out)

    def _open(self, kind: str, block: bytes) -> bytes:
        out = self._shut() if self._started else self._start()
        self._index += 1
        self._kind = kind
        field = "partial_json" if kind == "input_json" else kind
        self._delta = _DELTA % (self._index, kind.encode(), field.encode())
        return out + _START % (self._index, block)

    def _shut(self) -> bytes:
        if not self._kind:
            return b""
        self._kind = ""
        return b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n' % self._index

    # --- the message --------------------------------------------------------------------------------------------------

    def _start(self) -> bytes:
        self._started = True
        terms = self._terms
        message: dict[str, Any] = {
            "id": terms.message_id,
            "type": "message",
            "role": "assistant",
            "model": terms.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": start_usage(self._reader.usage, terms.estimate),
        }
        return _event(b"message_start", {"type": "message_start", "message": message})

    def _last(self, pieces: list[Piece]) -> bytes:
        out = self._deltas(pieces)
        try:
            return out + self._close()
        except UpstreamError:
            self._unsent = out
            raise

    def _close(self) -> bytes:
        out = self._calls()
        if not self._started:
            out += self._start()
        self.over = True
        reason = stop_reason(self._reader.finish, calls=self._calls_told > 0)
        told = {
            "type": "message_delta",
            "delta": {"stop_reason": reason, "stop_sequence": None},
            "usage": usage_of(self._reader.usage, self._terms.estimate, self._said),
        }
        return out + self._shut() + _event(b"message_delta", told) + _STOP


def _event(name: bytes, data: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n" % (name, encode_line(data))
