"""AkashML as it is simulated."""

from __future__ import annotations

from ollama_proxy.simulator import Simulator
from tests.support.loops import play
from tests.support.sim_kit import chat, events, fetch, tool


def test_plain_answer_has_an_empty_list_of_calls() -> None:
    """vLLM says `tool_calls: []` where no tool is called."""

    async def story() -> None:
        async with Simulator() as sim:
            got = await fetch(sim, "akash", chat("akash"))
            assert got.json["choices"][0]["message"]["tool_calls"] == []
            assert got.json["choices"][0]["stop_reason"] is None
            assert got.headers["inference-id"].startswith("sim-inf-")

    play(story())


def test_first_piece_of_a_call_has_no_arguments() -> None:
    """Id and name first, then arguments without id and type."""

    async def story() -> None:
        async with Simulator() as sim:
            body = chat("akash", "use a tool", tools=[tool()], stream=True)
            chunks = events((await fetch(sim, "akash", body)).body)
            pieces = [
                c["choices"][0]["delta"]["tool_calls"][0]
                for c in chunks[:-1]
                if "tool_calls" in c["choices"][0]["delta"]
            ]
            assert pieces[0]["function"] == {"name": "get_weather"}
            assert all(set(piece) == {"index", "function"} for piece in pieces[1:])
            assert "".join(p["function"]["arguments"] for p in pieces[1:]).startswith('{"city"')

    play(story())


def test_usage_only_when_asked_for() -> None:
    """The chunk with empty choices needs include_usage, and that needs a stream."""

    async def story() -> None:
        async with Simulator() as sim:
            without = events((await fetch(sim, "akash", chat("akash", stream=True))).body)
            assert not any("usage" in chunk for chunk in without[:-1])
            wanted = {"include_usage": True}
            asked = events((await fetch(sim, "akash", chat("akash", stream=True, stream_options=wanted))).body)
            assert asked[-2]["choices"] == []
            assert asked[-2]["usage"]["total_tokens"] > 0
            got = await fetch(sim, "akash", chat("akash", stream_options=wanted))
            assert got.status == 400
            got = await fetch(sim, "akash", chat("akash", tool_choice="auto"))
            assert "`tools` must be set" in got.json["error"]["message"]

    play(story())


def test_reasoning_has_its_own_field() -> None:
    """`reasoning` or vLLM's template switch turn it on and off."""

    async def story() -> None:
        async with Simulator() as sim:
            got = await fetch(sim, "akash", chat("akash", stream=True, reasoning={"enabled": True}))
            assert any(c["choices"][0]["delta"].get("reasoning_content") for c in events(got.body)[:-1])
            got = await fetch(sim, "akash", chat("akash", chat_template_kwargs={"thinking": True}))
            assert got.json["choices"][0]["message"]["reasoning_content"]
            got = await fetch(sim, "akash", chat("akash"))
            assert got.json["choices"][0]["message"]["reasoning_content"] is None

    play(story())


def test_both_lists() -> None:
    """AkashML's rich list, and the older gateway's bare one when told."""

    async def story() -> None:
        async with Simulator() as sim:
            entry = (await fetch(sim, "akash")).json["data"][0]
            assert entry["context_length"] == 131_072
            assert entry["pricing"]["request"] == "0"
            sim.play("akash", "models-litellm")
            old = (await fetch(sim, "akash")).json["data"][0]
            assert old == {"id": "DeepSeek-V3-1", "object": "model", "created": 1677610602, "owned_by": "openai"}
            assert (await fetch(sim, "akash")).json["data"][0] == entry

    play(story())


def test_embeddings_are_the_older_gateway_s_only() -> None:
    """AkashML documents none; the old model id still works."""

    async def story() -> None:
        async with Simulator() as sim:
            old = {"model": "BAAI-bge-large-en-v1-5", "input": "a"}
            got = await fetch(sim, "akash", old, path="/embeddings")
            assert len(got.json["data"][0]["embedding"]) == 1024
            new = {"model": "meta-llama/Llama-3.3-70B-Instruct", "input": "a"}
            assert (await fetch(sim, "akash", new, path="/embeddings")).status == 404

    play(story())
