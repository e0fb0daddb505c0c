"""What happens to connections and streams on the way from the provider (F30 to F48)."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import anthropic
import ollama
import openai
import pytest
import trustme

from ollama_proxy.server.proxy import Proxy
from ollama_proxy.simulator import Chunk, Close, Header, Rst, Sleep, Stall, Status
from tests.support.client_kinds import Way, every_kind, every_stream, every_way, every_whole
from tests.support.faulty_world import World, make_world
from tests.support.running import RunningProxy
from tests.support.time_machine import TimeMachine

COHERE = "cohere:command-a-03-2025"
AKASH = "akash:meta-llama/Llama-3.3-70B-Instruct"
CODESTRAL = "codestral:codestral-latest"
PLAIN = Way.find("openai", stream=False)
#: What is sent before a stream is cut.
BEGUN = "This is "
#: Patience of seconds, so that no test has any of minutes. The last second before the deadline is for no attempt.
TIMES = """
[timeouts]
key_wait_s = 0.01
connect_s = 1
first_content_s = 0.3
idle_s = 0.3
answer_s = 1.15
stream_s = 0.6
"""
SIZES = "[limits]\nanswer_bytes = 2000000\n"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with make_world(tmp_path_factory, {"cohere": ["one", "two", "three"]}, TIMES + SIZES, slow_s=0.02) as running:
        yield running


@pytest.fixture(scope="module")
def beating_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Signs of life come after a tenth of a second of silence."""
    keys = {"cohere": ["one", "two", "three"]}
    with make_world(tmp_path_factory, keys, TIMES.replace("1.15", "1.7") + "heartbeat_s = 0.1\n") as running:
        yield running


class Deserted(World):
    """Cohere's address is nobody's, Codestral's is somebody's whom nobody vouches for, Akash's takes nothing.

    heard: what was told to the second.
    """

    def __init__(self, proxy: RunningProxy, heard: list[bytes], clock: TimeMachine) -> None:
        self.proxy, self.heard, self.clock = proxy, heard, clock


@pytest.fixture(scope="module")
def deserted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deserted]:
    clock = TimeMachine()
    clock.luck = 0.0
    heard: list[bytes] = []
    with socket.socket() as taken, impostor(heard) as port, socket.create_server(("127.0.0.1", 0), backlog=64) as deaf:
        taken.bind(("127.0.0.1", 0))
        env = {
            "AKASH_API_KEYS": "any-key",
            "AKASH_BASE_URL": f"http://127.0.0.1:{deaf.getsockname()[1]}",
            "COHERE_API_KEYS": "any-key",
            "COHERE_BASE_URL": f"http://127.0.0.1:{taken.getsockname()[1]}",
            "CODESTRAL_API_KEYS": "any-key",
            "CODESTRAL_BASE_URL": f"https://localhost:{port}",
        }
        folder = tmp_path_factory.mktemp("deserted")
        (folder / "ollama-proxy.toml").write_text("[timeouts]\nmodels_s = 0.2\n")
        with RunningProxy(env, folder, clock=clock) as proxy:
            yield Deserted(proxy, heard, clock)


@contextlib.contextmanager
def impostor(heard: list[bytes]) -> Iterator[int]:
    """The port of a TLS server whose certificate nobody has reason to trust."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                plain, _ = listener.accept()
                try:
                    with context.wrap_socket(plain, server_side=True) as secret:
                        heard.append(secret.recv(100))
                except OSError:
                    plain.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.fixture
def world(running: World) -> World:
    running.fresh(luck=0.0)
    return running


@pytest.fixture
def beating(beating_world: World) -> World:
    beating_world.fresh(luck=0.0)
    return beating_world


SSE = [Status(200), Header("content-type", "text/event-stream")]
DONE = b"data: [DONE]\n\n"


def event(data: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"


# --- no connection (F30, F31, F32) ------------------------------------------------------------------------------------


@every_way
def test_a_refused_connection_is_told(deserted: Deserted, way: Way) -> None:
    """F30, B78: nobody listens there: 502 within the time of a connection."""
    deserted.proxy.forget()
    told = deserted.ask(way, COHERE)
    told.assert_refused(502, "upstream_unreachable")
    assert told.seconds < 1


@every_kind
def test_an_untrusted_certificate_is_never_worked_around(deserted: Deserted, way: Way) -> None:
    """F31, B78: self-signed: 502; no byte of a request is ever sent, in secret or in plain."""
    deserted.proxy.forget()
    deserted.ask(way, CODESTRAL).assert_refused(502, "upstream_tls")
    assert not deserted.heard


@every_kind
def test_who_takes_nothing_of_a_large_request_is_left(deserted: Deserted, way: Way) -> None:
    """F47, P4: 12 MB for somebody who does not read: 504 in the protocol's own form, once writing has stood still."""

    def hurry(proxy: Proxy) -> None:
        gateway = proxy.parts.services.gateway
        gateway._streaming = replace(gateway._streaming, write_idle_s=0.2)
        gateway._whole = replace(gateway._whole, write_idle_s=0.2)

    deserted.proxy.forget()
    deserted.proxy.do(hurry)
    told = deserted.ask(way, AKASH, "x" * 12_000_000)
    told.assert_refused(504, "upstream_timeout")
    assert told.seconds < 10


@every_way
def test_a_stale_connection_is_replaced_unseen(world: World, way: Way) -> None:
    """F32: the provider closed a kept connection: the next request goes over a fresh one, at its first attempt."""
    world.ask(way, f"{COHERE}!stale").assert_ok()
    told = world.ask(way, COHERE)
    told.assert_ok()
    assert told.headers["x-proxy-attempts"] == "1"


# --- before the first content (F33, F34) ------------------------------------------------------------------------------


@every_way
@pytest.mark.parametrize("fault", ["rst-first", "close-first"])
def test_a_connection_that_dies_before_the_head_is_tried_again(world: World, way: Way, fault: str) -> None:
    """F33."""
    world.ask(way, f"{COHERE}!{fault}x1").assert_ok()
    assert len(world.calls("cohere")) == 2


@every_way
@pytest.mark.parametrize("fault", ["rst-first", "close-first"])
def test_connections_that_always_die_are_told(world: World, way: Way, fault: str) -> None:
    """F33, I11: four attempts, then 502."""
    attempts = 'ollama_proxy_upstream_attempts_total{provider="cohere"'
    before = world.metric(attempts)
    world.ask(way, f"{COHERE}!{fault}").assert_refused(502, "upstream_reset")
    assert world.metric(attempts) - before == 4


@every_stream
@pytest.mark.parametrize("fault", ["hang", "slow-head", "silent", "comments"])
def test_who_says_nothing_in_time_is_left(world: World, way: Way, fault: str) -> None:
    """F33, F34, B78: no head, a slow one, a head alone, comments for ever: 504, and the provider is told to stop."""
    told = world.ask(way, f"{COHERE}!{fault}")
    told.assert_refused(504, "upstream_timeout")
    assert told.seconds < 3
    world.sim.wait_for(lambda log: all(call.gave_up for call in log))


@every_whole
@pytest.mark.parametrize("fault", ["hang", "slow-head", "silent", "stall"])
def test_who_answers_nothing_in_time_is_left(world: World, way: Way, fault: str) -> None:
    """F33, F35: the same for an answer in one piece, of which half may have come."""
    told = world.ask(way, f"{COHERE}!{fault}")
    told.assert_refused(504, "upstream_timeout")
    assert told.seconds < 3
    world.sim.wait_for(lambda log: all(call.gave_up for call in log))


@every_stream
def test_signs_of_life_do_not_commit(beating: World, way: Way) -> None:
    """F34: after a while of silence the client is kept alive; another attempt may still serve it."""
    beating.sim.on("cohere", [*SSE, Chunk(b": x\n\n"), Stall()], times=1)
    told = beating.ask(way, COHERE)
    told.assert_ok()
    assert len(beating.calls("cohere")) == 2
    assert told.body.index(told.text.split()[0].encode()) > 0


@every_stream
def test_silence_that_never_ends_is_told_inside_the_stream(beating: World, way: Way) -> None:
    """F34: the client was kept alive, so the error comes in the stream, without an end mark."""
    told = beating.ask(way, f"{COHERE}!comments")
    told.assert_broken("upstream_timeout", after="")


# --- in the middle (F35 to F39, F48) ----------------------------------------------------------------------------------


@every_stream
def test_a_stall_in_the_middle_is_an_error(world: World, way: Way) -> None:
    """F35, B78: what came is kept, the provider's connection is closed, nothing is repeated."""
    world.ask(way, f"{COHERE}!stall").assert_broken("upstream_idle", after=BEGUN)
    (call,) = world.calls("cohere")
    world.sim.wait_for(lambda log: call.gave_up)


@every_stream
def test_a_connection_closed_in_the_middle_is_an_error(world: World, way: Way) -> None:
    """F36, P5, P6: what came, once, then the error; nothing is repeated."""
    world.ask(way, f"{COHERE}!cut").assert_broken("upstream_reset", after=BEGUN)
    assert len(world.calls("cohere")) == 1


@every_stream
@pytest.mark.parametrize(
    "error",
    [
        {"error": {"code": 502, "message": "the backend failed"}},
        {"error": {"code": 502, "message": "the backend failed"}, "choices": [{"index": 0, "delta": {"content": ""}}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "error", "error": {"message": "the backend failed"}}]},
    ],
    ids=["alone", "beside", "within"],
)
def test_an_error_told_in_the_middle_is_an_error(world: World, way: Way, error: dict[str, Any]) -> None:
    """F36, F58, F59: in each of its forms."""
    pieces = [event({"choices": [{"index": 0, "delta": {"content": text}}]}) for text in ("This ", "is ")]
    world.sim.on("cohere", [*SSE, *map(Chunk, pieces), Sleep(0.05), Chunk(event(error)), Chunk(DONE)])
    told = world.ask(way, COHERE)
    told.assert_broken(after=BEGUN)
    assert "the backend failed" in told.error
    assert len(world.calls("cohere")) == 1


@every_stream
def test_a_reset_in_the_middle_is_an_error(world: World, way: Way) -> None:
    """F36, B78: RST; nothing is said twice."""
    told = world.ask(way, f"{COHERE}!rst")
    told.assert_broken("upstream_reset", after=BEGUN)
    assert len(world.calls("cohere")) == 1


@every_stream
@pytest.mark.parametrize("fault", ["truncated", "cut-json"])
def test_a_truncated_stream_never_looks_complete(world: World, way: Way, fault: str) -> None:
    """F37, P5: a clean end without finish_reason and `[DONE]`, or in the middle of an event."""
    good = world.ask(way, COHERE).text
    told = world.ask(way, f"{COHERE}!{fault}")
    told.assert_broken("upstream_truncated")
    assert told.text
    assert good.startswith(told.text)


@every_kind
@pytest.mark.parametrize("fault", ["truncated", "cut", "rst", "error-mid"])
def test_half_an_answer_is_no_answer(world: World, way: Way, fault: str) -> None:
    """F36, F37: in one piece nothing was sent yet: tried again, and then told."""
    way = Way(way.kind, stream=False)
    world.ask(way, f"{COHERE}!{fault}x1").assert_ok()
    world.ask(way, f"{COHERE}!{fault}").assert_refused(502)


def test_every_sdk_raises_for_a_truncated_stream(world: World) -> None:
    """F37: none of the official clients takes it for whole."""
    model, question = f"{COHERE}!truncated", "Say hello."
    with ollama.Client(world.proxy.url) as client, pytest.raises(ollama.ResponseError):
        list(client.chat(model, [{"role": "user", "content": question}], stream=True))
    with ollama.Client(world.proxy.url) as client, pytest.raises(ollama.ResponseError):
        list(client.generate(model, question, stream=True))
    with openai.OpenAI(base_url=f"{world.proxy.url}/v1", api_key="any") as sdk, pytest.raises(openai.APIError):
        list(sdk.chat.completions.create(model=model, messages=[{"role": "user", "content": question}], stream=True))
    with (
        anthropic.Anthropic(base_url=world.proxy.url, api_key="any") as claude,
        pytest.raises(anthropic.APIError),
        claude.messages.stream(model=model, max_tokens=99, messages=[{"role": "user", "content": question}]) as stream,
    ):
        stream.until_done()


@every_way
@pytest.mark.parametrize("fault", ["no-done", "no-finish", "double-done", "no-blank"])
def test_every_way_to_end_well_is_an_end(world: World, way: Way, fault: str) -> None:
    """F38, F39, F54: a finish without `[DONE]`, the reverse, two of them with text between: whole, and nothing more."""
    good = world.ask(way, COHERE)
    told = world.ask(way, f"{COHERE}!{fault}")
    told.assert_ok(good.text)
    if way.stream and fault in ("no-done", "double-done"):
        assert told.usage == good.usage


@every_stream
def test_half_a_tool_call_is_never_told_as_a_whole_one(world: World, way: Way) -> None:
    """F48: reset inside the arguments: tried again where nothing was sent, an error where something was."""
    call = {"index": 0, "id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Se'}}
    frame = event({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]})
    head = [*SSE, Chunk(frame)]
    world.sim.on("cohere", [*head, Sleep(0.05), Rst()], times=None)
    told = world.ask(way, COHERE)
    assert told.error
    assert not told.complete
    assert told.calls in ([], [("weather", '{"city": "Se')])
    world.fresh(luck=0.0)
    world.sim.on("cohere", [*head, Close()], times=1)
    told = world.ask(way, COHERE)
    if len(world.calls("cohere")) == 2:
        told.assert_ok()
        assert not told.calls
    else:
        told.assert_broken()


# --- framing and sizes (F40 to F47) -----------------------------------------------------------------------------------


@every_way
def test_a_length_that_promises_too_much_is_a_cut(world: World, way: Way) -> None:
    """F40: all of the answer, but less than announced: a stream's own end was there, an answer in one piece is cut."""
    told = world.ask(way, f"{COHERE}!short")
    if way.stream:
        assert told.complete or told.error
    else:
        told.assert_refused(502)
    world.ask(way, COHERE).assert_ok()


@every_way
def test_a_planted_answer_is_nobodys(world: World, way: Way) -> None:
    """F40: bytes behind the announced end reach neither this client nor the next one."""
    good = world.ask(way, COHERE).text
    for model in (f"{COHERE}!planted", COHERE, COHERE):
        told = world.ask(way, model)
        told.assert_ok(good)
        assert b"yes" not in told.body


@every_way
@pytest.mark.parametrize("fault", ["bad-chunk", "no-last-chunk", "two-framings"])
def test_bad_framing_never_looks_complete(world: World, way: Way, fault: str) -> None:
    """F41: an error, unless the stream's own end had come before; the next request is not touched by it."""
    told = world.ask(way, f"{COHERE}!{fault}")
    if told.complete:
        assert way.stream
        assert fault == "no-last-chunk"
    else:
        assert told.error
        assert told.status in (200, 502)
    world.clock.travel(60)
    world.ask(way, COHERE).assert_ok()


@every_way
def test_a_flood_of_header_fields_is_refused(world: World, way: Way) -> None:
    """F42: more than a megabyte of them."""
    world.ask(way, f"{COHERE}!header-flood").assert_refused(502, "upstream_bad_response")


@every_kind
def test_a_bomb_does_not_go_off(world: World, way: Way) -> None:
    """F43, P8: a hundred kilobytes that would become a hundred megabytes."""
    world.ask(PLAIN, f"{COHERE}!bomb")
    tracemalloc.start()
    told = world.ask(way, f"{COHERE}!bomb")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    told.assert_refused(502)
    assert most < 10_000_000


@every_way
def test_what_is_compressed_unasked_is_read(world: World, way: Way) -> None:
    """F43: gzip within bounds."""
    world.ask(way, f"{COHERE}!gzip").assert_ok(world.ask(way, COHERE).text)


@every_way
def test_an_endless_answer_has_an_end(world: World, way: Way) -> None:
    """F44: a stream by its length in time, an answer by its size."""
    told = world.ask(way, f"{COHERE}!endless")
    if way.stream:
        told.assert_broken("upstream_too_long")
    else:
        told.assert_refused(502, "upstream_bad_response")
    world.sim.wait_for(lambda log: all(call.finished_at or call.gave_up for call in log))


@every_stream
def test_a_giant_event_passes_in_lines_that_clients_can_read(world: World, way: Way) -> None:
    """F45: 7 MB in one event; no line for an Ollama client is longer than its reader takes."""
    told = world.ask(way, f"{COHERE}!big-line")
    told.assert_ok()
    assert told.text.count("x") >= 7_000_000
    if way.name.startswith("ollama"):
        assert max(map(len, told.body.split(b"\n"))) < 1_100_000


@every_stream
def test_an_event_beyond_all_bounds_is_refused(world: World, way: Way) -> None:
    """F45: more than 8 MB."""
    told = world.ask(way, f"{COHERE}!huge-line")
    assert told.error
    assert not told.complete


@every_stream
@pytest.mark.parametrize("fault", ["utf8", "one-write", "slow"])
def test_how_the_bytes_are_cut_makes_no_difference(world: World, way: Way, fault: str) -> None:
    """F46, F60: one byte in each write, all in one, with a pause before each piece."""
    question = "서울은 어디에 있나요? 👩‍👩‍👧‍👦"
    good = world.ask(way, COHERE, question)
    told = world.ask(way, f"{COHERE}!{fault}", question)
    told.assert_ok(good.text)
    assert told.pieces == good.pieces
    assert told.finish == good.finish


@every_stream
def test_ten_thousand_pieces_arrive_one_by_one(world: World, way: Way) -> None:
    """F46: in one write; number and order are exact."""
    good = world.ask(way, COHERE)
    told = world.ask(way, f"{COHERE}!many")
    told.assert_ok("word " * 10_000 + good.text)
