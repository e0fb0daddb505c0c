"""Owns the server: sockets, the log, and what a test may ask for. Knows no provider's rules.

    async with Simulator() as sim:
        settings = sim.env({"google": ["k-ok-1", "k-429-1"]})
        sim.play("google", "429-day")
        ...
        arrival = await sim.wait_for(lambda log: log and log[0])

It listens on the loopback interface unless told otherwise, and believes nothing that comes in.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
import traceback
from collections.abc import Callable, Collection, Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol

from ollama_proxy.simulator.actions import Behaviour
from ollama_proxy.simulator.ask import Ask
from ollama_proxy.simulator.connection import Connection
from ollama_proxy.simulator.events import compact
from ollama_proxy.simulator.faults import find_fault
from ollama_proxy.simulator.gates import Gates
from ollama_proxy.simulator.http import Request
from ollama_proxy.simulator.judge import Judge, Options, read_ask
from ollama_proxy.simulator.keys import make_key
from ollama_proxy.simulator.log import Arrival, Log
from ollama_proxy.simulator.portal import LIFE_S
from ollama_proxy.simulator.providers import PROVIDERS
from ollama_proxy.simulator.providers.base import Reply
from ollama_proxy.simulator.quota import FREE, Limits, Quota
from ollama_proxy.simulator.script import Play, Rule, Script, Then
from ollama_proxy.simulator.shapes import Shape, find_shape
from ollama_proxy.simulator.talk import Say

__all__ = ["Clock", "Simulator"]

_SECRET_HEADERS = frozenset({"authorization", "x-goog-api-key", "x-api-key", "cookie"})
#: How long closing waits for the sockets; they go within a turn of the loop.
_PATIENCE_S = 2.0
_CONTROLS = frozenset({"/_log", "/_reset"})


class Clock(Protocol):
    """Where the time comes from; the proxy's clocks fit."""

    def now(self) -> float:
        """Monotonic seconds."""

    def wall(self) -> float:
        """Epoch seconds."""


class _SystemClock:
    now = staticmethod(time.monotonic)
    wall = staticmethod(time.time)


class Simulator:
    """The simulated providers behind one socket.

    script: rules, looked at in order. clock: for quotas, dates and the log's times. port 0: a free one.
    limits: requests allowed per provider, or "free" for those of the free plans; None for none.
    accounts: label of a key -> account, of keys that are counted together.
    providers: serve only these. log_size: arrivals to remember; 0 remembers nothing and shuts `/_log`.
    on_arrival: called when an answer has ended.
    The other options are those of `judge.Options`.
    """

    def __init__(
        self,
        *,
        script: Sequence[Rule] = (),
        clock: Clock | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        limits: Mapping[str, Limits] | str | None = None,
        accounts: Mapping[str, str] | None = None,
        providers: Collection[str] | None = None,
        log_size: int = 10_000,
        on_arrival: Callable[[Arrival], None] | None = None,
        **options: Any,
    ) -> None:
        self._clock: Clock = clock or _SystemClock()
        self._host, self._asked_port = host, port
        self._served = {name: PROVIDERS[name] for name in PROVIDERS if providers is None or name in providers}
        self._script = Script(script)
        self._quota = Quota(FREE if limits == "free" else limits if isinstance(limits, Mapping) else {}, accounts)
        self._judge = Judge(Options(**options), self._script, self._quota)
        self._log = Log(log_size)
        self._log_size = log_size
        self._on_arrival = on_arrival
        self._server: asyncio.Server | None = None
        self._numbers = self._accepted = 0
        self.gates = Gates()
        self.connections: set[Connection] = set()
        #: Errors of the simulator itself; leaving `async with` raises them.
        self.bugs: list[str] = []

    # Life

    async def start(self) -> None:
        """Listen. Raises: OSError when the port is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accept, self._host, self._asked_port, backlog=1024)

    async def close(self) -> None:
        """Stop listening and drop every connection."""
        if self._server is None:
            return
        self._server.close()
        ends = [end for connection in list(self.connections) for end in connection.drop()]
        if ends:
            await asyncio.wait(ends, timeout=_PATIENCE_S)
        await self._server.wait_closed()
        self._server = None

    async def __aenter__(self) -> Simulator:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
        if self.bugs and error is None:
            raise AssertionError("the simulator itself failed:\n" + "\n".join(self.bugs))

    def _accept(self) -> Connection:
        self._accepted += 1
        return Connection(self, self._accepted)

    # Addresses and keys

    @property
    def port(self) -> int:
        """The port it listens on."""
        assert self._server is not None, "the simulator is not running"
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def origin(self) -> str:
        """`http://127.0.0.1:PORT`."""
        host = self._host if ":" not in self._host else f"[{self._host}]"
        return f"http://{host}:{self.port}"

    def base_url(self, provider: str, *, full: bool = False) -> str:
        """What to set as this provider's base address. full: with the path that the real address has after its host."""
        if provider not in self._served:
            raise KeyError(f"no simulated provider {provider!r}; there are {', '.join(self._served)}")
        path = f"/{self._served[provider].real_path}" if full else ""
        return f"{self.origin}/{provider}{path}"

    @staticmethod
    def key(provider: str, label: str) -> str:
        """The whole key behind a label; the log shows the label."""
        return make_key(provider, label)

    def env(self, keys: Mapping[str, Sequence[str]], *, full: bool = False) -> dict[str, str]:
        """The environment of a proxy that uses these keys (by label) at their simulated providers."""
        env: dict[str, str] = {}
        for provider, labels in keys.items():
            env[f"{provider.upper()}_BASE_URL"] = self.base_url(provider, full=full)
            env[f"{provider.upper()}_API_KEYS"] = ",".join(self.key(provider, label) for label in labels)
        return env

    def credentials(self, life_s: float = LIFE_S) -> dict[str, Any]:
        """What a new sign-in at Qwen's portal leaves in `oauth_creds.json`. life_s: below zero for an old one."""
        wall = self.wall()
        access, refresh = self._judge.portal.issue(wall, life_s)
        return {
            "access_token": access,
            "refresh_token": refresh,
            "token_type": "Bearer",
            "resource_url": self.base_url("qwen"),
            "expiry_date": round((wall + life_s) * 1000),
        }

    # The script

    def on(self, provider: str | None, then: Then, **which: Any) -> Rule:
        """Do `then` with the requests that fit. which: key, model, operation, nth, times (see Rule)."""
        rule = Rule(then, provider, **which)
        self._script.add(rule)
        return rule

    def play(self, provider: str | None, name: str, *, times: int | None = 1, **which: Any) -> Rule:
        """Answer the next fitting request (or `times` of them, None: all) with a recorded answer or fault.

        facts and headers as in Play; key, model, operation and nth as in Rule.
        Raises: KeyError for a name that this provider does not know.
        """
        asked = self._served if provider is None else {provider: PROVIDERS[provider]}
        if all(find_fault(each, name) is None for each in asked.values()):
            raise KeyError(f"{provider} has no recorded answer or fault {name!r}")
        shape = find_shape(provider or "", name)
        if shape is not None and shape.operation:
            which.setdefault("operation", shape.operation)
        play = Play(name, which.pop("facts", {}), which.pop("headers", {}))
        return self.on(provider, play, times=times, **which)

    def say(self, provider: str | None, text: Any = None, *, times: int | None = 1, **words: Any) -> Rule:
        """Say this in the provider's own form. Keywords of Say (thinking, calls, finish, usage) and of Rule."""
        say = Say(text, **{name: words.pop(name) for name in ("thinking", "calls", "finish", "usage") if name in words})
        return self.on(provider, say, times=times, **words)

    @staticmethod
    def shape(provider: str, name: str) -> Shape:
        """A recorded answer, to look at."""
        found = find_shape(provider, name)
        if found is None:
            raise KeyError(f"{provider} has no recorded answer {name!r}")
        return found

    def hold(self, name: str) -> None:
        """Close a gate."""
        self.gates.hold(name)

    def release(self, name: str) -> None:
        """Open a gate, for those who wait and those who come."""
        self.gates.release(name)

    def step(self, name: str) -> None:
        """Let one answer through a gate."""
        self.gates.step(name)

    async def reached(self, name: str, timeout_s: float = 5.0) -> None:
        """Return as soon as an answer waits at this gate. Raises: TimeoutError."""
        try:
            await asyncio.wait_for(self.gates.reached(name), timeout_s)
        except asyncio.TimeoutError as error:
            raise TimeoutError(f"nobody came to the gate {name!r} within {timeout_s} s") from error

    def reset(self) -> None:
        """Forget the log, the script, the quotas and how often faults struck."""
        self._log.clear()
        self._script.clear()
        self._quota.clear()
        self._judge.clear()

    # The log

    @property
    def log(self) -> list[Arrival]:
        """Arrivals, oldest first."""
        return self._log.arrivals

    def calls(self, provider: str | None = None, **which: Any) -> list[Arrival]:
        """The arrivals whose fields are so: `calls("google", key="k-ok-1", outcome="429")`."""
        wanted = {**({"provider": provider} if provider else {}), **which}
        return [a for a in self.log if all(getattr(a, name) == value for name, value in wanted.items())]

    async def wait_for(self, predicate: Callable[[list[Arrival]], Any], timeout_s: float = 5.0) -> Any:
        """What `predicate(log)` answers, as soon as it is true. Raises: TimeoutError, with the log."""
        return await self._log.wait_for(predicate, timeout_s)

    # What connections ask

    def now(self) -> float:
        """Monotonic seconds."""
        return self._clock.now()

    def wall(self) -> float:
        """Epoch seconds."""
        return self._clock.wall()

    def changed(self, arrival: Arrival) -> None:
        """Tell those who wait for the log, and the listener when the answer has ended."""
        self._log.changed()
        if arrival.finished_at is not None and self._on_arrival is not None and not arrival.told:
            arrival.told = True
            self._on_arrival(arrival)

    def decide(self, request: Request, connection: int) -> tuple[Arrival, Behaviour]:
        """The request's entry in the log, and what is to be done."""
        if request.path in _CONTROLS and self._log_size:
            ask = Ask("", "control", request.method, request.path, {}, {}, "", "", 0, 0.0)
            arrival = self._arrival(request, ask, connection)
            arrival.told = True
            return arrival, self._control(request)
        self._numbers += 1
        ask = read_ask(request, self._numbers, self.wall(), self._served)
        arrival = self._arrival(request, ask, connection)
        if self._log_size:
            self._log.add(arrival)
        try:
            behaviour = self._judge.decide(ask, self.now())
        except Exception:  # noqa: BLE001  the edge: our own bug must neither kill the server nor look like a provider's error
            self.bugs.append(traceback.format_exc())
            body = compact({"error": {"message": "The simulator itself failed; see its `bugs`.", "type": "simulator"}})
            behaviour = Behaviour(Reply("simulator-bug", 500, body).actions(), "simulator-bug")
        arrival.outcome = behaviour.name
        return arrival, behaviour

    def _arrival(self, request: Request, ask: Ask, connection: int) -> Arrival:
        return Arrival(
            number=ask.number,
            connection=connection,
            provider=ask.provider,
            operation=ask.operation,
            method=ask.method,
            path=ask.path,
            query={name: ask.label if name == "key" else value for name, value in ask.query.items()},
            headers=_masked(request.headers, ask),
            key=ask.label,
            model="!".join((ask.model, *ask.faults)),
            stream=ask.stream,
            body=dict(ask.body) if ask.body else None,
            raw=request.body,
            opened_at=self.now(),
        )

    def _control(self, request: Request) -> Behaviour:
        """What has arrived, or a fresh start. A web page that is open somewhere else may have neither."""
        if "origin" in request.headers:
            return Behaviour(Reply("refused", 403, b"").actions(), "refused")
        if request.path == "/_reset":
            if request.method != "POST":
                return Behaviour(Reply("refused", 405, b"", (("allow", "POST"),)).actions(), "refused")
            self.reset()
            return Behaviour(Reply("reset", 200, b'{"reset":true}').actions(), "reset")
        facts = [arrival.facts() for arrival in self.log]
        return Behaviour(Reply("log", 200, json.dumps(facts, default=str).encode()).actions(), "log")


def _masked(headers: Mapping[str, str], ask: Ask) -> dict[str, str]:
    """Headers with labels in place of keys."""
    shown = dict(headers)
    for name in _SECRET_HEADERS & shown.keys():
        value = shown[name]
        shown[name] = value.replace(ask.key, ask.label) if ask.key and ask.key in value else re.sub(r"\S", "*", value)
    return shown
