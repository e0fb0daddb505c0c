"""Owns one running proxy: its start, its end, what goes on in the background, and the change of settings in between."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from ollama_proxy.clock import Clock, SystemClock
from ollama_proxy.errors import SettingsError
from ollama_proxy.secret import Scrubber
from ollama_proxy.server.app import App
from ollama_proxy.server.assembly import Lasting, Parts, assemble
from ollama_proxy.server.collector import Collector
from ollama_proxy.server.services import LIBRARY
from ollama_proxy.settings import Settings
from ollama_proxy.store import UNREADABLE
from ollama_proxy.texts import Texts

__all__ = ["Proxy"]

_log = logging.getLogger("ollama_proxy")
_FLUSH_S = 0.5
#: A crash loses about this much of what was learnt about keys.
_FACTS_S = 1.0
_FACTS = "pool/"
_MEMORY = "memory"
#: Between two looks at the settings' files.
_WATCH_S = 2.0


class Proxy:
    """One proxy: `app` serves requests between `start` and `stop`.

    demo_url: where the built-in demo model answers, for a start without any key.
    read_settings: reads them anew; None where they cannot change.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock | None = None,
        scrubber: Scrubber | None = None,
        demo_url: str | None = None,
        read_settings: Callable[[], Settings] | None = None,
    ) -> None:
        self.lasting = Lasting(settings, clock or SystemClock(), scrubber or Scrubber())
        self._demo_url = demo_url
        self._read_settings = read_settings
        self.parts: Parts = assemble(settings, self.lasting, demo_url)
        self.app = App(self.parts.routes, self.parts.access, self.parts.origins, self.parts.hosts)
        self._background: list[asyncio.Task[Any]] = []
        self._refreshing: asyncio.Task[Any] | None = None
        self._suspected: set[tuple[str, ...]] = set()
        self._collector = Collector()

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self.parts.settings

    async def start(self) -> None:
        """Takes up what the last run knew and sets the background going."""
        self.parts.refresh.restore()
        self._restore_facts()
        self._restore_library()
        self._restore_memory()
        self._begin(self.lasting.documents.keep_writing())
        self._begin(self._keep_facts())
        self._begin(self._keep_flushing())
        if self._read_settings is not None:
            self._begin(self._keep_watching())
        self._refreshing = asyncio.create_task(self.parts.refresh.run())
        self._collector.begin(self.lasting.clock.now())

    def drain(self) -> None:
        """New requests are refused from now on; running ones go on."""
        self.app.draining = True

    def give_up(self) -> None:
        """Whatever is still under way ends here; its clients are told."""
        self.parts.services.gateway.close()
        self.app.end_all()

    async def stop(self) -> None:
        """Ends the background and writes what has to outlive us."""
        tasks = [*self._background, *([self._refreshing] if self._refreshing is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._save_facts()
        self.lasting.documents.close()
        self.lasting.journal.flush()
        await self.lasting.close()
        self._collector.end()

    # --- a change of settings -----------------------------------------------------------------------------------------

    def reload(self) -> bool:
        """Reads the settings anew and puts them in force from the next request on; bad ones change nothing.

        Requests under way end as they began. Keys that stay keep their state; where we listen stays as it is.
        """
        if self._read_settings is None:
            return False
        before = self.parts
        try:
            parts = assemble(self._read_settings(), self.lasting, self._demo_url)
        except SettingsError as error:
            _log.error("the new settings are not used: %s", error.message)
            return False
        parts.services.gateway.take_over(before.services.gateway)
        for gone in before.channels.keys() - parts.channels.keys():
            self.lasting.pools.pop(gone, None)
        self.parts = parts
        self.app.use(parts.routes, parts.access, parts.origins, parts.hosts)
        parts.refresh.restore()
        self._restore_facts()
        if self._refreshing is not None:
            self._refreshing.cancel()
            self._refreshing = asyncio.create_task(parts.refresh.run())
        _log.info("new settings are in force: %s", ", ".join(parts.channels) or "no provider")
        for warning in parts.warnings(Texts(korean=False)):
            _log.warning(warning)
        return True

    async def _keep_watching(self) -> None:
        """A changed file is a changed setting."""
        seen = self._stamps()
        while True:
            await asyncio.sleep(_WATCH_S)
            now = self._stamps()
            if now != seen:
                seen = now
                self.reload()

    def _stamps(self) -> list[tuple[int, int]]:
        stamps = []
        for path in self.settings.sources:
            try:
                found = path.stat()
                stamps.append((found.st_mtime_ns, found.st_size))
            except OSError:
                stamps.append((0, 0))
        return stamps

    # --- the background -----------------------------------------------------------------------------------------------

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        self._background.append(asyncio.create_task(work))

    async def _keep_flushing(self) -> None:
        while True:
            await asyncio.sleep(_FLUSH_S)
            self.lasting.journal.flush()

    async def _keep_facts(self) -> None:
        while True:
            await asyncio.sleep(_FACTS_S)
            self._look_again()
            self._save_facts()

    def _save_facts(self) -> None:
        lasting = self.lasting
        now, wall = lasting.clock.now(), lasting.clock.wall()
        for name, pool in lasting.pools.items():
            facts = pool.facts(now, wall)
            if facts or lasting.documents.get(_FACTS + name) is not None:
                lasting.documents.put(_FACTS + name, msgspec.json.encode(facts) if facts else None)
        if lasting.memory.changed:
            lasting.documents.put(_MEMORY, msgspec.json.encode(lasting.memory.export()))

    def _restore_facts(self) -> None:
        lasting = self.lasting
        now, wall = lasting.clock.now(), lasting.clock.wall()
        for name, pool in lasting.pools.items():
            saved = lasting.documents.get(_FACTS + name)
            with contextlib.suppress(*UNREADABLE):
                pool.restore([] if saved is None else msgspec.json.decode(saved), now, wall)
        self._look_again()

    def _look_again(self) -> None:
        now, wall = self.lasting.clock.now(), self.lasting.clock.wall()
        self._collector.look(self.parts.services.gateway.in_flight, now)
        for channel in self.parts.channels.values():
            channel.look_again(now)
            channel.pool.tick(now, channel.provider.day_left(wall))
            for keys in channel.pool.suspicions(now):
                self._suspect(channel.name, keys)

    def _suspect(self, provider: str, keys: tuple[str, ...]) -> None:
        """Says once which keys seem to be one account's, and how to settle it."""
        if keys in self._suspected:
            return
        self._suspected.add(keys)
        _log.warning(
            "%s seem to belong to one account: %s refuses them together once their calls together reach the limit. "
            "They rest together from now on. Say so in ollama-proxy.toml, or give each its own name: "
            "[providers.%s.accounts] %s",
            ", ".join(keys),
            provider,
            provider,
            ", ".join(f'"{key}" = "one account"' for key in keys),
        )

    def _restore_memory(self) -> None:
        saved = self.lasting.documents.get(_MEMORY)
        with contextlib.suppress(*UNREADABLE):
            self.lasting.memory.import_(None if saved is None else msgspec.json.decode(saved))

    def _restore_library(self) -> None:
        saved = self.lasting.documents.get(LIBRARY)
        with contextlib.suppress(*UNREADABLE):
            self.lasting.library.restore(None if saved is None else msgspec.json.decode(saved))
