"""Owns a simulator in a thread of its own, for tests and programs that are not asynchronous."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from types import TracebackType
from typing import Any, TypeVar

from ollama_proxy.simulator.log import Arrival
from ollama_proxy.simulator.simulator import Simulator

__all__ = ["SimulatorThread"]

T = TypeVar("T")


class SimulatorThread:
    """`with SimulatorThread() as sim:`; takes Simulator's options and offers its methods, all of them blocking."""

    def __init__(self, **options: Any) -> None:
        self.sim = Simulator(**options)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="simulator", daemon=True)

    def __enter__(self) -> SimulatorThread:
        self._thread.start()
        try:
            self._await(self.sim.start())
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._await(self.sim.__aexit__(kind, error, trace))
        finally:
            self._stop()

    # Addresses and keys

    @property
    def origin(self) -> str:
        return self.sim.origin

    def base_url(self, provider: str, *, full: bool = False) -> str:
        return self.sim.base_url(provider, full=full)

    def key(self, provider: str, label: str) -> str:
        return self.sim.key(provider, label)

    def env(self, keys: Mapping[str, Sequence[str]], *, full: bool = False) -> dict[str, str]:
        return self.sim.env(keys, full=full)

    def credentials(self, *args: float) -> dict[str, Any]:
        return self.do(lambda sim: sim.credentials(*args))

    # Everything that touches the running server happens in its thread

    @property
    def log(self) -> list[Arrival]:
        return self.do(lambda sim: list(sim.log))

    def calls(self, provider: str | None = None, **which: Any) -> list[Arrival]:
        return self.do(lambda sim: sim.calls(provider, **which))

    def on(self, *args: Any, **kwargs: Any) -> None:
        self.do(lambda sim: sim.on(*args, **kwargs))

    def play(self, *args: Any, **kwargs: Any) -> None:
        self.do(lambda sim: sim.play(*args, **kwargs))

    def say(self, *args: Any, **kwargs: Any) -> None:
        self.do(lambda sim: sim.say(*args, **kwargs))

    def hold(self, name: str) -> None:
        self.do(lambda sim: sim.hold(name))

    def release(self, name: str) -> None:
        self.do(lambda sim: sim.release(name))

    def step(self, name: str) -> None:
        self.do(lambda sim: sim.step(name))

    def reset(self) -> None:
        self.do(lambda sim: sim.reset())

    def reached(self, name: str, timeout_s: float = 5.0) -> None:
        self._await(self.sim.reached(name, timeout_s))

    def wait_for(self, predicate: Callable[[list[Arrival]], Any], timeout_s: float = 5.0) -> Any:
        return self._await(self.sim.wait_for(predicate, timeout_s))

    def do(self, work: Callable[[Simulator], T]) -> T:
        """What `work(sim)` returns, done in the simulator's thread."""

        async def run() -> T:
            return work(self.sim)

        return self._await(run())

    def _await(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
