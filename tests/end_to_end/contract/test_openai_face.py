"""OpenAI's API: models, chat completions as a pass-through, text completions, transcriptions."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import openai
import pytest
from openai.types.chat import ChatCompletionFunctionToolParam

from tests.support.contract import CHAT, CODE, DEEP, PAUSE, PLAIN, Answer, World, chunk

OPEN = "openrouter:openai/gpt-4o-mini"
TOOL: ChatCompletionFunctionToolParam = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def whole(message: dict[str, Any], finish: str = "stop", **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    return {"id": "gen-7", "object": "chat.completion", "created": 7, "model": "up", "choices": [choice], **more}


def sdk(world: World) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{world.proxy.url}/v1", api_key="x", max_retries=0)


# --- models -----------------------------------------------------------------------------------------------------------


def test_the_list_is_that_of_tags(world: World) -> None:
    """C177: the same names in the same order, made ones among them, with the dates that tags tells."""
    world.post("/api/copy", {"source": PLAIN, "destination": "mine"})
    answer = world.get("/v1/models")
    assert (answer.status, answer.type) == (200, "application/json")
    assert answer.json["object"] == "list"
    data = answer.json["data"]
    assert [one["id"] for one in data] == [one["name"] for one in world.get("/api/tags").json["models"]]
    assert data[0]["id"] == "mine"
    for one in data:
        assert list(one)[:4] == ["id", "object", "created", "owned_by"]
        assert (one["object"], type(one["created"]), one["owned_by"]) == ("model", int, "proxy")
        assert one["created"] > 1_600_000_000
    world.ask("DELETE", "/api/delete", {"model": "mine"})


def test_every_listed_model_can_be_asked_for(world: World) -> None:
    """C178: with its slashes and colons raw or escaped; a pulled and a made one too."""
    world.post("/api/pull", {"model": "openrouter:openai/gpt-4o-mini"})
    world.post("/api/copy", {"source": PLAIN, "destination": "mine"})
    for one in world.get("/v1/models").json["data"]:
        name = one["id"]
        for written in (quote(name, safe=":/~"), quote(name, safe="")):
            answer = world.get(f"/v1/models/{written}")
            assert (answer.status, answer.type) == (200, "application/json")
            assert answer.json == one, written
    world.ask("DELETE", "/api/delete", {"model": "mine"})


@pytest.mark.parametrize("asked", [f"{CHAT}:latest", CHAT.upper(), CHAT.replace(":", "/")])
def test_one_model_has_the_name_that_was_asked_for(world: World, asked: str) -> None:
    """C178: letter by letter, as in the address."""
    answer = world.get(f"/v1/models/{quote(asked, safe='')}")
    assert (answer.status, answer.json["id"]) == (200, asked)


@pytest.mark.parametrize("name", ["nope", "google:never-listed", "a/b"])
def test_an_unknown_model_is_told_with_its_tag(world: World, name: str) -> None:
    """C179: in OpenAI's shape."""
    error = world.get(f"/v1/models/{name}").assert_openai_error(404, kind="not_found_error")
    assert error["message"] == f"model '{name if ':' in name else name + ':latest'}' not found"
    assert error["param"] is None


# --- chat in one piece ------------------------------------------------------------------------------------------------


def test_an_answer_is_the_providers_own_bytes(world: World) -> None:
    """C183 C202: in one piece unless a stream is asked for, as JSON without a charset."""
    body = whole({"content": "Hi <b>&\u2028"}, novel={"kept": [1.50]}, system_fingerprint="fp_up")
    world.answer_with(body)
    for more in ({}, {"stream": False}, {"stream": None}):
        answer = world.complete(OPEN, **more)
        assert (answer.status, answer.type, answer.chunked) == (200, "application/json", False)
        assert answer.body == json.dumps(body).encode()


def test_calls_are_in_openais_form(world: World) -> None:
    """C182: id, type and arguments as text are there, though the provider left them out or sent an object."""
    call = {"function": {"name": "get_weather", "arguments": {"city": "Paris"}}}
    world.answer_with(whole({"content": None, "tool_calls": [call]}, "stop"))
    choice = world.complete(OPEN, tools=[TOOL]).json["choices"][0]
    (told,) = choice["message"]["tool_calls"]
    assert told["id"].startswith("call_")
    assert told["type"] == "function"
    assert json.loads(told["function"]["arguments"]) == {"city": "Paris"}
    assert choice["finish_reason"] == "tool_calls"


@pytest.mark.parametrize("messages", [{}, {"messages": []}, {"messages": None}])
def test_no_messages_are_refused_in_ollamas_words(world: World, messages: dict[str, Any]) -> None:
    """C192: nothing is loaded here."""
    answer = world.post("/v1/chat/completions", {"model": CHAT, **messages})
    answer.assert_openai_error(400, "[] is too short - 'messages'", "invalid_request_error")


@pytest.mark.parametrize("stream", [True, False])
def test_a_model_is_needed_and_must_be_known(world: World, stream: bool) -> None:
    """C193: 400 without one, 404 for one that nobody knows."""
    ask = {"messages": [{"role": "user", "content": "hi"}], "stream": stream}
    for nothing in ({}, {"model": ""}, {"model": None}):
        answer = world.post("/v1/chat/completions", {**ask, **nothing})
        answer.assert_openai_error(400, "model is required", "invalid_request_error")
    answer = world.post("/v1/chat/completions", {**ask, "model": "nope"})
    answer.assert_openai_error(404, "model 'nope' not found", "not_found_error")


#: Parameters and what a good pass-through makes of them: nothing.
PARAMETERS: dict[str, Any] = {
    "max_tokens": 77,
    "seed": 42,
    "temperature": 0.25,
    "top_p": 0.5,
    "presence_penalty": 0.5,
    "frequency_penalty": -0.5,
    "max_completion_tokens": 78,
    "tools": [TOOL],
    "tool_choice": {"type": "function", "function": {"name": "get_weather"}},
    "parallel_tool_calls": False,
    "user": "me",
    "response_format": {"type": "json_object"},
    "logit_bias": {"1": -100},
    "metadata": {"a": "b"},
    "something_new": {"x": [1, 2.50, None]},
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_every_parameter_reaches_the_provider(world: World, name: str) -> None:
    """C198 C199: as it was given, and nothing is put beside it."""
    more = {name: PARAMETERS[name]}
    if name in ("tool_choice", "parallel_tool_calls"):
        more["tools"] = [TOOL]
    assert world.complete("akash:meta-llama/Llama-3.3-70B-Instruct", **more).status == 200
    sent = world.sent
    assert {key: sent[key] for key in more} == more
    assert sent.keys() <= {"model", "messages", "stream", *more}


@pytest.mark.parametrize("stop", ["END", ["END", "\n\n"]])
def test_stop_reaches_the_provider_in_either_form(world: World, stop: Any) -> None:
    """C198: as text or as a list."""
    assert world.complete(OPEN, stop=stop).status == 200
    assert world.sent["stop"] == stop


@pytest.mark.parametrize(
    ("content", "model"),
    [
        ([{"type": "image_url", "image_url": {"url": "https://x.example/cat.png"}}], "akash:some/vision-model"),
        (None, OPEN),
    ],
)
def test_what_ollama_would_refuse_is_the_providers_to_judge(world: World, content: Any, model: str) -> None:
    """F84: an image's address and a null content reach the provider as they are; nobody here goes there."""
    world.answer_with(whole({"content": "Seen."}))
    message = {"role": "assistant" if content is None else "user", "content": content}
    messages = [message, {"role": "user", "content": "hi"}]
    answer = world.post("/v1/chat/completions", {"model": model, "messages": messages})
    assert answer.status == 200
    assert world.sent["messages"][0]["content"] == content


@pytest.mark.parametrize("arguments", ["", "[]", '{"city":'])
def test_odd_arguments_in_a_history_are_the_providers_to_judge(world: World, arguments: str) -> None:
    """A call whose arguments are no object is sent on, not refused here."""
    world.answer_with(whole({"content": "Fine."}))
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": arguments}}
    messages = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "x"},
    ]
    answer = world.post("/v1/chat/completions", {"model": "akash:some/model", "messages": messages})
    assert answer.status == 200
    assert world.sent["messages"][1]["tool_calls"][0]["function"]["name"] == "f"


@pytest.mark.parametrize("effort", ["none", "minimal", "low", "medium", "high", "xhigh", "max", "extreme"])
def test_any_effort_is_the_providers_to_judge(world: World, effort: str) -> None:
    """No word is refused here; each reaches the provider, the nearest where it knows fewer."""
    world.answer_with(whole({"content": "Fine."}))
    assert world.complete(DEEP, reasoning_effort=effort).status == 200
    assert "reasoning_effort" in world.sent or "reasoning" in world.sent


# --- chat as a stream -------------------------------------------------------------------------------------------------


def stream(world: World, *parts: Any, model: str = OPEN, done: bool = True, **more: Any) -> Answer:
    world.stream_with(*parts, done=done)
    return world.complete(model, stream=True, **more)


def test_a_stream_is_the_providers_own_frames(world: World) -> None:
    """C184: `data:` and a blank line, `[DONE]` at the end; ids, times, fingerprints and usage as they came."""
    parts = [
        chunk({"role": "assistant", "content": ""}, system_fingerprint="fp_up"),
        chunk({"reasoning_content": "Hm."}),
        chunk({"content": "Hi"}, novel=1.50),
        chunk({}, "stop"),
        chunk(usage={"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "cost": 0.10}),
    ]
    answer = stream(world, *parts)
    assert (answer.status, answer.type, answer.chunked) == (200, "text/event-stream", True)
    assert answer.events == [*parts, "[DONE]"]
    frames = [f"data: {json.dumps(part)}\n\n" for part in parts]
    assert answer.body == "".join([*frames, "data: [DONE]\n\n"]).encode()


def test_nothing_is_put_into_a_request(world: World) -> None:
    """Not even the wish for usage, so there is none where the client did not ask."""
    events = world.complete("akash:meta-llama/Llama-3.3-70B-Instruct", stream=True).events
    assert "stream_options" not in world.sent
    assert not any(event.get("usage") for event in events[:-1])
    world.fresh()
    wish = {"include_usage": True}
    events = world.complete("akash:meta-llama/Llama-3.3-70B-Instruct", stream=True, stream_options=wish).events
    assert world.sent["stream_options"] == wish
    assert any(event.get("usage") for event in events[:-1])


@pytest.mark.parametrize("model", [CHAT, "akash:deepseek-ai/DeepSeek-V3.2", "qwen:qwen3-coder-plus", OPEN, CODE, PLAIN])
def test_the_official_accumulator_takes_every_providers_calls(world: World, model: str) -> None:
    """C190: index, id and name where they belong, and `tool_calls` as reason."""
    text = "Use a tool: how is the weather in Paris?"
    with (
        sdk(world) as client,
        client.chat.completions.stream(
            model=model, messages=[{"role": "user", "content": text}], tools=[TOOL]
        ) as streamed,
    ):
        choice = streamed.get_final_completion().choices[0]
    assert choice.finish_reason == "tool_calls"
    (call,) = choice.message.tool_calls or []
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments) == {"city": "Paris"}
    assert call.id


@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_an_answer_that_is_empty_for_a_reason_begins_and_ends(world: World, reason: str) -> None:
    """C191: role, reason, `[DONE]`."""
    events = stream(world, chunk({"role": "assistant", "content": ""}), chunk({}, reason)).events
    assert events[0]["choices"][0]["delta"]["role"] == "assistant"
    assert events[-2]["choices"][0]["finish_reason"] == reason
    assert events[-1] == "[DONE]"


# --- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize(
    ("fault", "status", "kind"),
    [
        ("429", 429, "rate_limit_error"),
        ("context", 400, "invalid_request_error"),
        ("500", 502, "api_error"),
        ("bad-key", 502, "api_error"),
        ("404-model", 404, "not_found_error"),
    ],
)
def test_a_providers_refusal_keeps_its_meaning(
    world: World, fault: str, status: int, kind: str, streaming: bool
) -> None:
    """C200: too many is 429, a bad request stays one, and what is not the client's is 502."""
    world.sim.play("google", fault, times=None)
    answer = world.complete(CHAT, stream=streaming)
    assert "Gemini" in answer.assert_openai_error(status, kind=kind)["message"]
    assert not answer.chunked


@pytest.mark.parametrize("how", ["error", "end"])
def test_a_failure_in_the_middle_is_an_error_frame(world: World, how: str) -> None:
    """C201: alone, and no `[DONE]` behind it."""
    parts: list[Any] = [chunk({"content": "One"}), PAUSE]
    if how == "error":
        parts.append({"error": {"message": "it fell over", "code": 502}})
    answer = stream(world, *parts, done=False)
    first, last = answer.events
    assert first == parts[0]
    assert list(last) == ["error"]
    assert list(last["error"]) == ["message", "type", "param", "code"]
    with sdk(world) as client, pytest.raises(openai.APIError):
        list(client.chat.completions.create(model=OPEN, messages=[{"role": "user", "content": "hi"}], stream=True))


# --- text completions -------------------------------------------------------------------------------------------------


def test_a_text_completion_has_its_shape(world: World) -> None:
    """C203 C202: text, reason and what it took."""
    answer = world.post("/v1/completions", {"model": PLAIN, "prompt": "Say hello."})
    assert (answer.status, answer.type) == (200, "application/json")
    told = answer.json
    assert told["id"].startswith("cmpl-")
    assert (told["object"], type(told["created"]), told["model"]) == ("text_completion", int, PLAIN)
    (choice,) = told["choices"]
    assert "Say hello." in choice["text"]
    assert (choice["index"], choice["finish_reason"]) == (0, "stop")
    assert {"prompt_tokens", "completion_tokens", "total_tokens"} <= told["usage"].keys()


@pytest.mark.parametrize("wish", [None, {"include_usage": True}])
def test_a_text_completion_streams(world: World, wish: Any) -> None:
    """C204: text, a last frame with the reason, usage behind it where it was asked for, `[DONE]`."""
    body = {"model": PLAIN, "prompt": "Say hello.", "stream": True, "stream_options": wish}
    answer = world.post("/v1/completions", body)
    *events, done = answer.events
    assert done == "[DONE]"
    if wish is not None:
        last = events.pop()
        assert last["choices"] == []
        assert last["usage"]["total_tokens"] > 0
    assert {event["object"] for event in events} == {"text_completion"}
    assert len({(event["id"], event["created"], event["model"]) for event in events}) == 1
    assert [event["choices"][0]["finish_reason"] for event in events] == [None] * (len(events) - 1) + ["stop"]
    assert events[-1]["choices"][0]["text"] == ""
    assert "Say hello." in "".join(event["choices"][0]["text"] for event in events)
    assert not any("usage" in event for event in events)


@pytest.mark.parametrize("prompt", [["a", "b"], [1, 2], {"a": 1}, 5])
def test_a_prompt_is_one_text(world: World, prompt: Any) -> None:
    """C205: anything else is 400."""
    answer = world.post("/v1/completions", {"model": PLAIN, "prompt": prompt})
    answer.assert_openai_error(400, kind="invalid_request_error")


def test_a_text_completion_wants_a_model(world: World) -> None:
    """C205: and without one it is 404, as in Ollama."""
    for nothing in ({}, {"model": ""}):
        answer = world.post("/v1/completions", {"prompt": "hi", **nothing})
        answer.assert_openai_error(404, "model '' not found", "not_found_error")


@pytest.mark.parametrize("streaming", [True, False])
def test_a_suffix_is_filled_in_the_middle(world: World, streaming: bool) -> None:
    """C205: at the provider's own endpoint."""
    body = {"model": CODE, "prompt": "def add(a, b):\n", "suffix": "\n    return c", "stream": streaming}
    answer = world.post("/v1/completions", body)
    texts = [event["choices"][0]["text"] for event in answer.events[:-1]] if streaming else []
    assert "between 15 and 13" in ("".join(texts) if streaming else answer.json["choices"][0]["text"])
    (arrival,) = world.arrivals
    assert arrival.operation == "fim"


# --- transcriptions ---------------------------------------------------------------------------------------------------


def form(**fields: tuple[str | None, bytes]) -> tuple[bytes, str]:
    """A form's body and type."""
    body = b""
    for name, (filename, content) in fields.items():
        file = "" if filename is None else f'; filename="{filename}"'
        body += f'--XX\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode() + content + b"\r\n"
    return body + b"--XX--\r\n", "multipart/form-data; boundary=XX"


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"file": ("a.wav", b"RIFF")}, "model is required"),
        ({"model": (None, CHAT.encode())}, "file is required: http: no such file"),
        ({"model": (None, CHAT.encode()), "file": ("a.wav", b"")}, "audio file is empty"),
    ],
)
def test_a_transcription_says_what_is_missing(world: World, fields: Any, text: str) -> None:
    """C221: in Ollama's words, in OpenAI's shape."""
    body, kind = form(**fields)
    answer = world.post("/v1/audio/transcriptions", body, content_type=kind)
    answer.assert_openai_error(400, text, "invalid_request_error")


def test_a_transcription_wants_a_form(world: World) -> None:
    """C221: and says so."""
    answer = world.post("/v1/audio/transcriptions", {"model": CHAT})
    error = answer.assert_openai_error(400, kind="invalid_request_error")
    assert error["message"].startswith("failed to parse multipart form: ")


def test_a_transcription_is_refused_honestly(world: World) -> None:
    """C221: a good form gets an error that no SDK repeats; an unknown model stays unknown."""
    with sdk(world) as client:
        with pytest.raises(openai.BadRequestError, match="no audio"):
            client.audio.transcriptions.create(model=CHAT, file=("a.wav", b"RIFF"))
        with pytest.raises(openai.NotFoundError):
            client.audio.transcriptions.create(model="nope", file=("a.wav", b"RIFF"))
    assert not world.arrivals
