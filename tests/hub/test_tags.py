"""Reasoning between tags is told from the answer, wherever the tags were cut."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ollama_proxy.hub.tags import TagSplitter


def split(chunks: list[str]) -> tuple[str, str]:
    splitter = TagSplitter()
    parts = [splitter.feed(chunk) for chunk in chunks] + [splitter.flush()]
    return "".join(text for text, _ in parts), "".join(thinking for _, thinking in parts)


@pytest.mark.parametrize(
    ("given_text", "text", "thinking"),
    [
        ("<think>\nwell\n</think>\n\nLow.", "Low.", "well\n"),
        ("\n <thinking>well</thinking>Low.", "Low.", "well"),
        ("<thought>well</thought>Low; 3 < 4 and <b>now</b>.", "Low; 3 < 4 and <b>now</b>.", "well"),
        ("<think>\n\n</think>\n\nLow.", "Low.", ""),
        ("<think>never closed </thin", "", "never closed </thin"),
        ("<think>a </thinking> b</think>c", "c", "a </thinking> b"),
        ("Low <think>is a word</think>", "Low <think>is a word</think>", ""),
        ("  Low.", "  Low.", ""),
        ("<thinner>", "<thinner>", ""),
        ("<thi", "<thi", ""),
        ("   ", "   ", ""),
        ("", "", ""),
        ("<think>a</think>b<think>c</think>", "b<think>c</think>", "a"),
    ],
)
def test_only_a_tag_at_the_start_counts(given_text: str, text: str, thinking: str) -> None:
    """Everything else, other tags and lone angle brackets included, is text."""
    assert split([given_text]) == (text, thinking)
    assert split(list(given_text)) == (text, thinking)


@given(
    st.lists(st.sampled_from(["<think>", "</think>", "<thought>", "</", "<", "think>", " ", "\n", "a", "</thought>"]))
)
@settings(deadline=None)
def test_cuts_change_nothing(parts: list[str]) -> None:
    """One letter at a time gives what the whole text gives. (F60)"""
    text = "".join(parts)
    assert split(parts) == split([text]) == split(list(text))


def test_hardly_anything_is_held_back() -> None:
    """Inside the tags, only what may be the closing tag waits."""
    splitter = TagSplitter()
    assert splitter.feed("<think>The moon <") == ("", "The moon ")
    assert splitter.feed("3 pulls") == ("", "<3 pulls")
    assert splitter.feed("</think") == ("", "")


def test_white_space_is_not_held_back_for_ever() -> None:
    assert TagSplitter().feed(" " * 100) == (" " * 100, "")
