"""pull, push, create, copy, delete, blobs, and what belongs to an account."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from tests.support.contract import CHAT, JSON, NDJSON, PLAIN, World, make_world

NOWHERE = "pull model manifest: file does not exist"
DIGEST = hashlib.sha256(b"weights").hexdigest()


def names(world: World) -> list[str]:
    return [one["name"] for one in world.get("/api/tags").json["models"]]


# --- pull -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["model", "name"])
def test_a_model_that_is_there_is_pulled_at_once(world: World, field: str) -> None:
    """C164 C167: stages from the manifest to success, under either name of the field."""
    answer = world.post("/api/pull", {field: CHAT})
    assert (answer.status, answer.type) == (200, NDJSON)
    stages = [line["status"] for line in answer.lines]
    assert stages[0] == "pulling manifest"
    assert stages[-1] == "success"
    assert answer.body.endswith(b'\n{"status":"success"}\n')


def test_a_pull_in_one_piece_says_success(world: World) -> None:
    """C165: exactly, and without a charset."""
    answer = world.post("/api/pull", {"model": CHAT, "stream": False})
    assert (answer.status, answer.type, answer.body) == (200, "application/json", b'{"status":"success"}')


@pytest.mark.parametrize("name", ["nope", "nope:7b", "gpt-oss:20b"])
def test_what_nobody_has_cannot_be_pulled(world: World, name: str) -> None:
    """C166: as last line of a stream, as 500 in one piece."""
    answer = world.post("/api/pull", {"model": name})
    assert answer.status == 200
    assert answer.lines == [{"status": "pulling manifest"}, {"error": NOWHERE}]
    world.post("/api/pull", {"model": name, "stream": False}).assert_error(500, NOWHERE)
    assert name not in names(world)


@pytest.mark.parametrize("body", [{}, {"model": ""}, {"name": " "}])
def test_a_pull_wants_a_name(world: World, body: dict[str, Any]) -> None:
    """C167: which an empty one is not."""
    world.post("/api/pull", body).assert_error(400, "invalid model name")


# --- push and create --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [{}, {"model": ""}, {"name": None}])
def test_a_push_wants_a_model(world: World, body: dict[str, Any]) -> None:
    """C168: in other words than a pull."""
    world.post("/api/push", body).assert_error(400, "model is required")


def test_nothing_is_pushed_and_it_is_said(world: World) -> None:
    """C168: never a success that is none."""
    answer = world.post("/api/push", {"model": CHAT})
    assert answer.lines[0] == {"status": "retrieving manifest"}
    assert list(answer.lines[-1]) == ["error"]
    assert world.post("/api/push", {"model": CHAT, "stream": False}).status == 400


@pytest.mark.parametrize("body", [{}, {"from": "", "files": {}}, {"system": "Be brief."}])
def test_create_needs_something_to_start_from(world: World, body: dict[str, Any]) -> None:
    """C169: in Ollama's words."""
    answer = world.post("/api/create", {"model": "mine", **body})
    answer.assert_error(400, "neither 'from' or 'files' was specified")


@pytest.mark.parametrize("name", ["", "a b", "a@b", ":x", "x:"])
def test_create_needs_a_name(world: World, name: str) -> None:
    """C170: one that keeps to the grammar."""
    world.post("/api/create", {"model": name, "from": CHAT}).assert_error(400, "invalid model name")


def test_create_makes_a_model_and_says_so(tmp_path: Path) -> None:
    """C169: from its first layer to success; it can be used at once."""
    with make_world(tmp_path) as world:
        answer = world.post("/api/create", {"model": "mine", "from": PLAIN, "system": "Be brief."})
        assert (answer.status, answer.type) == (200, NDJSON)
        stages = [line["status"] for line in answer.lines]
        assert stages[0].startswith("using existing layer sha256:")
        assert stages[-2:] == ["writing manifest", "success"]
        assert world.chat("mine").json["model"] == "mine"
        assert world.sent["messages"][0] == {"role": "system", "content": "Be brief."}
        in_one = world.post("/api/create", {"model": "mine", "from": PLAIN, "stream": False})
        assert (in_one.type, in_one.body) == ("application/json", b'{"status":"success"}')


# --- copy and delete --------------------------------------------------------------------------------------------------


def test_copy_names_what_is_wrong(world: World) -> None:
    """C171: source first, then destination, then whether there is such a model."""
    world.post("/api/copy", {"source": "", "destination": ""}).assert_error(400, 'source "" is invalid')
    world.post("/api/copy", {}).assert_error(400, 'source "" is invalid')
    world.post("/api/copy", {"source": CHAT, "destination": "a b"}).assert_error(400, 'destination "a b" is invalid')
    world.post("/api/copy", {"source": "nope", "destination": "x"}).assert_error(404, 'model "nope" not found')


def test_copy_and_delete_answer_with_nothing(tmp_path: Path) -> None:
    """C171 C172: 200 without a body or a type; the name comes and goes, in OpenAI's list too."""
    with make_world(tmp_path) as world:
        answer = world.post("/api/copy", {"source": CHAT, "destination": "mine"})
        assert (answer.status, answer.type, answer.field("content-length"), answer.body) == (200, None, "0", b"")
        assert "mine" in names(world)
        assert "mine" in [one["id"] for one in world.get("/v1/models").json["data"]]
        answer = world.ask("DELETE", "/api/delete", {"name": "mine"})
        assert (answer.status, answer.type, answer.body) == (200, None, b"")
        assert "mine" not in names(world)


def test_delete_names_what_is_wrong(world: World) -> None:
    """C172: no model, no such model, no name at all."""
    world.ask("DELETE", "/api/delete", {}).assert_error(400, "model is required")
    world.ask("DELETE", "/api/delete", {"model": "nope"}).assert_error(404, "model 'nope' not found")
    world.ask("DELETE", "/api/delete", {"model": "a b"}).assert_error(400, 'name "a b" is invalid')


# --- blobs and accounts -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("joint", [":", "-"])
def test_no_weights_are_stored_here(world: World, joint: str) -> None:
    """C173: an unknown blob is 404 without a body."""
    answer = world.ask("HEAD", f"/api/blobs/sha256{joint}{DIGEST}")
    assert (answer.status, answer.body) == (404, b"")
    refused = world.post(f"/api/blobs/sha256{joint}{DIGEST}", b"weights")
    refused.assert_error(400, begins="weights cannot be stored here")


@pytest.mark.parametrize(
    "digest", ["x", "sha256:", f"sha256:{DIGEST}0", f"md5:{DIGEST}", f"sha256:{'g' * 64}", "sha256/"]
)
def test_a_malformed_digest_is_400(world: World, digest: str) -> None:
    """C173: for HEAD and POST."""
    assert world.ask("HEAD", f"/api/blobs/{digest}").status == 400
    world.post(f"/api/blobs/{digest}", b"weights").assert_error(400, "invalid digest format")


@pytest.mark.parametrize("body", [None, b"", {}])
def test_there_is_a_user(world: World, body: Any) -> None:
    """C174: so that no client sends people to sign in; a body is not needed."""
    answer = world.post("/api/me", body)
    assert (answer.status, answer.type) == (200, JSON)
    assert {"id", "email", "name"} <= answer.json.keys()


def test_signing_out_is_easy(world: World) -> None:
    """C175: null, by either way."""
    for answer in (world.ask("POST", "/api/signout"), world.ask("DELETE", "/api/user/keys/abc")):
        assert (answer.status, answer.type, answer.body) == (200, JSON, b"null")


def test_recommendations_are_models_that_talk(world: World) -> None:
    """C176: a list of what is listed."""
    answer = world.get("/api/experimental/model-recommendations")
    assert answer.status == 200
    assert list(answer.json) == ["recommendations"]
    recommended = [one["model"] for one in answer.json["recommendations"]]
    assert recommended
    assert set(recommended) <= set(names(world))


@pytest.mark.parametrize(("path", "what"), [("web_search", "web search"), ("web_fetch", "web fetch")])
def test_ollamas_cloud_is_not_here(world: World, path: str, what: str) -> None:
    """C20 C23: its search says so with 403, and wants a body all the same."""
    answer = world.post(f"/api/experimental/{path}", {"query": "x", "url": "http://x.example"})
    answer.assert_error(403, f"ollama cloud is disabled: {what} is unavailable")
    world.post(f"/api/experimental/{path}", b"").assert_error(400, "missing request body")
