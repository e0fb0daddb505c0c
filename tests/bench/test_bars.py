"""The promised load: the verdict of a row, and the provider that notes when somebody hangs up."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path

from bench.bars.measures import decision_us
from bench.bars.river import River
from bench.bars.rows import Bar, Row, render
from bench.wire import build_request


def test_a_bar_is_held_up_to_its_bound() -> None:
    """Some must not be passed, others must be reached; what was not measured neither holds nor misses."""
    most, least = Bar("L1", "time", 5, "ms"), Bar("L2", "answers", 5, "/s", at_least=True)
    assert [Row(most, value).holds for value in (4.9, 5, 5.1, None)] == [True, True, False, None]
    assert [Row(least, value).holds for value in (4.9, 5, 5.1, None)] == [False, True, True, None]


def test_a_missed_bar_is_seen_in_the_table() -> None:
    """And counted."""
    text = render([Row(Bar("L1", "time", 5, "ms", digits=1), 7.25), Row(Bar("L2", "answers", 5, "/s"), None, "no wrk")])
    assert "| L1 | time | ≤ 5 ms | 7.2 ms | **missed** |" in text
    assert "not measured (no wrk)" in text
    assert "0 of 1 bars hold." in text


def test_a_river_notes_when_it_is_left(tmp_path: Path) -> None:
    """By the stream's number, on the clock of whoever leaves."""
    body = json.dumps({"messages": [{"role": "user", "content": "river-7-5;"}], "stream": True}).encode()
    with River(tmp_path) as river, socket.create_connection(("127.0.0.1", river.port), timeout=10) as connection:
        connection.sendall(build_request(river.port, "/v1/chat/completions", {}, body))
        got = b""
        while got.count(b"drop ") < 3:
            got += connection.recv(65536)
        left = time.perf_counter()
        assert not river.closed_at
        connection.close()
        while 7 not in river.closed_at:
            assert time.perf_counter() < left + 10
        assert river.closed_at[7] >= left


def test_a_choice_of_keys_takes_time() -> None:
    """A measure that measures nothing would hold any bar."""
    assert 0.05 < decision_us(8, times=200) < 10_000
