"""Clients that leave, stall, drip and cheat (F61 to F76), before a whole proxy."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from ollama_proxy.simulator import Behaviour, Chunk, Header, Send, SimulatorThread, Status
from tests.support.client_kinds import KINDS, WAYS, Way, every_kind, every_stream, every_way
from tests.support.faulty_world import PATIENCE_S, Caller, World, make_world, render
from tests.support.program import Program

COHERE = "cohere:command-a-03-2025"
PLAIN = Way.find("openai", stream=False)
STREAMS = [way for way in WAYS if way.stream]
KEYS = {"cohere": ["one", "two", "three"]}
#: Seconds from a client's leaving to the end of the provider's connection.
AT_ONCE_S = 0.25
HASTY = {"header_timeout_s": 0.4, "body_idle_s": 0.4, "write_idle_s": 0.4, "linger_s": 0.2}
TOKEN = "a-token-that-is-long-enough-for-anybody"
hows = pytest.mark.parametrize("how", ["fin", "rst", "half"])


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with make_world(tmp_path_factory, KEYS) as running:
        yield running


@pytest.fixture(scope="module")
def hasty_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A proxy with little patience for slow clients, and a limit of 100 kB."""
    with make_world(tmp_path_factory, KEYS, "[limits]\nbody_bytes = 100000\n", server=HASTY) as running:
        yield running


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A proxy that wants a token."""
    with make_world(tmp_path_factory, KEYS, env={"PROXY_API_TOKEN": TOKEN}) as running:
        yield running


@pytest.fixture
def world(running: World) -> World:
    running.fresh()
    return running


@pytest.fixture
def hasty(hasty_world: World) -> World:
    hasty_world.fresh()
    return hasty_world


# --- leaving (F62 to F65) ---------------------------------------------------------------------------------------------


def assert_left_alone(world: World, caller: Caller, how: str) -> None:
    """The client leaves: the provider sees it at once, nobody is blamed, nothing is left behind."""
    left_at = world.clock.now()
    caller.leave(how)
    (call,) = world.calls("cohere")
    world.sim.wait_for(lambda log: call.gave_up)
    assert call.peer_closed_at is not None
    assert call.peer_closed_at - left_at < AT_ONCE_S
    world.wait_until(world.is_idle)
    assert {world.key(f"cohere#{n}")["state"] for n in (1, 2, 3)} == {"healthy"}
    assert all(not world.key(f"cohere#{n}")["faults"] for n in (1, 2, 3))


@every_way
@hows
def test_leaving_before_the_first_word_ends_the_call(world: World, way: Way, how: str) -> None:
    """F62, F64, P7: streaming or not, the provider's connection is closed within a quarter of a second."""
    with world.caller().ask(way, f"{COHERE}!hang") as caller:
        world.sim.wait_for(lambda log: [call for call in log if call.operation == "chat"])
        assert_left_alone(world, caller, how)


@every_stream
@hows
def test_leaving_in_the_middle_ends_the_call(world: World, way: Way, how: str) -> None:
    """F63, P7: FIN, RST; who closes only his half is taken as gone too."""
    with world.caller().ask(way, f"{COHERE}!stall") as caller:
        caller.until(b"is ")
        assert_left_alone(world, caller, how)


@every_kind
def test_leaving_in_the_middle_of_a_whole_answer_ends_the_call(world: World, way: Way) -> None:
    """F64: the head of the provider's answer is here, and half of its body."""
    way = Way(way.kind, stream=False)
    with world.caller().ask(way, f"{COHERE}!stall") as caller:
        world.sim.wait_for(lambda log: [call for call in log if call.operation == "chat" and call.first_byte_at])
        assert_left_alone(world, caller, "fin")


@every_stream
def test_who_leaves_after_the_end_has_left_nobody(world: World, way: Way) -> None:
    """F63: the connection to the provider serves again."""
    for _ in range(3):
        world.ask(way, COHERE).assert_ok()
    first, *others = world.calls("cohere")
    assert {call.connection for call in others} == {first.connection}
    assert not any(call.gave_up for call in world.calls("cohere"))


def test_churn_leaves_nothing_behind(world: World) -> None:
    """F65: 200 clients that come and drop, five times each, in every state: tasks and leases as before."""
    tasks = world.proxy.do(lambda proxy: len(asyncio.all_tasks()))
    streams = [way for way in WAYS if way.stream]
    models = [f"{COHERE}!{fault}" for fault in ("hang", "stall", "slow")]

    async def drop(number: int) -> None:
        for turn in range(5):
            _, writer = await asyncio.open_connection("127.0.0.1", world.proxy.port)
            way, model = streams[number % len(streams)], models[(number + turn) % len(models)]
            writer.write(render(way.path, way.body(model), close=False))
            await writer.drain()
            writer.transport.abort()

    async def scene() -> None:
        await asyncio.gather(*(drop(number) for number in range(200)))

    asyncio.run(scene())
    world.wait_until(world.is_idle)
    world.wait_until(lambda: world.proxy.do(lambda proxy: len(asyncio.all_tasks())) <= tasks + 2)
    assert {world.key(f"cohere#{n}")["state"] for n in (1, 2, 3)} == {"healthy"}
    world.ask(PLAIN, COHERE).assert_ok()


# --- not reading (F66) ------------------------------------------------------------------------------------------------


class Hose:
    """A provider whose answers to streaming requests never end.

    size: bytes of one delta, with letters of every width. played: the writes that it has begun, of 100,000 bytes each.
    """

    def __init__(self, sim: SimulatorThread, size: int) -> None:
        text = ("😀한" + "x" * size).encode()[:size]
        frame = b'data: {"choices":[{"index":0,"delta":{"content":"%b"}}]}\n\n' % text
        self._chunk = Chunk(frame * (100_000 // size))
        self.played = 0
        sim.on("cohere", lambda ask: Behaviour(self._pieces()) if ask.body["stream"] else None, times=None)

    def _pieces(self) -> Iterator[Chunk]:
        while True:
            self.played += 1
            yield self._chunk

    def wait_for_rest(self) -> None:
        """Until nobody has taken anything for half a second."""
        played, since = -1, time.monotonic()
        until = since + PATIENCE_S
        while time.monotonic() < since + 0.5:
            assert time.monotonic() < until, "the flood does not stop"
            if self.played != played:
                played, since = self.played, time.monotonic()


def crowd(leaving: contextlib.ExitStack, port: int, ways: Sequence[Way]) -> None:
    """50 clients that ask and never read."""
    for number in range(50):
        caller = leaving.enter_context(Caller(port, receive_buffer=4096))
        caller.ask(ways[number % len(ways)], COHERE)


def resident_bytes(pid: int) -> int:
    """What the process holds of the machine's memory: of this one, whatever its allocator says."""
    return int(re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[1]) * 1024


def test_who_never_reads_is_left_and_others_are_served(hasty: World) -> None:
    """F66, P8: 50 clients before a firehose: others are served meanwhile, and everybody is hung up on in the end."""
    Hose(hasty.sim, 20_000)
    with contextlib.ExitStack() as leaving:
        crowd(leaving, hasty.proxy.port, STREAMS)
        hasty.sim.wait_for(lambda log: sum(call.operation == "chat" for call in log) == 50)
        hasty.ask(PLAIN, COHERE).assert_ok()
        hasty.sim.wait_for(lambda log: sum(call.gave_up for call in log) == 50, PATIENCE_S)
        hasty.wait_until(hasty.is_idle)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is told by /proc")
@pytest.mark.parametrize("size", [1_000, 20_000])
@every_stream
def test_who_never_reads_costs_less_than_a_megabyte(way: Way, size: int, tmp_path: Path) -> None:
    """F66, L6: 50 clients before a firehose, and the whole program seen from outside, in every protocol."""
    with SimulatorThread() as sim, Program(tmp_path, **sim.env(KEYS)) as program, contextlib.ExitStack() as leaving:
        with Caller(program.port) as first:
            first.send(render(way.path, way.body(COHERE))).to_end()
        hose = Hose(sim, size)
        before = resident_bytes(program.pid)
        crowd(leaving, program.port, [way])
        sim.wait_for(lambda log: sum(call.operation == "chat" for call in log) == 51)
        hose.wait_for_rest()
        assert resident_bytes(program.pid) - before < 50 * 1_000_000


# --- dripping (F67, F68, F69) -----------------------------------------------------------------------------------------


@every_kind
def test_a_head_that_drips_is_hung_up_on(hasty: World, way: Way) -> None:
    """F67: half a head, and nothing at all; meanwhile others are served quickly."""
    with hasty.caller() as silent, hasty.caller().send(f"POST {way.path} HTT".encode()) as half:
        hasty.ask(way, COHERE).assert_ok()
        assert half.to_end().status == 408
        assert silent.to_end().raw == b""


@every_kind
def test_a_body_that_drips_is_told_so(hasty: World, way: Way) -> None:
    """F68: 408 in the client's own protocol."""
    whole = render(way.path, way.body(COHERE), close=False)
    with hasty.caller().send(whole[:-3]) as caller:
        way.told(caller.to_end()).assert_refused(408)


@every_kind
def test_a_body_that_is_too_large_is_refused_unread(hasty: World, way: Way) -> None:
    """F69: by its Content-Length, before a byte of it came."""
    head = f"POST {way.path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000000000\r\n\r\n".encode()
    with hasty.caller().send(head) as caller:
        way.told(caller.to_end()).assert_refused(413)


@every_kind
def test_a_body_without_end_is_refused_at_the_limit(hasty: World, way: Way) -> None:
    """F69: chunks that never stop."""
    head = f"POST {way.path} HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n".encode()
    chunk = b"4000\r\n" + b"x" * 0x4000 + b"\r\n"
    with hasty.caller().send(head + 8 * chunk) as caller:
        way.told(caller.to_end()).assert_refused(413)


# --- cheating (F70 to F73) --------------------------------------------------------------------------------------------

PLANTED = b"POST /api/chat HTTP/1.1\r\nhost: localhost\r\ncontent-length: 73\r\n\r\n"
SMUGGLED = {
    "length and coding": b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": b"content-length: 5\r\ncontent-length: 0\r\n\r\n",
    "list of lengths": b"content-length: 0, 5\r\n\r\n",
    "plus": b"content-length: +0\r\n\r\n",
    "negative": b"content-length: -1\r\n\r\n",
    "hex length": b"content-length: 0x0\r\n\r\n",
    "xchunked": b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
    "two codings": b"transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "gzip coding": b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "hex size": b"transfer-encoding: chunked\r\n\r\n0x0\r\n\r\n",
    "bare LF": b"transfer-encoding: chunked\r\n\r\n0\n\n",
    "bad chunk end": b"transfer-encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
    "blank before colon": b"content-length : 0\r\n\r\n",
    "folded": b"x: y\r\n content-length: 0\r\n\r\n",
    "NUL": b"x: a\x00b\r\ncontent-length: 0\r\n\r\n",
    "bare CR": b"x: a\rb\r\ncontent-length: 0\r\n\r\n",
}


@pytest.mark.parametrize("trick", SMUGGLED.values(), ids=SMUGGLED)
@pytest.mark.parametrize("path", sorted({kind.path for kind in KINDS}))
def test_a_smuggled_request_never_runs(world: World, path: str, trick: bytes) -> None:
    """F70, F73: one answer, 400, and the connection is closed; what is planted behind it is nobody's request."""
    planted = PLANTED + json.dumps({"model": COHERE, "messages": [{"role": "user", "content": "x"}]}).encode()
    got = world.exchange(f"POST {path} HTTP/1.1\r\nhost: localhost\r\n".encode() + trick + planted)
    assert re.findall(rb"HTTP/1\.1 \d+", got.raw) == [b"HTTP/1.1 400"]
    assert got.headers["connection"] == "close"
    assert not world.calls("cohere")


def test_chunks_do_not_exist_in_http_1_0(world: World) -> None:
    """F70: Transfer-Encoding in a request of HTTP/1.0."""
    request = b"POST /api/chat HTTP/1.0\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
    assert world.exchange(request).status == 400


@every_kind
def test_a_trailer_opens_no_door(guarded: World, way: Way) -> None:
    """F71: a token or a host that comes behind the body is not seen."""
    guarded.fresh()
    body = json.dumps(way.body(COHERE)).encode()
    head = f"POST {way.path} HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\nconnection: close\r\n"
    chunks = b"\r\n%x\r\n%b\r\n0\r\n" % (len(body), body)
    trailer = f"authorization: Bearer {TOKEN}\r\nx-api-key: {TOKEN}\r\nhost: localhost\r\n\r\n".encode()
    way.told(guarded.exchange(head.encode() + chunks + trailer)).assert_refused(401)
    assert not guarded.calls("cohere")
    way.told(
        guarded.exchange(head.encode() + f"authorization: Bearer {TOKEN}\r\n".encode() + chunks + b"host: evil\r\n\r\n")
    ).assert_ok()


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (b"", 400),
        (b"host: localhost\r\nhost: localhost\r\n", 400),
        (b"host: user@localhost\r\n", 400),
        (b"host: localhost/path\r\n", 400),
        (b"host: localhost, evil.test\r\n", 400),
        (b"host: evil.test\r\n", 403),
        (b"host: localhost.\r\n", 403),
        (b"host: localhost.evil.test\r\n", 403),
        (b"host: 93.184.216.34\r\n", 403),
    ],
    ids=str,
)
def test_games_with_the_host(world: World, lines: bytes, status: int) -> None:
    """F72: none, two, more than a name, a name that is not ours."""
    assert world.exchange(b"GET /api/tags HTTP/1.1\r\n" + lines + b"connection: close\r\n\r\n").status == status


def test_a_whole_address_is_no_path(world: World) -> None:
    """F72: this is no forward proxy."""
    assert world.exchange(b"GET http://evil.test/api/tags HTTP/1.1\r\nhost: localhost\r\n\r\n").status == 400


@pytest.mark.parametrize(
    ("start", "lines", "status"),
    [
        (b"GET /api/tags", b"".join(b"x-%d: y\r\n" % n for n in range(2000)), 431),
        (b"GET /api/tags", b"x: " + b"y" * 65536 + b"\r\n", 431),
        (b"GET /" + b"x" * 1_000_000, b"", 414),
    ],
    ids=["2000 fields", "64 KB", "1 MB of path"],
)
def test_bombs_in_the_head(world: World, start: bytes, lines: bytes, status: int) -> None:
    """F73: refused, told, closed."""
    got = world.exchange(start + b" HTTP/1.1\r\nhost: localhost\r\n" + lines + b"\r\n")
    assert got.status == status
    assert got.headers["connection"] == "close"


# --- verbs and fields (F74, F75, F76) ---------------------------------------------------------------------------------


def test_pipelined_requests_are_answered_in_order(world: World) -> None:
    """F74: three at once, one after another."""
    whole = [render(way.path, way.body(COHERE, f"number {n}"), close=False) for n, way in enumerate((PLAIN,) * 3)]
    with world.caller().send(b"".join(whole)) as caller:
        answers = caller.until(b"number 2")
    places = [answers.index(f"number {n}".encode()) for n in range(3)]
    assert places == sorted(places)
    assert [call.body["messages"][0]["content"] for call in world.calls("cohere")] == [f"number {n}" for n in range(3)]


@every_kind
def test_who_asks_first_is_told_to_go_on(world: World, way: Way) -> None:
    """F74: `Expect: 100-continue`; what else is expected cannot be met."""
    whole = render(way.path, way.body(COHERE), {"expect": "100-continue"}, close=False)
    head, _, body = whole.partition(b"\r\n\r\n")
    with world.caller().send(head + b"\r\n\r\n") as caller:
        assert caller.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        caller.received = b""
        way.told(caller.send(body).to_end()).assert_ok()
    assert world.send(way.path, way.body(COHERE), {"expect": "the-impossible"}).status == 417


@pytest.mark.parametrize(
    ("start", "status"),
    [
        (b"HEAD /api/tags", 200),
        (b"OPTIONS /api/tags", 204),
        (b"TRACE /api/tags", 501),
        (b"CONNECT evil.test:443", 501),
        (b"GET /api/chat", 405),
        (b"DELETE /v1/chat/completions", 405),
        (b"BREW /coffee", 400),
    ],
    ids=str,
)
def test_every_verb_is_served_or_refused(world: World, start: bytes, status: int) -> None:
    """F74."""
    got = world.exchange(start + b" HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
    assert int(got.raw.split()[1]) == status


@every_kind
@pytest.mark.parametrize("protocol", ["h2c", "websocket"])
def test_an_offer_to_upgrade_is_ignored(world: World, way: Way, protocol: str) -> None:
    """F74: plain HTTP/1.1 all the same."""
    fields = {"connection": "upgrade, close", "upgrade": protocol, "http2-settings": "AAMAAABkAARAAAAAAAIAAAAA"}
    way.told(world.send(way.path, way.body(COHERE), fields)).assert_ok()


@every_way
def test_no_field_crosses(world: World, way: Way) -> None:
    """F75: neither the client's fields reach the provider nor the provider's the client."""
    world.ask(way, COHERE)
    good = json.loads(json.dumps(world.calls("cohere")[0].headers))
    world.fresh()
    fields = {
        "connection": "x-hop, close",
        "x-hop": "canary",
        "te": "trailers",
        "cookie": "canary",
        "x-forwarded-for": "canary",
        "forwarded": "for=canary",
        "proxy-authorization": "canary",
        "x-api-key": "canary",
        "authorization": "Bearer canary",
        "openai-organization": "canary",
        "anthropic-beta": "canary",
        "user-agent": "canary",
    }
    body = (
        b'data: {"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
        if way.stream
        else b'{"choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}]}'
    )
    theirs = ("set-cookie", "alt-svc", "server", "via", "x-theirs", "strict-transport-security", "location")
    answer = [Status(200), *(Header(name, "canary") for name in theirs), Send(body)]
    world.sim.on("cohere", answer)
    told = world.ask(way, COHERE, headers=fields)
    told.assert_ok("Hi")
    assert "canary" not in str(told.headers)
    (call,) = world.calls("cohere")
    assert set(call.headers) == set(good)
    assert "canary" not in str(call.headers)


@every_kind
@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "gzip, gzip"])
def test_a_coded_request_is_refused(world: World, way: Way, coding: str) -> None:
    """F76: 415, before the body is read. On /v1 zstd is read, and what only claims to be zstd is bad input."""
    data = zlib.compress(json.dumps(way.body(COHERE)).encode())
    status = 400 if coding == "zstd" and way.path.startswith("/v1/") else 415
    way.told(world.send(way.path, data, {"content-encoding": coding})).assert_refused(status)
