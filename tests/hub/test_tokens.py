"""Reported counts are taken as they are, the rest is an estimate from sizes."""

from __future__ import annotations

from typing import Any

import pytest

from ollama_proxy.hub.content import image_part, text_part
from ollama_proxy.hub.tokens import IMAGE_TOKENS, Counts, counts, estimate_prompt


def test_all_five_counts_are_found() -> None:
    usage = {
        "prompt_tokens": 10,
        "completion_tokens": 5.0,
        "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 1},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }
    assert counts(usage) == Counts(10, 5, 4, 1, 3)


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": None}, {"prompt_tokens": "10"}, {"prompt_tokens": -1}])
def test_what_makes_no_sense_was_not_reported(usage: dict[str, Any] | None) -> None:
    assert counts(usage) == Counts()
    assert counts({"prompt_tokens_details": None}) == Counts()


def test_an_estimate_grows_with_text_images_calls_and_tools() -> None:
    def estimate(*messages: dict[str, Any], **more: Any) -> int:
        return estimate_prompt({"messages": list(messages), **more})

    assert estimate() == 1
    assert estimate({"content": "x" * 400}) == 100
    assert estimate({"content": "서울"}, {"content": None}) == 1
    assert estimate({"content": [text_part("x" * 400), image_part("data:")]}) == 100 + IMAGE_TOKENS
    assert estimate({"content": None, "tool_calls": [{"arguments": "x" * 400}]}) > 100
    assert estimate({"content": "hi"}, tools=[{"description": "x" * 400}]) > 100
