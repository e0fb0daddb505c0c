"""How each bar is measured: the load, and the number that comes of it. Knows no table and no argument."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

from bench.bars.river import River
from bench.load import Job, Tally, percentile, run_load
from bench.loop import new_event_loop
from bench.machine import rss_mb
from bench.plan import chat_body
from bench.proxy import Proxy
from bench.small import Small, load_small
from bench.wire import build_request
from ollama_proxy.outcome import OK
from ollama_proxy.pool import KeyPool, Lease
from ollama_proxy.secret import Secret

__all__ = ["Streams", "added_ms", "cancel_ms", "decision_us", "small_answers", "stalled_mb", "streams"]

_PATH = "/v1/chat/completions"
_END = b"data: [DONE]"
_CLOSES_WITHIN_S = 5.0


def _load(proxy: Proxy, task: str, connections: int, seconds: float) -> Small:
    body = chat_body(proxy.peer.model, task, stream=False)
    return load_small(
        proxy.port, _PATH, proxy.headers, body, connections=connections, seconds=seconds, folder=proxy.provider.folder
    )


def small_answers(proxy: Proxy, connections: int, seconds: float) -> tuple[float, float]:
    """(answers per second, 99th percentile in ms) with so many clients. Raises: LoadFailed if one was not right."""
    small = _load(proxy, "small", connections, seconds)
    return small.answers / small.seconds, small.p99_ms


def added_ms(proxy: Proxy, direct: Proxy, connections: int, seconds: float) -> tuple[float, float]:
    """(p50, p99) in ms of a small answer through the proxy, less the same without it. The provider takes 20 ms.

    A provider that answers at once would keep the proxy busy all the time, and the wait for one's turn be measured.
    """
    with_us, without = (_load(each, "delay-20", connections, seconds) for each in (proxy, direct))
    return with_us.p50_ms - without.p50_ms, with_us.p99_ms - without.p99_ms


@dataclass(slots=True)
class Streams:
    """What came of many streams: the tally, the proxy's highest memory, its longest turn."""

    tally: Tally
    rss_mb: float
    longest_ms: float

    def gap_ms(self, share: float) -> float | None:
        return _ms(percentile(self.tally.gaps_s, share))

    def first_ms(self, share: float) -> float | None:
        return _ms(percentile(self.tally.first_s, share))


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1e3


@contextlib.contextmanager
def _probed(port: int) -> Iterator[list[float]]:
    """Asks all the while; the list holds the longest wait in ms at the end."""
    prober = subprocess.Popen(
        [sys.executable, "-m", "bench.bars.prober", str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    found: list[float] = []
    try:
        yield found
    finally:
        told, _ = prober.communicate(timeout=60)
        found.append(float(told.split()[1]))


def streams(proxy: Proxy, count: int, per_second: float, seconds: float) -> Streams:
    """So many streams at once, each of so many chunks a second; all chunks are checked."""
    chunks = max(2, round(seconds * per_second))
    # Their chunks do not fall on one moment: nobody's users begin together.
    spread_s = max(1.0, count / 1000)
    body = chat_body(proxy.peer.model, f"stream-{chunks}-{round(1000 / per_second)}", stream=True)
    give_up_s = (seconds + spread_s) * 2 + 10
    job = Job(
        proxy.port, proxy.request(_PATH, body), count, chunks, _END, spread_s=spread_s, give_up_s=give_up_s, gaps=True
    )
    highest = 0.0

    def sample() -> None:
        nonlocal highest
        highest = max(highest, rss_mb(proxy.child.pid)) if proxy.child else highest

    with _probed(proxy.port) as longest:
        tally = run_load(job, sample)
    return Streams(tally, highest, longest[0])


# --- endless streams --------------------------------------------------------------------------------------------------


def _asking(proxy: Proxy, number: int, every_ms: int, path: str = _PATH) -> bytes:
    talk = [{"role": "user", "content": f"river-{number}-{every_ms};"}]
    field = "input" if path == "/v1/responses" else "messages"
    body = json.dumps({"model": proxy.peer.model, field: talk, "stream": True}, separators=(",", ":"))
    return build_request(proxy.port, path, proxy.headers, body.encode())


def stalled_mb(proxy: Proxy, path: str, readers: int, seconds: float) -> float:
    """MB of the proxy's memory for each client that asks a river for a flood at `path` and reads nothing of it."""
    assert proxy.child is not None
    before = rss_mb(proxy.child.pid)
    highest = before
    with contextlib.ExitStack() as stack:
        for number in range(readers):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", proxy.port)))
            connection.sendall(_asking(proxy, 10_000 + number, 0, path))
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(0.1)
            highest = max(highest, rss_mb(proxy.child.pid))
    return (highest - before) / readers


def cancel_ms(proxy: Proxy, river: River, clients: int) -> list[float]:
    """Ms from a client's leaving to the provider's hearing of it, for each of so many streams under way."""

    async def leave() -> dict[int, float]:
        left: dict[int, float] = {}
        opened = [await asyncio.open_connection("127.0.0.1", proxy.port) for _ in range(clients)]
        for number, (_, writer) in enumerate(opened):
            writer.write(_asking(proxy, number, 250))
        await asyncio.gather(*(reader.readuntil(b"drop ") for reader, _ in opened))
        for number, (_, writer) in enumerate(opened):
            left[number] = time.perf_counter()
            writer.transport.abort()
            await asyncio.sleep(0.002)
        until = time.monotonic() + _CLOSES_WITHIN_S
        while len(river.closed_at.keys() & left.keys()) < clients and time.monotonic() < until:
            await asyncio.sleep(0.05)
        return left

    loop = new_event_loop()
    try:
        left = loop.run_until_complete(leave())
    finally:
        loop.close()
    late = time.perf_counter()
    return [(river.closed_at.get(number, late) - at) * 1e3 for number, at in left.items()]


# --- the pool ---------------------------------------------------------------------------------------------------------


def decision_us(keys: int, times: int = 20_000) -> float:
    """The 99th percentile of choosing a key and giving it back, in µs, with half of the keys at rest."""
    pool = KeyPool("p", [Secret(f"sk-bars-{number:06}", f"p#{number}") for number in range(keys)])
    now = 1000.0
    held = [pool.acquire("m", None, now, 0.5) for _ in range(max(1, keys // 2))]
    assert all(isinstance(lease, Lease) for lease in held)
    taken: list[float] = []
    for _ in range(times):
        now += 1e-4
        at = time.perf_counter()
        lease = pool.acquire("m", None, now, 0.5)
        assert isinstance(lease, Lease)
        pool.release(lease, OK, now, 0.5)
        taken.append(time.perf_counter() - at)
    return (percentile(taken, 0.99) or 0.0) * 1e6
