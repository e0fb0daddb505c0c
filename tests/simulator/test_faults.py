"""Every fault in the table does what its line says, over a real socket."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from typing import Any

import pytest

from ollama_proxy.simulator import Simulator
from ollama_proxy.simulator.faults import FAULTS
from tests.support.fault_kit import CHECKS, MODEL, SLOW_S, ask, frames, good, left, says, texts
from tests.support.loops import play
from tests.support.sim_kit import MODELS, Got, SteadyClock, chat, events, fetch


@says("close-first")
async def _(sim: Simulator, name: str) -> None:
    assert await ask(sim, name) == Got(b"", "eof")


@says("rst-first")
async def _(sim: Simulator, name: str) -> None:
    assert await ask(sim, name) == Got(b"", "reset")


@says("hang")
async def _(sim: Simulator, name: str) -> None:
    await silence(sim, name, b"")


@says("silent")
async def _(sim: Simulator, name: str) -> None:
    await silence(sim, name, b"HTTP/1.1 200 OK")


async def silence(sim: Simulator, name: str, begin: bytes) -> None:
    """The answer begins so, and nothing more is to come until the client leaves."""
    reader, writer = await asyncio.open_connection("127.0.0.1", sim.port)
    data = json.dumps(chat("openai", model=f"{MODEL}!{name}", stream=True)).encode()
    head = f"POST /openai/chat/completions HTTP/1.1\r\nauthorization: Bearer k-a\r\ncontent-length: {len(data)}\r\n\r\n"
    writer.write(head.encode() + data)
    await sim.wait_for(lambda log: log and (not begin or log[-1].bytes_sent))
    sent = sim.log[-1].bytes_sent
    raw = await reader.readexactly(sent)
    assert raw.startswith(begin)
    assert raw.endswith(b"\r\n\r\n") or not raw
    assert sim.log[-1].finished_at is None
    writer.close()
    await left(sim)
    assert sim.log[-1].bytes_sent == sent


@says("comments")
async def _(sim: Simulator, name: str) -> None:
    got = await ask(sim, name, until=": still working\n\n\r\n11\r\n: still working")
    assert b"data:" not in got.raw
    await left(sim)


@says("slow-head")
async def _(sim: Simulator, name: str) -> None:
    got = await ask(sim, name)
    assert got.status == 200
    assert got.body == (await good(sim)).body.replace(b"sim000002", b"sim000001")


@says("late")
async def _(sim: Simulator, name: str) -> None:
    await paused(sim, name, 20)


@says("slow")
async def _(sim: Simulator, name: str) -> None:
    await paused(sim, name, len(frames(await good(sim))))


async def paused(sim: Simulator, name: str, waits: int) -> None:
    """The answer is as good as ever, and these waits were in it."""
    got = await ask(sim, name)
    assert got.complete
    arrival = sim.log[-1]
    assert arrival.finished_at is not None
    assert arrival.finished_at - arrival.opened_at >= waits * SLOW_S * 0.9
    assert "".join(texts(got)) == "".join(texts(await good(sim)))


@says("cut")
async def _(sim: Simulator, name: str) -> None:
    got = await ask(sim, name)
    assert (len(texts(got)), got.complete, got.end) == (2, False, "eof")
    plain = await ask(sim, name, stream=False)
    assert not plain.complete
    assert (await good(sim, stream=False)).body.startswith(plain.body[:1])


@says("rst")
async def _(sim: Simulator, name: str) -> None:
    got = await ask(sim, name)
    assert (len(texts(got)), got.end) == (2, "reset")


@says("stall")
async def _(sim: Simulator, name: str) -> None:
    got = await ask(sim, name, until='"is "')
    assert got.end == "left"
    await left(sim)
    assert len(texts(got)) == 2


@says("truncated")
async def _(sim: Simulator, name: str) -> None:
    got = await ask(sim, name)
    assert got.complete
    assert b'"finish_reason":"stop"' not in got.body
    assert b"[DONE]" not in got.body
    assert texts(got) == texts(await good(sim))
    assert_no_json(await ask(sim, name, stream=False))


def assert_no_json(got: Got) -> None:
    assert got.complete
    with pytest.raises(ValueError, match=r"Unterminated|Expecting|delimiter"):
        json.loads(got.body)


@says("cut-json")
async def _(sim: Simulator, name: str) -> None:
    got = await ask(sim, name)
    assert got.complete
    last = frames(got)[-1].removeprefix(b"data: ")
    assert_no_json(Got(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(last) + last, "eof"))


@says("error-mid")
async def _(sim: Simulator, name: str) -> None:
    got = await ask(sim, name)
    assert (len(texts(got)), got.complete) == (2, True)
    assert events(got.body)[-2]["error"]["message"]


@says("error-first")
async def _(sim: Simulator, name: str) -> None:
    got = await ask(sim, name)
    assert texts(got) == []
    assert "error" in events(got.body)[-2]
    assert "error" in (await ask(sim, name, stream=False)).json


@says("error-200")
async def _(sim: Simulator, name: str) -> None:
    for stream in (True, False):
        got = await ask(sim, name, stream=stream)
        assert got.status == 200
        assert got.headers["content-type"] == "application/json"
        assert "error" in got.json


@says("echo-key")
async def _(sim: Simulator, name: str) -> None:
    got = await ask(sim, name)
    assert got.status == 400
    assert sim.key("openai", "k-ok-1") in got.body.decode()
    assert sim.key("openai", "k-ok-1") not in json.dumps([arrival.facts() for arrival in sim.log])


@says("html")
async def _(sim: Simulator, name: str) -> None:
    got = await ask(sim, name)
    assert (got.status, got.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert got.body.startswith(b"<!DOCTYPE html>")


@says("empty")
async def _(sim: Simulator, name: str) -> None:
    got = await ask(sim, name)
    assert (got.status, got.body, got.complete) == (200, b"", True)
    assert got.headers["content-length"] == "0"


@says("no-content")
async def _(sim: Simulator, name: str) -> None:
    got = await ask(sim, name)
    assert (got.status, got.body) == (204, b"")
    assert "content-length" not in got.headers


@says("redirect")
async def _(sim: Simulator, name: str) -> None:
    got = await ask(sim, name)
    assert got.status == 302
    assert got.headers["location"] == f"http://localhost:{sim.port}/elsewhere"


@says("json")
async def _(sim: Simulator, name: str) -> None:
    got = await ask(sim, name)
    assert got.headers["content-type"] == "application/json"
    assert got.json["choices"][0]["message"]["content"]


@says("sse")
async def _(sim: Simulator, name: str) -> None:
    got = await ask(sim, name, stream=False)
    assert got.headers["content-type"] == "text/event-stream"
    assert texts(got)


@says("whitespace")
async def _(sim: Simulator, name: str) -> None:
    got = await ask(sim, name, stream=False)
    assert got.body.startswith(b"\n   ")
    assert got.json["choices"]


@says("no-done")
async def _(sim: Simulator, name: str) -> None:
    stream = events((await ask(sim, name)).body)
    assert stream[-1]["choices"][0]["finish_reason"] == "stop"


@says("no-finish")
async def _(sim: Simulator, name: str) -> None:
    got = await ask(sim, name)
    assert b'"finish_reason":"stop"' not in got.body
    assert frames(got)[-1] == b"data: [DONE]"


@says("double-done")
async def _(sim: Simulator, name: str) -> None:
    got = await ask(sim, name)
    assert [event == "[DONE]" for event in events(got.body)[-3:]] == [True, False, True]
    assert texts(got)[-1] == "after the end"


@says("only-done")
async def _(sim: Simulator, name: str) -> None:
    assert (await ask(sim, name)).body == b"data: [DONE]\n\n"
    assert (await ask(sim, name, stream=False)).json["choices"] == []


@says("finish-only")
async def _(sim: Simulator, name: str) -> None:
    got = await ask(sim, name)
    assert texts(got) == []
    assert events(got.body)[-2]["choices"][0]["finish_reason"] == "stop"
    assert (await ask(sim, name, stream=False)).json["choices"][0]["message"]["content"] == ""


@says("crlf")
async def _(sim: Simulator, name: str) -> None:
    await line_ends(sim, name, b"\r\n")


@says("cr")
async def _(sim: Simulator, name: str) -> None:
    await line_ends(sim, name, b"\r")


async def line_ends(sim: Simulator, name: str, end: bytes) -> None:
    body = (await ask(sim, name)).body
    assert body.replace(end, b"\n") == (await good(sim)).body.replace(b"sim000002", b"sim000001")
    assert b"\n" not in body.replace(end, b"")


@says("utf8")
async def _(sim: Simulator, name: str) -> None:
    got = await ask(sim, name)
    body = got.raw.partition(b"\r\n\r\n")[2]
    assert body.startswith(b"1\r\nd\r\n1\r\na\r\n")
    assert got.body == (await good(sim)).body.replace(b"sim000002", b"sim000001")


@says("one-write")
async def _(sim: Simulator, name: str) -> None:
    got = await ask(sim, name)
    body = got.raw.partition(b"\r\n\r\n")[2]
    assert int(body.partition(b"\r\n")[0], 16) == len(got.body)
    assert texts(got) == texts(await good(sim))


@says("no-blank")
async def _(sim: Simulator, name: str) -> None:
    body = (await ask(sim, name)).body
    assert body.endswith(b"}\n")
    assert not body.endswith(b"\n\n")
    assert b'"finish_reason":"stop"' in body.rpartition(b"\n\n")[2]


def test_a_pause_behind_the_last_piece_is_not_in_the_way() -> None:
    """Some providers end with the last piece of text: with a pause behind each piece, that comes last."""

    async def scene() -> None:
        async with Simulator(delay_s=0.001) as sim:
            for provider in ("google", "openrouter", "akash", "cohere", "codestral", "qwen"):
                body = chat(provider, "Hello", model=f"{MODELS[provider]}!no-blank", stream=True)
                assert (await fetch(sim, provider, body)).body.endswith(b"}\n")

    asyncio.run(scene())


@says("bom")
async def _(sim: Simulator, name: str) -> None:
    assert (await ask(sim, name)).body.startswith(b"\xef\xbb\xbfdata: ")


@says("liberties")
async def _(sim: Simulator, name: str) -> None:
    first = frames(await ask(sim, name))[0].split(b"\n")
    assert first[:4] == [b"event: message", b"id: 7", b"retry: 3000", b"unknown: field"]
    lines = [line.removeprefix(b"data:") for line in first[4:]]
    assert len(lines) == 2
    assert json.loads(b"\n".join(lines))["object"] == "chat.completion.chunk"


@says("bad-utf8")
async def _(sim: Simulator, name: str) -> None:
    for stream in (True, False):
        assert b'"content":"\xffThis' in (await ask(sim, name, stream=stream)).body


@says("surrogate")
async def _(sim: Simulator, name: str) -> None:
    assert texts(await ask(sim, name))[0] == "\ud83dThis "


@says("nan")
async def _(sim: Simulator, name: str) -> None:
    assert b'"prompt_tokens":NaN' in (await ask(sim, name, stream=False)).body
    assert b'"prompt_tokens":NaN' in (await ask(sim, name, stream_options={"include_usage": True})).body


@says("deep")
async def _(sim: Simulator, name: str) -> None:
    got = await ask(sim, name)
    assert b"[" * 5000 + b"]" * 5000 in got.body
    kept = [frame for frame in frames(got) if b"[[[[" not in frame]
    assert len(kept) == len(frames(await good(sim)))


@says("many")
async def _(sim: Simulator, name: str) -> None:
    got = await ask(sim, name)
    assert texts(got).count("word ") == 10_000


@says("big-line")
async def _(sim: Simulator, name: str) -> None:
    assert 7_000_000 < max(map(len, frames(await ask(sim, name)))) < 8_000_000


@says("huge-line")
async def _(sim: Simulator, name: str) -> None:
    assert max(map(len, frames(await ask(sim, name)))) > 9_000_000


@says("endless")
async def _(sim: Simulator, name: str) -> None:
    body = chat("openai", model=f"{MODEL}!{name}", stream=True)
    for stream in (True, False):
        await fetch(sim, "openai", {**body, "stream": stream}, until=lambda raw: len(raw) > 1_000_000)
        await left(sim)


@says("gzip")
async def _(sim: Simulator, name: str) -> None:
    got = await ask(sim, name)
    assert got.headers["content-encoding"] == "gzip"
    assert gzip.decompress(got.body).endswith(b"data: [DONE]\n\n")
    assert "choices" in json.loads(gzip.decompress((await ask(sim, name, stream=False)).body))


@says("bomb")
async def _(sim: Simulator, name: str) -> None:
    got = await ask(sim, name, stream=False)
    assert len(got.body) < 300_000
    press, size = zlib.decompressobj(31), 0
    piece = press.decompress(got.body, 1 << 20)
    while piece:
        size += len(piece)
        piece = press.decompress(press.unconsumed_tail, 1 << 20)
    assert size > 100 * 1024 * 1024


async def vectors(sim: Simulator, name: str) -> Any:
    body = {"model": f"sim-embedding!{name}", "input": ["a", "b"]}
    return (await fetch(sim, "openai", body, path="/embeddings")).json["data"]


@says("shuffled")
async def _(sim: Simulator, name: str) -> None:
    plain = (await fetch(sim, "openai", {"model": "sim-embedding", "input": ["a", "b"]}, path="/embeddings")).json
    assert await vectors(sim, name) == plain["data"][::-1]
    assert [row["index"] for row in plain["data"]] == [0, 1]


@says("base64")
async def _(sim: Simulator, name: str) -> None:
    assert all(isinstance(row["embedding"], str) for row in await vectors(sim, name))


@says("short")
async def _(sim: Simulator, name: str) -> None:
    for stream in (True, False):
        got = await ask(sim, name, stream=stream)
        assert not got.complete
        assert int(got.headers["content-length"]) == len(got.body) + 100


@says("planted")
async def _(sim: Simulator, name: str) -> None:
    got = await ask(sim, name, stream=False)
    assert got.complete
    assert got.json["choices"]
    assert got.raw.endswith(b'{"planted": "yes"}')
    assert got.raw.count(b"HTTP/1.1 200 OK") == 2


@says("bad-chunk")
async def _(sim: Simulator, name: str) -> None:
    assert b"\r\nzz\r\nnonsense\r\n" in (await ask(sim, name)).raw


@says("no-last-chunk")
async def _(sim: Simulator, name: str) -> None:
    got = await ask(sim, name)
    assert not got.raw.endswith(b"0\r\n\r\n")
    assert b"[DONE]" in got.raw


@says("two-framings")
async def _(sim: Simulator, name: str) -> None:
    head = (await ask(sim, name)).raw.partition(b"\r\n\r\n")[0]
    assert b"content-length: 5" in head
    assert b"transfer-encoding: chunked" in head


@says("header-flood")
async def _(sim: Simulator, name: str) -> None:
    raw = (await ask(sim, name)).raw
    assert len(raw.partition(b"\r\n\r\n")[0]) > 1_000_000


@says("hints")
async def _(sim: Simulator, name: str) -> None:
    got = await ask(sim, name)
    assert got.raw.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n")


@says("stale")
async def _(sim: Simulator, name: str) -> None:
    body = chat("openai", model=f"{MODEL}!{name}")
    got = await fetch(sim, "openai", body, headers={"connection": "keep-alive"})
    assert (got.complete, got.end) == (True, "eof")
    assert "connection" not in got.headers


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_fault_does_what_it_says(name: str) -> None:
    """Each row of the table, chosen by a word after the model's name."""

    async def story() -> None:
        async with Simulator(slow_s=SLOW_S, clock=SteadyClock()) as sim:
            await CHECKS[name](sim, name)
            assert name in {arrival.outcome for arrival in sim.log}

    play(story())


def test_every_fault_has_a_check() -> None:
    """The table and this file name the same faults."""
    assert sorted(CHECKS) == sorted(FAULTS)
