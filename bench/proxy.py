"""One proxy under measurement, from its start to its end.

Owns: filling the templates of the peers' table, starting, waiting for the first right answer. Does not know what is
measured.
"""

from __future__ import annotations

import math
import os
import shlex
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from string import Template

from bench.install import peer_folder
from bench.machine import Child, Cores, free_port
from bench.peers import Peer
from bench.plan import chat_body
from bench.provider import Provider
from bench.wire import Answer, build_request

__all__ = ["NotStarted", "Proxy"]

_REPO = Path(__file__).parent.parent
_UNREADY_S = 4.0
"""how long a proxy that answers may go on answering wrongly"""


class NotStarted(Exception):
    """The proxy gave no right answer in time."""


class Proxy:
    """A running proxy. Use as a context manager; `cold_ms` is the time from start to the first right answer.

    For the peer without a command (`direct`) nothing is started and the fake provider's own port is used.
    A start takes at most `left_s`, and never longer than the peer's own limit.
    """

    def __init__(self, peer: Peer, provider: Provider, cores: Cores, folder: Path, *, left_s: float = math.inf) -> None:
        self.peer = peer
        self._start_s = min(peer.start_s, left_s)
        self.provider = provider
        self.cores = cores
        self.folder = folder
        self._words = self._make_words()
        self.headers = {name: self._fill(text) for name, text in peer.headers.items()}
        self.port = provider.port if not peer.command else int(self._words["PORT"])
        self.child: Child | None = None
        self.cold_ms = 0.0

    def _make_words(self) -> dict[str, str]:
        url = self.provider.url
        return {
            "PORT": str(free_port()),
            "PORT2": str(free_port()),
            "UP": url,
            "UPHOST": url.partition("://")[2],
            "SCHEME": url.partition("://")[0],
            "DIR": str(self.folder),
            "PEER": str(peer_folder(self.peer)),
            "REPO": str(_REPO),
            "PYTHON": sys.executable,
        }

    def _fill(self, text: str) -> str:
        return Template(text).substitute(self._words)

    def _environment(self) -> dict[str, str]:
        """As little of our own as possible: no settings, keys or home folder of the person who measures."""
        env = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "DO_NOT_TRACK": "1"}
        env |= {"HOME": str(self.folder), "TMPDIR": str(self.folder)}
        if self.provider.authority:
            names = ("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE")
            env |= dict.fromkeys(names, str(self.provider.authority))
        return env | {name: self._fill(text) for name, text in self.peer.env.items()}

    def __enter__(self) -> Proxy:
        if self.peer.command:
            try:
                self._start(self.peer.command)
            except BaseException:
                self.__exit__()
                raise
        return self

    def __exit__(self, *exc: object) -> None:
        if self.child:
            self.child.stop()

    def _start(self, command: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, text in self.peer.files.items():
            (self.folder / name).write_text(self._fill(text), "utf-8")
        env, filled = self._environment(), [self._fill(word) for word in shlex.split(command)]
        started = time.perf_counter()
        log = self.folder / "output.log"
        self.child = Child(filled, env=env, cwd=self.folder, log=log, core=self.cores.proxy)
        self._wait_for_answer(started, self.child)
        self.cold_ms = (time.perf_counter() - started) * 1e3

    def _wait_for_answer(self, started: float, child: Child) -> None:
        fault, give_up, refused = "no answer", started + self._start_s, False
        while time.perf_counter() < give_up:
            if not child.alive():
                raise NotStarted(f"it ended by itself: {child.last_words()}")
            if self.peer.finds_port:
                self._read_port()
            fault = self._try_once() or ""
            if not fault:
                return
            if fault.startswith("status"):  # it is up, so this is its answer; some are not quite ready at first
                give_up = min(give_up, time.perf_counter() + _UNREADY_S) if not refused else give_up
                refused = True
            time.sleep(0.001)
        waited_s = time.perf_counter() - started
        raise NotStarted(f"no right answer within {waited_s:.0f} s ({fault}): {child.last_words()}")

    def _read_port(self) -> None:
        file = self.folder / "port"
        text = file.read_text("ascii") if file.exists() else ""
        self.port = int(text) if text else self.port

    def _try_once(self) -> str | None:
        """One small chat over a plain socket; what was wrong with it, or None."""
        answer = Answer(1, b"")
        request = build_request(
            self.port, self.peer.path, self.headers, chat_body(self.peer.model, "small", stream=False)
        )
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                connection.sendall(request)
                while not answer.complete and (data := connection.recv(65536)):
                    answer.feed(data)
        except OSError as error:
            return str(error)
        if not answer.complete:
            answer.connection_lost()
        return answer.fault

    def request(self, path: str, body: bytes, headers: Mapping[str, str] | None = None) -> bytes:
        """A whole request as bytes for this proxy, with its own headers."""
        return build_request(self.port, path, {**self.headers, **(headers or {})}, body)
