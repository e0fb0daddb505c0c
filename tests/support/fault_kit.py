"""Owns what the checks of simulated faults have in common: their register, the request, what an answer said."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from ollama_proxy.simulator import Simulator
from tests.support.sim_kit import Got, chat, events, fetch

__all__ = ["CHECKS", "MODEL", "SLOW_S", "ask", "frames", "good", "left", "says", "texts"]

Check = Callable[[Simulator, str], Awaitable[None]]
CHECKS: dict[str, Check] = {}
MODEL = "sim-chat"
#: Short, so that waiting costs nothing, and still longer than a turn of the loop.
SLOW_S = 0.002


def says(name: str) -> Callable[[Check], Check]:
    """Registers the check of one fault."""

    def register(check: Check) -> Check:
        CHECKS[name] = check
        return check

    return register


async def ask(sim: Simulator, fault: str, *, stream: bool = True, until: str | None = None, **more: Any) -> Got:
    body = chat("openai", "Where is Seoul?", model=f"{MODEL}!{fault}", stream=stream, **more)
    return await fetch(sim, "openai", body, until=(lambda raw: until.encode() in raw) if until else None)


async def good(sim: Simulator, *, stream: bool = True) -> Got:
    return await fetch(sim, "openai", chat("openai", "Where is Seoul?", model=MODEL, stream=stream))


def frames(got: Got) -> list[bytes]:
    return [frame for frame in got.body.split(b"\n\n") if frame]


def texts(got: Got) -> list[str]:
    chunks = [event for event in events(got.body) if isinstance(event, dict) and "choices" in event]
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    return [delta["content"] for delta in deltas if delta.get("content")]


async def left(sim: Simulator) -> None:
    """The simulator saw the client go before the end."""
    await sim.wait_for(lambda log: log[-1].gave_up)
