"""One world for each file of checks, fresh for each of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.contract import World, make_world


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """All six providers, a key for each, nobody stands in line for one."""
    with make_world(tmp_path_factory.mktemp("contract")) as world:
        yield world


@pytest.fixture
def world(running: World) -> World:
    """The same, with nothing left of the test before."""
    running.fresh()
    return running
