"""JSON that strict decoders refuse is read as clean values where it can be read at all."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ollama_proxy.errors import UpstreamJunk
from ollama_proxy.hub.loose import loads_loosely, mend_surrogates


@pytest.mark.parametrize(
    ("text", "mended"),
    [
        (rb'"\ud83d\ude00"', rb'"\ud83d\ude00"'),
        (rb'"\ud83d"', rb'"\ufffd"'),
        (rb'"\uD83Dx"', rb'"\ufffdx"'),
        (rb'"\udc00"', rb'"\ufffd"'),
        (rb'"\ud83d\ud83d\ude00"', rb'"\ufffd\ud83d\ude00"'),
        (rb'"\\ud83d"', rb'"\\ud83d"'),
        (rb'"\\\ud83d"', rb'"\\\ufffd"'),
        (rb'"\n\"\u00e9"', rb'"\n\"\u00e9"'),
    ],
)
def test_only_lone_surrogates_are_mended(text: bytes, mended: bytes) -> None:
    """Pairs stay, and so does the text of an escaped backslash. (F57, F81)"""
    assert mend_surrogates(text) == mended


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b'{"a":NaN,"b":-Infinity,"c":1e999,"d":1.5}', {"a": None, "b": None, "c": None, "d": 1.5}),
        (b"[" + b"9" * 5000 + b",12]", [None, 12]),
        (b'"a\xffb"', "a\ufffdb"),
        (b'"a\nb"', "a\nb"),
        (b'{"a":1,"a":2}', {"a": 2}),
    ],
)
def test_what_can_be_read_is_read(text: bytes, value: Any) -> None:
    """What no JSON may hold becomes null, broken letters become U+FFFD, of two keys the last counts. (F50, F57)"""
    assert loads_loosely(text) == value


@pytest.mark.parametrize("text", [b"", b"{", b"nothing", b"[" * 100_000, b'{"a":1} x'])
def test_what_is_not_json_is_junk(text: bytes) -> None:
    """Deep nesting and cut text are junk, not a crash. (F57, F77)"""
    with pytest.raises(UpstreamJunk):
        loads_loosely(text)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.text(), x),
    )
)
@settings(deadline=None, max_examples=40)
def test_good_json_reads_as_it_is(value: Any) -> None:
    """Whatever json writes comes back, infinite numbers aside; and it can be written as UTF-8 again."""
    read = loads_loosely(json.dumps(value).encode())
    assert read == _finite(value)
    json.dumps(read, ensure_ascii=False, allow_nan=False).encode()


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list):
        return [_finite(item) for item in value]
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return value
