"""The machine under a measurement: cores, processes, CPU time and memory.

Owns: who runs on which core, starting and surely ending processes, reading what they used. Does not know what is
measured.
Source of the numbers: proc(5) (Linux): utime, stime, cutime, cstime of /proc/PID/stat, the first two read finer from
the process's CPU clock; resident pages of /proc/PID/statm; the per-core lines of /proc/stat.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Child", "Cores", "Meter", "choose_cores", "free_port", "on_core", "raise_file_limit", "supported"]

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_PROC = Path("/proc")


def supported() -> bool:
    """Whether this machine tells what a process used (Linux's /proc does; others are not read)."""
    return Path("/proc/self/stat").exists() and hasattr(os, "sched_setaffinity")


# ---- cores


@dataclass(frozen=True, slots=True)
class Cores:
    """The core that only the proxy has, and the one for everything else; None: nobody is pinned."""

    proxy: int | None
    load: int | None


def choose_cores() -> Cores:
    """The first two cores that we may use; with a single core nothing is pinned."""
    allowed = sorted(os.sched_getaffinity(0))
    return Cores(allowed[0], allowed[1]) if len(allowed) > 1 else Cores(None, None)


@contextlib.contextmanager
def on_core(core: int | None) -> Iterator[None]:
    """What is started inside inherits this core; afterwards we are back where we were."""
    before = os.sched_getaffinity(0)
    if core is not None:
        os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def raise_file_limit(wanted: int) -> int:
    """The number of open files that we and our children may have: `wanted`, or as many as the system lets us."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


# ---- processes


class Child:
    """A process with all it starts, in a session of its own so that stop() reaches every one of them."""

    def __init__(
        self, command: Sequence[str], *, env: Mapping[str, str], cwd: Path, log: Path, core: int | None = None
    ) -> None:
        self.log = log
        with on_core(core), log.open("wb") as out:
            self.process = subprocess.Popen(
                list(command),
                env=dict(env),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def alive(self) -> bool:
        return self.process.poll() is None

    def last_words(self, lines: int = 3) -> str:
        """The end of what it printed, for a message to people."""
        text = self.log.read_text("utf-8", "replace").strip().splitlines()
        return " | ".join(line.strip() for line in text[-lines:])[-400:] or "it printed nothing"

    def stop(self, patience_s: float = 0.5) -> None:
        """Ends the process and everything in its session: politely first, then not."""
        for sign, wait_s in ((signal.SIGTERM, patience_s), (signal.SIGKILL, 2.0)):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, sign)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(wait_s)
        # A worker may outlive its parent for a moment.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)


def _stat_fields(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat after the name (which may hold spaces), from `state` on; None: it is gone."""
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def tree(pid: int) -> list[int]:
    """The process and all its descendants that live now."""
    children: dict[int, list[int]] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and (fields := _stat_fields(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [pid]
    for parent in found:
        found += children.get(parent, [])
    return found


def cpu_seconds(pid: int) -> float:
    """CPU time, user and system, of the whole tree; children that ended count too, once their parent has met them."""
    spent = 0.0
    for member in tree(pid):
        if fields := _stat_fields(member):
            user, system, children_user, children_system = map(int, fields[11:15])
            spent += _own_cpu_seconds(member, (user + system) * _TICK_S) + (children_user + children_system) * _TICK_S
    return spent


def _own_cpu_seconds(pid: int, in_ticks_s: float) -> float:
    """The process's utime + stime in nanosecond steps (a tick is 10 ms, too coarse for a second's run), if it lives.

    The number of a process's CPU clock is made as clock_getcpuclockid(3) of the C library makes it.
    """
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return in_ticks_s


def rss_mb(pid: int) -> float:
    """Resident memory in MB (10^6 bytes), summed over the tree; pages that processes share count in each."""
    pages = 0
    for member in tree(pid):
        with contextlib.suppress(OSError):
            pages += int((_PROC / str(member) / "statm").read_text().split()[1])
    return pages * _PAGE_BYTES / 1e6


def _core_busy_seconds(core: int) -> float:
    """What all processes together used of one core. Interrupts are left out: no process is charged for them."""
    for line in (_PROC / "stat").read_text().splitlines():
        if line.startswith(f"cpu{core} "):
            user, nice, system, _idle, _wait, _irq, _softirq, stolen = map(int, line.split()[1:9])
            return (user + nice + system + stolen) * _TICK_S
    return 0.0


class Meter:
    """What one process tree used between start() and stop(), and how much others disturbed it on its core."""

    def __init__(self, pid: int, core: int | None) -> None:
        self._pid = pid
        self._core = core
        self.cpu_s = 0.0
        self.wall_s = 0.0
        self.foreign_share = 0.0

    def _read(self) -> tuple[float, float, float]:
        busy_s = 0.0 if self._core is None else _core_busy_seconds(self._core)
        return cpu_seconds(self._pid), busy_s, time.monotonic()

    def start(self) -> None:
        self._at_start = self._read()

    def stop(self) -> None:
        cpu, busy, now = self._read()
        cpu_before, busy_before, started = self._at_start
        self.cpu_s = cpu - cpu_before
        self.wall_s = now - started
        if self._core is not None:
            self.foreign_share = max(0.0, (busy - busy_before - self.cpu_s) / self.wall_s)
