"""Obsidian Copilot: a page of the origin app://obsidian.md, so every call is preceded by the browser's question (CORS).

Read in logancyang/obsidian-copilot, August 2026: LangChain's JavaScript chats, with a bearer that means nothing where
the user set none; newer versions list OpenAI's way and give up after 8 s.
"""

from __future__ import annotations

from typing import Any

import pytest

from ollama_proxy.simulator import SimulatorThread
from tests.support.app_client import App, Heard
from tests.support.judged import CALLS, CHAT, GEMINI, TOOLS, every_provider, hub_pairs
from tests.support.running import RunningProxy
from tests.support.shapes import check

ORIGIN = "app://obsidian.md"
#: What ollama-js and the OpenAI SDK add in a browser: none of it is on the browser's safe list.
OLLAMA_HEADERS = [
    ("Content-Type", "application/json"),
    ("Accept", "application/json"),
    ("User-Agent", "ollama-js/0.6.3 (browser)"),
    ("Authorization", "Bearer default-key"),
]
OPENAI_HEADERS = [
    ("Content-Type", "application/json"),
    ("Accept", "application/json"),
    ("Authorization", "Bearer default-key"),
    ("X-Stainless-Arch", "unknown"),
    ("X-Stainless-Lang", "js"),
    ("X-Stainless-OS", "Unknown"),
    ("X-Stainless-Package-Version", "6.49.0"),
    ("X-Stainless-Retry-Count", "0"),
    ("X-Stainless-Runtime", "browser:chrome"),
    ("X-Stainless-Runtime-Version", "140.0.0"),
    ("X-Stainless-Timeout", "600"),
]


class Page(App):
    """The plugin, inside a browser that does what browsers do."""

    def __init__(self, url: str, origin: str = ORIGIN) -> None:
        super().__init__(url, [("Origin", origin)], patience_s=8)
        self.origin = origin

    def fetch(self, method: str, path: str, body: Any, headers: list[tuple[str, str]]) -> Heard:
        """Asks first, then calls; the page may read the answer only if that says so too."""
        asked = ",".join(sorted(name.lower() for name, _ in headers))
        allowed = self.preflight(method, path, asked)
        assert allowed.status == 204
        assert set(asked.split(",")) <= _words(allowed, "access-control-allow-headers") | {"accept"}
        assert method.lower() in _words(allowed, "access-control-allow-methods")
        heard = self.send(method, path, body, headers)
        assert heard.headers["access-control-allow-origin"] in (self.origin, "*")
        return heard

    def preflight(self, method: str, path: str, asked: str) -> Heard:
        fields = [("Access-Control-Request-Method", method), ("Access-Control-Request-Headers", asked)]
        return self.send("OPTIONS", path, None, fields)

    def chat(self, model: str, messages: list[Any], **more: Any) -> list[dict[str, Any]]:
        options = {"num_ctx": 131072, "repeat_penalty": 1.1}
        body = {"model": model, "messages": messages, "stream": True, "think": False, "options": options, **more}
        return self.fetch("POST", "/api/chat", body, OLLAMA_HEADERS).ok().lines()


def _words(heard: Heard, header: str) -> set[str]:
    return {word.strip().lower() for word in heard.headers[header].split(",")}


@pytest.fixture
def page(proxy: RunningProxy) -> Page:
    return Page(proxy.url)


@every_provider
def test_its_chat_streams(page: Page, simulator: SimulatorThread, provider: str) -> None:
    """An unknown bearer opens an open proxy; `repeat_penalty` and a large window hurt nobody."""
    simulator.say(provider, "A note.")
    lines = page.chat(CHAT[provider], [{"role": "user", "content": "Summarise"}])
    assert "".join(line["message"]["content"] for line in lines) == "A note."


@every_provider
def test_a_round_with_tools(page: Page, simulator: SimulatorThread, provider: str) -> None:
    """LangChain gives each call an id of its own and sends results without id or name."""
    simulator.say(provider, calls=CALLS)
    messages: list[Any] = [{"role": "user", "content": "Use the tools"}]
    calls = [
        c for line in page.chat(CHAT[provider], messages, tools=TOOLS) for c in line["message"].get("tool_calls", ())
    ]
    ids = [f"0d9bb4a2-0000-4000-8000-00000000000{n}" for n in range(len(calls))]
    turn = [{"id": i, "type": "function", "function": c["function"]} for i, c in zip(ids, calls, strict=True)]
    messages.append({"role": "assistant", "content": "", "tool_calls": turn})
    messages += [{"role": "tool", "content": c["function"]["arguments"]["city"]} for c in calls]
    simulator.say(provider, "Done.")
    lines = page.chat(CHAT[provider], messages, tools=TOOLS)
    assert "".join(line["message"]["content"] for line in lines) == "Done."
    sent = simulator.calls(provider, path="/chat/completions")[-1].body["messages"]
    assert all(result in arguments for arguments, result in hub_pairs(sent))


def test_its_lists(page: Page) -> None:
    """Both ways of listing, from a page."""
    tags = page.fetch("GET", "/api/tags", None, OLLAMA_HEADERS[1:]).ok().json()
    data = page.fetch("GET", "/v1/models", None, OPENAI_HEADERS[1:]).ok().json()["data"]
    check(data, [{"id": str, "object": str, "created": int, "owned_by": str}])
    assert [model["id"] for model in data] == [model["name"] for model in tags["models"]]
    assert GEMINI in [model["id"] for model in data]


def test_the_openai_side_from_a_page(page: Page, simulator: SimulatorThread) -> None:
    """Every header that the SDK adds in a browser is allowed."""
    simulator.say("google", "From a page.")
    body = {"model": GEMINI, "messages": [{"role": "user", "content": "Hi"}], "stream": True}
    events = page.fetch("POST", "/v1/chat/completions", body, OPENAI_HEADERS).ok().events()
    text = "".join(choice["delta"].get("content") or "" for e in events[:-1] for choice in e.json()["choices"])
    assert (text, events[-1].data) == ("From a page.", "[DONE]")


def test_errors_can_be_read_by_the_page(page: Page) -> None:
    """Else the browser says nothing but "Failed to fetch"."""
    body = {"model": "nobody", "messages": [{"role": "user", "content": "Hi"}]}
    heard = page.fetch("POST", "/api/chat", body, OLLAMA_HEADERS)
    assert (heard.status, heard.json()["error"]) == (404, "model 'nobody' not found")


def test_a_token_is_asked_for_after_the_preflight(guarded: RunningProxy) -> None:
    """A preflight carries no token; the call behind it does, and its refusal can be read."""
    page = Page(guarded.url)
    assert page.preflight("GET", "/api/tags", "authorization").status == 204
    refused = page.send("GET", "/api/tags")
    assert refused.status == 401
    assert refused.headers["access-control-allow-origin"] == ORIGIN
    assert page.send("GET", "/api/tags", None, [("Authorization", "Bearer sesame")]).status == 200


def test_other_pages_stay_out(proxy: RunningProxy) -> None:
    """A web site may neither ask nor read."""
    stranger = Page(proxy.url, "https://example.com")
    assert stranger.preflight("POST", "/api/chat", "content-type").status == 403
    refused = stranger.get("/api/tags")
    assert refused.status == 403
    assert "access-control-allow-origin" not in refused.headers
