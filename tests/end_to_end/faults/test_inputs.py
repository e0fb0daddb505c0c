"""Requests that attack through their content (F77 to F84): refused in plain words, or passed on as strict JSON."""

from __future__ import annotations

import base64
import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.client_kinds import Told, Way, every_kind
from tests.support.faulty_world import World, make_world

COHERE = "cohere:command-a-03-2025"
GOOGLE = "google:gemini-2.5-flash"
PLAIN = Way.find("openai", stream=False)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with make_world(tmp_path_factory, {"cohere": ["one", "two"], "google": ["one", "two"]}) as running:
        yield running


@pytest.fixture
def world(running: World) -> World:
    running.fresh()
    return running


def send(world: World, way: Way, body: bytes) -> Told:
    """What a client is told for this body, and how long it took the proxy to think."""
    before = world.proxy.do(lambda _: time.thread_time())
    told = way.told(world.send(way.path, body))
    # Of the loop's own time: how busy the machine is besides does not count.
    told.seconds = world.proxy.do(lambda _: time.thread_time()) - before
    return told


def with_field(way: Way, field: str, value: bytes, model: str = COHERE) -> bytes:
    """A question with one more field, in these very bytes."""
    return json.dumps(way.body(model)).encode()[:-1] + b', "%b": %b}' % (field.encode(), value)


# --- structure (F77, F78, F83) ----------------------------------------------------------------------------------------


@every_kind
@pytest.mark.parametrize("field", ["", "tools", "format", "messages", "anything"])
@pytest.mark.parametrize("opener", [b"[", b'{"a":'], ids=["lists", "objects"])
def test_depth_is_refused_at_once(world: World, way: Way, field: str, opener: bytes) -> None:
    """F77: 100,000 levels, anywhere in the body: 400, in little time, and nothing goes on."""
    deep = opener * 100_000
    told = send(world, way, with_field(way, field, deep) if field else deep)
    told.assert_refused(400)
    assert told.seconds < 0.05
    assert not world.calls("cohere")


@every_kind
@pytest.mark.parametrize(
    "body",
    [b"[" + b"{}," * 3_000_000 + b"{}]", b"{" + b",".join(b'"k%d":0' % n for n in range(1_000_000)) + b"}"],
    ids=["9 MB of objects", "a million keys"],
)
def test_breadth_is_refused_by_counting(world: World, way: Way, body: bytes) -> None:
    """F78: told before anything is built of it."""
    told = send(world, way, with_field(way, "metadata", body))
    assert told.status in (400, 413)
    assert told.error
    assert not world.calls("cohere")


@every_kind
def test_a_long_conversation_does_not_hold_others_up(world: World, way: Way) -> None:
    """F83: 10,000 messages: served or refused; the loop is busy with it for a moment only."""
    messages = [{"role": ("user", "assistant")[n % 2], "content": f"message number {n}"} for n in range(9_999)]
    field = {"responses": "input", "ollama-generate": "anything"}.get(way.name, "messages")
    body = {**way.body(COHERE), field: messages}
    told = send(world, way, json.dumps(body).encode())
    assert told.status in (200, 400, 413)
    assert told.seconds < 0.35


@every_kind
@pytest.mark.parametrize("many", [True, False], ids=["5,000", "1 MB of name"])
def test_monstrous_tools_are_served_or_refused(world: World, way: Way, many: bool) -> None:
    """F83: many tools, a name without end: never 500."""
    names = [f"tool_{n}" for n in range(5_000)] if many else ["x" * 1_000_000]
    plain = [{"name": name, "description": "", "parameters": {"type": "object", "properties": {}}} for name in names]
    tools: list[Any] = [{"type": "function", "function": tool} for tool in plain]
    if way.name == "responses":
        tools = [{"type": "function", **tool} for tool in plain]
    elif way.name == "anthropic":
        tools = [{"name": tool["name"], "input_schema": tool["parameters"]} for tool in plain]
    told = send(world, way, json.dumps({**way.body(COHERE), "tools": tools}).encode())
    assert told.status in (200, 400, 413)
    assert told.status == 200 or told.error


# --- numbers and repetitions (F79, F80) -------------------------------------------------------------------------------

NUMBERS = {
    "5,000 digits": b"1" + b"0" * 5_000,
    "too large": b"1e999",
    "NaN": b"NaN",
    "Infinity": b"-Infinity",
    "minus zero": b"-0",
    "2 to the 63": b"9223372036854775808",
    "fraction": b"0." + b"1" * 3_000,
    "negative": b"-5",
}


@every_kind
@pytest.mark.parametrize("field", ["temperature", "max_tokens", "num_predict", "top_k", "seed", "n", "keep_alive"])
@pytest.mark.parametrize("number", NUMBERS.values(), ids=NUMBERS)
def test_numbers_are_exact_or_refused(world: World, way: Way, field: str, number: bytes) -> None:
    """F79, F82: 400, or strict JSON for the provider; never 500, never NaN."""
    inside = way.name.startswith("ollama") and field != "keep_alive"
    body = (
        with_field(way, "options", b'{"%b": %b}' % (field.encode(), number))
        if inside
        else with_field(way, field, number)
    )
    told = send(world, way, body)
    assert told.status < 500, told
    assert told.status == 200 or told.error
    assert "NaN" not in str([call.body for call in world.calls("cohere")])


@every_kind
def test_of_a_name_told_twice_the_last_counts(world: World, way: Way) -> None:
    """F80: for us and for the provider alike."""
    body = with_field(way, "model", b'"%b", "stream": %b' % (GOOGLE.encode(), b"false" if way.stream else b"true"))
    got = world.send(way.path, body)
    assert got.status == 200
    told = Way(way.kind, not way.stream).told(got)
    told.assert_ok()
    assert not world.calls("cohere")
    (call,) = world.calls("google")
    assert call.model == "gemini-2.5-flash"
    assert call.stream is not way.stream


# --- text (F81) -------------------------------------------------------------------------------------------------------


@every_kind
@pytest.mark.parametrize(
    ("escaped", "meant"),
    [
        ("\\ud83d", "\ufffd"),
        ("\\udc00\\ud800", "\ufffd\ufffd"),
        ("a\\u0000b", "a\x00b"),
        ("\\u202e\\u2066abc", "\u202e\u2066abc"),
        ("x" * 1_000_000, "x" * 1_000_000),
        ("\\ud83d\\ude00", "😀"),
    ],
    ids=["half a pair", "two halves", "NUL", "bidi", "1 MB in one word", "a pair"],
)
def test_odd_text_goes_on_as_valid_json(world: World, way: Way, escaped: str, meant: str) -> None:
    """F81: half a surrogate pair becomes U+FFFD; everything else arrives as it was written."""
    body = json.dumps(way.body(COHERE, "$text")).replace("$text", escaped).encode()
    world.sim.say("cohere", "Heard.")
    send(world, way, body).assert_ok("Heard.")
    (call,) = world.calls("cohere")
    said = call.body["messages"][-1]["content"]
    assert (said if isinstance(said, str) else said[0]["text"]) == meant


@every_kind
@pytest.mark.parametrize("text", [b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"a\x00b", b"\x1f"], ids=str)
def test_what_is_no_text_is_refused_or_mended(world: World, way: Way, text: bytes) -> None:
    """F81: bytes that are no UTF-8, control characters that JSON forbids: 400, or mended; never 500."""
    told = send(world, way, json.dumps(way.body(COHERE, "$text")).encode().replace(b"$text", text))
    assert told.status in (200, 400)
    for call in world.calls("cohere"):
        assert isinstance(call.body, dict)


# --- types (F82) ------------------------------------------------------------------------------------------------------

WRONG = [b"null", b"true", b"7", b'"text"', b"[]", b"{}", b"[[]]", b'[{"a": 1}]', b'{"a": {}}']
FIELDS = """
model stream messages prompt input options format think keep_alive tools tool_choice stop temperature max_tokens system
suffix images template context raw response_format stream_options n seed logprobs reasoning_effort thinking user
stop_sequences metadata instructions reasoning text max_output_tokens parallel_tool_calls
"""


@every_kind
@pytest.mark.parametrize("field", FIELDS.split())
def test_every_field_of_every_type_is_served_or_refused(world: World, way: Way, field: str) -> None:
    """F82: 4xx in the protocol's own form, or an answer; never 500, and the proxy serves on."""
    for value in WRONG:
        body = with_field(way, field, value)
        got = world.send(way.path, body)
        # Ollama itself calls a format that it does not know a 500, and so do we to its clients.
        assert got.status in (200, 400, 404, 413, 422, 501) or b"invalid format" in got.body, (field, value, got.raw)
        if got.status != 200 and got.body:
            told = way.told(got)
            assert told.error, (field, value, got.raw)


@every_kind
@pytest.mark.parametrize(
    "body", [b"", b" ", b"null", b"7", b"[]", b'"x"', b"{", b"{}", b"\xff\xfe{}", b"a=b&c=d"], ids=str
)
def test_a_body_that_is_no_request_is_refused(world: World, way: Way, body: bytes) -> None:
    """F82: 400 in the protocol's own form."""
    told = way.told(world.send(way.path, body))
    assert told.status in (400, 404)
    assert told.error


# --- images (F84) -----------------------------------------------------------------------------------------------------


@every_kind
def test_no_address_is_ever_fetched(world: World, way: Way) -> None:
    """F84: an image by its address is data for the provider, or refused; nobody here goes there."""
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        nobody.settimeout(0)
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}/latest/meta-data"
        for address in (url, "file:///etc/passwd", "http://169.254.169.254/", "gopher://x"):
            told = send(world, way, json.dumps(_with_image(way, address)).encode())
            assert told.status in (200, 400, 502), told
            assert "root:" not in told.body.decode()
        with pytest.raises(BlockingIOError):
            nobody.accept()


def _with_image(way: Way, address: str) -> dict[str, Any]:
    body = way.body(GOOGLE)
    if way.name.startswith("ollama"):
        body["images"] = [address]
        if "messages" in body:
            body["messages"][0]["images"] = body.pop("images")
    elif way.name == "responses":
        body["input"] = [{"role": "user", "content": [{"type": "input_image", "image_url": address}]}]
    elif way.name == "anthropic":
        body["messages"][0]["content"] = [{"type": "image", "source": {"type": "url", "url": address}}]
    else:
        body["messages"][0]["content"] = [{"type": "image_url", "image_url": {"url": address}}]
    return body


@pytest.mark.parametrize("name", ["ollama-chat", "ollama-generate"])
@pytest.mark.parametrize("image", ["no base64!", "", base64.b64encode(b"no picture").decode(), "A" * 999])
def test_a_bad_image_is_refused_or_goes_on_as_it_is(world: World, name: str, image: str) -> None:
    """F84: never 500."""
    told = send(
        world, Way.find(name, stream=False), json.dumps(_with_image(Way.find(name, stream=False), image)).encode()
    )
    assert told.status in (200, 400)
