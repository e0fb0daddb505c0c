"""What is read about processes, and that none of ours outlives the measurement."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.machine import Child, cpu_seconds, rss_mb, supported, tree

pytestmark = pytest.mark.skipif(not supported(), reason="the benchmark reads Linux's /proc")

# A parent that starts a child; both use some CPU, then tell so and wait.
FAMILY = """
import subprocess, sys
work = "sum(range(10**6)); print('child', flush=True); input()"
child = subprocess.Popen([sys.executable, "-c", work], stdin=subprocess.PIPE)
sum(range(10**6))
print("parent", flush=True)
child.wait()
"""


def wait_for(check: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 10
    while not check():
        assert time.monotonic() < give_up


@pytest.fixture
def family(tmp_path: Path) -> Child:
    child = Child([sys.executable, "-c", FAMILY], env=dict(os.environ), cwd=tmp_path, log=tmp_path / "log")
    wait_for(lambda: set(child.log.read_text().split()) == {"child", "parent"})
    return child


def test_a_process_is_measured_with_all_it_started(family: Child) -> None:
    """CPU and memory are those of the whole tree."""
    try:
        parent, child = tree(family.pid)
        assert cpu_seconds(parent) > cpu_seconds(child) > 0.001
        assert rss_mb(parent) > rss_mb(child) > 1
    finally:
        family.stop()


def test_stop_ends_the_children_too(family: Child) -> None:
    """Nobody of a stopped process's session is left running."""
    members = tree(family.pid)
    family.stop()
    wait_for(lambda: not any(Path(f"/proc/{pid}/stat").exists() and _runs(pid) for pid in members))
    assert not family.alive()


def _runs(pid: int) -> bool:
    """Whether it is more than a zombie waiting for its new parent."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
