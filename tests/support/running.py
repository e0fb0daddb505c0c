"""A whole proxy on a real socket, in a thread of its own, for tests that drive it with real clients."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from ollama_proxy.clock import Clock
from ollama_proxy.server.assembly import assemble, server_limits
from ollama_proxy.server.host import Host, bind
from ollama_proxy.server.proxy import Proxy
from ollama_proxy.settings import load

__all__ = ["RunningProxy"]

T = TypeVar("T")


class RunningProxy:
    """`with RunningProxy(env, folder) as proxy:` serves at `proxy.url` until the block ends.

    env: the variables, as a user sets them. folder: working directory of the settings; state lies below it.
    clock: in place of the machine's. server: fields of ServerLimits that shall differ from the settings'.
    """

    def __init__(
        self,
        env: Mapping[str, str],
        folder: Path,
        *,
        clock: Clock | None = None,
        server: Mapping[str, Any] | None = None,
    ) -> None:
        self.settings = load({"PORT": "0", "DATA_DIR": str(folder / "data"), "LOG_LEVEL": "WARNING", **env}, folder)
        self._listener = bind(self.settings.host, self.settings.port)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.proxy: Proxy
        self._clock = clock
        self._server = server or {}
        self._loop: asyncio.AbstractEventLoop
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self._failure: BaseException | None = None

    def __enter__(self) -> RunningProxy:
        self._thread.start()
        self._ready.wait(10)
        if self._failure is not None:
            raise self._failure
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Drains and ends, as after SIGTERM."""
        self._host.should_exit = True
        self._thread.join(20)
        assert not self._thread.is_alive(), "the proxy did not stop"
        if self._failure is not None:
            raise self._failure

    def do(self, work: Callable[[Proxy], T]) -> T:
        """What `work(proxy)` returns, done in the proxy's own loop."""

        async def run() -> T:
            return work(self.proxy)

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(10)

    def forget(self) -> None:
        """All that was learnt about keys and providers is forgotten, as if they were new."""

        def forget(proxy: Proxy) -> None:
            proxy.lasting.pools.clear()
            for channel in proxy.parts.channels:
                proxy.lasting.documents.put(f"pool/{channel}", None)
            parts = assemble(proxy.settings, proxy.lasting)
            proxy.parts = parts
            proxy.app.use(parts.routes, parts.access, parts.origins, parts.hosts)

        self.do(forget)

    def _run(self) -> None:
        try:
            self.proxy = Proxy(self.settings, clock=self._clock)

            async def start() -> None:
                self._loop = asyncio.get_running_loop()
                await self.proxy.start()
                await self.proxy.parts.refresh.once()
                self._ready.set()

            self._host = Host(
                self.proxy.app,
                replace(server_limits(self.settings), **self._server),
                drain_s=self.settings.timeouts.drain_s,
                on_start=start,
                on_drain=self.proxy.drain,
                on_late=self.proxy.give_up,
                on_stop=self.proxy.stop,
            )
            self._host.run_on(self._listener)
        except BaseException as error:  # noqa: BLE001 — handed to the test's own thread
            self._failure = error
        finally:
            self._ready.set()
            self._listener.close()
