"""A request body is decoded at its top level only, and whatever is wrong with it is a BadRequest."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollama_proxy.errors import BadRequest, TooLarge
from ollama_proxy.hub.body import (
    drop_target_keys,
    is_empty,
    is_list,
    is_sdk_retry,
    read_body,
    take_flag,
    take_text,
)


def raws(body: bytes) -> dict[str, bytes]:
    return {key: bytes(value) for key, value in read_body(body).items()}


def test_values_stay_as_they_came() -> None:
    """Numbers keep their spelling, however long; of a key that comes twice the last counts. (F79, F80)"""
    digits = b"1" * 5000
    assert raws(b'{"a": 1.50, "n":' + digits + b', "m":"x", "m":"y", "z":-0, "e":1e999}') == {
        "a": b"1.50",
        "n": digits,
        "m": b'"y"',
        "z": b"-0",
        "e": b"1e999",
    }


def test_a_lone_surrogate_is_mended() -> None:
    """Legal for old encoders, fatal for strict upstreams; pairs stay. (F81)"""
    assert raws(rb'{"a":"\ud83d","b":"\ud83d\ude00","c":"\\ud83d"}') == {
        "a": rb'"\ufffd"',
        "b": rb'"\ud83d\ude00"',
        "c": rb'"\\ud83d"',
    }


def test_a_byte_order_mark_is_dropped() -> None:
    assert raws(b"\xef\xbb\xbf{}") == {}


@pytest.mark.parametrize("body", [b"", b" \n", b"\xef\xbb\xbf"])
def test_an_empty_body_is_an_eof(body: bytes) -> None:
    """(C36)"""
    with pytest.raises(BadRequest, match=r"^EOF$"):
        read_body(body)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"x",
        b"[]",
        b"null",
        b'"a"',
        b'{"a":1} x',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":01}',
        b'{"a":[1,]}',
        b'{"a":tru}',
        b'{"a":"\x01"}',
        b'{"a":"\xff"}',
        b'{"\\ud800',
        b'{"a":"\\ud83d',
        b'{"a":"\\x"}',
        b'{"a":' + b"[" * 100_000,
        b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"a":[' + b"{}," * 3_000_000 + b"{}]}",
    ],
)
def test_what_is_not_a_json_object_is_refused(body: bytes) -> None:
    """Every kind of poison ends as the caller's error, with words. (F77, F78, F79)"""
    with pytest.raises((BadRequest, TooLarge)) as caught:
        read_body(body)
    assert caught.value.message
    assert caught.value.status in (400, 413)


@given(st.binary(max_size=100) | st.text('{}[]":,\\ud8 0eE+-.tfn', max_size=60).map(str.encode))
def test_no_body_is_an_accident(body: bytes) -> None:
    """Any bytes give a dict or a refusal. (F77, F79, F81)"""
    with contextlib.suppress(BadRequest, TooLarge):
        assert isinstance(read_body(body), dict)


def test_texts_and_flags_are_taken_out() -> None:
    fields: dict[str, Any] = dict(read_body(b'{"model":"m","stream":true,"x":null}'))
    assert take_text(fields, "model") == "m"
    assert take_flag(fields, "stream") is True
    assert take_text(fields, "x") is None
    assert take_text(fields, "nothing") is None
    assert fields == {}


@pytest.mark.parametrize("value", [b"1", b"[]", b"{}", b"true", b'"\xc3"'])
def test_a_wrong_type_names_the_field(value: bytes) -> None:
    """(F82)"""
    with pytest.raises(BadRequest) as caught:
        take_text({"model": msgspec.Raw(value)}, "model")
    assert "model" in caught.value.message or "UTF-8" in caught.value.message or "valid JSON" in caught.value.message
    with pytest.raises(BadRequest, match="'stream' must be true or false"):
        take_flag({"stream": msgspec.Raw(b'"false"')}, "stream")


@pytest.mark.parametrize(
    ("value", "empty"),
    [(b"[]", True), (b"[ \n]", True), (b"null", True), (b"{ }", True), (b'""', True), (b"[0]", False), (b'"a"', False)],
)
def test_emptiness_is_seen_without_decoding(value: bytes, empty: bool) -> None:
    assert is_empty(msgspec.Raw(value)) is empty
    assert is_empty(None)
    assert is_list(msgspec.Raw(value)) is value.startswith(b"[")


def test_nobody_chooses_the_target() -> None:
    """Keys that name another host or key go; everything else stays. (F88)"""
    fields: dict[str, Any] = {
        "api_base": 1,
        "base_url": 2,
        "api_key": 3,
        "extra_headers": 4,
        "custom_llm_provider": 5,
        "user_config": 6,
        "provider": 7,
    }
    drop_target_keys(fields)
    assert fields == {"provider": 7}


@pytest.mark.parametrize(("value", "repeats"), [(b"0", False), (b"", False), (b"2", True)])
def test_an_sdk_that_repeats_says_so(value: bytes, repeats: bool) -> None:
    """(F29)"""
    assert is_sdk_retry({b"x-stainless-retry-count": value}) is repeats
    assert not is_sdk_retry({})
