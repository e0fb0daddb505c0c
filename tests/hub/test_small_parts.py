"""Ids that are made up, and headers that tell a client's SDK when to come back."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from ollama_proxy.errors import KeysRefused, KeysResting, UpstreamJunk
from ollama_proxy.hub.ids import make_call_id
from ollama_proxy.hub.retry_headers import retry_headers


@given(st.floats(0, 1, exclude_max=True))
def test_ids_have_ollamas_shape(rnd: float) -> None:
    assert re.fullmatch(r"call_[a-z0-9]{8}", make_call_id(rnd))


def test_different_chances_give_different_ids() -> None:
    assert len({make_call_id(number / 1000) for number in range(1000)}) == 1000


def test_a_wait_is_told_in_seconds_and_milliseconds() -> None:
    """Two SDKs look for different headers. (F13, C239)"""
    error = KeysResting("all keys rest", retry_after_s=42)
    assert retry_headers(error) == [(b"retry-after", b"42"), (b"retry-after-ms", b"42000")]


def test_a_useless_retry_is_forbidden() -> None:
    """One 429 without it made up to 19 requests. (F2, F14)"""
    assert retry_headers(KeysRefused("no key works", hopeless=True)) == [(b"x-should-retry", b"false")]


def test_nothing_is_said_where_nobody_knows() -> None:
    assert retry_headers(UpstreamJunk("x")) == []
