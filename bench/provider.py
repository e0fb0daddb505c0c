"""Starts the fake provider that everything is measured against, and reads what it counted.

Owns: compiling upstream.c into the run's folder, the Python stand-in, certificates for TLS. Does not know who asks it.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import ssl
import subprocess
import sys
import time
from pathlib import Path

from bench.machine import Child

__all__ = ["Provider", "ProviderFailed"]

_HERE = Path(__file__).parent
_START_S = 10.0


class ProviderFailed(Exception):
    """The fake provider did not come up; nothing can be measured."""


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise ProviderFailed(f"{command[0]} failed: {done.stderr.strip()[-300:]}")


def compile_upstream(folder: Path) -> Path | None:
    """The compiled provider; None where no compiler is installed."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if not compiler:
        return None
    program = folder / "upstream"
    _run(compiler, "-O2", "-o", str(program), str(_HERE / "upstream.c"))
    return program


def make_certificates(folder: Path) -> tuple[Path, Path, Path]:
    """(authority, certificate, key) for localhost, good for two days; the authority signs, since strict clients refuse
    a certificate that is its own authority.
    """
    authority, certificate, key = folder / "authority.pem", folder / "certificate.pem", folder / "key.pem"
    if not shutil.which("openssl"):
        raise ProviderFailed("TLS needs the command openssl to make a certificate; install it or leave --tls out")
    extension = folder / "extension.cnf"
    extension.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n", "ascii")
    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    request, authority_key = folder / "request.pem", folder / "authority-key.pem"
    _run("openssl", "req", "-x509", *new_key, "-subj", "/CN=bench authority", "-days", "2",
         "-keyout", str(authority_key), "-out", str(authority))  # fmt: skip
    _run("openssl", "req", *new_key, "-subj", "/CN=localhost", "-keyout", str(key), "-out", str(request))
    _run("openssl", "x509", "-req", "-in", str(request), "-CA", str(authority), "-CAkey", str(authority_key),
         "-CAcreateserial", "-days", "2", "-extfile", str(extension), "-out", str(certificate))  # fmt: skip
    return authority, certificate, key


class Provider:
    """The running fake provider. `url` has no path; `authority` is set when it speaks TLS; `folder` is the run's."""

    def __init__(self, folder: Path, core: int | None, *, tls: bool, python: bool = False) -> None:
        self.folder = folder
        self.authority: Path | None = None
        files: list[str] = []
        if tls:
            self.authority, certificate, key = make_certificates(folder)
            files = [str(certificate), str(key)]
        program = None if tls or python else compile_upstream(folder)
        self.kind = "C" if program else "Python"
        command = [str(program), "0"] if program else [sys.executable, "-m", "bench.upstream", "0", *files]
        self._child = Child(command, env=dict(os.environ), cwd=_HERE.parent, log=folder / "upstream.log", core=core)
        try:
            self.port = self._read_port()
        except BaseException:
            self.stop()
            raise
        self.url = f"https://localhost:{self.port}" if tls else f"http://127.0.0.1:{self.port}"
        self._tls = tls

    @property
    def pid(self) -> int:
        return self._child.pid

    def _read_port(self) -> int:
        give_up = time.monotonic() + _START_S
        while time.monotonic() < give_up and self._child.alive():
            line, ended, _ = self._child.log.read_text().partition("\n")
            if ended and line.isdigit():
                return int(line)
            time.sleep(0.005)
        raise ProviderFailed(f"the fake provider did not start: {self._child.last_words()}")

    def stats(self) -> dict[str, int]:
        """How many answers, streams, connections and aborted answers there were so far."""
        if self._tls:
            context = ssl.create_default_context(cafile=str(self.authority))
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                "localhost", self.port, timeout=5, context=context
            )
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/_bench/stats")
            counted: dict[str, int] = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        return counted

    def stop(self) -> None:
        self._child.stop()
