"""Owns the names by which tests and programs use the simulator; each is loaded when it is first used.

The simulator behaves as the providers really do, faults included: a real server on a real socket that knows nothing of
the proxy. `ollama-proxy simulate` runs it, our own end-to-end tests run against it, and the demo model lives in it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ollama_proxy.simulator.actions import (
        Behaviour,
        Chunk,
        Close,
        Header,
        Interim,
        Raw,
        Rst,
        Send,
        Sleep,
        Stall,
        Status,
        Wait,
    )
    from ollama_proxy.simulator.log import Arrival
    from ollama_proxy.simulator.quota import FREE, Limits
    from ollama_proxy.simulator.script import Play, Rule
    from ollama_proxy.simulator.simulator import Simulator
    from ollama_proxy.simulator.talk import Say
    from ollama_proxy.simulator.thread import SimulatorThread

_HOMES = {
    "actions": (
        "Behaviour",
        "Chunk",
        "Close",
        "Header",
        "Interim",
        "Raw",
        "Rst",
        "Send",
        "Sleep",
        "Stall",
        "Status",
        "Wait",
    ),
    "log": ("Arrival",),
    "quota": ("FREE", "Limits"),
    "script": ("Play", "Rule"),
    "simulator": ("Simulator",),
    "talk": ("Say",),
    "thread": ("SimulatorThread",),
}

__all__ = [
    "FREE",
    "Arrival",
    "Behaviour",
    "Chunk",
    "Close",
    "Header",
    "Interim",
    "Limits",
    "Play",
    "Raw",
    "Rst",
    "Rule",
    "Say",
    "Send",
    "Simulator",
    "SimulatorThread",
    "Sleep",
    "Stall",
    "Status",
    "Wait",
]


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
