"""The Responses API by OpenAI's own SDK, and as Codex speaks it, against the running proxy and simulated providers."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from ollama_proxy.simulator import Header, Say, Send, SimulatorThread, Wait
from tests.support.event_streams import events
from tests.support.running import RunningProxy
from tests.support.sim_kit import PNG
from tests.support.six import EVERY_MODEL, MODELS

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

GEMINI, QWEN, COHERE = MODELS["google"], MODELS["qwen"], MODELS["cohere"]
SCHEMA: dict[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER: Any = {
    "type": "function",
    "name": "get_weather",
    "description": "Weather.",
    "strict": False,
    "parameters": SCHEMA,
}


@pytest.fixture
def client(proxy: RunningProxy) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{proxy.url}/v1", api_key="whatever", max_retries=0) as running:
        yield running


def post(proxy: RunningProxy, **body: Any) -> httpx.Response:
    """One request without an SDK."""
    return httpx.post(f"{proxy.url}/v1/responses", json={"model": GEMINI, "input": "hi", **body}, timeout=20)


@EVERY_MODEL
def test_the_sdk_gets_a_response(client: openai.OpenAI, model: str) -> None:
    """C206."""
    response = client.responses.create(model=model, input="Say Paris, please", instructions="Be brief.")
    assert (response.status, response.model, response.instructions) == ("completed", model, "Be brief.")
    assert "Paris" in response.output_text
    assert response.usage is not None
    assert response.usage.input_tokens > 0
    assert response.usage.output_tokens > 0


@EVERY_MODEL
def test_the_sdk_streams_korean(client: openai.OpenAI, model: str) -> None:
    """C207: the pieces add up to what the whole response says."""
    whole = client.responses.create(model=model, input="서울은 어디에 있나요?")
    with client.responses.stream(model=model, input="서울은 어디에 있나요?") as stream:
        parts = [event.delta for event in stream if event.type == "response.output_text.delta"]
        streamed = stream.get_final_response()
    assert "".join(parts) == streamed.output_text == whole.output_text
    assert "서울" in whole.output_text
    assert len(parts) > 2
    assert streamed.usage == whole.usage


def test_the_asynchronous_sdk_streams_side_by_side(proxy: RunningProxy) -> None:
    """C233: ten streams at once do not mix."""

    async def one(client: openai.AsyncOpenAI, number: int) -> str:
        text = ""
        async for event in await client.responses.create(model=COHERE, input=f"Word number {number}", stream=True):
            if event.type == "response.output_text.delta":
                text += event.delta
        return text

    async def scene() -> list[str]:
        async with openai.AsyncOpenAI(base_url=f"{proxy.url}/v1", api_key="x") as client:
            return await asyncio.gather(*(one(client, number) for number in range(10)))

    assert all(f"number {number}" in text for number, text in enumerate(asyncio.run(scene())))


def test_events_are_numbered_and_end_with_the_whole(proxy: RunningProxy) -> None:
    """C207: no gap, no `[DONE]`."""
    answer = post(proxy, stream=True)
    assert answer.headers["content-type"] == "text/event-stream"
    assert b"[DONE]" not in answer.content
    found = events(answer.content)
    assert [data["sequence_number"] for _, data in found] == list(range(len(found)))
    assert [name for name, _ in found][:2] == ["response.created", "response.in_progress"]
    assert found[-1][0] == "response.completed"


@pytest.mark.parametrize("model", [GEMINI, QWEN])
def test_thoughts_are_an_item_of_their_own(client: openai.OpenAI, model: str) -> None:
    wish: Any = {"effort": "low", "summary": "auto"}
    whole = client.responses.create(model=model, input="Why?", reasoning=wish)
    with client.responses.stream(model=model, input="Why?", reasoning=wish) as stream:
        streamed = stream.get_final_response()
    assert [item.type for item in whole.output] == [item.type for item in streamed.output] == ["reasoning", "message"]


@EVERY_MODEL
def test_any_model_takes_a_wish_to_think(client: openai.OpenAI, model: str) -> None:
    assert client.responses.create(model=model, input="Why?", reasoning={"effort": "high"}).output_text


@EVERY_MODEL
@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "stream"])
def test_a_tool_round_trip_with_parallel_calls(
    client: openai.OpenAI, simulator: SimulatorThread, model: str, streaming: bool
) -> None:
    """C208: items go back as they came, call ids are kept."""
    question: Any = {"role": "user", "content": "Use get_weather for Seoul and Busan in parallel"}
    fields: Any = {"model": model, "tools": [WEATHER], "input": [question]}
    if streaming:
        with client.responses.stream(**fields) as stream:
            first = stream.get_final_response()
    else:
        first = client.responses.create(**fields)
    calls = [item for item in first.output if item.type == "function_call"]
    assert [json.loads(call.arguments) for call in calls] == [{"city": "Seoul"}, {"city": "Busan"}]
    assert len({call.call_id for call in calls}) == 2
    results = [
        {"type": "function_call_output", "call_id": call.call_id, "output": f"{number} C"}
        for number, call in enumerate(calls)
    ]
    fields["input"] = [question, *(item.to_dict() for item in first.output), *reversed(results)]
    second = client.responses.create(**fields)
    assert second.output_text
    sent = simulator.calls(model.partition(":")[0], operation="chat")[-1].body["messages"]
    asked = next(message["tool_calls"] for message in sent if message.get("tool_calls"))
    told = {message["tool_call_id"]: message["content"] for message in sent if message["role"] == "tool"}
    assert told == {call["id"]: f"{number} C" for number, call in enumerate(asked)}


PATCH = '*** Begin Patch\n*** Update File: 서울.txt\n-a "b"\n+c\u2028\n*** End Patch\n'
APPLY_PATCH: Any = {
    "type": "custom",
    "name": "apply_patch",
    "description": "Edits files. This is a FREEFORM tool, so do not wrap the patch in JSON.",
    "format": {"type": "grammar", "syntax": "lark", "definition": 'start: "*** Begin Patch" LF\n%import common.LF'},
}


@EVERY_MODEL
@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "stream"])
def test_a_tool_is_called_with_free_text(
    client: openai.OpenAI, simulator: SimulatorThread, model: str, streaming: bool
) -> None:
    """C208: Codex's apply_patch: the provider sees a function, the client its own tool; its output goes back, too."""
    provider = model.partition(":")[0]
    question: Any = {"role": "user", "content": "Patch it"}
    fields: Any = {"model": model, "tools": [WEATHER, APPLY_PATCH], "input": [question]}
    simulator.say(provider, calls=[("apply_patch", {"input": PATCH}), ("get_weather", {"city": "Seoul"})])
    if streaming:
        found = list(client.responses.create(**fields, stream=True))
        ended = found[-1]
        assert ended.type == "response.completed"
        first = ended.response
        said: dict[str, Any] = {event.type: event for event in found}
        assert said["response.custom_tool_call_input.delta"].delta == PATCH
        assert said["response.custom_tool_call_input.done"].input == PATCH
        items: list[Any] = [event.item for event in found if event.type.startswith("response.output_item.")]
        begun, whole = (item for item in items if item.type == "custom_tool_call")
        assert (begun.input, begun.id, whole.input) == ("", said["response.custom_tool_call_input.done"].item_id, PATCH)
    else:
        first = client.responses.create(**fields)
    patch, weather = (item for item in first.output if item.type != "message")
    assert patch.type == "custom_tool_call"
    assert (patch.name, patch.input, patch.namespace) == ("apply_patch", PATCH, None)
    assert weather.type == "function_call"
    (offered,) = [t["function"] for t in simulator.calls(provider)[-1].body["tools"] if "patch" in str(t)]
    assert APPLY_PATCH["format"]["definition"] in offered["description"]
    assert list(offered["parameters"]["properties"]) == ["input"]
    outputs = [
        {"type": "custom_tool_call_output", "call_id": patch.call_id, "output": "Done!"},
        {"type": "function_call_output", "call_id": weather.call_id, "output": "3 C"},
    ]
    fields["input"] = [question, *(item.to_dict() for item in first.output), *outputs]
    assert client.responses.create(**fields).output_text
    messages = simulator.calls(provider)[-1].body["messages"]
    asked = next(message["tool_calls"] for message in messages if message.get("tool_calls"))
    assert json.loads(asked[0]["function"]["arguments"]) == {"input": PATCH}
    assert [message["content"] for message in messages if message["role"] == "tool"] == ["Done!", "3 C"]


@pytest.mark.parametrize("arguments", [PATCH, json.dumps(PATCH)], ids=["bare", "string"])
@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "stream"])
def test_free_text_that_is_no_json_is_the_input(
    client: openai.OpenAI, simulator: SimulatorThread, streaming: bool, arguments: str
) -> None:
    """C208: a model that writes its patch without an object around it has said what the tool needs to know."""
    function = {"name": "apply_patch", "arguments": arguments}
    call = {"index": 0, "id": "call_1", "type": "function", "function": function}
    said = {"role": "assistant", "content": None, "tool_calls": [call]}
    choice = {"index": 0, "delta" if streaming else "message": said, "finish_reason": "tool_calls"}
    answer = json.dumps({"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]})
    if streaming:
        kind, body = "text/event-stream", f"data: {answer}\n\ndata: [DONE]\n\n"
    else:
        kind, body = "application/json", answer
    simulator.on("google", [Header("content-type", kind), Send(body.encode())])
    fields: Any = {"model": GEMINI, "tools": [APPLY_PATCH], "input": "Patch it"}
    if streaming:
        ended: Any = list(client.responses.create(**fields, stream=True))[-1]
        response = ended.response
    else:
        response = client.responses.create(**fields)
    (item,) = [item for item in response.output if item.type == "custom_tool_call"]
    assert item.input == PATCH


def test_a_schema_is_followed(client: openai.OpenAI) -> None:
    wanted: Any = {"format": {"type": "json_schema", "name": "place", "schema": SCHEMA, "strict": True}}
    response = client.responses.create(model=GEMINI, input="Where?", text=wanted)
    assert set(json.loads(response.output_text)) == {"city"}


def test_images_are_seen(client: openai.OpenAI) -> None:
    content: Any = [{"type": "input_text", "text": "What is this?"}, {"type": "input_image", "image_url": PNG}]
    response = client.responses.create(model=GEMINI, input=[{"role": "user", "content": content}])
    assert "I see 1 image (image/png)" in response.output_text


def test_a_cut_answer_is_incomplete(client: openai.OpenAI) -> None:
    whole = client.responses.create(model=COHERE, input="Say something long", max_output_tokens=2)
    assert whole.status == "incomplete"
    assert whole.incomplete_details is not None
    assert whole.incomplete_details.reason == "max_output_tokens"
    stream = client.responses.create(model=COHERE, input="Say something long", max_output_tokens=2, stream=True)
    assert [event.type for event in stream][-1] == "response.incomplete"


def test_what_codex_sends_is_understood(proxy: RunningProxy, simulator: SimulatorThread) -> None:
    """C209: a namespace's function comes back under its own name; what is left out is told."""
    members = [{"type": "function", "name": "close_agent", "strict": False, "parameters": SCHEMA}]
    simulator.say("google", calls=[("multi_agent_v1__close_agent", {"city": "x"})])
    answer = post(
        proxy,
        stream=True,
        input=[
            {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "You are Codex."}]},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]},
        ],
        tools=[
            WEATHER,
            {"type": "namespace", "name": "multi_agent_v1", "description": "d", "tools": members},
            {"type": "web_search", "external_web_access": False},
        ],
        tool_choice="auto",
        parallel_tool_calls=True,
        reasoning={"summary": "auto"},
        store=False,
        include=["reasoning.encrypted_content"],
        prompt_cache_key="k",
        client_metadata={"a": "b"},
    )
    assert answer.headers["x-proxy-dropped"] == "tools.web_search"
    last = events(answer.content)[-1][1]["response"]
    (call,) = [item for item in last["output"] if item["type"] == "function_call"]
    assert (call["namespace"], call["name"]) == ("multi_agent_v1", "close_agent")
    assert [tool["type"] for tool in last["tools"]] == ["function", "namespace", "web_search"]


# --- failures ---------------------------------------------------------------------------------------------------------


def test_an_unknown_item_is_refused(client: openai.OpenAI) -> None:
    """C211."""
    unknown: Any = [{"type": "novel"}]
    with pytest.raises(openai.BadRequestError, match="unknown input item type") as caught:
        client.responses.create(model=GEMINI, input=unknown)
    assert caught.value.type == "invalid_request_error"
    assert caught.value.param == "input"


def test_an_unknown_model_is_not_found(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="nope"):
        client.responses.create(model="nope", input="hi")


def test_a_body_packed_with_zstd_is_read(proxy: RunningProxy) -> None:
    """C210: Codex may pack what it sends."""
    body = json.dumps({"model": GEMINI, "input": "Say Paris, please"}).encode()
    packed = {"content-encoding": "zstd"}
    answer = httpx.post(f"{proxy.url}/v1/responses", content=zstd.compress(body), headers=packed)
    assert answer.status_code == 200
    assert answer.json()["status"] == "completed"


def test_a_body_in_another_coding_is_refused_clearly(proxy: RunningProxy) -> None:
    """The client learns why."""
    answer = httpx.post(f"{proxy.url}/v1/responses", content=b"x", headers={"content-encoding": "gzip"})
    assert answer.status_code == 415
    assert "Content-Encoding" in answer.json()["error"]["message"]


@pytest.fixture(scope="module")
def shaky(simulator: SimulatorThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProxy]:
    """A proxy whose providers may fail without harm to other tests."""
    with RunningProxy(simulator.env({name: ["one"] for name in MODELS}), tmp_path_factory.mktemp("shaky")) as running:
        yield running


@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "stream"])
def test_a_providers_refusal_is_told_before_a_stream_begins(shaky: RunningProxy, streaming: bool) -> None:
    answer = post(shaky, model="google:gemini-2.5-pro!rate", stream=streaming)
    assert answer.status_code == 429
    assert answer.json()["error"]["type"] == "rate_limit_error"
    assert "retry-after" in answer.headers


def test_a_failure_in_the_stream_is_told_as_one(shaky: RunningProxy) -> None:
    """No response.completed."""
    found = events(post(shaky, model=f"{COHERE}!cut", stream=True).content)
    assert found[-1][0] == "response.failed"
    failed = found[-1][1]["response"]
    assert failed["status"] == "failed"
    assert failed["error"]["code"] == "server_error"
    assert "Cohere" in failed["error"]["message"]


def test_a_client_that_leaves_takes_the_upstream_with_it(client: openai.OpenAI, simulator: SimulatorThread) -> None:
    simulator.hold("gate")
    simulator.on("cohere", Say(["Hello ", Wait("gate"), "world"]))
    stream = client.responses.create(model=COHERE, input="hi", stream=True)
    assert next(stream).type == "response.created"
    stream.close()
    simulator.wait_for(lambda log: log and log[-1].gave_up)


def test_what_would_have_been_stored_is_told_as_left_out(proxy: RunningProxy) -> None:
    answer = post(proxy, previous_response_id="resp_1", store=True)
    assert answer.headers["x-proxy-dropped"] == "previous_response_id"
    assert answer.json()["store"] is False
