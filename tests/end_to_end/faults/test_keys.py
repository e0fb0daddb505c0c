"""Keys that are refused (F1 to F5): another one serves, the client never hears of it, and what was learnt is kept."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ollama_proxy.simulator import Send, Status
from tests.support.client_kinds import Way, every_kind, every_way
from tests.support.faulty_world import NO_WAITING, World, make_world

GOOGLE = "google:gemini-2.5-flash"
COHERE = "cohere:command-a-03-2025"
CODESTRAL = "codestral:codestral-latest"
QWEN = "qwen:qwen3-coder-plus"
OPENROUTER = "openrouter:openai/gpt-4o-mini"
ONE_GOOD = ["bad-1", "bad-2", "bad-3", "bad-4", "good", "bad-5", "bad-6", "bad-7"]
PLAIN = Way.find("openai", stream=False)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    keys = {name: ["one", "two", "three"] for name in ("google", "openrouter", "cohere")}
    keys |= {"codestral": ONE_GOOD, "qwen": ["bad-1", "bad-2"]}
    with make_world(tmp_path_factory, keys, NO_WAITING) as running:
        yield running


@pytest.fixture
def world(running: World) -> World:
    running.fresh()
    return running


# --- F1, P1 -----------------------------------------------------------------------------------------------------------


@every_way
@pytest.mark.parametrize("answer", ["bad-key", "key-expired", "401"])
def test_a_revoked_key_costs_its_client_nothing(world: World, way: Way, answer: str) -> None:
    """F1: served by another at once, the client never sees 401; the refused key rests."""
    expected = world.ask(way, GOOGLE).text
    world.fresh()
    world.sim.play("google", answer, key="one", times=None)
    for _ in range(3):
        world.ask(way, GOOGLE).assert_ok(expected)
    assert world.used("google").count("one") == 1
    assert world.key("google#1")["strikes"] == 1
    assert world.key("google#1")["state"] == "cooling"


def test_a_revoked_key_dies_after_ten_minutes_and_the_others_share(world: World) -> None:
    """F1: five refusals within ten minutes, then none; the others take turns."""
    for _ in range(3):
        world.ask(PLAIN, COHERE).assert_ok()
    world.sim.play("cohere", "bad-key", key="one", times=None)
    for _ in range(60):
        world.ask(PLAIN, COHERE).assert_ok()
        world.clock.travel(20)
    refused = world.calls("cohere", key="one", status=401)
    assert 2 <= len(refused) <= 6
    assert world.key("cohere#1")["state"] == "dead"
    shares = [world.used("cohere").count(key) for key in ("two", "three")]
    assert abs(shares[0] - shares[1]) <= 2


@every_way
def test_one_good_key_of_eight_is_enough(world: World, way: Way) -> None:
    """P1, I11: with seven keys refused, the first request is served, and so are all that follow."""
    for _ in range(3):
        world.ask(way, CODESTRAL).assert_ok()
    assert world.used("codestral").count("good") == 3
    assert len(world.used("codestral")) <= 10


# --- F2, F3 -----------------------------------------------------------------------------------------------------------


@every_way
def test_when_every_key_is_refused_only_the_operator_can_help(world: World, way: Way) -> None:
    """F2, B80: 502 that tells an SDK not to try again; the next requests cost no call, and nobody is shown a key."""
    told = world.ask(way, QWEN)
    told.assert_refused(502, "upstream_credentials_exhausted")
    assert told.headers["x-should-retry"] == "false"
    assert "check them and replace" in told.error
    assert len(world.used("qwen")) == 2
    for _ in range(3):
        world.ask(way, QWEN).assert_refused(502, "upstream_credentials_exhausted")
    assert len(world.used("qwen")) == 2
    world.clock.travel(70)
    world.ask(way, QWEN).assert_refused(502)
    world.clock.travel(4000)
    world.ask(way, QWEN).assert_refused(502)
    assert len(world.used("qwen")) == 4
    assert {world.key(f"qwen#{n}")["state"] for n in (1, 2)} == {"dead"}


@every_kind
def test_an_outage_of_the_sign_in_kills_no_key(world: World, way: Way) -> None:
    """F3: two minutes of refusals for everybody: meanwhile an honest wait, a minute later all is well, no key dead."""
    for _ in range(3):
        world.ask(way, COHERE).assert_ok()
    world.sim.play("cohere", "bad-key", times=None)
    for _ in range(24):
        told = world.ask(way, COHERE)
        assert told.status in (429, 503), told
        assert 1 <= int(told.headers["retry-after"]) <= 62
        world.clock.travel(5)
    world.sim.reset()
    world.clock.travel(60)
    world.ask(way, COHERE).assert_ok()
    world.clock.travel(60)
    for _ in range(6):
        world.ask(way, COHERE).assert_ok()
    assert "dead" not in {world.key(f"cohere#{n}")["state"] for n in (1, 2, 3)}
    assert set(world.used("cohere")) == {"one", "two", "three"}


# --- F4, F5 -----------------------------------------------------------------------------------------------------------


@every_way
def test_a_refused_prompt_is_the_callers_affair(world: World, way: Way) -> None:
    """F4: moderation is told at the first attempt, as 400, and no key suffers."""
    world.sim.play("openrouter", "403-moderation", times=None)
    world.ask(way, OPENROUTER).assert_refused(400, "content_filter")
    assert len(world.used("openrouter")) == 1
    assert {world.key(f"openrouter#{n}")["state"] for n in (1, 2, 3)} == {"healthy"}


@every_way
def test_a_plain_403_asks_another_key(world: World, way: Way) -> None:
    """F4: this key may lack the model; it goes on serving others."""
    world.sim.on("google", [Status(403), Send(b'{"error": {"message": "Forbidden"}}')], key="one")
    for _ in range(3):
        world.ask(way, GOOGLE).assert_ok()
    assert world.used("google").count("one") == 1
    assert world.key("google#1")["state"] == "healthy"
    world.ask(way, "google:gemini-2.5-pro").assert_ok()


@every_way
def test_a_403_that_names_the_key_is_a_refused_key(world: World, way: Way) -> None:
    """F4: as F1."""
    world.sim.play("google", "key-leaked", key="one", times=None)
    for _ in range(3):
        world.ask(way, GOOGLE).assert_ok()
    assert world.key("google#1")["strikes"] == 1


@every_way
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (402, b'{"error": {"message": "Insufficient credits"}}'),
        (429, b'{"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}'),
        (400, b'{"error": {"message": "Your credit balance is too low to access the API."}}'),
        (403, b'{"error": {"message": "Key limit exceeded (total limit)."}}'),
    ],
    ids=["402", "429", "400", "403"],
)
def test_out_of_money_is_known_in_every_disguise(world: World, way: Way, status: int, body: bytes) -> None:
    """F5: the key is exhausted for an hour, not cooled for seconds; another one serves."""
    world.sim.on("cohere", [Status(status), Send(body)], key="one")
    for _ in range(3):
        world.ask(way, COHERE).assert_ok()
    assert world.used("cohere").count("one") == 1
    key = world.key("cohere#1")
    assert key["state"] == "exhausted"
    assert 3500 < key["until_s"] < 3700
