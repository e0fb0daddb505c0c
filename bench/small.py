"""Small answers back to back: wrk where it is installed, our own clients else.

Owns: running wrk and reading its verdict. Does not know which proxy answers.
"""

from __future__ import annotations

import json
import math
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.load import Job, percentile, run_load
from bench.wire import build_request

__all__ = ["LoadFailed", "Small", "have_wrk", "load_small"]

_SCRIPT = Path(__file__).parent / "wrk.lua"


class LoadFailed(Exception):
    """The load could not be put on, or the answers were not what they should be."""


@dataclass(frozen=True, slots=True)
class Small:
    """What came of it: how many answers in how many seconds, and how long one took."""

    answers: int
    seconds: float
    p50_ms: float
    p99_ms: float


def have_wrk() -> bool:
    return shutil.which("wrk") is not None


def load_small(
    port: int, path: str, headers: Mapping[str, str], body: bytes, *, connections: int, seconds: float, folder: Path
) -> Small:
    """Keeps `connections` clients busy for about `seconds` (whole seconds with wrk).

    Raises: LoadFailed if anything but 200 came back or a connection broke.
    """
    if have_wrk():
        return _with_wrk(port, path, headers, body, connections=connections, seconds=seconds, folder=folder)
    return _with_own(build_request(port, path, headers, body), port, connections=connections, seconds=seconds)


def _with_wrk(
    port: int, path: str, headers: Mapping[str, str], body: bytes, *, connections: int, seconds: float, folder: Path
) -> Small:
    body_file = folder / "wrk-body.json"
    body_file.write_bytes(body)
    told = [f"{name}: {value}" for name, value in {"Content-Type": "application/json", **headers}.items()]
    command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, math.ceil(seconds))}s", "--timeout", "10s"]
    command += ["-s", str(_SCRIPT), f"http://127.0.0.1:{port}{path}", "--", str(body_file), *told]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30, check=False)
    if done.returncode:
        raise LoadFailed(f"wrk failed: {(done.stderr or done.stdout).strip()[-200:]}")
    verdict = json.loads(done.stdout.strip().splitlines()[-1])
    if verdict["refused"] or verdict["broken"] or not verdict["answers"]:
        raise LoadFailed(
            f"{verdict['answers']} answers, {verdict['refused']} refused, {verdict['broken']} broken or too late"
        )
    return Small(verdict["answers"], verdict["seconds"], verdict["p50_ms"], verdict["p99_ms"])


def _with_own(request: bytes, port: int, *, connections: int, seconds: float) -> Small:
    tally = run_load(
        Job(port, request, connections, wanted=1, end_mark=b"", again_for_s=seconds, give_up_s=seconds + 10)
    )
    if tally.faults or not tally.right:
        raise LoadFailed(tally.complaint() or "no answer")
    p50, p99 = percentile(tally.whole_s, 0.5), percentile(tally.whole_s, 0.99)
    assert p50 is not None
    assert p99 is not None
    return Small(tally.right, tally.elapsed_s, p50 * 1e3, p99 * 1e3)
