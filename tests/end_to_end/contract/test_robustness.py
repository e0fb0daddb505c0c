"""Many at once, much at once, providers that fail, and what no answer may ever hold."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ollama
import pytest

from ollama_proxy.simulator import Header, Send, SimulatorThread, Status
from tests.support.contract import CHAT, CODE, EMBED, PLAIN, World, chunk, make_world, read_answer
from tests.support.time_machine import TimeMachine

ASK = {"model": CHAT, "messages": [{"role": "user", "content": "hi"}]}
CANARIES = ("canary-one", "canary-two", "canary-token")


# --- many and much ----------------------------------------------------------------------------------------------------


def test_streams_do_not_mix(world: World) -> None:
    """C233: twenty at once, each says what it was asked."""
    found: dict[int, str] = {}

    def ask(number: int) -> None:
        lines = world.chat(CHAT, f"Say number {number} please", stream=True).lines
        found[number] = "".join(line["message"]["content"] for line in lines)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert all(f'"Say number {number} please"' in found[number] for number in range(20))


def test_a_slow_reader_delays_nobody(world: World) -> None:
    """C233: while one client takes nothing of an endless stream, another's is complete."""
    with world.connect(receive_buffer=4096) as slow:
        slow.sendall(world.request("POST", "/api/chat", {**ASK, "model": f"{PLAIN}!endless"}))
        world.sim.wait_for(lambda log: any(arrival.model.endswith("!endless") for arrival in log))
        for _ in range(3):
            assert world.chat(CHAT, stream=True).lines[-1]["done"]
        # It has read nothing so far; what waits for it is there.
        assert b"HTTP/1.1 200" in slow.recv(100)


def test_ten_megabytes_of_pictures_arrive(world: World) -> None:
    """C234: as they were sent."""
    picture = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 15_000).decode()
    messages = [{"role": "user", "content": "What is this?", "images": [picture, picture]}]
    body = json.dumps({"model": CHAT, "messages": messages, "stream": False}).encode()
    assert len(body) > 10_000_000
    choice = {"index": 0, "message": {"role": "assistant", "content": "A picture."}, "finish_reason": "stop"}
    world.answer_with({"choices": [choice]})
    assert world.post("/api/chat", body).status == 200
    urls = [part["image_url"]["url"] for part in world.sent["messages"][0]["content"][1:]]
    assert urls == [f"data:image/png;base64,{picture}"] * 2


@pytest.mark.parametrize("stream", [True, False])
def test_seven_megabytes_of_text_arrive(world: World, stream: bool) -> None:
    """C234: in one piece from the provider; no line is longer than the official Go client reads."""
    text = "0123456789" * 700_000
    if stream:
        world.stream_with(chunk({"content": text}), chunk({}, "stop"))
    else:
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        world.answer_with({"choices": [choice]})
    answer = world.post("/api/chat", {**ASK, "stream": stream})
    if stream:
        assert all(len(line) < 8_000_000 for line in answer.body.split(b"\n"))
        assert "".join(line["message"]["content"] for line in answer.lines) == text
    else:
        assert answer.json["message"]["content"] == text


# --- errors -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hurried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    clock = TimeMachine()
    clock.luck = 0.0
    with make_world(tmp_path_factory.mktemp("hasty"), clock=clock) as world:
        yield world


@pytest.fixture
def hasty(hurried: World) -> World:
    """A world in which nobody waits before another try."""
    hurried.fresh()
    return hurried


FAULTS = [
    "400",
    "401",
    "402",
    "403",
    "404",
    "408",
    "413",
    "422",
    "429",
    "500",
    "502",
    "503",
    "504",
    "529",
    "bad-key",
    "context",
    "blocked",
    "busy",
    "day",
    "quota",
    "html",
    "empty",
    "no-content",
    "redirect",
    "close-first",
    "rst-first",
    "error-200",
    "error-first",
    "echo-key",
    "bomb",
    "header-flood",
    "two-framings",
    "bad-chunk",
    "generic-error-string",
    "generic-error-detail-list",
    "generic-cloudflare-524",
]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("stream", [True, False])
def test_every_error_is_one_text(hasty: World, fault: str, stream: bool) -> None:
    """C235 C237: whatever the provider does, it is one string, and never a status that means the client's own token."""
    hasty.sim.play("google", fault, times=None)
    answer = hasty.post("/api/chat", {**ASK, "stream": stream})
    if fault in ("blocked", "bad-chunk") and answer.status == 200:
        # The first is a whole answer with a reason, the second breaks when the answer has begun.
        assert set(answer.lines[-1] if stream else answer.json) >= ({"error"} if fault == "bad-chunk" else {"done"})
        return
    assert answer.status not in (401, 402, 403)
    assert answer.type in ("application/json", "application/json; charset=utf-8")
    assert list(answer.json) == ["error"]
    assert type(answer.json["error"]) is str
    assert "<html" not in answer.json["error"].lower()


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/chat", b"{"),
        ("POST", "/api/chat", {"model": "nope", "messages": [{}]}),
        ("POST", "/api/chat", {"model": CHAT, "messages": [1]}),
        ("POST", "/api/chat", b'{"model":' * 5000),
        ("POST", "/api/generate", {"model": CHAT, "prompt": "x", "images": ["%"]}),
        ("POST", "/api/embed", {"model": CHAT, "input": 1}),
        ("POST", "/api/show", {}),
        ("POST", "/api/pull", {"name": 1}),
        ("POST", "/api/push", {"model": CHAT, "stream": False}),
        ("POST", "/api/create", {"model": "x", "from": CHAT, "files": {"a": "b"}}),
        ("POST", "/api/copy", {"source": "\ud800", "destination": "x"}),
        ("DELETE", "/api/delete", {"model": '"\\\n\u2028'}),
        ("POST", f"/api/blobs/sha256:{'0' * 64}", b"x"),
        ("POST", "/api/experimental/web_search", {}),
    ],
)
def test_our_own_refusals_are_one_text_too(world: World, method: str, path: str, body: Any) -> None:
    """C235: whatever is wrong, and whatever signs the message quotes."""
    answer = world.ask(method, path, body)
    assert 400 <= answer.status <= 500
    assert list(answer.json) == ["error"]
    assert type(answer.json["error"]) is str
    assert answer.json["error"]


@pytest.mark.parametrize("path", ["/api/chat", "/v1/chat/completions"])
def test_a_providers_401_is_not_the_clients(world: World, path: str) -> None:
    """C237: 502, and the text says whose keys are meant."""
    world.sim.play("cohere", "401", times=None)
    answer = world.post(path, {**ASK, "model": PLAIN, "stream": False})
    assert answer.status == 502
    assert "Cohere" in str(answer.json["error"])


@pytest.mark.parametrize("stream", [True, False])
def test_a_provider_that_cannot_be_reached_is_told(tmp_path: Path, stream: bool) -> None:
    """C238: 502 or 503 before anything else is sent."""
    clock = TimeMachine()
    clock.luck = 0.0
    with make_world(tmp_path, clock=clock, GOOGLE_BASE_URL="http://127.0.0.1:1") as world:
        answer = world.post("/api/chat", {**ASK, "stream": stream})
        assert answer.status in (502, 503)
        assert list(answer.json) == ["error"]
        assert "Google Gemini cannot be reached" in answer.json["error"]


@pytest.mark.parametrize("path", ["/api/chat", "/v1/chat/completions"])
@pytest.mark.parametrize("stream", [True, False])
def test_a_wait_is_passed_on(world: World, path: str, stream: bool) -> None:
    """C239: in whole seconds, never too early."""
    limited = [Status(429), Header("retry-after", "37"), Send(b'{"error": {"message": "slow down"}}')]
    world.sim.on("cohere", limited, times=None)
    answer = world.post(path, {**ASK, "model": PLAIN, "stream": stream})
    assert answer.status == 429
    assert 36 <= int(answer.field("retry-after") or 0) <= 40


# --- secrets ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    keys = {"google": ["canary-one"], "cohere": ["canary-two"]}
    folder, clock = tmp_path_factory.mktemp("guarded"), TimeMachine()
    clock.luck = 0.0
    with make_world(folder, keys=keys, clock=clock, PROXY_API_TOKEN="canary-token") as world:
        yield world


@pytest.fixture
def guarded(locked: World) -> World:
    """A proxy with a token, and keys that would be seen."""
    locked.fresh()
    return locked


@pytest.mark.parametrize("fault", ["echo-key", "bad-key", "401", "429", "400", "error-200", "error-mid", "cut", "html"])
@pytest.mark.parametrize("path", ["/api/chat", "/v1/chat/completions", "/v1/messages", "/v1/responses"])
@pytest.mark.parametrize("stream", [True, False])
def test_no_answer_holds_a_key(guarded: World, path: str, fault: str, stream: bool) -> None:
    """C236, B81: not in its head, not in its body, though the provider repeats it."""
    guarded.sim.play("google", fault, times=None)
    body = {**ASK, "input": "hi", "max_tokens": 10, "stream": stream}
    answer = guarded.post(path, body, authorization="Bearer canary-token")
    assert answer.status != 401
    _assert_no_canary(guarded.sim, repr(answer.fields) + answer.body.decode("utf-8", "replace"))


def test_no_list_and_no_metric_holds_a_key(guarded: World) -> None:
    """C236: keys have labels there."""
    for path in ("/api/keys", "/metrics", "/api/tags", "/api/version", "/", "/v1/models"):
        answer = guarded.get(path, x_api_key="canary-token")
        assert answer.status == 200
        _assert_no_canary(guarded.sim, repr(answer.fields) + answer.body.decode())


def _assert_no_canary(sim: SimulatorThread, text: str) -> None:
    assert not any(canary in text for canary in CANARIES)
    for provider, label in (("google", "canary-one"), ("cohere", "canary-two")):
        assert sim.key(provider, label) not in text


# --- the official client ----------------------------------------------------------------------------------------------


def test_the_official_python_client_can_do_all_it_does(world: World) -> None:
    """C240: list, show, ps, chat, generate, embed, pull, copy, create, delete, without an exception."""
    ask = [{"role": "user", "content": "Say hello."}]
    with ollama.Client(world.proxy.url) as client:
        assert CHAT in [model.model for model in client.list().models]
        assert client.show(CHAT).capabilities == ["completion", "tools", "vision", "thinking"]
        assert client.chat(CHAT, ask).message.content
        assert "".join(part.message.content or "" for part in client.chat(CHAT, ask, stream=True))
        assert client.generate(CHAT, "Say hello.").response
        assert "".join(part.response for part in client.generate(CHAT, "Say hello.", stream=True))
        assert client.generate(CODE, "a", suffix="b").response
        assert len(client.embed(EMBED, ["one", "two"]).embeddings) == 2
        assert client.embeddings(EMBED, "one").embedding
        assert CHAT in [model.model for model in client.ps().models]
        assert client.pull(CHAT).status == "success"
        assert [part.status for part in client.pull(CHAT, stream=True)][-1] == "success"
        assert client.create("tour", from_=CHAT, system="Be brief.").status == "success"
        assert client.copy("tour", "tour-2").status == "success"
        assert client.delete("tour-2").status == "success"
        assert client.delete("tour").status == "success"


def test_the_official_cli_s_way_of_running_a_model_works(world: World) -> None:
    """C240: heartbeat, show, warm-up, chat, stop, in the order and with the fields of Ollama's Go client."""
    assert world.ask("HEAD", "/", accept="application/json, application/x-ndjson").status == 200
    shown = world.post("/api/show", {"model": CHAT, "system": "", "template": "", "options": None, "name": ""})
    assert shown.json["remote_host"]
    empty = {"prompt": "", "suffix": "", "system": "", "template": "", "options": None, "keep_alive": "5m0s"}
    assert world.post("/api/generate", {"model": CHAT, **empty}).json["done_reason"] == "load"
    go: dict[str, Any] = {"model": CHAT, "messages": ASK["messages"], "format": "", "options": {}, "think": None}
    lines = world.post("/api/chat", go, accept="application/x-ndjson").lines
    assert lines[-1]["done"]
    assert not re.search(r'"(error|type)":', json.dumps([{**line, "message": None} for line in lines]))
    stopped = world.post("/api/generate", {"model": CHAT, **empty, "keep_alive": "0s"})
    assert stopped.json["done_reason"] == "unload"


def test_two_requests_share_a_connection(world: World) -> None:
    """C240: as every client does; the second is answered like the first."""
    with world.connect() as sock:
        sock.sendall(world.request("POST", "/api/chat", {**ASK, "stream": False}, connection="keep-alive"))
        raw = b""
        while not raw.endswith(b"}"):
            raw += sock.recv(65536)
        assert read_answer(raw).status == 200
        sock.sendall(world.request("GET", "/api/version"))
        second = b""
        while piece := sock.recv(65536):
            second += piece
        assert read_answer(second).status == 200
