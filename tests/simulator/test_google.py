"""Gemini's compat endpoint as it is simulated."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ollama_proxy.simulator import Say, Simulator
from tests.support.loops import play
from tests.support.sim_kit import chat, events, fetch, tool

THREE = "gemini-3.5-flash"


def refused(body: dict[str, Any], *wanted: str) -> None:
    """The body gets a 400 whose message holds these texts."""

    async def story() -> None:
        async with Simulator() as sim:
            got = await fetch(sim, "google", body)
            assert got.status == 400, got.body
            error = got.json[0]["error"]
            assert error["status"] == "INVALID_ARGUMENT"
            for text in wanted:
                assert text in error["message"]

    play(story())


def test_errors_are_a_list_with_one_object() -> None:
    """The compat endpoint wraps its errors in a list; a bad key is a 400."""

    async def story() -> None:
        async with Simulator() as sim:
            got = await fetch(sim, "google", chat("google"), key="k-bad-1")
            assert got.status == 400
            assert got.json[0]["error"]["details"][0]["reason"] == "API_KEY_INVALID"
            assert sim.log[0].key == "k-bad-1"

    play(story())


@pytest.mark.parametrize(
    "extra", [{"headers": {"x-goog-api-key": "another"}}, {"path": "/chat/completions?key=another"}]
)
def test_two_credentials_are_refused(extra: dict[str, Any]) -> None:
    """Bearer and x-goog-api-key (or ?key=) together are a 400."""

    async def story() -> None:
        async with Simulator() as sim:
            got = await fetch(sim, "google", chat("google"), **extra)
            assert got.status == 400
            assert "Multiple authentication credentials" in got.json[0]["error"]["message"]

    play(story())


def test_one_line_for_each_unknown_name() -> None:
    """Every unknown field has its own line, nested ones with their place."""
    body = chat("google", seed=1, top_k=2, frequency_penalty=0.1)
    body["messages"].append({"role": "assistant", "content": "a", "reasoning_content": "b"})
    refused(
        body,
        'Unknown name "seed": Cannot find field.\n',
        'Unknown name "top_k": Cannot find field.\n',
        'Unknown name "frequency_penalty": Cannot find field.',
        "Unknown name \"reasoning_content\" at 'messages[1]': Cannot find field.",
    )


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"$schema": "x", "type": "object", "properties": {"a": {"type": "string"}}}, 'Unknown name "$schema" at'),
        ({"type": "object", "properties": {"a": {"type": "string", "default": "b"}}}, 'Unknown name "default" at'),
        ({"type": "object", "properties": {"a": {"const": "b"}}}, 'Unknown name "const" at'),
        ({"type": "object", "properties": {"a": {"$ref": "#/x"}}}, 'Unknown name "$ref" at'),
        ({"type": "object", "properties": {"a": {"type": "array"}}}, "items: missing field"),
        ({"type": "object", "properties": {}}, "should be non-empty for OBJECT type"),
        ({"type": "object", "properties": {"a": {"type": ["string", "null"]}}}, "cannot start list"),
        ({"type": "object", "properties": {"a": {"type": "integer", "enum": [1]}}}, "enum: only allowed"),
        ({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["b"]}, "property is not defined"),
        ({"type": "object", "properties": {"a": {"type": "string", "format": "uri"}}}, "format: only"),
    ],
)
def test_schema_beyond_the_subset_is_refused(schema: dict[str, Any], message: str) -> None:
    """Only a part of OpenAPI's schema words is understood."""
    refused(chat("google", tools=[{"type": "function", "function": {"name": "f", "parameters": schema}}]), message)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"reasoning_effort": "minimal"}, "Invalid reasoning_effort: minimal"),
        (
            {"reasoning_effort": "low", "extra_body": {"google": {"thinking_config": {"thinking_budget": 1}}}},
            "found both",
        ),
        ({"stop": list("abcdef")}, "at most 5"),
        ({"extra_body": {"google": {"other": 1}}}, "Unknown name \"other\" at 'extra_body.google'"),
        ({"tools": [{"type": "function", "function": {"name": "1st"}}]}, "Invalid function name"),
        ({"tools": [{"type": "function", "function": {"name": "f", "strict": True}}]}, 'Unknown name "strict"'),
        ({"messages": [{"role": "system", "content": "a"}]}, "contents is not specified"),
        ({"messages": []}, "contents is not specified"),
        ({"messages": [{"role": "user", "content": ""}]}, "must not be empty"),
    ],
)
def test_values_that_gemini_refuses(more: dict[str, Any], message: str) -> None:
    """Efforts, stops, names and empty turns have their own messages."""
    refused(chat("google", **more), message)


@pytest.mark.parametrize(
    ("url", "message"), [("https://x.invalid/a.png", "Cannot fetch"), ("data:image/png", "not valid")]
)
def test_only_inline_images(url: str, message: str) -> None:
    """Remote images and broken data URLs are refused."""
    content = [{"type": "text", "text": "?"}, {"type": "image_url", "image_url": {"url": url}}]
    refused(chat("google", messages=[{"role": "user", "content": content}]), message)


def test_answers_must_follow_their_calls() -> None:
    """As many answers as calls, and calls only after a user's turn or an answer."""
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    ask, turn = {"role": "user", "content": "a"}, {"role": "assistant", "tool_calls": [call]}
    refused(chat("google", messages=[ask, turn]), "number of function response parts")
    refused(
        chat("google", messages=[turn, {"role": "tool", "tool_call_id": "a", "content": "b"}]),
        "immediately after a user turn",
    )


def test_usage_grows_on_every_chunk() -> None:
    """Each chunk carries usage; the last one has the sums of the plain answer."""

    async def story() -> None:
        async with Simulator() as sim:
            plain = await fetch(sim, "google", chat("google"))
            got = await fetch(sim, "google", chat("google", stream=True))
            chunks = events(got.body)[:-1]
            counts = [chunk["usage"]["completion_tokens"] for chunk in chunks]
            assert counts == sorted(counts)
            assert counts[-1] > counts[0]
            assert chunks[-1]["usage"] == plain.json["usage"]
            assert all(chunk["choices"][0]["delta"]["role"] == "assistant" for chunk in chunks)
            assert ["finish_reason" in chunk["choices"][0] for chunk in chunks] == [False] * (len(chunks) - 1) + [True]

    play(story())


def test_newer_models_call_one_by_one_and_sign_the_first() -> None:
    """Two calls come in two chunks, without index; only the first is signed."""

    async def story() -> None:
        async with Simulator() as sim:
            body = chat("google", "parallel tool use", model=THREE, tools=[tool()], stream=True)
            chunks = events((await fetch(sim, "google", body)).body)
            calls = [call for c in chunks[:-1] for call in c["choices"][0]["delta"].get("tool_calls", [])]
            assert len(calls) == 2
            assert "index" not in calls[0]
            assert calls[0]["id"] != calls[1]["id"]
            assert calls[0]["extra_content"]["google"]["thought_signature"]
            assert "extra_content" not in calls[1]
            assert "content" not in chunks[0]["choices"][0]["delta"]

    play(story())


def test_older_models_give_all_calls_index_zero() -> None:
    """2.5 sends both in one chunk with index 0, no id, and says stop."""

    async def story() -> None:
        async with Simulator() as sim:
            body = chat("google", "parallel tool use", tools=[tool()], stream=True)
            chunks = events((await fetch(sim, "google", body)).body)
            calls = chunks[0]["choices"][0]["delta"]["tool_calls"]
            assert [(call["index"], call["id"]) for call in calls] == [(0, ""), (0, "")]
            assert chunks[-2]["choices"][0]["finish_reason"] == "stop"

    play(story())


def test_message_with_calls_has_no_content() -> None:
    """The key is absent, not null."""

    async def story() -> None:
        async with Simulator() as sim:
            got = await fetch(sim, "google", chat("google", "use a tool", tools=[tool()]))
            assert "content" not in got.json["choices"][0]["message"]

    play(story())


def test_thoughts_are_inline_with_cut_tags() -> None:
    """Thoughts asked for come inside content, the tags cut, and count in the total only."""

    async def story() -> None:
        async with Simulator() as sim:
            thoughts = {"google": {"thinking_config": {"include_thoughts": True}}}
            sim.say("google", "3 < 4", thinking="hm, well")
            got = await fetch(sim, "google", chat("google", stream=True, extra_body=thoughts))
            chunks = events(got.body)[:-1]
            texts = [chunk["choices"][0]["delta"]["content"] for chunk in chunks]
            assert texts == ["<tho", "ught>hm, ", "well", "</tho", "ught>3 ", "< ", "4"]
            usage = chunks[-1]["usage"]
            assert usage["total_tokens"] - usage["prompt_tokens"] - usage["completion_tokens"] == 2
            marks = ["extra_content" in chunk["choices"][0]["delta"] for chunk in chunks]
            assert marks == [True, True, True, False, False, False, False]

    play(story())


def turns(call: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"role": "user", "content": "use a tool"},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": call["id"], "content": "fine"},
    ]


def test_signature_must_come_back() -> None:
    """Since Gemini 3 a call without its signature is refused, its own or the stand-in is taken."""

    async def story() -> None:
        async with Simulator() as sim:
            body = chat("google", "use a tool", model=THREE, tools=[tool()])
            call = (await fetch(sim, "google", body)).json["choices"][0]["message"]["tool_calls"][0]
            bare = {name: value for name, value in call.items() if name != "extra_content"}
            google = {"thought_signature": "skip_thought_signature_validator"}
            wrong = {**bare, "extra_content": {"google": {"thought_signature": "c2lt"}}}
            stand_in = {**bare, "extra_content": {"google": google}}
            wanted = [(bare, "is missing a thought_signature"), (wrong, "not valid"), (call, ""), (stand_in, "")]
            for given, message in wanted:
                got = await fetch(sim, "google", chat("google", model=THREE, messages=turns(given)))
                assert got.status == (400 if message else 200)
                assert message in got.body.decode()
            old = await fetch(sim, "google", chat("google", messages=turns(bare)))
            assert old.status == 200, "2.5 does not ask for it"

    play(story())


def test_signature_survives_a_restart_of_the_simulator() -> None:
    """It depends on the call alone, however the arguments are spelled."""
    from ollama_proxy.simulator.providers.google import signature_of

    assert signature_of("f", '{"a": 1, "b": 2}') == signature_of("f", '{"b":2,"a":1}')
    assert signature_of("f", '{"a": 1}') != signature_of("g", '{"a": 1}')
    assert signature_of("f", "[" * 100_000) == signature_of("f", "{")


def test_day_limit_lies_about_its_wait() -> None:
    """The quota id says PerDay and the delay says seconds."""

    async def story() -> None:
        async with Simulator() as sim:
            got = await fetch(sim, "google", chat("google"), key="k-day-1")
            details = got.json[0]["error"]["details"]
            assert got.status == 429
            assert "PerDay" in details[1]["violations"][0]["quotaId"]
            assert details[1]["violations"][0]["quotaDimensions"]["model"] == "gemini-2.5-flash"
            assert details[2]["retryDelay"] == "11s"
            assert "Please retry in 11.5s." in got.json[0]["error"]["message"]

    play(story())


def test_compat_list_has_prefixes_and_more_than_chat_models() -> None:
    """Ids begin with models/, and some are for speech or images."""

    async def story() -> None:
        async with Simulator() as sim:
            ids = [entry["id"] for entry in (await fetch(sim, "google")).json["data"]]
            assert all(name.startswith("models/") for name in ids)
            assert {"models/gemini-embedding-001", "models/imagen-4.0-generate-001"} <= set(ids)
            one = await fetch(sim, "google", path="/models/gemini-2.5-flash")
            assert one.json["id"] == "models/gemini-2.5-flash"
            assert (await fetch(sim, "google", path="/models/none")).status == 404
            body = chat("google", model="models/gemini-2.5-flash")
            assert (await fetch(sim, "google", body)).json["model"] == "gemini-2.5-flash"

    play(story())


@pytest.mark.parametrize("root", ["/google/v1beta/models", "/v1beta/models"])
def test_native_list_takes_only_its_own_header(root: str) -> None:
    """The native list has limits and pages, and wants x-goog-api-key alone."""

    async def story() -> None:
        async with Simulator() as sim:
            from tests.support.sim_kit import exchange

            async def page(query: str) -> Any:
                request = f"GET {root}?{query} HTTP/1.1\r\nhost: x\r\nx-goog-api-key: k-a\r\nconnection: close\r\n\r\n"
                return (await exchange(sim.port, request.encode())).json

            first = await page("pageSize=5")
            assert first["models"][0]["inputTokenLimit"] == 1_048_576
            second = await page(f"pageSize=5&pageToken={first['nextPageToken']}")
            names = [entry["name"] for entry in first["models"] + second["models"]]
            assert len(set(names)) == len(names) == 8
            assert "nextPageToken" not in second
            both = await fetch(sim, "google", path="/v1beta/models", headers={"x-goog-api-key": "k-a"})
            assert both.status == 400

    play(story())


def test_embeddings_have_no_usage() -> None:
    """One vector for each input, of the model's length or the asked one."""

    async def story() -> None:
        async with Simulator() as sim:
            body = {"model": "gemini-embedding-001", "input": ["a", "b"]}
            got = (await fetch(sim, "google", body, path="/embeddings")).json
            assert "usage" not in got
            assert [len(row["embedding"]) for row in got["data"]] == [3072, 3072]
            short = await fetch(sim, "google", {**body, "dimensions": 4}, path="/embeddings")
            assert len(short.json["data"][0]["embedding"]) == 4
            other = await fetch(sim, "google", {**body, "user": "x"}, path="/embeddings")
            assert "Unknown name" in other.json[0]["error"]["message"]

    play(story())


def test_failing_stream_has_no_end_mark() -> None:
    """An error inside the stream is an object, and nothing follows it."""

    async def story() -> None:
        async with Simulator() as sim:
            got = await fetch(sim, "google", chat("google", model="gemini-2.5-flash!error-mid", stream=True))
            assert events(got.body)[-1]["error"]["code"] == 503

    play(story())


def test_say_tells_calls_in_the_provider_s_form() -> None:
    """A test gives name and arguments; the shape stays Gemini's."""

    async def story() -> None:
        async with Simulator() as sim:
            sim.on("google", Say(calls=[("find", {"a": 1})], usage=(3, 2, 9)))
            got = await fetch(sim, "google", chat("google", model=THREE))
            call = got.json["choices"][0]["message"]["tool_calls"][0]
            assert json.loads(call["function"]["arguments"]) == {"a": 1}
            assert got.json["usage"] == {"completion_tokens": 2, "prompt_tokens": 3, "total_tokens": 9}

    play(story())


@pytest.mark.parametrize(("fault", "done"), [("truncated", False), ("no-finish", True)])
def test_an_answer_without_end_has_none_beside_its_last_words_either(fault: str, done: bool) -> None:
    """Google sends the end together with the last text; the text is all there, the end is not."""

    async def story() -> None:
        async with Simulator() as sim:
            whole = events((await fetch(sim, "google", chat("google", stream=True))).body)[:-1]
            body = chat("google", stream=True, model=f"gemini-2.5-flash!{fault}")
            cut = events((await fetch(sim, "google", body)).body)
            assert (cut[-1] == "[DONE]") is done
            cut = [chunk for chunk in cut if chunk != "[DONE]"]
            assert [c["choices"][0]["delta"] for c in cut] == [c["choices"][0]["delta"] for c in whole]
            assert "finish_reason" in whole[-1]["choices"][0]
            assert not [c for c in cut if "finish_reason" in c["choices"][0]]

    play(story())
