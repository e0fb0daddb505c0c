"""What each provider receives: nothing that it is known to refuse, everything that it wants back; and its lists."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import ollama
import openai
import pytest

from ollama_proxy.simulator import Header, Send, SimulatorThread, Status
from tests.support.behaving import MODELS, PLAIN, said_by, tool
from tests.support.client_kinds import Way
from tests.support.faulty_world import World
from tests.support.running import RunningProxy

EVERY = pytest.mark.parametrize("provider", MODELS)
#: All that Ollama's clients may set.
OPTIONS: dict[str, Any] = {
    "seed": 7, "top_k": 40, "top_p": 0.9, "min_p": 0.1, "typical_p": 0.7, "repeat_last_n": 33, "temperature": 1.8,
    "repeat_penalty": 1.2, "presence_penalty": 1.5, "frequency_penalty": 1.0, "stop": list("abcdefgh"),
    "num_ctx": 4096, "num_batch": 2, "num_gpu": 1, "main_gpu": 0, "num_thread": 8, "num_keep": 5, "num_predict": 50,
    "mirostat": 1, "mirostat_tau": 0.8, "mirostat_eta": 0.6, "penalize_newline": True, "numa": False, "use_mmap": True,
}  # fmt: skip
#: What OpenAI's clients may set.
FIELDS: dict[str, Any] = {
    "seed": 7, "n": 1, "top_p": 0.9, "temperature": 0.4, "presence_penalty": 1.5, "frequency_penalty": 1.0, "user": "u",
    "logit_bias": {"50256": -100}, "logprobs": False, "stop": ["x", "y"], "store": False, "metadata": {"a": "b"},
    "service_tier": "auto", "max_completion_tokens": 50, "parallel_tool_calls": True, "tools": [],
    "reasoning_effort": "minimal", "stream_options": {"include_usage": True}, "verbosity": "low",
    "response_format": {"type": "text"}, "prediction": None, "modalities": ["text"], "prompt_cache_key": "k",
}  # fmt: skip
#: Schemas as tool servers publish them.
SCHEMAS: dict[str, Any] = {
    "read_file": {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {"path": {"type": "string"}, "head": {"type": ["integer", "null"], "exclusiveMinimum": 0}},
        "required": ["path"],
        "additionalProperties": False,
    },
    "list_allowed_directories": {"type": "object", "properties": {}, "required": []},
    "search": {
        "type": "object",
        "$defs": {"Filter": {"type": "object", "properties": {"and": {"$ref": "#/$defs/Filter"}, "x": {"const": "y"}}}},
        "properties": {
            "filter": {"$ref": "#/$defs/Filter"},
            "order": {"enum": [1, 2, 3], "default": 1, "title": "Order"},
            "tags": {"type": "array"},
            "when": {"oneOf": [{"type": "string", "format": "uuid"}, {"type": "null"}]},
            "anything": {},
        },
        "required": ["filter", "gone"],
    },
    "edit": {
        "type": "object",
        "properties": {
            "edits": {
                "type": "array",
                "items": {"type": "object", "properties": {}, "additionalProperties": {"type": "string"}},
                "prefixItems": [{"type": "string"}],
            },
            "mode": {"allOf": [{"type": "string"}, {"pattern": "^[a-z]+$"}], "examples": ["fast"]},
        },
    },
}


def chat(world: World, provider: str, **fields: Any) -> dict[str, Any]:
    """One chat of Ollama's protocol that must be served at once; what the provider received."""
    world.ask(Way.find("ollama-chat", stream=False), MODELS[provider], **fields).assert_ok()
    (call,) = world.calls(provider)
    return dict(call.body)


# --- fields -----------------------------------------------------------------------------------------------------------


@EVERY
@pytest.mark.parametrize("stream", [True, False])
def test_no_option_of_ollamas_is_ever_refused(world: World, provider: str, stream: bool) -> None:
    """B16, B46, B53: the strict ones refuse any field that is not theirs; served at the first attempt all the same."""
    told = world.ask(Way.find("ollama-chat", stream=stream), MODELS[provider], options=OPTIONS, tools=[], think=False)
    told.assert_ok()
    (call,) = world.calls(provider)
    assert call.status == 200
    assert call.body["max_tokens"] == 50
    assert "num_ctx" not in call.body
    assert "tools" not in call.body


@EVERY
@pytest.mark.parametrize("stream", [True, False])
def test_no_field_of_openais_is_ever_refused(world: World, provider: str, stream: bool) -> None:
    """B16, B46, B53, B61: an empty list of tools, `stream_options` without a stream, and whatever is lost is told."""
    told = world.ask(Way.find("openai", stream=stream), MODELS[provider], **FIELDS)
    told.assert_ok()
    (call,) = world.calls(provider)
    assert call.status == 200
    assert "tools" not in call.body
    dropped = told.headers.get("x-proxy-dropped", "").split(",")
    for name in ("seed", "user", "logit_bias", "presence_penalty"):
        renamed = {"seed": "random_seed"}.get(name, name)
        assert name in call.body or renamed in call.body or name in dropped, name


@EVERY
@pytest.mark.parametrize("name", ["ollama-chat", "openai", "anthropic"])
def test_no_schema_of_a_tool_server_is_ever_refused(world: World, provider: str, name: str) -> None:
    """B17, B46: references, constants, empty objects, lists of nothing, keywords of newer drafts."""
    tools: Any = [{"type": "function", "function": {"name": n, "parameters": s}} for n, s in SCHEMAS.items()]
    if name == "anthropic":
        tools = [{"name": name, "input_schema": schema} for name, schema in SCHEMAS.items()]
    elif name == "openai":
        tools = [{**one, "function": {**one["function"], "strict": True}} for one in tools]
    told = world.ask(Way.find(name, stream=True), MODELS[provider], "Good morning.", tools=tools)
    told.assert_ok()
    (call,) = world.calls(provider)
    assert [one["function"]["name"] for one in call.body["tools"]] == list(SCHEMAS)


def test_gemini_never_sees_two_credentials(world: World) -> None:
    """B15: one header for a chat and for the list, nothing in the address."""
    chat(world, "google")
    for call in world.sim.calls("google"):
        shown = {"authorization", "x-goog-api-key", "x-api-key"} & call.headers.keys()
        assert len(shown) == 1
        assert "key" not in call.query
        assert call.status == 200
    (sent,) = world.calls("google")
    assert "authorization" in sent.headers


@pytest.mark.parametrize("think", [True, "low", "high", False])
@pytest.mark.parametrize("model", ["qwen3.8-max", "qwq-plus", "qwen-plus-latest"])
def test_qwen_is_never_asked_to_think_in_one_piece(world: World, model: str, think: Any) -> None:
    """B61: where a model thinks only in a stream, a stream is asked for and put together for the client."""
    world.ask(Way.find("ollama-chat", stream=False), f"qwen:{model}", think=think).assert_ok()
    (call,) = world.calls("qwen")
    assert call.status == 200


# --- histories --------------------------------------------------------------------------------------------------------


def history(*ids: str) -> list[dict[str, Any]]:
    """A turn with these calls and their results, as OpenAI's clients tell it."""
    calls = [
        {"id": i, "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Seoul"}'}}
        for i in ids
    ]
    results = [{"role": "tool", "tool_call_id": i, "content": f"{n} degrees"} for n, i in enumerate(ids)]
    return [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": None, "tool_calls": calls},
        *results,
    ]


@pytest.mark.parametrize("ids", [("call_1", "call_2"), ("toolu_01A09q90qw90lq917835lq9", "x"), ("a b", "é", "")])
def test_codestral_gets_ids_of_nine_letters(world: World, ids: tuple[str, ...]) -> None:
    """B51: results still belong to their calls, and a result's text is with the right one."""
    told = world.ask(PLAIN, MODELS["codestral"], messages=history(*ids), tools=[tool()])
    told.assert_ok()
    (call,) = world.calls("codestral")
    sent = [one["id"] for one in call.body["messages"][1]["tool_calls"]]
    assert all(re.fullmatch("[a-zA-Z0-9]{9}", one) for one in sent)
    assert len(set(sent)) == len(ids)
    results = {one["tool_call_id"]: one["content"] for one in call.body["messages"] if one["role"] == "tool"}
    assert results == {one: f"{n} degrees" for n, one in enumerate(sent)}


def test_a_client_sees_its_own_ids_again(world: World) -> None:
    """B51: the id that the provider gave comes to the client, goes back, and is the provider's own again."""
    world.sim.play("codestral", "stream-tools")
    with openai.OpenAI(base_url=f"{world.proxy.url}/v1", api_key="x") as sdk:
        create: Any = sdk.chat.completions.create
        first = create(model=MODELS["codestral"], messages=[{"role": "user", "content": "Both"}], tools=[tool()])
        ids = [call.id for call in first.choices[0].message.tool_calls]
        assert ids == ["s1mT00l01", "s1mT00l02"]
        create(model=MODELS["codestral"], messages=history(*ids), tools=[tool()])
    assert [one["id"] for one in world.calls("codestral")[-1].body["messages"][1]["tool_calls"]] == ids


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Well,"}],
        [*history("call_1"), {"role": "user", "content": "And now?"}],
        [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": ""}, {"role": "user", "content": "?"}],
        [{"role": "user", "content": "Hi"}, {"role": "user", "content": "there"}],
        [{"role": "system", "content": "Be brief."}],
    ],
    ids=["ends with the model", "a user behind a tool", "an empty turn", "two users", "a system alone"],
)
@EVERY
def test_an_order_that_somebody_refuses_is_repaired(world: World, provider: str, messages: list[Any]) -> None:
    """B52: what other providers take is put right for the one that does not; nothing of it is lost."""
    world.ask(PLAIN, MODELS[provider], messages=messages, tools=[tool()]).assert_ok()
    (call,) = world.calls(provider)
    sent = json.dumps(call.body["messages"], ensure_ascii=False)
    assert call.status == 200
    assert all(message["content"] in sent for message in messages if message.get("content"))


def test_openrouters_reasoning_comes_back_with_its_calls(world: World) -> None:
    """B24: the details, sealed ones too, stand unchanged on the turn that they belong to; the client never had them."""
    details = [
        {"type": "reasoning.text", "text": "Look it up.", "format": "unknown", "index": 0},
        {"type": "reasoning.encrypted", "data": "c2VhbGVk", "format": "google-gemini-v1", "id": "a", "index": 1},
    ]
    call = {"id": "call_a", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Seoul"}'}}
    message = {"role": "assistant", "content": None, "reasoning_details": details, "tool_calls": [call]}
    answer = {"id": "g", "choices": [{"index": 0, "finish_reason": "tool_calls", "message": message}]}
    body = Send(json.dumps(answer).encode())
    world.sim.on("openrouter", [Status(200), Header("content-type", "application/json"), body], times=1)
    with ollama.Client(world.proxy.url) as client:
        messages: list[Any] = [{"role": "user", "content": "Weather?"}]
        first = client.chat(MODELS["openrouter"], messages, tools=[tool()])
        messages += [first.message, {"role": "tool", "tool_name": "get_weather", "content": "sunny"}]
        client.chat(MODELS["openrouter"], messages, tools=[tool()])
    turn = world.calls("openrouter")[-1].body["messages"][1]
    assert turn["reasoning_details"] == details


def test_openrouters_reasoning_is_told_once_in_a_stream(world: World) -> None:
    """B24: `reasoning` and `reasoning_details` say the same twice."""
    told = said_by(world, "openrouter", "stream-reasoning", Way.find("ollama-chat", stream=True))
    assert told.thinking == "Rivers first."


# --- lists ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def simulator() -> Iterator[SimulatorThread]:
    with SimulatorThread() as running:
        yield running


def listed(simulator: SimulatorThread, folder: Path, *providers: str) -> dict[str, Any]:
    """The models of a proxy that begins now, under `/v1/models`, by name."""
    env = simulator.env({name: ["one"] for name in providers}, full=True)
    with RunningProxy(env, folder) as proxy:
        return {model["id"]: model for model in httpx.get(f"{proxy.url}/v1/models").json()["data"]}


def test_geminis_names_are_clean_and_its_limits_known(simulator: SimulatorThread, tmp_path: Path) -> None:
    """B20: no prefix, no pictures and no speech, and what our table knows of each."""
    models = listed(simulator, tmp_path, "google")
    flash = models["google:gemini-2.5-flash"]
    assert (flash["context_length"], flash["max_output_tokens"]) == (1_048_576, 65_536)
    assert {"vision", "thinking", "tools"} <= set(flash["capabilities"])
    assert models["google:gemini-embedding-001"]["capabilities"] == ["embedding"]
    assert not [name for name in models if re.search("models/|imagen|tts", name)]


@pytest.mark.parametrize("shape", ["models", "models-native"])
def test_geminis_lists_are_read_in_both_forms(simulator: SimulatorThread, tmp_path: Path, shape: str) -> None:
    """B20: the compatible one has names alone, the native one has limits and a further page."""
    simulator.play("google", shape, times=1)
    models = listed(simulator, tmp_path, "google")
    assert models["google:gemini-2.5-flash"]["context_length"] == 1_048_576
    assert not [name for name in models if "models/" in name or "imagen" in name]


def test_openrouters_list_is_read_as_it_is(simulator: SimulatorThread, tmp_path: Path) -> None:
    """B36: moving names, `:free`, prices in words, no limit, pictures in; what draws pictures is not listed."""
    models = listed(simulator, tmp_path, "openrouter")
    assert {"openrouter:~anthropic/claude-sonnet-latest", "openrouter:qwen/qwen3-coder:free"} <= models.keys()
    assert "vision" in models["openrouter:google/gemma-4-31b-it:free"]["capabilities"]
    assert "tools" not in models["openrouter:nousresearch/hermes-3-llama-3.1-405b:free"]["capabilities"]
    assert models["openrouter:openai/gpt-oss-20b:free"]["max_output_tokens"] == 32_768
    assert "max_output_tokens" not in models["openrouter:openrouter/auto"]
    assert not [name for name in models if "flux" in name]


def test_both_of_akashs_lists_are_read(simulator: SimulatorThread, tmp_path: Path) -> None:
    """B43: the new one with limits, the old gateway's with names alone."""
    new = listed(simulator, tmp_path / "new", "akash")
    assert new["akash:deepseek-ai/DeepSeek-V3.2"]["context_length"] == 163_840
    simulator.play("akash", "models-litellm", times=None)
    old = listed(simulator, tmp_path / "old", "akash")
    assert {"akash:DeepSeek-V3-1", "akash:Meta-Llama-3-3-70B-Instruct"} <= old.keys()


def test_coheres_list_is_read_page_by_page(simulator: SimulatorThread, tmp_path: Path) -> None:
    """B49: what chats and what embeds; neither what is retired nor what only ranks."""
    models = listed(simulator, tmp_path, "cohere")
    assert models["cohere:command-a-03-2025"]["context_length"] == 256_000
    assert "embedding" in models["cohere:embed-v4.0"]["capabilities"]
    assert not [name for name in models if "rerank" in name or "light" in name]


def test_a_host_without_a_list_has_the_built_in_one(simulator: SimulatorThread, tmp_path: Path) -> None:
    """B58: a 404 from the gateway; the key is not blamed, and the model answers."""
    simulator.play("codestral", "models-404", times=None)
    with RunningProxy(simulator.env({"codestral": ["one"]}), tmp_path) as proxy, ollama.Client(proxy.url) as client:
        assert MODELS["codestral"] in [model.model for model in client.list().models]
        assert client.chat(MODELS["codestral"], [{"role": "user", "content": "hi"}]).message.content
        (key,) = httpx.get(f"{proxy.url}/api/keys").json()["codestral"]["keys"]
        assert key["state"] == "healthy"


@pytest.mark.parametrize(
    ("provider", "shape", "model", "context"),
    [
        ("together", "together-models", "meta-llama/Llama-3.3-70B-Instruct-Turbo", 131_072),
        ("vllm", "vllm-models", "Qwen/Qwen3-8B", 40_960),
    ],
)
def test_other_providers_lists_are_read(
    simulator: SimulatorThread, tmp_path: Path, provider: str, shape: str, model: str, context: int
) -> None:
    """B83: a bare array, and limits under another name."""
    simulator.play("openai", shape, times=None)
    upper = provider.upper()
    env = {f"{upper}_BASE_URL": simulator.base_url("openai"), f"{upper}_API_KEYS": "key-a"}
    with RunningProxy(env, tmp_path) as proxy:
        (found,) = httpx.get(f"{proxy.url}/v1/models").json()["data"]
    assert (found["id"], found["context_length"]) == (f"{provider}:{model}", context)
