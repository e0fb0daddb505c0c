"""The official clients of three protocols do all they can with each of the six providers, or are told what is missing.

Every square of the table is a test: the client's view, and what the provider received.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import ollama
import openai
import pytest

from ollama_proxy.simulator import Arrival
from tests.support.faulty_world import World, make_world
from tests.support.sim_kit import PNG, SIX

#: A model of each provider for each thing; "" where the provider has none.
TALKING = SIX
SEEING = {
    "google": "gemini-2.5-flash",
    "openrouter": "google/gemma-4-31b-it:free",
    "akash": "",
    "cohere": "command-a-plus-05-2026",
    "codestral": "",
    "qwen": "qwen3-vl-plus",
}
THINKING = {
    "google": "gemini-2.5-flash",
    "openrouter": "deepseek/deepseek-r1",
    "akash": "deepseek-ai/DeepSeek-V3.2",
    "cohere": "command-a-reasoning-08-2025",
    "codestral": "",
    "qwen": "qwen3.8-max",
}
EMBEDDING = {
    "google": "gemini-embedding-001",
    "openrouter": "qwen/qwen3-embedding-8b",
    "akash": "",
    "cohere": "embed-v4.0",
    "codestral": "",
    "qwen": "text-embedding-v4",
}
#: Those that refuse a picture for a model that cannot see.
BLIND = {"openrouter", "cohere", "codestral"}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "people": {"type": "integer"}},
    "required": ["city", "people"],
    "additionalProperties": False,
}
WEATHER: dict[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
PICTURE = PNG.partition(",")[2]
QUESTION, TOOL_QUESTION = "Where is Seoul?", "Use get_weather for Seoul and Busan in parallel"
EVERY = pytest.mark.parametrize("provider", TALKING)


def having(models: dict[str, str]) -> pytest.MarkDecorator:
    """The providers that have such a model, with it."""
    return pytest.mark.parametrize(("provider", "model"), [(p, f"{p}:{m}") for p, m in models.items() if m])


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with make_world(tmp_path_factory, {name: ["one", "two"] for name in TALKING}) as running:
        yield running


@pytest.fixture
def world(running: World) -> World:
    running.fresh()
    return running


@pytest.fixture(scope="module")
def ollama_client(running: World) -> Iterator[ollama.Client]:
    with ollama.Client(running.proxy.url) as client:
        yield client


@pytest.fixture(scope="module")
def openai_client(running: World) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{running.proxy.url}/v1", api_key="any", max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def anthropic_client(running: World) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=running.proxy.url, api_key="any", max_retries=0) as client:
        yield client


def talking(provider: str) -> str:
    return f"{provider}:{TALKING[provider]}"


def asked(text: str = QUESTION) -> Any:
    return [{"role": "user", "content": text}]


def sent(world: World, provider: str) -> list[Arrival]:
    """What the provider received; all of it was served."""
    calls = world.calls(provider)
    assert {call.status for call in calls} == {200}
    return calls


# --- ollama -----------------------------------------------------------------------------------------------------------


@EVERY
def test_ollama_text_and_stream(world: World, ollama_client: ollama.Client, provider: str) -> None:
    """C60, C69, C240: whole and streamed the same words, with counts."""
    whole = ollama_client.chat(talking(provider), asked())
    parts = list(ollama_client.chat(talking(provider), asked(), stream=True))
    assert QUESTION in str(whole.message.content)
    assert "".join(part.message.content or "" for part in parts) == whole.message.content
    assert (whole.done_reason, parts[-1].done_reason) == ("stop", "stop")
    assert parts[-1].eval_count == whole.eval_count
    assert whole.eval_count
    assert [call.stream for call in sent(world, provider)] == [False, True]


@EVERY
@pytest.mark.parametrize("stream", [False, True])
def test_ollama_tools(world: World, ollama_client: ollama.Client, provider: str, stream: bool) -> None:
    """C113, C122, C240: two calls at once, their results, and the answer that comes of them."""
    tools: Any = [{"type": "function", "function": {"name": "get_weather", "description": "w", "parameters": WEATHER}}]
    messages = asked(TOOL_QUESTION)
    made: list[Any] = []
    if stream:
        for part in ollama_client.chat(talking(provider), messages, tools=tools, stream=True):
            made += part.message.tool_calls or ()
        messages.append({"role": "assistant", "content": "", "tool_calls": [call.model_dump() for call in made]})
    else:
        first = ollama_client.chat(talking(provider), messages, tools=tools)
        made = list(first.message.tool_calls or ())
        messages.append(first.message)
    assert [dict(call.function.arguments) for call in made] == [{"city": "Seoul"}, {"city": "Busan"}]
    for number, call in enumerate(made):
        messages.append({"role": "tool", "tool_name": call.function.name, "content": f"{number} degrees"})
    assert "1 degrees" in str(ollama_client.chat(talking(provider), messages, tools=tools).message.content)
    _assert_matched(sent(world, provider)[-1].body["messages"])


def _assert_matched(messages: list[dict[str, Any]]) -> None:
    """Each result belongs to its call, in order."""
    calls = next(message["tool_calls"] for message in messages if message.get("tool_calls"))
    results = [message for message in messages if message["role"] == "tool"]
    assert [result["tool_call_id"] for result in results] == [call["id"] for call in calls]
    assert [result["content"] for result in results] == ["0 degrees", "1 degrees"]


@having(SEEING)
def test_ollama_vision(world: World, ollama_client: ollama.Client, provider: str, model: str) -> None:
    """C86: a bare picture arrives with its type."""
    answer = ollama_client.chat(model, [{"role": "user", "content": "What is this?", "images": [PICTURE]}])
    assert "I see 1 image (image/png)" in str(answer.message.content)
    assert sent(world, provider)


@having(THINKING)
@pytest.mark.parametrize("stream", [False, True])
def test_ollama_thinking(world: World, ollama_client: ollama.Client, provider: str, model: str, stream: bool) -> None:
    """C107, C109: thoughts apart from the answer, and none where none are wanted."""
    if stream:
        parts = list(ollama_client.chat(model, asked(), think=True, stream=True))
        thoughts = "".join(part.message.thinking or "" for part in parts)
        text = "".join(part.message.content or "" for part in parts)
    else:
        message = ollama_client.chat(model, asked(), think=True).message
        thoughts, text = str(message.thinking), str(message.content)
    assert "a short answer" in thoughts
    assert QUESTION in text
    assert "a short answer" not in text
    assert not ollama_client.chat(model, asked(), think=False).message.thinking
    assert sent(world, provider)


@EVERY
def test_ollama_json(world: World, ollama_client: ollama.Client, provider: str) -> None:
    """C91: a schema is followed, and `json` alone gives some object."""
    answer = ollama_client.chat(talking(provider), asked("Tell me of it in JSON"), format=SCHEMA)
    assert set(json.loads(str(answer.message.content))) == {"city", "people"}
    answer = ollama_client.chat(talking(provider), asked("Tell me of it in JSON"), format="json")
    assert isinstance(json.loads(str(answer.message.content)), dict)
    assert [call.body["response_format"]["type"] for call in sent(world, provider)] == ["json_schema", "json_object"]


@having(EMBEDDING)
def test_ollama_embeddings(world: World, ollama_client: ollama.Client, provider: str, model: str) -> None:
    """C153, C154: a vector of length one for each text."""
    vectors = ollama_client.embed(model, ["one", "two"]).embeddings
    assert len(vectors) == 2
    assert [sum(x * x for x in vector) for vector in vectors] == pytest.approx([1, 1])
    assert sent(world, provider)


@EVERY
def test_ollama_is_told_of_a_picture_that_nobody_can_see(
    world: World, ollama_client: ollama.Client, provider: str
) -> None:
    """C240: the provider knows best whether it can; its refusal comes at once, in its own words."""
    messages = [{"role": "user", "content": "?", "images": [PICTURE]}]
    if provider in BLIND:
        with pytest.raises(ollama.ResponseError, match=r"(?i)image") as caught:
            ollama_client.chat(talking(provider), messages)
        assert caught.value.status_code == 400
    else:
        assert "I see 1 image" in str(ollama_client.chat(talking(provider), messages).message.content)
    assert len(world.calls(provider)) == 1


@pytest.mark.parametrize("provider", [name for name in TALKING if TALKING[name] != THINKING[name]])
def test_ollama_is_told_of_a_model_that_does_not_think(
    world: World, ollama_client: ollama.Client, provider: str
) -> None:
    """C103: in Ollama's words, and nobody is called."""
    with pytest.raises(ollama.ResponseError, match="does not support thinking") as caught:
        ollama_client.chat(talking(provider), asked(), think=True)
    assert caught.value.status_code == 400
    assert world.calls(provider) == []


@EVERY
def test_ollama_is_told_of_a_model_that_does_not_embed(
    world: World, ollama_client: ollama.Client, provider: str
) -> None:
    """C146: nobody is called."""
    with pytest.raises(ollama.ResponseError, match=r"does not (support|offer) embed") as caught:
        ollama_client.embed(talking(provider), "one")
    assert caught.value.status_code in (400, 501)
    assert world.calls(provider) == []


# --- openai -----------------------------------------------------------------------------------------------------------


@EVERY
def test_openai_text_and_stream(world: World, openai_client: openai.OpenAI, provider: str) -> None:
    """C184, C190: whole and streamed the same words, with counts."""
    create = openai_client.chat.completions.create
    whole = create(model=talking(provider), messages=asked())
    chunks = list(
        create(model=talking(provider), messages=asked(), stream=True, stream_options={"include_usage": True})
    )
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert QUESTION in text
    assert text == whole.choices[0].message.content
    assert whole.usage
    assert [chunk.usage for chunk in chunks if chunk.usage][-1].completion_tokens == whole.usage.completion_tokens
    assert [call.stream for call in sent(world, provider)] == [False, True]


@EVERY
@pytest.mark.parametrize("stream", [False, True])
def test_openai_tools(world: World, openai_client: openai.OpenAI, provider: str, stream: bool) -> None:
    """C182, C190: the SDK's own accumulator puts a stream together; the round trip ends in an answer."""
    tools: Any = [{"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}}]
    messages = asked(TOOL_QUESTION)
    fields: Any = {"model": talking(provider), "tools": tools}
    if stream:
        with openai_client.chat.completions.stream(messages=messages, **fields) as events:
            message = events.get_final_completion().choices[0].message
    else:
        message = openai_client.chat.completions.create(messages=messages, **fields).choices[0].message
    made = message.tool_calls or []
    assert [json.loads(call.function.arguments) for call in made] == [{"city": "Seoul"}, {"city": "Busan"}]
    assert len({call.id for call in made}) == 2
    calls = [
        {"id": c.id, "type": "function", "function": {"name": c.function.name, "arguments": c.function.arguments}}
        for c in made
    ]
    messages.append({"role": "assistant", "content": message.content, "tool_calls": calls})
    for number, call in enumerate(made):
        messages.append({"role": "tool", "tool_call_id": call.id, "content": f"{number} degrees"})
    answer = openai_client.chat.completions.create(messages=messages, **fields)
    assert "1 degrees" in str(answer.choices[0].message.content)
    _assert_matched(sent(world, provider)[-1].body["messages"])


@having(SEEING)
def test_openai_vision(world: World, openai_client: openai.OpenAI, provider: str, model: str) -> None:
    """A picture inside the request."""
    content = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": PNG}}]
    messages: Any = [{"role": "user", "content": content}]
    answer = openai_client.chat.completions.create(model=model, messages=messages)
    assert "I see 1 image (image/png)" in str(answer.choices[0].message.content)
    assert sent(world, provider)


@having(THINKING)
def test_openai_thinking(world: World, openai_client: openai.OpenAI, provider: str, model: str) -> None:
    """An effort in OpenAI's words reaches every provider; thoughts come under the provider's name."""
    answer = openai_client.chat.completions.create(model=model, messages=asked(), reasoning_effort="high")
    assert QUESTION in str(answer.choices[0].message.content)
    assert sent(world, provider)


@EVERY
def test_openai_is_served_where_a_model_does_not_think(
    world: World, openai_client: openai.OpenAI, provider: str
) -> None:
    """Agents send an effort to every model; where it means nothing it is left out."""
    answer = openai_client.chat.completions.create(model=talking(provider), messages=asked(), reasoning_effort="low")
    assert QUESTION in str(answer.choices[0].message.content)
    assert sent(world, provider)


@EVERY
def test_openai_json(world: World, openai_client: openai.OpenAI, provider: str) -> None:
    """C198: structured answers of the SDK, strict as it sends them."""
    wanted: Any = {"type": "json_schema", "json_schema": {"name": "place", "schema": SCHEMA, "strict": True}}
    answer = openai_client.chat.completions.create(
        model=talking(provider), messages=asked("Tell me of it in JSON"), response_format=wanted
    )
    assert set(json.loads(str(answer.choices[0].message.content))) == {"city", "people"}
    assert sent(world, provider)


@having(EMBEDDING)
def test_openai_embeddings(world: World, openai_client: openai.OpenAI, provider: str, model: str) -> None:
    """C161: packed, as the SDK asks for them by itself, and plain."""
    packed = openai_client.embeddings.create(model=model, input=["one", "two"])
    plain = openai_client.embeddings.create(model=model, input=["one", "two"], encoding_format="float")
    assert len(packed.data) == 2
    assert packed.data[1].embedding == pytest.approx(plain.data[1].embedding, abs=1e-6)
    assert sent(world, provider)


@pytest.mark.parametrize("provider", [name for name, model in EMBEDDING.items() if not model])
def test_openai_is_told_where_there_are_no_embeddings(
    world: World, openai_client: openai.OpenAI, provider: str
) -> None:
    """C162: in the SDK's own exception, with the provider's name, and without a call."""
    with pytest.raises(openai.APIStatusError, match="embed"):
        openai_client.embeddings.create(model=talking(provider), input="one")
    assert world.calls(provider) == []


# --- anthropic --------------------------------------------------------------------------------------------------------


@EVERY
def test_anthropic_text_and_stream(world: World, anthropic_client: anthropic.Anthropic, provider: str) -> None:
    """C212, C213: whole and streamed the same words, with counts."""
    whole = anthropic_client.messages.create(model=talking(provider), max_tokens=300, messages=asked())
    with anthropic_client.messages.stream(model=talking(provider), max_tokens=300, messages=asked()) as events:
        streamed = events.get_final_message()
    assert QUESTION in str(whole.content)
    assert [block.to_dict() for block in streamed.content] == [block.to_dict() for block in whole.content]
    assert streamed.usage == whole.usage
    assert streamed.stop_reason == whole.stop_reason == "end_turn"
    assert [call.stream for call in sent(world, provider)] == [False, True]


@EVERY
@pytest.mark.parametrize("stream", [False, True])
def test_anthropic_tools(world: World, anthropic_client: anthropic.Anthropic, provider: str, stream: bool) -> None:
    """C214, C215: two calls at once, their results, and the answer that comes of them."""
    messages = asked(TOOL_QUESTION)
    fields: Any = {
        "model": talking(provider),
        "max_tokens": 300,
        "tools": [{"name": "get_weather", "description": "w", "input_schema": WEATHER}],
    }
    if stream:
        with anthropic_client.messages.stream(messages=messages, **fields) as events:
            first = events.get_final_message()
    else:
        first = anthropic_client.messages.create(messages=messages, **fields)
    uses = [block for block in first.content if block.type == "tool_use"]
    assert [use.input for use in uses] == [{"city": "Seoul"}, {"city": "Busan"}]
    results = [
        {"type": "tool_result", "tool_use_id": use.id, "content": f"{number} degrees"}
        for number, use in enumerate(uses)
    ]
    messages += [{"role": "assistant", "content": first.content}, {"role": "user", "content": results}]
    assert "1 degrees" in str(anthropic_client.messages.create(messages=messages, **fields).content)
    _assert_matched(sent(world, provider)[-1].body["messages"])


@having(SEEING)
def test_anthropic_vision(world: World, anthropic_client: anthropic.Anthropic, provider: str, model: str) -> None:
    """C214: a picture as its clients send one."""
    source = {"type": "base64", "media_type": "image/png", "data": PICTURE}
    content = [{"type": "image", "source": source}, {"type": "text", "text": "What is this?"}]
    messages: Any = [{"role": "user", "content": content}]
    answer = anthropic_client.messages.create(model=model, max_tokens=300, messages=messages)
    assert "I see 1 image (image/png)" in str(answer.content)
    assert sent(world, provider)


@having(THINKING)
@pytest.mark.parametrize("stream", [False, True])
def test_anthropic_thinking(
    world: World, anthropic_client: anthropic.Anthropic, provider: str, model: str, stream: bool
) -> None:
    """C214, C218: a block of thoughts ahead of the text."""
    fields: Any = {"model": model, "max_tokens": 3000, "thinking": {"type": "enabled", "budget_tokens": 2000}}
    if stream:
        with anthropic_client.messages.stream(messages=asked(), **fields) as events:
            answer = events.get_final_message()
    else:
        answer = anthropic_client.messages.create(messages=asked(), **fields)
    assert [block.type for block in answer.content] == ["thinking", "text"]
    assert sent(world, provider)


@EVERY
def test_anthropic_json(world: World, anthropic_client: anthropic.Anthropic, provider: str) -> None:
    """C214: structured answers as its clients ask for them."""
    answer = anthropic_client.messages.create(
        model=talking(provider),
        max_tokens=300,
        messages=asked("Tell me of it in JSON"),
        extra_body={"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
    )
    (block,) = answer.content
    assert block.type == "text"
    assert set(json.loads(block.text)) == {"city", "people"}
    assert sent(world, provider)
