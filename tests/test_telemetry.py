"""What is counted and logged."""

from __future__ import annotations

import io
import logging
import threading

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


def test_lines_that_nobody_reads_are_dropped_and_counted() -> None:
    """F104: memory stays bounded, the count says how much is missing, and what fitted is written later."""
    sink, before = _Stuck(), dropped()
    logger = logging.getLogger("ollama_proxy")
    handlers, level = logger.handlers[:], logger.level
    listener = setup_logging("INFO", Scrubber(), sink)
    try:
        logger.info("first")
        assert sink.reached.wait(20)
        for number in range(10_050):
            logger.info("line %s", number)
        logger.info("two\nlines")
        assert dropped() - before == 52
    finally:
        sink.go_on.set()
        assert sink.done.wait(20)
        listener.stop()
        logger.handlers[:], logger.level = handlers, level
    assert "line 0\n" in sink.getvalue()
