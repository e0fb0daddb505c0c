"""What all simulated providers have in common, over a real socket."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from ollama_proxy.simulator import Simulator
from tests.support.loops import play
from tests.support.sim_kit import MODELS, PNG, chat, events, fetch, tool

PROVIDERS = sorted(MODELS)
every = pytest.mark.parametrize("provider", PROVIDERS)


def text_of(stream: list[Any]) -> str:
    """The text of a stream, whichever way it was cut."""
    deltas = [c["delta"] for e in stream if isinstance(e, dict) for c in e.get("choices", [])]
    return "".join(d["content"] for d in deltas if isinstance(d.get("content"), str))


def calls_of(message: Any) -> list[tuple[str, str]]:
    return [(c["function"]["name"], c["function"]["arguments"]) for c in message.get("tool_calls") or []]


@every
def test_plain_answer_mentions_the_question(provider: str) -> None:
    """A chat without stream is one JSON object that repeats what was asked and counts its tokens."""

    async def story() -> None:
        async with Simulator() as sim:
            got = await fetch(sim, provider, chat(provider, "Where is Seoul?"))
            assert got.status == 200
            assert got.headers["content-type"] == "application/json"
            choice = got.json["choices"][0]
            assert "Where is Seoul?" in choice["message"]["content"]
            assert choice["finish_reason"] == "stop"
            assert got.json["usage"]["prompt_tokens"] > 0
            assert sim.log[0].outcome == "chat"

    play(story())


@every
def test_stream_says_the_same_as_the_plain_answer(provider: str) -> None:
    """The same request gives the same words, in pieces, with one end and an end mark."""

    async def story() -> None:
        async with Simulator() as sim:
            plain = await fetch(sim, provider, chat(provider, "Where is Seoul?"))
            got = await fetch(sim, provider, chat(provider, "Where is Seoul?", stream=True), key="another")
            assert got.headers["content-type"] == "text/event-stream"
            assert got.complete
            stream = events(got.body)
            assert text_of(stream) == plain.json["choices"][0]["message"]["content"]
            assert stream[-1] == "[DONE]"
            assert len(stream) > 5

    play(story())


@every
def test_korean_question_gets_a_korean_answer(provider: str) -> None:
    """The answer is in the question's language, in UTF-8 that is not escaped."""

    async def story() -> None:
        async with Simulator() as sim:
            got = await fetch(sim, provider, chat(provider, "서울은 어디에 있나요?", stream=True))
            assert "서울은 어디에 있나요?" in text_of(events(got.body))
            assert "답합니다".encode() in got.body

    play(story())


@every
def test_tool_is_called_when_the_question_names_it(provider: str) -> None:
    """A question that names a tool is answered by a call with arguments that fit the tool's schema."""

    async def story() -> None:
        async with Simulator() as sim:
            body = chat(provider, "Please call get_weather for Seoul.", tools=[tool()])
            got = await fetch(sim, provider, body)
            message = got.json["choices"][0]["message"]
            assert calls_of(message) == [("get_weather", '{"city": "Seoul"}')]
            assert got.json["choices"][0]["finish_reason"] == "tool_calls"

    play(story())


@every
def test_tools_are_left_alone_when_nobody_asks(provider: str) -> None:
    """Offering tools alone calls none."""

    async def story() -> None:
        async with Simulator() as sim:
            got = await fetch(sim, provider, chat(provider, "How are you?", tools=[tool()]))
            assert not got.json["choices"][0]["message"].get("tool_calls")
            assert got.json["choices"][0]["finish_reason"] == "stop"

    play(story())


@every
def test_parallel_calls_when_asked_for(provider: str) -> None:
    """Two named tools, or the word parallel, give two calls."""

    async def story() -> None:
        async with Simulator() as sim:
            tools = [tool(), tool("get_time", zone={"type": "string"})]
            got = await fetch(sim, provider, chat(provider, "Use get_weather and get_time.", tools=tools))
            assert [name for name, _ in calls_of(got.json["choices"][0]["message"])] == ["get_weather", "get_time"]
            got = await fetch(sim, provider, chat(provider, "Use a tool twice: Seoul, Busan.", tools=tools[:1]))
            assert len(calls_of(got.json["choices"][0]["message"])) == 2

    play(story())


@every
def test_max_tokens_cuts_the_answer(provider: str) -> None:
    """Three tokens are three pieces, and the end says length."""

    async def story() -> None:
        async with Simulator() as sim:
            got = await fetch(sim, provider, chat(provider, max_tokens=3))
            choice = got.json["choices"][0]
            assert choice["finish_reason"] == "length"
            assert len(choice["message"]["content"].split()) == 3

    play(story())


@every
def test_stop_sequence_ends_the_answer(provider: str) -> None:
    """Nothing is said from the stop sequence on."""

    async def story() -> None:
        async with Simulator() as sim:
            got = await fetch(sim, provider, chat(provider, "one two three", stop=["two"]))
            assert got.json["choices"][0]["message"]["content"].endswith("one ")

    play(story())


@every
def test_schema_is_filled_in(provider: str) -> None:
    """A JSON schema is answered with an object that satisfies it."""
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string"}, "count": {"type": "integer"}, "tags": {"type": "array"}},
        "required": ["city", "count"],
    }
    schema["properties"]["tags"] = {"type": "array", "items": {"type": "string"}}  # type: ignore[index]  # a plain dict

    async def story() -> None:
        async with Simulator() as sim:
            wanted = {"type": "json_schema", "json_schema": {"name": "place", "schema": schema}}
            got = await fetch(sim, provider, chat(provider, "Answer in JSON.", response_format=wanted))
            text = got.json["choices"][0]["message"]["content"]
            value = json.loads(text)
            assert isinstance(value["city"], str)
            assert isinstance(value["count"], int)
            assert value["tags"]
            assert set(value) == {"city", "count", "tags"}

    play(story())


@every
def test_json_mode_answers_an_object(provider: str) -> None:
    """JSON mode gives an object that holds the usual words."""

    async def story() -> None:
        async with Simulator() as sim:
            body = chat(provider, "Answer in JSON, please.", response_format={"type": "json_object"})
            got = await fetch(sim, provider, body)
            value = json.loads(got.json["choices"][0]["message"]["content"])
            assert "Answer in JSON, please." in value["answer"]

    play(story())


SEEING = {
    "google": "gemini-2.5-flash",
    "openrouter": "google/gemma-4-31b-it:free",
    "akash": "meta-llama/Llama-3.3-70B-Instruct",
    "cohere": "command-a-plus-05-2026",
    "codestral": "mistral-small-latest",
    "qwen": "qwen3-vl-plus",
    "openai": "sim-chat",
}


@every
def test_images_are_counted_and_named(provider: str) -> None:
    """A model that sees says how many images it got, and of which kind."""

    async def story() -> None:
        async with Simulator() as sim:
            jpeg = PNG.replace("image/png", "image/jpeg")
            images = [{"type": "image_url", "image_url": {"url": url}} for url in (PNG, jpeg)]
            content = [{"type": "text", "text": "What is this?"}, *images]
            body = chat(provider, model=SEEING[provider], messages=[{"role": "user", "content": content}])
            got = await fetch(sim, provider, body)
            text = got.json["choices"][0]["message"]["content"]
            assert "2 images (image/png, image/jpeg)" in text
            assert "What is this?" in text

    play(story())


@every
def test_tool_answer_is_repeated(provider: str) -> None:
    """After a tool's answer the model says what it was told, and calls nothing again."""

    async def story() -> None:
        async with Simulator() as sim:
            ask = {"role": "user", "content": "Use the tool get_weather."}
            first = await fetch(sim, provider, chat(provider, messages=[ask], tools=[tool()]))
            message = first.json["choices"][0]["message"]
            calls = [{"type": "function", **c} for c in message["tool_calls"]]
            for call in calls:
                call.pop("index", None)
            answer = {"role": "tool", "tool_call_id": calls[0]["id"], "content": "12 degrees"}
            turn = {"role": "assistant", "content": "", "tool_calls": calls}
            got = await fetch(sim, provider, chat(provider, messages=[ask, turn, answer], tools=[tool()]))
            assert got.status == 200, got.body
            assert "12 degrees" in got.json["choices"][0]["message"]["content"]

    play(story())


@every
def test_no_key_is_refused_in_the_provider_s_own_form(provider: str) -> None:
    """Without a key nothing is answered, and no two providers need say it the same way."""

    async def story() -> None:
        async with Simulator() as sim:
            got = await fetch(sim, provider, chat(provider), key=None)
            assert got.status == (400 if provider == "google" else 401)
            assert got.headers["content-type"] == "application/json"
            assert got.json

    play(story())


@every
def test_body_that_is_no_json_is_a_400(provider: str) -> None:
    """Broken JSON, a list and nothing at all are refused without a stumble."""

    async def story() -> None:
        async with Simulator() as sim:
            for body in (b"{", b"[1,2]", b'"text"', b"\xff\xfe", b"[" * 100_000):
                got = await fetch(sim, provider, body)
                assert 400 <= got.status < 500, (body[:10], got.body)
                assert got.json

    play(story())


@every
def test_unknown_path_is_a_404(provider: str) -> None:
    """A path that the provider does not have is its own 404."""

    async def story() -> None:
        async with Simulator() as sim:
            got = await fetch(sim, provider, chat(provider), path="/nothing/here")
            assert got.status == 404
            assert sim.log[0].outcome == "no-route"
            assert sim.log[0].operation == ""

    play(story())


@every
def test_real_address_s_path_works_below_ours(provider: str) -> None:
    """A base address with the provider's own path after our prefix is served like the short one."""

    async def story() -> None:
        async with Simulator() as sim:
            url = sim.base_url(provider, full=True).removeprefix(f"{sim.origin}/{provider}")
            assert url
            got = await fetch(sim, provider, chat(provider), path=f"{url}/chat/completions")
            assert got.status == 200

    play(story())


@every
def test_keep_alive_serves_one_after_another(provider: str) -> None:
    """Three requests on one connection get three answers in order."""

    async def story() -> None:
        async with Simulator() as sim:
            reader, writer = await asyncio.open_connection("127.0.0.1", sim.port)
            for n in range(3):
                data = json.dumps(chat(provider, f"number {n}")).encode()
                head = f"POST /{provider}/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer k-a\r\n"
                writer.write(f"{head}content-length: {len(data)}\r\n\r\n".encode() + data)
                answer = await reader.readuntil(b"\r\n\r\n")
                length = int(answer.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                assert f"number {n}".encode() in await reader.readexactly(length)
            writer.close()
            await writer.wait_closed()
            await sim.wait_for(lambda log: log[-1].peer_closed.is_set())
            assert {arrival.connection for arrival in sim.log} == {1}
            assert not any(arrival.gave_up for arrival in sim.log)

    play(story())


@pytest.mark.parametrize(
    ("more", "names"),
    [
        ({"tool_choice": "none"}, []),
        ({"tool_choice": "required"}, ["get_weather"]),
        ({"tool_choice": {"type": "function", "function": {"name": "get_time"}}}, ["get_time"]),
        ({"parallel_tool_calls": False}, ["get_weather"]),
        ({}, ["get_weather", "get_time"]),
    ],
)
def test_choice_of_tools_is_obeyed(more: dict[str, Any], names: list[str]) -> None:
    """None, any, one by name, or one at a time."""
    text = "Hello." if more.get("tool_choice") not in (None, "none") else "Use both tools."

    async def story() -> None:
        async with Simulator() as sim:
            tools = [tool(), tool("get_time", zone={"type": "string"})]
            got = await fetch(sim, "openai", chat("openai", text, tools=tools, **more))
            assert [name for name, _ in calls_of(got.json["choices"][0]["message"])] == names

    play(story())


@pytest.mark.parametrize("provider", sorted(set(PROVIDERS) - {"openai", "codestral"}))
def test_broken_image_is_refused(provider: str) -> None:
    """A data URL whose base64 is none is a 400 everywhere, in the provider's own form."""

    async def story() -> None:
        async with Simulator() as sim:
            image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,%%%"}}
            content = [{"type": "text", "text": "What is this?"}, image]
            body = chat(provider, model=SEEING[provider], messages=[{"role": "user", "content": content}])
            assert (await fetch(sim, provider, body)).status == 400

    play(story())


def test_image_in_korean() -> None:
    """Images are counted in the question's language too."""

    async def story() -> None:
        async with Simulator() as sim:
            content = [{"type": "text", "text": "무엇인가요?"}, {"type": "image_url", "image_url": {"url": PNG}}]
            got = await fetch(sim, "openai", chat("openai", messages=[{"role": "user", "content": content}]))
            assert "이미지 1장(image/png)" in got.json["choices"][0]["message"]["content"]

    play(story())
