"""Enchanted and other apps on OllamaKit (Swift): `HEAD /` before everything, the list, chat streamed, `Codable` types.

Read in kevinhermawan/OllamaKit, 2026-11. Dates must have nine digits and a zone; its splitter counts braces.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from ollama_proxy.simulator import SimulatorThread
from tests.support.app_client import App
from tests.support.judged import CHAT, GEMINI, every_provider
from tests.support.running import RunningProxy
from tests.support.shapes import Option, Text, check

SWIFT_DATE = Text(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}(Z|[+-]\d\d:\d\d)")
MODELS = {
    "models": [
        {
            "name": str,
            "digest": str,
            "size": int,
            "modified_at": SWIFT_DATE,
            "details": {
                "format": str,
                "family": str,
                "parameter_size": str,
                "quantization_level": str,
                "families": Option([str]),
            },
        }
    ]
}
CALL = {"function": Option({"name": Option(str), "arguments": Option(dict)})}
LINE = {
    "model": str,
    "created_at": SWIFT_DATE,
    "message": Option({"role": str, "content": str, "tool_calls": Option([CALL])}),
    "done": bool,
    "done_reason": Option(str),
    "total_duration": Option(int),
    "load_duration": Option(int),
    "prompt_eval_count": Option(int),
    "prompt_eval_duration": Option(int),
    "eval_count": Option(int),
    "eval_duration": Option(int),
}
JSON = ("Content-Type", "application/json")


class Enchanted(App):
    """What the app does. Its bearer field may be empty."""

    def __init__(self, url: str, bearer: str = "") -> None:
        super().__init__(url, [JSON, ("User-Agent", "Enchanted/1 CFNetwork/3826.500.131 Darwin/24.5.0")])
        self._bearer = [("Authorization", f"Bearer {bearer}")] if bearer else []

    def reachable(self) -> bool:
        return self.send("HEAD", "/", None, self._bearer).status // 100 == 2

    def models(self) -> dict[str, bool]:
        """Name -> whether it is offered images."""
        listed = self.get("/api/tags", self._bearer).ok().json()
        check(listed, MODELS)
        return {m["name"]: bool({"clip", "mllama"} & set(m["details"]["families"])) for m in listed["models"]}

    def chat(self, model: str, messages: list[Any], **more: Any) -> list[dict[str, Any]]:
        assert self.reachable()
        lines = self.post("/api/chat", {"stream": True, "model": model, "messages": messages, **more}, self._bearer)
        told = lines.ok().lines()
        check(told, [LINE])
        return told


@pytest.fixture
def enchanted(proxy: RunningProxy) -> Enchanted:
    return Enchanted(proxy.url)


def test_its_list_is_filled(enchanted: Enchanted) -> None:
    """Reachable, all models, and images where the model sees."""
    assert enchanted.reachable()
    models = enchanted.models()
    assert set(CHAT.values()) <= set(models)
    assert models[GEMINI]
    assert not models[CHAT["openrouter"]]


@every_provider
def test_its_chat_streams(enchanted: Enchanted, simulator: SimulatorThread, provider: str) -> None:
    """Braces and escapes in the text end no object."""
    simulator.say(provider, 'if (x) { say("}{\\"); } // 끝')
    lines = enchanted.chat(CHAT[provider], [{"role": "user", "content": "Code?"}], options={"temperature": 0.7})
    assert "".join(line["message"]["content"] for line in lines) == 'if (x) { say("}{\\"); } // 끝'
    times = [datetime.fromisoformat(line["created_at"][:19]) for line in lines]
    assert times == sorted(times)


def test_an_image_is_seen(enchanted: Enchanted) -> None:
    """As base64 in `images`."""
    image = "/9j/4AAQSkZJRgABAQEASABIAAD/2wBDAP////////////////////////////////////8="
    lines = enchanted.chat(GEMINI, [{"role": "user", "content": "What is it?", "images": [image]}])
    assert "image/jpeg" in "".join(line["message"]["content"] for line in lines)


def test_its_bearer_is_the_token(guarded: RunningProxy) -> None:
    """Reachability is asked without harm, the rest with the token."""
    assert Enchanted(guarded.url).reachable()
    assert GEMINI in Enchanted(guarded.url, "sesame").models()
