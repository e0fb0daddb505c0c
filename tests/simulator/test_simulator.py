"""The simulator as a test uses it: addresses, keys, the log, its end, a thread."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
from typing import Any

import pytest

from ollama_proxy.simulator import (
    Play,
    Simulator,
    SimulatorThread,
    Stall,
    Wait,
)
from tests.support.loops import play
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
            assert json.loads(arrival.raw) == arrival.body
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
    """The same offers, blocking; its thread ends with it."""
    before = set(threading.enumerate())
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
        assert sim.base_url("google") == f"{sim.origin}/google"
        assert len(sim.log) == 1
        sim.play("google", "503")
        sim.on("google", Play("503"))
        sim.hold("g")
        sim.step("g")
        sim.reset()
        assert sim.log == []
    assert set(threading.enumerate()) <= before


def test_thread_fails_where_it_is_started() -> None:
    """A port that is taken is an OSError in the caller's thread, and no thread stays behind."""
    before = set(threading.enumerate())
    with SimulatorThread() as sim, pytest.raises(OSError), SimulatorThread(port=sim.sim.port):
        pass
    assert set(threading.enumerate()) <= before


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
