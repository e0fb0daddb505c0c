"""Whatever a client sends: nothing that a provider is known to refuse, nothing that makes us stumble."""

from __future__ import annotations

import contextlib
import copy
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Raw

from ollama_proxy.errors import BadRequest
from ollama_proxy.providers import load
from ollama_proxy.types import Operation
from tests.support.strict_upstreams import STRICT, as_json

PROVIDERS = load()
MODELS = {
    "google": ["gemini-2.5-flash", "gemini-2.5-pro", "gemini-3-pro-preview", "gemini-3.5-flash", "gemma-4-31b-it"],
    "openrouter": ["qwen/qwen3-coder:free", "google/gemini-3.5-flash", "deepseek/deepseek-r1:free"],
    "akash": ["meta-llama/Llama-3.3-70B-Instruct"],
    "cohere": ["command-a-03-2025", "command-a-reasoning-08-2025"],
    "codestral": ["codestral-latest"],
    "qwen": ["qwen3-max", "qwen3-8b", "qwq-plus", "qwen3-coder-plus", "deepseek-v4-pro"],
}
SIX = list(MODELS)
HELLO = [{"role": "user", "content": "hello"}]
TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {"properties": {"q": {"type": "string"}}}}}


def raw(body: dict[str, Any]) -> dict[str, Any]:
    """A body as the OpenAI face hands it on: decoded one level deep."""
    return {key: Raw(msgspec.json.encode(value)) for key, value in body.items()}


scalars = st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-3, 3) | st.text("ab ", max_size=3)
json_like = st.recursive(
    scalars,
    lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text("ab$", max_size=3), x, max_size=3),
    max_leaves=8,
)
schemas = st.recursive(
    st.sampled_from(
        [
            {"type": "string"},
            {"type": ["string", "null"]},
            {"type": "array"},
            {"type": "object"},
            {"const": "a"},
            {},
            {"enum": [1, 2, None]},
            {"$ref": "#/$defs/A"},
            {"$ref": "#/nowhere"},
            True,
            {"type": "integer", "minimum": 1, "exclusiveMinimum": 0},
            {"type": "array", "prefixItems": [{"type": "string"}]},
            {"type": "string", "format": "uuid", "pattern": "x"},
        ]
    ),
    lambda inner: (
        st.builds(
            lambda p: {"type": "object", "properties": p, "required": [*p, "gone"]},
            st.dictionaries(st.sampled_from("ab"), inner),
        )
        | st.builds(
            lambda options, key: {key: options, "description": "d"},
            st.lists(inner, min_size=1, max_size=3),
            st.sampled_from(["anyOf", "oneOf", "allOf"]),
        )
        | st.builds(lambda item: {"type": "array", "items": item}, inner)
    ),
    max_leaves=8,
)
functions = st.builds(
    lambda name, schema: {
        "type": "function",
        "function": {
            "name": name,
            "strict": True,
            "parameters": {
                "type": "object",
                "properties": {"p": schema},
                "$schema": "x",
                "$defs": {"A": {"properties": {"x": {"$ref": "#/$defs/A"}}}},
                "additionalProperties": False,
            },
        },
    },
    st.sampled_from(["plain", "with-dash", "with.dot", "1digit", "n" * 80, "a/b", "a_b"]),
    schemas,
)
calls = st.builds(
    lambda call_id, name, args: {
        "id": call_id,
        "index": 0,
        "type": "function",
        "function": {"name": name, "arguments": args},
        "extra_content": {"x": 1},
    },
    st.sampled_from(["", "call_1", "call_2", "abcDEF123", None]),
    st.sampled_from(["plain", "with-dash"]),
    st.sampled_from(["{}", "", {"a": 1}, None]),
)
messages = st.lists(
    st.one_of(
        st.builds(
            lambda r, c: {"role": r, "content": c, "name": "n"},
            st.sampled_from(["system", "developer", "user"]),
            st.sampled_from(["x", ""]),
        ),
        st.builds(
            lambda c: {"role": "user", "content": [{"type": "text", "text": c, "cache_control": {}}]},
            st.sampled_from(["x", ""]),
        ),
        st.builds(
            lambda c, k: {"role": "assistant", "content": c, "tool_calls": k, "reasoning_content": "r"},
            st.sampled_from(["x", "", None]),
            st.lists(calls, max_size=3),
        ),
        st.builds(
            lambda i, c: {"role": "tool", "tool_call_id": i, "content": c},
            st.sampled_from(["call_1", "call_2", "lost", None]),
            st.sampled_from(["y", ""]),
        ),
    ),
    max_size=8,
).map(lambda some: [*some, {"role": "user", "content": "end"}] if not some or some[0]["role"] == "tool" else some)
FIELDS = [
    "temperature",
    "top_p",
    "top_k",
    "seed",
    "max_tokens",
    "max_completion_tokens",
    "stop",
    "n",
    "user",
    "frequency_penalty",
    "presence_penalty",
    "logprobs",
    "parallel_tool_calls",
    "stream_options",
    "store",
    "num_ctx",
    "repeat_penalty",
    "extra",
]
bodies = st.fixed_dictionaries(
    {"messages": messages},
    optional={
        "tools": st.none() | st.lists(functions, max_size=3),
        "tool_choice": st.sampled_from(
            ["auto", "none", "required", {"type": "function", "function": {"name": "with-dash"}}]
        ),
        "reasoning_effort": st.sampled_from(["none", "minimal", "low", "medium", "high", "xhigh", "max"]),
        "think": st.sampled_from([True, False, "low", "high"]),
        "response_format": st.just({"type": "json_object"}),
        **dict.fromkeys(FIELDS, scalars),
        "stop": st.none() | st.text("ab", max_size=3) | st.lists(st.text("ab", min_size=1, max_size=3), max_size=8),
        "temperature": st.floats(-1, 3),
        "frequency_penalty": st.floats(-2, 2),
        "presence_penalty": st.floats(-2, 2),
    },
)
relaxed = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def has_words(body: dict[str, Any]) -> bool:
    """Something is left to send: a conversation without any text is the caller's own fault."""
    return any(m.get("content") == "x" or m.get("content") == "end" for m in body["messages"])


@pytest.mark.parametrize("provider", SIX)
@given(data=st.data(), body=bodies.filter(has_words), stream=st.booleans())
@relaxed
def test_no_request_of_ours_is_refused_for_its_form(
    provider: str, data: st.DataObject, body: dict[str, Any], stream: bool
) -> None:
    """Whatever clients send: none of the provider's known 400s and 422s is met."""
    model = data.draw(st.sampled_from(MODELS[provider]))
    prepared = PROVIDERS[provider].prepare(Operation.CHAT, model, body, stream)
    STRICT[provider](as_json(prepared.body))


@pytest.mark.parametrize("provider", ["google", "openrouter", "cohere", "codestral", "qwen", "openai"])
@given(body=bodies, stream=st.booleans())
@relaxed
def test_text_and_objects_are_treated_alike(provider: str, body: dict[str, Any], stream: bool) -> None:
    """The OpenAI face hands on JSON text, the others objects; and nobody's body is touched."""
    before = copy.deepcopy(body)
    model = MODELS.get(provider, ["gpt-4o"])[0]
    one = PROVIDERS[provider].prepare(Operation.CHAT, model, body, stream)
    two = PROVIDERS[provider].prepare(Operation.CHAT, model, raw(body), stream)
    assert as_json(one.body) == as_json(two.body)
    assert (one.dropped, dict(one.names), dict(one.ids)) == (two.dropped, dict(two.names), dict(two.ids))
    assert body == before


@pytest.mark.parametrize("provider", list(PROVIDERS))
@given(value=json_like)
@settings(max_examples=15, deadline=None)
def test_no_value_breaks_the_profile(provider: str, value: Any) -> None:
    """F82: a field of the wrong type is the provider's to refuse, not ours to stumble over."""
    for field in (
        "messages",
        "tools",
        "tool_choice",
        "response_format",
        "reasoning_effort",
        "reasoning",
        "think",
        "stop",
        "temperature",
        "extra_body",
        "chat_template_kwargs",
    ):
        body = {"messages": HELLO, "tools": [TOOL], field: value}
        PROVIDERS[provider].prepare(Operation.CHAT, "m", body, False)


@pytest.mark.parametrize("provider", SIX)
def test_depth_is_refused_or_passed_never_a_crash(provider: str) -> None:
    """F77: a tool nested fifty thousand deep is a 400, or goes up unopened."""
    deep = Raw(
        b'[{"type":"function","function":{"strict":1,"name":"f","parameters":'
        + b'{"items":' * 50_000
        + b"{}"
        + b"}" * 50_000
        + b"}}]"
    )
    with contextlib.suppress(BadRequest):
        PROVIDERS[provider].prepare(Operation.CHAT, "m", {"messages": HELLO, "tools": deep}, True)
