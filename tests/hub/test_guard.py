"""Structure is counted before anything decodes it, in linear time."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ollama_proxy.errors import BadRequest, TooLarge
from ollama_proxy.hub.guard import MAX_DEPTH, MAX_TOKENS, check_structure


def nested(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        nested(MAX_DEPTH),
        b"[" + b"[],[[]]," * 1000 + b"[]]",
        json.dumps(["[" * 500, '{"' * 500, "\\", '\\"', "[,{"]).encode(),
        json.dumps([["[{" * 200] for _ in range(200)]).encode(),
        json.dumps(["," * 10] * 50_000 + ["{[," * 100_000]).encode(),
        b'{"a":"' + b"x" * 8_000_000 + b'"}',
    ],
)
def test_reasonable_structure_passes(body: bytes) -> None:
    """What stands inside strings does not count, long strings are free. (F78, F83, C234)"""
    check_structure(body)


@pytest.mark.parametrize("levels", [MAX_DEPTH + 1, 1000, 100_000])
def test_deep_nesting_is_refused(levels: int) -> None:
    """Objects and lists count alike, and brackets inside strings hide nothing. (F77)"""
    with pytest.raises(BadRequest):
        check_structure(nested(levels))
    hidden = b'["]]]","\\"]",' * levels + b"1" + b"]" * levels
    with pytest.raises((BadRequest, TooLarge)):
        check_structure(hidden)


def test_an_unclosed_nest_is_refused() -> None:
    """100,000 openers without an end. (F77)"""
    begun = time.perf_counter()
    with pytest.raises(BadRequest):
        check_structure(b'{"messages":' + b"[" * 100_000)
    assert time.perf_counter() - begun < 0.5


@pytest.mark.parametrize(
    "body",
    [
        b"[" + b"{}," * 3_000_000 + b"{}]",
        b"[" + b"1," * MAX_TOKENS + b"1]",
        b"[" + b'"",' * 1_000_000 + b'""]',
        b"[" * (MAX_DEPTH + 1) + b'"' * 2_000_000,
        nested(90) + b"]" * 4_000_000 + b"[" * (MAX_TOKENS + 1),
    ],
)
def test_crowded_bodies_are_refused_fast(body: bytes) -> None:
    """9 MB of `{}` is refused by counting. (F78)"""
    begun = time.perf_counter()
    with pytest.raises(TooLarge):
        check_structure(body)
    assert time.perf_counter() - begun < 1


@given(
    st.recursive(
        st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=300
    )
)
@settings(deadline=None, max_examples=40)
def test_ordinary_json_passes(value: Any) -> None:
    check_structure(json.dumps(value).encode())


@given(st.text('[]{}",:\\ ab', max_size=300), st.integers(0, 300))
def test_whatever_comes_is_judged(text: str, levels: int) -> None:
    """Garbage is refused or passed on to the decoder, never an exception of another kind."""
    try:
        check_structure(b"[" * levels + text.encode())
    except (BadRequest, TooLarge):
        assert levels + text.count("[") + text.count("{") > MAX_DEPTH
