"""/api/generate: a prompt, or a gap to fill."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.support.contract import CHAT, CODE, DEEP, JSON, NO_TOOLS, PLAIN, World

OPEN = "openrouter:openai/gpt-4o-mini"
PICTURE = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(16)).decode()
METRICS = [
    "total_duration",
    "load_duration",
    "prompt_eval_count",
    "prompt_eval_duration",
    "eval_count",
    "eval_duration",
]


def test_an_answer_has_ollamas_keys_in_order(world: World) -> None:
    """C132: `context` stands before the metrics, and not at all for a raw prompt."""
    answer = world.generate()
    assert (answer.status, answer.type, answer.chunked) == (200, JSON, False)
    assert list(answer.json) == ["model", "created_at", "response", "done", "done_reason", "context", *METRICS]
    assert "context" not in world.generate(raw=True).json


def test_every_line_has_a_response(world: World) -> None:
    """C133: and only the last is done."""
    lines = world.generate(stream=True).lines
    assert len(lines) > 3
    assert all(list(line) == ["model", "created_at", "response", "done"] for line in lines[:-1])
    assert [line["done"] for line in lines] == [False] * (len(lines) - 1) + [True]
    assert lines[-1]["response"] == ""
    assert list(lines[-1])[:6] == ["model", "created_at", "response", "done", "done_reason", "context"]


def test_a_prompt_is_the_users_message(world: World) -> None:
    """C134: behind the system's, where there is one."""
    world.generate(OPEN, "Hi")
    assert world.sent["messages"] == [{"role": "user", "content": "Hi"}]
    world.fresh()
    world.generate(OPEN, "Hi", system="Be brief.")
    assert world.sent["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
    ]


def test_pictures_belong_to_the_prompt(world: World) -> None:
    """C135: as parts behind its text."""
    world.generate(CHAT, "What is this?", images=[PICTURE])
    (message,) = world.sent["messages"]
    assert [part["type"] for part in message["content"]] == ["text", "image_url"]
    assert message["content"][1]["image_url"]["url"] == f"data:image/png;base64,{PICTURE}"


@pytest.mark.parametrize("stream", [True, False])
def test_a_suffix_makes_it_a_gap_to_fill(world: World, stream: bool) -> None:
    """C136: the provider's own endpoint gets both ends; what it says is the response."""
    answer = world.generate(CODE, "def add(a, b):\n", suffix="\n    return c", stream=stream)
    text = "".join(line["response"] for line in answer.lines) if stream else answer.json["response"]
    assert "between 15 and 13 characters" in text
    (arrival,) = world.arrivals
    assert arrival.operation == "fim"
    assert (arrival.body["prompt"], arrival.body["suffix"]) == ("def add(a, b):\n", "\n    return c")
    assert "messages" not in arrival.body


@pytest.mark.parametrize("model", [CHAT, PLAIN])
def test_a_suffix_needs_a_model_that_inserts(world: World, model: str) -> None:
    """C137: told under the fully qualified name."""
    provider, _, name = model.partition(":")
    world.generate(model, "a", suffix="b").assert_error(
        400, f"registry.ollama.ai/library/{provider}:{name} does not support insert"
    )
    assert not world.arrivals


@pytest.mark.parametrize("more", [{"system": "Be brief."}, {"template": "{{ .Prompt }}"}, {"context": [1]}])
def test_raw_excludes_what_a_template_needs(world: World, more: dict[str, Any]) -> None:
    """C138: 400, with the three names."""
    answer = world.generate(OPEN, raw=True, **more)
    answer.assert_error(400, "raw mode does not support template, system, or context")
    assert not world.arrivals


def test_raw_sends_the_prompt_unchanged(world: World) -> None:
    """C139: blanks and marks of a template included."""
    prompt = " <|im_start|>user\nHi<|im_end|>\n"
    world.generate(OPEN, prompt, raw=True)
    assert world.sent["messages"] == [{"role": "user", "content": prompt}]


def test_template_and_context_have_no_effect(world: World) -> None:
    """C140: taken, and not sent."""
    world.generate(OPEN, "Hi", template="{{ .Prompt }}", context=[1, 2, 3])
    assert world.sent["messages"] == [{"role": "user", "content": "Hi"}]
    assert not {"template", "context"} & world.sent.keys()


def test_what_chat_understands_generate_does_too(world: World) -> None:
    """C141: format, options, think and logprobs."""
    more: dict[str, Any] = {
        "format": "json",
        "options": {"temperature": 0.5},
        "think": "low",
        "logprobs": True,
        "top_logprobs": 2,
    }
    assert world.generate(DEEP, **more).status == 200
    sent = world.sent
    assert sent["response_format"] == {"type": "json_object"}
    assert (sent["temperature"], sent["logprobs"], sent["top_logprobs"]) == (0.5, True, 2)
    assert "low" in (sent.get("reasoning_effort"), sent.get("reasoning", {}).get("effort"))
    world.fresh()
    assert world.chat(DEEP, **more).status == 200
    assert {**world.sent, "messages": None} == {**sent, "messages": None}


def test_what_chat_refuses_generate_does_too(world: World) -> None:
    """C141: in the same words."""
    refused: list[dict[str, Any]] = [
        {"format": "xml"},
        {"options": {"stop": "x"}},
        {"think": "x"},
        {"logprobs": True, "top_logprobs": 21},
    ]
    for more in refused:
        assert world.generate(NO_TOOLS, **more).body == world.chat(NO_TOOLS, **more).body
    assert not world.arrivals


@pytest.mark.parametrize("body", [{}, {"model": ""}, {"model": " "}, {"model": None}, {"prompt": "hi"}])
def test_no_model_is_an_unknown_model(world: World, body: dict[str, Any]) -> None:
    """C142: 404, unlike chat."""
    world.post("/api/generate", body).assert_error(404, "model '' not found")
