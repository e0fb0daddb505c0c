"""Who may ask, whom we ask, what gets into a log (F85 to F89, F91 to F94)."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest

from ollama_proxy.telemetry import setup_logging
from tests.support.client_kinds import KINDS, Way, every_kind, every_stream, every_way
from tests.support.faulty_world import World, make_world, render

COHERE = "cohere:command-a-03-2025"
KEYS = {"cohere": ["one", "two", "three"], "google": ["one"]}
TOKEN = "Token-of-a-good-length-0123456789"
PLAIN = Way.find("openai", stream=False)
PATHS = sorted({kind.path for kind in KINDS})
EVERY_PATH = [
    *PATHS,
    "/api/tags",
    "/api/show",
    "/v1/models",
    "/api/keys",
    "/metrics",
    "/api/pull",
    "/api/delete",
    "/api/nope",
]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with make_world(tmp_path_factory, KEYS) as running:
        yield running


@pytest.fixture
def world(running: World) -> World:
    running.fresh()
    return running


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with make_world(tmp_path_factory, KEYS, env={"PROXY_API_TOKEN": TOKEN}) as running:
        yield running


# --- pages and hosts (F85, F86) ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", EVERY_PATH)
@pytest.mark.parametrize("field", [{"host": "evil.test"}, {"origin": "https://evil.test"}, {"origin": "null"}], ids=str)
def test_a_page_from_elsewhere_gets_nothing(world: World, path: str, field: dict[str, str]) -> None:
    """F85, F86: 403 before anything is done, and no header that would let a page read it."""
    body = PLAIN.body(COHERE) if path in PATHS else None
    got = world.send(path, body, field)
    assert got.status == 403
    assert not [name for name in got.headers if name.startswith("access-control")]
    assert not world.calls("cohere")


def test_a_preflight_from_elsewhere_gets_nothing(world: World) -> None:
    """F86."""
    lines = b"OPTIONS /api/chat HTTP/1.1\r\nhost: localhost\r\norigin: https://evil.test\r\n"
    got = world.exchange(lines + b"access-control-request-method: POST\r\nconnection: close\r\n\r\n")
    assert got.status == 403
    assert not [name for name in got.headers if name.startswith("access-control")]


@every_kind
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_who_is_no_page_needs_no_type(world: World, way: Way, kind: str) -> None:
    """F86: curl without a JSON type works, as Ollama's own examples have it."""
    way.told(world.send(way.path, way.body(COHERE), {"content-type": kind})).assert_ok()


# --- tokens (F87) -----------------------------------------------------------------------------------------------------

WRONG_TOKENS: dict[str, dict[str, str]] = {
    "none": {},
    "empty": {"authorization": "Bearer "},
    "wrong": {"authorization": "Bearer wrong"},
    "shortened": {"authorization": f"Bearer {TOKEN[:-1]}"},
    "lengthened": {"authorization": f"Bearer {TOKEN}x"},
    "other case": {"authorization": f"Bearer {TOKEN.upper()}"},
    "no scheme": {"authorization": TOKEN},
    "other scheme": {"authorization": f"Digest {TOKEN}"},
    "two that differ": {"authorization": f"Bearer {TOKEN}", "x-api-key": "other"},
    "two that differ, turned": {"authorization": "Bearer other", "x-api-key": TOKEN},
    "no ASCII": {"authorization": "Bearer t\u00f6k\u00e9n"},
    "other field": {"api-key": TOKEN},
}


@every_kind
@pytest.mark.parametrize("fields", WRONG_TOKENS.values(), ids=WRONG_TOKENS)
def test_no_other_token_opens_the_door(guarded: World, way: Way, fields: dict[str, str]) -> None:
    """F87: 401 in the protocol's own form, before the body is looked at."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items()).encode("latin-1")
    head = f"POST {way.path}?key={TOKEN}&token={TOKEN} HTTP/1.1\r\nhost: localhost\r\n".encode()
    got = guarded.exchange(head + lines + b"connection: close\r\ncontent-length: 3\r\n\r\n{]}")
    way.told(got).assert_refused(401)


@every_kind
@pytest.mark.parametrize(
    "fields",
    [{"authorization": f"Bearer {TOKEN}"}, {"authorization": f"bEARER  {TOKEN} "}, {"x-api-key": TOKEN}],
    ids=["bearer", "odd case", "x-api-key"],
)
def test_the_token_opens_the_door(guarded: World, way: Way, fields: dict[str, str]) -> None:
    """F87: whichever way a client can send it, the path included."""
    way.told(guarded.send(way.path, way.body(COHERE), fields)).assert_ok()
    way.told(guarded.send(f"/{TOKEN}{way.path}", way.body(COHERE))).assert_ok()


def test_a_token_of_a_megabyte_is_refused_unread(guarded: World) -> None:
    """F87."""
    got = guarded.exchange(b"GET /api/tags HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer " + b"x" * 1_000_000)
    assert got.status == 431


# --- targets (F88, F89) -----------------------------------------------------------------------------------------------


@every_way
def test_nobody_chooses_the_target(world: World, way: Way) -> None:
    """F88: neither in the body nor in a header; none of it goes on to the provider."""
    more: dict[str, Any] = {
        "api_base": "http://evil.test",
        "base_url": "http://evil.test",
        "api_key": "evil",
        "extra_headers": {"x-evil": "evil"},
        "custom_llm_provider": "evil",
        "user_config": {"evil": 1},
    }
    fields = {"x-custom-host": "evil", "x-forwarded-host": "evil", "x-base-url": "http://evil.test"}
    world.ask(way, COHERE, headers=fields, **more).assert_ok()
    (call,) = world.calls("cohere")
    assert call.path == "/chat/completions"
    assert "evil" not in str(call.body)
    assert "evil" not in str(call.headers)


NAMES = {
    "line break": "\r\nx-evil: 1",
    "NUL": "\x00",
    "up": "/../../../etc/passwd",
    "coded up": "/%2e%2e%2f%2e%2e%2f",
    "user": "@evil.test/",
    "query": "?key=1&x=2",
    "fragment": "#x",
    "address": "http://evil.test/v1",
    "blank": " ",
    "letters": "模型\u202e",
    "half a pair": "\ud83d",
    "format": "%s%n{0}{model}",
    "a megabyte": "x" * 1_000_000,
}


@every_kind
@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_models_name_is_data(world: World, way: Way, name: str) -> None:
    """F89: it stands in the body alone; neither address nor headers change, ours included."""
    told = world.ask(way, f"{COHERE}{name}")
    assert told.status in (200, 400, 404, 413), told
    assert "x-evil" not in told.headers
    for call in world.calls():
        assert call.path == "/chat/completions"
        assert "x-evil" not in call.headers
    for provider in ("", "evil.test:", "http://evil.test/", "../", "@", "#"):
        assert world.ask(way, f"{provider}{name}").status in (400, 404, 413)


# --- the log (F91) ----------------------------------------------------------------------------------------------------

FORGED = [
    "a\nb",
    "a\r\n12:00:00 INFO forged",
    "\x1b[31mred\x1b[0m",
    "%s %d %(x)s",
    "{0} {x!r}",
    "\u2028\u202e",
    "y" * 100_000,
]


def test_one_event_is_one_line(world: World) -> None:
    """F91: whatever stands in a model's name, a path or a field; and no line is longer than a screen has letters."""
    sink = io.StringIO()
    product = logging.getLogger("ollama_proxy")
    before = product.level, product.propagate, product.handlers[:]
    listener = setup_logging("DEBUG", world.proxy.do(lambda proxy: proxy.lasting.scrubber), sink)
    try:
        for text in FORGED:
            for kind in KINDS:
                world.ask(Way(kind, False), f"{COHERE}{text}", text, headers={"user-agent": plain_field(text)})
            world.send(f"/api/{plain_field(text)}")
        world.proxy.do(lambda proxy: proxy.lasting.journal.flush())
    finally:
        listener.stop()
        product.level, product.propagate, product.handlers[:] = before
    lines = sink.getvalue().splitlines()
    assert len(lines) >= len(FORGED)
    for line in lines:
        assert re.match(r"\d\d:\d\d:\d\d (DEBUG|INFO|WARNING|ERROR) ollama_proxy", line), line
        assert len(line) < 500
        assert "\x1b" not in line


def plain_field(text: str) -> str:
    """What of a text may stand in a request line or field at all."""
    return re.sub(r"[^!-~]", "", text)[:1000]


# --- paths and side doors (F92, F93) ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "served"),
    [
        ("//v1//models", True),
        ("/v1/models/", True),
        ("/v1/v1/models", True),
        ("/V1/models", False),
        ("/api/../metrics", False),
        ("/api/%2e%2e/metrics", False),
        ("/v1%2fmodels", False),
        ("/v1/models;x=1", False),
        ("/v1/models?x=1", True),
        ("/./v1/models", False),
        ("/api/tags%00", False),
    ],
)
def test_a_path_is_canonical_or_unknown(guarded: World, path: str, served: bool) -> None:
    """F92: and behind the door in either case."""
    assert guarded.send(path).status == 401
    assert guarded.send(path, headers={"x-api-key": TOKEN}).status == (200 if served else 404)


@pytest.mark.parametrize(
    "path", ["/metrics", "/api/keys", "/api/tags", "/v1/models", "/api/ps", "/ui", "/docs", "/debug"]
)
def test_no_side_door_stands_open(guarded: World, path: str) -> None:
    """F93."""
    assert guarded.send(path).status == 401


def test_names_made_by_clients_leave_no_trace(world: World) -> None:
    """F93: thousands of models that do not exist: as many lines of metrics as before, and bounded memories."""
    world.ask(PLAIN, COHERE)
    world.ask(PLAIN, f"{COHERE}!missing")
    before = len(world.send("/metrics").body.splitlines())

    async def flood() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", world.proxy.port)
        for number in range(2_000):
            model = f"made-up-{number}" if number % 2 else f"nobody:made-up-{number}"
            writer.write(render(PLAIN.path, PLAIN.body(model), close=False))
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head.lower())
            assert length is not None
            await reader.readexactly(int(length[1]))
        writer.close()

    asyncio.run(flood())
    assert len(world.send("/metrics").body.splitlines()) <= before + 2
    assert "made-up" not in world.send("/metrics").body.decode()


# --- our own mistakes (F94) -------------------------------------------------------------------------------------------

STAGES = [
    "ollama_proxy.gateway.Gateway._set_out",
    "ollama_proxy.plan.policy._ask",
    "ollama_proxy.pool.keys.KeyPool.acquire",
    "ollama_proxy.channel.Channel.auth",
    "ollama_proxy.upstream.Upstream.send",
    "ollama_proxy.gateway.Gateway._headers",
]
READING = {
    "openai": "ollama_proxy.protocols.openai.stream.ChatStream.feed",
    "other": "ollama_proxy.hub.reader.StreamReader.feed",
}


def break_down(*_: object, **__: object) -> Any:
    raise RuntimeError("words-of-the-inner-error")


def assert_our_mistake(world: World, told_error: str) -> None:
    assert re.search(r"mistake of its own.*[0-9a-f]{8}", told_error)
    assert "words-of-the-inner" not in told_error
    assert "Traceback" not in told_error


@every_way
@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.rpartition(".")[2])
def test_a_mistake_of_ours_is_told_and_leaves_nothing(
    world: World, way: Way, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F94: 500 with a number to look for, no traceback; the key is free again, and the next request is served."""
    with monkeypatch.context() as broken:
        broken.setattr(stage, break_down)
        told = world.ask(way, COHERE)
        told.assert_refused(500)
    assert "words-of-the-inner" not in told.error
    assert "Traceback" not in told.error
    world.wait_until(world.is_idle)
    world.ask(way, COHERE).assert_ok()
    assert not world.key("cohere#1")["faults"]


EMBED = {"model": "cohere:embed-v4.0", "input": "a"}
ELSEWHERE = {
    "embed": ("/api/embed", EMBED, "ollama_proxy.gateway.Gateway._set_out"),
    "embeddings": ("/v1/embeddings", EMBED, "ollama_proxy.gateway.Gateway._set_out"),
    "pull": ("/api/pull", {"model": COHERE}, "ollama_proxy.library.Library.keep"),
}


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_mistake_of_ours_is_told_wherever_it_is_made(
    world: World, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F94: also where no answer of a model is passed on."""
    path, body, stage = ELSEWHERE[name]
    with monkeypatch.context() as broken:
        broken.setattr(stage, break_down)
        told = world.send(path, body)
    assert told.status == 500
    error = json.loads(told.body)["error"]
    assert_our_mistake(world, error["message"] if path.startswith("/v1/") else error)
    assert world.send(path, body).status == 200


@every_stream
def test_a_mistake_of_ours_while_an_error_is_told_breaks_the_answer_off(
    world: World, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F94: nobody waits for the rest of a stream that nobody will end."""
    with monkeypatch.context() as broken:
        broken.setattr("ollama_proxy.relay.Delivery.fail", break_down)
        got = world.exchange(render(way.path, way.body(f"{COHERE}!cut")))
    assert got.raw.startswith(b"HTTP/1.1 200"), got.raw
    assert not got.raw.endswith(b"0\r\n\r\n"), got.raw
    world.wait_until(world.is_idle)
    world.ask(way, COHERE).assert_ok()


@every_stream
def test_a_mistake_of_ours_inside_a_stream_is_told(world: World, way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    """F94: before the first word and after it: an error, no end mark, no hanging; nobody else is blamed."""
    with monkeypatch.context() as broken:
        broken.setattr(READING["openai" if way.name == "openai" else "other"], break_down)
        told = world.ask(way, COHERE)
        told.assert_refused(500)
        assert_our_mistake(world, told.error)
    world.wait_until(world.is_idle)
    assert len(world.calls("cohere")) == 1
    assert not any(world.key(f"cohere#{n}")["faults"] for n in (1, 2, 3))
    world.ask(way, COHERE).assert_ok()


@pytest.mark.parametrize("name", [kind.name for kind in KINDS])
def test_a_mistake_of_ours_in_a_whole_answer_is_told(world: World, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """F94: while the answer is put into the client's form."""
    way = Way.find(name, stream=False)
    with monkeypatch.context() as broken:
        broken.setattr("ollama_proxy.hub.answer.decode_chunk", break_down)
        broken.setattr("ollama_proxy.protocols.openai.answer.decode_strictly", break_down)
        told = world.ask(way, COHERE)
        told.assert_refused(500)
        assert_our_mistake(world, told.error)
    world.wait_until(world.is_idle)
    world.ask(way, COHERE).assert_ok()
