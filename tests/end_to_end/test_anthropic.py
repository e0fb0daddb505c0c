"""Anthropic's own SDK, and what Claude Code sends, against the running proxy and the simulated providers."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import pytest
from anthropic.types import MessageParam, ToolParam

from ollama_proxy.simulator import Say, SimulatorThread, Wait
from tests.support.event_streams import events
from tests.support.running import RunningProxy
from tests.support.sim_kit import PNG
from tests.support.six import EVERY_MODEL, MODELS

GEMINI, QWEN, COHERE = MODELS["google"], MODELS["qwen"], MODELS["cohere"]
WEATHER: ToolParam = {
    "name": "get_weather",
    "description": "The weather in a city.",
    "input_schema": {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}


def ask(text: str) -> list[MessageParam]:
    return [{"role": "user", "content": text}]


@pytest.fixture
def client(proxy: RunningProxy) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=proxy.url, api_key="whatever", max_retries=0) as running:
        yield running


def post(proxy: RunningProxy, body: Any, path: str = "/v1/messages", **more: Any) -> httpx.Response:
    """One request without an SDK."""
    data = body if isinstance(body, bytes) else json.dumps(body)
    return httpx.post(proxy.url + path, content=data, timeout=20, **more)


def minimal(model: str = GEMINI, **more: Any) -> dict[str, Any]:
    return {"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}], **more}


# --- answers ----------------------------------------------------------------------------------------------------------


@EVERY_MODEL
def test_the_sdk_chats(client: anthropic.Anthropic, model: str) -> None:
    """C212 C219: one question, one message, with counts and ids."""
    message = client.messages.create(model=model, max_tokens=200, messages=ask("Say Paris, please"))
    assert re.fullmatch("msg_[0-9a-f]{24}", message.id)
    assert (message.type, message.role, message.model, message.stop_reason) == (
        "message",
        "assistant",
        model,
        "end_turn",
    )
    assert [block.type for block in message.content][-1] == "text"
    assert message.usage.input_tokens > 0
    assert message.usage.output_tokens > 0
    assert re.fullmatch("req_[0-9a-f]{24}", message._request_id or "")


@EVERY_MODEL
def test_the_sdk_streams_korean(client: anthropic.Anthropic, model: str) -> None:
    """C213: the pieces add up to what the whole answer says."""
    question = ask("서울은 어디에 있나요?")
    whole = client.messages.create(model=model, max_tokens=200, messages=question)
    with client.messages.stream(model=model, max_tokens=200, messages=question) as stream:
        parts = list(stream.text_stream)
        streamed = stream.get_final_message()
    text = "".join(block.text for block in whole.content if block.type == "text")
    assert "".join(parts) == text
    assert "서울" in text
    assert len(parts) > 2
    assert streamed.stop_reason == whole.stop_reason
    assert streamed.usage == whole.usage


def test_the_asynchronous_sdk_streams_side_by_side(proxy: RunningProxy) -> None:
    """C233: ten streams at once do not mix."""

    async def one(client: anthropic.AsyncAnthropic, number: int) -> str:
        async with client.messages.stream(
            model=COHERE, max_tokens=100, messages=ask(f"Word number {number}")
        ) as stream:
            return await stream.get_final_text()

    async def scene() -> list[str]:
        async with anthropic.AsyncAnthropic(base_url=proxy.url, api_key="x") as client:
            return await asyncio.gather(*(one(client, number) for number in range(10)))

    assert all(f"number {number}" in text for number, text in enumerate(asyncio.run(scene())))


@pytest.mark.parametrize("model", [GEMINI, QWEN])
def test_thoughts_come_first_in_a_block_of_their_own(client: anthropic.Anthropic, model: str) -> None:
    """C214."""
    wish: Any = {"type": "enabled", "budget_tokens": 1024}
    question = ask("Why?")
    whole = client.messages.create(model=model, max_tokens=2000, messages=question, thinking=wish)
    with client.messages.stream(model=model, max_tokens=2000, messages=question, thinking=wish) as stream:
        streamed = stream.get_final_message()
    assert [block.type for block in whole.content] == ["thinking", "text"]
    assert [block.to_dict() for block in streamed.content] == [block.to_dict() for block in whole.content]


@EVERY_MODEL
def test_any_model_takes_a_wish_to_think(client: anthropic.Anthropic, model: str) -> None:
    """C218: the wish is lost where the model cannot, never refused."""
    for thinking in ({"type": "enabled", "budget_tokens": 1024}, {"type": "adaptive"}, {"type": "disabled"}):
        wish: Any = thinking
        message = client.messages.create(model=model, max_tokens=2000, messages=ask("Why?"), thinking=wish)
        assert message.content[-1].type == "text"


def test_a_lost_wish_is_told(proxy: RunningProxy) -> None:
    answer = post(proxy, minimal(MODELS["akash"], thinking={"type": "adaptive"}))
    assert "reasoning_effort" in answer.headers["x-proxy-dropped"]


@EVERY_MODEL
@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "stream"])
def test_a_tool_round_trip_with_parallel_calls(
    client: anthropic.Anthropic, simulator: SimulatorThread, model: str, streaming: bool
) -> None:
    """C214 C215: inputs are objects, ids come back as they were given, results go before the text."""
    messages = ask("Use get_weather for Seoul and Busan in parallel")
    fields: Any = {"model": model, "max_tokens": 500, "tools": [WEATHER], "messages": messages}
    if streaming:
        with client.messages.stream(**fields) as stream:
            first = stream.get_final_message()
    else:
        first = client.messages.create(**fields)
    uses = [block for block in first.content if block.type == "tool_use"]
    assert first.stop_reason == "tool_use"
    assert [use.input for use in uses] == [{"city": "Seoul"}, {"city": "Busan"}]
    assert len({use.id for use in uses}) == 2
    results: Any = [{"type": "tool_result", "tool_use_id": use.id, "content": f"{n} C"} for n, use in enumerate(uses)]
    fields["messages"] = [
        *messages,
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": [{"type": "text", "text": "Well?"}, *reversed(results)]},
    ]
    second = client.messages.create(**fields)
    assert second.stop_reason == "end_turn"
    sent = simulator.calls(model.partition(":")[0], operation="chat")[-1].body["messages"]
    answers = [message for message in sent if message["role"] == "tool"]
    calls = next(message["tool_calls"] for message in sent if message.get("tool_calls"))
    assert {answer["tool_call_id"]: answer["content"] for answer in answers} == {
        call["id"]: f"{number} C" for number, call in enumerate(calls)
    }
    assert sent[-1] == {"role": "user", "content": "Well?"}


def test_a_forced_tool_is_used(client: anthropic.Anthropic) -> None:
    message = client.messages.create(
        model=GEMINI,
        max_tokens=100,
        messages=ask("hello"),
        tools=[WEATHER],
        tool_choice={"type": "tool", "name": "get_weather"},
    )
    assert message.content[-1].type == "tool_use"


def test_images_are_seen(client: anthropic.Anthropic) -> None:
    source: Any = {"type": "base64", "media_type": "image/png", "data": PNG.partition(",")[2]}
    content: Any = [{"type": "image", "source": source}, {"type": "text", "text": "What is this?"}]
    message = client.messages.create(model=GEMINI, max_tokens=100, messages=[{"role": "user", "content": content}])
    assert "I see 1 image (image/png)" in str(message.content[-1])


def test_the_limit_is_told_as_the_reason(client: anthropic.Anthropic) -> None:
    """C214."""
    message = client.messages.create(model=COHERE, max_tokens=2, messages=ask("Say something long"))
    assert message.stop_reason == "max_tokens"


def test_tokens_can_be_estimated(client: anthropic.Anthropic, simulator: SimulatorThread) -> None:
    """C220: without asking a provider."""
    short = client.messages.count_tokens(model=GEMINI, messages=ask("hi"))
    long = client.messages.count_tokens(model=GEMINI, messages=ask("hi " * 100), system="Be brief.", tools=[WEATHER])
    assert 0 < short.input_tokens < long.input_tokens
    assert simulator.calls(operation="chat") == []
    with pytest.raises(anthropic.NotFoundError):
        client.messages.count_tokens(model="nope", messages=ask("hi"))


def test_what_claude_code_sends_is_understood(proxy: RunningProxy, simulator: SimulatorThread) -> None:
    """C219: a query and headers for betas, cache marks, a system message in the middle, fields that nobody knows."""
    cached = {"type": "ephemeral"}
    body = {
        "model": QWEN,
        "max_tokens": 32000,
        "stream": True,
        "system": [
            {"type": "text", "text": "You are an agent."},
            {"type": "text", "text": "Do.", "cache_control": cached},
        ],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "hi", "cache_control": cached}]},
            {"role": "system", "content": "Available agents: none."},
        ],
        "tools": [WEATHER, {"type": "web_search_20250305", "name": "web_search"}],
        "thinking": {"type": "adaptive"},
        "output_config": {"effort": "high"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "metadata": {"user_id": "{}"},
    }
    headers = {"authorization": "Bearer t", "anthropic-version": "2023-06-01", "anthropic-beta": "a,b"}
    answer = post(proxy, body, "/v1/messages?beta=true", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.headers["cache-control"] == "no-cache"
    assert "tools.web_search_20250305" in answer.headers["x-proxy-dropped"]
    assert events(answer.content)[-1][0] == "message_stop"
    sent = simulator.calls("qwen", operation="chat")[-1].body["messages"]
    assert [message["role"] for message in sent] == ["system", "user", "system"]


# --- failures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gone", "words"),
    [
        ("max_tokens", "max_tokens is required and must be positive"),
        ("model", "model is required"),
        ("messages", "messages is required"),
    ],
)
def test_what_is_missing_is_asked_for(proxy: RunningProxy, gone: str, words: str) -> None:
    """C216: exact words, Anthropic's shape, one id in the body and in both headers."""
    body = minimal()
    del body[gone]
    answer = post(proxy, body)
    assert answer.status_code == 400
    told = answer.json()
    request_id = told.pop("request_id")
    assert told == {"type": "error", "error": {"type": "invalid_request_error", "message": words}}
    assert re.fullmatch("req_[0-9a-f]{24}", request_id)
    assert answer.headers["request-id"] == answer.headers["x-request-id"] == request_id


def test_an_unknown_model_is_not_found(client: anthropic.Anthropic) -> None:
    """C217."""
    with pytest.raises(anthropic.NotFoundError, match="nope") as caught:
        client.messages.create(model="nope", max_tokens=1, messages=ask("hi"))
    assert caught.value.type == "not_found_error"


@pytest.fixture(scope="module")
def shaky(simulator: SimulatorThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProxy]:
    """A proxy whose providers may fail without harm to other tests."""
    with RunningProxy(simulator.env({name: ["one"] for name in MODELS}), tmp_path_factory.mktemp("shaky")) as running:
        yield running


@pytest.mark.parametrize(
    ("model", "status", "kind"),
    [
        ("google:gemini-2.5-pro!rate", 429, "rate_limit_error"),
        ("google:gemini-2.5-flash-lite!busy", 503, "overloaded_error"),
        ("openrouter:probe!blocked", 400, "invalid_request_error"),
        ("codestral:codestral-latest!redirect", 502, "api_error"),
    ],
    ids=["rate", "busy", "blocked", "redirect"],
)
@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "stream"])
def test_a_providers_refusal_is_told_before_a_stream_begins(
    shaky: RunningProxy, model: str, status: int, kind: str, streaming: bool
) -> None:
    """C217: the status, Anthropic's word for it, and an id."""
    answer = post(shaky, minimal(model, stream=streaming))
    told = answer.json()
    assert (answer.status_code, told["error"]["type"]) == (status, kind)
    assert told["request_id"] == answer.headers["request-id"]


def test_a_failure_in_the_stream_is_an_error_event(shaky: RunningProxy) -> None:
    """No message_stop, and the SDK raises."""
    model = f"{COHERE}!cut"
    found = events(post(shaky, minimal(model, stream=True)).content)
    assert [name for name, _ in found][-1] == "error"
    assert "message_stop" not in [name for name, _ in found]
    assert found[-1][1]["error"]["type"] == "api_error"
    with (
        anthropic.Anthropic(base_url=shaky.url, api_key="x", max_retries=0) as client,
        pytest.raises(anthropic.APIStatusError, match="Cohere"),
        client.messages.stream(model=model, max_tokens=9, messages=ask("hi")) as stream,
    ):
        stream.until_done()


def test_a_client_that_leaves_takes_the_upstream_with_it(
    client: anthropic.Anthropic, simulator: SimulatorThread
) -> None:
    """F: the provider's connection is closed as soon as the client has gone."""
    simulator.hold("gate")
    simulator.on("cohere", Say(["Hello ", Wait("gate"), "world"]))
    stream = client.messages.create(model=COHERE, max_tokens=100, messages=ask("hi"), stream=True)
    assert next(stream).type == "message_start"
    stream.close()
    simulator.wait_for(lambda log: log and log[-1].gave_up)


def test_a_compressed_body_is_refused_in_anthropics_shape(proxy: RunningProxy) -> None:
    answer = post(proxy, b"{", headers={"content-encoding": "gzip"})
    assert (answer.status_code, answer.json()["error"]["type"]) == (415, "invalid_request_error")
    assert answer.headers["request-id"] == answer.json()["request_id"]


def test_an_sdks_key_serves_as_the_proxys_token(
    simulator: SimulatorThread, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """C219: both ways in which Anthropic's clients send it; the wrong one is an authentication error."""
    env = {**simulator.env({"google": ["one"]}), "PROXY_API_TOKEN": "the-token"}
    with RunningProxy(env, tmp_path_factory.mktemp("guarded")) as guarded:
        for way in ({"api_key": "the-token"}, {"auth_token": "the-token", "api_key": None}):
            fields: Any = way
            with anthropic.Anthropic(base_url=guarded.url, max_retries=0, **fields) as client:
                assert client.messages.create(model=GEMINI, max_tokens=9, messages=ask("hi")).content
        with anthropic.Anthropic(base_url=guarded.url, max_retries=0, api_key="wrong") as client:
            with pytest.raises(anthropic.AuthenticationError) as caught:
                client.messages.create(model=GEMINI, max_tokens=9, messages=ask("hi"))
            assert re.fullmatch("req_[0-9a-f]{24}", caught.value.request_id or "")


def test_a_long_silence_is_kept_alive_with_pings(
    simulator: SimulatorThread, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A ping may come before message_start."""
    folder = tmp_path_factory.mktemp("patient")
    (folder / "ollama-proxy.toml").write_text("[timeouts]\nheartbeat_s = 0.05\n")
    simulator.hold("gate")
    simulator.on("cohere", Say([Wait("gate"), "Hello"]))
    with (
        RunningProxy(simulator.env({"cohere": ["one"]}), folder) as patient,
        httpx.stream("POST", f"{patient.url}/v1/messages", json=minimal(COHERE, stream=True), timeout=20) as answer,
    ):
        pieces = answer.iter_raw()
        data = next(pieces)
        assert data.startswith(b"event: ping\n")
        simulator.release("gate")
        data += b"".join(pieces)
    names = [name for name, _ in events(data) if name != "ping"]
    assert (names[0], names[-1]) == ("message_start", "message_stop")
