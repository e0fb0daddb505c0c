"""The fake provider, compiled and in Python, and the stream loader against it: real processes, real sockets."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.load import Job, run_load
from bench.machine import supported
from bench.plan import chat_body
from bench.provider import Provider
from bench.wire import build_request

pytestmark = pytest.mark.skipif(not supported(), reason="the benchmark reads Linux's /proc")

KINDS = [
    pytest.param(False, id="C", marks=pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler")),
    pytest.param(True, id="Python"),
]


@pytest.fixture(scope="module", params=KINDS)
def provider(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    running = Provider(tmp_path_factory.mktemp("provider"), None, tls=False, python=request.param)
    yield running
    running.stop()


def ask(provider: Provider, task: str, *, stream: bool) -> bytes:
    """The whole answer on a fresh connection."""
    request = build_request(provider.port, "/v1/chat/completions", {}, chat_body("m", task, stream=stream))
    with socket.create_connection(("127.0.0.1", provider.port), timeout=5) as connection:
        connection.sendall(request)
        found = b""
        while not found.endswith((b"0\r\n\r\n", b'"fp_bench"}')):
            data = connection.recv(65536)
            assert data, found
            found += data
    return found


def job(provider: Provider, task: str, *, clients: int, wanted: int, again_for_s: float = 0.0) -> Job:
    request = build_request(provider.port, "/v1/chat/completions", {}, chat_body("m", task, stream=True))
    return Job(provider.port, request, clients, wanted, b"data: [DONE]", again_for_s=again_for_s, give_up_s=10)


@pytest.mark.parametrize("task", ["stream-12-0", "stream-3-5"])
def test_every_client_gets_every_chunk_once(provider: Provider, task: str) -> None:
    """20 clients at once: no answer is damaged, and each is another one."""
    wanted = int(task.split("-")[1])
    tally = run_load(job(provider, task, clients=20, wanted=wanted))
    assert (tally.right, tally.chunks, tally.complaint()) == (20, 20 * wanted, None)


def test_the_loader_asks_again_on_the_same_connections(provider: Provider) -> None:
    """Clients that go on do not connect anew."""
    before = provider.stats()
    tally = run_load(job(provider, "stream-5-0", clients=2, wanted=5, again_for_s=0.1))
    after = provider.stats()
    assert tally.right > 2
    assert tally.complaint() is None
    assert after["streams"] - before["streams"] == tally.right
    assert after["connections"] - before["connections"] == 2 + 1


def test_a_stream_of_another_length_is_reported(provider: Provider) -> None:
    """The loader can fail: it wants 6 chunks and 5 come."""
    tally = run_load(job(provider, "stream-5-0", clients=2, wanted=6))
    assert tally.complaint() == "0 of 2 right (2 ended early)"


def test_both_providers_send_the_same_bytes(tmp_path: Path) -> None:
    """What is measured does not depend on whether a compiler was there."""
    if not shutil.which("cc"):
        pytest.skip("no C compiler")
    compiled = Provider(tmp_path, None, tls=False)
    (tmp_path / "python").mkdir()
    interpreted = Provider(tmp_path / "python", None, tls=False, python=True)
    try:
        for task, stream in (("small", False), ("delay-2", False), ("stream-12-0", True), ("stream-3-2", True)):
            assert ask(compiled, task, stream=stream) == ask(interpreted, task, stream=stream)
    finally:
        compiled.stop()
        interpreted.stop()
