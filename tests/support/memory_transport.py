"""Owns a transport without a socket, for tests that need an exact order of events or thousands of cuts."""

from __future__ import annotations

import asyncio
from typing import Any

from ollama_proxy.http1.connection import Connection

__all__ = ["MemoryTransport", "connect_in_memory"]


class MemoryTransport(asyncio.Transport):
    """Notes what is asked of it. Nothing happens by itself, but for connection_lost after abort, as in a real loop."""

    def __init__(self, protocol: Connection) -> None:
        super().__init__()
        self.written = b""
        self.aborted = False
        self.reading = True
        self._protocol = protocol

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_reading(self) -> bool:
        return self.reading

    def is_closing(self) -> bool:
        return self.aborted

    def abort(self) -> None:
        if not self.aborted:
            self.aborted = True
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)


def connect_in_memory() -> tuple[Connection, MemoryTransport]:
    """A free connection and the transport under it."""
    connection = Connection(asyncio.get_running_loop())
    transport = MemoryTransport(connection)
    connection.connection_made(transport)
    return connection, transport
