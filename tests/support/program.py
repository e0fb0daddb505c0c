"""The program as its user starts it: a process of its own, started by `python ollama_proxy.py`."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

__all__ = ["ROOT", "Program", "run_program"]

#: A test that hangs is a failed test.
PATIENCE_S = 30.0

ROOT = Path(__file__).parents[2]
_ADDRESS = re.compile(r"http://[0-9.]+:(\d+)|http://\[[0-9a-f:]+\]:(\d+)")


def environment(folder: Path, env: Mapping[str, str]) -> dict[str, str]:
    """As little of this machine as possible, so that no key or locale of the developer's gets in."""
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "COVERAGE_PROCESS_START") if name in os.environ}
    return {**kept, "HOME": str(folder), "LANG": "C.UTF-8", "COLUMNS": "200", "PYTHONUTF8": "1", **env}


def run_program(folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """One run to its end."""
    return subprocess.run(
        [sys.executable, str(ROOT / "ollama_proxy.py"), *arguments],
        cwd=folder,
        env=environment(folder, env),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class Program:
    """`with Program(folder, PORT="0") as program:` serves at `program.url`; `output` is what it printed so far."""

    def __init__(self, folder: Path, *arguments: str, **env: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(ROOT / "ollama_proxy.py"), *arguments],
            cwd=folder,
            env=environment(folder, {"PORT": "0", **env}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
        )
        self.output = ""
        self.url = ""

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def __enter__(self) -> Program:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.output += line
            found = _ADDRESS.search(line)
            if found and not self.url:
                self.url = found[0]
            if "Ctrl-C" in line:
                return self
        self.__exit__(None, None, None)
        raise AssertionError(f"the program ended early:\n{self.output}")

    def stop(self, *signals: int) -> int:
        """Sends signals (SIGTERM by default), waits, and returns the exit code."""
        for number in signals or (signal.SIGTERM,):
            self._process.send_signal(number)
        return self.wait()

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def read_until(self, mark: str) -> str:
        """Reads on until a line with `mark`, which comes back."""
        assert self._process.stdout is not None
        # A pipe cannot be read with a limit everywhere: the end of the program ends the wait, too.
        watchdog = threading.Timer(PATIENCE_S, self._process.kill)
        watchdog.start()
        try:
            for line in self._process.stdout:
                self.output += line
                if mark in line:
                    return line
        finally:
            watchdog.cancel()
        raise AssertionError(f"{mark!r} was never said:\n{self.output}")

    def wait(self) -> int:
        """The exit code; what was said to the end is read meanwhile."""
        rest, _ = self._process.communicate(timeout=PATIENCE_S)
        self.output += rest
        return self._process.returncode

    def wait_unread(self) -> int:
        """The exit code of a program that nobody listens to."""
        return self._process.wait(PATIENCE_S)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
