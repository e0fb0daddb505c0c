"""Owns how a request for many embeddings becomes several, as small as the provider takes them, and one answer again.

Each part is a request of its own to the gateway, with its own key and its own attempts; a part that fails fails the
whole. A few go at a time: one after the other would be slow, all at once would meet every limit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import msgspec

from ollama_proxy.errors import InternalError, ProxyError
from ollama_proxy.hub.vectors import join_replies, split_inputs
from ollama_proxy.types import Body, Call, Headers, Stream

__all__ = ["in_batches"]

_AT_A_TIME = 4


class _Plain:
    """The face of a part: the provider's answer as it is."""

    stream_type = answer_type = b"application/json"

    def open_stream(self) -> Stream:
        raise InternalError("embeddings are not streamed")

    def render_answer(self, reply: bytes) -> bytes:
        return reply

    def render_error(self, error: ProxyError) -> tuple[int, Headers, bytes]:
        return error.status, [], error.message.encode()


async def in_batches(
    call: Call, size: int, serve: Callable[[Call], Awaitable[tuple[Headers, bytes]]]
) -> tuple[Headers, bytes] | None:
    """(headers, the rendered answer) for an embeddings call of more than `size` inputs; None for a smaller one.

    serve: one call through the gateway. Raises: ProxyError of the part that failed.
    """
    parts = split_inputs(call.body, size)
    if len(parts) == 1:
        return None
    answers: list[tuple[Headers, bytes]] = []
    for start in range(0, len(parts), _AT_A_TIME):
        tasks = [
            asyncio.ensure_future(serve(replace(call, body=part, face=_Plain())))
            for part in parts[start : start + _AT_A_TIME]
        ]
        try:
            answers += await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
    joined = join_replies([answer for _, answer in answers], [_count(part) for part in parts])
    return answers[0][0], call.face.render_answer(joined)


def _count(part: Body) -> int:
    inputs = part["input"]
    return len(msgspec.json.decode(inputs) if isinstance(inputs, msgspec.Raw) else inputs)
