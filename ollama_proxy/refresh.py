"""Owns the errand of asking every provider for its models: in the background, never in a client's way.

A provider that is down or says nonsense neither delays nor empties the list: what was known before stays, also from the
last run. Knows nothing of what a model is; `catalog` and `providers` do.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

import msgspec

from ollama_proxy.catalog import Catalog
from ollama_proxy.channel import Channel
from ollama_proxy.clock import Clock
from ollama_proxy.errors import ProxyError
from ollama_proxy.outcome import CANCELLED, OK, Kind, Outcome, Reply
from ollama_proxy.pool import Lease
from ollama_proxy.providers import NO_LIST
from ollama_proxy.settings import Timeouts
from ollama_proxy.store import UNREADABLE, Documents
from ollama_proxy.types import Headers, Model
from ollama_proxy.upstream import Transport, Upstream

__all__ = ["Refresh"]

_log = logging.getLogger("ollama_proxy.models")
#: Bytes of one page; the largest real one (thousands of models with descriptions) is a tenth of it.
_PAGE_BYTES = 16 * 1024 * 1024
_MAX_PAGES = 20
#: After a failed look the next one comes sooner, but not at once.
_RETRY_S = 60.0
_DOCUMENT = "models"


class Refresh:
    """Keeps the catalogue fresh."""

    def __init__(
        self,
        channels: Iterable[Channel],
        catalog: Catalog,
        upstream: Upstream,
        clock: Clock,
        documents: Documents,
        timeouts: Timeouts,
    ) -> None:
        self._channels = list(channels)
        self._catalog = catalog
        self._upstream = upstream
        self._clock = clock
        self._documents = documents
        self._timeouts = timeouts

    def restore(self) -> None:
        """What the last run knew, or the built-in lists: there is something to show before anybody was asked."""
        for channel in self._channels:
            if channel.models_path is None:
                self._catalog.replace(channel.name, channel.known_models(), self._clock.wall())
        saved = self._documents.get(_DOCUMENT)
        try:
            self._catalog.restore(None if saved is None else msgspec.json.decode(saved), self._clock.wall())
        except UNREADABLE:
            _log.warning("the kept model lists cannot be read; they will be asked for anew")
        self._catalog.keep_only(channel.name for channel in self._channels)

    async def run(self) -> None:
        """Looks at every provider now and then, until cancelled."""
        await asyncio.gather(*(self._watch(channel) for channel in self._channels))

    async def look(self, provider: str) -> None:
        """One look at one provider; whatever comes of it is in the catalogue."""
        for channel in self._channels:
            if channel.name == provider:
                await self._look(channel)

    async def once(self) -> dict[str, str]:
        """One look at every provider; what went wrong, by provider."""
        results = await asyncio.gather(*(self._look(channel) for channel in self._channels))
        return {channel.name: said for channel, said in zip(self._channels, results, strict=True) if said}

    async def _watch(self, channel: Channel) -> None:
        if channel.models_path is None:
            return
        while True:
            said = await self._look(channel)
            if said:
                _log.info("%s: no model list (%s)", channel.name, said)
            await asyncio.sleep(
                min(_RETRY_S, self._timeouts.models_refresh_s) if said else self._timeouts.models_refresh_s
            )

    async def _look(self, channel: Channel) -> str:
        """Why there is no new list, or ""."""
        if channel.models_path is None:
            return ""
        now = self._clock.now()
        lease = channel.pool.acquire("", None, now, self._clock.rnd(), channel.sign_ins)
        if not isinstance(lease, Lease):
            return "no key may be used just now"
        outcome = CANCELLED
        try:
            outcome = await self._ask(channel, lease)
        finally:
            # Only what concerns the key counts: a list that is slow or missing says nothing about chats.
            told = outcome if outcome.kind in (Kind.OK, Kind.CREDENTIAL) else CANCELLED
            channel.give_back(lease, told, self._clock.now(), self._clock.rnd())
        if outcome.kind is Kind.OK:
            return ""
        if outcome.code == NO_LIST:
            self._catalog.replace(channel.name, channel.known_models(), self._clock.wall())
            return ""
        return outcome.said or outcome.kind.value

    async def _ask(self, channel: Channel, lease: Lease) -> Outcome:
        models: list[Model] = []
        path, access = channel.models_path, channel.auth(lease)
        assert access is not None
        try:
            for _ in range(_MAX_PAGES):
                assert path is not None
                reply = await self._page(channel, path, access.headers, lease)
                if reply.status != 200:
                    return channel.provider.classify(reply, "", self._clock.wall())
                page, path = channel.provider.parse_models(reply.body)
                models += page
                if path is None:
                    break
        except ProxyError as error:
            return Outcome(Kind.TRANSIENT, error.message)
        if not self._catalog.replace(channel.name, models, self._clock.wall()):
            return Outcome(Kind.JUNK, "a list that is empty or suspiciously short")
        self._documents.put(_DOCUMENT, msgspec.json.encode(self._catalog.export()))
        return OK

    async def _page(self, channel: Channel, path: str, auth: Headers, lease: Lease) -> Reply:
        reply = await self._upstream.send(
            "GET",
            channel.provider.list_base_url,
            path,
            [*auth, *channel.provider.headers],
            b"",
            Transport(self._timeouts.connect_s, self._timeouts.models_s, self._timeouts.models_s),
            proxy=channel.proxies.get(lease.key.label),
        )
        try:
            return Reply(reply.status, reply.headers, await reply.read(_PAGE_BYTES, self._timeouts.models_s))
        finally:
            reply.close()
