"""Keys and tokens never appear anywhere (F90, P9): every secret is a marker, and every output is searched for it."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from ollama_proxy.simulator import Chunk, Header, Send, Simulator, SimulatorThread, Sleep, Status
from ollama_proxy.simulator.ask import Ask
from ollama_proxy.simulator.faults import FAULTS, WORDS
from ollama_proxy.simulator.shapes import ANYBODY, OWN
from ollama_proxy.telemetry import setup_logging
from tests.support.client_kinds import STREAMS, WAYS, Way, every_way
from tests.support.faulty_world import World, make_world
from tests.support.program import Program
from tests.support.sim_kit import SIX, Got

#: Of all shapes that keys have, none with words in it.
LABELS = {
    "google": ["AIzaSyQ7wZ4xKp9Vb2NcM5tRd8GhJ3LfYs6TuE0"],
    "openrouter": ["sk-or-v1-9f3Kq7Zw2Xp5Lm8Rt4Vb6Nc1Hd0Gj"],
    "akash": ["akml-Wq8Zr3Xt6Yv1Bn4Mk7Lp2Kj5Hg9Fd"],
    "cohere": ["Jq4Wz7Xr2Kt9Vp5Nb8Mc3Lf6Hs1Gd0Ty"],
    "codestral": ["Vx3Bq9Zt6Wn2Kp8Rm5Lc1Jh7Gf4Ds0Yu"],
    "qwen": ["sk-8c4Fw6Qz1Xk9Tv3Rb7Nm2Lp5Jh0Gd"],
}
TOKEN = "Tk5Rz8Wq2Xv7Nb4Mc9Lp1Kj6Hg3Fd0SyUe"
CLIENTS_OWN = "Cw9Xq3Zt7Vn5Bk1Rm8Lp4Jh2Gf6Ds0YuIo"
PROMPT = "Pq6Wz1Xr8Kt3Vn9Bm5Lc7Jh4Gf2Ds0YuRe"
SECRETS = [Simulator.key(name, label) for name, labels in LABELS.items() for label in labels]
TIMES = "[timeouts]\nkey_wait_s = 0.01\nfirst_content_s = 0.15\nidle_s = 0.15\nanswer_s = 1.05\nstream_s = 0.5\n"
#: Recorded answers and faults, each with a provider that can play it.
EVERY_FAULT = [
    *(("cohere", name) for name in (*WORDS, *FAULTS, *ANYBODY, "418", "301")),
    *((provider, name) for provider, shapes in OWN.items() for name in shapes),
]


def pieces(secret: str) -> set[bytes]:
    """Everything of eight characters in a secret."""
    return {secret[at : at + 8].encode() for at in range(len(secret) - 7)}


MARKS = set().union(*map(pieces, (*SECRETS, TOKEN)))
CLIENTS_MARKS = pieces(CLIENTS_OWN)
PROMPT_MARKS = pieces(PROMPT)


def found(output: bytes, marks: set[bytes]) -> list[bytes]:
    return sorted(mark for mark in marks if mark in output)


class Watched(World):
    """A world whose outputs are all kept."""

    outputs: list[bytes]
    log: io.StringIO


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """At DEBUG, with the product's own logging, and the root logger's beside it."""
    with make_world(tmp_path_factory, LABELS, TIMES, env={"PROXY_API_TOKEN": TOKEN}, slow_s=0.01) as plain:
        world = Watched(plain.sim, plain.proxy, plain.clock)
        world.outputs, world.log = [], io.StringIO()
        root, other = logging.getLogger(), logging.StreamHandler(world.log)
        product = logging.getLogger("ollama_proxy")
        before = root.level, product.level, product.propagate, product.handlers[:]
        root.addHandler(other)
        root.setLevel(logging.DEBUG)
        listener = setup_logging("DEBUG", world.proxy.do(lambda proxy: proxy.lasting.scrubber), world.log)
        yield world
        listener.stop()
        root.removeHandler(other)
        root.level, product.level, product.propagate, product.handlers[:] = before


@pytest.fixture
def world(watched: Watched) -> Watched:
    watched.fresh(luck=0.0)
    return watched


def tell(world: Watched, way: Way, model: str, **more: object) -> Got:
    """One request of a client that shows the token, and its answer, kept."""
    fields = {"authorization": f"Bearer {TOKEN}", "user-agent": CLIENTS_OWN}
    got = world.send(way.path, way.body(model, PROMPT, **more), fields)
    world.outputs.append(got.raw)
    return got


def assert_clean(world: Watched) -> None:
    """Nothing of a secret is in any answer, in the log, in what is told about keys, or in the state on disk."""
    for path in ("/metrics", "/api/keys", "/api/tags", "/v1/models", "/api/ps", "/", "/healthz"):
        world.outputs.append(world.send(path, headers={"x-api-key": TOKEN}).raw)
    for output in world.outputs:
        assert not found(output, MARKS), output
    log = world.log.getvalue().encode()
    assert not found(log, MARKS | CLIENTS_MARKS | PROMPT_MARKS)
    state = b"".join(path.read_bytes() for path in Path(world.proxy.settings.data_dir).iterdir())
    assert not found(state, MARKS | CLIENTS_MARKS | PROMPT_MARKS)
    world.outputs.clear()


def test_no_fault_brings_a_key_to_light(world: Watched) -> None:
    """F90: every fault that the simulator knows, in every protocol in turn."""
    ways = itertools.cycle(WAYS)
    streams = itertools.cycle(STREAMS)
    for number, (provider, fault) in enumerate(EVERY_FAULT):
        if number % 8 == 0:
            world.fresh(luck=0.0)
        # Who waits for a whole answer waits for a second; streams are quicker to give up.
        slow = fault in ("hang", "slow-head", "late", "stall", "silent", "comments", "endless")
        world.sim.play(provider, fault, times=None, operation="chat")
        tell(world, next(streams if slow else ways), f"{provider}:{SIX[provider]}")
        world.sim.do(lambda sim: sim.reset())
    assert len(world.outputs) == len(EVERY_FAULT) > 200
    assert_clean(world)


ECHOES = {
    "message": b'{"error": {"message": "Incorrect API key provided: $key."}}',
    "behind 480 letters": b'{"error": {"message": "' + b"a " * 240 + b'$key"}}',
    "behind 495 letters": b'{"error": {"message": "' + b"ab " * 165 + b'$key and more"}}',
    "escaped": b'{"error": {"message": "key $escaped is wrong"}}',
    "code": b'{"error": {"message": "no", "code": "$key", "type": "$lower", "param": "$key"}}',
    "detail": b'{"detail": [{"loc": ["header", "$key"], "msg": "bad $key", "input": "$key"}]}',
    "text": b"Unauthorized: Bearer $key",
    "page": b"<html><title>$key</title><body>$key</body></html>",
    "address": b'{"error": {"message": "POST https://x.test/v1?key=$quoted failed"}}',
    "list": b'[{"error": {"message": "API key not valid: $key", "status": "INVALID_ARGUMENT"}}]',
    "supplier": b'{"error": {"message": "Provider returned error", "metadata": {"raw": "{\\"error\\": \\"$key\\"}"}}}',
}


def echo(body: bytes, ask: Ask) -> bytes:
    """The body with the key of the request in it."""
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in ask.key).encode()
    key = ask.key.encode()
    for mark, value in (
        ("$key", key),
        ("$escaped", escaped),
        ("$lower", key.lower()),
        ("$quoted", quote(ask.key).encode()),
    ):
        body = body.replace(mark.encode(), value)
    return body


@every_way
@pytest.mark.parametrize("body", ECHOES.values(), ids=ECHOES)
def test_a_key_that_the_provider_repeats_goes_no_further(world: Watched, way: Way, body: bytes) -> None:
    """F90: in whatever form, status and place, cut off or not."""
    for status in (400, 401, 403, 429, 500, 200):
        for provider in ("cohere", "codestral"):

            def answer(ask: Ask, status: int = status) -> list[Status | Header | Send]:
                return [Status(status), Header("www-authenticate", f"Bearer {ask.key}"), Send(echo(body, ask))]

            world.sim.on(provider, answer, times=None)
            tell(world, way, f"{provider}:{SIX[provider]}")
        world.fresh(luck=0.0)
    assert_clean(world)


@pytest.mark.parametrize("way", STREAMS, ids=str)
def test_a_key_that_is_repeated_inside_a_stream_goes_no_further(world: Watched, way: Way) -> None:
    """F90: an error after the first words."""
    start = b'data: {"choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\n'
    error = b'data: {"error": {"message": "session of $key ended", "code": "$key"}}\n\n'
    world.sim.on(
        "cohere",
        lambda ask: [
            Header("content-type", "text/event-stream"),
            Chunk(start),
            Sleep(0.03),
            Chunk(echo(error, ask)),
        ],
    )
    got = tell(world, way, f"cohere:{SIX['cohere']}")
    assert b"ended" in got.body
    assert_clean(world)


def test_a_token_is_not_repeated_wherever_it_came(world: Watched) -> None:
    """F87, F90: right and wrong ones, in headers, in the path, in the query, in a body, in what cannot be read."""
    wrong = CLIENTS_OWN
    requests = [
        *(
            f"GET {path} HTTP/1.1\r\nhost: localhost\r\n"
            for path in (f"/{TOKEN}/api/tags", f"/{TOKEN}/no/such", f"/api/tags?key={TOKEN}")
        ),
        f"GET /api/tags HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {wrong}\r\n",
        f"GET /api/tags HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {TOKEN}\r\nx-api-key: {wrong}\r\n",
        f"GET /api/tags HTTP/1.1\r\nhost: localhost\r\nauthorization: {TOKEN} {TOKEN}\r\n",
        f"GET /{wrong}/api/tags HTTP/1.1\r\nhost: localhost\r\n",
        f"GET /{TOKEN}/api/tags HTTP/1.1\r\nhost: {TOKEN}\r\n",
        f"GET /{TOKEN}/api/tags HTTP/1.1\r\nhost: localhost\r\n{TOKEN}\r\n",
        f"{TOKEN} / HTTP/1.1\r\nhost: localhost\r\n",
        f"DELETE /{TOKEN}/v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n",
    ]
    for request in requests:
        world.outputs.append(world.exchange(f"{request}connection: close\r\n\r\n".encode()).raw)
    for output in world.outputs:
        assert not found(output, CLIENTS_MARKS), output
    assert_clean(world)


def test_a_bug_of_ours_tells_no_secret(world: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """F90, F94: an exception that holds the key in its text: 500 with a number, a line in the log, no more."""

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError(f"Bearer {SECRETS[3]} and {TOKEN} broke in the middle")

    for where in ("ollama_proxy.upstream.Upstream.send", "ollama_proxy.channel.Channel.auth"):
        with monkeypatch.context() as patched:
            patched.setattr(where, fail)
            for way in WAYS:
                got = tell(world, way, f"cohere:{SIX['cohere']}")
                assert got.status == 500
    assert_clean(world)


def test_a_real_process_at_debug_tells_no_secret(tmp_path: Path) -> None:
    """F90: screen, log, answers and state of the program as it is started; at its end, and after a crash too."""
    (tmp_path / "ollama-proxy.toml").write_text(TIMES)
    with SimulatorThread(slow_s=0.01) as sim:
        env = {**sim.env(LABELS), "PROXY_API_TOKEN": TOKEN, "LOG_LEVEL": "DEBUG", "DATA_DIR": str(tmp_path / "state")}
        with Program(tmp_path, **env) as program:
            port = int(program.url.rpartition(":")[2])
            outputs = []
            from tests.support.faulty_world import Caller, render

            for provider, fault in (("cohere", "echo-key"), ("google", "bad-key"), ("qwen", "html"), ("akash", "cut")):
                for way in WAYS:
                    body = way.body(f"{provider}:{SIX[provider]}!{fault}", PROMPT)
                    with Caller(port) as caller:
                        caller.send(render(way.path, body, {"x-api-key": TOKEN}))
                        outputs.append(caller.to_end().raw)
            program.stop()
            outputs.append(program.output.encode())
    with contextlib.closing(sqlite3.connect(tmp_path / "state" / "state.db")) as database:
        outputs.append(json.dumps([str(row) for row in database.execute("SELECT * FROM documents")]).encode())
    outputs += [path.read_bytes() for path in (tmp_path / "state").iterdir()]
    for output in outputs:
        assert not found(output, MARKS)
    assert not found(program.output.encode(), PROMPT_MARKS)
