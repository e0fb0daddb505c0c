"""Owns the words for broken JSON: what a Go JSON decoder says about the first byte that it cannot take.

It looks at text that a real parser has already refused, so it may be slow; it never builds a value. People read these
words in their client's error box.
Rules: RFC 8259 for what may stand where; the words as Ollama 0.33 answers them.
"""

from __future__ import annotations

import re
from collections.abc import Callable

__all__ = ["why_broken"]

_SPACE = re.compile(r"[ \t\r\n]*")
_PLAIN = re.compile(r'[^"\\\x00-\x1f]*')
_DIGITS = re.compile(r"[0-9]*")
_DIGIT = frozenset("0123456789")
_HEX = frozenset("0123456789abcdefABCDEF")
_WORDS = {"t": "true", "f": "false", "n": "null"}


class _Broken(Exception):
    """Carries the sentence."""


def why_broken(body: bytes) -> str:
    """The sentence for the first fault in the first JSON value of this text; "" if that value has none."""
    # One character per byte, as the decoder that we imitate counts: the first byte of a BOM is called 'ï'.
    scan = _Scan(body.decode("latin-1"))
    try:
        step: _Step | None = scan.value
        while step is not None:
            step = step()
    except _Broken as fault:
        return str(fault)
    return ""


class _Scan:
    """Walks over one value. Each method takes what it is named after and returns what must come next."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._open: list[str] = []

    def value(self) -> _Step | None:
        sign = self._next()
        if sign in "{[":
            self._open.append(sign)
            return self._first_key if sign == "{" else self._first_element
        if sign == '"':
            self._string()
        elif sign == "-" or sign in _DIGIT:
            self._number(sign)
        elif sign in _WORDS:
            self._word(_WORDS[sign])
        else:
            raise _broken(sign, "looking for beginning of value")
        return self._after

    def _first_key(self) -> _Step | None:
        return self._close() if self._peek() == "}" else self._key

    def _first_element(self) -> _Step | None:
        return self._close() if self._peek() == "]" else self.value

    def _key(self) -> _Step | None:
        sign = self._next()
        if sign != '"':
            raise _broken(sign, "looking for beginning of object key string")
        self._string()
        sign = self._next()
        if sign != ":":
            raise _broken(sign, "after object key")
        return self.value

    def _after(self) -> _Step | None:
        if not self._open:
            return None
        inside_object = self._open[-1] == "{"
        sign = self._peek()
        if sign == ",":
            self._at += 1
            return self._key if inside_object else self.value
        if sign == ("}" if inside_object else "]"):
            return self._close()
        raise _broken(sign, "after object key:value pair" if inside_object else "after array element")

    def _close(self) -> _Step:
        self._at += 1
        self._open.pop()
        return self._after

    def _string(self) -> None:
        while True:
            sign = self._take(_PLAIN)
            if sign == '"':
                return
            if sign != "\\":
                raise _broken(sign, "in string literal")
            escape = self._one()
            if escape == "u":
                for _ in range(4):
                    digit = self._one()
                    if digit not in _HEX:
                        raise _broken(digit, "in \\u hexadecimal character escape")
            elif escape not in '"\\/bfnrt':
                raise _broken(escape, "in string escape code")

    def _number(self, sign: str) -> None:
        if sign == "-":
            sign = self._one()
            if sign not in _DIGIT:
                raise _broken(sign, "in numeric literal")
        if sign != "0":
            self._digits()
        if self._text[self._at : self._at + 1] == ".":
            self._at += 1
            self._some_digits("after decimal point in numeric literal")
        if self._text[self._at : self._at + 1] in ("e", "E"):
            self._at += 1
            if self._text[self._at : self._at + 1] in ("+", "-"):
                self._at += 1
            self._some_digits("in exponent of numeric literal")

    def _some_digits(self, where: str) -> None:
        digit = self._one()
        if digit not in _DIGIT:
            raise _broken(digit, where)
        self._digits()

    def _digits(self) -> None:
        match = _DIGITS.match(self._text, self._at)
        assert match is not None
        self._at = match.end()

    def _word(self, word: str) -> None:
        for letter in word[1:]:
            sign = self._one()
            if sign != letter:
                raise _broken(sign, f"in literal {word} (expecting {letter!r})")

    def _peek(self) -> str:
        sign = self._next()
        self._at -= 1
        return sign

    def _next(self) -> str:
        """The next sign that is not white space."""
        return self._take(_SPACE)

    def _take(self, skip: re.Pattern[str]) -> str:
        match = skip.match(self._text, self._at)
        assert match is not None
        self._at = match.end()
        return self._one()

    def _one(self) -> str:
        if self._at >= len(self._text):
            raise _Broken("unexpected EOF")
        sign = self._text[self._at]
        self._at += 1
        return sign


_Step = Callable[[], "_Step | None"]


def _broken(sign: str, where: str) -> _Broken:
    return _Broken(f"invalid character {_quoted(sign)} {where}")


def _quoted(sign: str) -> str:
    """The sign between single quotes, as Go writes it."""
    special = {"'": r"\'", "\\": r"\\", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\b": r"\b", "\f": r"\f"}
    special |= {"\x07": r"\a", "\x0b": r"\v"}
    if sign in special:
        return f"'{special[sign]}'"
    if sign < " " or sign == "\x7f":
        return f"'\\x{ord(sign):02x}'"
    if "\x80" <= sign <= "\xa0" or sign == "\xad":
        return f"'\\u{ord(sign):04x}'"
    return f"'{sign}'"
