"""The wish to think, or not to, in each provider's words."""

from __future__ import annotations

from typing import Any

import pytest

from ollama_proxy.providers import Prepared, load
from ollama_proxy.providers.reasoning import nearest
from ollama_proxy.types import Capability, Model, Operation

PROVIDERS = load()
HELLO = [{"role": "user", "content": "hello"}]
WORDS = (
    "reasoning_effort",
    "reasoning",
    "extra_body",
    "enable_thinking",
    "thinking_budget",
    "thinking",
    "chat_template_kwargs",
)


def prepare(provider: str, model: str, stream: bool = True, known: Model | None = None, **fields: Any) -> Prepared:
    return PROVIDERS[provider].prepare(Operation.CHAT, model, {"messages": HELLO, **fields}, stream, known)


def said(provider: str, model: str, **fields: Any) -> dict[str, Any]:
    """What is sent about thinking."""
    body = prepare(provider, model, **fields).body
    assert "think" not in body
    return {word: body[word] for word in WORDS if word in body}


def thoughts(**setting: Any) -> dict[str, Any]:
    return {"extra_body": {"google": {"thinking_config": {"include_thoughts": True, **setting}}}}


@pytest.mark.parametrize(
    ("effort", "accepts", "sent"),
    [
        ("low", ("none", "low", "high"), "low"),
        ("minimal", ("none", "low", "medium", "high"), "low"),
        ("medium", ("low", "high"), "high"),
        ("xhigh", ("none", "low", "medium", "high"), "high"),
        ("max", ("none", "high", "xhigh"), "xhigh"),
        ("low", ("none", "high"), "high"),
        ("none", ("low", "high"), "low"),
        ("none", ("none", "high"), "none"),
        ("made-up", ("none", "high"), "made-up"),
    ],
)
def test_the_nearest_effort_is_sent(effort: str, accepts: tuple[str, ...], sent: str) -> None:
    """C102: the next stronger one, else the strongest; never none for an effort."""
    assert nearest(effort, accepts) == sent


@pytest.mark.parametrize(
    ("provider", "model", "effort", "sent"),
    [
        ("google", "gemini-2.5-flash", "minimal", {"reasoning_effort": "low"}),
        ("google", "gemini-2.5-flash", "none", {"reasoning_effort": "none"}),
        ("google", "gemini-2.5-flash", "max", {"reasoning_effort": "high"}),
        ("google", "gemini-2.5-pro", "none", {"reasoning_effort": "low"}),
        ("google", "gemini-3-pro-preview", "medium", {"reasoning_effort": "high"}),
        ("google", "gemini-3.5-flash", "medium", {"reasoning_effort": "medium"}),
        ("google", "gemma-4-31b-it", "high", {}),
        ("openrouter", "x/y", "max", {"reasoning_effort": "xhigh"}),
        ("openrouter", "x/y", "none", {"reasoning_effort": "none"}),
        ("openrouter", "deepseek/deepseek-r1:free", "none", {"reasoning_effort": "minimal"}),
        ("akash", "m", "high", {"reasoning": {"effort": "high"}}),
        ("akash", "m", "none", {"reasoning": {"enabled": False}}),
        ("cohere", "command-a-reasoning-08-2025", "low", {"reasoning_effort": "high"}),
        ("cohere", "command-a-reasoning-08-2025", "none", {"reasoning_effort": "none"}),
        ("cohere", "command-a-03-2025", "high", {}),
        ("codestral", "codestral-latest", "high", {}),
        ("mistral", "magistral-medium-latest", "medium", {"reasoning_effort": "high"}),
        ("mistral", "mistral-large-2512", "medium", {}),
        ("qwen", "qwen3-max", "low", {"enable_thinking": True, "thinking_budget": 1024}),
        ("qwen", "qwen3-max", "high", {"enable_thinking": True}),
        ("qwen", "qwen3-max", "none", {"enable_thinking": False}),
        ("qwen", "qwen3-coder-plus", "high", {}),
        ("qwen", "qwq-plus", "none", {"thinking_budget": 1024}),
        ("qwen", "deepseek-v4-pro", "max", {"enable_thinking": True, "reasoning_effort": "max"}),
        ("openai", "gpt-5.2", "max", {"reasoning_effort": "xhigh"}),
        ("openai", "gpt-4o", "high", {}),
        ("groq", "openai/gpt-oss-120b", "none", {"reasoning_effort": "low"}),
        ("groq", "qwen/qwen3.8-27b", "low", {"reasoning_effort": "default"}),
        ("groq", "llama-3.3-70b-versatile", "low", {}),
        ("deepseek", "deepseek-v4-pro", "none", {"thinking": {"type": "disabled"}}),
        ("deepseek", "deepseek-v4-pro", "max", {"thinking": {"type": "enabled"}, "reasoning_effort": "max"}),
        ("vllm", "Qwen/Qwen3-8B", "none", {"chat_template_kwargs": {"enable_thinking": False, "thinking": False}}),
        ("nvidia", "openai/gpt-oss-20b", "low", {"reasoning_effort": "low"}),
        ("together", "m", "low", {"reasoning_effort": "low"}),
        ("local", "m", "xhigh", {"reasoning_effort": "max"}),
    ],
)
def test_an_effort_in_each_providers_words(provider: str, model: str, effort: str, sent: dict[str, Any]) -> None:
    """C102: OpenAI's word is the neutral one."""
    assert said(provider, model, reasoning_effort=effort) == sent


@pytest.mark.parametrize(
    ("provider", "model", "think", "sent"),
    [
        ("google", "gemini-2.5-flash", True, thoughts()),
        ("google", "gemini-2.5-flash", "low", thoughts(thinking_budget=1024)),
        ("google", "gemini-3.5-flash", "high", thoughts(thinking_level="high")),
        ("google", "gemini-3.5-flash", False, {"reasoning_effort": "none"}),
        ("openrouter", "x/y", True, {"reasoning": {"enabled": True}}),
        ("openrouter", "x/y", "low", {"reasoning_effort": "low"}),
        ("openrouter", "x/y", False, {"reasoning_effort": "none"}),
        ("akash", "m", True, {"reasoning": {"enabled": True}}),
        ("cohere", "command-a-plus-05-2026", True, {"reasoning_effort": "high"}),
        ("qwen", "qwen3-max", True, {"enable_thinking": True}),
        ("qwen", "qwen3-max", False, {"enable_thinking": False}),
        ("deepseek", "deepseek-v4-pro", True, {"thinking": {"type": "enabled"}}),
        ("together", "m", True, {}),
    ],
)
def test_ollamas_think_in_each_providers_words(
    provider: str, model: str, think: bool | str, sent: dict[str, Any]
) -> None:
    """C102: true is the model's own default with its thoughts shown, false is none; the word itself is never sent."""
    assert said(provider, model, think=think) == sent


def test_think_and_an_effort_together_are_one_wish() -> None:
    """The Ollama face gives both: the effort for providers that need one, the wish to see for those that can show."""
    assert said("google", "gemini-2.5-flash", think=True, reasoning_effort="medium") == thoughts()
    assert said("google", "gemini-2.5-flash", think="high", reasoning_effort="high") == thoughts(thinking_budget=24576)


def test_nothing_asked_is_nothing_sent() -> None:
    """A model's own default stands."""
    for provider in PROVIDERS:
        assert said(provider, "m") == {}


def test_gemini_is_never_told_twice() -> None:
    """reasoning_effort and a thinking_config exclude each other (400)."""
    own = {"google": {"thinking_config": {"thinking_budget": 5}, "cached_content": "c"}}
    prepared = prepare("google", "gemini-2.5-flash", extra_body=own, reasoning_effort="low")
    assert prepared.body["extra_body"] == own
    assert "reasoning_effort" not in prepared.body
    assert prepared.dropped == ("reasoning_effort",)
    both = prepare("google", "gemini-2.5-flash", extra_body={"google": {"cached_content": "c"}}, think=True)
    assert both.body["extra_body"] == {"google": {"cached_content": "c", "thinking_config": {"include_thoughts": True}}}


def test_openrouters_own_object_goes_there_as_it_is() -> None:
    """And is understood for the others."""
    own = {"effort": "low", "exclude": True}
    assert said("openrouter", "x/y", reasoning=own) == {"reasoning": own}
    assert said("openrouter", "x/y", reasoning={"exclude": True}) == {"reasoning": {"exclude": True}}
    assert said("google", "gemini-2.5-flash", reasoning=own) == {"reasoning_effort": "low"}
    assert said("qwen", "qwen3-max", reasoning={"enabled": False}) == {"enable_thinking": False}
    assert prepare("google", "gemini-2.5-flash", reasoning={"exclude": True}).dropped == ("reasoning",)


def test_a_wish_that_cannot_be_said_is_reported() -> None:
    """Except the wish not to think, which is what such a model does anyway."""
    assert prepare("codestral", "codestral-latest", reasoning_effort="high").dropped == ("reasoning_effort",)
    assert prepare("codestral", "codestral-latest", reasoning_effort="none").dropped == ()


# --- DashScope's conditions -------------------------------------------------------------------------------------------


def test_thinking_is_streamed_whatever_the_client_asked() -> None:
    """ "enable_thinking must be set to false for non-streaming calls"; the answer is collected, with its usage."""
    prepared = prepare("qwen", "qwen3-max", stream=False, reasoning_effort="high")
    assert prepared.stream
    assert prepared.body["stream"] is True
    assert prepared.body["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize(
    ("model", "streams"),
    [
        ("qwq-plus", True),
        ("qwen3-8b", True),
        ("qwen3-235b-a22b-thinking-2507", True),
        ("qwen3-max", False),
        ("qwen3-coder-plus", False),
    ],
)
def test_models_that_think_by_themselves_are_streamed(model: str, streams: bool) -> None:
    """The open Qwen3 models and QwQ refuse to think outside a stream."""
    assert prepare("qwen", model, stream=False).stream is streams


def test_an_open_model_told_not_to_think_needs_no_stream() -> None:
    """Nor is one turned into a stream that the client switched off itself."""
    assert not prepare("qwen", "qwen3-8b", stream=False, reasoning_effort="none").stream
    assert not prepare("qwen", "qwen3-8b", stream=False, enable_thinking=False).stream
    assert prepare("qwen", "qwen3-max", stream=False, enable_thinking=True).stream


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "f"}}])
def test_a_forced_call_cannot_be_had_while_thinking(choice: Any) -> None:
    """tool_choice becomes auto where the client wants thoughts; else the model is told not to think."""
    tools = [{"type": "function", "function": {"name": "f"}}]
    assert (
        prepare("qwen", "qwen3-max", tools=tools, tool_choice=choice, reasoning_effort="high").body["tool_choice"]
        == "auto"
    )
    assert prepare("qwen", "qwq-plus", tools=tools, tool_choice=choice).body["tool_choice"] == "auto"
    unasked = prepare("qwen", "qwen3-8b", tools=tools, tool_choice=choice).body
    assert (unasked["tool_choice"], unasked["enable_thinking"]) == (choice, False)


def test_a_json_answer_goes_before_thinking() -> None:
    """Both together are refused; the form of the answer is the harder wish."""
    prepared = prepare("qwen", "qwen3-max", response_format={"type": "json_object"}, reasoning_effort="high")
    assert prepared.body["enable_thinking"] is False
    assert prepared.dropped == ("reasoning_effort",)
    unasked = prepare("qwen", "qwen3-8b", False, response_format={"type": "json_object"})
    assert unasked.body["enable_thinking"] is False
    assert not unasked.stream
    always = prepare("qwen", "qwq-plus", response_format={"type": "json_object"})
    assert always.dropped == ("response_format",)
    assert "JSON" in always.body["messages"][0]["content"]


def test_a_model_known_not_to_think_is_not_asked_to() -> None:
    """The catalogue knows it better than a pattern."""
    plain = Model("qwen", "qwen-max", frozenset({Capability.COMPLETION, Capability.TOOLS}))
    prepared = prepare("qwen", "qwen-max", known=plain, reasoning_effort="high")
    assert "enable_thinking" not in prepared.body
    assert prepared.dropped == ("reasoning_effort",)


def test_a_schema_that_cannot_be_sent_is_told_in_words() -> None:
    """Else a model that always thinks would never hear of it."""
    schema = {"type": "object", "properties": {"name": {"type": "string"}}}
    wanted = {"type": "json_schema", "json_schema": {"name": "schema", "schema": schema}}
    sent = prepare("qwen", "qwq-plus", response_format=wanted)
    assert "response_format" not in sent.body
    assert '{"type":"object","properties":{"name":{"type":"string"}}}' in sent.body["messages"][0]["content"]
