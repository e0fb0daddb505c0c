"""LibreChat with an endpoint named "ollama": Ollama's list in 5 s without the key, else OpenAI's; chat by /v1.

Read in danny-avila/LibreChat, `packages/api/src/endpoints/models.ts`, 2026-11.
"""

from __future__ import annotations

from ollama_proxy.simulator import SimulatorThread
from tests.support.app_client import App
from tests.support.judged import CHAT, GEMINI, every_provider
from tests.support.running import RunningProxy
from tests.support.shapes import check

AXIOS = [("Accept", "application/json, text/plain, */*"), ("User-Agent", "axios/1.13.2")]
BEARER = [("Authorization", "Bearer any")]


def test_both_of_its_lists(proxy: RunningProxy) -> None:
    """From the address without /v1, and from the base URL that its file holds."""
    tags = App(proxy.url, AXIOS, patience_s=5).get("/api/tags").ok().json()
    check(tags, {"models": [{"name": str}]})
    data = App(f"{proxy.url}/v1", AXIOS, patience_s=5).get("/models", BEARER).ok().json()
    check(data, {"data": [{"id": str}]})
    assert {tag["name"] for tag in tags["models"]} == {model["id"] for model in data["data"]} >= set(CHAT.values())


@every_provider
def test_its_chat_streams(proxy: RunningProxy, simulator: SimulatorThread, provider: str) -> None:
    """LangChain's OpenAI client: usage is asked for, a user is named, and `[DONE]` ends it."""
    simulator.say(provider, "Hello there.")
    body = {
        "model": CHAT[provider],
        "user": "665f1c2ab1",
        "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 1,
        "top_p": 1,
        "presence_penalty": 0,
        "frequency_penalty": 0,
    }
    headers = [*BEARER, ("Content-Type", "application/json"), ("Accept", "application/json")]
    events = App(f"{proxy.url}/v1").post("/chat/completions", body, headers).ok().events()
    assert events[-1].data == "[DONE]"
    chunks = [event.json() for event in events[:-1]]
    check(chunks, [{"id": str, "object": str, "created": int, "model": str, "choices": list}])
    assert "".join(c["delta"].get("content") or "" for chunk in chunks for c in chunk["choices"]) == "Hello there."
    usage = [chunk["usage"] for chunk in chunks if chunk.get("usage")]
    check(usage[-1], {"prompt_tokens": int, "completion_tokens": int, "total_tokens": int})


def test_titles_are_made_without_a_stream(proxy: RunningProxy, simulator: SimulatorThread) -> None:
    """One whole answer."""
    simulator.say("google", "A Title")
    body = {"model": GEMINI, "messages": [{"role": "user", "content": "Title?"}], "stream": False, "max_tokens": 75}
    answer = App(f"{proxy.url}/v1").post("/chat/completions", body, [*BEARER, ("Content-Type", "application/json")])
    assert answer.ok().json()["choices"][0]["message"]["content"] == "A Title"
