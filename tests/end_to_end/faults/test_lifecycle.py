"""Clocks, signals, settings, disks and a machine's limits (F95, F98 to F106, F109), mostly before the real program."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import itertools
import json
import signal
import socket
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from ollama_proxy.simulator import Send, SimulatorThread, Status, Wait
from tests.support.client_kinds import STREAMS, WHOLE, Told, Way, every_way
from tests.support.faulty_world import Caller, exchange, limited, make_world, render
from tests.support.program import Program
from tests.support.running import RunningProxy

if sys.platform == "win32":
    pytest.skip("signals and limits of POSIX", allow_module_level=True)

import resource

COHERE = "cohere:command-a-03-2025"
PLAIN = Way.find("openai", stream=False)
EVERY = [*STREAMS, *WHOLE]
BEGUN = "Once "
TALE = f"{BEGUN}upon a time."
#: A key's day is over: worth remembering over a restart.
NO_CREDIT = [Status(402), Send(b'{"message": "no credit left"}')]

linux = pytest.mark.skipif(sys.platform != "linux", reason="limits of another process")


@pytest.fixture(scope="module")
def simulators() -> Iterator[SimulatorThread]:
    with SimulatorThread() as running:
        yield running


@pytest.fixture
def sim(simulators: SimulatorThread) -> SimulatorThread:
    simulators.reset()
    return simulators


def ask(program: Program, way: Way = PLAIN, model: str = COHERE, text: str = "Say hello.") -> Told:
    """One question to a real process."""
    return way.told(asyncio.run(exchange(program.port, render(way.path, way.body(model, text)))))


def keys(program: Program, provider: str = "cohere") -> list[dict[str, Any]]:
    told = json.loads(asyncio.run(exchange(program.port, render("/api/keys"))).body)
    return list(told[provider]["keys"])


def states(program: Program) -> list[str]:
    return [str(key["state"]) for key in keys(program)]


def wait_until(is_so: Callable[[], object]) -> None:
    until = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < until, "it never became so"


def room_for(program: Program, more: int) -> int:
    """The limit under which the program can open so many more: it is a number, below which some may be free."""
    taken = {int(path.name) for path in Path(f"/proc/{program.pid}/fd").iterdir()}
    free = (number for number in itertools.count() if number not in taken)
    return next(itertools.islice(free, more, None))


@contextlib.contextmanager
def limited_to(program: Program, most: int, what: int = resource.RLIMIT_NOFILE) -> Iterator[None]:
    """The program may have no more than this for a while."""
    usual = resource.prlimit(program.pid, what)
    resource.prlimit(program.pid, what, (most, usual[1]))
    try:
        yield
    finally:
        resource.prlimit(program.pid, what, usual)


@contextlib.contextmanager
def held_streams(sim: SimulatorThread, program: Program, ways: Sequence[Way]) -> Iterator[list[Caller]]:
    """Clients in the middle of an answer, which waits at a gate named `go`."""
    sim.hold("go")
    sim.say("cohere", [BEGUN, Wait("go"), TALE.removeprefix(BEGUN)], times=len(ways))
    with contextlib.ExitStack() as everybody:
        callers = [everybody.enter_context(Caller(program.port)).ask(way, COHERE) for way in ways]
        for way, caller in zip(ways, callers, strict=True):
            if way.stream:
                caller.until(BEGUN.strip().encode())
        sim.wait_for(lambda log: sum(call.operation == "chat" for call in log) >= len(ways))
        yield callers


# --- clocks (F95) -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("jump", [3600, -3600, 86400, -86400, 400 * 86400])
def test_who_sets_the_clock_changes_no_rest(jump: float, tmp_path_factory: pytest.TempPathFactory) -> None:
    """F95: waits follow the monotonic clock: neither shorter nor longer for it."""
    with make_world(tmp_path_factory, {"cohere": ["one", "two"]}) as world:
        world.sim.on("cohere", limited(retry_after="30"), key="one", times=1)
        for _ in range(2):
            world.ask(PLAIN, COHERE).assert_ok()
        world.clock.skew = jump
        (rest,) = world.key("cohere#1")["rests"]
        assert 28 < rest["until_s"] < 34
        for _ in range(3):
            world.ask(PLAIN, COHERE).assert_ok()
        assert world.used("cohere").count("one") == 1
        world.clock.travel(34)
        for _ in range(2):
            world.ask(PLAIN, COHERE).assert_ok()
        assert "one" in world.used("cohere")[-2:]


@every_way
def test_a_stall_of_ours_is_nobodys_fault(tmp_path_factory: pytest.TempPathFactory, way: Way) -> None:
    """F95: the loop stands still for longer than any patience: served all the same, and no key is blamed."""
    times = "[timeouts]\nfirst_content_s = 0.2\nidle_s = 0.2\nanswer_s = 5\n"
    with make_world(tmp_path_factory, {"cohere": ["one", "two"]}, times) as world:
        world.sim.hold("go")
        world.sim.say("cohere", [Wait("go"), "Once upon a time."], times=1)
        with world.caller().ask(way, COHERE) as caller:
            world.sim.wait_for(lambda log: [call for call in log if call.operation == "chat"])

            def stand_still() -> None:
                world.sim.release("go")
                end = time.monotonic() + 0.5
                while time.monotonic() < end:
                    pass

            world.proxy.do(lambda _: stand_still())
            way.told(caller.to_end()).assert_ok()
        assert {world.key(f"cohere#{n}")["state"] for n in (1, 2)} == {"healthy"}


# --- signals (F98) ----------------------------------------------------------------------------------------------------


def test_sigterm_lets_every_stream_end(sim: SimulatorThread, tmp_path: Path) -> None:
    """F98, P12: 200 are in the middle of it: nobody else is let in, idle connections go, all end well; exit code 0."""
    ways = EVERY * 20
    with (
        Program(tmp_path, **sim.env({"cohere": ["one"]})) as program,
        held_streams(sim, program, ways) as callers,
        Caller(program.port) as idle,
    ):
        idle.send(render("/api/version", close=False)).until(b"}")
        program.signal(signal.SIGTERM)
        assert idle.socket.recv(1) == b""

        def refused() -> bool:
            with socket.socket() as late:
                return late.connect_ex(("127.0.0.1", program.port)) == errno.ECONNREFUSED

        wait_until(refused)
        sim.release("go")
        for way, caller in zip(ways, callers, strict=True):
            way.told(caller.to_end()).assert_ok(TALE)
        assert program.wait() == 0
        assert "Traceback" not in program.output


def test_what_does_not_end_in_time_is_told(sim: SimulatorThread, tmp_path: Path) -> None:
    """F98: after the drain time: an error in each stream, 503 where nothing was sent; exit code 0."""
    (tmp_path / "ollama-proxy.toml").write_text("[timeouts]\ndrain_s = 1\n")
    ways = EVERY
    with (
        Program(tmp_path, **sim.env({"cohere": ["one"]})) as program,
        held_streams(sim, program, ways) as callers,
    ):
        program.signal(signal.SIGTERM)
        for way, caller in zip(ways, callers, strict=True):
            told = way.told(caller.to_end())
            if way.stream:
                told.assert_broken("shutting_down", after=BEGUN)
            else:
                told.assert_refused(503, "shutting_down")
                assert told.headers["connection"] == "close"
                assert 1 <= int(told.headers["retry-after"]) <= 5
            assert "stopped" in told.error
        assert program.wait() == 0
    sim.wait_for(lambda log: all(call.gave_up for call in log if call.operation == "chat"))


def test_a_pull_that_does_not_end_in_time_is_told(sim: SimulatorThread, tmp_path: Path) -> None:
    """F98: it waits for a model's proof of life, and nobody waits for an answer that will not come."""
    (tmp_path / "ollama-proxy.toml").write_text("[timeouts]\ndrain_s = 1\n")
    sim.hold("go")
    sim.say("cohere", [Wait("go"), TALE])
    with Program(tmp_path, **sim.env({"cohere": ["one"]})) as program, Caller(program.port) as caller:
        caller.send(render("/api/pull", {"model": "cohere:nowhere-listed"}))
        sim.wait_for(lambda log: [call for call in log if call.operation == "chat"])
        program.signal(signal.SIGTERM)
        caller.to_end()
        assert caller.received.startswith(b"HTTP/1.1 503 ")
        assert b"stopped" in caller.received
        assert program.wait() == 0


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_now(sim: SimulatorThread, tmp_path: Path, second: int) -> None:
    """F98: whoever cannot wait does not wait; no cut answer looks whole."""
    with (
        Program(tmp_path, **sim.env({"cohere": ["one"]})) as program,
        held_streams(sim, program, STREAMS) as callers,
        Caller(program.port) as idle,
    ):
        program.signal(signal.SIGTERM)
        # The first signal has arrived.
        assert idle.socket.recv(1) == b""
        began = time.monotonic()
        program.signal(second)
        assert program.wait() == 0
        assert time.monotonic() - began < 3
        assert not any(caller.to_end().complete for caller in callers)


# --- new settings (F99) -----------------------------------------------------------------------------------------------


def write_env(folder: Path, sim: SimulatorThread, *labels: str, more: str = "") -> None:
    text = "".join(f"{name}={value}\n" for name, value in sim.env({"cohere": labels}).items())
    (folder / ".env").write_text(text + more)


def test_new_settings_under_load_cost_no_request(sim: SimulatorThread, tmp_path: Path) -> None:
    """F99, I21: keys come and go while requests pour in; who stays keeps what is known; bad files change nothing."""
    write_env(tmp_path, sim, "one", "two")
    sim.on("cohere", NO_CREDIT, key="one", times=None)
    with Program(tmp_path) as program:
        for _ in range(2):
            ask(program).assert_ok()
        statuses: list[int] = []

        async def pour(stop: asyncio.Event) -> None:
            while not stop.is_set():
                way = EVERY[len(statuses) % len(EVERY)]
                told = way.told(await exchange(program.port, render(way.path, way.body(COHERE))))
                statuses.append(told.status if told.complete else 0)

        async def change(mark: str) -> None:
            """Reads the settings anew in the middle of twenty requests."""
            enough = len(statuses) + 10
            while len(statuses) < enough:
                await asyncio.sleep(0)
            program.signal(signal.SIGHUP)
            await asyncio.get_running_loop().run_in_executor(None, program.read_until, mark)
            enough = len(statuses) + 10
            while len(statuses) < enough:
                await asyncio.sleep(0)

        async def scene() -> None:
            stop = asyncio.Event()
            clients = [asyncio.create_task(pour(stop)) for _ in range(4)]
            for labels in [("one", "two", "three"), ("one", "three"), ("one", "three", "four")]:
                write_env(tmp_path, sim, *labels)
                await change("in force")
            (tmp_path / ".env").write_text("COHERE_API_KEYS=a b\n")
            await change("new settings are not used")
            stop.set()
            await asyncio.gather(*clients)

        asyncio.run(scene())
        assert set(statuses) == {200}
        assert states(program) == ["exhausted", "healthy", "healthy"]
        assert len(sim.calls("cohere", key="one", operation="chat")) == 1
        assert sim.calls("cohere", key="four", operation="chat")
        ask(program).assert_ok()


def test_a_new_secret_revives_its_own_key_alone(sim: SimulatorThread, tmp_path: Path) -> None:
    """F99: in the place of an exhausted key: a fresh one; the other exhausted one stays as it is."""
    write_env(tmp_path, sim, "one", "two", "good")
    for label in ("one", "two"):
        sim.on("cohere", NO_CREDIT, key=label)
    with Program(tmp_path) as program:
        for _ in range(3):
            ask(program).assert_ok()
        assert states(program) == ["exhausted", "exhausted", "healthy"]
        write_env(tmp_path, sim, "new", "two", "good")
        program.signal(signal.SIGHUP)
        program.read_until("in force")
        assert states(program) == ["healthy", "exhausted", "healthy"]
        for _ in range(4):
            ask(program).assert_ok()
        assert sim.calls("cohere", key="new", operation="chat")
        assert len(sim.calls("cohere", key="two", operation="chat")) == 1


def test_a_changed_file_is_a_changed_setting(sim: SimulatorThread, tmp_path: Path) -> None:
    """F99: without any signal, within seconds."""
    write_env(tmp_path, sim, "one")
    with Program(tmp_path) as program:
        assert len(keys(program)) == 1
        write_env(tmp_path, sim, "one", "two")
        program.read_until("in force")
        assert len(keys(program)) == 2


# --- accidents (F100, F102, F103) -------------------------------------------------------------------------------------


def on_disk(folder: Path) -> str:
    """What the state file holds, as far as it can be read at this moment."""
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(folder / "state.db")) as database:
        return str(database.execute("SELECT name, CAST(value AS TEXT) FROM documents").fetchall())
    return ""


def test_what_was_learnt_survives_a_kill(sim: SimulatorThread, tmp_path: Path) -> None:
    """F9, F100, P11: killed in the middle of streams, four times: the state is whole, an exhausted key stays so."""
    env = {**sim.env({"cohere": ["one", "two"]}), "DATA_DIR": str(tmp_path / "state")}
    sim.on("cohere", NO_CREDIT, key="one")
    with Program(tmp_path, **env) as program:
        for _ in range(2):
            ask(program).assert_ok()
        wait_until(lambda: "exhausted" in on_disk(tmp_path / "state"))
        with held_streams(sim, program, STREAMS) as callers:
            program.signal(signal.SIGKILL)
            assert not any(caller.to_end().complete for caller in callers)
    for _ in range(3):
        sim.reset()
        with Program(tmp_path, **env) as program:
            assert states(program) == ["exhausted", "healthy"]
            ask(program).assert_ok()
            assert not sim.calls("cohere", key="one", operation="chat")
            with contextlib.closing(sqlite3.connect(tmp_path / "state" / "state.db")) as database:
                assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            program.signal(signal.SIGKILL)
            program.wait()


@linux
def test_a_full_disk_costs_no_request(sim: SimulatorThread, tmp_path: Path) -> None:
    """F102: no byte can be written: requests go on; later, what was learnt meanwhile is written after all."""
    env = {**sim.env({"cohere": ["one", "two"]}), "DATA_DIR": str(tmp_path / "state")}
    with Program(tmp_path, **env) as program:
        with limited_to(program, 0, resource.RLIMIT_FSIZE):
            sim.on("cohere", NO_CREDIT, key="one")
            for way in EVERY:
                ask(program, way).assert_ok()
            program.read_until("state cannot be kept")
            ask(program).assert_ok()
            assert "exhausted" not in on_disk(tmp_path / "state")
        wait_until(lambda: "exhausted" in on_disk(tmp_path / "state"))
        assert program.stop() == 0


def test_a_state_that_is_lost_while_running_is_begun_anew(sim: SimulatorThread, tmp_path: Path) -> None:
    """F103: overwritten while it serves: set aside at the next write, and nothing that was learnt is lost."""
    env = {**sim.env({"cohere": ["one", "two"]}), "DATA_DIR": str(tmp_path / "state")}
    sim.on("cohere", NO_CREDIT, key="one")
    with Program(tmp_path, **env) as program:
        wait_until(lambda: on_disk(tmp_path / "state"))
        (tmp_path / "state" / "state.db").write_bytes(b"no database any more" * 1000)
        for way in EVERY:
            ask(program, way).assert_ok()
        program.read_until("is damaged")
        wait_until(lambda: "exhausted" in on_disk(tmp_path / "state"))
        assert program.stop() == 0
        assert "Traceback" not in program.output
    assert (tmp_path / "state" / "state.db.broken-1").read_bytes().startswith(b"no database any more")
    with Program(tmp_path, **env) as program:
        assert states(program) == ["exhausted", "healthy"]


@pytest.mark.parametrize(
    "value", [b"null", b"[null, 1e999]", b"[" * 5_000, b'{"version": 1}', b"[[1e300]]", b"9" * 400, 7, "text"], ids=repr
)
def test_odd_documents_in_the_state_cost_what_they_told_and_no_more(
    sim: SimulatorThread, tmp_path: Path, value: bytes | str | int
) -> None:
    """F103: somebody has written into the file: it starts and serves."""
    path = tmp_path / "data" / "state.db"
    env = sim.env({"cohere": ["one"]})
    with RunningProxy(env, tmp_path):
        pass
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        names = ["pool/cohere", "memory", *(name for (name,) in database.execute("SELECT name FROM documents"))]
        database.executemany("INSERT OR REPLACE INTO documents VALUES (?, ?)", [(name, value) for name in names])
    with RunningProxy(env, tmp_path) as proxy:
        PLAIN.told(asyncio.run(exchange(proxy.port, render(PLAIN.path, PLAIN.body(COHERE))))).assert_ok()


@pytest.mark.parametrize("obstacle", ["garbage", "a file in the way", "locked"])
def test_a_broken_state_does_not_keep_it_from_starting(sim: SimulatorThread, tmp_path: Path, obstacle: str) -> None:
    """F102, F103: whatever is the matter with the state file: it starts, serves, and keeps the old file."""
    state = tmp_path / "state"
    with contextlib.ExitStack() as held:
        if obstacle == "garbage":
            state.mkdir()
            (state / "state.db").write_bytes(b"no database at all" * 1000)
        elif obstacle == "locked":
            state.mkdir()
            database = held.enter_context(contextlib.closing(sqlite3.connect(state / "state.db")))
            database.execute("CREATE TABLE t (x)")
            database.execute("BEGIN EXCLUSIVE")
        else:
            state.write_text("in the way")
        with Program(tmp_path, **sim.env({"cohere": ["one"]}), DATA_DIR=str(state)) as program:
            for way in EVERY:
                ask(program, way).assert_ok()
            assert program.stop() == 0
            assert "Traceback" not in program.output
    if obstacle == "garbage":
        assert (state / "state.db.broken-1").read_bytes().startswith(b"no database")


def test_a_restart_under_load_takes_the_port_at_once(sim: SimulatorThread, tmp_path: Path) -> None:
    """F101, P12: killed with streams open and connections kept: the next one listens there, and clients come back."""
    env = sim.env({"cohere": ["one"]})
    with Program(tmp_path, **env) as first, held_streams(sim, first, STREAMS) as callers, Caller(first.port) as kept:
        port = first.url.rpartition(":")[2]
        kept.send(render("/api/version", close=False)).until(b"}")
        first.signal(signal.SIGKILL)
        first.wait()
        with Program(tmp_path, **env, PORT=port) as second:
            assert not any(caller.to_end().complete for caller in callers)
            assert kept.socket.recv(1) == b""
            for way in EVERY:
                ask(second, way).assert_ok()


# --- the machine (F104, F105, F106, F109) -----------------------------------------------------------------------------


def test_nobody_reads_the_log_and_nobody_waits(sim: SimulatorThread, tmp_path: Path) -> None:
    """F104: the pipe is full: requests are as quick as before, and the program ends when it is told to."""
    model = f"{COHERE}!missing{'x' * 150}"
    with Program(tmp_path, LOG_LEVEL="DEBUG", **sim.env({"cohere": ["one"]})) as program:

        async def flood() -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", program.port)
            for _ in range(1_000):
                writer.write(render(PLAIN.path, PLAIN.body(model), close=False))
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]))
            writer.close()

        asyncio.run(flood())
        for way in EVERY:
            ask(program, way).assert_ok()
        program.signal(signal.SIGTERM)
        assert program.wait_unread() == 0


@linux
def test_without_descriptors_what_runs_goes_on(sim: SimulatorThread, tmp_path: Path) -> None:
    """F105: nobody else can be let in; who is in is served to the end; afterwards all is as before."""
    with (
        Program(tmp_path, **sim.env({"cohere": ["one"]})) as program,
        held_streams(sim, program, STREAMS) as callers,
    ):
        with limited_to(program, room_for(program, 4)), contextlib.ExitStack() as crowd:
            for _ in range(30):
                with contextlib.suppress(OSError):
                    crowd.enter_context(Caller(program.port)).send(b"GET /healthz HTTP/1.1\r\n")
            sim.release("go")
            for way, caller in zip(STREAMS, callers, strict=True):
                way.told(caller.to_end()).assert_ok(TALE)

        def served() -> bool:
            with contextlib.suppress(OSError, ValueError, IndexError):
                return ask(program).status == 200
            return False

        wait_until(served)
        assert program.stop() == 0
        assert "Traceback" not in program.output


@linux
def test_without_descriptors_nobody_else_is_blamed(sim: SimulatorThread, tmp_path: Path) -> None:
    """F105: no connection to the provider can be opened: 503 of ours, one line in the log; keys are well."""
    with (
        Program(tmp_path, **sim.env({"cohere": ["one", "two"]})) as program,
        held_streams(sim, program, STREAMS * 4) as callers,
        contextlib.ExitStack() as crowd,
    ):
        waiting = [crowd.enter_context(Caller(program.port)) for _ in EVERY]
        for caller in waiting:
            caller.send(render("/healthz", close=False)).until(b"}")
            caller.received = b""
        with limited_to(program, room_for(program, 0)):
            for way, caller in zip(EVERY, waiting, strict=True):
                told = way.told(caller.ask(way, COHERE).to_end())
                told.assert_refused(503, "server_overloaded")
                assert "own machine" in told.error
                assert told.headers["retry-after"] == "1"
        assert states(program) == ["healthy", "healthy"]
        sim.release("go")
        for caller in callers:
            assert caller.to_end().complete
        for way in EVERY:
            ask(program, way).assert_ok()
        assert program.stop() == 0
        assert program.output.count("no connection to a provider can be opened") == 1
        assert "Traceback" not in program.output


def test_who_comes_alone_does_not_wait_behind_a_crowd(tmp_path_factory: pytest.TempPathFactory) -> None:
    """F109: 200 requests of one client are under way; another one's is served as if they were not there."""
    with make_world(tmp_path_factory, {"cohere": ["one", "two"]}) as world:
        world.sim.hold("go")
        world.sim.say("cohere", [BEGUN, Wait("go"), TALE.removeprefix(BEGUN)], times=200)
        ways = EVERY * 20
        with contextlib.ExitStack() as everybody:
            callers = [everybody.enter_context(world.caller()).ask(way, COHERE) for way in ways]
            world.sim.wait_for(lambda log: sum(call.operation == "chat" for call in log) == len(ways))
            told = [world.ask(way, COHERE) for way in EVERY]
            for answer in told:
                answer.assert_ok()
            assert min(answer.seconds for answer in told) < 0.1
            world.sim.release("go")
            for way, caller in zip(ways, callers, strict=True):
                way.told(caller.to_end()).assert_ok(TALE)


def test_too_much_is_refused_at_once_and_passes(tmp_path_factory: pytest.TempPathFactory) -> None:
    """F106: beyond the limit: 503 within 50 ms, in each protocol; those within it are served, and then all is well."""
    with make_world(tmp_path_factory, {"cohere": ["one", "two"]}, "[limits]\nin_flight = 10\n") as world:
        world.sim.hold("go")
        world.sim.say("cohere", [BEGUN, Wait("go"), "upon a time."], times=10)
        ways = EVERY
        with contextlib.ExitStack() as everybody:
            callers = [everybody.enter_context(world.caller()).ask(way, COHERE) for way in ways]
            world.sim.wait_for(lambda log: sum(call.operation == "chat" for call in log) == 10)
            told = [world.ask(way, COHERE) for way in ways * 3]
            for answer in told:
                answer.assert_refused(503, "server_overloaded")
                assert 1 <= int(answer.headers["retry-after"]) <= 5
            assert min(answer.seconds for answer in told) < 0.05
            world.sim.release("go")
            for way, caller in zip(ways, callers, strict=True):
                way.told(caller.to_end()).assert_ok(TALE)
        world.wait_until(world.is_idle)
        for way in ways:
            world.ask(way, COHERE).assert_ok()
