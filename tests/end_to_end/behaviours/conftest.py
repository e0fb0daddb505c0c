"""A world with two keys for each provider, in which nobody stands in line and no chance lengthens a wait."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.behaving import MODELS
from tests.support.faulty_world import NO_WAITING, World, make_world


@pytest.fixture(scope="package")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with make_world(tmp_path_factory, {name: ["one", "two"] for name in MODELS}, NO_WAITING, slow_s=0.02) as running:
        yield running


@pytest.fixture
def world(running: World) -> World:
    running.fresh(luck=0.0)
    return running
