"""`ollama-proxy simulate`."""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import signal
import subprocess
import sys

import pytest

from ollama_proxy.simulator import SimulatorThread
from ollama_proxy.simulator.cli import add_arguments, run
from ollama_proxy.simulator.faults import FAULTS, WORDS
from ollama_proxy.simulator.shapes import ANYBODY, OWN
from tests.support.sim_kit import chat

PROGRAM = (
    "import argparse, sys; from ollama_proxy.simulator.cli import add_arguments, run; "
    "p = argparse.ArgumentParser(); add_arguments(p); sys.exit(run(p.parse_args()))"
)


def parse(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(words)


def test_list_shows_every_fault_and_recorded_answer(capsys: pytest.CaptureFixture[str]) -> None:
    """What can be asked for can be read."""
    assert run(parse("--list")) == 0
    text = capsys.readouterr().out
    for name in (*WORDS, *FAULTS, *ANYBODY, *(name for shapes in OWN.values() for name in shapes)):
        assert re.search(rf"^  {re.escape(name)} +\S", text, re.MULTILINE), name


def test_defaults_are_the_documented_ones() -> None:
    """Loopback, 5006, 30 ms between pieces, no limits."""
    args = parse()
    assert (args.host, args.port, args.delay_ms, args.limits) == ("127.0.0.1", 5006, 30.0, "none")


def test_port_that_is_taken_is_said_plainly(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1, the reason and what to do, no traceback."""
    with SimulatorThread() as sim:
        assert run(parse("--port", str(sim.sim.port))) == 1
        text = capsys.readouterr().err
        assert f"cannot listen on 127.0.0.1:{sim.sim.port}" in text
        assert f"--port {sim.sim.port + 1}" in text
        assert "Traceback" not in text


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT cannot be sent to one process there")
def test_screen_lines_work_as_they_are_pasted() -> None:
    """The printed environment names addresses and keys that answer; each request prints a line; Ctrl-C ends well."""
    command = [sys.executable, "-c", PROGRAM, "--port", "0", "--delay-ms", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ}
    ) as process:
        assert process.stdout is not None
        env: dict[str, str] = {}
        for line in process.stdout:
            name, _, value = line.strip().partition("=")
            if name.isupper() and value:
                env[name] = value
            if "Ctrl-C" in line:
                break
        names = {name.removesuffix("_BASE_URL") for name in env if name.endswith("_BASE_URL")}
        assert names == {"GOOGLE", "OPENROUTER", "AKASH", "COHERE", "CODESTRAL", "QWEN"}
        origin, _, path = env["GOOGLE_BASE_URL"].removeprefix("http://").partition("/")
        connection = http.client.HTTPConnection(origin, timeout=10)
        key = env["GOOGLE_API_KEYS"].split(",")[0]
        connection.request(
            "POST", f"/{path}/chat/completions", json.dumps(chat("google")), {"authorization": f"Bearer {key}"}
        )
        assert connection.getresponse().status == 200
        connection.close()
        assert process.stdout.readline() == "\n"
        assert process.stdout.readline() == f"google chat gemini-2.5-flash key={key} -> 200 chat\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
        assert (process.returncode, out, err) == (0, "", "")


def test_parser_costs_no_server() -> None:
    """`ollama-proxy --help` must not load sockets and providers."""
    program = (
        "import sys, argparse, ollama_proxy.simulator.cli as c; c.add_arguments(argparse.ArgumentParser()); "
        "print([m for m in ('asyncio', 'httptools', 'ollama_proxy.simulator.faults') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
