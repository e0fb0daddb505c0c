"""What a test may ask of the simulator: addresses, keys, scripts, gates, the log, a thread."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
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
    SimulatorThread,
    Sleep,
    Stall,
    Status,
    Wait,
)
from tests.support.loops import on_every_loop, play
from tests.support.sim_kit import chat, events, exchange, fetch


def test_env_names_keys_and_addresses() -> None:
    """Two variables a provider; a key is its label with a tail that tells it from the label."""

    async def story() -> None:
        async with Simulator() as sim:
            env = sim.env({"google": ["k-ok-1", "k-429-1"], "qwen": ["a"]})
            assert env["GOOGLE_BASE_URL"] == f"http://127.0.0.1:{sim.port}/google"
            keys = env["GOOGLE_API_KEYS"].split(",")
            assert keys == [sim.key("google", "k-ok-1"), sim.key("google", "k-429-1")]
            assert keys[0].startswith("k-ok-1-")
            assert len(keys[0]) > len("k-ok-1-") + 8
            assert sim.key("google", "a") != sim.key("qwen", "a")
            assert sim.env({"cohere": ["a"]}, full=True)["COHERE_BASE_URL"].endswith("/cohere/compatibility/v1")
            with pytest.raises(KeyError, match="no simulated provider 'nobody'"):
                sim.base_url("nobody")

    play(story())


def test_log_tells_what_arrived_and_what_was_answered() -> None:
    """Label, model, headers, body and outcome; the key itself is nowhere in it."""

    async def story() -> None:
        async with Simulator() as sim:
            await fetch(sim, "google", chat("google"), headers={"X-Thing": "1"})
            arrival = sim.log[0]
            assert (arrival.number, arrival.provider, arrival.operation) == (1, "google", "chat")
            assert (arrival.key, arrival.model, arrival.outcome) == ("k-ok-1", "gemini-2.5-flash", "chat")
            assert (arrival.status, arrival.stream) == (200, False)
            assert arrival.headers["x-thing"] == "1"
            assert arrival.headers["authorization"] == "Bearer k-ok-1"
            assert arrival.body["messages"][0]["content"] == "Say hello."
            assert arrival.first_byte_at is not None
            assert arrival.opened_at <= arrival.first_byte_at
            assert arrival.bytes_sent > 200
            assert sim.key("google", "k-ok-1") not in json.dumps(arrival.facts())
            assert str(arrival) == "google chat gemini-2.5-flash key=k-ok-1 -> 200 chat"

    play(story())


@pytest.mark.parametrize(
    ("sent", "label"),
    [("AIzaSyD-1234567890abcdefgh", "…efgh"), ("sim-google-rate-2", "sim-google-rate-2"), ("secret", "…"), ("", "")],
)
def test_key_that_was_not_made_here_is_hardly_shown(sent: str, label: str) -> None:
    """It may be a real one: four letters at most, unless it is plainly invented."""
    from ollama_proxy.simulator.keys import label_of

    assert label_of("google", sent) == label


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


def test_closing_ends_everything() -> None:
    """Waiting answers are dropped with the simulator; nothing is left running."""

    async def story() -> None:
        sim = Simulator()
        await sim.start()
        sim.on("google", [Stall()])
        task = asyncio.create_task(fetch(sim, "google", chat("google")))
        await sim.wait_for(lambda log: log)
        await sim.close()
        assert (await task).raw == b""
        assert not sim.connections
        await sim.close()

    play(story())


def test_calls_picks_from_the_log() -> None:
    """By provider and by any field."""

    async def story() -> None:
        async with Simulator() as sim:
            await fetch(sim, "google", chat("google"), key="k-rate-1")
            await fetch(sim, "google", chat("google"), key="k-b")
            await fetch(sim, "qwen", chat("qwen"), key="k-b")
            assert len(sim.calls()) == 3
            assert len(sim.calls("google")) == 2
            assert [arrival.status for arrival in sim.calls(key="k-b")] == [200, 200]
            assert [arrival.key for arrival in sim.calls("google", outcome="rate")] == ["k-rate-1"]

    play(story())


def test_log_is_bounded() -> None:
    """The oldest arrivals go first."""

    async def story() -> None:
        async with Simulator(log_size=2) as sim:
            for n in range(4):
                await fetch(sim, "google", key=f"k-{n}")
            assert [arrival.key for arrival in sim.log] == ["k-2", "k-3"]

    play(story())


def test_controls_for_users_without_python() -> None:
    """GET /_log shows arrivals as JSON, POST /_reset forgets them; web pages may do neither."""

    async def story() -> None:
        async with Simulator() as sim:
            await fetch(sim, "google", chat("google", model="gemini-2.5-flash!500x1"))
            log = await fetch(sim, "_log", path="", key=None)
            assert log.json[0]["outcome"] == "500"
            assert sim.key("google", "k-ok-1") not in log.body.decode()
            assert len(sim.log) == 1, "looking leaves no trace"
            page = await fetch(sim, "_log", path="", key=None, headers={"origin": "https://evil.invalid"})
            assert (page.status, page.body) == (403, b"")
            assert (await fetch(sim, "_reset", path="", key=None)).status == 405
            assert (await fetch(sim, "_reset", b"", path="", key=None)).status == 200
            assert sim.log == []
            again = await fetch(sim, "google", chat("google", model="gemini-2.5-flash!500x1"))
            assert again.status == 500, "counts begin anew"

    play(story())


def test_own_failure_is_loud() -> None:
    """A mistake in the simulator or in a test's function fails the test, and the client gets a plain 500."""

    async def story() -> None:
        def broken(_ask: Any) -> None:
            raise RuntimeError("oh")

        with pytest.raises(AssertionError, match="oh"):
            async with Simulator() as sim:
                sim.on("google", broken)
                got = await fetch(sim, "google", chat("google"))
                assert got.status == 500
                assert b"oh" not in got.body

    play(story())


def test_strict_models_know_only_the_listed() -> None:
    """By default any model answers, as tests need; strict ones say 404 in the provider's form."""

    async def story() -> None:
        async with Simulator(strict_models=True) as sim:
            got = await fetch(sim, "google", chat("google", model="gemini-9"))
            assert got.status == 404
            assert "models/gemini-9 is not found" in got.body.decode()
            assert (await fetch(sim, "google", chat("google"))).status == 200
            assert (await fetch(sim, "codestral", chat("codestral", model="none"))).status == 400
        async with Simulator() as sim:
            assert (await fetch(sim, "google", chat("google", model="gemini-9"))).status == 200

    play(story())


def test_prompt_beyond_the_window_is_refused() -> None:
    """A listed model has its real window."""

    async def story() -> None:
        async with Simulator() as sim:
            got = await fetch(sim, "qwen", chat("qwen", "x" * 400_000, model="qwq-plus", stream=True))
            assert got.status == 400
            assert "Range of input length" in got.json["error"]["message"]

    play(story())


def test_text_and_delay_can_be_set_for_all() -> None:
    """`text` is said in place of the echo; `delay_s` stands between the pieces."""

    async def story() -> None:
        async with Simulator(text="one two three", delay_s=0.002) as sim:
            got = await fetch(sim, "google", chat("google", stream=True))
            texts = [c["choices"][0]["delta"]["content"] for c in events(got.body)[:-1]]
            assert texts == ["one ", "two ", "three"]
            arrival = sim.log[0]
            assert arrival.finished_at is not None
            assert arrival.finished_at - arrival.opened_at >= 0.005

    play(story())


def test_thread_serves_synchronous_tests() -> None:
    """The same offers, blocking."""
    with SimulatorThread() as sim:
        sim.say("google", ["a ", Wait("g"), "b"])
        connection = http.client.HTTPConnection("127.0.0.1", sim.sim.port, timeout=10)
        headers = {"authorization": f"Bearer {sim.key('google', 'k-a')}"}
        connection.request("POST", "/google/chat/completions", json.dumps(chat("google", stream=True)), headers)
        response = connection.getresponse()
        assert b'"a "' in response.readline()
        sim.reached("g")
        sim.release("g")
        assert b"[DONE]" in response.read()
        connection.close()
        assert sim.wait_for(lambda log: log[0].peer_closed.is_set())
        assert [arrival.key for arrival in sim.calls("google")] == ["k-a"]
        assert sim.env({"google": ["k-a"]})["GOOGLE_BASE_URL"] == sim.base_url("google")
    assert not any(thread.name == "simulator" for thread in threading.enumerate())


def test_thread_fails_where_it_is_started() -> None:
    """A port that is taken is an OSError in the caller's thread, and no thread stays behind."""
    with SimulatorThread() as sim, pytest.raises(OSError), SimulatorThread(port=sim.sim.port):
        pass
    assert not any(thread.name == "simulator" for thread in threading.enumerate())


def test_requests_in_one_packet_are_answered_in_order() -> None:
    """Pipelined requests wait for their turn."""

    async def story() -> None:
        async with Simulator() as sim:
            one = b"GET /google/models HTTP/1.1\r\nhost: x\r\nauthorization: Bearer k-a\r\n\r\n"
            two = b"GET /nobody HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
            got = await exchange(sim.port, one + two)
            assert got.raw.count(b"HTTP/1.1 ") == 2
            assert got.raw.index(b"HTTP/1.1 200") < got.raw.index(b"HTTP/1.1 404")

    play(story())
