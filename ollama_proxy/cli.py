"""Owns the command line: serve (the default), keys, models, doctor, simulate. Imports the server late.

Exit codes: 0 for a good end, 1 where something that was looked at is not well, 2 for what the operator has to change.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ollama_proxy import __version__
from ollama_proxy.errors import SettingsError
from ollama_proxy.settings import Settings, load
from ollama_proxy.texts import Texts

if TYPE_CHECKING:
    import socket

    from ollama_proxy.secret import Scrubber
    from ollama_proxy.server.proxy import Proxy

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    arguments = _parser().parse_args(argv)
    try:
        if arguments.command == "simulate":
            from ollama_proxy.simulator import cli as simulator

            return simulator.run(arguments)
        settings = load()
    except SettingsError as error:
        korean = Settings(korean=_speaks_korean())
        return _refuse(error, korean)
    try:
        if arguments.command in (None, "serve"):
            return _serve(settings)
        from ollama_proxy import tools

        return tools.run(arguments, settings)
    except SettingsError as error:
        return _refuse(error, settings)
    except KeyboardInterrupt:
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ollama-proxy",
        description="One address that every Ollama, OpenAI and Anthropic client can use, in front of many LLM "
        "providers and many API keys. Without a command it serves.",
        epilog="Keys and everything else are set by environment variables or .env; see docs/settings.md.",
    )
    parser.add_argument("--version", action="version", version=f"ollama-proxy {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    commands.add_parser("serve", help="run the proxy (the default)")
    keys = commands.add_parser("keys", help="look after the keys")
    keys.add_subparsers(dest="keys_command", metavar="WHAT", required=True).add_parser(
        "test", help="ask every provider whether it takes each key"
    )
    models = commands.add_parser("models", help="list the models that can be asked for")
    models.add_argument("provider", nargs="?", help="only this provider's")
    commands.add_parser("doctor", help="look at everything that a working proxy needs")
    simulate = commands.add_parser("simulate", help="run stand-ins for the providers, faults included")
    from ollama_proxy.simulator import cli as simulator

    simulator.add_arguments(simulate)
    return parser


def _speaks_korean() -> bool:
    from ollama_proxy.settings import is_korean

    return is_korean(os.environ)


def _refuse(error: SettingsError, settings: Settings) -> int:
    print(error.korean if settings.korean else error.message, file=sys.stderr)
    return 2


def _serve(settings: Settings) -> int:
    from ollama_proxy.secret import Scrubber
    from ollama_proxy.server.assembly import secrets_of
    from ollama_proxy.telemetry import setup_logging

    texts = Texts(korean=settings.korean)
    listener = _bind(settings, texts)
    if listener is None:
        return 2
    settings = replace(settings, port=listener.getsockname()[1])
    scrubber = Scrubber(secrets_of(settings))
    logs = setup_logging(settings.log_level, scrubber)
    try:
        with _demo(settings) as demo_url:
            _run(settings, texts, listener, demo_url, scrubber)
    finally:
        listener.close()
        logs.stop()
    return 0


@contextlib.contextmanager
def _demo(settings: Settings) -> Iterator[str | None]:
    """Where the demo model answers, while there is no provider: the simulator, beside us on loopback."""
    from ollama_proxy.server.assembly import usable

    if usable(settings)[0]:
        yield None
        return
    from ollama_proxy.simulator import SimulatorThread

    with SimulatorThread(providers=["demo"], log_size=0) as simulator:
        yield simulator.base_url("demo")


def _run(settings: Settings, texts: Texts, listener: socket.socket, demo_url: str | None, scrubber: Scrubber) -> None:
    from ollama_proxy.server.assembly import server_limits
    from ollama_proxy.server.host import Host
    from ollama_proxy.server.proxy import Proxy

    def read_settings() -> Settings:
        # Where we listen and keep our state cannot change while we run.
        return replace(load(), host=settings.host, port=settings.port, data_dir=settings.data_dir)

    proxy = Proxy(settings, scrubber=scrubber, demo_url=demo_url, read_settings=read_settings)

    async def start() -> None:
        await proxy.start()
        if hasattr(signal, "SIGHUP"):
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, proxy.reload)
        # Signals are ours by now: whoever reads that we listen may stop us well.
        _show_start(proxy, texts)

    host = Host(
        proxy.app,
        server_limits(settings),
        drain_s=settings.timeouts.drain_s,
        on_start=start,
        on_drain=proxy.drain,
        on_late=proxy.give_up,
        on_stop=proxy.stop,
    )
    host.run_on(listener)


def _bind(settings: Settings, texts: Texts) -> socket.socket | None:
    from ollama_proxy.server.host import bind

    try:
        return bind(settings.host, settings.port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            line = texts("port_taken", host=settings.host, port=settings.port, other=settings.port + 1)
        else:
            reason = error.strerror or str(error)
            line = texts("cannot_listen", host=settings.host, port=settings.port, reason=reason)
        print(line, file=sys.stderr)
        return None


def _show_start(proxy: Proxy, texts: Texts) -> None:
    from rich.console import Console

    from ollama_proxy.providers import load as load_providers
    from ollama_proxy.screen import Row, show_start
    from ollama_proxy.server.assembly import DEMO

    settings = proxy.settings
    rows = [
        Row(channel.name, channel.provider.title, len(channel.pool.snapshot(0.0)))
        for channel in proxy.parts.channels.values()
        if channel.name != DEMO
    ]
    offers = [Row(p.name, p.title, 0, p.keys_variable, p.key_page) for p in load_providers().values() if p.seed]
    show_start(Console(), texts, settings, address_of(settings), rows, offers, proxy.parts.warnings(texts))
    sys.stdout.flush()


def address_of(settings: Settings) -> str:
    """The address for a client on this machine."""
    host = settings.host
    if host in {"0.0.0.0", "::", ""}:  # noqa: S104 — shown, not bound
        host = "127.0.0.1"
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"
