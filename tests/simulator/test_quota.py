"""Windows of requests, with a clock that the test moves."""

from __future__ import annotations

from ollama_proxy.simulator import FREE, Limits, Simulator
from ollama_proxy.simulator.quota import Quota, Refusal
from tests.support.loops import play
from tests.support.sim_kit import chat, fetch

#: 2026-09-21 14:13:20 UTC, 07:13:20 in Los Angeles.
WALL = 1_790_000_000.0


class HandClock:
    """Moves when told."""

    def __init__(self) -> None:
        self.passed = 0.0

    def now(self) -> float:
        return 100.0 + self.passed

    def wall(self) -> float:
        return WALL + self.passed


def test_minute_slides() -> None:
    """The sixth request in a minute waits for the first one to grow old; a refused one is not counted."""
    quota = Quota({"google": Limits(per_minute=2)})

    def take(now: float) -> Refusal | None:
        return quota.take("google", "k", "m", now, WALL)

    assert take(0) is None
    assert take(10) is None
    assert take(20) == Refusal("minute", 2, 40)
    assert take(59) == Refusal("minute", 2, 1)
    assert take(60) is None
    assert take(61) == Refusal("minute", 2, 9)


def test_keys_and_models_have_their_own_books() -> None:
    """Another key or model is not concerned."""
    quota = Quota({"google": Limits(per_minute=1), "codestral": Limits(per_minute=1, scope="key")})
    assert quota.take("google", "k", "m", 0, WALL) is None
    assert quota.take("google", "k", "n", 0, WALL) is None
    assert quota.take("google", "l", "m", 0, WALL) is None
    assert quota.take("google", "k", "m", 0, WALL)
    assert quota.take("codestral", "k", "m", 0, WALL) is None
    assert quota.take("codestral", "k", "n", 0, WALL)
    assert quota.take("akash", "k", "m", 0, WALL) is None
    quota.clear()
    assert quota.take("google", "k", "m", 0, WALL) is None


def test_free_models_share_one_book() -> None:
    """At OpenRouter all `:free` models count together, paid ones not at all."""
    quota = Quota({"openrouter": Limits(per_day=1, scope="free")})
    assert quota.take("openrouter", "k", "a:free", 0, WALL) is None
    assert quota.take("openrouter", "k", "b:free", 0, WALL)
    assert quota.take("openrouter", "k", "b", 0, WALL) is None


def test_day_ends_at_the_provider_s_midnight() -> None:
    """Los Angeles for Google, UTC for OpenRouter."""
    quota = Quota({"google": Limits(per_day=1), "openrouter": Limits(per_day=1, scope="key")})
    for provider in ("google", "openrouter"):
        assert quota.take(provider, "k", "m", 0, WALL) is None
    refusal = quota.take("google", "k", "m", 0, WALL)
    assert refusal == Refusal("day", 1, (16 * 60 + 46) * 60 + 40)
    refusal = quota.take("openrouter", "k", "m", 0, WALL)
    assert refusal == Refusal("day", 1, (9 * 60 + 46) * 60 + 40)
    assert quota.take("openrouter", "k", "m", 0, WALL + 35_200) is None
    assert quota.take("google", "k", "m", 0, WALL + 35_200)


def test_month_ends_on_the_first() -> None:
    """Cohere's trial counts over all models."""
    quota = Quota({"cohere": Limits(per_month=1)})
    assert quota.take("cohere", "k", "m", 0, WALL) is None
    refusal = quota.take("cohere", "k", "n", 0, WALL)
    assert refusal is not None
    assert refusal.kind == "month"
    assert quota.take("cohere", "k", "n", 0, WALL + refusal.wait_s) is None


def test_google_refuses_the_sixth_request_in_a_minute() -> None:
    """With the limits of the free plan, in Google's form, until the clock has moved on."""

    async def story() -> None:
        clock = HandClock()
        async with Simulator(clock=clock, limits="free") as sim:
            for _ in range(5):
                assert (await fetch(sim, "google", chat("google"))).status == 200
            clock.passed = 26
            got = await fetch(sim, "google", chat("google"))
            assert got.status == 429
            details = got.json[0]["error"]["details"]
            assert details[1]["violations"][0]["quotaValue"] == "5"
            assert details[2]["retryDelay"] == "34s"
            assert (await fetch(sim, "google", chat("google"), key="another")).status == 200
            assert (await fetch(sim, "google", chat("google", model="gemini-2.5-pro"))).status == 200
            clock.passed = 61
            assert (await fetch(sim, "google", chat("google"))).status == 200

    play(story())


def test_day_s_end_is_said_in_each_provider_s_form() -> None:
    """Google lies about the wait, OpenRouter names midnight, Cohere says month."""

    async def story() -> None:
        limits = {name: Limits(per_day=1) for name in ("google", "openrouter", "codestral")}
        limits["cohere"] = Limits(per_month=1)
        async with Simulator(clock=HandClock(), limits=limits) as sim:
            texts = {}
            for name in (*limits, *limits):
                texts[name] = (await fetch(sim, name, chat(name))).body.decode()
            assert "PerDay" in texts["google"]
            assert "retry in 57.5s" in texts["google"]
            assert "free-models-per-day" in texts["openrouter"]
            assert str(int((WALL + 35_200) * 1000)) in texts["openrouter"]
            assert "per day" in texts["codestral"]
            assert "API calls / month" in texts["cohere"]
            assert [arrival.status for arrival in sim.log] == [200] * 4 + [429] * 4

    play(story())


def test_free_plans_are_those_that_were_published() -> None:
    """5 and 20 for Gemini Flash, 20 and 50 for `:free`, 20 and 1,000 a month, 30 and 2,000 (2026-07)."""
    assert FREE["google"] == Limits(per_minute=5, per_day=20)
    assert FREE["openrouter"] == Limits(per_minute=20, per_day=50, scope="free")
    assert FREE["cohere"] == Limits(per_minute=20, per_month=1000)
    assert FREE["codestral"] == Limits(per_minute=30, per_day=2000, scope="key")
