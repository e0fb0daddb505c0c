"""Who may call: browser origins as Ollama allows them, and hosts that may mean this server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.contract import CHAT, Answer, World, make_world

ASK = {"model": CHAT, "messages": [{"role": "user", "content": "hi"}]}
EVIL = "http://evil.example"
LOCAL = "http://localhost:3000"
METHODS = "GET,POST,PUT,PATCH,DELETE,HEAD,OPTIONS"
HEADERS = (
    "Authorization,Content-Type,User-Agent,Accept,X-Requested-With,Openai-Beta,X-Stainless-Arch,X-Stainless-Async,"
    "X-Stainless-Custom-Poll-Interval,X-Stainless-Helper-Method,X-Stainless-Lang,X-Stainless-Os,"
    "X-Stainless-Package-Version,X-Stainless-Poll-Helper,X-Stainless-Retry-Count,X-Stainless-Runtime,"
    "X-Stainless-Runtime-Version,X-Stainless-Timeout"
)
#: Beyond Ollama's list, for Anthropic's SDK in a page.
ANTHROPICS = "X-Api-Key,Anthropic-Version,Anthropic-Beta,Anthropic-Dangerous-Direct-Browser-Access,X-Stainless-Helper"


def cors(answer: Answer) -> dict[str, list[str]]:
    """Every field that concerns origins."""
    names = {name for name, _ in answer.fields if name.startswith("access-control-") or name == "vary"}
    return {name: answer.all(name) for name in names}


def assert_allowed(answer: Answer, origin: str) -> None:
    assert answer.field("access-control-allow-origin") == origin
    assert "Origin" in answer.all("vary")
    assert answer.field("access-control-allow-credentials") is None


def assert_forbidden(answer: Answer) -> None:
    assert (answer.status, answer.body, answer.type) == (403, b"", None)
    assert cors(answer) == {}


# --- origins ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "origin",
    [
        LOCAL,
        "http://localhost",
        "https://localhost:8443",
        "http://127.0.0.1:8080",
        "https://127.0.0.1",
        "http://0.0.0.0:1",
        "app://obsidian.md",
        "tauri://localhost",
        "vscode-webview://x",
        "vscode-file://vscode-app",
        "file://",
        "file:///home/me/page.html",
    ],
)
def test_pages_of_this_machine_and_apps_may_read(world: World, origin: str) -> None:
    """C222 C225: 200 with their origin in it."""
    answer = world.get("/api/tags", origin=origin)
    assert answer.status == 200
    assert_allowed(answer, origin)


@pytest.mark.parametrize(
    "origin",
    [
        EVIL,
        "null",
        "chrome-extension://x",
        "https://LOCALHOST",
        "http://localhost.evil.example",
        "http://[::1]:3000",
        "http://192.168.1.5",
    ],
)
@pytest.mark.parametrize("path", ["/api/chat", "/v1/chat/completions", "/v1/messages", "/", "/api/nope", "/healthz"])
def test_other_pages_get_nothing(world: World, origin: str, path: str) -> None:
    """C223 C224, F86: 403 without a body for every method on every path, and no provider is called."""
    for method, body in (("GET", None), ("POST", ASK), ("OPTIONS", None), ("DELETE", None)):
        assert_forbidden(world.ask(method, path, body, origin=origin))
    assert not world.arrivals


def test_our_own_page_needs_no_headers(world: World) -> None:
    """C226: the origin is the host that was called, by either scheme."""
    host = f"127.0.0.1:{world.proxy.port}"
    for origin in (f"http://{host}", f"https://{host}"):
        answer = world.post("/api/show", {"model": CHAT}, origin=origin)
        assert answer.status == 200
        assert cors(answer) == {}


@pytest.mark.parametrize("path", ["/api/chat", "/v1/messages", "/api/nope", "/"])
def test_a_preflight_lists_what_ollama_lists(world: World, path: str) -> None:
    """C227: 204 with methods, headers and age, on unknown paths too; what Anthropic's SDK needs stands behind it."""
    answer = world.ask(
        "OPTIONS",
        path,
        origin=LOCAL,
        access_control_request_method="POST",
        access_control_request_headers="content-type",
    )
    assert (answer.status, answer.body) == (204, b"")
    assert cors(answer) == {
        "access-control-allow-origin": [LOCAL],
        "access-control-allow-methods": [METHODS],
        "access-control-allow-headers": [f"{HEADERS},{ANTHROPICS}"],
        "access-control-max-age": ["43200"],
        "vary": ["Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers"],
    }


def test_every_kind_of_answer_may_be_read(world: World) -> None:
    """C229: not found, other methods, bad requests, provider's errors, whole answers and streams."""
    asked: list[tuple[str, str, Any]] = [
        ("GET", "/api/nope", None),
        ("PUT", "/api/tags", None),
        ("POST", "/api/chat", b"{"),
        ("POST", "/api/chat", {**ASK, "model": "nope"}),
        ("POST", "/api/chat", {**ASK, "stream": False}),
        ("POST", "/api/chat", ASK),
        ("POST", "/v1/chat/completions", {**ASK, "stream": True}),
        ("POST", "/v1/chat/completions", {}),
        ("POST", "/v1/messages", {}),
        ("POST", "/api/pull", {"model": "nope"}),
    ]
    for method, path, body in asked:
        assert_allowed(world.ask(method, path, body, origin=LOCAL), LOCAL)
    world.sim.play("google", "429", times=None)
    answer = world.chat(CHAT)
    assert answer.status == 429
    for stream in (True, False):
        refused = world.post("/api/chat", {**ASK, "stream": stream}, origin=LOCAL)
        assert refused.status == 429
        assert_allowed(refused, LOCAL)


def test_further_origins_add_to_the_defaults(tmp_path: Path) -> None:
    """C228: one by name, others by a pattern; what nobody named stays out."""
    with make_world(tmp_path, OLLAMA_ORIGINS="https://app.example,chrome-extension://*") as world:
        for origin in ("https://app.example", "chrome-extension://abc", LOCAL):
            answer = world.get("/api/version", origin=origin)
            assert answer.status == 200
            assert_allowed(answer, origin)
        for origin in ("https://app.example:8443", "http://app.example", EVIL):
            assert_forbidden(world.get("/api/version", origin=origin))


def test_a_star_lets_everybody_in(tmp_path: Path) -> None:
    """C228: `*` back, and nothing that varies."""
    with make_world(tmp_path, OLLAMA_ORIGINS="*") as world:
        for origin in (EVIL, "null"):
            answer = world.get("/api/version", origin=origin)
            assert (answer.status, cors(answer)) == (200, {"access-control-allow-origin": ["*"]})
        preflight = world.ask("OPTIONS", "/api/chat", origin=EVIL)
        assert preflight.status == 204
        assert preflight.field("access-control-allow-origin") == "*"
        assert preflight.all("vary") == []


# --- hosts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/api/tags", "/v1/models", "/v1/messages", "/api/nope", "/healthz", "/metrics"])
@pytest.mark.parametrize("host", ["evil.example", "evil.example:5005", "8.8.8.8", "localhost.evil.example", "[::1]"])
def test_a_foreign_host_gets_nothing(world: World, path: str, host: str) -> None:
    """C230: 403 without a body, whatever the path; a page could have pointed its own name here."""
    assert_forbidden(world.get(path, host=host))


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:11434",
        "LOCALHOST",
        "127.0.0.1",
        "127.0.0.1:1",
        "192.168.1.5",
        "10.0.0.7:5005",
        "x.local",
        "x.internal",
        "a.localhost:80",
        "X.Local",
        "[::1]:5005",
        "",
    ],
)
def test_a_host_that_no_stranger_can_name_is_served(world: World, host: str) -> None:
    """C230: this machine, its network, and names outside of public DNS."""
    assert world.get("/api/version", host=host).status == 200


def test_off_loopback_any_host_is_served(tmp_path: Path) -> None:
    """C231: other machines may call, by whatever name."""
    with make_world(tmp_path, HOST="0.0.0.0", PROXY_OPEN="1") as world:
        for host in ("evil.example", "8.8.8.8", "[::1]"):
            assert world.get("/api/version", host=host).status == 200


def test_options_without_an_origin_depend_on_the_host(world: World) -> None:
    """C232: 204 for a name; for an address 405 where there is such a path, else 404."""
    assert world.ask("OPTIONS", "/api/chat", host="localhost").status == 204
    assert world.ask("OPTIONS", "/api/nope", host="localhost:5005").status == 204
    known = world.ask("OPTIONS", "/api/chat", host="127.0.0.1")
    assert (known.status, known.field("allow"), known.body) == (405, "POST", b"405 method not allowed")
    assert world.ask("OPTIONS", "/api/nope", host="127.0.0.1").status == 404
