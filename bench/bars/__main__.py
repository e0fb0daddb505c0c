"""`scripts/bars`: every bar once, one after the other, and the table."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

from bench.bars.measures import Streams, added_ms, cancel_ms, decision_us, small_answers, stalled_mb, streams
from bench.bars.river import River
from bench.bars.rows import Bar, Row, render
from bench.load import percentile
from bench.machine import Cores, choose_cores, raise_file_limit, supported
from bench.peers import DIRECT, PEERS
from bench.provider import Provider, ProviderFailed
from bench.proxy import Proxy

_OURS = next(peer for peer in PEERS if peer.name == "ours")


def _added(folder: Path, provider: Provider, cores: Cores, share: float) -> Iterator[Row]:
    direct = Proxy(DIRECT, provider, cores, folder / "direct")
    with Proxy(_OURS, provider, cores, folder / "added") as proxy:
        small_answers(proxy, 8, 1)
        for connections in (1, 16):
            p50, p99 = added_ms(proxy, direct, connections, 5 * share)
            what = f"added to an answer that takes 20 ms, {connections} at once"
            yield Row(Bar("L1", f"{what}, p50", 2, "ms", digits=2), p50)
            yield Row(Bar("L1", f"{what}, p99", 8, "ms", digits=2), p99)
        per_second, p99 = small_answers(proxy, 64, 60 * share)
        yield Row(Bar("L2", "small answers, 64 at once", 1000, "/s", at_least=True), per_second)
        yield Row(Bar("L2", "the same, p99", 100, "ms", digits=1), p99)


def _streams(folder: Path, provider: Provider, cores: Cores, share: float) -> Iterator[Row]:
    longest = []
    for name, count, rate, late_ms, most_mb in (
        ("L3", 500, 10, 25, None),
        ("L4", 1000, 4, 50, 200),
        ("L5", 5000, 1, None, 450),
    ):
        with Proxy(_OURS, provider, cores, folder / name) as proxy:
            small_answers(proxy, 8, 1)
            found = streams(proxy, count, rate, max(6.0, 60 * share))
        what = f"{count:,} streams, {rate} chunk{'s' * (rate > 1)} a second"
        yield from _stream_rows(name, what, count, found, None if late_ms is None else 1000 / rate + late_ms, most_mb)
        longest.append(found.longest_ms)
    yield Row(Bar("L10", "longest turn of the loop in L3 to L5", 100, "ms"), max(longest))


def _stream_rows(
    name: str, what: str, count: int, found: Streams, gap_ms: float | None, most_mb: float | None
) -> Iterator[Row]:
    wrong = count - found.tally.right
    yield Row(Bar(name, f"{what}: wrong, lost or late", 0, "streams"), wrong, found.tally.complaint() or "")
    if gap_ms is not None:
        yield Row(Bar(name, "from one chunk to the next, p99", gap_ms, "ms"), found.gap_ms(0.99))
    if name == "L3":
        yield Row(Bar(name, "first chunk, p99", 150, "ms"), found.first_ms(0.99))
    if most_mb is not None:
        yield Row(Bar(name, "memory", most_mb, "MB"), found.rss_mb)
        yield Row(Bar(name, "memory, all of it, for each stream", 100, "kB"), found.rss_mb * 1e3 / count)


def _endless(folder: Path, cores: Cores, share: float) -> Iterator[Row]:
    with River(folder) as river:
        # A proxy of its own for each: what one crowd leaves behind in the allocator would serve the next.
        for path in ("/v1/chat/completions", "/api/chat", "/v1/responses"):
            with Proxy(_OURS, cast("Provider", river), cores, folder / "river") as proxy:
                each_mb = stalled_mb(proxy, path, 50, max(4.0, 15 * share))
            what = f"memory for each of 50 clients of {path} that read nothing"
            yield Row(Bar("L6", what, 1, "MB", digits=2), each_mb)
        with Proxy(_OURS, cast("Provider", river), cores, folder / "river") as proxy:
            took = cancel_ms(proxy, river, 500)
        what = "from leaving to the provider's hearing of it, 500 streams, p99"
        yield Row(Bar("L7", what, 250, "ms", digits=1), percentile(took, 0.99))


def _pool() -> Iterator[Row]:
    for keys, bound in ((8, 50), (64, 250)):
        bar = Bar("L9", f"choosing one of {keys} keys and giving it back, p99", bound, "µs", digits=1)
        yield Row(bar, decision_us(keys))


def _bars(share: float) -> int:
    if raise_file_limit(65_536) < 20_000:
        print("Fewer than 20,000 open files are allowed here: raise `ulimit -n`.", file=sys.stderr)
        return 2
    cores = choose_cores()
    if cores.load is not None:
        os.sched_setaffinity(0, {cores.load})
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="ollama-proxy-bars-") as name:
        folder = Path(name)
        provider = Provider(folder, cores.load, tls=False)
        try:
            for part in (_added(folder, provider, cores, share), _streams(folder, provider, cores, share)):
                for row in part:
                    rows.append(row)
                    print(f"{row.bar.name}: {row.bar.what} …", file=sys.stderr, flush=True)
        finally:
            provider.stop()
        rows += _endless(folder, cores, share)
    rows += _pool()
    print(render(sorted(rows, key=lambda row: int(row.bar.name[1:]))))
    return 0 if all(row.holds is not False for row in rows) else 1


def main(words: Sequence[str] | None = None) -> int:
    """The command. Returns 0 where every bar holds, 1 where one is missed, 2 where nothing can be measured."""
    parser = argparse.ArgumentParser(prog="scripts/bars", description="Measure the load that is promised to be borne.")
    parser.add_argument("--quick", action="store_true", help="a sixth of the time; numbers are rough")
    options = parser.parse_args(words)
    if not supported():
        print("Memory is read from Linux's /proc; this system has none.", file=sys.stderr)
        return 2
    try:
        return _bars(1 / 6 if options.quick else 1.0)
    except ProviderFailed as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
