"""LangChain4j (Java): its streaming call sets no Content-Type, its dates lose their fraction by search and replace.

Read in langchain4j/langchain4j, `OllamaClient` and `OllamaDateDeserializer`, 2026-11. Spring AI reads much the same.
"""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import pytest

from ollama_proxy.simulator import SimulatorThread
from tests.support.app_client import App, join_calls
from tests.support.judged import CALLS, CHAT, EMBED, GEMINI, TOOLS, every_provider
from tests.support.running import RunningProxy
from tests.support.shapes import Option, check

DETAILS = {
    "format": Option(str),
    "family": Option(str),
    "families": Option([str]),
    "parameter_size": Option(str),
    "quantization_level": Option(str),
}
MODEL = {"name": str, "size": int, "digest": str, "details": DETAILS}
CARD = {
    "license": Option(str),
    "modelfile": Option(str),
    "parameters": Option(str),
    "template": Option(str),
    "details": DETAILS,
    "model_info": dict,
    "capabilities": Option([str]),
}
LINE = {"model": str, "created_at": str, "message": {"role": str, "content": str}, "done": bool}


def java_date(text: str) -> datetime:
    """As its deserializer reads it: the fraction's digits are removed wherever they stand."""
    if "." in text:
        fraction = text.split(".")[1]
        for mark in ("+", "-", "Z"):
            if mark in fraction:
                fraction = fraction[: fraction.index(mark)]
                break
        text = text.replace(fraction, "")
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%z")


@pytest.fixture
def java(proxy: RunningProxy) -> App:
    return App(proxy.url, [("User-Agent", "Java-http-client/21.0.9"), ("Accept", "*/*")], patience_s=60)


def test_its_lists(java: App) -> None:
    """All models with their dates; a card for one; what is loaded."""
    models = java.get("/api/tags").ok().json()["models"]
    check(models, [MODEL])
    assert set(CHAT.values()) <= {model["name"] for model in models}
    assert all(java_date(model["modified_at"]) <= datetime.now(timezone.utc) for model in models)
    card = java.post("/api/show", {"name": GEMINI}).ok().json()
    check(card, CARD)
    assert java_date(card["modified_at"])
    java.post("/api/chat", {"model": GEMINI, "messages": [{"role": "user", "content": "Hi"}], "stream": False}).ok()
    running = java.get("/api/ps").ok().json()["models"]
    check(running, [{**MODEL, "size_vram": int}])
    assert all(java_date(model["expires_at"]) > datetime.now(timezone.utc) for model in running)


@every_provider
def test_a_stream_without_content_type(java: App, simulator: SimulatorThread, provider: str) -> None:
    """The body is JSON whatever the headers say, or do not say; every line has a content."""
    simulator.say(provider, "Bonjour.")
    body: dict[str, Any] = {
        "model": CHAT[provider],
        "messages": [{"role": "user", "content": "Salut", "images": [], "tool_calls": None}],
        "options": {"temperature": None, "top_k": None, "top_p": None, "num_predict": None, "stop": None},
        "format": None,
        "stream": True,
        "tools": [],
    }
    lines = java.send("POST", "/api/chat", json.dumps(body).encode()).ok().lines()
    check(lines, [LINE])
    assert "".join(line["message"]["content"] for line in lines) == "Bonjour."
    assert lines[-1]["done"] is True


@every_provider
def test_calls_are_objects(java: App, simulator: SimulatorThread, provider: str) -> None:
    """Arguments are read as a map."""
    simulator.say(provider, calls=CALLS)
    body = {"model": CHAT[provider], "messages": [{"role": "user", "content": "?"}], "stream": False, "tools": TOOLS}
    answer = java.post("/api/chat", body).ok().json()
    check(answer, LINE)
    check(answer["message"]["tool_calls"], [{"function": {"name": str, "arguments": dict}}])
    assert [c["function"]["arguments"] for c in join_calls([answer])] == [arguments for _, arguments in CALLS]


def test_embeddings(java: App) -> None:
    """One vector each."""
    answer = java.post("/api/embed", {"model": EMBED, "input": ["a", "b"]}).ok().json()
    check(answer, {"model": str, "embeddings": [[float]]})
    assert len(answer["embeddings"]) == 2


def test_an_error_has_a_body(java: App) -> None:
    """Its exception shows status and body."""
    heard = java.post("/api/chat", {"model": "nobody", "messages": [{"role": "user", "content": "Hi"}]})
    assert (heard.status, heard.json()) == (404, {"error": "model 'nobody' not found"})
