"""Hosts the server protocol in uvicorn: sockets, signals, drain. Knows nothing about requests.

uvicorn gives the event loop its signals and tells every connection when to stop; the protocol class is ours. SIGTERM or
Ctrl-C lets running streams finish, for at most `drain_s`, after which their clients are told; a second one ends at
once. The exit code is 0 after both.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable
from types import FrameType

import uvicorn

from ollama_proxy.errors import SettingsError
from ollama_proxy.http1.server import Handler, HTTPServerProtocol, ServerLimits, protocol_factory

__all__ = ["Host", "bind"]

#: For the last words to clients whose answers do not end.
_LAST_WORDS_S = 1.0
#: Bytes that the kernel takes for a client beyond what is on its way to it. Left alone it takes 4 MB for one that reads
#: nothing; no process is charged for them, but the Responses API keeps a second copy until its last event.
_UNSENT_BYTES = 65536


def bind(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises: OSError with errno EADDRINUSE and the like; SettingsError for a name that means no address.
    """
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror:
        raise SettingsError(f"HOST={host} is no address of this machine.") from None
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):
            # On Windows SO_REUSEADDR would let another program take the port over.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):
            # Each accepted connection has it from the listener (seen on Linux 6.18, 2026-11). Not on Windows, nor in
            # every sandbox: there a client that reads nothing costs more, which is no reason not to serve.
            with contextlib.suppress(OSError):
                listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT_BYTES)
        listener.bind(address)
        listener.listen(2048)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


class Host(uvicorn.Server):
    """One run of the server.

    handler: serves the requests, within `limits`.
    on_start: awaited in the loop before the first connection is accepted; on_stop: after the last one is gone.
    on_drain: called when the drain begins, on_late: at its end if something is still running.
    """

    def __init__(
        self,
        handler: Handler,
        limits: ServerLimits,
        *,
        drain_s: float,
        on_start: Callable[[], Awaitable[None]],
        on_drain: Callable[[], None],
        on_late: Callable[[], None],
        on_stop: Callable[[], Awaitable[None]],
    ) -> None:
        config = uvicorn.Config(
            _no_application,
            http=protocol_factory(handler, limits),
            ws="none",
            lifespan="off",
            loop="auto",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=max(1, round(drain_s)),
            server_header=False,
        )
        super().__init__(config)
        self._on_start = on_start
        self._on_drain = on_drain
        self._on_late = on_late
        self._on_stop = on_stop
        self._loop: asyncio.AbstractEventLoop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's, with our own things running first."""
        self._loop = asyncio.get_running_loop()
        await self._on_start()
        await super().startup(sockets=sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's; what is still running after the drain time ends with a word, then our own things stop."""
        self._on_drain()
        await super().shutdown(sockets=sockets)
        if self.server_state.connections and not self.force_exit:
            self._on_late()
            await self._last_words()
        self._cut_connections()
        await asyncio.sleep(0)
        await self._on_stop()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal drains, the second ends now. Uvicorn would raise the signal again at the end: not noted."""
        if self.should_exit:
            self.force_exit = True
            self._loop.call_soon_threadsafe(self._cut_connections)
        self.should_exit = True

    async def _last_words(self) -> None:
        """Returns when every client has been told, or does not listen."""
        until = self._loop.time() + _LAST_WORDS_S
        while self.server_state.connections and not self.force_exit and self._loop.time() < until:  # noqa: ASYNC110
            # As uvicorn itself waits: nothing tells when the last connection has gone.
            await asyncio.sleep(0.01)

    def _cut_connections(self) -> None:
        for connection in list(self.server_state.connections):
            if isinstance(connection, HTTPServerProtocol):
                connection.abort()

    def run_on(self, listener: socket.socket) -> None:
        """Serves until stopped by a signal."""
        self.run(sockets=[listener])


async def _no_application(scope: object, receive: object, send: object) -> None:
    """Uvicorn wants an ASGI application; every request is served by the protocol itself."""
