"""Packed request bodies: undone within bounds, or refused with a word."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollama_proxy.errors import BadRequest, TooLarge, UnsupportedEncoding
from ollama_proxy.server.unpack import UNPACKED_BYTES, is_taken, unpack

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


@given(st.binary(max_size=2000))
def test_a_packed_body_comes_out_as_it_went_in(body: bytes) -> None:
    """C210: zstd is undone."""
    assert unpack(zstd.compress(body), b"zstd") == body


def test_zstd_is_taken_on_v1_alone() -> None:
    """C210: as in Ollama."""
    assert is_taken(b"zstd", "/v1/responses")
    assert not is_taken(b"zstd", "/api/chat")
    assert not is_taken(b"gzip", "/v1/responses")
    assert is_taken(b"identity", "/api/chat")


def test_a_bomb_is_refused_at_the_bound() -> None:
    """F76: a few kilobytes that unpack to more than allowed never become memory."""
    bomb = zstd.compress(b"\0" * (UNPACKED_BYTES + 1))
    assert len(bomb) < 10_000
    with pytest.raises(TooLarge):
        unpack(bomb, b"zstd")


@pytest.mark.parametrize("body", [b"", b"no zstd", zstd.compress(b"hello" * 100)[:-5]])
def test_a_body_that_is_no_whole_frame_is_told_so(body: bytes) -> None:
    """F76: nonsense and torn frames are the caller's mistake."""
    with pytest.raises(BadRequest):
        unpack(body, b"zstd")


def test_a_window_beyond_reason_is_refused() -> None:
    """F76: a frame may not ask for a gigabyte to be undone."""
    wide = zstd.compress(b"x" * 300_000_000, options={zstd.CompressionParameter.window_log: 27})
    with pytest.raises((BadRequest, TooLarge)):
        unpack(wide, b"zstd")


def test_other_codings_are_refused() -> None:
    """F76: gzip is not understood by Ollama either."""
    with pytest.raises(UnsupportedEncoding):
        unpack(b"x", b"gzip")
