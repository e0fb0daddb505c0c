"""Owns the typed reading of one upstream chunk or answer, and the search for errors inside it.

Only what somebody here looks at is decoded; msgspec skips the rest without making objects, so that a look costs less
than a search for its words would. A value is `Any` where providers disagree about its type. Where the strict decoder
gives up, a slower one reads what can be read.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ollama_proxy.errors import ErrorInside, UpstreamJunk
from ollama_proxy.hub.loose import loads_loosely

__all__ = [
    "Choice",
    "Chunk",
    "Delta",
    "decode_chunk",
    "decode_strictly",
    "raise_error_inside",
    "says_something",
    "text_of",
    "thinking_of",
]


class Delta(msgspec.Struct, gc=False):
    """`delta` of a chunk or `message` of an answer."""

    content: Any = None
    reasoning_content: Any = None
    reasoning: Any = None
    reasoning_details: Any = None
    refusal: Any = None
    tool_calls: Any = None
    function_call: Any = None
    extra_content: Any = None
    images: Any = None
    audio: Any = None


class Choice(msgspec.Struct, gc=False):
    """One of `choices`."""

    delta: Delta | None = None
    message: Delta | None = None
    finish_reason: Any = None
    logprobs: Any = None
    error: Any = None


class Chunk(msgspec.Struct, gc=False):
    """A chunk of a stream, or a whole answer. The last four fields are how errors look where `error` is missing."""

    choices: list[Choice] | None = None
    usage: Any = None
    error: Any = None
    object: Any = None
    code: Any = None
    message: Any = None
    detail: Any = None


_decode = msgspec.json.Decoder(Chunk).decode
_REFUSALS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def decode_strictly(data: bytes) -> Chunk | None:
    """The chunk in this JSON text; None where only `decode_chunk` can read it."""
    try:
        return _decode(data)
    except _REFUSALS:
        return None


def decode_chunk(data: bytes) -> Chunk:
    """The chunk in this JSON text, read as tolerantly as needed.

    Raises: UpstreamJunk when it is not JSON, or neither an object nor a list that holds one.
    """
    try:
        return _decode(data)
    except _REFUSALS:
        return _from_plain(loads_loosely(data))


def _from_plain(value: Any) -> Chunk:
    # Gemini wraps its errors in a list (Google AI developer forum, read 2026-11).
    if isinstance(value, list) and value:
        value = value[0]
    if not isinstance(value, dict):
        raise UpstreamJunk("The provider's answer is JSON of a shape that nobody documents.")
    fields = {name: value.get(name) for name in Chunk.__struct_fields__}
    choices = value.get("choices")
    if isinstance(choices, list):
        fields["choices"] = [_choice(one) for one in choices if isinstance(one, dict)]
    else:
        fields["choices"] = None
    return Chunk(**fields)


def _choice(value: dict[str, Any]) -> Choice:
    fields = {name: value.get(name) for name in Choice.__struct_fields__}
    for name in ("delta", "message"):
        part = fields[name]
        fields[name] = (
            Delta(**{key: part.get(key) for key in Delta.__struct_fields__}) if isinstance(part, dict) else None
        )
    return Choice(**fields)


def raise_error_inside(chunk: Chunk, data: bytes) -> None:
    """Nothing, or an error that the provider put into a successful answer.

    Raises: ErrorInside with `data`, for the provider's own module to judge.
    Sources: OpenRouter docs, "Errors and debugging" (`error` beside or inside `choices`); vLLM and Mistral
    (`object: "error"`); DashScope's native shape (`code` and `message`); FastAPI servers (`detail`), read 2026-11.
    """
    if chunk.error:
        raise ErrorInside(data)
    if chunk.choices:
        for choice in chunk.choices:
            if choice.error:
                raise ErrorInside(data)
    elif chunk.message or chunk.detail or chunk.object == "error":
        raise ErrorInside(data)


def says_something(delta: Delta) -> bool:
    """Whether there is anything in a delta or message that somebody may want: words, calls, pictures, sound."""
    return bool(
        delta.content
        or delta.reasoning_content
        or delta.reasoning
        or delta.tool_calls
        or delta.function_call
        or delta.reasoning_details
        or delta.refusal
        or delta.images
        or delta.audio
    )


def text_of(delta: Delta) -> str:
    """The visible text of a delta or message; a refusal is text that somebody must see."""
    content = delta.content
    if type(content) is str:
        text = content
    elif isinstance(content, list):
        text = "".join(_part_text(part, "text") for part in content)
    else:
        text = ""
    if not text and type(delta.refusal) is str:
        return delta.refusal
    return text


def thinking_of(delta: Delta) -> str:
    """The reasoning of a delta or message, under whichever of its names it came, once."""
    for value in (delta.reasoning_content, delta.reasoning):
        if type(value) is str and value:
            return value
    # OpenRouter says the same again in reasoning_details, so they count only where nothing else came.
    if isinstance(delta.reasoning_details, list):
        thinking = "".join(_part_text(part, "text") or _part_text(part, "summary") for part in delta.reasoning_details)
        if thinking:
            return thinking
    # Mistral: content parts of type "thinking", which hold a list of text parts.
    if isinstance(delta.content, list):
        return "".join(_part_text(part, "thinking") for part in delta.content)
    return ""


def _part_text(part: Any, key: str) -> str:
    if isinstance(part, str):
        return part if key == "text" else ""
    if not isinstance(part, dict):
        return ""
    value = part.get(key)
    if isinstance(value, list):
        return "".join(_part_text(inner, "text") for inner in value)
    return value if isinstance(value, str) else ""
