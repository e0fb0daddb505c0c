from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollama_proxy.errors import BadRequest, TooLarge
from ollama_proxy.protocols.ollama import (
    parse_chat,
    parse_copy,
    parse_create,
    parse_delete,
    parse_embed,
    parse_embeddings,
    parse_generate,
    parse_pull,
    parse_push,
    parse_show,
)
from ollama_proxy.protocols.ollama.decode import decode_body
from tests.support.ollama_kit import FakeClock

PARSERS: list[Any] = [
    lambda body: parse_chat(body, FakeClock()),
    lambda body: parse_generate(body, FakeClock()),
    lambda body: parse_embed(body, FakeClock()),
    lambda body: parse_embeddings(body, FakeClock()),
    parse_show,
    parse_pull,
    parse_push,
    parse_create,
    parse_copy,
    parse_delete,
]


@pytest.mark.parametrize("parse", PARSERS)
@pytest.mark.parametrize("body", [b"", b" ", b"\r\n\t "])
def test_an_empty_body_is_missing(parse: Any, body: bytes) -> None:
    """Nothing, or only white space, is told the same way on every endpoint (C23, C24)."""
    with pytest.raises(BadRequest, match=r"^missing request body$") as caught:
        parse(body)
    assert caught.value.status == 400


@pytest.mark.parametrize("parse", PARSERS)
def test_a_cut_body_is_told_as_on_every_endpoint(parse: Any) -> None:
    """Truncated JSON (C25)."""
    with pytest.raises(BadRequest, match=r"^unexpected EOF$"):
        parse(b"{")


@pytest.mark.parametrize("parse", PARSERS)
def test_unknown_fields_are_ignored(parse: Any) -> None:
    """A field that nobody knows changes nothing: the other rules still speak (C32)."""
    known = {"model": "m", "messages": [], "source": "a", "destination": "b", "from": "x"}
    parse(json.dumps({**known, "nonsense": {"deep": [1]}}).encode())


def test_broken_text_is_told_in_gos_words() -> None:
    """C26."""
    with pytest.raises(BadRequest, match=r"^invalid character 'x' looking for beginning of value$"):
        decode_body(b"x")


def test_what_follows_the_first_value_is_ignored() -> None:
    """C31."""
    assert decode_body(b' {"a":1} trailing {') == {"a": 1}


def test_a_bom_is_refused() -> None:
    """Go's decoder has no notion of one."""
    with pytest.raises(BadRequest, match=r"^invalid character 'ï'"):
        decode_body(b"\xef\xbb\xbf{}")


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity"])
def test_pythons_own_numbers_are_refused(number: bytes) -> None:
    """They are not JSON, whatever Python's parser takes."""
    with pytest.raises(BadRequest, match=r"^invalid character"):
        decode_body(b'{"a":' + number + b"} tail")


@pytest.mark.parametrize("number", [b"1.5", b"-0.25e3", b"12345678901234567890"])
def test_ordinary_numbers_survive_the_slow_decoder(number: bytes) -> None:
    """With all their digits."""
    assert decode_body(b'{"a":' + number + b"} tail") == {"a": json.loads(number)}


@pytest.mark.parametrize("number", [b"1e999", b"-1e999", b"9" * 5000])
def test_numbers_beyond_a_float_are_refused(number: bytes) -> None:
    """Go cannot unmarshal them either."""
    with pytest.raises(BadRequest, match=r"^json: cannot unmarshal number"):
        decode_body(b'{"a":' + number + b"} tail")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"a":"x\xffy"}', "x\ufffdy"),
        (rb'{"a":"x\ud800y"}', "x\ufffdy"),
        (rb'{"a":"\ud83d\ude00"}', "\U0001f600"),
        (rb'{"a":"\ude00\ud83d"}', "\ufffd\ufffd"),
        (rb'{"a":"\\ud800"} tail', r"\ud800"),
    ],
)
def test_text_that_is_no_unicode_is_mended(body: bytes, text: str) -> None:
    """Wrong UTF-8 and lone surrogates become U+FFFD; pairs are characters."""
    assert decode_body(body) == {"a": text}


def test_the_last_of_two_equal_keys_wins() -> None:
    """As in Go."""
    assert decode_body(b'{"a":1,"a":2}') == {"a": 2}


def test_deep_nesting_is_refused() -> None:
    """It would exhaust the stack of whoever walks over it."""
    with pytest.raises(BadRequest):
        decode_body(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}")


def test_too_much_structure_is_refused() -> None:
    """Megabytes of empty objects would become gigabytes of memory."""
    with pytest.raises(TooLarge):
        decode_body(b"[" + b"{}," * 1_000_000 + b"{}]")


def test_a_long_broken_body_is_explained_quickly() -> None:
    """Beyond a size the plain parser's words must do."""
    with pytest.raises(BadRequest, match=r"^invalid JSON near character 5000008: "):
        decode_body(b'{"a":"' + rb"\n" * 2_500_000 + b'" "b"}')


@given(st.binary(max_size=60))
def test_any_bytes_become_a_value_or_a_bad_request(body: bytes) -> None:
    """No other failure comes out."""
    with contextlib.suppress(BadRequest):
        decode_body(body)


@given(st.recursive(st.none() | st.booleans() | st.text(), st.lists, max_leaves=8), st.text(alphabet=" x{", max_size=3))
def test_both_decoders_agree(value: Any, tail: str) -> None:
    """What follows the value sends the body to the slow decoder; the value is the same."""
    text = json.dumps({"v": value}).encode()
    assert decode_body(text + tail.encode()) == decode_body(text)
