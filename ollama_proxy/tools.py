"""Owns the commands that look at things and change nothing: keys test, models, doctor."""

from __future__ import annotations

import argparse
import asyncio
import ssl
import sys

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ollama_proxy import OLLAMA_VERSION, __version__
from ollama_proxy.channel import Channel
from ollama_proxy.errors import ProxyError
from ollama_proxy.oauth import MODELS
from ollama_proxy.outcome import OK, Kind, Outcome, Reply
from ollama_proxy.pool import KeyPool, Lease
from ollama_proxy.server.proxy import Proxy
from ollama_proxy.settings import Settings
from ollama_proxy.texts import Texts
from ollama_proxy.types import Access, Operation
from ollama_proxy.upstream import Transport

__all__ = ["run"]

_TRANSPORT = Transport(5.0, 20.0, 20.0)
_ANSWER_BYTES = 16 * 1024 * 1024


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Runs one of the commands; its exit code is 1 where something is not well."""
    proxy = Proxy(settings)
    console, texts = Console(), Texts(korean=settings.korean)
    if arguments.command == "keys":
        return asyncio.run(_keys(proxy, console, texts))
    if arguments.command == "models":
        if not proxy.parts.channels:
            console.print(texts("no_keys"), highlight=False, soft_wrap=True)
            return 1
        return asyncio.run(_models(proxy, console, arguments.provider))
    return asyncio.run(_doctor(proxy, console, texts))


# --- keys test --------------------------------------------------------------------------------------------------------


async def _keys(proxy: Proxy, console: Console, texts: Texts) -> int:
    if not proxy.parts.channels:
        console.print(texts("no_key_to_test"))
        return 1
    table = Table(box=None, padding=(0, 3, 0, 0), header_style="dim")
    table.add_column(texts("key"))
    table.add_column(texts("key_state"))
    well = True
    try:
        for channel in proxy.parts.channels.values():
            for label, said in await _test_channel(proxy, channel):
                well = well and not said
                table.add_row(label, f"[red]{escape(said)}[/]" if said else f"[green]{texts('key_ok')}[/]")
    finally:
        await proxy.lasting.close()
    console.print(table)
    return 0 if well else 1


async def _test_channel(proxy: Proxy, channel: Channel) -> list[tuple[str, str]]:
    """(label, what is wrong with the key or "") for every key; asks for the model list, which costs no quota."""
    keys = proxy.settings.providers[channel.name].keys
    scrubber = proxy.lasting.scrubber
    found = []
    for key in keys:
        lease = KeyPool(channel.name, [key]).acquire("", None, 0.0, 0.0)
        assert isinstance(lease, Lease)
        found.append((key.label, scrubber.scrub_text(await _test(proxy, channel, lease))))
    return found


async def _test(proxy: Proxy, channel: Channel, lease: Lease) -> str:
    if lease.key.label in channel.sign_ins:
        outcome = await channel.carry(lease, lambda access: _chat(proxy, channel, lease, access))
        return "" if outcome.kind is Kind.OK else outcome.said or outcome.kind.value
    provider, access = channel.provider, channel.auth(lease)
    if provider.models_path is None or access is None:
        return ""
    proxy_url = channel.proxies.get(lease.key.label)
    try:
        reply = await proxy.lasting.upstream.send(
            "GET",
            provider.list_base_url,
            provider.models_path,
            [*access.headers, *provider.headers],
            b"",
            _TRANSPORT,
            proxy=proxy_url,
        )
        try:
            body = await reply.read(_ANSWER_BYTES, _TRANSPORT.first_byte_s)
        finally:
            reply.close()
    except ProxyError as error:
        return error.message
    if reply.status == 200:
        return ""
    outcome = provider.classify(Reply(reply.status, reply.headers, body), "", proxy.lasting.clock.wall())
    # A host without a list says nothing about the key.
    return "" if outcome.kind is Kind.CALLER else outcome.said or outcome.kind.value


async def _chat(proxy: Proxy, channel: Channel, lease: Lease, access: Access) -> Outcome:
    """How the smallest chat ended: a sign-in has no list to ask for."""
    body = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
    prepared = channel.provider.prepare(Operation.CHAT, MODELS[0], body, False)
    headers = [(b"content-type", b"application/json"), *access.headers, *prepared.headers]
    try:
        reply = await proxy.lasting.upstream.send(
            "POST",
            access.base_url,
            prepared.path,
            headers,
            msgspec.json.encode(prepared.body),
            _TRANSPORT,
            proxy=channel.proxies.get(lease.key.label),
        )
        try:
            said = Reply(reply.status, reply.headers, await reply.read(_ANSWER_BYTES, _TRANSPORT.first_byte_s))
        finally:
            reply.close()
    except ProxyError as error:
        return Outcome(Kind.TRANSIENT, error.message)
    return OK if said.status == 200 else channel.classify(said, MODELS[0], proxy.lasting.clock.wall())


# --- models -----------------------------------------------------------------------------------------------------------


async def _models(proxy: Proxy, console: Console, only: str | None) -> int:
    proxy.parts.refresh.restore()
    try:
        wrong = await proxy.parts.refresh.once()
    finally:
        proxy.lasting.documents.close()
        await proxy.lasting.close()
    for name, said in wrong.items():
        told = proxy.lasting.scrubber.scrub_text(said)
        print(f"{name}: {told}", file=sys.stderr)  # noqa: T201 — a command's own words
    for model in sorted(proxy.lasting.catalog.all(), key=lambda m: m.name):
        if only is None or model.provider == only.lower():
            console.print(model.name, markup=False, highlight=False, soft_wrap=True)
    return 1 if wrong else 0


# --- doctor -----------------------------------------------------------------------------------------------------------


async def _doctor(proxy: Proxy, console: Console, texts: Texts) -> int:
    """Looks at everything that a working proxy needs, each with a line."""
    settings = proxy.settings
    well = True

    def line(what: str, problem: str, detail: str = "") -> None:
        nonlocal well
        well = well and not problem
        mark = f"[red]{texts('doctor_bad')}[/]" if problem else f"[green]{texts('doctor_ok')}[/]"
        console.print(f"{mark}  {escape(what)}  [dim]{escape(problem or detail)}[/]", highlight=False, soft_wrap=True)

    line("ollama-proxy", "", f"{__version__}, Ollama {OLLAMA_VERSION}, Python {sys.version.split()[0]}")
    line("TLS", "", ssl.OPENSSL_VERSION)
    line("DATA_DIR", proxy.lasting.documents.trouble, str(settings.data_dir))
    problem = _port_problem(settings)
    if problem and await _is_proxy(proxy, settings):
        line(f"PORT {settings.port}", "", texts("port_ours"))
    else:
        line(f"PORT {settings.port}", problem, settings.host)
    for name in proxy.parts.unknown:
        line(name, texts("unknown_provider", variable=f"{name.upper()}_API_KEYS"))
    if not proxy.parts.channels:
        line(texts("keys"), texts("no_key_to_test"))
    try:
        for channel in proxy.parts.channels.values():
            for label, said in await _test_channel(proxy, channel):
                line(label, said, channel.provider.base_url)
    finally:
        await proxy.lasting.close()
    return 0 if well else 1


async def _is_proxy(proxy: Proxy, settings: Settings) -> bool:
    """Whether what holds our port is one of us."""
    try:
        reply = await proxy.lasting.upstream.send(
            "GET", f"http://{settings.host}:{settings.port}", "/healthz", [], b"", _TRANSPORT
        )
        try:
            return reply.status == 200 and b'"status"' in await reply.read(4096, _TRANSPORT.first_byte_s)
        finally:
            reply.close()
    except ProxyError:
        return False


def _port_problem(settings: Settings) -> str:
    from ollama_proxy.server.host import bind

    try:
        bind(settings.host, settings.port).close()
    except OSError as error:
        return error.strerror or str(error)
    return ""
