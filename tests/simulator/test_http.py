"""The simulator's own HTTP side: good manners, and no stumble over bad input."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ollama_proxy.simulator import Simulator
from ollama_proxy.simulator.http import Refused, Request, RequestReader
from ollama_proxy.simulator.judge import Judge, Options, read_ask
from ollama_proxy.simulator.providers import PROVIDERS
from ollama_proxy.simulator.quota import Quota
from ollama_proxy.simulator.script import Script
from tests.support.loops import play
from tests.support.sim_kit import MODELS, chat, exchange, fetch, tool


@pytest.mark.parametrize(
    "junk",
    [
        b"hello\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\ncontent-length: a\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_junk_is_a_400_and_the_end(junk: bytes) -> None:
    """The connection is closed after a plain refusal."""

    async def story() -> None:
        async with Simulator() as sim:
            got = await exchange(sim.port, junk)
            assert got.end == "eof"
            assert got.status == 400
            assert (await fetch(sim, "google", chat("google"))).status == 200

    play(story())


def test_large_head_is_a_431() -> None:
    """64 KiB of header fields are enough."""

    async def story() -> None:
        async with Simulator() as sim:
            got = await exchange(sim.port, b"GET / HTTP/1.1\r\n" + b"a: " + b"x" * 70_000 + b"\r\n\r\n")
            assert got.status == 431

    play(story())


def test_client_that_waits_for_100_gets_it() -> None:
    """`Expect: 100-continue` is answered before the body."""

    async def story() -> None:
        async with Simulator() as sim:
            got = await fetch(sim, "google", chat("google"), headers={"expect": "100-continue"})
            assert got.raw.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")

    play(story())


def test_old_client_gets_no_chunks() -> None:
    """HTTP/1.0 streams end with the connection."""

    async def story() -> None:
        async with Simulator() as sim:
            data = json.dumps(chat("google", stream=True)).encode()
            head = b"POST /google/chat/completions HTTP/1.0\r\nauthorization: Bearer k-a\r\n"
            got = await exchange(sim.port, head + b"content-length: %d\r\n\r\n" % len(data) + data)
            assert b"transfer-encoding" not in got.raw
            assert got.raw.endswith(b"data: [DONE]\n\n")

    play(story())


def test_head_request_has_no_body() -> None:
    """HEAD is answered with a length and nothing else."""

    async def story() -> None:
        async with Simulator() as sim:
            got = await exchange(sim.port, b"HEAD /nobody HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            assert got.raw.startswith(b"HTTP/1.1 404 ")
            assert got.raw.endswith(b"\r\n\r\n")

    play(story())


def test_upgrade_is_not_taken() -> None:
    """The request is answered as any other, and the connection stays HTTP."""

    async def story() -> None:
        async with Simulator() as sim:
            fields = b"host: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
            got = await exchange(sim.port, b"GET /nobody HTTP/1.1\r\n" + fields, lambda raw: raw.endswith(b"}"))
            assert got.status == 404
            assert got.raw.count(b"HTTP/1.1 ") == 1

    play(story())


def test_slow_reader_is_waited_for() -> None:
    """A client that does not read holds the answer back; when it reads, the answer goes on."""

    async def story() -> None:
        async with Simulator() as sim:
            reader, writer = await asyncio.open_connection("127.0.0.1", sim.port, limit=1024)
            data = json.dumps(chat("openai", model="sim-chat!endless")).encode()
            head = b"POST /openai/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer k-a\r\n"
            writer.write(head + b"content-length: %d\r\n\r\n" % len(data) + data)
            await sim.wait_for(lambda log: log)
            (connection,) = sim.connections
            while not connection.held_back:
                await asyncio.sleep(0)
            sent = sim.log[0].bytes_sent
            assert sent < 30_000_000
            await reader.readexactly(sent)
            await sim.wait_for(lambda log: log[0].bytes_sent > sent)
            writer.transport.abort()
            await sim.wait_for(lambda log: log[0].gave_up)

    play(story())


def reader() -> tuple[RequestReader, list[Request]]:
    found: list[Request] = []
    return RequestReader(found.append, lambda: None), found


@given(st.lists(st.integers(1, 40), max_size=30))
def test_request_may_be_cut_anywhere(sizes: list[int]) -> None:
    """Any cutting of the bytes gives the same two requests."""
    body = b'{"a": "\xed\x95\x9c"}'
    head = b"POST /google/x%20y?a=1&b= HTTP/1.1\r\nHost: h\r\nA: 1\r\na: 2\r\n"
    one = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    data = one + b"GET /q HTTP/1.1\r\nhost: h\r\n\r\n"
    whole, cut = reader(), reader()
    whole[0].feed(data)
    for size in [*sizes, len(data)]:
        cut[0].feed(data[:size])
        data = data[size:]
        if not data:
            break
    assert cut[1] == whole[1]
    assert whole[1][0].path == "/google/x y"
    assert whole[1][0].query == {"a": "1", "b": ""}
    assert whole[1][0].headers["a"] == "1, 2"
    assert whole[1][0].body == body
    assert whole[1][1].method == "GET"


def test_chunked_request_body_is_joined() -> None:
    """A client may send its body in chunks."""
    take, found = reader()
    take.feed(b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n")
    assert found[0].body == b"abc"


def test_body_over_the_limit_is_refused() -> None:
    """64 MiB are the most, however they come."""
    take, found = reader()
    take.feed(b"POST / HTTP/1.1\r\ncontent-length: 70000000\r\n\r\n")
    block = b"x" * (1 << 20)
    with pytest.raises(Refused) as refusal:
        for _ in range(66):
            take.feed(block)
    assert refusal.value.status == 413
    assert not found


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
CALL = {"id": "abcdefgh1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
MESSAGE = {
    "role": "assistant",
    "content": "a",
    "tool_calls": [CALL],
    "tool_call_id": "a",
    "name": "n",
    "extra_content": {},
}
FULL: dict[str, Any] = {
    **chat("openai", "use a tool"),
    "stream": True,
    "stop": ["x"],
    "tools": [tool()],
    "tool_choice": "auto",
    "response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "object", "properties": {}}}},
    "reasoning": {"effort": "low"},
    "reasoning_effort": "low",
    "extra_body": {"google": {"thinking_config": {"include_thoughts": True}}},
    "chat_template_kwargs": {"thinking": True},
    "stream_options": {"include_usage": True},
    "temperature": 0.5,
    "max_tokens": 5,
    "prompt": "a",
    "suffix": "b",
    "input": ["a"],
    "dimensions": 4,
}
FULL["messages"].append(MESSAGE)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value."""
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found += places(inner, (*path, key))
    return found


def put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = put(copy[path[0]], path[1:], new)
    return copy


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    provider=st.sampled_from(sorted(PROVIDERS)),
    path=st.sampled_from(["/chat/completions", "/fim/completions", "/embeddings", "/completions"]),
    place=st.sampled_from(places(FULL)),
    new=JSON,
    kept=st.sets(st.sampled_from(sorted(FULL)), max_size=len(FULL)),
)
def test_no_body_makes_the_simulator_stumble(provider: str, path: str, place: Any, new: Any, kept: set[str]) -> None:
    """Whatever stands in a field, there is an answer or a refusal, never an error of ours."""
    model = {"demo": "echo"}.get(provider) or MODELS[provider]
    body = put({**FULL, "model": model}, place, new)
    body = {name: value for name, value in body.items() if name in kept or name in ("model", "messages", place[0])}
    headers = {"authorization": "Bearer k-ok-1"}
    request = Request("POST", f"/{provider}{path}", {}, headers, json.dumps(body).encode())
    judge = Judge(Options(), Script(), Quota({}))
    behaviour = judge.decide(read_ask(request, 1, 0.0, PROVIDERS), 0.0)
    assert list(behaviour.actions)


@settings(max_examples=100, deadline=None)
@given(path=st.text(max_size=40), query=st.dictionaries(st.text(max_size=9), st.text(max_size=9), max_size=2))
def test_no_path_makes_the_simulator_stumble(path: str, query: dict[str, str]) -> None:
    """Nor does any path or query."""
    judge = Judge(Options(), Script(), Quota({}))
    for start in ("/", "/google", "/google/models", "/cohere/v1/models", "/v1beta/models", "/openrouter/"):
        pages = {**query, "pageSize": path, "page_token": path}
        request = Request("GET", start + path, pages, {"authorization": "Bearer k"}, b"")
        assert list(judge.decide(read_ask(request, 1, 0.0, PROVIDERS), 0.0).actions)
