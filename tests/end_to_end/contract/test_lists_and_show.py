"""tags, ps, show: what clients are told of models."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from tests.support.contract import CHAT, CODE, DEEP, EMBED, JSON, NO_TOOLS, PLAIN, World, make_world

STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z")
DETAILS = ["parent_model", "format", "family", "families", "parameter_size", "quantization_level"]
#: What the simulated providers' lists and the built-in knowledge say, in Ollama's order.
CAN = {
    CHAT: ["completion", "tools", "vision", "thinking"],
    PLAIN: ["completion", "tools"],
    CODE: ["completion", "tools", "insert"],
    NO_TOOLS: ["completion"],
    DEEP: ["completion", "tools", "thinking"],
    EMBED: ["embedding"],
    "qwen:qwen3-vl-plus": ["completion", "tools", "vision", "thinking"],
    "cohere:embed-v4.0": ["embedding"],
}


def tags(world: World) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = world.get("/api/tags").json["models"]
    return found


def show(world: World, model: str, **more: Any) -> dict[str, Any]:
    answer = world.post("/api/show", {"model": model, **more})
    assert (answer.status, answer.type) == (200, JSON)
    found: dict[str, Any] = answer.json
    return found


def moment(text: str) -> datetime:
    assert STAMP.fullmatch(text)
    return datetime.strptime(text[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)


# --- tags -------------------------------------------------------------------------------------------------------------


def test_every_model_is_listed_with_all_that_clients_read(world: World) -> None:
    """C37 C38 C41: the strictest client finds every key, of the right type."""
    answer = world.get("/api/tags")
    assert list(answer.json) == ["models"]
    assert len(answer.json["models"]) > 20
    for one in answer.json["models"]:
        assert one["name"] == one["model"]
        assert type(one["size"]) is int
        assert {"modified_at", "digest", "details", "capabilities"} <= one.keys()
        details = one["details"]
        assert list(details)[:6] == DETAILS
        assert all(type(details[name]) is str for name in DETAILS if name != "families")
        assert details["families"] is None or all(type(family) is str for family in details["families"])


def test_no_models_are_an_empty_list(tmp_path: Path) -> None:
    """C37 C45 C177: never null, whichever list it is."""
    with make_world(tmp_path, keys={}) as world:
        assert world.get("/api/tags").body == b'{"models":[]}'
        assert world.get("/api/ps").body == b'{"models":[]}'
        assert world.get("/v1/models").json == {"object": "list", "data": []}


def test_digests_tell_models_apart_and_stay(tmp_path: Path) -> None:
    """C39 C40: 64 hex digits, one for each model; they and the dates are the same after a restart."""
    seen = []
    for _ in range(2):
        with make_world(tmp_path) as world:
            seen += [tags(world), tags(world)]
    digests = [one["digest"] for one in seen[0]]
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in digests)
    assert len(set(digests)) == len(digests)
    kept = [{one["name"]: (one["digest"], one["modified_at"], one["size"]) for one in models} for models in seen]
    assert kept[0] == kept[1] == kept[2] == kept[3]


def test_the_newest_come_first(world: World) -> None:
    """C40 C42: by whole seconds, newest date first; a name made now is the first of all."""
    world.post("/api/copy", {"source": PLAIN, "destination": "brand-new"})
    listed = tags(world)
    dates = [moment(one["modified_at"]) for one in listed]
    assert dates == sorted(dates, reverse=True)
    assert listed[0]["name"] == "brand-new"
    assert world.ask("DELETE", "/api/delete", {"model": "brand-new"}).status == 200


def test_every_listed_name_works_unchanged(world: World) -> None:
    """C43: in show, chat and OpenAI's chat, as far as the model can chat."""
    for one in tags(world):
        name = one["name"]
        assert show(world, name)["capabilities"] == one["capabilities"]
        if "completion" in one["capabilities"]:
            assert world.chat(name).json["message"]["content"], name
            assert world.complete(name).json["choices"][0]["message"]["content"], name


def test_tags_and_show_agree_on_what_a_model_can(world: World) -> None:
    """C44 C53: both name exactly what the provider's list or our own knowledge says."""
    listed = {one["name"]: one["capabilities"] for one in tags(world)}
    for name, can in CAN.items():
        assert listed[name] == can, name
        assert show(world, name)["capabilities"] == can, name


# --- ps ---------------------------------------------------------------------------------------------------------------


def test_nothing_used_is_nothing_loaded(tmp_path: Path) -> None:
    """C45: looking at a model does not load it."""
    with make_world(tmp_path) as world:
        show(world, CHAT)
        assert world.get("/api/ps").body == b'{"models":[]}'


@pytest.mark.parametrize("path", ["/api/chat", "/api/generate"])
def test_a_used_model_is_loaded_for_as_long_as_it_was_asked(world: World, path: str) -> None:
    """C46 C48: every key, and an end ten minutes ahead for `10m`."""
    body = {"model": CHAT, "keep_alive": "10m", "stream": False}
    ask = {"messages": [{"role": "user", "content": "hi"}]} if path == "/api/chat" else {"prompt": "hi"}
    assert world.post(path, {**body, **ask}).status == 200
    (loaded,) = [one for one in world.get("/api/ps").json["models"] if one["name"] == CHAT]
    assert list(loaded) == [
        "name",
        "model",
        "size",
        "digest",
        "details",
        "expires_at",
        "size_vram",
        "context_length",
    ]
    assert loaded["model"] == CHAT
    assert list(loaded["details"]) == DETAILS
    assert loaded["digest"] == next(one["digest"] for one in tags(world) if one["name"] == CHAT)
    assert (type(loaded["size_vram"]), type(loaded["context_length"])) == (int, int)
    left = (moment(loaded["expires_at"]) - datetime.now(timezone.utc)).total_seconds()
    assert 590 < left <= 600


def test_a_model_kept_for_ever_stays_for_centuries_and_one_let_go_is_gone(world: World) -> None:
    """C47: -1 and 0."""
    world.chat(CHAT, keep_alive=-1)
    (loaded,) = [one for one in world.get("/api/ps").json["models"] if one["name"] == CHAT]
    assert moment(loaded["expires_at"]).year - datetime.now(timezone.utc).year > 100
    world.chat(CHAT, keep_alive=0)
    assert CHAT not in [one["name"] for one in world.get("/api/ps").json["models"]]


def test_what_stays_longest_comes_first(world: World) -> None:
    """C46: by the time that is left."""
    for model, keep_alive in ((CHAT, "1m"), (PLAIN, "1h"), (CODE, "10m")):
        world.chat(model, keep_alive=keep_alive)
    loaded = [one["name"] for one in world.get("/api/ps").json["models"]]
    assert [name for name in loaded if name in (CHAT, PLAIN, CODE)] == [PLAIN, CODE, CHAT]


# --- show -------------------------------------------------------------------------------------------------------------


def test_show_has_ollamas_keys_in_order(world: World) -> None:
    """C49: details, model_info, capabilities and date are always there."""
    assert list(show(world, CHAT)) == [
        "modelfile",
        "parameters",
        "template",
        "details",
        "remote_model",
        "remote_host",
        "model_info",
        "capabilities",
        "modified_at",
    ]
    shown = show(world, CHAT)
    assert list(shown["details"]) == DETAILS
    assert type(shown["model_info"]) is dict
    assert type(shown["capabilities"]) is list
    moment(shown["modified_at"])


def test_the_old_name_of_the_field_works(world: World) -> None:
    """C50: `name` alone gives the same bytes; `model` wins over it."""
    by_model = world.post("/api/show", {"model": CHAT})
    assert world.post("/api/show", {"name": CHAT}).body == by_model.body
    assert world.post("/api/show", {"model": CHAT, "name": PLAIN}).body == by_model.body
    assert world.post("/api/show", {"model": "", "name": CHAT}).body == by_model.body


@pytest.mark.parametrize("model", CAN)
def test_the_window_is_where_every_client_looks(world: World, model: str) -> None:
    """C51 C59: one positive number under the architecture's name, and as `num_ctx` in 30 columns."""
    shown = show(world, model)
    info = shown["model_info"]
    window = info[f"{info['general.architecture']}.context_length"]
    assert type(window) is int
    assert window > 0
    assert [key for key in info if "context_length" in key] == [f"{info['general.architecture']}.context_length"]
    assert f"{'num_ctx':<30} {window}" in shown["parameters"].split("\n")


def test_embedders_and_talkers_are_told_apart(world: World) -> None:
    """C52: no model does both."""
    for one in tags(world):
        assert ("completion" in one["capabilities"]) != ("embedding" in one["capabilities"]), one["name"]


def test_copilot_gets_its_own_string_back(world: World) -> None:
    """C54: as base name, and nobody else does."""
    for asked in (CHAT, CHAT.upper(), f"{CHAT}:latest", CHAT.replace(":", "/")):
        told = world.post("/api/show", {"model": asked}, user_agent="GitHubCopilotChat/0.41.1").json
        assert told["model_info"]["general.basename"] == asked
        other = world.post("/api/show", {"model": asked}, user_agent="ollama/0.33.0").json
        assert other["model_info"]["general.basename"] == CHAT


@pytest.mark.parametrize("body", [{}, {"model": ""}, {"name": " "}, {"model": None, "name": None}])
def test_show_wants_a_model(world: World, body: dict[str, Any]) -> None:
    """C55: 400, unlike generate."""
    world.post("/api/show", body).assert_error(400, "model is required")


def test_show_adds_the_tag_to_an_unknown_name(world: World) -> None:
    """C56: and only show does."""
    world.post("/api/show", {"model": "nope"}).assert_error(404, "model 'nope:latest' not found")
    world.post("/api/show", {"model": "nope:1b"}).assert_error(404, "model 'nope:1b' not found")


def test_show_refuses_what_is_no_name(world: World) -> None:
    """C57: a blank inside."""
    world.post("/api/show", {"model": "a b"}).assert_error(400, "invalid model name")


def test_show_takes_what_else_ollama_takes(world: World) -> None:
    """C58: verbose, options, system, template."""
    more = {"verbose": True, "options": {"num_ctx": 1}, "system": "Be brief.", "template": "{{ .Prompt }}"}
    assert show(world, CHAT, **more) == show(world, CHAT)


def test_templates_say_who_fills_gaps(world: World) -> None:
    """C59: `.Suffix` for those models and for no other."""
    for one in tags(world):
        assert (".Suffix" in show(world, one["name"])["template"]) is ("insert" in one["capabilities"]), one["name"]
