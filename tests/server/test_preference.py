"""What a client would rather have."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollama_proxy.server.preference import first_choice

FORMS = {"application/json": "json", "*/*": "json", "text/plain": "text", "text/html": "page"}


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (b"", "json"),
        (b"*/*", "json"),
        (b"image/png", "json"),
        (b"text/plain", "text"),
        (b"TEXT/Plain; charset=utf-8", "text"),
        (b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "page"),
        (b"application/json, text/plain, */*", "json"),
        (b"text/plain;q=0.5, text/html;q=0.9", "page"),
        (b"text/plain; q=0, */*;q=0.1", "json"),
        (b"text/html;q=nonsense, text/plain;q=0.1", "text"),
        (b"text/html;q=-1, text/plain;q=nan", "json"),
        (b"text/plain;q=1, text/html;q=inf", "text"),
    ],
)
def test_the_dearest_form_is_chosen(accept: bytes, form: str) -> None:
    """C1: by weight, then by order; JSON where nothing fits."""
    assert first_choice(accept, FORMS, "json") == form


@pytest.mark.parametrize(
    ("languages", "korean"),
    [
        (b"", False),
        (b"ko", True),
        (b"ko-KR", True),
        (b"en-GB, ko-KR", False),
        (b"ko-KR;q=0.8, en;q=0.9", False),
        (b"fr, ko;q=0.3", True),
        (b"fr, *", False),
        (b"kok", False),
    ],
)
def test_a_language_serves_for_its_regions(languages: bytes, korean: bool) -> None:
    """`ko` for `ko-KR`, but not for another language that begins alike."""
    assert first_choice(languages, {"ko": True, "en": False, "*": False}, False) is korean


@given(st.binary(max_size=300))
def test_no_field_is_too_odd(field: bytes) -> None:
    """F81: whatever it holds, something is chosen."""
    assert first_choice(field, FORMS, "json") in {"json", "text", "page"}
