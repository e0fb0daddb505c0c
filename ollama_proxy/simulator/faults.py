"""Owns the table of faults: what a word in a key or after a `!` in a model's name does to the answer.

    model   gemini-2.5-flash!cut      this call's stream is cut
            gemini-2.5-flash!500x2    the first two calls fail, later ones are fine
            gemini-2.5-flash!crlf!slow    both
    key     any-name-rate-1           this key is always too fast
            any-name-500x3            its first three calls fail

A word is looked for among the words of WORDS (each provider has its own answer for them), the faults of FAULTS, the
provider's recorded answers (`429-day`, `400-context` ...) and any status (`!418`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from ollama_proxy.simulator import plays, twists
from ollama_proxy.simulator.actions import Close, Stall
from ollama_proxy.simulator.plays import Play
from ollama_proxy.simulator.providers.base import Provider
from ollama_proxy.simulator.shapes import ANYBODY, Shape
from ollama_proxy.simulator.twists import BodyTwist, TrackTwist

__all__ = ["FAULTS", "WORDS", "Fault", "Hit", "find_fault", "in_key", "in_model"]


@dataclass(frozen=True, slots=True)
class Fault:
    """One row. track changes a stream, body what is no stream, play the sending; shape is a recorded answer instead."""

    says: str
    track: TrackTwist | None = None
    body: BodyTwist | None = None
    play: Play | None = None
    shape: Shape | None = None
    #: Concerns the key itself, and so every call with it, lists too.
    of_key: bool = False


@dataclass(frozen=True, slots=True)
class Hit:
    """A fault that was asked for. most: only that many calls are hit; None is all."""

    name: str
    fault: Fault
    most: int | None = None


#: Each provider answers these in its own way (`Provider.words`).
WORDS: Mapping[str, str] = {
    "bad": "the key is not valid",
    "leaked": "the key was found in public (where the provider says so)",
    "expired": "the key has expired",
    "disabled": "the key may not be used: service off, limit reached",
    "rate": "too many requests this minute",
    "day": "the day's allowance is used up (Cohere: the month's)",
    "quota": "out of money, or the model is not in the plan",
    "busy": "no capacity for this model just now; the key is fine",
    "context": "the prompt is longer than the model's window",
    "blocked": "refused for its content",
    "missing": "no such model",
}
_OF_KEY = frozenset({"bad", "leaked", "expired", "disabled"})

_MID = {
    "cut": Fault("two pieces of the answer, then the connection is closed", play=plays.then(Close())),
    "rst": Fault("two pieces of the answer, then the connection is reset", play=plays.reset_later),
    "stall": Fault("two pieces of the answer, then silence", play=plays.then(Stall())),
    "truncated": Fault("the answer stops with neither end nor end mark", twists.unended(*twists.END), twists.half),
    "cut-json": Fault("the last event is torn in the middle", twists.torn, twists.half),
    "error-mid": Fault("two pieces of text, then an error inside the stream", twists.failing_later, twists.error_body),
}
_BEFORE = {
    "close-first": Fault("the connection is closed without a byte", play=plays.DROP),
    "rst-first": Fault("the connection is reset without a byte", play=plays.RESET),
    "hang": Fault("nothing is ever answered", play=plays.HANG),
    "silent": Fault("the head, then nothing", play=plays.head_then(Stall())),
    "comments": Fault("the head, then comments for ever and no text", play=plays.comments),
    "slow-head": Fault("the head comes byte by byte, slowly", play=plays.slow_head),
    "late": Fault("a long wait before the first byte", play=plays.late),
    "error-first": Fault("an error inside the stream, before any text", twists.failing_first, twists.error_body),
    "error-200": Fault("an error as whole answer, with status 200", body=twists.error_body, play=plays.as_json),
    "echo-key": Fault("an error that repeats the key", play=plays.key_echo),
    "html": Fault("a web page with status 200", play=plays.page),
    "empty": Fault("status 200 and no body at all", play=plays.empty),
    "no-content": Fault("status 204", play=plays.NOTHING),
    "redirect": Fault("a redirect to another host", play=plays.redirect(302)),
}
_FORM = {
    "slow": Fault("a wait before each piece", play=plays.slowly),
    "json": Fault("JSON, also where a stream was asked for", play=plays.as_json),
    "sse": Fault("a stream, also where JSON was asked for", play=plays.as_stream),
    "whitespace": Fault("blank lines ahead of the answer", play=plays.whitespace),
    "no-done": Fault("an end, but no `[DONE]`", twists.without("done")),
    "no-finish": Fault("`[DONE]`, but no end before it", twists.unended("finish", "usage")),
    "double-done": Fault("`[DONE]` twice, with text between", twists.twice_done),
    "only-done": Fault("a stream with `[DONE]` and nothing else", twists.only("done"), twists.no_choices),
    "finish-only": Fault("an end without any text", twists.without(*twists.CONTENT), twists.blank_body),
    "crlf": Fault("lines end in CR LF", twists.each(lambda data: data.replace(b"\n", b"\r\n"))),
    "cr": Fault("lines end in CR", twists.each(lambda data: data.replace(b"\n", b"\r"))),
    "utf8": Fault("one byte in each write: every letter is cut", play=plays.byte_by_byte),
    "one-write": Fault("the whole stream in one write", twists.at_once),
    "no-blank": Fault("no `[DONE]`, and no blank line after the last event", twists.no_blank_line),
    "bom": Fault("a byte-order mark at the start", twists.with_mark),
    "liberties": Fault("every liberty that SSE allows, two data lines included", twists.each(twists.liberties)),
}
_POISON = {
    "bad-utf8": Fault(
        "a byte that is no UTF-8 in the text",
        twists.each(twists.in_text(b"\xff")),
        twists.body_each(twists.in_text(b"\xff")),
    ),
    "surrogate": Fault(
        "half a surrogate pair in the text",
        twists.each(twists.in_text(b"\\ud83d")),
        twists.body_each(twists.in_text(b"\\ud83d")),
    ),
    "nan": Fault("NaN among the token counts", twists.each(twists.not_a_number), twists.body_each(twists.not_a_number)),
    "deep": Fault("a field 5,000 levels deep", twists.deep_piece),
    "many": Fault("10,000 pieces of text in one write", twists.many_pieces),
    "big-line": Fault("one event of 7 MB", twists.big_piece(7_000_000)),
    "huge-line": Fault("one event of 9 MB", twists.big_piece(9_000_000)),
    "endless": Fault("an answer without end", play=plays.endless),
    "gzip": Fault("compressed, though nobody asked", play=plays.zipped),
    "bomb": Fault("a small body that unpacks to 100 MiB", play=plays.bomb),
    "shuffled": Fault("vectors out of order", body=twists.turned_round),
    "base64": Fault("vectors as base64, though nobody asked", body=twists.in_base64),
}
_HTTP = {
    "short": Fault("fewer bytes than Content-Length says", play=plays.too_long_length),
    "planted": Fault("a second answer behind the first", play=plays.planted),
    "bad-chunk": Fault("a chunk whose size is no number", play=plays.bad_chunk),
    "no-last-chunk": Fault("the chunk that ends the body never comes", play=plays.no_last_chunk),
    "two-framings": Fault("Content-Length and Transfer-Encoding together", play=plays.two_framings),
    "header-flood": Fault("more than a megabyte of header fields", play=plays.header_flood),
    "hints": Fault("100 and 103 before the answer", play=plays.hints_first),
    "stale": Fault("a good answer, then the idle connection closes", play=plays.stale),
}

FAULTS: Mapping[str, Fault] = {**_BEFORE, **_MID, **_FORM, **_POISON, **_HTTP}

_SUFFIX = re.compile(r"(?P<name>.+?)(?:x(?P<most>\d{1,4}))?")


def find_fault(provider: Provider, name: str) -> Fault | None:
    """The fault of that name at this provider; None if there is none."""
    if name in WORDS:
        shape = _shape(provider, provider.words.get(name, ""))
        return Fault(WORDS[name], shape=shape, of_key=name in _OF_KEY) if shape else None
    if name in FAULTS:
        return FAULTS[name]
    shape = _shape(provider, name)
    if shape:
        return Fault(shape.says, shape=shape, of_key=shape.status == 401 or "key" in name)
    return _status(name)


def _shape(provider: Provider, name: str) -> Shape | None:
    found = provider.shapes.get(name) or ANYBODY.get(name)
    if found is not None or not re.fullmatch(r"[45]\d\d", name):
        return found
    status = int(name)
    # These two mean too many things for one of the recorded answers to stand for them.
    if status not in (400, 403):
        likely = (*provider.words.values(), *provider.shapes)
        shapes = (provider.shapes[word] for word in likely if word in provider.shapes)
        found = next((shape for shape in shapes if shape.status == status and not shape.operation), None)
    return found or Shape(f"status {status}", status, provider.error_body(status, f"Simulated status {status}."))


def _status(name: str) -> Fault | None:
    if re.fullmatch(r"3\d\d", name):
        return Fault(f"status {name} to another host", play=plays.redirect(int(name)))
    if re.fullmatch(r"2\d\d", name):
        return Fault(f"the answer under status {name}", play=plays.with_status(int(name)))
    return None


def in_model(provider: Provider, words: tuple[str, ...]) -> Iterator[Hit | str]:
    """For each word after a `!` the fault; the word itself where nobody knows it."""
    for word in words:
        fault = find_fault(provider, word)
        if fault is not None:
            yield Hit(word, fault)
            continue
        match = _SUFFIX.fullmatch(word)
        fault = find_fault(provider, match["name"]) if match else None
        if match is None or fault is None:
            yield word
        else:
            yield Hit(match["name"], fault, int(match["most"] or 0) or None)


def in_key(provider: Provider, key: str) -> Iterator[Hit]:
    """The faults that a key names: whole words between dashes, the longest first."""
    for match in _key_words(provider).finditer(f"-{key}-"):
        fault = find_fault(provider, match["name"])
        if fault is not None:
            yield Hit(match["name"], fault, int(match["most"] or 0) or None)


@cache
def _key_words(provider: Provider) -> re.Pattern[str]:
    names = {*WORDS, *FAULTS, *(name for name, shape in provider.shapes.items() if shape.is_fault)}
    ordered = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    return re.compile(rf"(?<=-)(?P<name>{ordered}|[45]\d\d)(?:x(?P<most>\d{{1,4}}))?(?=-)")
