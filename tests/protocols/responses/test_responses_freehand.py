"""Tools that are called with free text: what the model is told of them, and how its call is read."""

from __future__ import annotations

from typing import Any

import pytest

from ollama_proxy.protocols.responses.freehand import arguments_of, description_of, input_of, parameters, wrapped

GRAMMAR = {"type": "grammar", "syntax": "lark", "definition": 'start: "a"+'}


@pytest.mark.parametrize(
    ("tool", "told"),
    [
        ({}, ""),
        ({"description": "Patches."}, "Patches."),
        ({"description": "Patches.", "format": {"type": "text"}}, "Patches."),
        (
            {"description": "Patches.", "format": GRAMMAR},
            'Patches.\n\nThe input has to follow this Lark grammar:\nstart: "a"+',
        ),
        (
            {"format": {**GRAMMAR, "syntax": "regex", "definition": "^a+$"}},
            "The input has to follow this regular expression:\n^a+$",
        ),
        ({"format": {**GRAMMAR, "definition": None}, "description": 1}, ""),
    ],
)
def test_a_grammar_is_told_in_words(tool: dict[str, Any], told: str) -> None:
    """No provider can be sent one, so the model reads it."""
    assert description_of(tool) == told


@pytest.mark.parametrize("text", ["", "*** Begin Patch\n+a\n", '{"input": "no"}', "\u2028 서울 \\"])
def test_a_text_comes_back_as_it_went(text: str) -> None:
    """Its history and its calls speak the same language."""
    assert input_of(arguments_of(text).encode()) == text


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (b'{"patch":"*** Begin"}', "*** Begin"),
        (b'{"why":"so","input":"*** Begin"}', "*** Begin"),
        (b'{"input":{"a":1}}', '{"input":{"a":1}}'),
        (b'{"a":"x","b":"y"}', '{"a":"x","b":"y"}'),
        (b"{}", "{}"),
    ],
)
def test_nothing_that_a_model_wrote_is_lost(arguments: bytes, text: str) -> None:
    """Its one text under another name is still its text; anything else is passed on whole."""
    assert input_of(arguments) == text


@pytest.mark.parametrize(
    "torn", ['{"input": "rm -rf /srv/app', ' {"input": "*** Begin', "{", '{"input": "a"} and more']
)
def test_half_an_object_is_no_input(torn: str) -> None:
    """Nobody should run a command that was cut."""
    assert wrapped(torn) is None


def test_each_function_has_a_schema_of_its_own() -> None:
    """Providers' rules change schemas in place."""
    parameters()["properties"].clear()
    assert list(parameters()["properties"]) == ["input"]
