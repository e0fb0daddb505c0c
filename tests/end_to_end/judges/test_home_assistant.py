"""Home Assistant 2026.11: its integration talks by ollama-python 0.6.2 and reads with its types.

Read in home-assistant/core, November 2026. Its tool results carry neither name nor id, so they are told apart by their
order; its tools come in OpenAPI 3.1's style, with properties that have no type.
"""

from __future__ import annotations

import json
import time
from typing import Any

import ollama
import pytest

from ollama_proxy.simulator import SimulatorThread
from tests.support.app_client import App, join_calls
from tests.support.judged import CALLS, CHAT, GEMINI, every_provider, hub_pairs
from tests.support.running import RunningProxy

HEADERS = [
    ("Content-Type", "application/json"),
    ("Accept", "application/json"),
    ("User-Agent", "ollama-python/0.6.2 (x86_64 linux) Python/3.14.2"),
]
#: As its intent tools look after the trip through ollama-python, which drops the keywords that it does not know.
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Weather of a place",
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {"type": "string"},
                    "domain": {"type": "array", "items": {"type": "string"}},
                    "floor": {"description": "any of several things"},
                },
                "required": [],
            },
        },
    },
    {"type": "function", "function": {"name": "get_time", "parameters": {"type": "object", "properties": {}}}},
]


class HomeAssistant(App):
    """What the integration does."""

    def __init__(self, url: str, headers: list[tuple[str, str]] | None = None) -> None:
        super().__init__(url, [*HEADERS, *(headers or ())])

    def list_models(self) -> list[str]:
        """Setup, and each start: it gives up after 5 s."""
        began = time.monotonic()
        listed = ollama.ListResponse(**self.get("/api/tags").ok().json())
        assert time.monotonic() - began < 5
        return [str(model.model) for model in listed.models]

    def pull(self, model: str) -> None:
        answer = self.post("/api/pull", {"model": model, "stream": False, "insecure": False}, ())
        assert ollama.ProgressResponse(**answer.ok().json()).status == "success"

    def talk(self, model: str, messages: list[Any], **more: Any) -> list[dict[str, Any]]:
        body = {
            "model": model,
            "stream": True,
            "options": {"num_ctx": 8192.0},
            "keep_alive": -1,
            "messages": messages,
            "tools": [],
            **more,
        }
        lines = self.post("/api/chat", body, ()).ok().lines()
        for line in lines:
            ollama.ChatResponse(**line)
        return lines


@pytest.fixture
def home(proxy: RunningProxy) -> HomeAssistant:
    return HomeAssistant(proxy.url)


def text_of(lines: list[dict[str, Any]]) -> str:
    return "".join(line["message"]["content"] for line in lines)


def test_setup_finds_the_models(home: HomeAssistant) -> None:
    """The list in its library's types; a model that is picked is there already, and pulling it ends in success."""
    assert set(CHAT.values()) <= set(home.list_models())
    home.pull(GEMINI)


@every_provider
def test_several_rounds_with_tools(home: HomeAssistant, simulator: SimulatorThread, provider: str) -> None:
    """Results without name and id reach the provider beside the calls that they answer."""
    model = CHAT[provider]
    messages: list[Any] = [
        {"role": "system", "content": "You are a voice assistant."},
        {"role": "user", "content": "What is it like outside?"},
    ]
    for number in range(3):
        simulator.say(provider, calls=CALLS)
        calls = join_calls(home.talk(model, messages, tools=TOOLS))
        assert [(c["function"]["name"], c["function"]["arguments"]) for c in calls] == CALLS
        turn = [{"function": {"name": c["function"]["name"], "arguments": c["function"]["arguments"]}} for c in calls]
        messages.append({"role": "assistant", "tool_calls": turn})
        messages += [
            {"role": "tool", "content": json.dumps({"data": f"{number} {c['function']['arguments']}", "error": None})}
            for c in calls
        ]
    simulator.say(provider, "It is mild.")
    assert text_of(home.talk(model, messages, tools=TOOLS)) == "It is mild."
    sent = simulator.calls(provider, path="/chat/completions")[-1]
    assert sent.status == 200
    for arguments, result in hub_pairs(sent.body["messages"]):
        assert str(json.loads(arguments)) in json.loads(result)["data"]


@every_provider
@pytest.mark.parametrize("think", [None, True, False])
def test_a_task_wants_structured_output(home: HomeAssistant, provider: str, think: bool | None) -> None:
    """The content of all lines together is the JSON that was asked for, without fences, whatever `think` says."""
    shape = {
        "type": "object",
        "properties": {
            "characters": {"type": "array", "items": {"type": "string"}},
            "count": {"type": "integer", "nullable": True},
        },
        "required": ["characters"],
    }
    more = {"think": think} if provider in ("google", "qwen") and think is not None else {}
    lines = home.talk(CHAT[provider], [{"role": "user", "content": "Name them"}], format=shape, **more)
    assert json.loads(text_of(lines))["characters"]


def test_thoughts_come_apart_when_they_are_wanted(home: HomeAssistant) -> None:
    """`think` true asks Gemini to show what it otherwise keeps to itself; false hides them."""
    question = [{"role": "user", "content": "Why?"}]
    shown = home.talk(GEMINI, question, think=True)
    assert "".join(line["message"].get("thinking", "") for line in shown)
    assert not [line for line in shown if line["message"]["content"] and "thinking" in line["message"]]
    assert "<thought>" not in text_of(shown)
    hidden = home.talk(GEMINI, question, think=False)
    assert not [line for line in hidden if "thinking" in line["message"]]


def test_its_api_key_is_the_token(guarded: RunningProxy) -> None:
    """401 opens its form for the key; with the key as bearer it is let in."""
    assert HomeAssistant(guarded.url).get("/api/tags").status == 401
    assert GEMINI in HomeAssistant(guarded.url, [("Authorization", "Bearer sesame")]).list_models()


def test_an_image_of_a_camera_is_seen(home: HomeAssistant) -> None:
    """Attachments arrive as base64."""
    image = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    message = {"role": "user", "content": "Who is at the door?", "images": [image]}
    assert "image/png" in text_of(home.talk(GEMINI, [message]))
