"""Open WebUI 0.12: version, list and loaded models of every backend, chat with call ids, embeddings, unloading.

Seen on the wire in November 2026. One listed model without a name gives its users a 500 instead of the page of models,
and it calculates with the version's numbers.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from ollama_proxy.simulator import SimulatorThread
from tests.support.app_client import App, join_calls
from tests.support.judged import CALLS, CHAT, EMBED, GEMINI, TOOLS, every_provider, hub_pairs
from tests.support.running import RunningProxy
from tests.support.shapes import NINE_DIGITS, OllamaError, Text, check, unsigned

HEADERS = [
    ("Accept", "*/*"),
    ("Accept-Encoding", "gzip, deflate, br"),
    ("User-Agent", "Python/3.12 aiohttp/3.13.2"),
    ("X-OpenWebUI-User-Name", "Admin"),
    ("Content-Type", "application/json"),
]


class OpenWebUI(App):
    """What its backend does. key: of the connection; an empty one sends no header."""

    def __init__(self, url: str, key: str = "") -> None:
        super().__init__(url, [*HEADERS, *([("Authorization", f"Bearer {key}")] if key else [])])

    def verify(self) -> tuple[int, ...]:
        """The button beside the connection."""
        version = self.get("/api/version").ok().json()["version"]
        return tuple(map(int, re.sub(r"^v|-.*", "", version).split(".")))

    def models(self) -> dict[str, Any]:
        """The page of models: the lists of all backends by model, with who is loaded and until when."""
        models = {
            m["model"]: {**m, "id": m["model"]} for m in self.get("/api/tags").ok().json()["models"] if "model" in m
        }
        check([*models.values()], [{"name": str, "model": str, "digest": str, "size": unsigned, "details": dict}])
        for loaded in self.get("/api/ps").ok().json()["models"]:
            check(loaded, {"model": str, "expires_at": NINE_DIGITS})
            models[loaded["model"]]["expires_at"] = loaded["expires_at"]
        return models

    def chat(self, model: str, messages: list[Any], **more: Any) -> list[dict[str, Any]]:
        body = {"model": model, "messages": messages, "stream": True, "options": {}, **more}
        return self.post("/api/chat", body, ()).ok().lines()


@pytest.fixture
def webui(proxy: RunningProxy) -> OpenWebUI:
    return OpenWebUI(proxy.url)


def test_its_connection_is_verified(webui: OpenWebUI) -> None:
    """Nothing but numbers and dots."""
    assert webui.verify() >= (0, 13, 4)


def test_its_page_of_models(webui: OpenWebUI, simulator: SimulatorThread) -> None:
    """Names, and who is loaded: after a chat one more model, after unloading one less."""
    webui.chat(GEMINI, [{"role": "user", "content": "Hi"}])
    models = webui.models()
    assert set(CHAT.values()) <= set(models)
    assert "expires_at" in models[GEMINI]
    unloaded = webui.post("/api/generate", {"model": GEMINI, "keep_alive": 0, "prompt": ""}, ()).ok().json()
    assert unloaded["done_reason"] == "unload"
    assert "expires_at" not in webui.models()[GEMINI]


@every_provider
def test_native_tools_with_ids(webui: OpenWebUI, simulator: SimulatorThread, provider: str) -> None:
    """Results come back by `tool_call_id`, calls with index, id and object arguments."""
    simulator.say(provider, calls=CALLS)
    messages: list[Any] = [{"role": "user", "content": "Use the tools"}]
    calls = join_calls(webui.chat(CHAT[provider], messages, tools=TOOLS))
    check(calls, [{"id": Text(".+"), "function": {"index": unsigned, "name": str, "arguments": dict}}])
    assert [c["function"]["index"] for c in calls] == [0, 1, 2]
    messages.append({"role": "assistant", "content": "", "tool_calls": calls, "thinking": "Let me see."})
    # In another order than the calls: ids decide.
    messages += [
        {"role": "tool", "tool_call_id": c["id"], "content": c["function"]["arguments"]["city"]}
        for c in reversed(calls)
    ]
    simulator.say(provider, "Done.")
    lines = webui.chat(CHAT[provider], messages, tools=TOOLS)
    assert "".join(line["message"]["content"] for line in lines) == "Done."
    sent = simulator.calls(provider, path="/chat/completions")[-1].body["messages"]
    assert all(result in arguments for arguments, result in hub_pairs(sent))


def test_speed_is_shown(webui: OpenWebUI) -> None:
    """Tokens per second are counted from the last line, whose numbers are integers and not zero."""
    last = webui.chat(GEMINI, [{"role": "user", "content": "Hi"}])[-1]
    assert last["done"] is True
    for name in ("total_duration", "load_duration", "prompt_eval_count", "prompt_eval_duration", "eval_count"):
        assert type(last[name]) is int
    assert last["eval_duration"] > 0


def test_documents_are_embedded(webui: OpenWebUI) -> None:
    """`truncate` is sent along; as many vectors as texts, all of one length."""
    body = {"model": EMBED, "input": ["one", "two", "three"], "truncate": True}
    vectors = webui.post("/api/embed", body, ()).ok().json()["embeddings"]
    check(vectors, [[float]])
    assert [len(v) for v in vectors] == [1536] * 3


def test_an_error_is_shown_to_the_user(webui: OpenWebUI, simulator: SimulatorThread, proxy: RunningProxy) -> None:
    """`error` is a text, and how long to wait stands in the headers."""
    simulator.play("cohere", "429", times=None)
    heard = webui.post("/api/chat", {"model": CHAT["cohere"], "messages": [{"role": "user", "content": "Hi"}]}, ())
    proxy.forget()
    assert heard.status == 429
    check(heard.json(), OllamaError)
    assert int(heard.headers["retry-after"]) > 0


def test_its_key_is_the_token(guarded: RunningProxy) -> None:
    """As bearer, on every call."""
    assert GEMINI in OpenWebUI(guarded.url, "sesame").models()
    assert OpenWebUI(guarded.url).get("/api/tags").status == 401
