"""Rooms for other people's programs: a folder each outside the repository, with what their package manager put there.

`python -m tests.support.rooms` furnishes them from the lists in tests/end_to_end/judges/rooms: pinned versions, no
install scripts, nothing shared with our own environment. A room whose list has not changed is left as it is; one that
cannot be furnished says why, and its tests are skipped with that word.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

__all__ = ["PLANS", "node", "python_of", "room", "run"]

PLANS = Path(__file__).parents[1] / "end_to_end" / "judges" / "rooms"
#: Seconds for one package manager: on two cores with registries that answer, the largest takes half a minute.
_PATIENCE_S = 180


def _cache() -> Path:
    chosen = os.environ.get("OLLAMA_PROXY_JUDGES")
    return Path(chosen) if chosen else Path.home() / ".cache" / "ollama-proxy-judges"


def room(name: str) -> Path:
    """The furnished room of this name, with its plan's scripts as they are now. Skips the test if there is none."""
    here = _cache() / name
    if not (here / "ready").exists() or (here / "ready").read_text() != _fingerprint(name):
        reason = here / "why-not"
        pytest.skip(reason.read_text() if reason.exists() else "not furnished: run scripts/judges")
    for script in _scripts(name):
        shutil.copy(script, here)
    return here


def node() -> str:
    """The machine's node. Skips the test if there is none, though a room was furnished when there was one."""
    found = shutil.which("node")
    if found is None:
        pytest.skip("there is no node on this machine")
    return found


def python_of(here: Path) -> Path:
    """The Python of a room."""
    return here / ".venv" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def run(
    command: Sequence[str | Path], folder: Path, env: Mapping[str, str], *, timeout_s: float = 60
) -> subprocess.CompletedProcess[str]:
    """One run of a program in a folder: nobody at the keyboard, as little of this machine's environment as possible."""
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "TEMP", "TMP") if name in os.environ}
    return subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env={**kept, "HOME": str(folder), "LANG": "C.UTF-8", "PYTHONUTF8": "1", "NO_COLOR": "1", **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        timeout=timeout_s,
        check=False,
    )


# --- furnishing -------------------------------------------------------------------------------------------------------


def _scripts(name: str) -> list[Path]:
    """The room's own, and those that rooms share."""
    return [path for folder in (PLANS, PLANS / name) for path in folder.iterdir() if path.suffix in (".mjs", ".py")]


def _fingerprint(name: str) -> str:
    """Of what is to be installed, and for which Python."""
    lists = sorted(path for path in (PLANS / name).iterdir() if path.suffix in (".json", ".txt"))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in lists))
    return f"{digest.hexdigest()} {sys.version_info.major}.{sys.version_info.minor}"


def _furnish(name: str) -> str:
    """One line on how it went."""
    here = _cache() / name
    ready = here / "ready"
    if ready.exists() and ready.read_text() == _fingerprint(name):
        return f"{name}: ready"
    shutil.rmtree(here, ignore_errors=True)
    here.mkdir(parents=True)
    try:
        if (PLANS / name / "package.json").exists():
            _furnish_for_node(name, here)
        else:
            _furnish_for_python(name, here)
    except (OSError, subprocess.SubprocessError) as error:
        reason = f"{name} could not be furnished: {_gist(str(getattr(error, 'output', None) or error))}"
        (here / "why-not").write_text(reason)
        return reason
    ready.write_text(_fingerprint(name))
    return f"{name}: furnished"


def _gist(said: str) -> str:
    """The line of a package manager's complaint that says what is wrong."""
    lines = [line.strip() for line in said.splitlines() if len(line.split()) > 4 and "complete log" not in line]
    return next((line for line in lines if "error" in line.lower()), lines[-1] if lines else "nothing was said")


def _furnish_for_node(name: str, here: Path) -> None:
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        raise FileNotFoundError("there is no node with npm on this machine")
    for plan in (PLANS / name).glob("package*.json"):
        shutil.copy(plan, here)
    quiet = ("--no-audit", "--no-fund", "--loglevel=error", "--fetch-retries=1", "--fetch-timeout=60000")
    # Not `npm ci`: without registry addresses in the list it misses the packages of other platforms.
    _do([npm, "install", "--ignore-scripts", *quiet], here)


def _furnish_for_python(name: str, here: Path) -> None:
    wanted = PLANS / name / "requirements.txt"
    # Without ensurepip, which a bare Debian does not have: our own pip installs for the room's Python.
    _do([sys.executable, "-m", "venv", "--without-pip", str(here / ".venv")], here)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "--timeout=60", "--retries=1")
    _do([*pip, "--python", str(python_of(here)), "install", "-r", str(wanted)], here)
    source = [line[len("# source: ") :] for line in wanted.read_text().splitlines() if line.startswith("# source: ")]
    for package in source:
        _do([*pip, "download", "--no-deps", "--no-binary", ":all:", "--dest", str(here), package], here)
    for archive in here.glob("*.tar.gz"):
        with tarfile.open(archive) as packed:
            if hasattr(tarfile, "data_filter"):
                packed.extractall(here / "source", filter="data")
            else:
                packed.extractall(here / "source")


def _do(command: Sequence[str], folder: Path) -> None:
    subprocess.run(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_PATIENCE_S,
        check=True,
    )


def main() -> None:
    """Furnishes all rooms, two at a time."""
    names = sorted(path.name for path in PLANS.iterdir() if path.is_dir())
    with ThreadPoolExecutor(2) as two:
        for line in two.map(_furnish, names):
            print(line, flush=True)


if __name__ == "__main__":
    main()
