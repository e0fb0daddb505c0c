"""Scripts: which requests are picked, what is done with them, and gates that hold an answer."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from ollama_proxy.simulator import (
    Behaviour,
    Chunk,
    Close,
    Header,
    Interim,
    Play,
    Raw,
    Rst,
    Rule,
    Say,
    Send,
    Simulator,
    Sleep,
    Stall,
    Status,
    Wait,
)
from tests.support.loops import on_every_loop, play
from tests.support.sim_kit import chat, events, fetch


def test_play_answers_the_next_request_only() -> None:
    """By default once; `times=None` for ever; `nth` picks one."""

    async def story() -> None:
        async with Simulator() as sim:

            async def ask() -> int:
                return (await fetch(sim, "google", chat("google"))).status

            sim.play("google", "429-day")
            sim.play("google", "503")
            assert [await ask() for _ in range(3)] == [429, 503, 200]
            sim.play("google", "500", nth=2, times=None)
            assert [await ask() for _ in range(3)] == [200, 500, 200]
            sim.play("google", "503", times=None)
            assert [await ask() for _ in range(2)] == [503, 503]

    play(story())


def test_play_may_change_facts_and_headers() -> None:
    """A wait of one second in place of two, and a field that the recorded answer does not have."""

    async def story() -> None:
        async with Simulator() as sim:
            sim.play("codestral", "429-kong", facts={"retry": "1"}, headers={"x-more": "yes"})
            got = await fetch(sim, "codestral", chat("codestral"))
            assert (got.headers["retry-after"], got.headers["x-more"]) == ("1", "yes")
            sim.play("google", "rate", facts={"retry": "7"}, key="k-ok-1")
            got = await fetch(sim, "google", chat("google"))
            assert got.json[0]["error"]["details"][2]["retryDelay"] == "7s"

    play(story())


def test_rule_picks_by_key_model_and_operation() -> None:
    """What does not fit is answered as usual; rules stand in order."""

    async def story() -> None:
        rules = [Rule(Play("503"), "google", key="k-b"), Rule(Play("429"), model="gemini-2.5-pro")]
        async with Simulator(script=rules) as sim:

            async def ask(key: str, model: str) -> int:
                return (await fetch(sim, "google", chat("google", model=model), key=key)).status

            assert await ask("k-a", "gemini-2.5-flash") == 200
            assert await ask("k-b", "gemini-2.5-flash") == 503
            assert await ask("k-a", "gemini-2.5-pro") == 429
            assert await ask("k-b", "gemini-2.5-pro") == 503
            sim.on("google", [Status(418)], operation="models")
            assert (await fetch(sim, "google")).status == 418
            sim.on(None, [Status(299)], operation="*")
            assert (await fetch(sim, "nobody", key="k-a")).status == 299

    play(story())


def test_function_may_decide() -> None:
    """It sees the request and says what to do; None leaves it to the next rule."""

    async def story() -> None:
        async with Simulator() as sim:
            sim.on("qwen", lambda ask: Say("short") if ask.stream else None)
            sim.on("qwen", Say("other"))
            assert (
                events((await fetch(sim, "qwen", chat("qwen", stream=True))).body)[1]["choices"][0]["delta"]["content"]
                == "short"
            )
            assert (await fetch(sim, "qwen", chat("qwen"))).json["choices"][0]["message"]["content"] == "other"

    play(story())


def test_say_gives_words_thoughts_and_end() -> None:
    """In pieces as given, in the provider's form."""

    async def story() -> None:
        async with Simulator() as sim:
            sim.say("akash", ["a", "b c"], thinking="hm", finish="length", usage=(1, 2, 3))
            body = chat("akash", stream=True, stream_options={"include_usage": True})
            deltas = [
                (c["choices"] or [{"delta": None}])[0]["delta"]
                for c in events((await fetch(sim, "akash", body)).body)[:-1]
            ]
            assert deltas == [
                {"role": "assistant", "content": ""},
                {"reasoning_content": "hm"},
                {"content": "a"},
                {"content": "b c"},
                {"content": ""},
                None,
            ]

    play(story())


@on_every_loop
async def test_gate_holds_the_second_token() -> None:
    """The first token arrives, the second only when the test says so."""
    async with Simulator() as sim:
        sim.say("google", ["one ", Wait("second"), "two"])
        reader, writer = await asyncio.open_connection("127.0.0.1", sim.port)
        data = json.dumps(chat("google", stream=True)).encode()
        head = "POST /google/chat/completions HTTP/1.1\r\nauthorization: Bearer k-a\r\n"
        writer.write(f"{head}content-length: {len(data)}\r\n\r\n".encode() + data)
        await sim.reached("second")
        first = await reader.readexactly(sim.log[0].bytes_sent)
        assert b'"content":"one "' in first
        assert b"two" not in first
        assert sim.log[0].finished_at is None
        sim.release("second")
        assert b'"content":"two"' in await reader.readuntil(b"[DONE]\n\n")
        writer.transport.abort()
        await sim.wait_for(lambda log: log[0].peer_closed.is_set())


def test_gate_for_a_plain_answer_holds_all_of_it() -> None:
    """Without a stream nothing is sent before the gate opens."""

    async def story() -> None:
        async with Simulator() as sim:
            sim.say("google", ["one ", Wait("g"), "two"])
            task = asyncio.create_task(fetch(sim, "google", chat("google")))
            await sim.reached("g")
            assert sim.log[0].bytes_sent == 0
            sim.release("g")
            assert (await task).json["choices"][0]["message"]["content"] == "one two"

    play(story())


def test_step_lets_one_through() -> None:
    """Two answers wait at one gate; each step lets one go, the longest waiting first."""

    async def story() -> None:
        async with Simulator() as sim:
            sim.on("qwen", [Wait("g"), Send(b"done")])
            tasks = [asyncio.create_task(fetch(sim, "qwen", chat("qwen"), key=key)) for key in ("a", "b")]
            await sim.wait_for(lambda log: len(log) == 2)
            sim.step("g")
            done, waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            assert (len(done), len(waiting)) == (1, 1)
            sim.step("g")
            await asyncio.gather(*tasks)
            sim.step("g")
            assert (await fetch(sim, "qwen", chat("qwen"))).body == b"done", "a step ahead of its answer is kept"
            sim.release("g")
            sim.hold("g")
            task = asyncio.create_task(fetch(sim, "qwen", chat("qwen")))
            await sim.reached("g")
            assert not task.done()
            sim.release("g")
            await task

    play(story())


def test_nobody_at_the_gate_is_a_timeout() -> None:
    """Waiting for what does not come ends, and says what was waited for."""

    async def story() -> None:
        async with Simulator() as sim:
            with pytest.raises(TimeoutError, match="gate 'never'"):
                await sim.reached("never", timeout_s=0.01)
            with pytest.raises(TimeoutError, match="nothing arrived"):
                await sim.wait_for(lambda log: log, timeout_s=0.01)
            with pytest.raises(ZeroDivisionError):
                await sim.wait_for(lambda log: 1 / len(log))

    play(story())


@pytest.mark.parametrize(
    ("actions", "raw", "end"),
    [
        ([Raw(b"anything\r\n"), Raw(b"at all")], b"anything\r\nat all", "eof"),
        ([Raw(b"half"), Close()], b"half", "eof"),
        ([Close()], b"", "eof"),
        ([Rst()], b"", "reset"),
    ],
)
def test_raw_steps_are_sent_as_they_are(actions: list[Any], raw: bytes, end: str) -> None:
    """Neither head nor framing is added."""

    async def story() -> None:
        async with Simulator() as sim:
            sim.on("google", actions)
            got = await fetch(sim, "google", chat("google"))
            assert (got.raw, got.end) == (raw, end)

    play(story())


def test_head_and_body_steps() -> None:
    """Status, headers and body; lengths are counted, chunked bodies ended, lies kept."""

    async def story() -> None:
        async with Simulator() as sim:
            sim.on("google", [Status(503, "No Way"), Header("Retry-After", "2"), Send(b"busy")], nth=1)
            sim.on("google", [Interim(103), Chunk(b"a"), Chunk(b""), Sleep(0), Chunk(b"b")], nth=1)
            sim.on("google", [Header("content-length", "9"), Send(b"short"), Close()], nth=1)
            sim.on("google", Behaviour((Status(204),), "nothing"), nth=1)
            first = await fetch(sim, "google", chat("google"))
            assert first.raw.startswith(b"HTTP/1.1 503 No Way\r\nRetry-After: 2\r\ndate: ")
            assert first.raw.endswith(b"content-length: 4\r\n\r\nbusy")
            second = await fetch(sim, "google", chat("google"))
            assert second.raw.startswith(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n")
            assert second.raw.endswith(b"1\r\na\r\n1\r\nb\r\n0\r\n\r\n")
            third = await fetch(sim, "google", chat("google"))
            assert (third.complete, third.body) == (False, b"short")
            assert (await fetch(sim, "google", chat("google"))).status == 204
            assert [arrival.outcome for arrival in sim.log] == ["script", "script", "script", "nothing"]

    play(story())


def test_stall_ends_when_the_client_leaves() -> None:
    """The log says so, at once."""

    async def story() -> None:
        async with Simulator() as sim:
            sim.on("google", [Chunk(b"a"), Stall()])
            await fetch(sim, "google", chat("google"), until=lambda raw: b"\r\na\r\n" in raw)
            arrival = await sim.wait_for(lambda log: log[0].peer_closed.is_set() and log[0])
            await sim.wait_for(lambda log: log[0].finished_at is not None)
            assert arrival.gave_up
            assert arrival.peer_closed_at is not None

    play(story())


def test_name_that_nobody_knows_is_said() -> None:
    """A typing mistake in a test is no silent 200."""

    async def story() -> None:
        async with Simulator() as sim:
            with pytest.raises(KeyError, match="no recorded answer 'nothing'"):
                sim.shape("google", "nothing")
            with pytest.raises(KeyError, match="no recorded answer or fault 'nothing'"):
                sim.play("google", "nothing")
            sim.on("google", Play("nothing"))
            got = await fetch(sim, "google", chat("google"))
            assert "knows no fault 'nothing'" in got.body.decode()

    play(story())
