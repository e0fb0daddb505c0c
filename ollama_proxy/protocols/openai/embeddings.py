"""Owns /v1/embeddings: what is asked of an upstream, and in which form its vectors are told.

Upstreams are always asked for plain numbers, whatever the client wants; base64 is made here. openai-node asks for it by
default and silently returns empty vectors when it gets a list (6.49, seen on the wire 2026-11).
Source: OpenAI API reference, "Create embeddings", read 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ollama_proxy.clock import Clock
from ollama_proxy.errors import BadRequest, ProxyError
from ollama_proxy.hub.body import drop_target_keys, is_empty, is_list, is_sdk_retry, read_body, take_text
from ollama_proxy.hub.vectors import read_vectors, to_base64
from ollama_proxy.protocols.openai.errors import render_error
from ollama_proxy.types import Call, Capability, Headers, Operation, Stream

__all__ = ["EmbeddingsFace", "parse_embeddings", "render_embeddings"]

_FORMATS = ("float", "base64")


def parse_embeddings(body: bytes, headers: Mapping[bytes, bytes], _clock: Clock) -> Call:
    """The Call for an embeddings request; `input` goes on as it came. The clock is there as for the other two.

    Raises: BadRequest, TooLarge.
    """
    fields: dict[str, Any] = dict(read_body(body))
    model = take_text(fields, "model")
    if not model:
        raise BadRequest("model is required", param="model")
    wanted = take_text(fields, "encoding_format")
    encoding = (wanted or "float").lower()
    if encoding not in _FORMATS:
        raise BadRequest(
            f"Invalid value for 'encoding_format' = {wanted}. Supported values: ['float', 'base64'].",
            param="encoding_format",
        )
    _check_input(fields.get("input"))
    drop_target_keys(fields)
    return Call(
        operation=Operation.EMBEDDINGS,
        model=model,
        body=fields,
        face=EmbeddingsFace(model, as_base64=encoding == "base64"),
        needs=frozenset({Capability.EMBEDDING}),
        sdk_retry=is_sdk_retry(headers),
    )


class EmbeddingsFace:
    """Embeddings for one request; implements `types.Face`. model: the caller's string, which the answer names."""

    __slots__ = ("_as_base64", "_model")

    stream_type = b"application/json"
    answer_type = b"application/json"

    def __init__(self, model: str, *, as_base64: bool = False) -> None:
        self._model = model
        self._as_base64 = as_base64

    def open_stream(self) -> Stream:
        """Raises: BadRequest: vectors are not streamed."""
        raise BadRequest("embeddings cannot be streamed")

    def render_answer(self, reply: bytes) -> bytes:
        """See `render_embeddings`."""
        return render_embeddings(reply, self._model, as_base64=self._as_base64)

    def render_error(self, error: ProxyError) -> tuple[int, Headers, bytes]:
        """See `errors.render_error`."""
        return render_error(error)


def render_embeddings(reply: bytes, model: str, *, as_base64: bool) -> bytes:
    """The client's list for an upstream's: ordered by index, in the form asked for, other keys kept.

    Raises: ErrorInside for an error inside the 200, UpstreamJunk for a body that makes no sense.
    """
    vectors, rest = read_vectors(reply)
    told: list[Any] = [to_base64(vector) for vector in vectors] if as_base64 else list(vectors)
    answer = {
        **rest,
        "object": "list",
        "data": [{"object": "embedding", "index": index, "embedding": one} for index, one in enumerate(told)],
        "model": model,
        # The schema demands it; Gemini leaves it out (seen 2026-11).
        "usage": rest.get("usage") or {"prompt_tokens": 0, "total_tokens": 0},
    }
    return msgspec.json.encode(answer)


def _check_input(value: Any) -> None:
    """Raises: BadRequest unless there is a text or a list that is not empty."""
    is_text = value is not None and bytes(memoryview(value)[:1]) == b'"'
    if not is_text and (is_empty(value) or not is_list(value)):
        raise BadRequest("invalid input", param="input")
