"""Puts the parts together, once, from the settings; starts and stops what runs in the background."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from ollama_proxy.catalog import Catalog
from ollama_proxy.channel import Channel
from ollama_proxy.clock import Clock, SystemClock
from ollama_proxy.errors import SettingsError
from ollama_proxy.gateway import Gateway
from ollama_proxy.http1.server import ServerLimits
from ollama_proxy.library import Library
from ollama_proxy.pool import KeyPool, PoolRules
from ollama_proxy.providers import Provider, known_models, load
from ollama_proxy.refresh import Refresh
from ollama_proxy.routing import Router
from ollama_proxy.secret import Scrubber, Secret
from ollama_proxy.server import library_api, ollama_api, openai_api, own_api
from ollama_proxy.server.access import Access, HostCheck, Origins
from ollama_proxy.server.app import App
from ollama_proxy.server.services import LIBRARY, Services
from ollama_proxy.settings import ProviderSettings, Settings
from ollama_proxy.store import Documents
from ollama_proxy.telemetry import Journal
from ollama_proxy.upstream import Upstream

__all__ = ["DEMO", "Proxy", "scrubber_of", "server_limits", "usable"]

_log = logging.getLogger("ollama_proxy")
_FLUSH_S = 0.5
_FACTS_S = 1.0
_FACTS = "pool/"
DEMO = "demo"


def scrubber_of(settings: Settings) -> Scrubber:
    """Knows every secret of these settings."""
    secrets = [key for provider in settings.providers.values() for key in provider.keys]
    if settings.token is not None:
        secrets.append(settings.token)
    return Scrubber(key.reveal() for key in secrets)


def server_limits(settings: Settings) -> ServerLimits:
    """What one client may ask of us."""
    return ServerLimits(max_body_bytes=settings.limits.body_bytes, max_connections=settings.limits.connections)


def usable(settings: Settings) -> tuple[dict[str, ProviderSettings], list[str]]:
    """(the providers that we know how to call, the names that mean nothing to us)."""
    known = load(only=settings.providers)
    described = {name for name, own in settings.providers.items() if "base_url" in _table(own)}
    wanted = {name: own for name, own in settings.providers.items() if name in known or name in described}
    return wanted, [name for name in settings.providers if name not in wanted]


class Proxy:
    """One proxy: `app` serves requests between `start` and `stop`.

    demo_url: where the built-in demo model answers, for a start without any key.
    """

    def __init__(self, settings: Settings, *, clock: Clock | None = None, demo_url: str | None = None) -> None:
        self.settings = settings
        self.clock = clock or SystemClock()
        self.journal = Journal()
        self.documents = Documents(settings.data_dir / "state.db" if settings.data_dir != Path() else None)
        self.catalog = Catalog(known_models())
        self.channels = self._channels(demo_url)
        self.upstream = Upstream(settings.proxy_environment)
        self.library = Library(settings.aliases)
        self.refresh = Refresh(
            self.channels.values(), self.catalog, self.upstream, self.clock, self.documents, settings.timeouts
        )
        self.services = self._services()
        self.app = self._app()
        self._background: list[asyncio.Task[Any]] = []

    # --- parts --------------------------------------------------------------------------------------------------------

    def _channels(self, demo_url: str | None) -> dict[str, Channel]:
        wanted, self.unknown = usable(self.settings)
        tables = {name: _table(own) for name, own in wanted.items()}
        if demo_url is not None:
            tables[DEMO] = {"title": "Demo", "base_url": demo_url}
            wanted[DEMO] = ProviderSettings(DEMO, (Secret("demo", "demo#1"),))
        providers = load(tables, only=wanted)
        return {
            name: self._channel(providers[name], own)
            for name, own in wanted.items()
            if own.keys or providers[name].keyless
        }

    def _channel(self, provider: Provider, own: ProviderSettings) -> Channel:
        keys = own.keys or (Secret("", f"{provider.name}#0"),)
        rules = PoolRules(rate_scope=provider.rate_scope, daily_scope=provider.daily_scope)
        pool = KeyPool(provider.name, keys, rules, accounts=own.accounts)
        return Channel(provider, pool, proxies=own.proxies)

    def _services(self) -> Services:
        settings = self.settings
        router = Router(
            self.channels,
            {p.name: p.keys_variable for p in load().values() if p.name not in self.channels and not p.keyless},
            self._canonical,
            self.library.source,
            settings.fallbacks,
        )
        gateway = Gateway(
            self.channels,
            router.targets,
            lambda target: self.catalog.describe(target.provider, target.model_id),
            self.upstream,
            self.clock,
            self.journal,
            scrubber_of(settings),
            settings.timeouts,
            settings.limits,
        )
        return Services(
            settings,
            self.clock,
            self.channels,
            self.catalog,
            router,
            gateway,
            self.documents,
            self.journal,
            self.library,
        )

    def _canonical(self, provider: str, model_id: str) -> str | None:
        model = self.catalog.find(provider, model_id)
        return None if model is None else model.id

    def _app(self) -> App:
        services, settings = self.services, self.settings
        routes = [
            *own_api.routes(services),
            *ollama_api.routes(services),
            *library_api.routes(services, self.refresh),
            *openai_api.routes(services),
        ]
        hosts = HostCheck(active=settings.loopback, hostname=socket.gethostname())
        return App(routes, Access(settings.token), Origins(settings.origins), hosts)

    # --- running ------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Takes up what the last run knew and sets the background going."""
        self.refresh.restore()
        self._restore_facts()
        self._restore_library()
        for work in (self.refresh.run(), self.documents.keep_writing(), self._keep_facts(), self._keep_flushing()):
            self._background.append(asyncio.create_task(work))

    def drain(self) -> None:
        """New requests are refused from now on; running ones go on."""
        self.app.draining = True

    async def stop(self) -> None:
        """Ends the background and writes what has to outlive us."""
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        self._save_facts()
        self.documents.close()
        self.journal.flush()
        await self.upstream.close()

    async def _keep_flushing(self) -> None:
        while True:
            await asyncio.sleep(_FLUSH_S)
            self.journal.flush()

    async def _keep_facts(self) -> None:
        while True:
            await asyncio.sleep(_FACTS_S)
            self._save_facts()

    def _save_facts(self) -> None:
        now, wall = self.clock.now(), self.clock.wall()
        for name, channel in self.channels.items():
            facts = channel.pool.facts(now, wall)
            if facts or self.documents.get(_FACTS + name) is not None:
                self.documents.put(_FACTS + name, msgspec.json.encode(facts) if facts else None)

    def _restore_library(self) -> None:
        saved = self.documents.get(LIBRARY)
        with contextlib.suppress(msgspec.DecodeError):
            self.library.restore(None if saved is None else msgspec.json.decode(saved))

    def _restore_facts(self) -> None:
        now, wall = self.clock.now(), self.clock.wall()
        for name, channel in self.channels.items():
            saved = self.documents.get(_FACTS + name)
            if saved is None:
                continue
            with contextlib.suppress(msgspec.DecodeError):
                channel.pool.restore(msgspec.json.decode(saved), now, wall)


def _table(own: ProviderSettings) -> Mapping[str, Any]:
    table = dict(own.table or {})
    if own.base_url:
        table["base_url"] = own.base_url
    if not isinstance(table.get("base_url", ""), str):
        raise SettingsError(f"ollama-proxy.toml: [providers.{own.name}]: base_url has the wrong type.")
    return table
