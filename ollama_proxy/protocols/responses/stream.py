"""Owns the stream of the Responses API: pieces of the upstream's answer become events, item after item.

The order is Ollama 0.33's, whose clients are Codex and the SDKs: response.created, response.in_progress; for thoughts,
text and each call their item, from output_item.added to output_item.done; response.completed with everything again
(response.incomplete where the answer was cut), and no `[DONE]`. Every event has the next sequence_number. A call is
told whole once it is complete. The end is held until the upstream's, because usage comes after the finish reason.
Source: OpenAI API reference, "Responses" (streaming events), read 2026-11.
"""

from __future__ import annotations

import io
from typing import Any

from ollama_proxy.errors import ProxyError, StreamInterrupted, UpstreamError, UpstreamJunk
from ollama_proxy.hub.budget import ITEM
from ollama_proxy.hub.ids import make_hex_id
from ollama_proxy.hub.piece_stream import PieceStream
from ollama_proxy.hub.reader import Piece
from ollama_proxy.hub.tool_calls import told_calls
from ollama_proxy.protocols.openai.stream import HEARTBEAT
from ollama_proxy.protocols.responses.shape import Terms, call_item, ended, message_item, reasoning_item, usage_of
from ollama_proxy.protocols.responses.shape import text_part_of as part_of
from ollama_proxy.wire.ndjson import encode_line, quote

__all__ = ["ResponseStream"]

_DELTA = b'event: response.%b.delta\ndata: {"type":"response.%b.delta","sequence_number":'
#: Kind of item -> what its events are called, which of its parts they speak of, and what a delta ends with.
_KINDS = {
    "reasoning": ("reasoning_summary_text", "summary_index", b"}\n\n"),
    "text": ("output_text", "content_index", b',"logprobs":[]}\n\n'),
}
#: Type of a call -> what its events are called, and which of its fields they tell.
_CALLS = {
    "function_call": ("function_call_arguments", "arguments"),
    "custom_tool_call": ("custom_tool_call_input", "input"),
}


class ResponseStream(PieceStream):
    """One attempt's stream; implements `types.Stream`."""

    __slots__ = (
        "_calls_told",
        "_head",
        "_item_id",
        "_kind",
        "_middle",
        "_output",
        "_sequence",
        "_tail",
        "_terms",
        "_text",
    )

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        super().__init__()
        self._sequence = 0
        self._output: list[dict[str, Any]] = []  # finished items
        self._kind = ""  # of the open item; "" when none is
        self._item_id = ""
        self._text = io.BytesIO()  # what the open item says, in UTF-8: told again at its end
        # What a delta of the open item is put together from.
        self._head = self._middle = self._tail = b""
        self._calls_told = 0

    def heartbeat(self) -> bytes:
        """A comment."""
        return HEARTBEAT

    def render_error(self, error: ProxyError) -> bytes:
        """What came before the error in the same bytes, then `response.failed`; no `response.completed`."""
        unsent = self._take_unsent()
        begun = b"" if self._sequence else self._start()
        failure = {"code": _code(error), "message": error.message}
        response = {**self._terms.frame, "status": "failed", "error": failure, "output": self._output}
        return unsent + begun + self._event("failed", response=response)

    # --- items --------------------------------------------------------------------------------------------------------

    def _deltas(self, pieces: list[Piece]) -> bytes:
        out: list[bytes] = []
        try:
            for text, thinking, _ in pieces:
                if thinking:
                    if self._kind != "reasoning":
                        out.append(self._open("reasoning"))
                    out.append(self._delta(thinking))
                if text:
                    if self._kind != "text":
                        out.append(self._open("text"))
                    out.append(self._delta(text))
        except UpstreamJunk:
            self._unsent = b"".join(out)
            raise
        return out[0] if len(out) == 1 else b"".join(out)

    def _delta(self, text: str) -> bytes:
        raw = text.encode()
        self._reader.budget.spend(len(raw))
        self._text.write(raw)
        number = self._sequence
        self._sequence = number + 1
        return b"%b%d%b%b%b" % (self._head, number, self._middle, quote(text), self._tail)

    def _open(self, kind: str) -> bytes:
        self._reader.budget.spend(ITEM)
        out = self._shut() if self._sequence else self._start()
        self._kind = kind
        self._text = io.BytesIO()
        is_text = kind == "text"
        self._item_id = make_hex_id("msg_" if is_text else "rs_", self._terms.clock.rnd)
        item = (
            message_item(self._item_id, None) if is_text else {"id": self._item_id, "type": "reasoning", "summary": []}
        )
        out += self._event("output_item.added", output_index=len(self._output), item=item)
        if is_text:
            out += self._event("content_part.added", **self._place(), part=part_of(""))
        name, _, self._tail = _KINDS[kind]
        self._head = _DELTA % (name.encode(), name.encode())
        self._middle = b"," + encode_line(self._place())[1:-2] + b',"delta":'
        return out

    def _place(self) -> dict[str, Any]:
        """Where in the output the open item's text stands."""
        return {"item_id": self._item_id, "output_index": len(self._output), _KINDS[self._kind][1]: 0}

    def _shut(self, finish: str | None = "stop") -> bytes:
        """The end of the open item, if there is one."""
        if not self._kind:
            return b""
        text, place = self._text.getvalue().decode(), self._place()
        if self._kind == "text":
            item = message_item(self._item_id, text, finish)
            out = self._event("output_text.done", **place, text=text, logprobs=[])
            out += self._event("content_part.done", **place, part=part_of(text))
        else:
            item = reasoning_item(self._item_id, text)
            out = self._event("reasoning_summary_text.done", **place, text=text)
        self._kind = ""
        return out + self._done(item)

    def _done(self, item: dict[str, Any]) -> bytes:
        self._output.append(item)
        return self._event("output_item.done", output_index=len(self._output) - 1, item=item)

    def _calls(self) -> bytes:
        """Items for the calls that were not told yet; they are whole once the finish reason came."""
        calls = self._reader.calls
        if len(calls) == self._calls_told:
            return b""
        try:
            told = told_calls(calls, self._reader.finish, self._terms.clock.rnd, self._terms.names.rescue)
        except UpstreamJunk as error:
            if self.committed:
                raise StreamInterrupted(error.message) from None
            raise
        out = b""
        for call in told[self._calls_told :]:
            out += self._shut() if self._sequence else self._start()
            item = call_item(call, self._terms.names, self._terms.clock.rnd)
            events, told_in = _CALLS[item["type"]]
            place = {"item_id": item["id"], "output_index": len(self._output)}
            begun = {**item, "status": "in_progress", told_in: ""}
            out += self._event("output_item.added", output_index=len(self._output), item=begun)
            out += self._event(f"{events}.delta", **place, delta=item[told_in])
            out += self._event(f"{events}.done", **place, **{told_in: item[told_in]})
            out += self._done(item)
        self._calls_told = len(told)
        return out

    # --- the response -------------------------------------------------------------------------------------------------

    def _start(self) -> bytes:
        frame = self._terms.frame
        return self._event("created", response=frame) + self._event("in_progress", response=frame)

    def _last(self, pieces: list[Piece]) -> bytes:
        out = self._deltas(pieces)
        try:
            return out + self._close()
        except UpstreamError:
            self._unsent = out
            raise

    def _close(self) -> bytes:
        out = self._calls()
        finish = self._reader.finish
        if self._kind != "text" and not any(item["type"] != "reasoning" for item in self._output):
            out += self._open("text")  # where nothing was said, a message says so
        out += self._shut(finish)
        self.over = True
        response = ended(
            self._terms.frame, finish, self._output, usage_of(self._reader.usage), int(self._terms.clock.wall())
        )
        return out + self._event(response["status"], response=response)

    def _event(self, name: str, **fields: Any) -> bytes:
        number = self._sequence
        self._sequence = number + 1
        data = encode_line({"type": f"response.{name}", "sequence_number": number, **fields})
        return b"event: response.%b\ndata: %b\n" % (name.encode(), data)


def _code(error: ProxyError) -> str:
    """OpenAI's word for it; Codex tells a full context and a rate limit from what is worth another try.

    A limit of hours keeps its name here: `insufficient_quota` would stop Codex too, but speaks to its user of a bill
    (0.169, seen on the wire 2026-11). Its next try is refused before a stream, where `errors` says when to come back.
    """
    if error.status == 429:
        return "rate_limit_exceeded"
    return error.code if error.code == "context_length_exceeded" else "server_error"
