"""Puts the peers that come from a package registry where the benchmark finds them, each into a folder of its own.

Owns: ~/.cache/ollama-proxy-bench/ (or $XDG_CACHE_HOME). Uses the ordinary clients, pip and npm,
as they are set up here.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from bench.peers import NodePackage, Peer, PythonPackage

__all__ = ["install", "missing", "peer_folder", "version"]

_PATIENCE_S = 400
_MARK = "installed.txt"


def peer_folder(peer: Peer) -> Path:
    """Where this peer is, or would be, installed."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "ollama-proxy-bench" / peer.name


def missing(peer: Peer) -> str | None:
    """Why this peer cannot be started here, and what to do; None: it can."""
    program = peer.command.partition(" ")[0]
    if peer.package:
        mark = peer_folder(peer) / _MARK
        if not mark.is_file() or mark.read_text("utf-8").strip() != peer.package.requirement:
            return "not installed (scripts/bench --install-peers)"
    if program and "$" not in program and not shutil.which(program):
        return f"the command {program} is not installed"
    return None


def version(peer: Peer) -> str:
    """The version that is measured, as far as it can be told."""
    if peer.package:
        return peer.package.requirement.rpartition("=" if "==" in peer.package.requirement else "@")[2]
    if peer.name == "nginx":
        told = subprocess.run(("nginx", "-v"), capture_output=True, text=True, check=False, timeout=5)
        return (told.stderr or told.stdout).strip().rpartition("/")[2]
    return ""


def _run(command: Iterable[str], cwd: Path) -> None:
    done = subprocess.run(list(command), cwd=cwd, capture_output=True, text=True, timeout=_PATIENCE_S, check=False)
    if done.returncode:
        raise RuntimeError((done.stderr or done.stdout).strip()[-500:])


def _make_environment(folder: Path) -> None:
    """A virtual environment with pip, also where the system's Python comes without ensurepip (a bare Debian)."""
    try:
        _run((sys.executable, "-m", "venv", str(folder)), folder.parent)
    except RuntimeError:
        shutil.rmtree(folder, ignore_errors=True)
        _run((sys.executable, "-m", "virtualenv", "--quiet", str(folder)), folder.parent)


def _install_python(package: PythonPackage, folder: Path) -> None:
    _make_environment(folder)
    pip = (str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    _run((*pip, package.requirement), folder)


def _install_node(package: NodePackage, folder: Path) -> None:
    folder.mkdir(parents=True)
    wanted = {"private": True, "dependencies": {package.name: package.version}, "overrides": dict(package.overrides)}
    (folder / "package.json").write_text(json.dumps(wanted, indent=2), "utf-8")
    # No package's own scripts run: none of them is needed, and we did not read them.
    _run(("npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"), folder)


def install(peers: Iterable[Peer]) -> bool:
    """Installs what is missing, telling how it went; False if something did not install."""
    well = True
    for peer in peers:
        if peer.package is None or missing(peer) is None:
            continue
        folder = peer_folder(peer)
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        print(f"{peer.name}: installing {peer.package.requirement} into {folder}", flush=True)
        try:
            if isinstance(peer.package, NodePackage):
                _install_node(peer.package, folder)
            else:
                _install_python(peer.package, folder)
        except (RuntimeError, OSError, subprocess.TimeoutExpired) as error:
            print(f"{peer.name}: not installed: {error}", flush=True)
            well = False
        else:
            (folder / _MARK).write_text(peer.package.requirement + "\n", "utf-8")
    return well
