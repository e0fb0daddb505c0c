"""Owns one provider as the gateway uses it: where it is, its keys, and the lines of requests that wait for one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from ollama_proxy import oauth
from ollama_proxy.outcome import Kind, Outcome, Reply, Scope
from ollama_proxy.plan import Stage
from ollama_proxy.pool import KeyPool, Lease
from ollama_proxy.providers import Provider
from ollama_proxy.sign_in import SignIn
from ollama_proxy.types import Access, Model

__all__ = ["Channel", "Line", "Place"]


class Place:
    """One request's place in a line."""

    __slots__ = ("_line", "_woken")

    def __init__(self, line: Line) -> None:
        self._line = line
        self._woken: asyncio.Future[None] | None = None

    @property
    def is_first(self) -> bool:
        return self._line.first is self

    async def pause(self, seconds: float) -> None:
        """Until somebody wakes it, `seconds` at most. (`asyncio.wait_for` may swallow a cancellation before 3.12.)"""
        loop = asyncio.get_running_loop()
        self._woken = loop.create_future()
        timer = loop.call_later(max(0.0, seconds), self.wake)
        try:
            await self._woken
        finally:
            timer.cancel()
            self._woken = None

    def wake(self) -> None:
        if self._woken is not None and not self._woken.done():
            self._woken.set_result(None)

    def leave(self) -> None:
        """The next one moves up."""
        self._line.leave(self)


class Line:
    """Requests that wait for a key of one model, first come, first served; who asks in vain keeps the first place."""

    __slots__ = ("_on_empty", "_places")

    def __init__(self, on_empty: Callable[[], object]) -> None:
        self._places: deque[Place] = deque()
        self._on_empty = on_empty

    @property
    def waiting(self) -> int:
        return len(self._places)

    @property
    def first(self) -> Place:
        return self._places[0]

    def join(self) -> Place:
        """A place at the end."""
        place = Place(self)
        self._places.append(place)
        return place

    def leave(self, place: Place) -> None:
        self._places.remove(place)
        if self._places:
            self.wake()
        else:
            self._on_empty()

    def wake(self) -> None:
        """A key came back, or the line has moved: whoever is first looks again."""
        self.first.wake()


class Channel:
    """One provider: what it is, where it is, whose keys may be used.

    stage: it as the only target of a request.

    proxies: label of a key -> URL of the proxy that its calls leave through.
    sign_ins: label of a key -> the sign-in that it stands for; plain keys are not among them.
    models_path: where the model list lies; None where there is none to ask for, or only sign-ins to ask with.
    """

    def __init__(
        self,
        provider: Provider,
        pool: KeyPool,
        *,
        base_url: str | None = None,
        proxies: Mapping[str, str] | None = None,
        sign_ins: Mapping[str, SignIn] | None = None,
    ) -> None:
        self.provider = provider
        self.name = provider.name
        self.pool = pool
        self.stage = Stage(pool.budget)
        self.base_url = (base_url or provider.base_url).rstrip("/")
        self.proxies = dict(proxies or {})
        self.sign_ins = dict(sign_ins or {})
        self._only_sign_ins = bool(sign_ins) and len(self.sign_ins) == len(pool.snapshot(0.0))
        self.models_path = None if self._only_sign_ins else provider.models_path
        self._access: dict[str, Access] = {}
        self._lines: dict[str, Line] = {}

    # --- keys, and what stands in for one -----------------------------------------------------------------------------

    def auth(self, lease: Lease) -> Access | None:
        """What shows the lease's key to its provider, and to nobody else; None for a sign-in: it has to `carry`."""
        key = lease.key
        access = self._access.get(key.fingerprint)
        if access is None and key.label not in self.sign_ins:
            # A server on this machine may take calls without a key: its one key is empty.
            headers = [self.provider.auth(key.reveal())] if key.reveal() else []
            access = self._access[key.fingerprint] = Access(self.base_url, headers)
        return access

    async def carry(self, lease: Lease, call: Callable[[Access], Awaitable[Outcome]]) -> Outcome:
        """How `call` ended with the token of the sign-in that the lease's key stands for."""
        label = lease.key.label
        sign_in = self.sign_ins[label]
        outcome = await sign_in.carry(call, self.proxies.get(label))
        if sign_in.given_up_at is not None:
            self.pool.retire(label, sign_in.given_up_at)
        return outcome

    def look_again(self, now: float) -> None:
        """A sign-in that was given up lives again once its file is another."""
        for label, sign_in in self.sign_ins.items():
            if sign_in.is_another():
                self.pool.revive(label, now)

    def complaint(self) -> str:
        """Why sign-ins were given up."""
        return "; ".join(sign_in.complaint for sign_in in self.sign_ins.values() if sign_in.complaint)

    def classify(self, reply: Reply, model_id: str, wall: float) -> Outcome:
        """What an answer means that did not serve. Keys and sign-ins belong to two services with models of their own:

        beside a sign-in, a model that is not there says nothing about the next key.
        """
        outcome = self.provider.classify(reply, model_id, wall)
        if self.sign_ins and outcome.kind is Kind.MODEL_GONE:
            return replace(outcome, kind=Kind.MODEL_ACCESS, scope=Scope.KEY_MODEL)
        return outcome

    def known_models(self) -> list[Model]:
        """The models to show where no list can be had."""
        return self.provider.known_models(oauth.MODELS if self._only_sign_ins else ())

    # --- leases and lines ---------------------------------------------------------------------------------------------

    def give_back(self, lease: Lease, outcome: Outcome, now: float, rnd: float) -> None:
        """The lease, once, with what was learnt; whoever waits for a key looks again."""
        self.pool.release(lease, outcome, now, rnd)
        for line in self._lines.values():
            line.wake()

    def waiting(self, model_id: str) -> int:
        """How many requests wait for a key of this model."""
        line = self._lines.get(model_id)
        return line.waiting if line is not None else 0

    def join_line(self, model_id: str) -> Place:
        """The last place in the line for one model. A line that nobody stands in is forgotten: names are clients'."""
        line = self._lines.get(model_id)
        if line is None:
            line = self._lines[model_id] = Line(lambda: self._lines.pop(model_id))
        return line.join()
