"""Owns what a translated request loses on its way, and how its client is told. Knows no body.

Chat completions cannot carry everything that other protocols have; a client must be able to see what was left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from ollama_proxy.server.services import Services
from ollama_proxy.server.visit import Visit
from ollama_proxy.types import Call, Capability

__all__ = ["drop_thinking", "tell_losses"]

_ODD = re.compile(r"[^A-Za-z0-9_.-]")
#: More would be a flood, not news.
_MOST_NAMES = 20
_LONGEST_NAME = 64
_THINKING = ("think", "reasoning_effort")


def drop_thinking(services: Services, call: Call) -> list[str]:
    """Takes the wish to think from a request to a model that cannot; the names to tell of it.

    Raises: UnknownModel.
    """
    if not any(name in call.body for name in _THINKING):
        return []
    model = services.describe(services.router.targets(call.model)[0])
    if not model.listed or Capability.THINKING in model.capabilities:
        return []
    wishes = [call.body.pop(name, None) for name in _THINKING]
    # Not to think is what such a model does anyway.
    return ["reasoning_effort"] if any(wish not in (None, "none") for wish in wishes) else []


def tell_losses(visit: Visit, names: Iterable[str]) -> None:
    """Adds `x-proxy-dropped` to whatever will be answered; nothing where nothing was lost."""
    told = list(dict.fromkeys(_ODD.sub("_", name)[:_LONGEST_NAME] for name in names))[:_MOST_NAMES]
    if told:
        visit.common.append((b"x-proxy-dropped", ",".join(told).encode()))
