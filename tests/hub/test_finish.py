"""Every provider's reason to stop has a meaning in OpenAI's words."""

from __future__ import annotations

import pytest

from ollama_proxy.errors import EmptyAnswer
from ollama_proxy.hub.finish import ERROR, MALFORMED, check_said, map_finish


@pytest.mark.parametrize(
    ("reason", "meaning"),
    [
        ("stop", "stop"),
        ("STOP", "stop"),
        ("COMPLETE", "stop"),
        ("end_turn", "stop"),
        ("STOP_SEQUENCE", "stop"),
        ("length", "length"),
        ("MAX_TOKENS", "length"),
        ("model_length", "length"),
        ("tool_calls", "tool_calls"),
        ("TOOL_CALL", "tool_calls"),
        ("tool_use", "tool_calls"),
        ("function_call", "tool_calls"),
        ("content_filter", "content_filter"),
        ("content_filter: PROHIBITED_CONTENT", "content_filter"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("BLOCKLIST", "content_filter"),
        ("SPII", "content_filter"),
        ("error", ERROR),
        ("ERROR", ERROR),
        ("function_call_filter: MALFORMED_FUNCTION_CALL", MALFORMED),
        ("MALFORMED_FUNCTION_CALL", MALFORMED),
        ("weather", "stop"),
    ],
)
def test_reasons_are_mapped(reason: str, meaning: str) -> None:
    """Letter case does not matter, what follows a known word does not either. (F58)"""
    assert map_finish(reason) == meaning


@pytest.mark.parametrize(
    ("finish", "said", "may_be_silent"),
    [
        ("stop", True, False),
        (None, True, False),
        ("length", False, False),
        ("content_filter", False, False),
        ("stop", False, True),
    ],
)
def test_an_answer_with_words_or_a_reason_is_one(finish: str | None, said: bool, may_be_silent: bool) -> None:
    check_said(finish, said=said, may_be_silent=may_be_silent)


@pytest.mark.parametrize(
    ("finish", "may_be_silent"), [("stop", False), ("tool_calls", False), (None, False), (None, True)]
)
def test_an_end_without_words_or_a_reason_is_no_answer(finish: str | None, may_be_silent: bool) -> None:
    """(F22)"""
    with pytest.raises(EmptyAnswer):
        check_said(finish, said=False, may_be_silent=may_be_silent)
