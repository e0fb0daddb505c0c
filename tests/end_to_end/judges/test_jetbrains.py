"""JetBrains AI Assistant with Ollama as third-party provider: a connection test, the list, show, then a streamed chat.

It is closed; public threads tell the order, and that an incomplete list leaves it empty without a word
(xrip/ollama-api-proxy#2, Stream29/ProxyAsLocalModel#14, read 2026-11). So it is taken to read as strictly as a Kotlin
data class can: every field that Ollama documents, of its documented type.
"""

from __future__ import annotations

from ollama_proxy.simulator import SimulatorThread
from tests.support.app_client import App
from tests.support.judged import CHAT, GEMINI, every_provider
from tests.support.running import RunningProxy
from tests.support.shapes import NINE_DIGITS, OllamaError, Option, Text, check, unsigned

HEADERS = [("Accept", "application/json"), ("Accept-Charset", "UTF-8"), ("User-Agent", "ktor-client")]
DETAILS = {
    "parent_model": Option(str),
    "format": str,
    "family": str,
    "families": Option([str]),
    "parameter_size": str,
    "quantization_level": str,
}
TAGS = {
    "models": [
        {
            "name": str,
            "model": str,
            "modified_at": NINE_DIGITS,
            "size": unsigned,
            "digest": Text("[0-9a-f]{64}"),
            "details": DETAILS,
        }
    ]
}
SHOW = {
    "license": Option(str),
    "modelfile": str,
    "parameters": Option(str),
    "template": str,
    "details": DETAILS,
    "model_info": dict,
    "capabilities": [str],
}
LINE = {
    "model": str,
    "created_at": NINE_DIGITS,
    "message": {"role": Text("assistant"), "content": str},
    "done": bool,
    "done_reason": Option(str),
    "total_duration": Option(unsigned),
    "load_duration": Option(unsigned),
    "prompt_eval_count": Option(unsigned),
    "prompt_eval_duration": Option(unsigned),
    "eval_count": Option(unsigned),
    "eval_duration": Option(unsigned),
}


def test_its_list_is_filled(proxy: RunningProxy) -> None:
    """The connection test, then the list in Ollama's documented types, then each model."""
    app = App(proxy.url, HEADERS)
    assert b"Ollama is running" in app.get("/").ok().body
    tags = app.get("/api/tags").ok().json()
    check(tags, TAGS)
    names = [model["name"] for model in tags["models"]]
    assert set(CHAT.values()) <= set(names)
    for name in names:
        check(app.post("/api/show", {"name": name}).ok().json(), SHOW)


@every_provider
def test_its_chat_streams(proxy: RunningProxy, simulator: SimulatorThread, provider: str) -> None:
    """Each line is typed; the last one is done and says nothing."""
    simulator.say(provider, "한 줄\n두 줄\u2028셋째 줄")
    body = {"model": CHAT[provider], "messages": [{"role": "user", "content": "안녕"}], "stream": True, "options": {}}
    lines = App(proxy.url, HEADERS).post("/api/chat", body).ok().lines()
    check(lines, [LINE])
    assert "".join(line["message"]["content"] for line in lines) == "한 줄\n두 줄\u2028셋째 줄"
    assert [line["done"] for line in lines] == [False] * (len(lines) - 1) + [True]
    assert lines[-1]["message"]["content"] == ""


def test_an_unknown_model_is_told_in_json(proxy: RunningProxy) -> None:
    """A 404 without JSON became "Unexpected end of JSON input"."""
    heard = App(proxy.url, HEADERS).post("/api/show", {"name": "nobody"})
    assert heard.status == 404
    check(heard.json(), OllamaError)
    assert App(proxy.url, HEADERS).post("/api/chat", {"model": GEMINI + "x!", "messages": "?"}).json()["error"]
