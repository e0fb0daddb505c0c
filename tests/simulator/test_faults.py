"""Every fault in the table does what its line says, over a real socket."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from ollama_proxy.simulator import Simulator
from ollama_proxy.simulator.faults import FAULTS, WORDS, find_fault
from ollama_proxy.simulator.providers import PROVIDERS
from tests.support.loops import play
from tests.support.sim_kit import MODELS, Got, SteadyClock, chat, events, fetch

Check = Callable[[Simulator, str], Awaitable[None]]
CHECKS: dict[str, Check] = {}
MODEL = "sim-chat"
#: Short, so that waiting costs nothing, and still longer than a turn of the loop.
SLOW_S = 0.002


def says(name: str) -> Callable[[Check], Check]:
    """Registers the check of one fault."""

    def register(check: Check) -> Check:
        CHECKS[name] = check
        return check

    return register


async def ask(sim: Simulator, fault: str, *, stream: bool = True, until: str | None = None, **more: Any) -> Got:
    body = chat("openai", "Where is Seoul?", model=f"{MODEL}!{fault}", stream=stream, **more)
    return await fetch(sim, "openai", body, until=(lambda raw: until.encode() in raw) if until else None)


async def good(sim: Simulator, *, stream: bool = True) -> Got:
    return await fetch(sim, "openai", chat("openai", "Where is Seoul?", model=MODEL, stream=stream))


def frames(got: Got) -> list[bytes]:
    return [frame for frame in got.body.split(b"\n\n") if frame]


def texts(got: Got) -> list[str]:
    chunks = [event for event in events(got.body) if isinstance(event, dict) and "choices" in event]
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    return [delta["content"] for delta in deltas if delta.get("content")]


async def left(sim: Simulator) -> None:
    """The simulator saw the client go before the end."""
    await sim.wait_for(lambda log: log[-1].gave_up)


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


@pytest.mark.parametrize("name", sorted(FAULTS))
@pytest.mark.parametrize("provider", sorted(PROVIDERS))
def test_every_fault_can_be_played_by_every_provider(provider: str, name: str) -> None:
    """No fault stumbles over a provider's shape; steps are only made here, not sent."""
    from itertools import islice

    from ollama_proxy.simulator.ask import Ask
    from ollama_proxy.simulator.judge import Judge, Options
    from ollama_proxy.simulator.quota import Quota
    from ollama_proxy.simulator.script import Script

    judge, bearer = Judge(Options(), Script(), Quota({})), {"authorization": "Bearer k"}
    for stream in (True, False):
        model = {"demo": "hello"}.get(provider) or MODELS[provider]
        body = {"model": model, "messages": [{"role": "user", "content": "Hi"}], "stream": stream}
        request = Ask(provider, "chat", "POST", "/chat/completions", {}, bearer, "k", "k", 1, 0.0, model, (name,), body)
        behaviour = judge.decide(request, 0.0)
        assert behaviour.name == name
        assert list(islice(behaviour.actions, 5))


WANTED: Mapping[tuple[str, str], tuple[int, str]] = {
    ("google", "bad"): (400, "API_KEY_INVALID"),
    ("google", "leaked"): (403, "reported as leaked"),
    ("google", "expired"): (400, "API key expired"),
    ("google", "disabled"): (403, "SERVICE_DISABLED"),
    ("google", "rate"): (429, "PerMinute"),
    ("google", "day"): (429, "PerDay"),
    ("google", "quota"): (429, "limit: 0"),
    ("google", "busy"): (503, "high demand"),
    ("google", "context"): (400, "input token count"),
    ("google", "blocked"): (200, "PROHIBITED_CONTENT"),
    ("google", "missing"): (404, "is not found for API version"),
    ("openrouter", "bad"): (401, "User not found."),
    ("openrouter", "disabled"): (403, "Key limit exceeded"),
    ("openrouter", "rate"): (429, "free-models-per-min"),
    ("openrouter", "day"): (429, "free-models-per-day"),
    ("openrouter", "quota"): (402, "requires more credits"),
    ("openrouter", "busy"): (429, "temporarily rate-limited upstream"),
    ("openrouter", "context"): (400, "context_length_exceeded"),
    ("openrouter", "blocked"): (403, "flagged"),
    ("openrouter", "missing"): (404, "No endpoints found for qwen/qwen3-coder:free"),
    ("akash", "bad"): (401, "Invalid API key"),
    ("akash", "expired"): (401, "LiteLLM_VerificationTokenTable"),
    ("akash", "rate"): (429, "rate_limit_error"),
    ("akash", "quota"): (402, "Insufficient credits"),
    ("akash", "busy"): (429, "No deployments available"),
    ("akash", "context"): (400, "maximum context length"),
    ("akash", "missing"): (404, "does not exist"),
    ("cohere", "bad"): (401, "invalid api token"),
    ("cohere", "rate"): (429, "API calls / minute"),
    ("cohere", "day"): (429, "API calls / month"),
    ("cohere", "quota"): (402, "payment method"),
    ("cohere", "busy"): (503, "Simulated status 503."),
    ("cohere", "context"): (400, "too many tokens"),
    ("cohere", "blocked"): (498, "blocked"),
    ("cohere", "missing"): (404, "not found, make sure"),
    ("codestral", "bad"): (401, "Unauthorized"),
    ("codestral", "expired"): (401, '{"detail":"Unauthorized"}'),
    ("codestral", "rate"): (429, '"1300"'),
    ("codestral", "day"): (429, "per day"),
    ("codestral", "quota"): (429, "monthly"),
    ("codestral", "busy"): (429, '"3505"'),
    ("codestral", "context"): (400, "too large for model with"),
    ("codestral", "missing"): (400, "Invalid model: codestral-latest"),
    ("qwen", "bad"): (401, "Incorrect API key"),
    ("qwen", "expired"): (401, "token expired"),
    ("qwen", "rate"): (429, "limit_requests"),
    ("qwen", "day"): (429, "Free allocated quota exceeded."),
    ("qwen", "quota"): (400, "Arrearage"),
    ("qwen", "busy"): (429, "limit_burst_rate"),
    ("qwen", "context"): (400, "Range of input length"),
    ("qwen", "blocked"): (400, "data_inspection_failed"),
    ("qwen", "missing"): (404, "model_not_found"),
    ("akash", "blocked"): (400, "Simulated status 400."),
    ("codestral", "blocked"): (400, "Simulated status 400."),
    ("openai", "bad"): (401, "401"),
    ("openai", "rate"): (429, "429"),
}


@pytest.mark.parametrize(("provider", "word"), WANTED)
def test_word_is_answered_in_the_provider_s_form(provider: str, word: str) -> None:
    """The same word in a key and after a model's name gives the provider's own answer."""

    async def story() -> None:
        status, text = WANTED[provider, word]
        async with Simulator() as sim:
            by_key = await fetch(sim, provider, chat(provider), key=f"k-{word}-1")
            by_model = await fetch(sim, provider, chat(provider, model=f"{MODELS[provider]}!{word}"))
            for got in (by_key, by_model):
                assert got.status == status, got.body
                assert text in got.body.decode()

    play(story())


@pytest.mark.parametrize("word", sorted(WORDS))
@pytest.mark.parametrize("provider", sorted(PROVIDERS))
def test_every_provider_knows_every_word(provider: str, word: str) -> None:
    """No word is unknown anywhere."""
    assert find_fault(PROVIDERS[provider], word) is not None


@pytest.mark.parametrize("status", [400, 401, 404, 418, 500, 502, 503, 504, 524, 529])
@pytest.mark.parametrize("provider", sorted(MODELS))
def test_any_status_in_the_provider_s_form(provider: str, status: int) -> None:
    """`!503` and `k-503-1` are answered with that status."""

    async def story() -> None:
        async with Simulator() as sim:
            for got in (
                await fetch(sim, provider, chat(provider, model=f"{MODELS[provider]}!{status}")),
                await fetch(sim, provider, chat(provider), key=f"k-{status}-1"),
            ):
                assert got.status == status
                assert got.body

    play(story())


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_any_redirect(status: int) -> None:
    """`!307` sends the client to another name for this machine."""

    async def story() -> None:
        async with Simulator() as sim:
            got = await ask(sim, str(status))
            assert got.status == status
            assert got.headers["location"].startswith("http://localhost:")

    play(story())


def test_answer_under_another_good_status() -> None:
    """`!206` is the usual answer under that status."""

    async def story() -> None:
        async with Simulator() as sim:
            got = await ask(sim, "206", stream=False)
            assert got.status == 206
            assert got.json["choices"]

    play(story())


def test_count_ends_a_fault() -> None:
    """`!500x2` fails twice, per model whatever the key; `-500x1` once per key."""

    async def story() -> None:
        async with Simulator() as sim:
            body = chat("google", model="gemini-2.5-flash!500x2")
            found = [(await fetch(sim, "google", body, key=key)).status for key in ("k-a", "k-b", "k-a")]
            assert found == [500, 500, 200]
            keys = ("k-500x1-a", "k-500x1-a", "k-500x1-b")
            assert [(await fetch(sim, "google", chat("google"), key=key)).status for key in keys] == [500, 200, 500]
            cut = chat("google", model="gemini-2.5-flash!cutx1", stream=True)
            assert not (await fetch(sim, "google", cut)).complete
            assert (await fetch(sim, "google", cut)).complete

    play(story())


def test_faults_may_follow_each_other() -> None:
    """`!crlf!no-done` does both."""

    async def story() -> None:
        async with Simulator() as sim:
            got = await ask(sim, "crlf!no-done")
            assert got.body.endswith(b"}\r\n\r\n")
            assert sim.log[0].outcome == "crlf+no-done"
            assert sim.log[0].model == "sim-chat!crlf!no-done"

    play(story())


def test_key_can_spoil_the_sending_too() -> None:
    """A key with `-cut` cuts every stream made with it, of any model."""

    async def story() -> None:
        async with Simulator() as sim:
            got = await fetch(sim, "openai", chat("openai", stream=True), key="k-cut-1")
            assert not got.complete
            assert sim.log[0].outcome == "cut"

    play(story())


def test_bad_key_concerns_lists_and_a_fast_one_does_not() -> None:
    """What is wrong with the key itself is said everywhere; a rate limit only where a model works."""

    async def story() -> None:
        async with Simulator() as sim:
            assert (await fetch(sim, "qwen", key="k-bad-1")).status == 401
            assert (await fetch(sim, "qwen", key="k-rate-1")).status == 200

    play(story())


@pytest.mark.parametrize("key", ["k-badger-1", "k-ok-1", "sk-or-v1-0123456789abcdef", "AIzaSyExample_rate", "k-days-1"])
def test_only_whole_words_between_dashes_count(key: str) -> None:
    """A word inside another word, or in somebody's real key, is none."""

    async def story() -> None:
        async with Simulator() as sim:
            assert (await fetch(sim, "openai", chat("openai"), key=key)).status == 200

    play(story())


def test_unknown_fault_is_explained() -> None:
    """A typing mistake after the `!` is a 400 that says where to look."""

    async def story() -> None:
        async with Simulator() as sim:
            got = await ask(sim, "cutt")
            assert got.status == 400
            assert "knows no fault 'cutt'" in got.json["error"]["message"]
            assert "--list" in got.json["error"]["message"]

    play(story())


def test_redirect_is_seen_when_it_is_followed() -> None:
    """The log shows a request to /elsewhere, with the key's label if it was carried there."""

    async def story() -> None:
        async with Simulator() as sim:
            await fetch(sim, "", path="elsewhere", key="k-a")
            assert sim.log[0].path == "/elsewhere"
            assert sim.log[0].provider == ""

    play(story())
