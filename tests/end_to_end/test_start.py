"""Starting as a user does: the screen, the first answer, and every way in which a start can fail."""

from __future__ import annotations

import json
import signal
import socket
import sys
import urllib.request
from pathlib import Path

import ollama
import pytest

from ollama_proxy.simulator import SimulatorThread
from tests.support.program import Program, run_program

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals")


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return str(answer.read().decode())


def test_without_a_key_the_demo_answers_and_the_screen_says_how_to_add_one(tmp_path: Path) -> None:
    """A newcomer's first minute: a screen that helps, and a model that answers."""
    with Program(tmp_path) as program:
        assert "demo:hello" in program.output
        assert "GOOGLE_API_KEYS" in program.output
        assert f"OLLAMA_HOST={program.url}" in program.output
        assert f'base_url="{program.url}/v1"' in program.output
        with ollama.Client(program.url) as client:
            assert "demo" in str(client.chat("demo:hello", [{"role": "user", "content": "Hello"}]).message.content)


def test_the_screen_speaks_korean_where_the_locale_does(tmp_path: Path) -> None:
    """The whole screen is Korean by locale."""
    with Program(tmp_path, LANG="ko_KR.UTF-8") as program:
        assert "아직 제공자 키가 없어" in program.output
        assert "클라이언트" in program.output
        assert "No provider key" not in program.output


def test_with_keys_the_screen_counts_them_and_shows_none(tmp_path: Path) -> None:
    """P9: providers and numbers of keys, no key."""
    with (
        SimulatorThread() as simulator,
        Program(
            tmp_path, **simulator.env({"google": ["canary-one", "canary-two"], "cohere": ["canary-three"]})
        ) as program,
    ):
        assert "Google Gemini" in program.output
        assert "Cohere" in program.output
        assert "demo:" not in program.output
        assert "canary" not in program.output
        tags = json.loads(get(program.url + "/api/tags"))
        assert isinstance(tags["models"], list)


def test_keys_come_from_dotenv_too(tmp_path: Path) -> None:
    """`.env` in the working directory is read."""
    with SimulatorThread() as simulator:
        env = simulator.env({"qwen": ["one"]})
        (tmp_path / ".env").write_text("".join(f'{name}="{value}"\n' for name, value in env.items()))
        with Program(tmp_path) as program, ollama.Client(program.url) as client:
            assert client.chat("qwen:qwen3.8-max", [{"role": "user", "content": "hi"}]).message.content


def test_a_port_in_use_is_one_clear_line(tmp_path: Path) -> None:
    """Exit code 2, the port, what to do, no traceback; in Korean by locale."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        english = run_program(tmp_path, PORT=port)
        korean = run_program(tmp_path, PORT=port, LANG="ko_KR.UTF-8")
    assert english.returncode == korean.returncode == 2
    assert english.stdout == ""
    (line,) = english.stderr.splitlines()
    assert port in line
    assert "PORT=" in line
    assert "사용 중" in korean.stderr


@pytest.mark.parametrize(
    ("env", "named"),
    [
        ({"PORT": "abc"}, "PORT"),
        ({"HOST": "0.0.0.0"}, "PROXY_API_TOKEN"),
        ({"HOST": "no.such.host.invalid"}, "HOST"),
        ({"GOOGLE_API_KEYS": "a b"}, "GOOGLE_API_KEYS"),
        ({"GOOGLE_API_KEYS": "k", "GOOGLE_BASE_URL": "nowhere"}, "GOOGLE_BASE_URL"),
        ({"OLLAMA_ORIGINS": "x"}, "OLLAMA_ORIGINS"),
    ],
)
def test_a_malformed_variable_is_one_clear_line(tmp_path: Path, env: dict[str, str], named: str) -> None:
    """Exit code 2 and the variable's name; never a traceback."""
    env = {"PROXY_API_TOKEN": "long-enough-token", **env} if named == "HOST" else env
    ended = run_program(tmp_path, **env)
    assert ended.returncode == 2
    assert named in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert "Traceback" not in ended.stderr


def test_an_unreadable_dotenv_is_one_clear_line(tmp_path: Path) -> None:
    """A folder named .env stops the start with a sentence."""
    (tmp_path / ".env").mkdir()
    ended = run_program(tmp_path)
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1


def test_a_provider_nobody_knows_is_pointed_out(tmp_path: Path) -> None:
    """A misspelt provider does not stop the others."""
    with Program(tmp_path, GOGLE_API_KEYS="k") as program:
        assert "GOGLE_API_KEYS" in program.output
        assert get(program.url + "/healthz") == '{"status":"ok"}'


def test_the_package_runs_as_a_module(tmp_path: Path) -> None:
    """--version needs no settings and answers at once."""
    ended = run_program(tmp_path, "--version", PORT="nonsense")
    assert ended.returncode == 0
    assert ended.stdout.startswith("ollama-proxy ")


@posix
def test_sigterm_ends_with_success(tmp_path: Path) -> None:
    """F98: a stop that was asked for is no failure."""
    with Program(tmp_path) as program:
        assert program.stop(signal.SIGTERM) == 0
        assert "Traceback" not in program.output


@posix
def test_ctrl_c_ends_with_success(tmp_path: Path) -> None:
    """Ctrl-C ends quietly."""
    with Program(tmp_path) as program:
        assert program.stop(signal.SIGINT) == 0
        assert "Traceback" not in program.output


def test_the_port_is_free_again_at_once(tmp_path: Path) -> None:
    """F101: a restart does not wait for the old socket."""
    with Program(tmp_path) as first:
        port = first.url.rpartition(":")[2]
        get(first.url + "/api/version")
        first.stop()
    with Program(tmp_path, PORT=port) as second:
        assert get(second.url + "/healthz")
