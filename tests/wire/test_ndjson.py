"""Lines are cut at LF only, and written so that no client cuts them elsewhere."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ollama_proxy.wire.ndjson import Lines, LineTooLarge, encode_line, quote
from tests.support.cuts import bytewise, cut_at, cut_points

AWKWARD = '<a href="x">&amp;</a> \u2028 \u2029 \u0085 한국 🌊 \\ \x00 \x0b'


def read(chunks: list[bytes]) -> list[bytes]:
    lines = Lines()
    found = [line for chunk in chunks for line in lines.feed(chunk)]
    rest = lines.finish()
    return found if rest is None else [*found, rest]


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b'{"a":1}\n{"b":2}\n', [b'{"a":1}', b'{"b":2}']),
        (b'{"a":1}\r\n{"b":2}', [b'{"a":1}', b'{"b":2}']),
        (b'\n\n{"a":1}\n \n', [b'{"a":1}']),
        ('"one\u2028two\u0085three\x0b\x0c"\n'.encode(), ['"one\u2028two\u0085three\x0b\x0c"'.encode()]),
        (b"", []),
    ],
)
def test_lines_end_at_lf_and_blank_ones_are_left_out(data: bytes, lines: list[bytes]) -> None:
    """LF and CRLF end a line; Unicode's other separators do not. (F53)"""
    assert read([data]) == lines
    assert read(list(bytewise(data))) == lines


@given(st.lists(st.sampled_from([b"\n", b"\r\n", b"{}", b" ", "\u2028".encode()])), cut_points)
@settings(deadline=None)
def test_cuts_change_nothing(parts: list[bytes], places: list[float]) -> None:
    """The same bytes give the same lines, however they are cut. (F60)"""
    data = b"".join(parts)
    assert read(cut_at(data, places)) == read([data])


def test_a_line_over_the_limit_is_refused() -> None:
    lines = Lines(limit=10)
    with pytest.raises(LineTooLarge):
        lines.feed(b"x" * 11)
    with pytest.raises(LineTooLarge):
        Lines(limit=10).feed(b"x" * 11 + b"\n")


def test_a_written_line_stays_one_line() -> None:
    """<, >, & and the separators that httpx splits at leave as escapes; the text is the same. (F53)"""
    line = encode_line({"content": AWKWARD, "list": [AWKWARD]})
    assert line.endswith(b"\n")
    assert len(line.decode().splitlines()) == 1
    assert not set(b"<>&") & set(line)
    assert json.loads(line) == {"content": AWKWARD, "list": [AWKWARD]}


@given(st.text(st.characters(exclude_categories=[])))
def test_quoted_text_comes_back(text: str) -> None:
    """A literal reads as the text, lone surrogates replaced, and is strict UTF-8. (F57)"""
    literal = quote(text).decode("utf-8", "strict")
    clean = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    assert json.loads(literal) == clean
    assert len(literal.splitlines()) <= 1
    assert not set("<>&") & set(literal)


@pytest.mark.parametrize("obj", ["a\ud800b", {"k\udfff": ["a\ud800"]}, ("\ud800",)])
def test_lone_surrogates_never_break_a_line(obj: Any) -> None:
    """They become U+FFFD, wherever they stand. (F57, F81)"""
    assert "\ufffd" in encode_line(obj).decode("utf-8", "strict")
