"""DashScope's compatible mode as it is simulated."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest

from ollama_proxy.simulator import Simulator
from tests.support.loops import play
from tests.support.sim_kit import Got, chat, events, fetch, tool


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"tools": []}, "[] is too short - 'tools'"),
        ({"model": "qwq-plus"}, "parameter.enable_thinking must be set to false for non-streaming calls"),
        ({"enable_thinking": True}, "parameter.enable_thinking must be set to false"),
        ({"model": "qwen3-32b"}, "parameter.enable_thinking must be set to false"),
        ({"stream_options": {"include_usage": True}}, "can only be set when 'stream' is true"),
        ({"response_format": {"type": "json_object"}}, "must contain the word 'json'"),
        ({"temperature": 2.0}, "[0.0, 2.0)"),
        ({"messages": [{"role": "user", "content": [{"type": "file"}]}]}, "'file' is not supported"),
        (
            {"stream": True, "enable_thinking": True, "tool_choice": "required", "tools": [tool()]},
            "required or object in thinking mode",
        ),
        (
            {"stream": True, "enable_thinking": True, "response_format": {"type": "json_object"}},
            "not supported when enable_thinking",
        ),
    ],
)
def test_values_that_dashscope_refuses(more: dict[str, Any], message: str) -> None:
    """Each is a 400 with a request id beside it."""

    async def story() -> None:
        async with Simulator() as sim:
            got = await fetch(sim, "qwen", chat("qwen", **more))
            assert got.status == 400
            assert message in got.json["error"]["message"]
            assert got.json["request_id"]

    play(story())


def test_commercial_models_think_without_a_stream() -> None:
    """Only open models insist on a stream."""

    async def story() -> None:
        async with Simulator() as sim:
            got = await fetch(sim, "qwen", chat("qwen", model="qwen-plus-latest", enable_thinking=True))
            assert got.json["choices"][0]["message"]["reasoning_content"]

    play(story())


def test_content_is_null_while_it_thinks() -> None:
    """Then reasoning_content is null; usage comes in a chunk of its own when asked for."""

    async def story() -> None:
        async with Simulator() as sim:
            body = chat("qwen", stream=True, enable_thinking=True, stream_options={"include_usage": True})
            chunks = events((await fetch(sim, "qwen", body)).body)[:-1]
            deltas = [c["choices"][0]["delta"] for c in chunks if c["choices"]]
            thinking = [d for d in deltas if d.get("reasoning_content")]
            assert all(d["content"] is None for d in thinking)
            assert all(d["reasoning_content"] is None for d in deltas if d.get("content"))
            assert [c["usage"] is None for c in chunks] == [True] * (len(chunks) - 1) + [False]
            assert chunks[-1]["choices"] == []

    play(story())


def test_later_pieces_of_a_call_are_empty_texts() -> None:
    """Ids and names become "", the last arguments null."""

    async def story() -> None:
        async with Simulator() as sim:
            chunks = events((await fetch(sim, "qwen", chat("qwen", "use a tool", tools=[tool()], stream=True))).body)
            pieces = [
                c["choices"][0]["delta"]["tool_calls"][0]
                for c in chunks[:-1]
                if "tool_calls" in c["choices"][0]["delta"]
            ]
            assert pieces[0]["id"]
            assert all(piece["id"] == "" for piece in pieces[1:])
            assert pieces[1]["function"]["name"] == ""
            assert pieces[-1]["function"] == {"arguments": None}

    play(story())


def test_ten_inputs_at_most() -> None:
    """Eleven texts to embed are refused."""

    async def story() -> None:
        async with Simulator() as sim:
            body = {"model": "text-embedding-v4", "input": ["a"] * 10, "dimensions": 64}
            got = await fetch(sim, "qwen", body, path="/embeddings")
            assert len(got.json["data"]) == 10
            assert len(got.json["data"][0]["embedding"]) == 64
            got = await fetch(sim, "qwen", {**body, "input": ["a"] * 11}, path="/embeddings")
            assert got.status == 400
            assert "not be larger than 10" in got.json["error"]["message"]

    play(story())


def test_failure_in_the_middle_ends_without_a_mark() -> None:
    """An error object and then nothing."""

    async def story() -> None:
        async with Simulator() as sim:
            got = await fetch(sim, "qwen", chat("qwen", model="qwen3-coder-plus!error-mid", stream=True))
            assert got.complete
            assert events(got.body)[-1]["error"]["code"] == "data_inspection_failed"

    play(story())


def test_minute_of_tokens_speaks_of_billing() -> None:
    """The throttle looks like an empty purse."""

    async def story() -> None:
        async with Simulator() as sim:
            got = await fetch(sim, "qwen", chat("qwen", model="qwen3-coder-plus!429-tpm"))
            assert got.status == 429
            assert got.json["error"]["code"] == "insufficient_quota"
            assert "#token-limit" in got.json["error"]["message"]

    play(story())


def test_list_has_ids_only() -> None:
    """Chat, vectors, images and speech, nothing told apart."""

    async def story() -> None:
        async with Simulator() as sim:
            rows = (await fetch(sim, "qwen")).json["data"]
            assert all(set(row) == {"id", "object", "created", "owned_by"} for row in rows)
            assert {"text-embedding-v4", "qwen-image"} <= {row["id"] for row in rows}

    play(story())


# --- the portal of the sign-in ----------------------------------------------------------------------------------------


async def renew(sim: Simulator, refresh: str, **more: str) -> Got:
    form = {
        "grant_type": "refresh_token",
        "refresh_token": refresh,
        "client_id": "f0304373b74a44d2b584a3fb70ca9e56",
        **more,
    }
    kind = {"content-type": "application/x-www-form-urlencoded"}
    return await fetch(
        sim, "qwen", urlencode(form).encode(), path="/api/v1/oauth2/token", key=None, headers=kind, method="POST"
    )


async def call(sim: Simulator, access: str) -> Got:
    headers = {"authorization": f"Bearer {access}"}
    return await fetch(
        sim, "qwen", chat("qwen", model="coder-model"), path="/v1/chat/completions", key=None, headers=headers
    )


def test_a_refresh_token_serves_once() -> None:
    """The answer has a new pair, six hours and the address; the same token again is refused, with a text as error."""

    async def story() -> None:
        async with Simulator() as sim:
            file = sim.credentials(-1)
            assert (await call(sim, file["access_token"])).status == 401
            got = await renew(sim, file["refresh_token"])
            assert (got.status, got.json["expires_in"], got.json["token_type"]) == (200, 21600, "Bearer")
            assert got.json["resource_url"] == sim.base_url("qwen") == file["resource_url"]
            assert (await call(sim, got.json["access_token"])).status == 200
            again = await renew(sim, file["refresh_token"])
            assert (again.status, again.json["error"]) == (400, "invalid_request")
            assert (await renew(sim, got.json["refresh_token"])).status == 200

    play(story())


def test_a_renewal_is_a_form_with_three_fields() -> None:
    """Another client, another grant or JSON is refused, and uses nothing up."""

    async def story() -> None:
        async with Simulator() as sim:
            refresh = sim.credentials()["refresh_token"]
            assert (await renew(sim, refresh, client_id="me")).status == 400
            assert (await renew(sim, refresh, grant_type="password")).status == 400
            body = {"grant_type": "refresh_token", "refresh_token": refresh}
            assert (await fetch(sim, "qwen", body, path="/api/v1/oauth2/token", key=None)).status == 400
            assert (await renew(sim, refresh)).status == 200

    play(story())


def test_the_portal_takes_its_own_tokens_only() -> None:
    """A key of DashScope is refused in the portal's words; there is no list of models."""

    async def story() -> None:
        async with Simulator() as sim:
            got = await fetch(sim, "qwen", chat("qwen"), path="/v1/chat/completions")
            assert got.status == 401
            assert got.json["error"]["message"] == "invalid access token or token expired"
            assert (await fetch(sim, "qwen", path="/v1/models")).status == 404
            sim.play("qwen", "oauth-401")
            access = sim.credentials()["access_token"]
            assert (await call(sim, access)).status == 401
            assert (await call(sim, access)).status == 200
            assert sim.log[-1].key == "access-1"

    play(story())
