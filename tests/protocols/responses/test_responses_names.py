"""Functions of namespaces get names that providers take, and their own back."""

from __future__ import annotations

import re

from ollama_proxy.protocols.responses.names import Names, hub_name


def test_a_function_without_a_namespace_keeps_its_name() -> None:
    assert hub_name("", "odd.name") == "odd.name"


def test_a_long_name_stays_within_what_providers_take_and_apart_from_others() -> None:
    names = {hub_name("mcp__" + "x" * 60, f"do the thing {number}") for number in range(50)}
    assert len(names) == 50
    assert all(re.fullmatch("[A-Za-z0-9_-]{1,64}", name) for name in names)


def test_a_name_finds_its_way_home() -> None:
    names = Names()
    assert names.home(names.add("mcp__maps__", "find.place")) == ("mcp__maps__", "find.place")
    assert names.home("unheard_of") == ("", "unheard_of")


def test_who_takes_free_text_is_known_by_its_name_in_the_hub() -> None:
    """C208: a function of the same name in another namespace is not meant."""
    names = Names()
    names.add("a", "patch")
    assert names.is_freehand(names.add("", "patch", freehand=True))
    assert not names.is_freehand("a__patch")
