"""Owns how a whole answer becomes the stream that it should have been. Knows no client protocol.

Only the envelope changes: `message` becomes `delta`, tool calls get the index that deltas need, and every other key is
kept as it came.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ollama_proxy.errors import ErrorInside, UpstreamJunk
from ollama_proxy.hub.chunk import decode_chunk, raise_error_inside
from ollama_proxy.hub.loose import loads_loosely

__all__ = ["DONE", "answer_to_frames", "to_plain"]

#: The last frame of an OpenAI stream.
DONE = b"data: [DONE]\n\n"


def to_plain(data: bytes) -> dict[str, Any]:
    """The JSON object in this text as plain values, strictly where possible.

    Raises: UpstreamJunk when it is not a JSON object.
    """
    try:
        value = msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        value = loads_loosely(data)
    if not isinstance(value, dict):
        raise UpstreamJunk("The provider's answer is JSON of a shape that nobody documents.")
    return value


def answer_to_frames(body: bytes) -> list[bytes]:
    """One chunk and the end mark for a whole JSON answer that came where a stream was asked for.

    Raises: ErrorInside for an error in it, UpstreamJunk when there is no answer in it.
    """
    chunk = decode_chunk(body)
    raise_error_inside(chunk, body)
    if not chunk.choices:
        raise UpstreamJunk("The provider's answer holds no choices.")
    plain = to_plain(body)
    for choice in plain["choices"]:
        message = choice.pop("message", None)
        if "delta" not in choice:
            choice["delta"] = message if isinstance(message, dict) else {}
        if choice.get("finish_reason") == "error":
            raise ErrorInside(body)
        choice["finish_reason"] = choice.get("finish_reason") or "stop"
    plain["object"] = "chat.completion.chunk"
    return [b"data: " + msgspec.json.encode(plain) + b"\n\n", DONE]
