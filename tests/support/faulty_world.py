"""A whole world for tests of faults: simulated providers, a whole proxy before them, and clients on raw sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

from ollama_proxy.simulator import Arrival, Header, Send, SimulatorThread, Status
from tests.support.client_kinds import Told, Way
from tests.support.running import RunningProxy
from tests.support.sim_kit import Got
from tests.support.time_machine import TimeMachine

__all__ = ["NO_WAITING", "PATIENCE_S", "Caller", "World", "exchange", "limited", "make_world", "render"]

#: A test that hangs is a failed test.
PATIENCE_S = 20.0
#: Settings under which nobody stands in line: what is to be known about a key is known at once.
NO_WAITING = "[timeouts]\nkey_wait_s = 0.01\n"


class Caller:
    """A client on a raw socket, for what well-behaved ones do not do: leave, stop reading, send half a request."""

    def __init__(self, port: int, *, receive_buffer: int | None = None) -> None:
        self.socket = socket.socket()
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(PATIENCE_S)
        self.socket.connect(("127.0.0.1", port))
        self.received = b""
        self.left_at = 0.0

    def ask(self, way: Way, model: str, text: str = "Say hello.", **more: Any) -> Caller:
        self.socket.sendall(render(way.path, way.body(model, text, **more), close=False))
        return self

    def send(self, data: bytes) -> Caller:
        self.socket.sendall(data)
        return self

    def until(self, mark: bytes) -> bytes:
        """All that came, as soon as `mark` is in it."""
        while mark not in self.received:
            piece = self.socket.recv(65536)
            assert piece, f"the answer ended without {mark!r}: {self.received!r}"
            self.received += piece
        return self.received

    def to_end(self) -> Got:
        """The answer, once the server has closed or its body is whole."""
        end = "eof"
        try:
            while not _is_whole(self.received) and (piece := self.socket.recv(65536)):
                self.received += piece
        except ConnectionError:
            end = "reset"
        return Got(self.received, end)

    def leave(self, how: str = "fin") -> None:
        """fin: close. rst: reset. half: say that nothing more will be sent, and stay to read."""
        self.left_at = time.monotonic()
        if how == "half":
            self.socket.shutdown(socket.SHUT_WR)
            return
        if how == "rst":
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def __enter__(self) -> Caller:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()


def _is_whole(data: bytes) -> bool:
    head, found, body = data.partition(b"\r\n\r\n")
    lower = head.lower()
    if not found:
        return False
    if b"transfer-encoding: chunked" in lower:
        return body.endswith(b"0\r\n\r\n")
    _, announced, length = lower.partition(b"content-length: ")
    return bool(announced) and len(body) >= int(length.split(b"\r\n")[0])


async def exchange(port: int, request: bytes) -> Got:
    """All that comes back for these bytes on a connection of their own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    pieces, end = [], "eof"
    try:
        writer.write(request)
        await writer.drain()
        while piece := await reader.read(1 << 20):
            pieces.append(piece)
    except ConnectionError:
        end = "reset"
    finally:
        writer.transport.abort()
    return Got(b"".join(pieces), end)


def render(path: str, body: Any = None, headers: Mapping[str, str] | None = None, *, close: bool = True) -> bytes:
    """A request's bytes. body: JSON, or bytes as they are; None is a GET."""
    data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    fields = {"host": "127.0.0.1", "content-type": "application/json", **(headers or {})}
    if close:
        fields["connection"] = "close"
    if body is not None:
        fields["content-length"] = str(len(data))
    method = "GET" if body is None else "POST"
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    return "\r\n".join(lines).encode() + data


class World:
    """clock: the proxy's, and the simulator's."""

    def __init__(self, sim: SimulatorThread, proxy: RunningProxy, clock: TimeMachine) -> None:
        self.sim = sim
        self.proxy = proxy
        self.clock = clock

    def fresh(self, *, luck: float | None = None) -> None:
        """Every key as on the first day, no fault on the list, an empty log.

        luck: what chance says from now on; 0.0 means that nobody pauses between two attempts.
        """
        self.proxy.forget()
        self.sim.reset()
        self.clock.luck, self.clock.skew = luck, 0.0

    # --- asking -------------------------------------------------------------------------------------------------------

    def ask(self, way: Way, model: str, text: str = "Say hello.", **more: Any) -> Told:
        """One question, its whole answer. more: further fields of the body."""
        return asyncio.run(self.ask_soon(way, model, text, **more))

    async def ask_soon(
        self, way: Way, model: str, text: str = "Say hello.", headers: Mapping[str, str] | None = None, **more: Any
    ) -> Told:
        began = time.monotonic()
        request = render(way.path, way.body(model, text, **more), headers)
        got = await asyncio.wait_for(exchange(self.proxy.port, request), PATIENCE_S)
        told = way.told(got)
        told.seconds = time.monotonic() - began
        return told

    def send(self, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Got:
        """One request, its answer. body: JSON or bytes; None is a GET."""
        return self.exchange(render(path, body, headers))

    def exchange(self, request: bytes) -> Got:
        """These bytes on a connection of their own, and all that comes back."""
        return asyncio.run(asyncio.wait_for(exchange(self.proxy.port, request), PATIENCE_S))

    def caller(self, *, receive_buffer: int | None = None) -> Caller:
        return Caller(self.proxy.port, receive_buffer=receive_buffer)

    # --- looking ------------------------------------------------------------------------------------------------------

    def calls(self, provider: str | None = None, **which: Any) -> list[Arrival]:
        """What was asked of a provider, lists of models aside."""
        return [a for a in self.sim.calls(provider, **which) if a.operation not in ("models", "model", "key")]

    def used(self, provider: str | None = None) -> list[str]:
        """The keys of those calls, in order."""
        return [arrival.key for arrival in self.calls(provider)]

    def key(self, label: str) -> dict[str, Any]:
        """What /api/keys says of a key: `google#1`."""
        provider = label.partition("#")[0]
        keys = self.send("/api/keys").json[provider]["keys"]
        (found,) = [key for key in keys if key["label"] == label]
        return dict(found)

    def metric(self, line: str) -> float:
        """The number behind this beginning of a line in /metrics; 0 where there is none."""
        lines = self.send("/metrics").body.decode().splitlines()
        return sum(float(found.rpartition(" ")[2]) for found in lines if found.startswith(line))

    def is_idle(self) -> bool:
        """No request is under way, and no key is in use."""
        return self.metric("ollama_proxy_requests_in_flight") == 0 and self.metric("ollama_proxy_key_in_flight") == 0

    def wait_until(self, is_so: Callable[[], Any]) -> Any:
        """What `is_so` says, as soon as that is true; it asks again and again."""
        until = time.monotonic() + PATIENCE_S
        while not (found := is_so()):
            assert time.monotonic() < until, "it never became so"
        return found


@contextlib.contextmanager
def make_world(
    factory: pytest.TempPathFactory,
    keys: Mapping[str, Sequence[str]],
    toml: str = "",
    *,
    env: Mapping[str, str] | None = None,
    server: Mapping[str, Any] | None = None,
    **options: Any,
) -> Iterator[World]:
    """A running world. keys: labels by provider. toml: the settings file. server: other limits of the HTTP server.

    options: the simulator's.
    """
    folder: Path = factory.mktemp("world")
    (folder / "ollama-proxy.toml").write_text(toml)
    clock = TimeMachine()
    with (
        SimulatorThread(clock=clock, **options) as sim,
        RunningProxy({**sim.env(keys), **(env or {})}, folder, clock=clock, server=server) as proxy,
    ):
        yield World(sim, proxy, clock)


def limited(**headers: str) -> list[Status | Header | Send]:
    """429 with these header fields; underscores in names become dashes."""
    fields = [Header(name.replace("_", "-"), value) for name, value in headers.items()]
    return [Status(429), *fields, Send(b'{"message": "too many requests"}')]
