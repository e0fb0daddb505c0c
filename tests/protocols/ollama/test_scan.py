from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollama_proxy.protocols.ollama.scan import why_broken

FAULTS = [
    (b"{", "unexpected EOF"),
    (b'{"a":tru', "unexpected EOF"),
    (b'"abc', "unexpected EOF"),
    (b"x", "invalid character 'x' looking for beginning of value"),
    (b"\xef\xbb\xbf{}", "invalid character 'ï' looking for beginning of value"),
    (b'{"a":NaN}', "invalid character 'N' looking for beginning of value"),
    (b"[1,]", "invalid character ']' looking for beginning of value"),
    (b"'", r"invalid character '\'' looking for beginning of value"),
    (b"{,", "invalid character ',' looking for beginning of object key string"),
    (b'{"a" 1}', "invalid character '1' after object key"),
    (b'{"a":1 "b"}', "invalid character '\"' after object key:value pair"),
    (b"[1 2]", "invalid character '2' after array element"),
    (b'"a\nb"', r"invalid character '\n' in string literal"),
    (b'"\x01"', r"invalid character '\x01' in string literal"),
    (rb'"\x"', "invalid character 'x' in string escape code"),
    (rb'"\u12g4"', r"invalid character 'g' in \u hexadecimal character escape"),
    (b"-x", "invalid character 'x' in numeric literal"),
    (b"-\xb2", "invalid character '²' in numeric literal"),
    (b"[1.x]", "invalid character 'x' after decimal point in numeric literal"),
    (b"[1ex]", "invalid character 'x' in exponent of numeric literal"),
    (b"trux", "invalid character 'x' in literal true (expecting 'e')"),
    (b"\x85", r"invalid character '\u0085' looking for beginning of value"),
]


@pytest.mark.parametrize(("body", "words"), FAULTS)
def test_each_fault_has_its_sentence(body: bytes, words: str) -> None:
    """Go names the byte and what it was looking for (C25, C26)."""
    assert why_broken(body) == words


@pytest.mark.parametrize("body", [b"{}", b' [1, -2.5e+7, true, null, {"a": {}}] tail', b'"\\u00e9\\n"', b"0", b"01"])
def test_a_sound_first_value_has_none(body: bytes) -> None:
    """Only the first value counts."""
    assert why_broken(body) == ""


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)


@given(_json)
def test_valid_json_is_never_called_broken(value: object) -> None:
    """The scanner accepts what a parser writes."""
    assert why_broken(json.dumps(value).encode()) == ""


@given(st.dictionaries(st.text(), _json), st.data())
def test_a_cut_object_is_an_unexpected_end(value: object, data: st.DataObject) -> None:
    """An object that stops anywhere before its last brace was truncated (C25)."""
    text = json.dumps(value).encode()
    cut = data.draw(st.integers(1, len(text) - 1))
    assert why_broken(text[:cut]) == "unexpected EOF"


@given(st.binary(max_size=40))
def test_any_bytes_are_read_without_failing(body: bytes) -> None:
    """It always answers with a sentence or with nothing."""
    assert isinstance(why_broken(body), str)
