"""Nobody is free (F12 to F14, F61, F96, F97, F109): a short wait in order, or an honest word at once."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest

from ollama_proxy.simulator import Arrival, Sleep, Stall
from tests.support.client_kinds import Way, every_way
from tests.support.faulty_world import Caller, World, limited, make_world
from tests.support.sdks import ask_by_sdk, every_sdk

COHERE = "cohere:command-a-03-2025"
CODESTRAL = "codestral:codestral-latest"
QWEN = "qwen:qwen3-coder-plus"
KEYS = {"cohere": ["one", "two", "three"], "codestral": ["a", "b", "c", "d", "e"], "qwen": ["alone"]}
PLAIN = Way.find("openai", stream=False)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with make_world(tmp_path_factory, KEYS, "[limits]\nqueue = 400\n") as running:
        yield running


@pytest.fixture
def world(running: World) -> World:
    running.fresh()
    return running


def tire(world: World, model: str, **headers: str) -> None:
    """Every key of the model's provider has just been refused so, and no chance lengthens its rest."""
    provider = model.partition(":")[0]
    world.clock.luck = 0.0
    for key in KEYS[provider]:
        world.sim.on(provider, limited(**headers), key=key, times=1)
    asker = world.caller().ask(PLAIN, model)
    world.wait_until(lambda: len(world.calls(provider)) == len(KEYS[provider]))
    world.wait_until(lambda: in_line(world, model) == 1 or world.is_idle())
    asker.leave()
    world.wait_until(lambda: in_line(world, model) == 0 and world.is_idle())
    assert [call.status for call in world.calls(provider)] == [429] * len(KEYS[provider])


def in_line(world: World, model: str) -> int:
    """How many requests stand in line for a key."""
    provider, _, model_id = model.partition(":")
    return world.proxy.do(lambda proxy: proxy.parts.channels[provider].waiting(model_id))


@contextlib.contextmanager
def in_order(world: World, model: str, *texts: str) -> Iterator[list[Caller]]:
    """Clients that stand in line, each behind the one before."""
    with contextlib.ExitStack() as all_of_them:
        callers = []
        for text in texts:
            callers.append(all_of_them.enter_context(world.caller()).ask(PLAIN, model, text))
            world.wait_until(lambda: in_line(world, model) == len(callers))
        yield callers


# --- a short wait (F12, F61) ------------------------------------------------------------------------------------------


@every_way
def test_a_short_rest_is_waited_for(world: World, way: Way) -> None:
    """F12: every key rests, the soonest for 0.4 s: served then, and not a moment before."""
    expected = world.ask(way, COHERE).text
    world.fresh()
    tire(world, COHERE, retry_after_ms="400")
    world.ask(way, COHERE).assert_ok(expected)
    log = world.calls("cohere")
    assert [call.status for call in log] == [429, 429, 429, 200]
    assert log[0].first_byte_at is not None
    assert 0.39 <= log[3].opened_at - log[0].first_byte_at < 1


@every_way
def test_who_was_refused_with_every_key_waits_as_well(world: World, way: Way) -> None:
    """F12, P1: the request that meets the refusals is served as soon as a key is, once; who has one key needs it."""
    expected = world.ask(way, QWEN).text
    world.fresh(luck=0.0)
    world.sim.on("qwen", limited(retry_after_ms="300"), times=1)
    world.ask(way, QWEN).assert_ok(expected)
    world.sim.on("qwen", limited(retry_after_ms="300"), times=2)
    world.ask(way, QWEN).assert_refused(429)
    assert [call.status for call in world.calls("qwen")] == [429, 200, 429, 429]


def test_those_who_wait_are_served_in_order(world: World) -> None:
    """F12: first come, first called; one who leaves in between costs no call and keeps the order of the others."""
    tire(world, QWEN, retry_after_ms="700")
    with in_order(world, QWEN, "first", "second", "third", "fourth") as callers:
        callers[2].leave()
        world.wait_until(lambda: in_line(world, QWEN) == 3)
        for caller in (callers[0], callers[1], callers[3]):
            assert caller.to_end().status == 200
    asked = [call.body["messages"][0]["content"] for call in world.calls("qwen", status=200)]
    assert asked == ["first", "second", "fourth"]


@every_way
def test_leaving_the_line_costs_no_call(world: World, way: Way) -> None:
    """F12, F61, P7: the place is free at once, and the next in line is served."""
    tire(world, QWEN, retry_after_ms="300")
    caller = world.caller().ask(way, QWEN)
    world.wait_until(lambda: in_line(world, QWEN) == 1)
    caller.leave()
    world.wait_until(lambda: in_line(world, QWEN) == 0)
    world.wait_until(world.is_idle)
    world.ask(PLAIN, QWEN, "the next").assert_ok()
    assert [call.status for call in world.calls("qwen")] == [429, 200]


@pytest.fixture(scope="module")
def brief(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """All the time that a request has is less than it may wait for a key."""
    times = "[timeouts]\nanswer_s = 1.8\nkey_wait_s = 5\n"
    with make_world(tmp_path_factory, {"qwen": KEYS["qwen"]}, times) as running:
        yield running


@every_way
def test_the_wait_for_a_key_is_part_of_all_the_time(brief: World, way: Way) -> None:
    """F12, I13: half a second in line, then silence: 504 when the time of the whole request is up, not later."""
    brief.fresh()
    tire(brief, QWEN, retry_after="7")
    brief.clock.travel(6.5)
    brief.sim.on("qwen", [Stall()], times=None)
    told = brief.ask(way, QWEN)
    told.assert_refused(504, "upstream_timeout")
    assert 1.5 < told.seconds < 2.6


# --- no use waiting (F13, F14) ----------------------------------------------------------------------------------------


@every_way
def test_a_long_rest_is_told_at_once(world: World, way: Way) -> None:
    """F13, P4, I17, B80: 40 s to go: 429 within 50 ms, with the honest time, and no call."""
    tire(world, COHERE, retry_after="40")
    told = [world.ask(way, COHERE) for _ in range(3)]
    for answer in told:
        answer.assert_refused(429, "rate_limit_exceeded")
        assert 40 <= int(answer.headers["retry-after"]) <= 43
        assert "x-should-retry" not in answer.headers
    assert min(answer.seconds for answer in told) < 0.05
    assert len(world.calls("cohere")) == 3


@every_sdk
def test_who_obeys_is_served(world: World, sdk: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """F13: the official SDK waits as long as it is told to, and then succeeds by itself."""
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        world.clock.travel(seconds)

    monkeypatch.setattr(f"{sdk}._base_client.time.sleep", wait)
    tire(world, COHERE, retry_after="40")
    assert ask_by_sdk(world, sdk, COHERE)
    (waited,) = waits
    assert 40 <= waited <= 43.1
    assert [call.status for call in world.calls("cohere")] == [429, 429, 429, 200]


@every_way
def test_a_rest_of_hours_tells_an_sdk_not_to_try(world: World, way: Way) -> None:
    """F14: nine hours: Retry-After says so, and `x-should-retry` spares the user a wait."""
    tire(world, COHERE, retry_after="32400")
    told = world.ask(way, COHERE)
    told.assert_refused(429)
    assert 32390 <= int(told.headers["retry-after"]) <= 32403
    assert told.headers["x-should-retry"] == "false"
    assert len(world.calls("cohere")) == 3


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_codex_is_told_to_stop_and_when_to_come_back(world: World, stream: bool) -> None:
    """F14: it would sleep as long as Retry-After says; one type of error ends its turn. A rest of 40 s keeps the old.

    `resets_at` is the moment of Retry-After by the proxy's own clock.
    """
    asked = {"model": COHERE, "input": "hi", "stream": stream}

    def ask(rest_s: str) -> tuple[int, dict[str, Any], int]:
        tire(world, COHERE, retry_after=rest_s)
        got = world.send("/v1/responses", asked)
        return got.status, got.json["error"], int(got.headers["retry-after"])

    before = world.clock.wall()
    status, error, wait_s = ask("32400")
    assert (status, error["type"], error["code"]) == (429, "usage_limit_reached", "rate_limit_exceeded")
    assert before <= error["resets_at"] - wait_s <= world.clock.wall() + 1
    world.fresh()
    status, error, _ = ask("40")
    assert (status, error["type"]) == (429, "rate_limit_error")
    assert "resets_at" not in error


@every_sdk
def test_an_sdk_makes_one_call_and_no_more(world: World, sdk: str) -> None:
    """F14: with `x-should-retry: false` the official SDK does not repeat."""
    tire(world, COHERE, retry_after="32400")
    served = f'ollama_proxy_requests_total{{protocol="{sdk}",provider="cohere",status="429"}}'
    before = world.metric(served)
    with pytest.raises((openai.RateLimitError, anthropic.RateLimitError)):
        ask_by_sdk(world, sdk, COHERE)
    assert world.metric(served) == before + 1


# --- many at once (F96, F97, F109) ------------------------------------------------------------------------------------


def most_at_once(log: list[Arrival]) -> int:
    """How many of these calls were ever under way together."""
    moments = [(call.opened_at, 1) for call in log] + [(call.finished_at or 0.0, -1) for call in log]
    most = now = 0
    for _, step in sorted(moments):
        now += step
        most = max(most, now)
    return most


def test_a_herd_does_not_trample_keys_that_come_back_together(world: World) -> None:
    """F96, I6: 300 wait, five keys come back at one instant: one call for each key, then two, four; all are served."""
    tire(world, CODESTRAL, retry_after_ms="1200")
    world.sim.say("codestral", [Sleep(0.1), "served"], times=None)

    async def come() -> list[int]:
        told = await asyncio.gather(*(world.ask_soon(PLAIN, CODESTRAL, str(n)) for n in range(300)))
        return [answer.status for answer in told]

    with in_order(world, CODESTRAL, "first"):
        assert asyncio.run(come()) == [200] * 300
    log = world.calls("codestral", status=200)
    assert len(log) == 301
    begun = min(call.opened_at for call in log)
    first_wave = [call for call in log if call.opened_at < begun + 0.09]
    assert sorted(call.key for call in first_wave) == KEYS["codestral"]
    second_wave = [call for call in log if begun + 0.09 <= call.opened_at < begun + 0.18]
    assert max(Counter(call.key for call in second_wave).values(), default=0) <= 2


@every_way
def test_a_probe_whose_client_leaves_frees_its_place(world: World, way: Way) -> None:
    """F97: the key is as it was, and the next request is the probe."""
    tire(world, QWEN, retry_after="7")
    world.clock.travel(8)
    world.sim.on("qwen", [Stall()], times=1)
    prober = world.caller().ask(way, QWEN)
    world.wait_until(lambda: len(world.calls("qwen")) == 2)
    prober.leave()
    world.sim.wait_for(lambda log: log[-1].gave_up)
    world.wait_until(world.is_idle)
    (rest,) = world.key("qwen#1")["rests"]
    assert rest["state"] == "half-open"
    world.ask(way, QWEN).assert_ok()
    assert [call.status for call in world.calls("qwen")] == [429, 0, 200]


def test_keys_share_a_crowd_evenly(world: World) -> None:
    """F109, I10: 200 at once over five keys: no key serves five per cent more than another."""
    world.sim.say("codestral", [Sleep(0.05), "served"], times=None)

    async def come() -> None:
        await asyncio.gather(*(world.ask_soon(PLAIN, CODESTRAL) for _ in range(200)))

    asyncio.run(come())
    shares = Counter(world.used("codestral"))
    assert len(shares) == 5
    assert max(shares.values()) <= 1.05 * min(shares.values())
