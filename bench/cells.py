"""What is measured of one running proxy, cell by cell.

Owns: the loads, and what is computed from them. Does not know who else is measured or how it is shown.
A cell that fails leaves a note instead of a number; the others go on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from bench.load import Job, Tally, percentile, run_load
from bench.machine import Meter, rss_mb
from bench.plan import BURST_CHUNKS, PACED_MS, PACED_SPREAD_S, PACED_STREAMS, Plan, chat_body, ollama_body
from bench.proxy import Proxy
from bench.small import LoadFailed, Small, load_small

__all__ = ["CELLS", "DISTURBED", "Cell", "Results", "measure"]

DISTURBED = 0.12
"""A run is doubtful when others used more than this share of the proxy's core."""

_SSE_END = b"data: [DONE]"
_NDJSON_END = b'"done":true'
_BIG_BYTES = 100_000


@dataclass(slots=True)
class Results:
    """Numbers of one proxy by key, every round's; which of them were taken while others disturbed; notes by cell."""

    values: dict[str, list[tuple[float, bool]]] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)

    def put(self, key: str, value: float | None, *, disturbed: bool = False) -> None:
        if value is not None:
            self.values.setdefault(key, []).append((value, disturbed))


@dataclass(frozen=True, slots=True)
class _Bench:
    """What a cell works with."""

    proxy: Proxy
    plan: Plan
    results: Results

    def meter(self) -> Meter:
        child = self.proxy.child
        return Meter(child.pid if child else self.proxy.provider.pid, self.proxy.cores.proxy if child else None)

    def per_cpu(self, key: str, amount: float, meter: Meter) -> None:
        """Enters amount per CPU-second of the proxy; of the bare provider nothing, its CPU is nobody's concern."""
        if self.proxy.child and meter.cpu_s > 0:
            self.results.put(key, amount / meter.cpu_s, disturbed=meter.foreign_share > DISTURBED)

    def small(self, *, connections: int, seconds: float, path: str, body: bytes) -> tuple[Small, Meter]:
        meter = self.meter()
        meter.start()
        small = load_small(
            self.proxy.port, path, self.proxy.headers, body,
            connections=connections, seconds=seconds, folder=self.proxy.provider.folder,
        )  # fmt: skip
        meter.stop()
        return small, meter

    def streams(self, job: Job, during: Callable[[], None] | None = None) -> tuple[Tally, Meter]:
        meter = self.meter()
        meter.start()
        tally = run_load(job, during)
        meter.stop()
        return tally, meter

    def chat(self, task: str, *, stream: bool = True, size: int = 0) -> bytes:
        return chat_body(self.proxy.peer.model, task, stream=stream, size=size)

    def job(
        self,
        task: str,
        clients: int,
        wanted: int,
        *,
        face: str,
        give_up_s: float,
        spread_s: float = 0.0,
        again_for_s: float = 0.0,
    ) -> Job:
        """A stream job on one of the proxy's two faces, "openai" or "ollama"."""
        peer = self.proxy.peer
        if face == "ollama":
            path, body, mark = peer.ollama_path or "", ollama_body(peer.model, task, stream=True), _NDJSON_END
        else:
            path, body, mark = peer.path, self.chat(task), _SSE_END
        request = self.proxy.request(path, body)
        return Job(self.proxy.port, request, clients, wanted, mark, again_for_s, spread_s, give_up_s)


def _say_if_wrong(bench: _Bench, cell: str, tally: Tally) -> None:
    if complaint := tally.complaint():
        bench.results.notes[cell] = complaint


def _check(bench: _Bench) -> None:
    """Right answers first, then numbers: a stream on each face, read chunk by chunk."""
    for face in ("openai", "ollama") if bench.proxy.peer.ollama_path else ("openai",):
        tally = run_load(bench.job("stream-12-5", 2, 12, face=face, give_up_s=10))
        _say_if_wrong(bench, f"{face} streams", tally)
    if bench.proxy.child:
        bench.results.put("rss_idle_mb", rss_mb(bench.proxy.child.pid))


def _warm(bench: _Bench) -> None:
    path, body = bench.proxy.peer.path, bench.chat("small", stream=False)
    bench.small(connections=8, seconds=bench.plan.warm_s, path=path, body=body)
    run_load(_burst_job(bench, "openai", bench.plan.warm_s / 3))


def _c1(bench: _Bench) -> None:
    path, body = bench.proxy.peer.path, bench.chat("small", stream=False)
    small, meter = bench.small(connections=1, seconds=bench.plan.c1_s, path=path, body=body)
    disturbed = meter.foreign_share > DISTURBED
    bench.results.put("c1_p50_ms", small.p50_ms, disturbed=disturbed)
    bench.results.put("c1_p99_ms", small.p99_ms, disturbed=disturbed)


def _c8(bench: _Bench) -> None:
    before = bench.proxy.provider.stats()
    path, body = bench.proxy.peer.path, bench.chat("small", stream=False)
    small, meter = bench.small(connections=8, seconds=bench.plan.c8_s, path=path, body=body)
    after = bench.proxy.provider.stats()
    disturbed = meter.foreign_share > DISTURBED
    bench.results.put("c8_rps", small.answers / small.seconds, disturbed=disturbed)
    bench.results.put("c8_p50_ms", small.p50_ms, disturbed=disturbed)
    bench.results.put("c8_p99_ms", small.p99_ms, disturbed=disturbed)
    bench.per_cpu("small_per_cpu", small.answers, meter)
    dialled = after["connections"] - before["connections"] - 1  # reading the counts is a connection too
    bench.results.put("dials", dialled / small.answers)
    if after["answers"] - before["answers"] < small.answers:
        bench.results.notes["c8"] = "not every answer came from the provider: is something cached?"


def _big(bench: _Bench) -> None:
    path, body = bench.proxy.peer.path, bench.chat("small", stream=False, size=_BIG_BYTES)
    small, meter = bench.small(connections=8, seconds=bench.plan.big_s, path=path, body=body)
    bench.results.put("big_rps", small.answers / small.seconds, disturbed=meter.foreign_share > DISTURBED)
    bench.per_cpu("big_per_cpu", small.answers, meter)


def _ollama_small(bench: _Bench) -> None:
    path, body = bench.proxy.peer.ollama_path or "", ollama_body(bench.proxy.peer.model, "small", stream=False)
    small, meter = bench.small(connections=8, seconds=bench.plan.c8_s, path=path, body=body)
    bench.per_cpu("ollama_small_per_cpu", small.answers, meter)


def _burst_job(bench: _Bench, face: str, seconds: float) -> Job:
    task = f"stream-{BURST_CHUNKS}-0"
    return bench.job(task, 8, BURST_CHUNKS, face=face, give_up_s=seconds * 2 + 5, again_for_s=seconds)


def _burst(bench: _Bench, face: str) -> None:
    prefix = "" if face == "openai" else "ollama_"
    tally, meter = bench.streams(_burst_job(bench, face, bench.plan.burst_s))
    _say_if_wrong(bench, f"{prefix}burst", tally)
    disturbed = meter.foreign_share > DISTURBED
    bench.results.put(f"{prefix}burst_streams_s", tally.right / tally.elapsed_s, disturbed=disturbed)
    bench.per_cpu(f"{prefix}burst_per_cpu", tally.chunks, meter)


def _paced(bench: _Bench, face: str) -> None:
    prefix = "" if face == "openai" else "ollama_"
    chunks = round(bench.plan.paced_s * 1e3 / PACED_MS)
    task, give_up_s = f"stream-{chunks}-{PACED_MS}", bench.plan.paced_s * bench.plan.patience + 3
    job = bench.job(task, PACED_STREAMS, chunks, face=face, give_up_s=give_up_s, spread_s=PACED_SPREAD_S)
    tally, meter = bench.streams(job)
    _say_if_wrong(bench, f"{prefix}paced", tally)
    bench.per_cpu(f"{prefix}paced_per_cpu", tally.chunks, meter)
    _put_first_byte(bench, f"{prefix}paced_first", tally, disturbed=meter.foreign_share > DISTURBED)


def _put_first_byte(bench: _Bench, key: str, tally: Tally, *, disturbed: bool) -> None:
    """Time to the first chunk (the provider sends it at once)."""
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        seconds = percentile(tally.first_s, share)
        bench.results.put(f"{key}_{name}_ms", None if seconds is None else seconds * 1e3, disturbed=disturbed)


def _slow(bench: _Bench) -> None:
    plan, child = bench.plan, bench.proxy.child
    task = f"stream-{plan.slow_chunks}-{plan.slow_ms}"
    give_up_s = (plan.slow_ms * plan.slow_chunks / 1e3 + plan.slow_spread_s) * plan.patience + 3
    job = bench.job(
        task, plan.slow_streams, plan.slow_chunks, face="openai", give_up_s=give_up_s, spread_s=plan.slow_spread_s
    )
    highest = 0.0

    def sample() -> None:
        nonlocal highest
        if child:
            highest = max(highest, rss_mb(child.pid))

    tally, meter = bench.streams(job, sample)
    _say_if_wrong(bench, "slow", tally)
    bench.results.put("rss_slow_mb", highest or None)
    bench.results.put("slow_right", 100 * tally.right / plan.slow_streams)
    disturbed = meter.foreign_share > DISTURBED
    _put_first_byte(bench, "slow_first", tally, disturbed=disturbed)
    if child and tally.right:
        bench.results.put("slow_cpu_ms", meter.cpu_s * 1e3 / tally.right, disturbed=disturbed)


@dataclass(frozen=True, slots=True)
class Cell:
    """One thing that is measured."""

    name: str
    run: Callable[[_Bench], None]
    ollama: bool = False
    """only for proxies with Ollama's API"""


CELLS = (
    Cell("check", _check),
    Cell("warm", _warm),
    Cell("c1", _c1),
    Cell("c8", _c8),
    Cell("big", _big),
    Cell("burst", lambda bench: _burst(bench, "openai")),
    Cell("paced", lambda bench: _paced(bench, "openai")),
    Cell("ollama_small", _ollama_small, ollama=True),
    Cell("ollama_burst", lambda bench: _burst(bench, "ollama"), ollama=True),
    Cell("ollama_paced", lambda bench: _paced(bench, "ollama"), ollama=True),
    Cell("slow", _slow),
)


def measure(proxy: Proxy, plan: Plan, results: Results, in_time: Callable[[], bool]) -> None:
    """Runs every cell that fits this proxy; stops when the time is over, with a note."""
    bench = _Bench(proxy, plan, results)
    if proxy.child:
        results.put("cold_ms", proxy.cold_ms)
    for cell in CELLS:
        if cell.ollama and not proxy.peer.ollama_path:
            continue
        if not in_time():
            results.notes["time"] = f"out of time before {cell.name}"
            return
        try:
            cell.run(bench)
        except LoadFailed as error:
            results.notes[cell.name] = str(error)
        if proxy.child and not proxy.child.alive():
            results.notes[cell.name] = f"the proxy ended by itself: {proxy.child.last_words()}"
            return
