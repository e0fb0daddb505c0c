"""`scripts/bench`: arguments, the rounds, the report.

Owns: the order of things and the time they may take. Knows nothing about how a proxy is started or measured.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench.cells import Results, measure
from bench.install import install, missing, version
from bench.machine import Cores, choose_cores, raise_file_limit, supported
from bench.peers import DIRECT, PEERS, Peer
from bench.plan import FULL, QUICK, Plan
from bench.provider import Provider, ProviderFailed
from bench.proxy import NotStarted, Proxy
from bench.report import add_differences, as_dict, render
from bench.small import have_wrk

_NAMES = [peer.name for peer in PEERS]
_STARTED_AGAIN_MS = 1500
"""who starts faster than this is started twice a round: the first start may still have files to fetch or compile"""


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measure the proxy side by side with others.")
    parser.add_argument("--quick", action="store_true", help="one short round, at most a minute; numbers are rough")
    parser.add_argument("--only", metavar="NAME,…", help=f"some of: {','.join(_NAMES)}")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write every number there too")
    parser.add_argument("--streams", type=int, default=1000, help="how many slow streams at once (1000)")
    parser.add_argument("--tls", action="store_true", help="the fake provider speaks TLS (it is slower then)")
    parser.add_argument("--install-peers", action="store_true", help="install the peers (all, or --only), then stop")
    options = parser.parse_args(words)
    options.only = options.only.split(",") if options.only else _NAMES
    if unknown := set(options.only) - set(_NAMES):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(_NAMES)}")
    if not 1 <= options.streams <= 20_000:
        parser.error("--streams wants 1 to 20000")
    return options


def _choose(names: Sequence[str], *, tls: bool) -> tuple[list[Peer], dict[str, str]]:
    """(who is measured, who is not and why). Our loaders speak no TLS: the bare provider is left out then."""
    chosen = [] if tls else [DIRECT]
    skipped = {}
    for peer in PEERS:
        if peer.name not in names:
            continue
        if reason := missing(peer):
            skipped[peer.name] = reason
        else:
            chosen.append(peer)
    return chosen, skipped


def _facts(provider: Provider, cores: Cores, peers: Sequence[Peer], *, tls: bool) -> dict[str, str]:
    """What somebody needs to know to compare these numbers with others."""
    pinned = (
        "nobody is pinned (one core)" if cores.proxy is None else f"proxy on core {cores.proxy}, load on {cores.load}"
    )
    versions = " ".join(f"{peer.name} {told}" for peer in peers if (told := version(peer)))
    return {
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Linux {platform.release()}",
        "Python": platform.python_version(),
        "cores": pinned,
        "provider": provider.kind + (" with TLS" if tls else ""),
        "small answers by": "wrk" if have_wrk() else "our own clients (wrk is not installed)",
        "versions": versions or "–",
    }


class _Run:
    """All rounds over all proxies, within the plan's time."""

    def __init__(self, plan: Plan, provider: Provider, cores: Cores, folder: Path) -> None:
        self.rows: dict[str, Results] = {}
        self._plan = plan
        self._provider = provider
        self._cores = cores
        self._folder = folder
        self._end = time.monotonic() + plan.budget_s
        self._took: dict[str, float] = {}

    def _in_time(self) -> bool:
        return time.monotonic() < self._end

    def _fits(self, peer: Peer) -> bool:
        expected = self._took.get(peer.name, self._plan.expected_s(ollama=peer.ollama_path is not None))
        return time.monotonic() + expected < self._end

    def round(self, number: int, peers: Sequence[Peer]) -> None:
        for peer in peers:
            results = self.rows.setdefault(peer.name, Results())
            if "start" in results.notes:
                continue
            if not self._fits(peer):
                results.notes.setdefault("time", f"left out of round {number}: no time left (choose fewer with --only)")
                continue
            print(f"round {number}: {peer.name} …", file=sys.stderr, flush=True)
            began = time.monotonic()
            self._measure(peer, results, self._folder / f"{peer.name}-{number}")
            self._took[peer.name] = time.monotonic() - began

    def _measure(self, peer: Peer, results: Results, folder: Path) -> None:
        try:
            with self._proxy(peer, folder / "first") as proxy:
                if not 0 < proxy.cold_ms < _STARTED_AGAIN_MS:
                    measure(proxy, self._plan, results, self._in_time)
                    return
                results.put("cold_ms", proxy.cold_ms)
            with self._proxy(peer, folder / "second") as proxy:
                measure(proxy, self._plan, results, self._in_time)
        except NotStarted as error:
            results.notes["start"] = str(error)

    def _proxy(self, peer: Peer, folder: Path) -> Proxy:
        return Proxy(peer, self._provider, self._cores, folder, left_s=self._end - time.monotonic())


def _bench(options: argparse.Namespace) -> int:
    plan = replace(QUICK if options.quick else FULL, slow_streams=options.streams)
    peers, skipped = _choose(options.only, tls=options.tls)
    files = raise_file_limit(65_536)
    if files < 4 * options.streams:
        print(f"Only {files} open files are allowed here: raise `ulimit -n` or use fewer --streams.", file=sys.stderr)
        return 2
    cores = choose_cores()
    if cores.load is not None:
        os.sched_setaffinity(0, {cores.load})
    with tempfile.TemporaryDirectory(prefix="ollama-proxy-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # nginx's worker is another user when we are root
        provider = Provider(folder, cores.load, tls=options.tls)
        try:
            run = _Run(plan, provider, cores, folder)
            for number in range(1, plan.rounds + 1):
                run.round(number, peers)
        finally:
            provider.stop()
        add_differences(run.rows)
        facts = _facts(provider, cores, peers, tls=options.tls)
        print(render(run.rows, facts, skipped, options.streams))
        if options.json:
            options.json.write_text(json.dumps(as_dict(run.rows, facts, skipped), indent=1), "utf-8")
    return 0


def main(words: Sequence[str] | None = None) -> int:
    """The command. Returns the exit status."""
    options = _arguments(words)
    if not supported():
        print("The benchmark reads CPU time and memory from Linux's /proc; this system has none.", file=sys.stderr)
        return 2
    if options.install_peers:
        return 0 if install(peer for peer in PEERS if peer.name in options.only) else 1
    # A stop from outside unwinds like an error: every process that we started ends with us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return _bench(options)
    except ProviderFailed as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
