"""n8n: the credential is tested by the list, the model menu filled from it; LangChain's chat model and the Ollama node.

Read in n8n-io/n8n, langchain nodes 2.41.1. A slash at the end of the address gives `//api/tags` (n8n-io/n8n#16412); the
bearer header is sent even when it is empty.
"""

from __future__ import annotations

from typing import Any

import pytest

from ollama_proxy.simulator import SimulatorThread
from tests.support.app_client import App, join_calls
from tests.support.judged import CALLS, CHAT, TOOLS, every_provider, hub_pairs
from tests.support.running import RunningProxy

HEADERS = [("Accept", "application/json,text/html,application/xml,text/*;q=0.9, image/*;q=0.8, */*;q=0.7")]


@pytest.mark.parametrize("slash", ["", "/"])
def test_credential_and_menu(proxy: RunningProxy, slash: str) -> None:
    """With and without a slash at the end of the address."""
    n8n = App(f"{proxy.url}{slash}", [*HEADERS, ("Authorization", "Bearer ")])
    assert set(CHAT.values()) <= {model["name"] for model in n8n.get("/api/tags").ok().json()["models"]}


@every_provider
def test_the_ollama_node_goes_a_whole_round(proxy: RunningProxy, simulator: SimulatorThread, provider: str) -> None:
    """Not streamed; calls go back as they came, results with `tool_name` alone."""
    n8n = App(proxy.url, [*HEADERS, ("Authorization", "Bearer ")])
    simulator.say(provider, calls=CALLS)
    messages: list[Any] = [{"role": "user", "content": "Use the tools"}]
    body = {"model": CHAT[provider], "messages": messages, "stream": False, "tools": TOOLS, "options": {}}
    answer = n8n.post("/api/chat", body).ok().json()
    calls = join_calls([answer])
    assert [(c["function"]["name"], c["function"]["arguments"]) for c in calls] == CALLS
    messages.append(answer["message"])
    messages += [
        {"role": "tool", "content": c["function"]["arguments"]["city"], "tool_name": c["function"]["name"]}
        for c in calls
    ]
    simulator.say(provider, "Done.")
    assert n8n.post("/api/chat", body).ok().json()["message"]["content"] == "Done."
    sent = simulator.calls(provider, path="/chat/completions")[-1].body["messages"]
    assert all(result in arguments for arguments, result in hub_pairs(sent))


@every_provider
def test_the_chat_model_streams(proxy: RunningProxy, simulator: SimulatorThread, provider: str) -> None:
    """All the options of its form at their defaults, some of which no provider knows."""
    simulator.say(provider, "Automated.")
    options = {
        "temperature": 0.7,
        "top_k": -1,
        "top_p": 1,
        "frequency_penalty": 0,
        "presence_penalty": 0,
        "repeat_penalty": 1,
        "num_ctx": 2048,
        "num_predict": -1,
        "num_gpu": -1,
        "num_batch": 512,
        "num_thread": 0,
        "main_gpu": 0,
        "low_vram": False,
        "use_mlock": False,
        "use_mmap": True,
        "vocab_only": False,
        "penalize_newline": True,
        "stop": None,
    }
    body = {
        "model": CHAT[provider],
        "messages": [{"role": "user", "content": "Go"}],
        "stream": True,
        "keep_alive": "5m",
        "options": options,
        "tools": [],
    }
    lines = App(proxy.url, [*HEADERS, ("Authorization", "Bearer ")]).post("/api/chat", body).ok().lines()
    assert "".join(line["message"]["content"] for line in lines) == "Automated."


def test_its_key_is_the_token(guarded: RunningProxy) -> None:
    """An empty bearer is none."""
    assert App(guarded.url, [("Authorization", "Bearer sesame")]).get("/api/tags").status == 200
    assert App(guarded.url, [("Authorization", "Bearer ")]).get("/api/tags").status == 401
