"""What most whole-program tests begin with: the simulated providers, and a proxy with two keys for each of the six."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ollama_proxy.simulator import SimulatorThread
from tests.support.running import RunningProxy
from tests.support.six import MODELS


@pytest.fixture(scope="module")
def simulator() -> Iterator[SimulatorThread]:
    with SimulatorThread() as running:
        yield running


@pytest.fixture(autouse=True)
def _fresh(request: pytest.FixtureRequest) -> None:
    """No test finds what another one has told the simulator to do."""
    if "simulator" in request.fixturenames:
        request.getfixturevalue("simulator").reset()


@pytest.fixture(scope="module")
def proxy(simulator: SimulatorThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProxy]:
    env = simulator.env({name: ["one", "two"] for name in MODELS})
    with RunningProxy(env, tmp_path_factory.mktemp("proxy")) as running:
        yield running
