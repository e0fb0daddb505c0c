"""How long and how much is measured: the two plans, full and quick, and the prompts that are sent.

Pure data; times are seconds of load, not counting starts and stops.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

__all__ = [
    "BURST_CHUNKS",
    "FULL",
    "PACED_MS",
    "PACED_SPREAD_S",
    "PACED_STREAMS",
    "QUICK",
    "Plan",
    "chat_body",
    "ollama_body",
    "prompt",
]

BURST_CHUNKS = 50
PACED_MS = 20
PACED_STREAMS = 100
PACED_SPREAD_S = 0.4
"""they begin one by one: a start is no rush hour, and their chunks do not fall on the same moment"""


@dataclass(frozen=True, slots=True)
class Plan:
    """One way to measure. Every proxy gets the same."""

    rounds: int
    """each round goes through all proxies; the better of the rounds counts"""
    warm_s: float
    c1_s: float
    c8_s: float
    big_s: float
    burst_s: float
    paced_s: float
    slow_ms: int
    """between two chunks of a slow stream"""
    slow_hold_s: float
    """how long all slow streams are open at once"""
    budget_s: float
    """after this no cell is begun"""
    patience: float
    """a stream may take this many times as long as the provider takes for it, and 3 s more"""
    slow_streams: int = 1000

    @property
    def slow_spread_s(self) -> float:
        """The slow streams begin over this time: a thousand a second, so that starting them is not what is measured."""
        return max(0.5, self.slow_streams / 1000)

    @property
    def slow_chunks(self) -> int:
        """Chunks of a slow stream: it lasts until the last one has begun, and then slow_hold_s."""
        return math.ceil((self.slow_spread_s + self.slow_hold_s) * 1e3 / self.slow_ms) + 1

    def expected_s(self, *, ollama: bool) -> float:
        """Roughly how long one proxy takes for one round."""
        slow_s = self.slow_spread_s * 2 + self.slow_hold_s
        common = self.warm_s * 1.3 + self.c1_s + self.c8_s + self.big_s + self.burst_s + self.paced_s + slow_s + 2
        return common + (self.c8_s + self.burst_s + self.paced_s if ollama else 0)


FULL = Plan(
    rounds=2, warm_s=3, c1_s=2, c8_s=3, big_s=2, burst_s=2, paced_s=4,
    slow_ms=500, slow_hold_s=4, budget_s=560, patience=4,
)  # fmt: skip
QUICK = Plan(
    rounds=1, warm_s=0.5, c1_s=1, c8_s=1, big_s=1, burst_s=0.6, paced_s=1,
    slow_ms=400, slow_hold_s=0.8, budget_s=52, patience=2,
)  # fmt: skip

_TALK = (
    "It depends on what you mean by “fast”: per request, per chunk or per person waiting.\n"
    "Here is the table again, with the figures in µs, and a note on how each was taken. "
)


def prompt(task: str, size: int = 0) -> list[dict[str, str]]:
    """Messages that ask the fake provider for `task`, with at least `size` bytes of earlier talk between."""
    talk = [{"role": "system", "content": f"bench:{task}; You are a helpful assistant."}]
    turn = _TALK * 20
    turns = -(-size // len(turn.encode()))
    talk += [{"role": ("user", "assistant")[number % 2], "content": turn} for number in range(turns)]
    return [*talk, {"role": "user", "content": "Say hello in five words."}]


def chat_body(model: str, task: str, *, stream: bool, size: int = 0) -> bytes:
    """A body for /v1/chat/completions, written as the common clients write it: compact, UTF-8."""
    body: dict[str, Any] = {"model": model, "messages": prompt(task, size), "temperature": 0.7, "stream": stream}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def ollama_body(model: str, task: str, *, stream: bool) -> bytes:
    """A body for /api/chat."""
    body = {"model": model, "messages": prompt(task), "stream": stream, "options": {"temperature": 0.7}}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
