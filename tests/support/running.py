"""A whole proxy on a real socket, in a thread of its own, for tests that drive it with real clients."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from ollama_proxy.http1.server import protocol_factory
from ollama_proxy.server.assembly import server_limits
from ollama_proxy.server.host import Host, bind
from ollama_proxy.server.proxy import Proxy
from ollama_proxy.settings import load

__all__ = ["RunningProxy"]


class RunningProxy:
    """`with RunningProxy(env, folder) as proxy:` serves at `proxy.url` until the block ends.

    env: the variables, as a user sets them. folder: working directory of the settings; state lies below it.
    """

    def __init__(self, env: Mapping[str, str], folder: Path) -> None:
        self.settings = load({"PORT": "0", "DATA_DIR": str(folder / "data"), "LOG_LEVEL": "WARNING", **env}, folder)
        self._listener = bind(self.settings.host, self.settings.port)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.proxy: Proxy
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

    def _run(self) -> None:
        try:
            self.proxy = Proxy(self.settings)

            async def start() -> None:
                await self.proxy.start()
                await self.proxy.parts.refresh.once()
                self._ready.set()

            self._host = Host(
                protocol_factory(self.proxy.app, server_limits(self.settings)),
                drain_s=self.settings.timeouts.drain_s,
                on_start=start,
                on_drain=self.proxy.drain,
                on_stop=self.proxy.stop,
            )
            self._host.run_on(self._listener)
        except BaseException as error:  # noqa: BLE001 — handed to the test's own thread
            self._failure = error
        finally:
            self._ready.set()
            self._listener.close()
