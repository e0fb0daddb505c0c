"""Limits that are known (P2, P3): they are met and not hit, whoever told them, and outlive a restart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ollama_proxy.simulator import Header, Limits, Send, SimulatorThread
from tests.support.client_kinds import Way, every_kind
from tests.support.faulty_world import NO_WAITING, World, make_world
from tests.support.running import RunningProxy
from tests.support.time_machine import TimeMachine

FLASH, PRO = "google:gemini-2.5-flash", "google:gemini-2.5-pro"
COHERE = "cohere:command-a-03-2025"
CODESTRAL = "codestral:codestral-latest"
PLAIN = Way.find("openai", stream=False)
KEYS = {"google": ["one", "two"], "cohere": ["alone"], "codestral": ["alone"], "qwen": ["a", "b"]}
SAID = """
[providers.google.limits]
per_minute = 5
per_day = 20
"gemini-2.5-pro" = { per_minute = 2 }
"""
REAL = {
    "google": Limits(per_minute=5, per_day=20),
    "cohere": Limits(per_minute=20),
}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with make_world(tmp_path_factory, KEYS, NO_WAITING + SAID, limits=REAL) as running:
        yield running


@pytest.fixture
def world(running: World) -> World:
    running.fresh()
    running.proxy.do(lambda proxy: proxy.parts.channels["google"].pool.tick(running.clock.now(), None))
    return running


def served(world: World, model: str, count: int) -> None:
    """So many questions, each answered."""
    for _ in range(count):
        world.ask(PLAIN, model).assert_ok()


def refusals(world: World, provider: str) -> int:
    """How often the provider had to say no."""
    return len(world.calls(provider, status=429))


# --- what the operator says -------------------------------------------------------------------------------------------


@every_kind
def test_a_limit_per_minute_is_met_and_not_hit(world: World, way: Way) -> None:
    """P2, P3: five calls with each of two keys; then an honest word at once, and again when the minute has moved on."""
    served(world, FLASH, 10)
    told = world.ask(way, FLASH)
    told.assert_refused(429, "rate_limit_exceeded")
    assert 50 <= int(told.headers["retry-after"]) <= 64
    world.clock.travel(61)
    world.ask(way, FLASH).assert_ok()
    assert len(world.calls("google")) == 11
    assert refusals(world, "google") == 0


def test_a_model_may_have_a_limit_of_its_own(world: World) -> None:
    """P2: and where the provider counts by model, one that is used up leaves the others."""
    served(world, PRO, 4)
    world.ask(PLAIN, PRO).assert_refused(429)
    served(world, FLASH, 10)
    shown = {(limit["name"], limit["span"]): limit for limit in world.key("google#1")["limits"]}
    assert shown["gemini-2.5-pro", "minute"]["calls"] == shown["gemini-2.5-pro", "minute"]["used"] == 2
    assert shown["gemini-2.5-flash", "day"] | {"until_s": None} == {
        "scope": "key+model",
        "name": "gemini-2.5-flash",
        "span": "day",
        "calls": 20,
        "used": 5,
        "until_s": None,
        "by": "operator",
    }
    assert refusals(world, "google") == 0


def test_a_day_is_met_and_not_hit(world: World) -> None:
    """P2: forty calls and no refusal; then nobody asks before the provider's day has ended."""
    for _ in range(4):
        served(world, FLASH, 10)
        world.clock.travel(61)
    told = world.ask(PLAIN, FLASH)
    told.assert_refused(429)
    assert int(told.headers["retry-after"]) > 61
    assert told.headers["x-should-retry"] == "false"
    assert len(world.calls("google")) == 40
    assert refusals(world, "google") == 0
    world.clock.travel(int(told.headers["retry-after"]))
    served(world, FLASH, 10)
    assert refusals(world, "google") == 0


def test_a_call_that_failed_is_not_counted(world: World) -> None:
    """P2: to be too careful at the end of a day would cost a call that could have been made."""
    world.sim.play("google", "500", times=1)
    served(world, FLASH, 10)
    assert len(world.calls("google")) == 11
    assert [limit["used"] for limit in world.key("google#1")["limits"] if limit["span"] == "minute"] == [5]


def test_what_was_counted_outlives_a_restart(tmp_path: Path) -> None:
    """P11: a proxy that comes back does not ask for what the day no longer holds."""
    clock = TimeMachine()
    (tmp_path / "ollama-proxy.toml").write_text("[providers.codestral.limits]\nper_day = 3\n")
    with SimulatorThread(clock=clock) as sim:
        env = sim.env({"codestral": ["alone"]})
        for _ in range(2):
            with RunningProxy(env, tmp_path, clock=clock) as proxy:
                world = World(sim, proxy, clock)
                for _ in range(2):
                    world.ask(PLAIN, CODESTRAL)
        with RunningProxy(env, tmp_path, clock=clock) as proxy:
            World(sim, proxy, clock).ask(PLAIN, CODESTRAL).assert_refused(429)
        assert len(World(sim, proxy, clock).calls("codestral")) == 3


# --- what the provider says -------------------------------------------------------------------------------------------


def test_a_limit_that_a_refusal_named_is_not_hit_again(world: World) -> None:
    """P2, P3: Cohere's "20 API calls / minute" costs one refusal, not one a minute."""
    served(world, COHERE, 20)
    world.ask(PLAIN, COHERE).assert_refused(429)
    for _ in range(3):
        world.clock.travel(61)
        served(world, COHERE, 20)
        world.ask(PLAIN, COHERE).assert_refused(429)
    assert refusals(world, "cohere") == 1
    (limit,) = world.key("cohere#1")["limits"]
    assert (limit["by"], limit["calls"], limit["used"]) == ("provider", 20, 20)


def test_a_limit_in_a_good_answer_costs_no_refusal(world: World) -> None:
    """P2: Codestral's header says 30 a minute, 1 left: one call more, and then nobody asks."""
    limit, left = Header("x-ratelimit-limit-req-minute", "30"), Header("x-ratelimit-remaining-req-minute", "1")
    answer = b'{"choices":[{"index":0,"message":{"role":"assistant","content":"Hello."},"finish_reason":"stop"}]}'
    world.sim.on("codestral", [Header("content-type", "application/json"), limit, left, Send(answer)], times=1)
    served(world, CODESTRAL, 2)
    world.ask(PLAIN, CODESTRAL).assert_refused(429)
    assert len(world.calls("codestral")) == 2


# --- whose keys they are ----------------------------------------------------------------------------------------------


def test_keys_of_one_account_give_themselves_away(
    tmp_path_factory: pytest.TempPathFactory, caplog: pytest.LogCaptureFixture
) -> None:
    """P3: one minute shows the limit, three more that both hit it together; from then on one is refused, not two."""
    limits = {"google": Limits(per_minute=5)}
    with make_world(
        tmp_path_factory, {"google": ["one", "two"]}, NO_WAITING, limits=limits, accounts={"one": "me", "two": "me"}
    ) as world:
        told = []
        for _ in range(6):
            world.clock.travel(120)
            before = refusals(world, "google")
            served(world, FLASH, 5)
            world.ask(PLAIN, FLASH).assert_refused(429)
            told.append(refusals(world, "google") - before)
        assert told == [2, 2, 2, 2, 1, 1]
        assert world.key("google#1")["shares"] == ["google#2"]
        world.wait_until(lambda: "seem to belong to one account" in caplog.text)
        assert '"google#1" = "one account"' in caplog.text
