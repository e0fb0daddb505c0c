"""Tool calls are told with ids of their own and arguments that are JSON objects, or not at all."""

from __future__ import annotations

import re

import pytest

from ollama_proxy.errors import UpstreamJunk
from ollama_proxy.hub.calls import ToolCall
from ollama_proxy.hub.tool_calls import ToldCall, told_calls
from tests.support.openai_kit import chances


def arguments(text: str) -> bytes:
    return told_calls([ToolCall("1", "f", text)], "tool_calls", chances())[0].arguments


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", b"{}"),
        ("null", b"{}"),
        (' {"a" : 1,\n "b":2}', b'{"a":1,"b":2}'),
        ('{"n":12345678901234567890123}', b'{"n":12345678901234567890123}'),
        ('"{\\"a\\":1}"', b'{"a":1}'),
        ('{"a":"line\nbreak"}', b'{"a":"line\\nbreak"}'),
        (r'{"a":"half \ud83d a pair"}', '{"a":"half \ufffd a pair"}'.encode()),
    ],
)
def test_arguments_become_a_compact_object(text: str, told: bytes) -> None:
    """Also where a model wraps them twice or writes raw line breaks; numbers keep their digits."""
    assert arguments(text) == told


@pytest.mark.parametrize("text", ['{"a":', "[1]", "1", "yes", "NaN", '{"a":NaN}', '{"a":1e999}', '{"a":-Infinity}'])
def test_arguments_that_are_no_object_are_junk(text: str) -> None:
    """C119: NaN and infinity are no JSON either."""
    with pytest.raises(UpstreamJunk, match='"f"'):
        arguments(text)


def test_a_call_torn_by_the_length_limit_is_left_out() -> None:
    calls = [ToolCall("1", "f", "{}"), ToolCall("2", "f", '{"a":')]
    assert told_calls(calls, "length", chances()) == [ToldCall("1", "f", b"{}")]


def test_ids_are_made_where_they_are_missing_or_used() -> None:
    told = told_calls([ToolCall("1", "f", ""), ToolCall("", "f", ""), ToolCall("1", "g", "")], None, chances())
    assert told[0].id == "1"
    assert len({call.id for call in told}) == 3
    assert all(re.fullmatch("call_[a-z0-9]{8}", call.id) for call in told[1:])


def test_chance_that_repeats_itself_makes_different_ids_all_the_same() -> None:
    """It was a loop without end."""
    calls = [ToolCall("", "f", "") for _ in range(50)]
    assert len({call.id for call in told_calls(calls, None, lambda: 0.0)}) == 50
