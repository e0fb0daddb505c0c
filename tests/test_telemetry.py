"""What is counted and logged."""

from __future__ import annotations

import contextlib
import io
import logging
import threading
from collections.abc import Iterator
from logging.handlers import QueueListener

from ollama_proxy.secret import Scrubber
from ollama_proxy.telemetry import Journal, setup_logging


class _Stuck(io.StringIO):
    """A sink that takes nothing until it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.go_on, self.done = threading.Event(), threading.Event(), threading.Event()

    def write(self, text: str) -> int:
        self.reached.set()
        assert self.go_on.wait(20)
        if "line 9999" in text:
            self.done.set()
        return super().write(text)


def dropped() -> int:
    (line,) = [text for text in Journal().exposition().splitlines() if text.startswith("ollama_proxy_log_dropped")]
    return int(line.rpartition(" ")[2])


@contextlib.contextmanager
def logging_to(sink: io.StringIO, *secrets: str) -> Iterator[QueueListener]:
    """The program's log goes there, and back afterwards."""
    loggers = [logging.getLogger(name) for name in ("ollama_proxy", "asyncio", "uvicorn")]
    usual = [(logger.handlers[:], logger.level, logger.propagate) for logger in loggers]
    listener = setup_logging("INFO", Scrubber(secrets), sink)
    try:
        yield listener
    finally:
        for logger, (handlers, level, propagate) in zip(loggers, usual, strict=True):
            logger.handlers[:], logger.level, logger.propagate = handlers, level, propagate


def test_lines_that_nobody_reads_are_dropped_and_counted() -> None:
    """F104: memory stays bounded, the count says how much is missing, and what fitted is written later."""
    sink, before = _Stuck(), dropped()
    logger = logging.getLogger("ollama_proxy")
    with logging_to(sink) as listener:
        logger.info("first")
        assert sink.reached.wait(20)
        for number in range(10_050):
            logger.info("line %s", number)
        logger.info("two\nlines")
        assert dropped() - before == 52
        sink.go_on.set()
        assert sink.done.wait(20)
        listener.stop()
    assert "line 0\n" in sink.getvalue()


def test_a_library_repeats_itself_once_and_shows_no_key() -> None:
    """F90, F105: asyncio says it a thousand times, with a traceback that quotes what it was doing."""
    sink = io.StringIO()
    with logging_to(sink, "canary-0123456789") as listener:
        for number in range(1000):
            try:
                raise OSError(24, "canary-0123456789")
            except OSError:
                logging.getLogger("asyncio").exception("no room for a connection\nsocket: %s", number)
        logging.getLogger("uvicorn.error").warning("something else")
        logging.getLogger("uvicorn.error").info("nothing that matters")
        listener.stop()
    lines = sink.getvalue().splitlines()
    assert sum("no room for a connection" in line for line in lines) == 1
    assert "WARNING uvicorn.error something else" in lines[-1]
    assert all(" asyncio " in line for line in lines[:-1])
    assert "canary" not in sink.getvalue()
