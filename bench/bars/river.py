"""A provider that never stops talking, in a thread of the loader: it notes to the moment when somebody hangs up.

Owns: endless streams and when each was closed. Knows nothing of proxies. It shares the loader's clock, which is why it
stands here and not in a process of its own. The prompt says which stream is asked for: "river-NAME-MS;", a chunk every
MS milliseconds, 0: as fast as it is taken off. Anything else gets a small answer.
"""

from __future__ import annotations

import asyncio
import re
import threading
import time
from pathlib import Path
from typing import cast

from bench.loop import new_event_loop

__all__ = ["River"]

_ASKED = re.compile(rb"river-(\d+)-(\d+);")
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_SMALL = (
    b'{"id":"r","object":"chat.completion","created":1,"model":"bench-model","choices":[{"index":0,"message":'
    b'{"role":"assistant","content":"w00000001.00000 "},"finish_reason":"stop"}]}'
)
_FLOOD_BYTES = 64 * 1024


def _event(text: str) -> bytes:
    event = b'data: {"id":"r","object":"chat.completion.chunk","created":1,"model":"bench-model","choices":[{"index":0,'
    event += b'"delta":{"content":"%b"},"finish_reason":null}]}\n\n' % text.encode()
    return b"%x\r\n%b\r\n" % (len(event), event)


_DROP, _FLOOD = _event("drop "), _event("x" * 1000) * (_FLOOD_BYTES // 1200)


class _Stream(asyncio.Protocol):
    """One connection: its streams go on until it is closed."""

    def __init__(self, closed_at: dict[int, float]) -> None:
        self._closed_at = closed_at
        self._buffer = b""
        self._name: int | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._flowing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of asyncio's

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not found or len(body) < (int(length[1]) if length else 0):
            return
        self._buffer = b""
        asked = _ASKED.search(body)
        if not asked:
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ")
            self._transport.write(b"%d\r\n\r\n%b" % (len(_SMALL), _SMALL))
            return
        self._name = int(asked[1])
        self._transport.write(_HEAD)
        self._flowing = asked[2] == b"0"
        self._flow() if self._flowing else self._drip(int(asked[2]) / 1e3)

    def _drip(self, every_s: float) -> None:
        self._transport.write(_DROP)
        self._timer = asyncio.get_running_loop().call_later(every_s, self._drip, every_s)

    def _flow(self) -> None:
        """Writes until the transport says that nobody takes it off."""
        if self._flowing and not self._transport.is_closing():
            self._transport.write(_FLOOD)
            asyncio.get_running_loop().call_soon(self._flow)

    def pause_writing(self) -> None:
        self._flowing = False

    def resume_writing(self) -> None:
        if self._name is not None and self._timer is None:
            self._flowing = True
            self._flow()

    def connection_lost(self, exc: Exception | None) -> None:
        self._flowing = False
        if self._timer:
            self._timer.cancel()
        if self._name is not None:
            self._closed_at[self._name] = time.perf_counter()


class River:
    """The running provider; a context manager. closed_at: by the stream's number, on time.perf_counter()'s clock.

    url, authority, folder and pid are what `bench.proxy.Proxy` wants of a provider.
    """

    authority: Path | None = None
    pid = 0

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.closed_at: dict[int, float] = {}
        self.port = 0
        self._loop = new_event_loop()
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._run, name="river", daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> River:
        self._thread.start()
        self._listening.wait()
        return self

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self) -> None:
        server = self._loop.run_until_complete(
            self._loop.create_server(lambda: _Stream(self.closed_at), "127.0.0.1", 0, backlog=4096)
        )
        self.port = server.sockets[0].getsockname()[1]
        self._listening.set()
        self._loop.run_forever()
        server.close()
