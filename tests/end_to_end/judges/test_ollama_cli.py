"""The `ollama` command, 0.33: run, list, ps, stop, show, cp, rm, pull, create, each as its requests in their order.

Read in ollama/ollama, `cmd` and `api/client.go`, August 2026. Its answers are Go structs: a field of another type is an
error, a digest shorter than 12 letters a panic, and a blank line in a stream the end of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import pytest

from ollama_proxy.simulator import SimulatorThread
from tests.support.app_client import App, Heard
from tests.support.judged import CHAT, CODESTRAL, EMBED, GEMINI
from tests.support.running import RunningProxy
from tests.support.shapes import NINE_DIGITS, Option, Text, check, unsigned

HEADERS = [
    ("Content-Type", "application/json"),
    ("Accept", "application/x-ndjson"),
    ("User-Agent", "ollama/0.33.0 (amd64 linux) Go/go1.26.0"),
]
DETAILS = {
    "parent_model": Option(str),
    "format": Option(str),
    "family": Option(str),
    "families": Option([str]),
    "parameter_size": Option(str),
    "quantization_level": Option(str),
    "context_length": Option(unsigned),
    "embedding_length": Option(unsigned),
}
MODEL = {
    "name": str,
    "model": str,
    "remote_model": Option(str),
    "remote_host": Option(str),
    "modified_at": NINE_DIGITS,
    "size": unsigned,
    "digest": Text("[0-9a-f]{12,}"),
    "details": DETAILS,
    "capabilities": Option([str]),
}
RUNNING = {
    "name": str,
    "model": str,
    "size": unsigned,
    "digest": Text("[0-9a-f]{12,}"),
    "details": DETAILS,
    "expires_at": NINE_DIGITS,
    "size_vram": unsigned,
    "context_length": unsigned,
}
SHOWN = {
    "license": Option(str),
    "modelfile": Option(str),
    "parameters": Option(str),
    "template": Option(str),
    "system": Option(str),
    "details": DETAILS,
    "messages": Option([{"role": str, "content": str}]),
    "remote_model": Option(str),
    "remote_host": Option(str),
    "model_info": dict,
    "capabilities": Option([str]),
    "modified_at": Option(NINE_DIGITS),
}
METRICS = {
    "total_duration": Option(unsigned),
    "load_duration": Option(unsigned),
    "prompt_eval_count": Option(unsigned),
    "prompt_eval_duration": Option(unsigned),
    "eval_count": Option(unsigned),
    "eval_duration": Option(unsigned),
}
SPOKEN = {"model": str, "created_at": NINE_DIGITS, "done": bool, "done_reason": Option(str), **METRICS}
CHAT_LINE = {**SPOKEN, "message": {"role": str, "content": str, "thinking": Option(str)}}
GENERATE_LINE = {**SPOKEN, "response": str, "thinking": Option(str), "context": Option([int])}
PROGRESS = {"status": str, "digest": Option(str), "total": Option(int), "completed": Option(int)}


class Command(App):
    """The verbs. A request carries the time, as those of a signed-in user do."""

    def __init__(self, url: str) -> None:
        super().__init__(url, HEADERS)

    def ask(self, method: str, path: str, body: Any = None) -> Heard:
        return self.send(method, f"{path}?ts=1790000000", body)

    def show(self, model: str) -> dict[str, Any]:
        told: dict[str, Any] = self.ask("POST", "/api/show", {"model": model, "name": model}).ok().json()
        check(told, SHOWN)
        return told

    def stream(self, path: str, body: Any, shape: Any) -> list[dict[str, Any]]:
        heard = self.ask("POST", path, body).ok()
        # Loading and unloading are answered in one document; it reads lines either way.
        lines = [heard.json()] if heard.headers["content-type"].startswith("application/json") else heard.lines()
        check(lines, [shape])
        # A line that says `error` ends the command with it; its buffer holds lines of 8 MB.
        assert not [line for line in lines if line.get("error")]
        return lines

    def load(self, model: str, **more: Any) -> None:
        """What `run` and `stop` do first: a model that runs elsewhere is only announced."""
        if not self.show(model).get("remote_host"):
            self.stream("/api/generate", {"model": model, "prompt": "", **more}, GENERATE_LINE)

    def run(self, model: str, *words: str) -> str:
        """A conversation at the terminal. Returns the last answer."""
        assert self.ask("HEAD", "/").ok().body == b""
        told = self.show(model)
        self.load(model, think=None)
        think = True if "thinking" in told["capabilities"] else None
        messages: list[dict[str, str]] = []
        answer = ""
        for word in words:
            messages.append({"role": "user", "content": word})
            body: dict[str, Any] = {
                "model": model,
                "messages": messages,
                "format": "",
                "options": {},
                "keep_alive": None,
                "think": think,
            }
            lines = self.stream("/api/chat", body, CHAT_LINE)
            answer = "".join(line["message"]["content"] for line in lines)
            assert lines[-1]["done"] is True
            messages.append({"role": "assistant", "content": answer})
        return answer


@pytest.fixture
def command(proxy: RunningProxy, simulator: SimulatorThread) -> Iterator[Command]:
    cli = Command(proxy.url)
    yield cli
    for model in cli.ask("GET", "/api/tags").json()["models"]:
        if ":" not in model["name"] or model["name"].startswith("my"):
            cli.ask("DELETE", "/api/delete", {"model": model["name"]})


def test_version(command: Command) -> None:
    """`ollama --version`."""
    check(command.ask("GET", "/api/version").ok().json(), {"version": Text(r"\d+\.\d+\.\d+")})


def test_list(command: Command) -> None:
    """NAME, ID of twelve letters, SIZE (a dash for what runs elsewhere), MODIFIED. IDs tell the models apart."""
    models = command.ask("GET", "/api/tags").ok().json()["models"]
    check(models, [MODEL])
    assert {GEMINI, CODESTRAL} <= {model["name"] for model in models}
    assert len({model["digest"][:12] for model in models}) == len(models)
    assert all(model["remote_model"] for model in models)
    for model in models:
        # At ollama.com it would ask who is signed in.
        assert not model["remote_host"].startswith("https://ollama.com")


@pytest.mark.parametrize("model", [GEMINI, CHAT["openrouter"], CHAT["cohere"]])
def test_run_at_the_terminal(command: Command, simulator: SimulatorThread, model: str) -> None:
    """The first question and the second; the provider sees the whole conversation."""
    provider = model.split(":")[0]
    simulator.say(provider, "First answer.")
    simulator.say(provider, "Second answer.")
    assert command.run(model, "One?", "Two?") == "Second answer."
    sent = simulator.calls(provider, path="/chat/completions")[-1].body["messages"]
    assert [m["content"] for m in sent if m["role"] != "system"] == ["One?", "First answer.", "Two?"]


def test_run_with_a_prompt(command: Command, simulator: SimulatorThread) -> None:
    """`ollama run MODEL "prompt"`: generate, streamed; `context` of the first turn is accepted in the second."""
    simulator.say("google", "서울입니다.")
    command.show(GEMINI)
    body: dict[str, Any] = {
        "model": GEMINI,
        "prompt": "수도?",
        "suffix": "",
        "system": "",
        "template": "",
        "options": {},
        "think": None,
    }
    lines = command.stream("/api/generate", body, GENERATE_LINE)
    assert "".join(line["response"] for line in lines) == "서울입니다."
    context = lines[-1].get("context") or []
    simulator.say("google", "둘째.")
    lines = command.stream("/api/generate", {**body, "prompt": "다음?", "context": context}, GENERATE_LINE)
    assert "".join(line["response"] for line in lines) == "둘째."


def test_run_with_an_embedding_model(command: Command) -> None:
    """It prints the vector."""
    assert command.show(EMBED)["capabilities"] == ["embedding"]
    told = command.ask("POST", "/api/embed", {"model": EMBED, "input": "text"}).ok().json()
    check(told, {"model": str, "embeddings": [[float]], **METRICS})


def test_run_of_an_unknown_model_offers_to_pull_it(command: Command) -> None:
    """404 from show, then a pull whose stream ends in an error line, as for a name that nobody has."""
    assert command.ask("POST", "/api/show", {"model": "nobody", "name": "nobody"}).status == 404
    heard = command.ask("POST", "/api/pull", {"model": "nobody", "name": "nobody"})
    assert heard.lines()[-1] == {"error": "pull model manifest: file does not exist"}


def test_ps_and_stop(command: Command, simulator: SimulatorThread) -> None:
    """A used model is loaded and not yet expired; stop unloads it and ends well."""
    command.run(CODESTRAL, "Hi")
    running = command.ask("GET", "/api/ps").ok().json()["models"]
    check(running, [RUNNING])
    mine = next(model for model in running if model["name"] == CODESTRAL)
    assert datetime.fromisoformat(mine["expires_at"][:19] + "+00:00") > datetime.now(timezone.utc)
    lines = command.stream("/api/generate", {"model": CODESTRAL, "prompt": "", "keep_alive": 0}, GENERATE_LINE)
    assert lines[-1]["done_reason"] == "unload"
    assert CODESTRAL not in [model["name"] for model in command.ask("GET", "/api/ps").json()["models"]]


def test_stop_of_an_unknown_model(command: Command) -> None:
    """It looks for `not found` in the message to say so itself."""
    heard = command.ask("POST", "/api/generate", {"model": "nobody", "prompt": "", "keep_alive": 0})
    assert heard.status == 404
    assert "not found" in heard.json()["error"]


def test_show(command: Command) -> None:
    """Architecture, context length, abilities, parameters: what its table prints."""
    told = command.show(GEMINI)
    info = told["model_info"]
    assert info[f"{info['general.architecture']}.context_length"] == 1_048_576
    assert told["capabilities"]
    for line in told["parameters"].split("\n"):
        assert len(line.split()) >= 2


def test_cp_and_rm(command: Command) -> None:
    """A copy is listed and runs; removing it unloads it first and takes it off the list."""
    assert command.ask("POST", "/api/copy", {"source": GEMINI, "destination": "my-gemini"}).ok().body == b""
    names = [model["name"] for model in command.ask("GET", "/api/tags").json()["models"]]
    assert "my-gemini" in names
    assert "answering" in command.run("my-gemini", "Hi")
    command.load("my-gemini", keep_alive=0)
    assert command.ask("DELETE", "/api/delete", {"model": "my-gemini", "name": "my-gemini"}).ok().body == b""
    assert "my-gemini" not in [model["name"] for model in command.ask("GET", "/api/tags").json()["models"]]
    gone = command.ask("DELETE", "/api/delete", {"model": "my-gemini", "name": "my-gemini"})
    assert gone.status == 404
    assert "not found" in gone.json()["error"]


def test_pull(command: Command) -> None:
    """Progress lines of status, total and completed, the last of them `success`."""
    lines = command.stream("/api/pull", {"model": GEMINI, "name": GEMINI}, PROGRESS)
    assert lines[0]["status"].startswith("pulling")
    assert lines[-1]["status"] == "success"


def test_create_from_a_modelfile(command: Command, simulator: SimulatorThread) -> None:
    """FROM, SYSTEM and PARAMETER of a Modelfile become a model that speaks by them."""
    body: dict[str, Any] = {
        "model": "my-pirate",
        "from": GEMINI,
        "system": "You are a pirate.",
        "parameters": {"temperature": 0.2, "stop": ["\nUser:"]},
    }
    lines = command.stream("/api/create", body, PROGRESS)
    assert lines[-1]["status"] == "success"
    command.run("my-pirate", "Hi")
    sent = simulator.calls("google", path="/chat/completions")[-1].body
    assert sent["messages"][0] == {"role": "system", "content": "You are a pirate."}
    assert sent["temperature"] == 0.2
    assert sent["stop"] == ["\nUser:"]


def test_a_token_in_ollama_host_lets_it_in(guarded: RunningProxy) -> None:
    """It cannot send a bearer token; OLLAMA_HOST may carry a path."""
    command = Command(f"{guarded.url}/sesame")
    assert command.ask("HEAD", "/").status == 200
    assert GEMINI in [model["name"] for model in command.ask("GET", "/api/tags").ok().json()["models"]]
    refused = Command(guarded.url).ask("GET", "/api/tags")
    assert refused.status == 401
    assert refused.json()["error"]
