"""The fake provider of upstream.c in Python: the same bytes, slower; used without a compiler and for TLS.

Owns: answering as the prompt asks ("bench:small;", "bench:delay-M;", "bench:stream-N-M;", explained in upstream.c).
Knows nothing of proxies, keys or real models.
Usage: python -m bench.upstream PORT [CERTIFICATE KEY]    (port 0: any free one; the port is printed on the first line)
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import sys
from collections import Counter
from collections.abc import Callable
from typing import cast

from bench.loop import new_event_loop

__all__ = ["Upstream", "serve"]

_TASK = re.compile(rb"bench:(stream|delay|small)(?:-(\d+))?(?:-(\d+))?;")
_STREAM = re.compile(rb'"stream": ?true')
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
_MODELS = b'{"object":"list","data":[{"id":"bench-model","object":"model","created":1760000000,"owned_by":"bench"}]}'
_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
    b"Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n"
)


def _whole(body: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)


def _small(number: int) -> bytes:
    return _whole(
        b'{"id":"chatcmpl-%08d","object":"chat.completion","created":1760000000,"model":"bench-model","choices":[{"index":0,'
        b'"message":{"role":"assistant","content":"w%08d.00000 "},"logprobs":null,"finish_reason":"stop"}],'
        b'"usage":{"prompt_tokens":20,"completion_tokens":8,"total_tokens":28},"system_fingerprint":"fp_bench"}'
        % (number, number)
    )


def _event(number: int, rest: bytes) -> bytes:
    event = (
        b'data: {"id":"chatcmpl-%08d","object":"chat.completion.chunk","created":1760000000,"model":"bench-model",'
        b'"system_fingerprint":"fp_bench",%b}\n\n' % (number, rest)
    )
    return b"%x\r\n%b\r\n" % (len(event), event)


def _delta(number: int, delta: bytes, finish: bytes = b"null") -> bytes:
    choice = b'"choices":[{"index":0,"delta":%b,"logprobs":null,"finish_reason":%b}]' % (delta, finish)
    return _event(number, choice)


def _chunk(number: int, index: int) -> bytes:
    return _delta(number, b'{"content":"w%08d.%05d "}' % (number, index))


def _closing(number: int, *, usage: bool) -> bytes:
    told = b'"choices":[],"usage":{"prompt_tokens":20,"completion_tokens":50,"total_tokens":70}'
    last = _event(number, told) if usage else b""
    return _delta(number, b"{}", b'"stop"') + last + b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"


class Upstream(asyncio.Protocol):
    """One connection. `counts` is shared by all: answers, streams, connections, aborted."""

    def __init__(self, counts: Counter[str]) -> None:
        self._counts = counts
        self._loop = asyncio.get_running_loop()
        self._buffer = b""
        self._timer: asyncio.TimerHandle | asyncio.Handle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of asyncio's
        self._counts["connections"] += 1

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer:
            self._timer.cancel()
            self._counts["aborted"] += 1

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._answer_next()

    def _answer_next(self) -> None:
        while self._timer is None:
            head, found, rest = self._buffer.partition(b"\r\n\r\n")
            if not found:
                return
            length = _LENGTH.search(head)
            size = int(length[1]) if length else 0
            if len(rest) < size:
                return
            self._buffer = rest[size:]
            if head.startswith(b"GET "):
                self._get(head[4:])
            else:
                self._begin(rest[:size])

    def _get(self, path: bytes) -> None:
        if path.startswith(b"/_bench/stats "):
            names = ("answers", "streams", "connections", "aborted")
            body = json.dumps({name: self._counts[name] for name in names}).encode()
        else:
            body = _MODELS if b"/models" in path.partition(b" ")[0] else b'{"status":"ok"}'
        self._transport.write(_whole(body))

    def _begin(self, body: bytes) -> None:
        self._counts["answers"] += 1
        number = self._counts["answers"]
        task = _TASK.search(body)
        first, second = (int(value or 0) for value in (task[2], task[3])) if task else (0, 0)
        if not _STREAM.search(body):
            self._later(first, lambda: self._transport.write(_small(number)))
            return
        self._counts["streams"] += 1
        count = first if task and task[1] == b"stream" else 8
        self._transport.write(_STREAM_HEAD + _delta(number, b'{"role":"assistant","content":""}'))
        self._later(0, lambda: self._go_on(number, 0, count, second, usage=b'"include_usage"' in body))

    def _later(self, wait_ms: int, then: Callable[[], None]) -> None:
        def run() -> None:
            self._timer = None
            then()
            self._answer_next()

        self._timer = self._loop.call_later(wait_ms / 1e3, run) if wait_ms else self._loop.call_soon(run)

    def _go_on(self, number: int, index: int, count: int, period_ms: int, *, usage: bool) -> None:
        upto = index + 1 if period_ms else count
        out = b"".join(_chunk(number, at) for at in range(index, upto))
        if upto >= count:
            self._transport.write(out + _closing(number, usage=usage))
        else:
            self._transport.write(out)
            self._later(period_ms, lambda: self._go_on(number, upto, count, period_ms, usage=usage))


async def serve(port: int, tls: ssl.SSLContext | None = None) -> asyncio.Server:
    """A listening fake provider on the loopback interface."""
    counts: Counter[str] = Counter()
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: Upstream(counts), "127.0.0.1", port, ssl=tls, backlog=4096)


async def _main(port: int, files: list[str]) -> None:
    tls = None
    if files:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(files[0], files[1])
        tls.set_alpn_protocols(["http/1.1"])
    server = await serve(port, tls)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    new_event_loop().run_until_complete(_main(int(sys.argv[1]) if len(sys.argv) > 1 else 0, sys.argv[2:]))
