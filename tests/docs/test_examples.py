"""What the pages tell people to paste does what they say, without a key: on a server that is started as they tell."""

from __future__ import annotations

import http.client
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from ollama_proxy.settings import load
from tests.support.pages import BOTH, ROOT, code, text
from tests.support.program import Program, environment

ADDRESS = "http://127.0.0.1:5005"
README = ROOT / "README.md"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server without any key."""
    with Program(tmp_path_factory.mktemp("program")) as program:
        yield program.url


def curl(command: str, server: str) -> tuple[int, str, bytes]:
    """(status, content type, body) of what curl would send for this command line."""
    words = shlex.split(command.replace(ADDRESS, server))
    assert words.pop(0) == "curl"
    method, body, url = "", None, ""
    while words:
        match words.pop(0):
            case "-d":
                body = words.pop(0)
            case "-X":
                method = words.pop(0)
            case word:
                assert not word.startswith("-"), f"this test does not know curl's {word}"
                url = word
    parts = urlsplit(url)
    headers = {"Accept": "*/*", "User-Agent": "curl/8.5.0"}
    if body is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    connection = http.client.HTTPConnection(parts.netloc, timeout=20)
    try:
        connection.request(method or ("GET" if body is None else "POST"), parts.path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.headers.get("Content-Type", ""), answer.read()
    finally:
        connection.close()


def run_python(source: str, folder: Path) -> str:
    """What a pasted program prints; it may not fail, nor warn."""
    ended = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:__main__", "-c", source],
        cwd=folder,
        env=environment(folder, {"PYTHONPATH": str(ROOT)}),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def curls(page: Path) -> list[str]:
    return [line for block in code(page) for line in block.text.splitlines() if line.startswith("curl ")]


def programs(page: Path) -> list[str]:
    return [block.text for block in code(page) if block.language == "python" and "def test_" not in block.text]


def test_the_first_answer_by_curl(server: str) -> None:
    """The command of the first page, letter by letter."""
    (command,) = curls(README)
    status, content_type, body = curl(command, server)
    assert (status, content_type.split(";")[0]) == (200, "application/json")
    answer = json.loads(body)
    assert "demo" in answer["message"]["content"]
    assert answer["done"] is True


@pytest.mark.parametrize(("number", "package"), [(0, "ollama"), (1, "openai"), (2, "anthropic")])
def test_the_first_answer_by_an_official_client(server: str, tmp_path: Path, number: int, package: str) -> None:
    """The programs of the first page print what the demo model says."""
    program = programs(README)[number]
    assert f"from {package} import" in program
    assert "built-in demo" in run_python(program.replace(ADDRESS, server), tmp_path)


def test_every_other_program_on_the_pages_runs(tmp_path: Path) -> None:
    """They need no server."""
    others = [program for page in BOTH if page != README for program in programs(page)]
    assert others
    for program in others:
        assert run_python(program, tmp_path)


def test_the_commands_of_the_administration_page_do_what_it_says(server: str) -> None:
    """Looking succeeds; a name is made by copy and by create, pulled, and removed again."""
    commands = curls(ROOT / "docs" / "administration.md")
    assert len(commands) >= 7

    def names() -> set[str]:
        return {model["name"] for model in json.loads(curl(f"curl {server}/api/tags", server)[2])["models"]}

    before = names()
    seen = set()
    for command in commands:
        status, _, body = curl(command, server)
        assert status == 200, (command, body)
        seen |= names()
    assert seen - before == {"greeter", "brief"}
    assert names() - before == {"brief"}


def test_the_keys_file_of_the_first_page_is_read(tmp_path: Path) -> None:
    """Three keys of one provider, one of another."""
    (example,) = [block.text for block in code(README) if block.language == "ini"]
    (tmp_path / ".env").write_text(example, encoding="utf-8")
    providers = load({}, tmp_path).providers
    assert {name: len(own.keys) for name, own in providers.items()} == {"google": 3, "openrouter": 1}


def post(server: str, path: str, body: dict[str, Any]) -> Any:
    return json.loads(curl(f"curl {server}{path} -d {shlex.quote(json.dumps(body))}", server)[2])


def test_errors_look_as_the_page_shows_them(server: str) -> None:
    """The three shapes, but for the id of the request."""
    shown = [json.loads(block.text) for block in code(ROOT / "docs" / "errors.md") if block.language == "json"]
    request = {"model": "nope", "max_tokens": 9, "messages": [{"role": "user", "content": "Hello!"}]}
    for path, example in zip(("/api/chat", "/v1/chat/completions", "/v1/messages"), shown, strict=True):
        told = post(server, path, request)
        if "request_id" in example:
            assert re.fullmatch(r"req_[0-9a-f]+", example.pop("request_id"))
            assert re.fullmatch(r"req_[0-9a-f]+", told.pop("request_id"))
        assert told == example


def test_the_metrics_are_those_of_the_page(server: str) -> None:
    """Every name with its labels, and no other."""
    post(server, "/api/chat", {"model": "demo:hello", "stream": False, "messages": [{"role": "user", "content": "Hi"}]})
    told = curl(f"curl {server}/metrics", server)[2].decode()
    found = {
        name: set(re.findall(r"(\w+)=", labels)) for name, labels in re.findall(r"^(\w+)(\{.*\})? ", told, re.MULTILINE)
    }
    page = re.findall(
        r"^\| `(ollama_proxy_\w+)` \| ([\w, ]*) ?\|", text(ROOT / "docs" / "administration.md"), re.MULTILINE
    )
    assert {name: set(filter(None, re.split(r",\s*", labels.strip()))) for name, labels in page} == found


def test_the_state_of_keys_is_that_of_the_page(server: str) -> None:
    """Every field of a key has its row."""
    told = json.loads(curl(f"curl {server}/api/keys", server)[2])
    page = text(ROOT / "docs" / "administration.md")
    for provider in told.values():
        for name in (
            *provider["provider"].keys() & {"retry_tokens"},
            *(field for k in provider["keys"] for field in k),
        ):
            assert f"`{name}`" in page
