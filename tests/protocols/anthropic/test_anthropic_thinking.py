"""Wishes to think, and for an answer's form, in the hub's words."""

from __future__ import annotations

from typing import Any

import pytest

from ollama_proxy.errors import BadRequest
from tests.support.event_streams import messages_call, sent


def hub(**fields: Any) -> dict[str, Any]:
    body = sent(messages_call(**fields)[0])
    del body["max_tokens"]
    return body


def shown(effort: str) -> dict[str, Any]:
    return {"reasoning_effort": effort, "think": effort}


def budget(tokens: int | None) -> dict[str, Any]:
    return {"type": "enabled", "budget_tokens": tokens}


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, {}),
        ({"thinking": {"type": "disabled"}}, {"reasoning_effort": "none"}),
        ({"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}}, {"reasoning_effort": "none"}),
        ({"thinking": budget(1024)}, shown("low")),
        ({"thinking": budget(10_000)}, shown("medium")),
        ({"thinking": budget(31_999)}, shown("high")),
        ({"thinking": budget(None)}, shown("medium")),
        ({"thinking": budget(1024), "output_config": {"effort": "max"}}, shown("max")),
        ({"thinking": {"type": "adaptive"}}, {"think": True}),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}, shown("high")),
        ({"thinking": {"type": "adaptive", "display": "omitted"}}, {}),
        ({"output_config": {"effort": "xhigh"}}, {"reasoning_effort": "xhigh"}),
        ({"output_config": {"effort": "novel"}}, {}),
    ],
)
def test_thinking_is_an_effort(fields: dict[str, Any], told: dict[str, Any]) -> None:
    """`think` beside it asks for thoughts that are shown."""
    assert hub(**fields) == told


@pytest.mark.parametrize("thinking", [budget(-1), {"type": "enabled", "budget_tokens": "many"}, "adaptive"])
def test_a_wish_that_makes_no_sense_is_refused(thinking: Any) -> None:
    with pytest.raises(BadRequest, match=r"^thinking"):
        messages_call(thinking=thinking)


def test_a_schema_for_the_answer_is_passed_on() -> None:
    wanted = {"type": "json_schema", "schema": {"type": "object"}}
    told = {"type": "json_schema", "json_schema": {"name": "schema", "schema": {"type": "object"}}}
    assert hub(output_config={"format": wanted}) == hub(output_format=wanted) == {"response_format": told}
    with pytest.raises(BadRequest, match=r"output_config\.format"):
        messages_call(output_config={"format": {"type": "xml"}})
