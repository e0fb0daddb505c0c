"""A provider that stumbles before it says anything (F15 to F29): tried again within reason, or told in plain words."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import anthropic
import openai
import pytest

from ollama_proxy.simulator import Chunk, Header, Raw, Send, Status, Wait
from tests.support.client_kinds import WAYS, Way, every_kind, every_stream, every_way
from tests.support.faulty_world import NO_WAITING, World, limited, make_world
from tests.support.sdks import ask_by_sdk, every_sdk

GOOGLE = "google:gemini-2.5-flash"
COHERE = "cohere:command-a-03-2025"
CODESTRAL = "codestral:codestral-latest"
CHAINED = "akash:meta-llama/Llama-3.3-70B-Instruct"
CHAIN = f'{NO_WAITING}[fallbacks]\n"{CHAINED}" = ["{GOOGLE}"]\n'
PLAIN = Way.find("openai", stream=False)
PORTAL = b"<!DOCTYPE html><html><body>Please sign in to the hotel's network.</body></html>"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    keys = {name: ["one", "two", "three"] for name in ("google", "cohere", "akash")}
    keys["codestral"] = ["rate-1", "rate-2", "rate-3", "rate-4", "rate-5", "good", "rate-6", "rate-7", "rate-8"]
    with make_world(tmp_path_factory, keys, CHAIN) as running:
        yield running


@pytest.fixture
def world(running: World) -> World:
    running.fresh(luck=0.0)
    return running


def states(world: World, provider: str) -> set[str]:
    return {world.key(f"{provider}#{n}")["state"] for n in (1, 2, 3)}


# --- down, or a hiccup (F15, F16, F19, F25) ---------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["500", "502", "503", "504", "529"])
def test_an_outage_is_not_fed(world: World, status: str) -> None:
    """F15, P3: two minutes down, in every protocol: 1.2 attempts per request, quick answers, back within 15 s."""
    world.sim.on("cohere", [Status(int(status)), Send(b'{"message": "internal error"}')], times=None)
    told = []
    for second in range(120):
        told.append(world.ask(WAYS[second % len(WAYS)], COHERE))
        world.clock.travel(1)
    for answer in told:
        answer.assert_refused(answer.status)
    assert {answer.status for answer in told} <= {502, 503, 504}
    assert len(world.calls("cohere")) <= 1.2 * 120 + 10 + 12
    assert sum(answer.seconds < 0.01 for answer in told) > 60
    assert states(world, "cohere") == {"healthy"}
    world.sim.reset()
    world.clock.travel(15.1)
    world.ask(PLAIN, COHERE).assert_ok()


@every_way
@pytest.mark.parametrize("status", ["500", "502", "503", "504", "408", "409", "425"])
def test_a_hiccup_is_not_noticed(world: World, way: Way, status: str) -> None:
    """F16, F19: one bad status, then fine: served by a second attempt, and no key is blamed."""
    expected = world.ask(way, COHERE).text
    world.fresh()
    world.sim.on("cohere", [Status(int(status)), Send(b'{"message": "a stumble"}')], times=1)
    told = world.ask(way, COHERE)
    told.assert_ok(expected)
    assert told.headers["x-proxy-attempts"] == "2"
    assert [call.status for call in world.calls("cohere")] == [int(status), 200]
    assert states(world, "cohere") == {"healthy"}


@every_way
def test_one_limited_one_broken_one_fine(world: World, way: Way) -> None:
    """F25: three attempts at most."""
    world.sim.on("cohere", limited(retry_after="30"), nth=1)
    world.sim.on("cohere", [Status(500), Send(b"{}")], times=1)
    world.ask(way, COHERE).assert_ok()
    assert sorted(call.status for call in world.calls("cohere")) == [200, 429, 500]


# --- the caller's own affair (F17, F18) -------------------------------------------------------------------------------


@every_way
@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_poisoned_request_hurts_nobody_else(world: World, way: Way, status: int) -> None:
    """F17, I8: one attempt each, the provider's words passed on, every key and the provider as before."""
    world.sim.on("cohere", [Status(status), Send(b'{"message": "the field frobnicate is not known here"}')], times=20)
    for _ in range(20):
        told = world.ask(way, COHERE)
        told.assert_refused(413 if status == 413 else 400)
        assert "the field frobnicate is not known here" in told.error
    assert len(world.calls("cohere")) == 20
    assert states(world, "cohere") == {"healthy"}
    told = world.ask(way, COHERE)
    told.assert_ok()
    assert told.headers["x-proxy-attempts"] == "1"


@every_way
def test_a_model_that_one_key_lacks_is_served_by_another(world: World, way: Way) -> None:
    """F18: 404 on one key only."""
    world.sim.on("cohere", [Status(404), Send(b'{"message": "no access to this model"}')], key="one")
    for _ in range(3):
        world.ask(way, COHERE).assert_ok()
    assert world.used("cohere").count("one") == 1


@every_way
def test_a_retired_model_is_remembered_for_a_day(world: World, way: Way) -> None:
    """F18: gone everywhere: 404 in the protocol's own words, then a day without a call."""
    world.sim.on("cohere", [Status(410), Send(b'{"message": "this model was deprecated and removed"}')], times=None)
    world.ask(way, COHERE).assert_refused(404, "model_not_found")
    world.clock.travel(23 * 3600)
    world.ask(way, COHERE).assert_refused(404, "model_not_found")
    assert len(world.calls("cohere")) == 1
    world.sim.reset()
    world.clock.travel(2 * 3600)
    world.ask(way, COHERE).assert_ok()


# --- inside a 200 (F20 to F24) ----------------------------------------------------------------------------------------


@every_way
def test_an_error_as_a_200_is_an_error(world: World, way: Way) -> None:
    """F20: a 429 told in a JSON body under 200: the key rests, another one serves."""
    body = b'{"error": {"code": 429, "message": "Rate limit exceeded, retry in 7s"}}'
    world.sim.on("cohere", [Status(200), Header("content-type", "application/json"), Send(body)], key="one")
    for _ in range(3):
        world.ask(way, COHERE).assert_ok()
    assert world.used("cohere").count("one") == 1
    (rest,) = world.key("cohere#1")["rests"]
    assert (rest["state"], rest["cause"]) == ("cooling", "rate")


@every_stream
def test_an_error_ahead_of_the_text_leaves_no_trace(world: World, way: Way) -> None:
    """F21: a role and comments, then an error: tried again, and the client sees one clean stream."""
    expected = world.ask(way, COHERE)
    world.fresh()
    start = b': hello\n\ndata: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n'
    error = b'data: {"error":{"code":502,"message":"the backend failed"}}\n\n'
    stream = [Status(200), Header("content-type", "text/event-stream"), Chunk(start), Chunk(start), Chunk(error)]
    world.sim.on("cohere", stream, times=1)
    told = world.ask(way, COHERE)
    told.assert_ok(expected.text)
    assert told.pieces == expected.pieces
    assert b"hello\n\n" not in told.body.partition(b"data:")[0]
    assert len(world.calls("cohere")) == 2


@every_way
@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/html", PORTAL),
        ("application/json", PORTAL),
        ("text/event-stream", PORTAL),
        ("application/json", b""),
        ("text/event-stream", b""),
        ("text/plain", b"upstream connect error or disconnect/reset before headers"),
        ("application/json", b'"a text"'),
        ("application/json", b"[]"),
        ("application/json", b"{}"),
        ("application/json", b'{"choices": []}'),
        ("application/json", b'{"choices": [{"index": 0, "mess'),
        ("text/event-stream", b"data: nonsense\n\n"),
        ("image/png", b"\x89PNG\r\n\x1a\n\x00\x00"),
    ],
    ids=lambda value: value.decode("latin-1")[:12] if isinstance(value, bytes) else value.rpartition("/")[2],
)
def test_nonsense_is_tried_once_more_and_then_told(world: World, way: Way, kind: str, body: bytes) -> None:
    """F22: a captive portal, nothing, text, the wrong type: one more try, then 502; none of it reaches the client."""
    world.sim.on("cohere", [Status(200), Header("content-type", kind), Send(body)], times=None)
    told = world.ask(way, COHERE)
    told.assert_refused(502, "upstream_bad_response")
    assert b"<" not in told.body
    assert len(world.calls("cohere")) == 2
    assert states(world, "cohere") == {"healthy"}
    world.sim.reset()
    world.ask(way, COHERE).assert_ok()


@every_way
def test_an_answer_without_a_word_is_tried_once_more_and_then_told(world: World, way: Way) -> None:
    """F22: it ends well and says nothing: another key is asked once, then 502; the provider is not blamed for it."""
    expected = world.ask(way, COHERE).text
    world.fresh()
    world.sim.play("cohere", "finish-only")
    world.ask(way, COHERE).assert_ok(expected)
    assert len(set(world.used("cohere"))) == 2
    for _ in range(6):
        world.sim.play("cohere", "finish-only", times=2)
        world.ask(way, COHERE).assert_refused(502, "upstream_bad_response")
    assert len(world.calls("cohere")) == 14
    world.ask(way, COHERE).assert_ok(expected)


@every_stream
def test_an_end_mark_alone_is_no_answer(world: World, way: Way) -> None:
    """F22, F39: `[DONE]` and nothing else."""
    world.sim.play("cohere", "only-done", times=2)
    world.ask(way, COHERE).assert_refused(502, "upstream_bad_response")
    world.ask(way, COHERE).assert_ok()


@every_way
@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_an_answer_that_says_why_it_is_empty_is_one(world: World, way: Way, reason: str) -> None:
    """F22: no room left, or withheld: the client is told so, at the first attempt."""
    world.sim.say("cohere", "", finish=reason)
    told = world.ask(way, COHERE)
    told.assert_ok("")
    assert len(world.calls("cohere")) == 1


@every_way
@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize("where", ["another host", "http://169.254.169.254/latest/meta-data"])
def test_a_redirect_is_never_followed(world: World, way: Way, status: int, where: str) -> None:
    """F23, B82: 502; the key goes nowhere but to its provider."""
    if where == "another host":
        world.sim.play("cohere", str(status), times=None)
    else:
        world.sim.on("cohere", [Status(status), Header("location", where), Send(b"")], times=None)
    told = world.ask(way, COHERE)
    told.assert_refused(502, "upstream_bad_response")
    assert "location" not in told.headers
    assert {call.path for call in world.sim.log} == {"/chat/completions"}


@every_way
def test_hints_before_the_answer_are_skipped(world: World, way: Way) -> None:
    """F24: 100 and 103."""
    world.ask(way, f"{COHERE}!hints").assert_ok()


@every_way
@pytest.mark.parametrize("status", [101, 204, 206])
def test_a_success_that_is_none_is_told(world: World, way: Way, status: int) -> None:
    """F24: 101, 204 and 206 answer no chat."""
    if status == 101:
        switch = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n"
        world.sim.on("cohere", [Raw(switch)], times=None)
    else:
        world.sim.play("cohere", str(status), times=None)
    world.ask(way, COHERE).assert_refused(502)
    assert 1 <= len(world.calls("cohere")) <= 4


# --- within bounds (F26, F27, F29) ------------------------------------------------------------------------------------


@every_way
def test_nobody_tries_more_than_eight_keys(way: Way, tmp_path_factory: pytest.TempPathFactory) -> None:
    """F26, I11: ten keys at their limit: eight attempts, 429; the next requests skip what is known."""
    keys = [f"rate-{n}" for n in range(10)]
    with make_world(tmp_path_factory, {"cohere": keys}, NO_WAITING) as world:
        world.clock.luck = 0.0
        world.ask(way, COHERE).assert_refused(429, "rate_limit_exceeded")
        assert len(set(world.used("cohere"))) == len(world.used("cohere")) == 8
        world.ask(way, COHERE).assert_refused(429, "rate_limit_exceeded")
        assert len(set(world.used("cohere"))) == len(world.used("cohere")) == 10
        world.ask(way, COHERE).assert_refused(429, "rate_limit_exceeded")
        assert len(world.used("cohere")) == 10


@every_way
def test_the_one_good_key_among_many_is_found(world: World, way: Way) -> None:
    """F26, P1: eight at their limit, one good: by the second request everything is served."""
    told = [world.ask(way, CODESTRAL) for _ in range(4)]
    for answer in told[1:]:
        answer.assert_ok()
    assert max(world.used("codestral").count(f"rate-{n}") for n in range(1, 9)) == 1


@every_kind
def test_an_empty_budget_makes_the_first_failure_the_answer(world: World, way: Way) -> None:
    """F27, I12: every other call stumbles, until nothing is left for repetitions; tokens come back with time."""
    calls = itertools.count()
    broken = [Status(500), Send(b'{"message": "broken"}')]
    world.sim.on("cohere", lambda ask: broken if next(calls) % 2 == 0 else None)
    told = [world.ask(way, COHERE) for _ in range(14)]
    served = [answer.status == 200 for answer in told]
    assert 10 <= served.index(False) <= 13
    last = told[served.index(False)]
    last.assert_refused(502)
    assert world.send("/api/keys").json["cohere"]["provider"]["retry_tokens"] < 1.5
    world.clock.travel(60)
    assert [world.ask(way, COHERE).status for _ in range(3)] == [200] * 3


@every_way
def test_who_is_slow_is_not_asked_twice_at_once(world: World, way: Way) -> None:
    """P3: the first call has begun and says nothing: no second one starts beside it, and its answer is the answer."""
    world.sim.hold("go")
    world.sim.say("cohere", [Wait("go"), "At last."], times=1)
    with world.caller().ask(way, COHERE) as slow:
        world.wait_until(lambda: world.calls("cohere"))
        # Ten others are served in the meantime.
        for _ in range(10):
            world.ask(PLAIN, GOOGLE).assert_ok()
        assert len(world.calls("cohere")) == 1
        world.sim.release("go")
        way.told(slow.to_end()).assert_ok("At last.")
    assert len(world.calls("cohere")) == 1


@every_way
def test_an_sdk_that_repeats_is_not_repeated_for(world: World, way: Way) -> None:
    """F29: with `x-stainless-retry-count` a provider's fault is told at once; a key's is still no reason to fail."""
    world.sim.on("cohere", [Status(500), Send(b'{"message": "broken"}')], times=1)
    told = world.ask(way, COHERE, headers={"x-stainless-retry-count": "2"})
    if way.kind.sdk_repeats:
        told.assert_refused(502)
        assert len(world.calls("cohere")) == 1
    else:
        told.assert_ok()
    world.sim.on("cohere", limited(retry_after="9"), key="two", times=1)
    for _ in range(3):
        world.ask(way, COHERE, headers={"x-stainless-retry-count": "2"}).assert_ok()


@every_sdk
def test_the_official_sdk_and_the_proxy_do_not_multiply(
    world: World, sdk: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F29: an SDK that repeats twice and a proxy that repeats make six calls at most, not twelve."""
    monkeypatch.setattr(f"{sdk}._base_client.time.sleep", world.clock.travel)
    world.sim.on("cohere", [Status(500), Send(b'{"message": "broken"}')], times=None)
    with pytest.raises((openai.InternalServerError, anthropic.InternalServerError)):
        ask_by_sdk(world, sdk, COHERE)
    assert 3 <= len(world.calls("cohere")) <= 6


# --- the chain (F28) --------------------------------------------------------------------------------------------------


@every_way
def test_when_all_rest_the_next_target_serves(world: World, way: Way) -> None:
    """F28: within the same request; the answer says who served, and is the caller's model all the same."""
    world.sim.on("akash", limited(retry_after="300"), times=None)
    told = world.ask(way, CHAINED)
    told.assert_ok()
    assert told.headers["x-proxy-provider"] == "google"
    assert told.headers["x-proxy-model"] == "gemini-2.5-flash"


@every_way
def test_a_callers_mistake_is_not_tried_elsewhere(world: World, way: Way) -> None:
    """F28: 400 at the first target is the answer."""
    world.sim.on("akash", [Status(400), Send(b'{"error": {"message": "bad tools"}}')])
    world.ask(way, CHAINED).assert_refused(400)
    assert not world.calls("google")


@every_stream
def test_a_stream_that_has_begun_is_not_continued_elsewhere(world: World, way: Way) -> None:
    """F28, P6, I14: the first target dies after the commit point: an error, and no second call."""
    world.ask(way, f"{CHAINED}!cut").assert_broken("upstream_reset")
    assert not world.calls("google")
    world.sim.play("akash", "cut")
    world.ask(way, CHAINED).assert_broken("upstream_reset")
    assert len(world.calls()) == 2


@every_way
def test_when_the_whole_chain_fails_the_soonest_moment_is_told(world: World, way: Way) -> None:
    """F28, I17: 300 s here, 20 s there: come back in about 20."""
    world.sim.on("akash", limited(retry_after="300"), times=None)
    world.sim.on("google", limited(retry_after="20"), times=None)
    told = world.ask(way, CHAINED)
    told.assert_refused(429)
    assert 19 <= int(told.headers["retry-after"]) <= 24
