"""Owns how an upstream's whole chat answer is read. Knows no client protocol.

The answer is OpenAI's chat.completion with the accents of the providers; an SSE stream where JSON was asked for is
read as well.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ollama_proxy.errors import ErrorInside, StreamInterrupted, UpstreamJunk
from ollama_proxy.hub.calls import CallAssembler, ToolCall
from ollama_proxy.hub.chunk import (
    Choice,
    Chunk,
    Delta,
    decode_chunk,
    raise_error_inside,
    says_something,
    text_of,
    thinking_of,
)
from ollama_proxy.hub.finish import ERROR, MALFORMED, check_said, map_finish
from ollama_proxy.hub.reader import StreamReader
from ollama_proxy.hub.tags import TagSplitter

__all__ = ["WholeAnswer", "bare_json", "read_answer"]

_BLANK = b" \t\r\n"
_BOM = b"\xef\xbb\xbf"


@dataclass(slots=True)
class WholeAnswer:
    """What the model said.

    finish: stop, length, tool_calls or content_filter. usage: as it came. logprobs: `logprobs.content` as it came.
    """

    text: str = ""
    thinking: str = ""
    calls: list[ToolCall] = field(default_factory=list)
    finish: str = "stop"
    usage: dict[str, Any] | None = None
    logprobs: list[dict[str, Any]] | None = None


def bare_json(body: bytes) -> bytes | None:
    """The body from its first brace or bracket on; None when it is (perhaps) a stream of events.

    OpenRouter sends white space to keep the connection alive before a whole answer (seen 2026-11).
    Raises: UpstreamJunk for an empty body and for a web page.
    """
    start = body.lstrip(_BLANK).removeprefix(_BOM).lstrip(_BLANK)
    if not start:
        raise UpstreamJunk("The provider's answer is empty.")
    if start[:1] in (b"{", b"["):
        return start
    if start[:1] == b"<":
        raise UpstreamJunk("The provider answered with a web page.")
    return None


def read_answer(body: bytes, *, split_tags: bool = True, may_be_silent: bool = False) -> WholeAnswer:
    """The answer in this upstream body: JSON, with whitespace before it, or SSE.

    may_be_silent: see `finish.check_said`.
    Raises: ErrorInside for an error inside the 200, UpstreamJunk for a body that makes no sense, EmptyAnswer,
    StreamInterrupted for a stream where JSON was asked for that stopped before its end.
    """
    json = bare_json(body)
    if json is None:
        return _read_events(body, StreamReader(split_tags=split_tags, may_be_silent=may_be_silent))
    chunk = decode_chunk(json)
    choice = first_choice(chunk, json)
    message = choice.message or choice.delta or Delta()
    calls = _calls_of(message)
    text, thinking = text_of(message), thinking_of(message)
    if split_tags:
        text, inline = _split(text)
        thinking += inline
    said = says_something(message)
    finish = _finish_of(choice, json, calls, empty=not said)
    check_said(finish, said=said, may_be_silent=may_be_silent)
    return WholeAnswer(
        text=text,
        thinking=thinking,
        calls=calls,
        finish=finish,
        usage=chunk.usage if chunk.usage and isinstance(chunk.usage, dict) else None,
        logprobs=_tokens(choice.logprobs),
    )


def first_choice(chunk: Chunk, json: bytes) -> Choice:
    """The first choice of a whole answer.

    Raises: ErrorInside, UpstreamJunk when there is none.
    """
    raise_error_inside(chunk, json)
    if not chunk.choices:
        raise UpstreamJunk("The provider's answer holds no choices.")
    return chunk.choices[0]


def _calls_of(message: Delta) -> list[ToolCall]:
    assembler = CallAssembler()
    if message.tool_calls and isinstance(message.tool_calls, list):
        for part in message.tool_calls:
            assembler.add(part, whole=True)
    elif message.function_call:
        assembler.add_legacy(message.function_call)
    return assembler.calls()


def _finish_of(choice: Choice, json: bytes, calls: list[ToolCall], *, empty: bool) -> str:
    reason = choice.finish_reason
    meaning = map_finish(reason) if reason and isinstance(reason, str) else "stop"
    if meaning == ERROR:
        raise ErrorInside(json)
    if meaning == MALFORMED:
        if empty:
            raise UpstreamJunk("The model wrote a tool call that cannot be read. Please try again.")
        meaning = "stop"
    return "tool_calls" if calls and meaning == "stop" else meaning


def _split(text: str) -> tuple[str, str]:
    splitter = TagSplitter()
    visible, thinking = splitter.feed(text)
    rest, more = splitter.flush()
    return visible + rest, thinking + more


def _tokens(logprobs: Any) -> list[dict[str, Any]] | None:
    tokens = logprobs.get("content") if isinstance(logprobs, dict) else None
    return tokens if isinstance(tokens, list) else None


def _read_events(body: bytes, reader: StreamReader) -> WholeAnswer:
    try:
        pieces = reader.feed(body) + reader.close()
    except StreamInterrupted as error:
        # Plain text ("upstream connect error …") reads like a stream without events.
        if not reader.began:
            raise UpstreamJunk("The provider's answer is not JSON.") from error
        raise
    tokens = [entry for piece in pieces for entry in piece.logprobs or ()]
    return WholeAnswer(
        text="".join(piece.text for piece in pieces),
        thinking="".join(piece.thinking for piece in pieces),
        calls=reader.calls,
        finish=reader.finish or "stop",
        usage=reader.usage,
        logprobs=tokens or None,
    )
