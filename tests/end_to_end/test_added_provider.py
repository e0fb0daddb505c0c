"""A provider that nobody here has heard of is added by a table in ollama-proxy.toml, and by nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx
import ollama
import openai
import pytest

from ollama_proxy.simulator import SimulatorThread
from tests.support.running import RunningProxy

#: All that an operator writes. Its quirks are made up: an own header for the key, fields that it does not take, another
#: name for one, a bound for another, one allowance for the whole key, models that its list does not have.
TABLE = """
[providers.house]
title = "The House"
base_url = "{base_url}"
auth = {{ header = "authorization", prefix = "Bearer " }}
headers = {{ x-team = "blue" }}
rate_scope = "key"
profile = "openai"
refusals = ["mistral"]
chat = {{ drop = ["seed"], rename = {{ max_completion_tokens = "max_tokens" }}, clamp = {{ temperature = [0, 1] }} }}
tools = {{ function_drop = ["strict"] }}

[aliases]
mine = "house:sim-chat"
"""
MODEL = "house:sim-chat"
ASK: Any = [{"role": "user", "content": "Where is Seoul?"}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL: Any = {"type": "function", "function": {"name": "get_weather", "strict": True, "parameters": SCHEMA}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("added")


@pytest.fixture(scope="module")
def running(simulator: SimulatorThread, folder: Path) -> Iterator[RunningProxy]:
    (folder / "ollama-proxy.toml").write_text(TABLE.format(base_url=simulator.base_url("openai")))
    keys = ",".join(simulator.key("openai", label) for label in ("one", "two"))
    with RunningProxy({"HOUSE_API_KEYS": keys}, folder) as proxy:
        yield proxy


@pytest.fixture
def proxy(running: RunningProxy, simulator: SimulatorThread) -> RunningProxy:
    running.forget()
    simulator.reset()
    return running


def test_its_models_are_listed_beside_all_others(proxy: RunningProxy) -> None:
    """What its own list holds, under its name."""
    with ollama.Client(proxy.url) as client:
        assert MODEL in [model.model for model in client.list().models]
        assert client.show(MODEL).modelinfo
    assert "house" in httpx.get(f"{proxy.url}/api/keys").json()


def test_all_clients_are_served_with_text_and_tools(proxy: RunningProxy, simulator: SimulatorThread) -> None:
    """C240: three protocols, whole and streamed."""
    with (
        ollama.Client(proxy.url) as client,
        openai.OpenAI(base_url=f"{proxy.url}/v1", api_key="x") as sdk,
        anthropic.Anthropic(base_url=proxy.url, api_key="x") as claude,
    ):
        assert "Where is Seoul?" in str(client.chat(MODEL, ASK).message.content)
        assert len(list(client.chat(MODEL, ASK, stream=True))) > 2
        assert sdk.chat.completions.create(model=MODEL, messages=ASK).choices[0].message.content
        assert claude.messages.create(model=MODEL, messages=ASK, max_tokens=100).content
        assert len(client.embed("house:sim-embedding", ["a", "b"]).embeddings) == 2
        use: Any = [{"role": "user", "content": "Use get_weather for Seoul"}]
        (call,) = client.chat(MODEL, use, tools=[TOOL]).message.tool_calls or ()
        assert call.function.arguments == {"city": "Seoul"}
    for arrival in simulator.calls("openai"):
        assert arrival.headers["x-team"] == "blue"
        assert arrival.key in ("one", "two")
    assert "strict" not in simulator.calls("openai", operation="chat")[-1].body["tools"][0]["function"]


def test_its_rules_for_fields_hold(proxy: RunningProxy, simulator: SimulatorThread) -> None:
    """Dropped and told, renamed, bounded."""
    fields = {"seed": 7, "temperature": 1.7, "max_completion_tokens": 9, "made_up": True}
    answer = httpx.post(f"{proxy.url}/v1/chat/completions", json={"model": MODEL, "messages": ASK, **fields})
    assert answer.status_code == 200
    assert answer.headers["x-proxy-dropped"] == "seed"
    assert answer.headers["x-proxy-provider"] == "house"
    (arrival,) = simulator.calls("openai")
    sent = {name: arrival.body.get(name) for name in ("seed", "temperature", "max_tokens", "made_up")}
    assert sent == {"seed": None, "temperature": 1, "max_tokens": 9, "made_up": True}


def test_its_refusals_are_read_as_its_table_says(proxy: RunningProxy, simulator: SimulatorThread) -> None:
    """The whole key rests for a limit of the whole key; another key serves, and the errors are told under its title."""
    simulator.play("openai", "groq-429", key="one", times=None)
    with ollama.Client(proxy.url) as client:
        for _ in range(3):
            assert client.chat(MODEL, ASK).message.content
        simulator.reset()
        simulator.play("openai", "400", times=None)
        with pytest.raises(ollama.ResponseError, match="The House"):
            client.chat(MODEL, ASK)
    states = {key["label"]: key["state"] for key in httpx.get(f"{proxy.url}/api/keys").json()["house"]["keys"]}
    assert states == {"house#1": "cooling", "house#2": "healthy"}


def test_a_name_of_ones_own_leads_to_it(proxy: RunningProxy) -> None:
    """Names and chains know it like any other."""
    with ollama.Client(proxy.url) as client:
        answer = client.chat("mine", ASK)
    assert answer.model == "mine"
    assert answer.message.content


def test_a_server_on_this_machine_needs_no_key(simulator: SimulatorThread, tmp_path: Path) -> None:
    """`keyless`, and models that its list does not have."""
    table = f'[providers.shed]\nbase_url = "{simulator.base_url("openai")}"\nkeyless = true\nmodels = ["sim-chat"]\n'
    (tmp_path / "ollama-proxy.toml").write_text(table)
    simulator.reset()
    simulator.play("openai", "404", times=None, operation="models")
    with RunningProxy({}, tmp_path) as proxy:
        names = [model["id"] for model in httpx.get(f"{proxy.url}/v1/models").json()["data"]]
        httpx.post(f"{proxy.url}/api/chat", json={"model": "shed:sim-chat", "messages": ASK})
    assert "shed:sim-chat" in names
    (arrival,) = [call for call in simulator.calls("openai") if call.operation == "chat"]
    assert "authorization" not in arrival.headers
