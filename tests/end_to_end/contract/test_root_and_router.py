"""Root, version and router: which path and method lead where, and what every answer has in common."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.contract import CHAT, EMBED, JSON, World, make_world

ASK = [{"role": "user", "content": "Say hello."}]
#: A good body for every endpoint that takes one.
POSTS: dict[str, dict[str, Any]] = {
    "/api/chat": {"model": CHAT, "messages": ASK, "stream": False},
    "/api/generate": {"model": CHAT, "prompt": "Say hello.", "stream": False},
    "/api/embed": {"model": EMBED, "input": "hello"},
    "/api/embeddings": {"model": EMBED, "prompt": "hello"},
    "/api/show": {"model": CHAT},
    "/api/pull": {"model": CHAT, "stream": False},
    "/api/create": {"model": "made-by-router-test", "from": CHAT, "stream": False},
    "/api/copy": {"source": CHAT, "destination": "copied-by-router-test"},
    "/v1/chat/completions": {"model": CHAT, "messages": ASK},
    "/v1/completions": {"model": CHAT, "prompt": "Say hello."},
    "/v1/embeddings": {"model": EMBED, "input": "hello"},
    "/v1/responses": {"model": CHAT, "input": "Say hello."},
    "/v1/messages": {"model": CHAT, "messages": ASK, "max_tokens": 100},
}
every_post = pytest.mark.parametrize("path", POSTS)


# --- root and version -------------------------------------------------------------------------------------------------


def test_the_root_says_ollamas_sentence_to_who_asks_for_text(world: World) -> None:
    """C1: exactly the sentence, as text, for `Accept: text/plain`."""
    answer = world.get("/", accept="text/plain")
    assert (answer.status, answer.type, answer.body) == (200, "text/plain; charset=utf-8", b"Ollama is running")


@pytest.mark.parametrize("accept", [None, "*/*", "application/json", "application/json, text/plain, */*"])
def test_the_root_tells_programs_the_versions(world: World, accept: str | None) -> None:
    """C1: what programs get by default still holds the sentence that apps look for."""
    answer = world.get("/", accept=accept)
    assert (answer.status, answer.type) == (200, JSON)
    assert list(answer.json) == ["status", "version", "proxy"]
    assert answer.json["status"] == "Ollama is running"


BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize("path", ["/", "/ui", "/ui/"])
@pytest.mark.parametrize(
    ("languages", "language", "word"),
    [
        (None, "en", "Running"),
        ("en-US,en;q=0.9,ko;q=0.8", "en", "Running"),
        ("ko-KR,ko;q=0.9,en-US;q=0.8,en;q=0.7", "ko", "실행 중"),
        ("de-DE,ko;q=0.5", "ko", "실행 중"),
        ("fr", "en", "Running"),
    ],
)
def test_a_browser_gets_a_page_in_its_language(
    world: World, path: str, languages: str | None, language: str, word: str
) -> None:
    """C1: at the root and at /ui, in English or Korean."""
    answer = world.get(path, accept=BROWSER, accept_language=languages)
    assert (answer.status, answer.type) == (200, "text/html; charset=utf-8")
    assert answer.field("content-language") == language
    text = answer.body.decode()
    assert f'<html lang="{language}">' in text
    assert word in text
    head = world.ask("HEAD", path, accept=BROWSER, accept_language=languages)
    assert (head.status, head.body, head.field("content-length")) == (200, b"", str(len(answer.body)))


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with make_world(tmp_path_factory.mktemp("guarded"), PROXY_API_TOKEN="a-token") as world:
        yield world


@pytest.fixture
def guarded(locked: World) -> World:
    locked.fresh()
    return locked


@pytest.mark.parametrize("accept", [None, "application/json", "text/plain", BROWSER])
def test_where_a_token_is_set_strangers_get_the_sentence_alone(guarded: World, accept: str | None) -> None:
    """C1 C2 C21: whatever they accept; no version, no page."""
    for fields in ({}, {"authorization": "Bearer wrong"}, {"x_api_key": "wrong"}):
        answer = guarded.get("/", accept=accept, **fields)
        assert (answer.status, answer.type) == (200, "text/plain; charset=utf-8")
        assert answer.body == b"Ollama is running"
    head = guarded.ask("HEAD", "/", accept=accept)
    assert (head.status, head.field("content-length")) == (200, "17")


def test_where_a_token_is_set_nothing_else_answers_without_it(guarded: World) -> None:
    """C21: but health; the rest is 401 in the words of its protocol, known path or not."""
    assert guarded.get("/healthz").body == b'{"status":"ok"}'
    for path in ("/ui", "/api/version", "/api/tags", "/api/keys", "/metrics", "/api/nope"):
        guarded.get(path, accept=BROWSER).assert_error(401, begins="This proxy wants its token")
    for path in ("/v1/models", "/v1/nope"):
        guarded.get(path).assert_openai_error(401)
    for path, body in POSTS.items():
        assert guarded.post(path, body).status == 401
    assert not guarded.arrivals


@pytest.mark.parametrize("before", ["/a-token", "//a-token", "///%61-token", "/a-token/"])
def test_a_token_in_the_path_takes_the_same_slips(guarded: World, before: str) -> None:
    """C17: a slash too many before or behind it; another word in its place is no token, however many slashes."""
    assert guarded.get(f"{before}/api/tags").json["models"]
    assert guarded.post(f"{before}/api/chat", POSTS["/api/chat"]).status == 200
    assert guarded.get(f"{before}/").type == JSON
    guarded.get(f"{before.replace('-token', '-wrong')}/api/tags").assert_error(401, begins="This proxy wants its token")


@pytest.mark.parametrize(
    ("prefix", "fields"),
    [
        ("", {"authorization": "Bearer a-token"}),
        ("", {"authorization": "Basic eDphLXRva2Vu"}),
        ("", {"x_api_key": "a-token"}),
        ("/a-token", {}),
    ],
)
def test_whoever_shows_the_token_gets_everything(guarded: World, prefix: str, fields: dict[str, str | None]) -> None:
    """C1 C21: in each way in which a client can."""
    assert guarded.get(f"{prefix}/", **fields).json["status"] == "Ollama is running"
    assert guarded.get(f"{prefix}/", accept=BROWSER, **fields).type == "text/html; charset=utf-8"
    assert guarded.get(f"{prefix}/ui", accept=BROWSER, **fields).type == "text/html; charset=utf-8"
    assert guarded.get(f"{prefix}/api/tags", **fields).json["models"]
    assert guarded.post(f"{prefix}/api/chat", POSTS["/api/chat"], **fields).status == 200


def test_the_clis_heartbeat_is_answered(world: World) -> None:
    """C2: HEAD / is 200 with the length of what GET would say, and no body."""
    plain = world.ask("HEAD", "/", accept="text/plain")
    assert (plain.status, plain.field("content-length"), plain.body) == (200, "17", b"")
    usual = world.ask("HEAD", "/", accept="application/json")
    assert (usual.status, usual.body) == (200, b"")
    assert usual.field("content-length") == str(len(world.get("/").body))


def test_the_version_is_one_that_clients_can_compare(world: World) -> None:
    """C3: a bare X.Y.Z that is new enough for every client; our own version stands beside it."""
    answer = world.get("/api/version")
    assert (answer.status, answer.type) == (200, JSON)
    assert list(answer.json) == ["version", "proxy"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", answer.json["version"])
    assert tuple(map(int, answer.json["version"].split("."))) >= (0, 14, 0)


@pytest.mark.parametrize("path", ["/api/version", "/api/tags"])
def test_head_is_get_without_a_body(world: World, path: str) -> None:
    """C4 C5: same status, type and length."""
    head, get = world.ask("HEAD", path), world.get(path)
    assert (head.status, head.body) == (200, b"")
    assert head.type == get.type == JSON
    assert head.field("content-length") == get.field("content-length") == str(len(get.body))


def test_ollamas_cloud_is_off(world: World) -> None:
    """C20: clients hide what only Ollama's own cloud has."""
    answer = world.get("/api/status")
    assert answer.body == b'{"cloud":{"disabled":true,"source":"env"}}'
    assert answer.type == JSON


# --- router -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/api/nope", "/v1/nope", "/API/TAGS", "/api", "/v1", "/favicon.ico", "/v1/images/generations"]
)
def test_an_unknown_path_is_told_in_plain_text(world: World, path: str) -> None:
    """C8 C9 C14: also under /v1, and paths have one letter case."""
    answer = world.get(path)
    assert (answer.status, answer.type, answer.body) == (404, "text/plain", b"404 page not found")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("HEAD", "/api/ps", "GET"),
        ("HEAD", "/v1/models", "GET"),
        ("GET", "/api/chat", "POST"),
        ("PUT", "/api/tags", "HEAD, GET"),
        ("GET", "/api/show", "POST"),
        ("POST", "/v1/models", "GET"),
        ("POST", "/", "HEAD, GET"),
        ("GET", "/api/delete", "DELETE"),
        ("POST", "/api/delete", "DELETE"),
        ("GET", f"/api/blobs/sha256:{'0' * 64}", "HEAD, POST"),
        ("GET", "/v1/chat/completions", "POST"),
    ],
)
def test_another_method_is_told_which_ones_there_are(world: World, method: str, path: str, allow: str) -> None:
    """C6 C7 C10 C11 C12 C13: 405 in plain text, `Allow` in Ollama's order."""
    answer = world.ask(method, path)
    assert (answer.status, answer.type, answer.field("allow")) == (405, "text/plain", allow)
    assert answer.body == (b"" if method == "HEAD" else b"405 method not allowed")


@pytest.mark.parametrize("path", ["/api/tags/", "//api/tags", "/api//tags", "/v1/api/tags", "/api/tags?x=1"])
def test_slips_in_a_base_url_are_served_at_once(world: World, path: str) -> None:
    """C15 C17, F92: a slash too many is no redirect, since many clients follow none."""
    answer = world.get(path)
    assert (answer.status, answer.type) == (200, JSON)
    assert answer.json["models"]


@pytest.mark.parametrize("path", ["/api/chat/", "//api/chat", "/v1/v1/chat/completions", "//v1//chat/completions/"])
def test_slips_before_a_body_are_served_at_once(world: World, path: str) -> None:
    """C16 C17, F92: the same for POST, with its body."""
    answer = world.post(path, POSTS["/api/chat"])
    assert answer.status == 200
    assert "message" in str(answer.json)
    assert len(world.arrivals) == 1


# --- what all answers have in common ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "fields"),
    [
        ("GET", "/", {}),
        ("GET", "/api/nope", {}),
        ("PUT", "/api/tags", {}),
        ("GET", "/api/tags", {"origin": "http://evil.example"}),
        ("GET", "/api/tags", {"host": "evil.example"}),
        ("OPTIONS", "/api/chat", {"origin": "http://localhost"}),
        ("GET", "/api/tags", {"host": None}),
        ("BREW", "/api/tags", {}),
    ],
)
def test_no_answer_names_a_server(world: World, method: str, path: str, fields: dict[str, str | None]) -> None:
    """C18: neither good ones nor refusals of any layer."""
    answer = world.ask(method, path, **fields)
    assert answer.all("server") == []


@every_post
def test_neither_do_answers_to_a_body(world: World, path: str) -> None:
    """C18: streams and errors too."""
    for body in (POSTS[path], {**POSTS[path], "stream": True}, {}):
        assert world.post(path, body).all("server") == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *[("POST", path) for path in POSTS if path.startswith("/api/") and path not in ("/api/pull", "/api/create")],
        *[("GET", f"/api/{name}") for name in ("version", "status", "tags", "ps", "keys")],
        ("GET", "/api/experimental/model-recommendations"),
        ("POST", "/api/me"),
        ("POST", "/api/signout"),
    ],
)
def test_a_success_is_json_with_a_charset_and_no_newline(world: World, method: str, path: str) -> None:
    """C19: and it says how long it is. (Copy has no body; pull and create in one piece have their own type.)"""
    answer = world.ask(method, path, POSTS.get(path))
    assert answer.status == 200
    assert answer.field("content-length") == str(len(answer.body))
    if path == "/api/copy":
        assert (answer.body, answer.type) == (b"", None)
    else:
        assert answer.type == JSON
        assert answer.body[-1:] in b"}l"


@pytest.mark.parametrize("value", ["Bearer ", "Bearer wrong", "Basic eDp5", "nonsense", "", None])
def test_without_a_token_of_ours_whatever_is_sent_means_nothing(world: World, value: str | None) -> None:
    """C21: and nothing of it goes to the provider."""
    fields = {"authorization": value, "x_api_key": "mine", "anthropic_version": "2023-06-01"}
    answer = world.post("/api/chat", POSTS["/api/chat"], **fields)
    assert answer.status == 200
    (arrival,) = world.arrivals
    assert arrival.key == "one"
    assert not {"x-api-key", "anthropic-version"} & arrival.headers.keys()


@every_post
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", None])
def test_the_type_of_a_body_is_never_looked_at(world: World, path: str, kind: str | None) -> None:
    """C22: curl sends a form's, browsers send text to get around a preflight."""
    assert world.post(path, POSTS[path], content_type=kind).status == 200
