"""What the tests of the Ollama protocol share: a clock that moves by itself, upstream chunks, lines as objects."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from ollama_proxy.protocols.ollama import OllamaRequest, parse_chat, parse_generate
from ollama_proxy.types import Capability, Model, Stream

#: 2026-08-21T18:48:22Z and a fraction.
WALL = 1787338102.385406455

CHAT_BODY = {"model": "google:gemini-2.5-flash", "messages": [{"role": "user", "content": "hi"}]}


class FakeClock:
    """Each look at the monotonic clock finds it a little later; the wall clock stands still unless it is set."""

    def __init__(self, step_s: float = 0.25) -> None:
        self.monotonic = 100.0
        self.step_s = step_s
        self.epoch = WALL
        self.chance = [0.1, 0.1, 0.7, 0.9]

    def now(self) -> float:
        self.monotonic += self.step_s
        return self.monotonic

    def wall(self) -> float:
        return self.epoch

    def rnd(self) -> float:
        """The next of a few chances, one of them twice."""
        self.chance.append(self.chance[0])
        return self.chance.pop(0)


def dumps(value: Any) -> bytes:
    return json.dumps(value).encode()


def chat(**fields: Any) -> OllamaRequest:
    """A parsed /api/chat request; fields replace or add to an ordinary body."""
    return parse_chat(dumps({**CHAT_BODY, **fields}), FakeClock())


def generate(**fields: Any) -> OllamaRequest:
    return parse_generate(dumps({"model": "google:gemini-2.5-flash", "prompt": "hi", **fields}), FakeClock())


def model(*capabilities: Capability, **fields: Any) -> Model:
    given = frozenset(capabilities or (Capability.COMPLETION,))
    return Model(**{"provider": "google", "id": "gemini-2.5-flash", "capabilities": given, **fields})


def frame(delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any) -> bytes:
    """One upstream SSE frame with one choice; `logprobs` goes into the choice, other keywords to the top."""
    choice: dict[str, Any] = {"index": 0, "delta": delta or {}, "finish_reason": finish}
    if "logprobs" in more:
        choice["logprobs"] = more.pop("logprobs")
    chunk = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice], **more}
    return b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\n\n"


def text_frame(text: str) -> bytes:
    return frame({"content": text})


def usage_frame(prompt: int = 7, completion: int = 3) -> bytes:
    usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    return b"data: " + dumps({"id": "x", "choices": [], "usage": usage}) + b"\n\n"


DONE = b"data: [DONE]\n\n"


def call_frame(*calls: dict[str, Any]) -> bytes:
    return frame({"tool_calls": list(calls)})


def answer(message: dict[str, Any] | None = None, finish: str = "stop", **more: Any) -> bytes:
    """A whole upstream answer."""
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": "hello", **(message or {})},
        "finish_reason": finish,
    }
    if "logprobs" in more:
        choice["logprobs"] = more.pop("logprobs")
    return dumps({"id": "x", "object": "chat.completion", "choices": [choice], "usage": usage, **more})


def lines_of(data: bytes) -> list[dict[str, Any]]:
    """The objects of an NDJSON stream; the framing itself is checked on the way."""
    if not data:
        return []
    assert data.endswith(b"\n")
    lines = data[:-1].split(b"\n")
    assert all(lines), "no blank line"
    # httpx-based clients split lines like Python does.
    assert len(data.decode().splitlines()) == len(lines)
    return [json.loads(line) for line in lines]


def run(stream: Stream, *data: bytes) -> list[dict[str, Any]]:
    """The lines for a whole upstream stream."""
    return lines_of(b"".join(stream.feed(piece) for piece in data) + stream.finish())


def said(lines: Iterable[dict[str, Any]], key: str = "content") -> str:
    """The concatenated texts of chat lines."""
    return "".join(line["message"].get(key, "") for line in lines)
