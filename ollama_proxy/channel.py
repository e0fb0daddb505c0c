"""Owns one provider as the gateway uses it: where it is, its keys, and the lines of requests that wait for one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from ollama_proxy.outcome import Outcome
from ollama_proxy.pool import KeyPool, Lease
from ollama_proxy.providers import Provider
from ollama_proxy.types import Headers

__all__ = ["Channel", "Line"]


class Line:
    """Requests that wait for a key of one model, first come, first served."""

    __slots__ = ("_changed", "turn", "waiting")

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.waiting = 0
        self._changed: asyncio.Event = asyncio.Event()

    async def pause(self, seconds: float) -> None:
        """Until a key came back, `seconds` at most."""
        self._changed.clear()
        try:
            await asyncio.wait_for(self._changed.wait(), max(0.0, seconds))
        except asyncio.TimeoutError:
            return

    def wake(self) -> None:
        """A key came back: whoever is first looks again."""
        self._changed.set()


class Channel:
    """One provider: what it is, where it is, whose keys may be used.

    proxies: label of a key -> URL of the proxy that its calls leave through.
    """

    def __init__(
        self,
        provider: Provider,
        pool: KeyPool,
        *,
        base_url: str | None = None,
        proxies: Mapping[str, str] | None = None,
    ) -> None:
        self.provider = provider
        self.name = provider.name
        self.pool = pool
        self.base_url = (base_url or provider.base_url).rstrip("/")
        self.proxies = dict(proxies or {})
        self._auth: dict[str, Headers] = {}
        self._lines: dict[str, Line] = {}

    def auth(self, lease: Lease) -> Headers:
        """The header that shows the lease's key to its provider, and to nobody else."""
        key = lease.key
        headers = self._auth.get(key.fingerprint)
        if headers is None:
            # A server on this machine may take calls without a key: its one key is empty.
            headers = [self.provider.auth(key.reveal())] if key.reveal() else []
            self._auth[key.fingerprint] = headers
        return headers

    def give_back(self, lease: Lease, outcome: Outcome, now: float, rnd: float) -> None:
        """The lease, once, with what was learnt; whoever waits for a key looks again."""
        self.pool.release(lease, outcome, now, rnd)
        for line in self._lines.values():
            line.wake()

    def line(self, model_id: str) -> Line:
        """The line for one model; made when first needed."""
        return self._lines.setdefault(model_id, Line())

    def waiting(self, model_id: str) -> int:
        """How many requests wait for a key of this model."""
        line = self._lines.get(model_id)
        return line.waiting if line is not None else 0

    def leave(self, model_id: str) -> None:
        """Forgets a line that nobody stands in: model names come from clients."""
        line = self._lines.get(model_id)
        if line is not None and line.waiting == 0:
            del self._lines[model_id]
