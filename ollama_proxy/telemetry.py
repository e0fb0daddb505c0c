"""Owns what we count and log: names, fields, bounds. Knows no secret: a key appears as its label only.

The hot path appends a small record; a background task turns the records into lines and counts, twice a second. Labels
are our own words (provider, protocol, kind), never a client's text, so their number is bounded. What a client wrote
appears in log lines only, cut and without control characters.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import re
import secrets
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from logging.handlers import QueueHandler, QueueListener
from typing import IO, Any

from ollama_proxy.errors import InternalError
from ollama_proxy.secret import Scrubber

__all__ = ["Journal", "Served", "log_mistake", "setup_logging"]

_log = logging.getLogger("ollama_proxy.requests")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_MAX_TEXT = 200
#: Records that may wait; beyond, the oldest are counted as dropped and forgotten.
_MAX_WAITING = 10_000
#: What of the libraries below us speaks in our log, and how often at most it says the same.
_LIBRARIES = ("asyncio", "uvicorn")
_QUIET_S = 60.0
_MOST_WORDS = 100
#: Seconds for the last lines to be read by whoever reads them.
_LAST_LINES_S = 2.0


@dataclass(slots=True)
class Served:
    """One request, once it is over. Durations in seconds; tokens None where the provider did not report them."""

    protocol: str
    model: str
    status: int
    duration_s: float
    provider: str = ""
    key: str = ""
    attempts: int = 0
    kind: str = ""
    tokens_in: int | None = None
    tokens_out: int | None = None

    def count(self, usage: Mapping[str, Any]) -> None:
        """Takes over what the provider reported."""
        tokens_in, tokens_out = usage.get("prompt_tokens"), usage.get("completion_tokens")
        self.tokens_in = tokens_in if isinstance(tokens_in, int) else None
        self.tokens_out = tokens_out if isinstance(tokens_out, int) else None


def plain(text: str) -> str:
    """Foreign text made safe for one log line."""
    return _CONTROL.sub("?", text[:_MAX_TEXT])


def log_mistake(log: logging.Logger, error: Exception) -> InternalError:
    """What to tell of an error that nobody foresaw. Type and place are logged, never its words: they may hold a key."""
    number = secrets.token_hex(4)
    place, trace = "", error.__traceback__
    while trace is not None:
        place = f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}"
        trace = trace.tb_next
    log.error("internal error %s: %s at %s", number, type(error).__name__, place)
    return InternalError(f"The proxy made a mistake of its own; its log has more under {number}.")


class Journal:
    """What happened, for the log and for `/metrics`."""

    def __init__(self) -> None:
        self._waiting: list[Served] = []
        self._requests: Counter[tuple[str, str, int]] = Counter()
        self._attempts: Counter[tuple[str, str]] = Counter()
        self._tokens: Counter[tuple[str, str]] = Counter()
        self._seconds: Counter[str] = Counter()
        self._dropped = 0

    def served(self, record: Served) -> None:
        """Notes one finished request."""
        if len(self._waiting) < _MAX_WAITING:
            self._waiting.append(record)
        else:
            self._dropped += 1

    def attempted(self, provider: str, kind: str) -> None:
        """Counts one call to a provider and how it ended."""
        self._attempts[provider, kind] += 1

    def flush(self) -> None:
        """Turns what was noted into counts and log lines."""
        batch, self._waiting = self._waiting, []
        for record in batch:
            self._requests[record.protocol, record.provider, record.status] += 1
            self._seconds[record.protocol] += record.duration_s  # type: ignore[assignment]  # Counter sums floats too
            self._tokens[record.provider, "in"] += record.tokens_in or 0
            self._tokens[record.provider, "out"] += record.tokens_out or 0
        if batch and _log.isEnabledFor(logging.INFO):
            _log.info("\n".join(_line(record) for record in batch))

    def exposition(self, gauges: Callable[[], list[tuple[str, str, float]]] = list) -> str:
        """Everything in Prometheus' text format; `gauges` adds (name, labels, value) of the moment."""
        self.flush()
        lines = []
        for name, labels, counts in (
            ("ollama_proxy_requests_total", ("protocol", "provider", "status"), self._requests),
            ("ollama_proxy_upstream_attempts_total", ("provider", "outcome"), self._attempts),
            ("ollama_proxy_tokens_total", ("provider", "direction"), self._tokens),
        ):
            lines.append(f"# TYPE {name} counter")
            for values, count in sorted(counts.items(), key=str):
                shown = ",".join(f'{label}="{value}"' for label, value in zip(labels, values, strict=True))
                lines.append(f"{name}{{{shown}}} {count}")
        lines.append("# TYPE ollama_proxy_request_seconds_total counter")
        lines += [f'ollama_proxy_request_seconds_total{{protocol="{p}"}} {s}' for p, s in sorted(self._seconds.items())]
        dropped = self._dropped + _Dropping.dropped
        lines += ["# TYPE ollama_proxy_log_dropped_total counter", f"ollama_proxy_log_dropped_total {dropped}"]
        for name, shown, value in gauges():
            lines.append(f"{name}{{{shown}}} {value}" if shown else f"{name} {value}")
        return "\n".join(lines) + "\n"


def _line(record: Served) -> str:
    parts = [record.protocol, plain(record.model) or "-", str(record.status), f"{record.duration_s:.2f}s"]
    if record.key:
        parts.append(record.key)
    if record.attempts > 1:
        parts.append(f"attempts={record.attempts}")
    if record.tokens_in is not None or record.tokens_out is not None:
        parts.append(f"tokens={record.tokens_in or 0}+{record.tokens_out or 0}")
    if record.kind:
        parts.append(record.kind)
    return " ".join(parts)


class _Lines(logging.Formatter):
    """Time and level before every line; keys masked in whatever was logged, tracebacks included."""

    def __init__(self, scrubber: Scrubber) -> None:
        super().__init__("%(message)s", "%H:%M:%S")
        self._scrubber = scrubber

    def format(self, record: logging.LogRecord) -> str:
        head = f"{self.formatTime(record, self.datefmt)} {record.levelname} {record.name} "
        return self._scrubber.scrub_text(head + super().format(record).replace("\n", "\n" + head))


class _Dropping(QueueHandler):
    """Puts records into a bounded queue; a sink that does not read costs lines, which are counted, and never time."""

    dropped = 0

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            _Dropping.dropped += record.getMessage().count("\n") + 1


class _Seldom(logging.Filter):
    """Lets the same words of a library through once a minute.

    asyncio says a thousand times a second that no descriptor is left for a connection, with a traceback each (seen with
    CPython 3.11, 2026-11).
    """

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        words = record.getMessage().partition("\n")[0]
        if record.created - self._said.get(words, -_QUIET_S) < _QUIET_S:
            return False
        if len(self._said) >= _MOST_WORDS:
            self._said.clear()
        self._said[words] = record.created
        return True


class _Sink(logging.Handler):
    """Writes lines. Only the listener's thread comes here, so there is no lock that it could hold while it is stuck."""

    def __init__(self, sink: IO[str] | None) -> None:
        super().__init__()
        self._sink = sink

    def createLock(self) -> None:  # noqa: N802 — logging's own name
        self.lock = None

    def handle(self, record: logging.LogRecord) -> bool:
        text = self.format(record) + "\n"
        with contextlib.suppress(OSError, ValueError):
            if self._sink is not None:
                self._sink.write(text)
            else:
                # Past Python's buffer and its lock, on which the interpreter would wait when it ends.
                os.write(2, text.encode("utf-8", "replace"))
        return True


class _Listener(QueueListener):
    """Hands the lines to their sink in a thread of its own."""

    def stop(self) -> None:
        """Waits a moment for the last lines, and no longer: whoever reads them may have stopped reading."""
        with contextlib.suppress(queue.Full):
            self.enqueue_sentinel()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(_LAST_LINES_S)


def setup_logging(level: str, scrubber: Scrubber, sink: IO[str] | None = None) -> QueueListener:
    """Logs of this program go to `sink` (stderr) from a thread of their own; stop() the listener at the end.

    So do the warnings of the libraries below it: what they quote is masked, too.
    """
    handler = _Sink(sink)
    handler.setFormatter(_Lines(scrubber))
    lines: queue.Queue[logging.LogRecord] = queue.Queue(_MAX_WAITING)
    listener = _Listener(lines, handler)
    logger = logging.getLogger("ollama_proxy")
    logger.handlers[:] = [_Dropping(lines)]
    logger.setLevel(level)
    logger.propagate = False
    for name in _LIBRARIES:
        library = logging.getLogger(name)
        library.handlers[:] = [_Dropping(lines)]
        library.handlers[0].addFilter(_Seldom())
        library.setLevel(logging.WARNING)
        library.propagate = False
    listener.start()
    return listener
