"""Owns how the sending of a good answer is spoilt: functions from an answer to the steps on the wire.

Each is a row of the table in `faults`, which says what it stands for.
"""

from __future__ import annotations

import gzip
import itertools
import zlib
from collections.abc import Callable, Iterable
from functools import cache
from typing import TypeAlias

from ollama_proxy.simulator.actions import Action, Chunk, Close, Header, Interim, Raw, Rst, Send, Sleep, Stall, Status
from ollama_proxy.simulator.events import Frame
from ollama_proxy.simulator.http import head as http_head
from ollama_proxy.simulator.providers.base import Answer, in_pieces
from ollama_proxy.simulator.shapes.base import JSON, SSE
from ollama_proxy.simulator.twists import Context, after_text

__all__ = ["Play"]

Play: TypeAlias = Callable[[Answer, Context], Iterable[Action]]
_PAGE = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body>A simulated captive portal.</body></html>"
_PLANTED = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 18\r\n\r\n" + b'{"planted": "yes"}'
_BOMB_BYTES = 100 * 1024 * 1024


def _all_of(answer: Answer) -> bytes:
    """The bytes of the body, whichever form was asked for."""
    return b"".join(i.data for i in answer.track if isinstance(i, Frame)) if answer.stream else answer.body


def _begun(answer: Answer, *end: Action) -> list[Action]:
    """Two pieces of a stream, or half a body under its full length; then `end`."""
    if answer.stream:
        return [*answer.head(), *in_pieces(answer.track[: after_text(answer.track, 2)]), *end]
    length = Header("content-length", str(len(answer.body)))
    return [*answer.head(), length, Send(answer.body[: len(answer.body) // 2]), *end]


def then(*end: Action) -> Play:
    """The beginning of the answer, then these steps."""
    return lambda answer, _context: _begun(answer, *end)


def reset_later(answer: Answer, context: Context) -> Iterable[Action]:
    """The beginning, time for it to arrive, then RST."""
    return _begun(answer, Sleep(context.slow_s), Rst())


def instead(*steps: Action) -> Play:
    """These steps and nothing of the answer."""
    return lambda _answer, _context: steps


def head_then(*end: Action) -> Play:
    """The head of the answer, then these steps."""
    return lambda answer, _context: [*answer.head(), *end]


def comments(answer: Answer, context: Context) -> Iterable[Action]:
    """Comments for ever."""
    beat = (Chunk(b": still working\n\n"), Sleep(context.slow_s))
    return itertools.chain(answer.head(SSE), itertools.cycle(beat))


def endless(answer: Answer, _context: Context) -> Iterable[Action]:
    """The first piece of text again and again, or a body that never ends."""
    if not answer.stream:
        return itertools.chain(answer.head(), [Chunk(b'{"padding": "')], itertools.repeat(Chunk(b"x" * 65_536)))
    at = after_text(answer.track, 1)
    return itertools.chain(
        answer.head(), in_pieces(answer.track[:at]), itertools.cycle(in_pieces(answer.track[at - 1 : at]))
    )


def slowly(answer: Answer, context: Context) -> Iterable[Action]:
    """A wait before each piece."""
    if not answer.stream:
        return [Sleep(context.slow_s), *answer.actions()]
    steps = ((Sleep(context.slow_s), step) for step in in_pieces(answer.track))
    return [*answer.head(), *itertools.chain.from_iterable(steps)]


def late(answer: Answer, context: Context) -> Iterable[Action]:
    """A long wait before the first byte."""
    return [Sleep(20 * context.slow_s), *answer.actions()]


def slow_head(answer: Answer, context: Context) -> Iterable[Action]:
    """A head that comes one byte at a time, slowly; then a proper body."""
    body = _all_of(answer)
    fields = [("content-type", answer.media), ("content-length", str(len(body))), ("connection", "close")]
    start = http_head(200, "", fields)
    slow = ((Raw(start[n : n + 1]), Sleep(context.slow_s)) for n in range(len(start)))
    return itertools.chain(itertools.chain.from_iterable(slow), [Raw(body)])


def page(_answer: Answer, _context: Context) -> Iterable[Action]:
    """A web page with status 200."""
    return [Status(200), Header("content-type", "text/html; charset=utf-8"), Send(_PAGE)]


def empty(answer: Answer, _context: Context) -> Iterable[Action]:
    """The right type and no bytes."""
    return [*answer.head(), Send(b"")]


def as_json(answer: Answer, _context: Context) -> Iterable[Action]:
    """JSON, also where a stream was asked for."""
    return [*answer.head(JSON), Send(answer.body)]


def as_stream(answer: Answer, _context: Context) -> Iterable[Action]:
    """A stream, also where JSON was asked for."""
    return [*answer.head(SSE), *in_pieces(answer.track)]


def whitespace(answer: Answer, _context: Context) -> Iterable[Action]:
    """Blank lines ahead of the answer, as some gateways send them to keep the connection alive."""
    blanks: list[Action] = [Chunk(b"\n"), Chunk(b"         \n\n")]
    body = in_pieces(answer.track) if answer.stream else [Chunk(answer.body)]
    return [*answer.head(), *blanks, *body]


def byte_by_byte(answer: Answer, _context: Context) -> Iterable[Action]:
    """One byte in each write, so that every letter is cut."""
    body = _all_of(answer)
    return itertools.chain(answer.head(), (Chunk(body[n : n + 1]) for n in range(len(body))))


def zipped(answer: Answer, _context: Context) -> Iterable[Action]:
    """Compressed, though nobody asked for it."""
    return [*answer.head(), Header("content-encoding", "gzip"), Chunk(gzip.compress(_all_of(answer), mtime=0))]


@cache
def _bomb() -> bytes:
    press = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = b" " * (1024 * 1024)
    parts = [press.compress(block) for _ in range(_BOMB_BYTES // len(block))]
    return b"".join([*parts, press.compress(b"{}"), press.flush()])


def bomb(answer: Answer, _context: Context) -> Iterable[Action]:
    """A small body that unpacks to 100 MiB."""
    return [*answer.head(), Header("content-encoding", "gzip"), Send(_bomb())]


def redirect(status: int) -> Play:
    """Sends the client elsewhere: to another name for this machine, so that the log shows whether it went there."""

    def play(_answer: Answer, context: Context) -> Iterable[Action]:
        port = context.ask.headers.get("host", "").rpartition(":")[2]
        target = f"http://localhost:{port if port.isdecimal() else 80}/elsewhere"
        return [Status(status), Header("location", target), Send(b"")]

    return play


def with_status(status: int) -> Play:
    """The answer under another status."""
    return lambda answer, _context: [Status(status) if isinstance(s, Status) else s for s in answer.actions()]


def too_long_length(answer: Answer, _context: Context) -> Iterable[Action]:
    """Announces 100 bytes more than come."""
    body = _all_of(answer)
    return [*answer.head(), Header("content-length", str(len(body) + 100)), Send(body), Close()]


def planted(answer: Answer, _context: Context) -> Iterable[Action]:
    """Announces the answer and sends a second one behind it."""
    body = _all_of(answer)
    return [*answer.head(), Header("content-length", str(len(body))), Send(body), Send(_PLANTED)]


def bad_chunk(answer: Answer, _context: Context) -> Iterable[Action]:
    """A chunk whose size is no number."""
    return _begun_in_chunks(answer, Raw(b"zz\r\nnonsense\r\n"), Close())


def no_last_chunk(answer: Answer, _context: Context) -> Iterable[Action]:
    """All of the answer, but the chunk that ends a body never comes."""
    return [*answer.head(), Chunk(_all_of(answer)), Close()]


def two_framings(answer: Answer, _context: Context) -> Iterable[Action]:
    """Content-Length and Transfer-Encoding together."""
    both = (Header("content-length", "5"), Header("transfer-encoding", "chunked"))
    return [*answer.head(), *both, Chunk(_all_of(answer))]


def _begun_in_chunks(answer: Answer, *end: Action) -> list[Action]:
    body = _all_of(answer)
    return [*answer.head(), Chunk(body[: len(body) // 2]), *end]


def header_flood(answer: Answer, _context: Context) -> Iterable[Action]:
    """More than a megabyte of header fields."""
    head = answer.head()
    return [*head, *(Header(f"x-flood-{n}", "x" * 1000) for n in range(1100)), *answer.actions()[len(head) :]]


def hints_first(answer: Answer, _context: Context) -> Iterable[Action]:
    """100 and 103 before the answer."""
    return [Interim(100), Interim(103), *answer.actions()]


def stale(answer: Answer, _context: Context) -> Iterable[Action]:
    """A good answer; then the connection closes without having said so."""
    return [*answer.head(), Send(_all_of(answer)), Close()]


def key_echo(_answer: Answer, context: Context) -> Iterable[Action]:
    """An error that repeats the whole key."""
    text = f"Something is wrong with the request that was signed with {context.ask.key}."
    return context.provider.error(400, text, context.ask).actions()


HANG: Play = instead(Stall())
DROP: Play = instead(Close())
RESET: Play = instead(Rst())
NOTHING: Play = instead(Status(204))
