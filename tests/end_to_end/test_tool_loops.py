"""Long tool loops: what a provider wants back is given back, whatever the client drops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ollama
import openai

from ollama_proxy.simulator import SimulatorThread
from tests.support.running import RunningProxy

GEMINI_3 = "google:gemini-3-flash-preview"


def tool(name: str) -> dict[str, Any]:
    properties = {"city": {"type": "string", "description": "where"}}
    parameters = {"type": "object", "properties": properties, "required": ["city"]}
    return {"type": "function", "function": {"name": name, "description": name, "parameters": parameters}}


TOOLS = [tool("get_weather"), tool("get_time")]


def turn(client: ollama.Client, simulator: SimulatorThread, messages: list[Any], number: int, *, stream: bool) -> None:
    """One step of the loop: two parallel calls and their results, told as ollama-python's users do (no ids)."""
    calls = [("get_weather", {"city": f"Paris {number}"}), ("get_time", {"city": f"Seoul {number}"})]
    simulator.say("google", calls=calls)
    if stream:
        made = [
            c
            for part in client.chat(GEMINI_3, messages, tools=TOOLS, stream=True)
            for c in part.message.tool_calls or ()
        ]
        messages.append({"role": "assistant", "tool_calls": [call.model_dump() for call in made]})
    else:
        answer = client.chat(GEMINI_3, messages, tools=TOOLS)
        made = list(answer.message.tool_calls or ())
        messages.append(answer.message)
    assert [(call.function.name, dict(call.function.arguments)) for call in made] == calls
    messages += [{"role": "tool", "tool_name": call.function.name, "content": f"result {number}"} for call in made]


def test_twenty_parallel_turns_with_gemini_survive_a_restart_of_the_proxy(
    simulator: SimulatorThread, tmp_path: Path
) -> None:
    """B2, B6: Gemini 3 refuses a turn whose thought signature is lost; ollama-python returns neither it nor an id."""
    env = simulator.env({"google": ["one"]})
    messages: list[Any] = [{"role": "user", "content": "Use the tools"}]
    with RunningProxy(env, tmp_path) as proxy, ollama.Client(proxy.url) as client:
        for number in range(10):
            turn(client, simulator, messages, number, stream=number % 2 == 0)
    with RunningProxy(env, tmp_path) as proxy, ollama.Client(proxy.url) as client:
        for number in range(10, 20):
            turn(client, simulator, messages, number, stream=number % 2 == 0)
        simulator.say("google", "All done.")
        assert client.chat(GEMINI_3, messages, tools=TOOLS).message.content == "All done."
    arrivals = simulator.calls("google", path="/chat/completions")
    assert [arrival.status for arrival in arrivals] == [200] * 21
    sent = [m for m in arrivals[-1].body["messages"] if m.get("tool_calls")]
    assert len(sent) == 20
    signatures = [m["tool_calls"][0]["extra_content"]["google"]["thought_signature"] for m in sent]
    assert "skip_thought_signature_validator" not in signatures
    assert len(set(signatures)) == 20


def test_a_history_from_elsewhere_gets_the_documented_stand_in(simulator: SimulatorThread, tmp_path: Path) -> None:
    """B6: a call that another model made is accepted all the same."""
    messages: list[Any] = [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "tool_calls": [{"function": {"name": "get_weather", "arguments": {"city": "Oslo"}}}]},
        {"role": "tool", "tool_name": "get_weather", "content": "rain"},
    ]
    env = simulator.env({"google": ["one"]})
    with RunningProxy(env, tmp_path) as proxy, ollama.Client(proxy.url) as client:
        assert "rain" in str(client.chat(GEMINI_3, messages, tools=TOOLS).message.content)


def test_a_signature_stays_with_its_provider(simulator: SimulatorThread, tmp_path: Path) -> None:
    """B7: the same history sent to another provider carries nothing of Gemini's."""
    env = simulator.env({"google": ["one"], "cohere": ["one"], "codestral": ["one"], "qwen": ["one"]})
    messages: list[Any] = [{"role": "user", "content": "Use the tools"}]
    with RunningProxy(env, tmp_path) as proxy, ollama.Client(proxy.url) as client:
        turn(client, simulator, messages, 1, stream=False)
        for model in ("cohere:command-a-03-2025", "codestral:codestral-latest", "qwen:qwen3.8-max"):
            assert client.chat(model, messages, tools=TOOLS).message.content
            (arrival,) = simulator.calls(model.split(":")[0], path="/chat/completions")
            assert arrival.status == 200
            assert "thought_signature" not in str(arrival.body)


def test_an_openai_client_that_drops_extra_content_is_served(simulator: SimulatorThread, tmp_path: Path) -> None:
    """B6: the pass-through learns and restores signatures too."""
    env = simulator.env({"google": ["one"]})
    with RunningProxy(env, tmp_path) as proxy, openai.OpenAI(base_url=f"{proxy.url}/v1", api_key="x") as client:
        simulator.say("google", calls=[("get_weather", {"city": "Paris"})])
        create: Any = client.chat.completions.create
        messages: list[Any] = [{"role": "user", "content": "Use the tool"}]
        (call,) = create(model=GEMINI_3, messages=messages, tools=TOOLS).choices[0].message.tool_calls
        function = {"name": call.function.name, "arguments": call.function.arguments}
        messages += [
            {"role": "assistant", "tool_calls": [{"id": call.id, "type": "function", "function": function}]},
            {"role": "tool", "tool_call_id": call.id, "content": "sunny"},
        ]
        assert "sunny" in create(model=GEMINI_3, messages=messages, tools=TOOLS).choices[0].message.content
        sent = simulator.calls("google", path="/chat/completions")[-1].body["messages"][1]["tool_calls"][0]
        assert sent["extra_content"]["google"]["thought_signature"] != "skip_thought_signature_validator"


def test_a_function_name_that_a_provider_cannot_take_comes_back_as_it_was(
    simulator: SimulatorThread, tmp_path: Path
) -> None:
    """Gemini and Cohere know fewer letters in names; the client never sees the other name."""
    name = "files/read:now"
    env = simulator.env({"google": ["one"], "cohere": ["one"]})
    with RunningProxy(env, tmp_path) as proxy, ollama.Client(proxy.url) as client:
        for model in ("google:gemini-2.5-flash", "cohere:command-a-03-2025"):
            for stream in (False, True):
                question = [{"role": "user", "content": "Please use the tool"}]
                if stream:
                    parts = client.chat(model, question, tools=[tool(name)], stream=True)
                    made = [call for part in parts for call in part.message.tool_calls or ()]
                else:
                    made = list(client.chat(model, question, tools=[tool(name)]).message.tool_calls or ())
                assert {call.function.name for call in made} == {name}
