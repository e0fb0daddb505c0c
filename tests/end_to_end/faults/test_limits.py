"""Keys that are too fast or have done enough (F6 to F11): nobody asks before the moment that the provider named."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from zoneinfo import ZoneInfo

import pytest

from ollama_proxy.simulator import Send, Status
from tests.support.client_kinds import Way, every_kind, every_way
from tests.support.faulty_world import NO_WAITING, World, limited, make_world

GOOGLE = "google:gemini-2.5-flash"
OTHER_GOOGLE = "google:gemini-2.5-pro"
COHERE = "cohere:command-a-03-2025"
FREE = "openrouter:qwen/qwen3-coder:free"
PAID = "openrouter:openai/gpt-4o-mini"
PLAIN = Way.find("openai", stream=False)
CHAIN = f'[fallbacks]\n"{FREE}" = ["{GOOGLE}"]\n'


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    keys = {name: ["one", "two", "three"] for name in ("google", "openrouter", "cohere")}
    with make_world(tmp_path_factory, keys, NO_WAITING) as running:
        yield running


@pytest.fixture
def world(running: World) -> World:
    running.fresh()
    return running


@every_way
def test_a_named_wait_is_kept_and_probed_once(world: World, way: Way) -> None:
    """F6: `Retry-After: 7` on one of three: served at once by another, silence for 7 s, one probe by 8 s."""
    world.sim.on("cohere", limited(retry_after="7"), key="one")
    for _ in range(9):
        world.ask(way, COHERE).assert_ok()
    assert world.used("cohere").count("one") == 1
    assert [world.used("cohere").count(key) for key in ("two", "three")] in ([4, 5], [5, 4])
    world.clock.travel(6.5)
    for _ in range(4):
        world.ask(way, COHERE).assert_ok()
    assert world.used("cohere").count("one") == 1
    world.clock.travel(1.3)
    world.ask(way, COHERE).assert_ok()
    world.ask(way, COHERE).assert_ok()
    assert world.used("cohere").count("one") == 2


@pytest.mark.parametrize(
    ("headers", "least", "most"),
    [
        ({"retry_after": "7"}, 7, 7.8),
        ({"retry_after": "1.5"}, 1.5, 1.7),
        ({"retry_after_ms": "2500"}, 2.5, 2.8),
        ({"x_ms_retry_after_ms": "2500"}, 2.5, 2.8),
        ({"x_ratelimit_remaining": "0", "x_ratelimit_reset": "6m0s"}, 360, 361.1),
        ({"retry_after": "99999999999"}, 3600 * 20, 3600 * 26 + 2),
        ({"retry_after": "-1"}, 0.9, 2.1),
        ({"retry_after": "NaN"}, 0.9, 2.1),
        ({"retry_after": "1e309"}, 0.9, 2.1),
        ({"retry_after": ""}, 0.9, 2.1),
        ({"retry_after": "soon"}, 0.9, 2.1),
        ({"retry_after": "Mon, 21 Sep 2020 14:13:19 GMT"}, 0.9, 2.1),
        ({"retry_after": "7, 7"}, 7, 7.8),
    ],
    ids=str,
)
def test_every_spelling_of_a_wait(world: World, headers: dict[str, str], least: float, most: float) -> None:
    """F7, B76: read, bounded or ignored; never an exception, and the request is served by another key."""
    world.sim.on("cohere", limited(**headers), key="one")
    for _ in range(3):
        world.ask(PLAIN, COHERE).assert_ok()
    (rest,) = world.key("cohere#1")["rests"]
    assert rest["state"] == "cooling"
    assert least - 0.5 <= rest["until_s"] <= most


def test_a_date_counts_from_the_answers_own_clock(world: World) -> None:
    """F7: the provider's clock is an hour ahead; its minute is still a minute."""
    ahead = datetime.fromtimestamp(world.clock.wall(), timezone.utc) + timedelta(hours=1)
    fields = {"date": format_datetime(ahead, usegmt=True)}
    fields["retry_after"] = format_datetime(ahead + timedelta(minutes=1), usegmt=True)
    world.sim.on("cohere", limited(**fields), key="one")
    for _ in range(3):
        world.ask(PLAIN, COHERE).assert_ok()
    (rest,) = world.key("cohere#1")["rests"]
    assert 55 < rest["until_s"] < 62


@every_way
def test_googles_minute_is_of_one_model_and_one_key(world: World, way: Way) -> None:
    """F8: an error in a list, RetryInfo with a fraction: that model on that key rests, other models go on."""
    fault = (
        b'[{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "Quota exceeded", "details": ['
        b'{"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId":'
        b' "GenerateRequestsPerMinutePerProjectPerModel-FreeTier", "quotaValue": "5"}]},'
        b'{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.07s"}]}}]'
    )
    world.sim.on("google", [Status(429), Send(fault)], key="one")
    for _ in range(3):
        world.ask(way, GOOGLE).assert_ok()
    key = world.key("google#1")
    (rest,) = key["rests"]
    assert key["state"] == "healthy"
    assert rest["name"] == "gemini-2.5-flash"
    assert 33 < rest["until_s"] < 35.2
    for _ in range(3):
        world.ask(way, OTHER_GOOGLE).assert_ok()
    assert len(world.calls("google", key="one", model="gemini-2.5-pro")) == 1
    assert len(world.calls("google", key="one", model="gemini-2.5-flash")) == 1


@pytest.mark.parametrize(
    "day", ["2026-03-07T20:00", "2026-03-08T01:30", "2026-10-31T21:00", "2026-11-01T00:30", "2026-07-01T12:00"]
)
def test_googles_day_ends_at_midnight_in_california(world: World, day: str) -> None:
    """F9, B9: also on the two days that are 23 and 25 hours long; the short wait in the answer is a lie."""
    pacific = ZoneInfo("America/Los_Angeles")
    here = datetime.fromisoformat(day).replace(tzinfo=pacific)
    midnight = (here + timedelta(days=1)).replace(hour=0, minute=0)
    world.clock.skew = here.timestamp() - world.clock.wall()
    world.sim.play("google", "429-day", key="one")
    for _ in range(3):
        world.ask(PLAIN, GOOGLE).assert_ok()
    (rest,) = world.key("google#1")["rests"]
    assert rest["state"] == "exhausted"
    assert abs(rest["until_s"] - (midnight.timestamp() - here.timestamp())) < 5


@every_way
def test_a_day_of_free_models_leaves_the_paid_ones(world: World, way: Way) -> None:
    """F10, B29: the group of free models rests on that account, a paid model on the same key is served."""
    world.sim.play("openrouter", "429-day", times=3)
    told = world.ask(way, FREE)
    told.assert_refused(429)
    assert int(told.headers["retry-after"]) > 60
    assert told.headers["x-should-retry"] == "false"
    for _ in range(3):
        world.ask(way, PAID).assert_ok()
    assert sorted(world.used("openrouter")[3:]) == ["one", "three", "two"]
    world.ask(way, FREE).assert_refused(429)
    assert len(world.used("openrouter")) == 6


@every_kind
def test_a_suppliers_limit_blames_no_key(world: World, way: Way) -> None:
    """F11: the model rests at that provider, every key stays healthy and serves other models."""
    world.sim.play("openrouter", "429-upstream", times=None, model="qwen/qwen3-coder:free")
    told = world.ask(way, FREE)
    assert told.status == 503
    assert {world.key(f"openrouter#{n}")["state"] for n in (1, 2, 3)} == {"healthy"}
    before = len(world.used("openrouter"))
    world.ask(way, PAID).assert_ok()
    assert len(world.used("openrouter")) == before + 1


@every_way
def test_a_suppliers_limit_goes_to_the_fallback(way: Way, tmp_path_factory: pytest.TempPathFactory) -> None:
    """F11, F28: with another target nobody waits for the supplier."""
    with make_world(tmp_path_factory, {"openrouter": ["one", "two"], "google": ["one"]}, CHAIN) as world:
        world.sim.play("openrouter", "429-upstream", times=None)
        told = world.ask(way, FREE)
        told.assert_ok()
        assert told.headers["x-proxy-provider"] == "google"
        assert len(world.used("openrouter")) == 1
        assert world.ask(way, FREE).headers["x-proxy-provider"] == "google"
        assert len(world.used("openrouter")) == 1
