"""Nobody is free (F12 to F14, F61, F96, F97, F109): a short wait in order, or an honest word at once."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator

import openai
import pytest

from ollama_proxy.simulator import Stall
from tests.support.client_kinds import Way, every_kind, every_way
from tests.support.faulty_world import World, limited, make_world

COHERE = "cohere:command-a-03-2025"
GOOGLE = "google:gemini-2.5-flash"
KEYS = {"cohere": ["one", "two", "three"], "codestral": ["a", "b", "c", "d", "e"]}
CODESTRAL = "codestral:codestral-latest"
PLAIN = Way.find("openai", stream=False)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with make_world(tmp_path_factory, KEYS, "[limits]\nqueue = 400\n") as running:
        yield running


@pytest.fixture
def world(running: World) -> World:
    running.fresh()
    return running


def tire(world: World, provider: str, model: str, **headers: str) -> None:
    """Every key of the provider rests, as these headers say; what happened until now is forgotten."""
    world.clock.luck = 0.0
    world.sim.on(provider, limited(**headers), times=None)
    world.proxy.do(lambda proxy: None)
    for _ in KEYS[provider]:
        told = world.ask(PLAIN, model, headers={"x-stainless-retry-count": "1"})
        if told.status == 429 and all(k["until_s"] for k in keys(world, provider)):
            break
    world.sim.reset()
    world.clock.luck = None


def keys(world: World, provider: str) -> list[dict[str, float]]:
    return [world.key(f"{provider}#{n + 1}") for n in range(len(KEYS[provider]))]
