"""Owns how an upstream's whole chat answer reaches an OpenAI client: as the bytes that it is.

Written anew, with every other key kept, only where it breaks OpenAI's own schema, and put together where the upstream
sent a stream instead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from ollama_proxy.hub.answer import bare_json, first_choice, read_answer
from ollama_proxy.hub.budget import Budget
from ollama_proxy.hub.chunk import Choice, decode_chunk, decode_strictly, says_something
from ollama_proxy.hub.convert import to_plain
from ollama_proxy.hub.finish import OPENAI_REASONS
from ollama_proxy.hub.intake import data_of
from ollama_proxy.protocols.openai.repair import CallRepair, flatten_content, repair_reason
from ollama_proxy.wire.sse import Frames

__all__ = ["pass_answer"]


def pass_answer(reply: bytes, rnd: Callable[[], float], *, may_be_silent: bool = False) -> bytes:
    """The chat.completion for the client.

    may_be_silent: see `finish.check_said`.
    Raises: ErrorInside for an error inside the 200, UpstreamJunk for a body that makes no sense, EmptyAnswer,
    StreamInterrupted for a stream in its place that stopped before its end.
    """
    json = bare_json(reply)
    if json is None:
        return _answer_of_events(reply, rnd, may_be_silent=may_be_silent)
    chunk = decode_strictly(json)
    rewrite = chunk is None
    if chunk is None:
        chunk = decode_chunk(json)
    first_choice(chunk, json)
    if not any(choice.message is not None and says_something(choice.message) for choice in chunk.choices or ()):
        # Nearly never: whoever says nothing has to say why.
        read_answer(json, split_tags=False, may_be_silent=may_be_silent)
    if rewrite or any(_may_be_broken(choice) for choice in chunk.choices or ()):
        return _mended(json, rnd, rewrite=rewrite)
    return json


def _may_be_broken(choice: Choice) -> bool:
    message = choice.message
    if message is None or message.tool_calls or message.function_call or isinstance(message.content, list):
        return True
    reason = choice.finish_reason
    return not isinstance(reason, str) or reason not in OPENAI_REASONS


def _mended(json: bytes, rnd: Callable[[], float], *, rewrite: bool) -> bytes:
    plain = to_plain(json)
    changed = rewrite
    for choice in plain.get("choices") or ():
        if isinstance(choice, dict) and _mend(choice, json, rnd):
            changed = True
    return msgspec.json.encode(plain) if changed else json


def _mend(choice: dict[str, Any], json: bytes, rnd: Callable[[], float]) -> bool:
    message = choice.get("message")
    changed = False
    repair = CallRepair(rnd, Budget())
    empty = True
    if isinstance(message, dict):
        changed = flatten_content(message)
        changed = repair.mend(message, whole=True) or changed
        empty = not (message.get("content") or message.get("tool_calls") or message.get("function_call"))
    reason = choice.get("finish_reason")
    mended = repair_reason(reason or "stop", json, calls=repair.made, empty=empty)
    if mended != reason:
        choice["finish_reason"] = mended
        changed = True
    return changed


def _answer_of_events(body: bytes, rnd: Callable[[], float], *, may_be_silent: bool) -> bytes:
    """One chat.completion for a stream that came where JSON was asked for."""
    answer = read_answer(body, split_tags=False, may_be_silent=may_be_silent)
    message: dict[str, Any] = {"role": "assistant", "content": answer.text or (None if answer.calls else "")}
    if answer.thinking:
        message["reasoning_content"] = answer.thinking
    if answer.calls:
        message["tool_calls"] = [
            {**call.extra, "id": call.id, "function": {"name": call.name, "arguments": call.arguments}}
            for call in answer.calls
        ]
        CallRepair(rnd, Budget()).mend(message, whole=True)
    choice: dict[str, Any] = {"index": 0, "message": message, "finish_reason": answer.finish, "logprobs": None}
    if answer.logprobs:
        choice["logprobs"] = {"content": answer.logprobs}
    whole: dict[str, Any] = {**_envelope(body), "object": "chat.completion", "choices": [choice]}
    if answer.usage is not None:
        whole["usage"] = answer.usage
    return msgspec.json.encode(whole)


def _envelope(body: bytes) -> dict[str, Any]:
    """The keys of the first chunk beside its content: id, created, model and whatever the provider adds."""
    frames = Frames()
    for frame in frames.feed(body):
        payload = data_of(frame)
        if payload is not None and payload[:1] == b"{":
            plain = to_plain(payload)
            return {key: value for key, value in plain.items() if key not in ("choices", "usage", "object")}
    return {}
