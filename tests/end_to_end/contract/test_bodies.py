"""How bodies are decoded: as generous as Ollama, and with its words where it is not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.contract import CHAT, EMBED, NDJSON, World

ASK = [{"role": "user", "content": "Say hello."}]
#: Every endpoint of Ollama's API with a body, and the least good one.
BODIES: dict[str, dict[str, Any]] = {
    "POST /api/chat": {"model": CHAT, "messages": ASK, "stream": False},
    "POST /api/generate": {"model": CHAT, "prompt": "Say hello.", "stream": False},
    "POST /api/embed": {"model": EMBED, "input": "hello"},
    "POST /api/embeddings": {"model": EMBED, "prompt": "hello"},
    "POST /api/show": {"model": CHAT},
    "POST /api/pull": {"model": CHAT},
    "POST /api/push": {"model": CHAT},
    "POST /api/create": {"model": "made-by-bodies-test", "from": CHAT},
    "POST /api/copy": {"source": CHAT, "destination": "copied-by-bodies-test"},
    "DELETE /api/delete": {"model": "copied-by-bodies-test"},
}
every_endpoint = pytest.mark.parametrize("endpoint", BODIES)
OPENAI: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"model": CHAT, "messages": ASK},
    "/v1/completions": {"model": CHAT, "prompt": "Say hello."},
    "/v1/embeddings": {"model": EMBED, "input": "hello"},
}
STREAMS = {"POST /api/pull", "POST /api/push", "POST /api/create"}


def split(endpoint: str) -> tuple[str, str]:
    method, path = endpoint.split(" ")
    return method, path


# --- what is refused --------------------------------------------------------------------------------------------------


@every_endpoint
@pytest.mark.parametrize("body", [b"", b" \r\n\t "], ids=["empty", "blank"])
def test_no_body_is_told_as_missing(world: World, endpoint: str, body: bytes) -> None:
    """C23 C24: empty, or nothing but white space."""
    world.ask(*split(endpoint), body).assert_error(400, "missing request body")


@every_endpoint
def test_a_body_that_was_not_even_announced_is_missing_too(world: World, endpoint: str) -> None:
    """C23: no Content-Length at all."""
    world.ask(*split(endpoint)).assert_error(400, "missing request body")


@every_endpoint
def test_a_cut_body_is_an_unexpected_end(world: World, endpoint: str) -> None:
    """C25: `{` and nothing more."""
    world.ask(*split(endpoint), b"{").assert_error(400, "unexpected EOF")


@every_endpoint
def test_broken_json_is_told_in_gos_words(world: World, endpoint: str) -> None:
    """C26: the first byte that cannot be taken is named."""
    world.ask(*split(endpoint), b"x").assert_error(400, "invalid character 'x' looking for beginning of value")


@every_endpoint
def test_a_list_is_no_request(world: World, endpoint: str) -> None:
    """C27: the kind of the value is named."""
    world.ask(*split(endpoint), b"[]").assert_error(400, begins="json: cannot unmarshal array into Go value")


@pytest.mark.parametrize(
    ("endpoint", "field", "value", "kind"),
    [
        *[(endpoint, "model", 1, "number") for endpoint in BODIES if endpoint != "POST /api/copy"],
        ("POST /api/copy", "source", 1, "number"),
        *[(f"POST /api/{name}", "stream", "false", "string") for name in ("chat", "generate", "pull", "create")],
        ("POST /api/chat", "options", [], "array"),
        ("POST /api/generate", "options", [], "array"),
        ("POST /api/embed", "options", [], "array"),
        ("POST /api/chat", "messages", {}, "object"),
        ("POST /api/chat", "tools", "x", "string"),
        ("POST /api/generate", "prompt", ["x"], "array"),
        ("POST /api/generate", "raw", 1, "number"),
        ("POST /api/show", "verbose", "yes", "string"),
    ],
)
def test_a_wrong_type_is_told_with_its_kind(world: World, endpoint: str, field: str, value: Any, kind: str) -> None:
    """C28 C29 C34: number, string or array where something else belongs."""
    answer = world.ask(*split(endpoint), {**BODIES[endpoint], field: value})
    answer.assert_error(400, begins=f"json: cannot unmarshal {kind} into Go struct field")
    assert f".{field} of type" in answer.json["error"]
    assert not world.arrivals


@pytest.mark.parametrize(("body", "word"), [(b"null", "model is required"), (b"{}", "model is required")])
def test_null_is_an_object_without_fields(world: World, body: bytes, word: str) -> None:
    """C30: so what is missing is the model."""
    world.post("/api/chat", body).assert_error(400, word)


# --- what is taken ----------------------------------------------------------------------------------------------------


def assert_served(world: World, endpoint: str, body: bytes) -> None:
    if endpoint == "DELETE /api/delete":
        world.post("/api/copy", BODIES["POST /api/copy"])
    answer = world.ask(*split(endpoint), body)
    assert answer.status == 200
    if endpoint in STREAMS:
        # There is nowhere to push to: that is told in the stream, once the request itself was understood.
        assert ("error" in answer.lines[-1]) is (endpoint == "POST /api/push")


@every_endpoint
@pytest.mark.parametrize("more", [b"\n", b"} and more", b'{"model":""}', b"\x00\xff"])
def test_what_follows_the_first_value_is_ignored(world: World, endpoint: str, more: bytes) -> None:
    """C31: whatever it is."""
    assert_served(world, endpoint, json.dumps(BODIES[endpoint]).encode() + more)


@every_endpoint
def test_unknown_fields_are_ignored(world: World, endpoint: str) -> None:
    """C32: on every endpoint, of any type."""
    more = {"unknown": {"a": [1, None]}, "another": "x", "": 0}
    assert_served(world, endpoint, json.dumps({**BODIES[endpoint], **more}).encode())


@every_endpoint
def test_field_names_have_no_case(world: World, endpoint: str) -> None:
    """C35: `MODEL` is `model`."""
    body = {name.upper(): value for name, value in BODIES[endpoint].items()}
    assert_served(world, endpoint, json.dumps(body).encode())


def test_the_exact_spelling_wins(world: World) -> None:
    """C35: where a field came in two spellings."""
    answer = world.post("/api/chat", {"MODEL": "nope", **BODIES["POST /api/chat"], "Model": "nope"})
    assert answer.json["model"] == CHAT


@pytest.mark.parametrize("field", ["options", "tools", "format", "keep_alive", "think", "images"])
@pytest.mark.parametrize("endpoint", ["POST /api/chat", "POST /api/generate"])
def test_null_means_not_given(world: World, endpoint: str, field: str) -> None:
    """C33: each field, with the same request to the provider as without it."""
    method, path = split(endpoint)
    world.ask(method, path, BODIES[endpoint])
    plain = world.sent
    world.fresh()
    assert world.ask(method, path, {**BODIES[endpoint], field: None}).status == 200
    assert world.sent == plain


def test_null_inside_a_message_means_not_given(world: World) -> None:
    """C33: images, calls and thinking of a message."""
    message = {**ASK[0], "images": None, "tool_calls": None, "thinking": None, "tool_name": None}
    assert world.post("/api/chat", {"model": CHAT, "messages": [message], "stream": False}).status == 200
    assert world.sent["messages"] == ASK


@pytest.mark.parametrize("path", ["/api/chat", "/api/generate"])
def test_a_stream_of_null_is_a_stream(world: World, path: str) -> None:
    """C33: streaming is what happens unless told otherwise."""
    answer = world.post(path, {**BODIES[f"POST {path}"], "stream": None})
    assert answer.type == NDJSON
    assert answer.lines[-1]["done"] is True


def test_the_official_go_clients_empty_fields_mean_nothing(world: World) -> None:
    """C33: it always sends all its fields, empty or null."""
    empty = {"prompt": "Hi", "suffix": "", "system": "", "template": "", "context": None, "options": None, "format": ""}
    assert world.post("/api/generate", {"model": CHAT, "stream": False, **empty}).status == 200
    assert world.sent["messages"] == [{"role": "user", "content": "Hi"}]


# --- OpenAI's API -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", OPENAI)
@pytest.mark.parametrize("body", [b"", b" \n"])
def test_no_body_is_an_eof_for_openai_clients(world: World, path: str, body: bytes) -> None:
    """C36: Ollama's own word there."""
    world.post(path, body).assert_openai_error(400, "EOF", "invalid_request_error")


@pytest.mark.parametrize("path", OPENAI)
@pytest.mark.parametrize("body", [b"{", b"x", b"[]", b'{"model":1}'])
def test_other_broken_bodies_are_bad_requests_for_openai_clients(world: World, path: str, body: bytes) -> None:
    """C36: 400 in OpenAI's shape."""
    world.post(path, body).assert_openai_error(400, kind="invalid_request_error")


@pytest.mark.parametrize("path", OPENAI)
def test_unknown_fields_pass_for_openai_clients(world: World, path: str) -> None:
    """C32: they are the provider's business."""
    assert world.post(path, {**OPENAI[path], "user": "me"}).status == 200
