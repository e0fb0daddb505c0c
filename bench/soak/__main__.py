"""`python -m bench.soak`: the providers and the clients here, the proxy in a process of its own, and a report.

Owns: the order of things. Who does what is in `plan`, how it went in `books`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from bench.loop import new_event_loop
from bench.machine import Child, free_port, raise_file_limit, rss_mb, supported
from bench.soak.books import Counts, Log, Report, read_ledger
from bench.soak.client import Client, Note
from bench.soak.plan import KEYS, visits
from ollama_proxy.simulator import Arrival, Simulator

__all__ = ["main", "soak"]

_REPO = Path(__file__).parents[2]
TEXT = "Once upon a time there was a proxy that nobody ever had to think about."
#: Short, so that silence is not what a soak mostly consists of.
_TOML = """
[timeouts]
first_content_s = 2
idle_s = 1
answer_s = 6
stream_s = 20
heartbeat_s = 0.5
key_wait_s = 2
"""
#: What is there when the load has ended must be gone after this time.
_SETTLE_S = 5.0
_SAMPLE_S = 2.0
#: Between two times at which the settings are read anew.
_RELOAD_S = 20.0
_GENERATES = ("chat", "completions", "fim", "embeddings")


class _World:
    """A proxy before simulated providers."""

    def __init__(self, sim: Simulator, folder: Path, log: Log) -> None:
        self.sim = sim
        self.folder = folder
        self.log = log
        self.port = free_port()
        self.counts_file = folder / "tasks"
        (folder / "ollama-proxy.toml").write_text(_TOML)
        env = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "HOME": str(folder)}
        env |= {"PYTHONPATH": str(_REPO), "PORT": str(self.port), "LOG_LEVEL": "WARNING"}
        env |= {"DATA_DIR": str(folder / "data")}
        self.set_keys(0)
        command = [sys.executable, "-m", "bench.soak.watched", str(self.counts_file)]
        self.child = Child(command, env=env, cwd=folder, log=folder / "output.log")

    def set_keys(self, number: int) -> None:
        """Another key comes, stays for a while, and goes; the proxy finds it in its file by itself."""
        keys = {**KEYS, "akash": (*KEYS["akash"], f"ok-{number}")} if number % 2 else KEYS
        lines = [f"{name}={value}\n" for name, value in self.sim.env(keys).items()]
        fresh = self.folder / "env.new"
        fresh.write_text("".join(lines))
        fresh.replace(self.folder / ".env")

    async def until(self, is_so: Callable[[], object], patience_s: float) -> bool:
        """Whether it became so in time."""
        end = time.monotonic() + patience_s
        while time.monotonic() < end:
            if is_so():
                return True
            await asyncio.sleep(0.05)
        return bool(is_so())

    async def get(self, path: str) -> str:
        """The body of one answer of the proxy."""
        return await asyncio.to_thread(_get, f"http://127.0.0.1:{self.port}{path}")

    async def is_up(self, patience_s: float = 20.0) -> bool:
        end = time.monotonic() + patience_s
        while time.monotonic() < end and self.child.alive():
            try:
                await self.get("/healthz")
            except OSError:
                await asyncio.sleep(0.05)
            else:
                return True
        return False

    async def counts(self) -> Counts:
        """What the proxy holds now; the questions about it do not count."""
        metrics = await self.get("/metrics")
        self.counts_file.unlink(missing_ok=True)
        os.kill(self.child.pid, signal.SIGUSR1)
        if not await self.until(self.counts_file.exists, 5.0):
            raise RuntimeError("the proxy does not answer to a signal")
        rows = [line.rpartition(" ") for line in metrics.splitlines() if not line.startswith("#")]
        return Counts(
            len(list(Path(f"/proc/{self.child.pid}/fd").iterdir())),
            int(self.counts_file.read_text()),
            int(sum(float(value) for name, _, value in rows if name.startswith("ollama_proxy_requests_in_flight"))),
            int(sum(float(value) for name, _, value in rows if name.startswith("ollama_proxy_key_in_flight"))),
        )

    async def settled(self, before: Counts | None = None) -> Counts:
        """What is left once it has had the time to go; without a `before`, once it does not change any more."""
        end = time.monotonic() + _SETTLE_S
        last, after = before, await self.counts()
        while after != last and time.monotonic() < end:
            last = before or after
            await asyncio.sleep(0.2)
            after = await self.counts()
        return after


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return str(answer.read().decode())


async def soak(
    seconds: float, clients: int, seed: int, folder: Path, *, pause_s: float = 1.0, say: Callable[[str], None] = print
) -> Report:
    """Everything at once for so long."""
    log = Log()

    def arrived(arrival: Arrival) -> None:
        if arrival.operation in _GENERATES:
            log.add(arrival.connection, arrival.outcome, arrival.raw)

    sim = Simulator(port=free_port(), text=TEXT, delay_s=0.02, log_size=100, on_arrival=arrived)
    async with sim:
        world = _World(sim, folder, log)
        try:
            if not await world.is_up():
                raise RuntimeError(f"the proxy did not start: {world.child.last_words()}")
            report = await _soak(world, seconds, clients, seed, pause_s, say)
        finally:
            await asyncio.to_thread(world.child.stop, 5.0)
        # A simulator that fails tells it when it is left; here it is one line among others.
        bugs, sim.bugs[:] = [f"the simulator failed: {bug}" for bug in sim.bugs], []
        return replace(report, errors=[*report.errors, *bugs[:3]])


async def _soak(
    world: _World, seconds: float, clients: int, seed: int, pause_s: float, say: Callable[[str], None]
) -> Report:
    loop = asyncio.get_running_loop()
    # What is made at the first request stays for good: it belongs to the baseline.
    first = [Client(n, world.port, TEXT) for n in range(clients, clients + 20)]
    warm = [client.play(visits(seed, client.number, pause_s=0.1), loop.time() + 1) for client in first]
    notes: list[Note] = [note for some in await asyncio.gather(*warm) for note in some]
    await world.sim.close()
    before = await world.settled()
    await world.sim.start()
    began = loop.time()
    samples: list[tuple[float, float]] = []
    watch = asyncio.create_task(_watch(world, seconds, samples, say))
    crowd = [
        Client(n, world.port, TEXT).play(visits(seed, n, pause_s=pause_s), began + seconds) for n in range(clients)
    ]
    try:
        notes += [note for some in await asyncio.gather(*crowd) for note in some]
    finally:
        watch.cancel()
    took = loop.time() - began
    # Free connections to providers are kept for a while: a provider that hangs up ends them.
    await world.sim.close()
    after = await world.settled(before)
    ledger = read_ledger(await world.get("/metrics"))
    errors = [line for line in world.child.log.read_text("utf-8", "replace").splitlines() if _is_ours(line)]
    return Report(notes, world.log, ledger, before, after, samples, took, errors[:20])


async def _watch(world: _World, seconds: float, samples: list[tuple[float, float]], say: Callable[[str], None]) -> None:
    """Memory after the warm-up, a word now and then, and the settings that change meanwhile."""
    warm_up_s = min(300.0, seconds / 3)
    began = said = changed = time.monotonic()
    number = 0
    while True:
        await asyncio.sleep(_SAMPLE_S)
        now = time.monotonic()
        mb = rss_mb(world.child.pid)
        if now - began >= warm_up_s:
            samples.append((now - began, mb))
        if now - changed >= _RELOAD_S:
            changed, number = now, number + 1
            world.set_keys(number)
        if now - said >= 30:
            said = now
            say(f"{now - began:6.0f} s  {world.log.arrivals.total()} calls at the providers, {mb:.1f} MB")


def _is_ours(line: str) -> bool:
    return " ERROR " in line or "Traceback" in line


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/soak", description="Everything at once, and what it leaves behind.")
    parser.add_argument("--minutes", type=float, default=30.0, help="how long (30)")
    parser.add_argument("--clients", type=int, default=200, help="how many at once (200)")
    parser.add_argument("--seed", type=int, help="the same again: the number that an earlier run said")
    options = parser.parse_args(words)
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1_000_000)
    return options


def main(words: Sequence[str] | None = None) -> int:
    """0: every bar is met."""
    options = _arguments(words)
    if not supported():
        print("A soak reads what a process holds from Linux's /proc; there is none here.")
        return 2
    raise_file_limit(8 * options.clients + 1000)
    print(f"{options.minutes:g} minutes, {options.clients} clients, --seed {options.seed}", flush=True)
    loop = new_event_loop()
    try:
        with tempfile.TemporaryDirectory(prefix="soak-") as folder:
            work = soak(60 * options.minutes, options.clients, options.seed, Path(folder), say=_say)
            report = loop.run_until_complete(work)
    finally:
        loop.close()
    _say("\n".join(report.lines()))
    failures = report.failures()
    _say("\n".join(["", "missed:", *(f"  {line}" for line in failures[:40])] if failures else ["", "every bar is met"]))
    return int(bool(failures))


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
