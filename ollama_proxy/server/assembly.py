"""Puts the parts together from the settings: which providers, which routes, which rules at the door. Starts nothing.

`Lasting` is what goes on when the settings change while running: the pools with all they know, the catalogue, the open
connections. Everything else is made anew from new settings and takes the place of what was there.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ollama_proxy import oauth
from ollama_proxy.catalog import Catalog
from ollama_proxy.channel import Channel
from ollama_proxy.clock import Clock
from ollama_proxy.errors import SettingsError
from ollama_proxy.gateway import Gateway
from ollama_proxy.http1.server import ServerLimits
from ollama_proxy.library import Library
from ollama_proxy.memory import Memory
from ollama_proxy.pool import KeyPool, PoolRules
from ollama_proxy.providers import Provider, known_models, load
from ollama_proxy.refresh import Refresh
from ollama_proxy.routing import Router, Target
from ollama_proxy.secret import Scrubber, Secret
from ollama_proxy.server import anthropic_api, library_api, ollama_api, openai_api, own_api, responses_api
from ollama_proxy.server.access import Access, HostCheck, Origins
from ollama_proxy.server.routing_table import Route
from ollama_proxy.server.services import Services
from ollama_proxy.server.shelf import Shelf
from ollama_proxy.settings import ProviderSettings, Settings
from ollama_proxy.sign_in import SignIn
from ollama_proxy.store import Documents
from ollama_proxy.telemetry import Journal
from ollama_proxy.texts import Texts
from ollama_proxy.upstream import Proxy as HTTPProxy
from ollama_proxy.upstream import Upstream

__all__ = ["DEMO", "Lasting", "Parts", "assemble", "secrets_of", "server_limits", "usable"]

DEMO = "demo"


def secrets_of(settings: Settings) -> list[str]:
    """Everything in the settings that nobody may see."""
    keys = [key.reveal() for provider in settings.providers.values() for key in provider.keys]
    return keys if settings.token is None else [*keys, settings.token.reveal()]


def server_limits(settings: Settings) -> ServerLimits:
    """What one client may ask of us."""
    return ServerLimits(max_body_bytes=settings.limits.body_bytes, max_connections=settings.limits.connections)


def usable(settings: Settings) -> tuple[dict[str, ProviderSettings], list[str]]:
    """(the providers that we know how to call, the names that mean nothing to us)."""
    known = load(only=settings.providers)
    described = {name for name, own in settings.providers.items() if "base_url" in _table(own)}
    wanted = {name: own for name, own in settings.providers.items() if name in known or name in described}
    return wanted, [name for name in settings.providers if name not in wanted]


class Lasting:
    """What outlives a change of the settings."""

    def __init__(self, settings: Settings, clock: Clock, scrubber: Scrubber) -> None:
        self.clock = clock
        self.scrubber = scrubber
        self.journal = Journal()
        self.documents = Documents(settings.data_dir / "state.db" if settings.data_dir != Path() else None)
        self.catalog = Catalog(known_models())
        try:
            self.upstream = Upstream(settings.proxy_environment)
        except ValueError as error:
            raise SettingsError(f"{error}.") from None
        self.library = Library()
        self.memory = Memory()
        self.shelf = Shelf()
        self.pools: dict[str, KeyPool] = {}
        self._sign_ins: dict[tuple[str, str], SignIn] = {}

    def pool(self, provider: Provider, own: ProviderSettings) -> KeyPool:
        """The provider's pool; one that is there already takes the new keys and keeps what it knows of the old ones."""
        keys = own.keys or (Secret("", f"{provider.name}#0"),)
        pool = self.pools.get(provider.name)
        if pool is None:
            rules = PoolRules(rate_scope=provider.rate_scope, daily_scope=provider.daily_scope)
            pool = KeyPool(provider.name, keys, rules, accounts=own.accounts, limits=own.limits)
            self.pools[provider.name] = pool
        else:
            pool.replace_keys(keys, self.clock.now(), own.accounts, own.limits)
        pool.tick(self.clock.now(), provider.day_left(self.clock.wall()))
        return pool

    def sign_ins(self, provider: Provider, own: ProviderSettings) -> dict[str, SignIn]:
        """The sign-ins among the provider's keys, by the key's label; one that is there already keeps its token."""
        found = {}
        for key in own.keys if provider.oauth_token_url else ():
            path = oauth.file_of(key.reveal())
            if path is not None:
                place = path, provider.oauth_token_url
                if place not in self._sign_ins:
                    self._sign_ins[place] = SignIn(Path(path), place[1], self.upstream, self.clock, self.scrubber.learn)
                found[key.label] = self._sign_ins[place]
        return found

    async def close(self) -> None:
        """Ends the connections to providers; a token that is just being renewed is saved first."""
        for sign_in in self._sign_ins.values():
            await sign_in.settle()
        await self.upstream.close()


@dataclass(slots=True)
class Parts:
    """What was made from one set of settings. unknown: names of providers that mean nothing to us."""

    settings: Settings
    channels: dict[str, Channel]
    services: Services
    refresh: Refresh
    access: Access
    origins: Origins
    hosts: HostCheck
    routes: list[Route] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    def warnings(self, texts: Texts) -> list[str]:
        """What in these settings will not work as it is meant, for people."""
        found = [texts("unknown_provider", variable=f"{n.upper().replace('-', '_')}_API_KEYS") for n in self.unknown]
        for name, other in self.services.router.passed_over():
            found.append(texts("passed_over", name=name, other=other))
        for name, meant, chained in self.services.router.astray(self.settings.aliases):
            found.append(texts("alias_of_alias" if chained else "alias_astray", name=name, meant=meant))
        for channel in self.channels.values():
            for label, sign_in in channel.sign_ins.items():
                problem = sign_in.problem()
                if problem is not None:
                    found.append(texts(problem[0], key=label, **problem[1]))
        return found


def assemble(settings: Settings, lasting: Lasting, demo_url: str | None = None) -> Parts:
    """All parts for these settings; nothing that lasts is changed before everything has been made.

    demo_url: where the built-in demo model answers, for a start without any key.
    Raises: SettingsError for a provider's table that cannot be used.
    """
    wanted, unknown = usable(settings)
    _check_proxies(wanted)
    # The demo gives way to the first real provider.
    providers, wanted = _providers(wanted, None if wanted else demo_url)
    origins, hosts = Origins(settings.origins), HostCheck(active=settings.loopback, hostname=socket.gethostname())
    lasting.scrubber.learn(secrets_of(settings))
    lasting.library.fix(settings.aliases)
    channels = {
        name: Channel(
            providers[name],
            lasting.pool(providers[name], own),
            proxies=own.proxies,
            sign_ins=lasting.sign_ins(providers[name], own),
        )
        for name, own in wanted.items()
        if own.keys or providers[name].keyless
    }
    refresh = Refresh(
        channels.values(), lasting.catalog, lasting.upstream, lasting.clock, lasting.documents, settings.timeouts
    )
    services = _services(settings, lasting, channels)
    routes = [
        *own_api.routes(services),
        *ollama_api.routes(services),
        *library_api.routes(services, refresh),
        *openai_api.routes(services),
        *responses_api.routes(services),
        *anthropic_api.routes(services),
    ]
    return Parts(settings, channels, services, refresh, Access(settings.token), origins, hosts, routes, unknown)


def _check_proxies(wanted: Mapping[str, ProviderSettings]) -> None:
    for name, own in wanted.items():
        for label, url in own.proxies.items():
            try:
                HTTPProxy.parse(url)
            except ValueError as error:
                # Its text holds nothing of the address, in which a password may stand.
                raise SettingsError(f"ollama-proxy.toml: [providers.{name}.proxies] {label}: {error}.") from None


def _providers(
    wanted: dict[str, ProviderSettings], demo_url: str | None
) -> tuple[dict[str, Provider], dict[str, ProviderSettings]]:
    tables = {name: _table(own) for name, own in wanted.items()}
    if demo_url is not None:
        tables[DEMO] = {"title": "Demo", "base_url": demo_url}
        wanted = {**wanted, DEMO: ProviderSettings(DEMO, (Secret("demo", "demo#1"),))}
    return load(tables, only=wanted), wanted


def _services(settings: Settings, lasting: Lasting, channels: dict[str, Channel]) -> Services:
    catalog, library = lasting.catalog, lasting.library

    def canonical(provider: str, model_id: str) -> str | None:
        model = catalog.find(provider, model_id)
        return None if model is None else model.id

    def successor(target: Target) -> str | None:
        heir = catalog.successor(target.provider, target.model_id)
        return None if heir is None else f"{target.provider}:{heir}"

    off = {p.name: p.keys_variable for p in load().values() if p.name not in channels and not p.keyless}
    router = Router(channels, off, canonical, library.source, settings.fallbacks)
    catalog.on_change = library.on_change = router.forget
    gateway = Gateway(
        channels,
        router.targets,
        lambda target: catalog.describe(target.provider, target.model_id),
        successor,
        lasting.upstream,
        lasting.clock,
        lasting.journal,
        lasting.scrubber,
        lasting.memory,
        settings.timeouts,
        settings.limits,
    )
    return Services(
        settings,
        lasting.clock,
        channels,
        catalog,
        router,
        gateway,
        lasting.documents,
        lasting.journal,
        library,
        lasting.shelf,
    )


def _table(own: ProviderSettings) -> Mapping[str, Any]:
    table = dict(own.table or {})
    if own.base_url:
        table["base_url"] = own.base_url
    if not isinstance(table.get("base_url", ""), str):
        raise SettingsError(f"ollama-proxy.toml: [providers.{own.name}]: base_url has the wrong type.")
    return table
