"""What the tests of the OpenAI protocol share: a clock that stands still, upstream frames, frames as objects."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from typing import Any

__all__ = ["StillClock", "chances", "chunk", "dumps", "frame", "objects"]


class StillClock:
    """Always the same moment; every chance is another one."""

    def __init__(self) -> None:
        self.rnd = chances()

    def now(self) -> float:
        return 100.0

    def wall(self) -> float:
        return 1_800_000_000.5


def chances() -> Callable[[], float]:
    """Chances that follow each other closely but never repeat."""
    numbers = itertools.count(1)
    return lambda: next(numbers) / 1000


def dumps(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def chunk(delta: Any = None, finish: Any = None, **more: Any) -> dict[str, Any]:
    """One upstream chunk; other keywords go to its top."""
    choice = {"index": 0, "delta": delta if delta is not None else {}, "finish_reason": finish}
    return {"id": "up-1", "object": "chat.completion.chunk", "created": 7, "model": "up", "choices": [choice], **more}


def frame(delta: Any = None, finish: Any = None, **more: Any) -> bytes:
    return b"data: " + dumps(chunk(delta, finish, **more)) + b"\n\n"


def objects(stream: bytes) -> list[Any]:
    """The JSON objects of a client's stream; `[DONE]` stays a string."""
    found: list[Any] = []
    for event in re.split(r"\r\n\r\n|\n\n|\r\r|\n\r\n|\r\n\n", stream.decode()):
        lines = [line.removeprefix("data:").strip() for line in re.split("[\r\n]+", event) if line.startswith("data:")]
        if lines:
            data = "\n".join(lines)
            found.append(data if data == "[DONE]" else json.loads(data))
    return found
