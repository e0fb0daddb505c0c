"""The proxy that the judges call: all six providers simulated, two keys each, and names as Ollama's users have them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ollama_proxy.simulator import SimulatorThread
from tests.support.running import RunningProxy

PROVIDERS = ("google", "openrouter", "akash", "cohere", "codestral", "qwen")


@pytest.fixture(scope="package")
def shared_simulator() -> Iterator[SimulatorThread]:
    with SimulatorThread() as running:
        yield running


@pytest.fixture
def simulator(shared_simulator: SimulatorThread) -> SimulatorThread:
    shared_simulator.reset()
    return shared_simulator


@pytest.fixture(scope="package")
def proxy(shared_simulator: SimulatorThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProxy]:
    """Open to everybody on this machine, as it is without settings."""
    env = shared_simulator.env({name: ["one", "two"] for name in PROVIDERS})
    with RunningProxy(env, tmp_path_factory.mktemp("judged")) as running:
        yield running


@pytest.fixture(scope="package")
def guarded(shared_simulator: SimulatorThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProxy]:
    """Wants the token `sesame`."""
    env = shared_simulator.env({"google": ["one"]})
    with RunningProxy({**env, "PROXY_API_TOKEN": "sesame"}, tmp_path_factory.mktemp("guarded")) as running:
        yield running
