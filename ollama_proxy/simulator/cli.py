"""Owns `ollama-proxy simulate`: its arguments, the screen with the lines to paste, the list of faults."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

    from ollama_proxy.simulator.log import Arrival
    from ollama_proxy.simulator.simulator import Simulator

__all__ = ["add_arguments", "run"]

_PORT = 5006
#: One good key for each provider, and for the first ones a few that misbehave.
_KEYS = {
    "google": ("sim-google-ok-1", "sim-google-rate-2", "sim-google-bad-3", "sim-google-ok-4"),
    "openrouter": ("sim-openrouter-ok-1", "sim-openrouter-day-2"),
    "akash": ("sim-akash-ok-1",),
    "cohere": ("sim-cohere-ok-1",),
    "codestral": ("sim-codestral-ok-1",),
    "qwen": ("sim-qwen-ok-1", "sim-qwen-busy-2"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser of `simulate` its options."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", type=int, default=_PORT, help="port to listen on, 0 for a free one (default: %(default)s)"
    )
    parser.add_argument(
        "--delay-ms", type=float, default=30.0, help="wait between the pieces of a stream (default: 30)"
    )
    parser.add_argument(
        "--limits", choices=("none", "free"), default="none", help="keep the providers' free-plan limits"
    )
    parser.add_argument("--quiet", action="store_true", help="print no line for each request")
    parser.add_argument("--list", action="store_true", help="show every fault and recorded answer, and stop")


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C; the exit code. 1: the address cannot be used."""
    if args.list:
        _print(_listing())
        return 0
    import asyncio

    try:
        asyncio.run(_serve(args))
    except KeyboardInterrupt:
        return 0
    except OSError as error:
        hint = f"Choose another one: ollama-proxy simulate --port {args.port + 1}"
        sys.stderr.write(f"The simulator cannot listen on {args.host}:{args.port}: {error.strerror}.\n{hint}\n")
        return 1
    return 0


async def _serve(args: argparse.Namespace) -> None:
    from ollama_proxy.simulator.simulator import Simulator

    simulator = Simulator(
        host=args.host,
        port=args.port,
        delay_s=max(0.0, args.delay_ms) / 1000,
        slow_s=0.25,
        limits="free" if args.limits == "free" else None,
        log_size=500,
        on_arrival=None if args.quiet else _print_arrival,
    )
    async with simulator:
        _print(_screen(simulator))
        await _stop_signal().wait()


def _stop_signal() -> asyncio.Event:
    """Set by Ctrl-C or SIGTERM. Where a loop takes no signals (Windows), Ctrl-C remains a KeyboardInterrupt."""
    import asyncio
    import signal

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(number, stop.set)
    return stop


def _print(lines: Iterable[str]) -> None:
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def _print_arrival(arrival: Arrival) -> None:
    left = " (client left)" if arrival.gave_up else ""
    # Nobody reads our output any more: that is no reason to stop serving.
    with contextlib.suppress(OSError):
        _print([f"{arrival}{left}"])


def _screen(simulator: Simulator) -> list[str]:
    """What a user sees first."""
    origin = simulator.origin
    lines = [
        "",
        f"  Six simulated providers, faults included, on {origin}. No key is needed, nothing leaves this machine.",
        "",
        "  Put these lines into .env beside ollama_proxy.py (or export them), then start the proxy:",
        "",
    ]
    for provider, keys in _KEYS.items():
        name = provider.upper()
        lines += [f"{name}_BASE_URL={simulator.base_url(provider)}", f"{name}_API_KEYS={','.join(keys)}"]
    return [
        *lines,
        "",
        "  Any key works. A word in a key makes it misbehave:       sim-google-rate-2   is always too fast",
        "  A word after the model's name spoils that call:          google:gemini-2.5-flash!cut",
        "  A count ends it:                                         google:gemini-2.5-flash!503x2",
        "  All words:                                               ollama-proxy simulate --list",
        "",
        f"  What arrived: curl {origin}/_log      Start afresh: curl -X POST {origin}/_reset      Stop: Ctrl-C",
        "",
    ]


def _listing() -> list[str]:
    """Every fault and recorded answer."""
    from ollama_proxy.simulator.faults import FAULTS, WORDS
    from ollama_proxy.simulator.providers import PROVIDERS
    from ollama_proxy.simulator.shapes import ANYBODY, OWN

    lines = [
        "In a key, between dashes (sim-google-rate-2), or after the model's name (gemini-2.5-flash!rate):",
        *_table([*WORDS.items(), ("404, 503, ...", "any status, in the provider's own form")]),
        "  A count ends it: 503x2 hits the first two calls only. Several words may follow each other: !crlf!slow",
        "",
        "The same, for how an answer is sent:",
        *_table((name, fault.says) for name, fault in FAULTS.items()),
    ]
    for provider, shapes in OWN.items():
        lines += ["", f"Recorded answers of {PROVIDERS[provider].title} (errors in keys too):"]
        lines += _table((name, shape.says) for name, shape in shapes.items())
    return [*lines, "", "Recorded answers that any of them can play:", *_table((n, s.says) for n, s in ANYBODY.items())]


def _table(rows: Iterable[tuple[str, str]]) -> Sequence[str]:
    return [f"  {name:<26} {says}" for name, says in rows]
