"""Owns the built-in demo: two small models that need no key, so that a first call works before there is one.

What they say is ours; how they say it is OpenAI's plain shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from ollama_proxy.simulator.ask import Ask, is_korean
from ollama_proxy.simulator.providers.base import Provider, Reply

__all__ = ["Demo"]

_ENGLISH = """Hello! This is the built-in demo of Ollama Proxy. No AI model is behind it yet: these words are made on \
your own machine.

You asked: "{question}"

To talk to a real model, get a free key (for example at https://aistudio.google.com/apikey) and start again with

    GOOGLE_API_KEYS=your-key python ollama_proxy.py

then ask the model `google:gemini-2.5-flash` in place of `demo:hello`. Several keys are separated by commas."""

_KOREAN = """안녕하세요! Ollama Proxy에 들어 있는 데모입니다. 아직 AI 모델에 연결되지 않았고, \
이 글은 지금 쓰시는 컴퓨터에서 만들어졌습니다.

질문: "{question}"

실제 모델과 대화하려면 무료 키를 받아서(예: https://aistudio.google.com/apikey) 이렇게 다시 시작하세요.

    GOOGLE_API_KEYS=받은-키 python ollama_proxy.py

그다음 `demo:hello` 대신 `google:gemini-2.5-flash` 모델에 물어보세요. 키가 여러 개면 쉼표로 나누면 됩니다."""


class Demo(Provider):
    """`hello` explains itself, `echo` repeats."""

    name: ClassVar[str] = "demo"
    title: ClassVar[str] = "Demo"
    real_path: ClassVar[str] = "v1"
    routes: ClassVar[Mapping[tuple[str, str], str]] = {
        ("POST", "/chat/completions"): "chat",
        ("GET", "/models"): "models",
    }
    public: ClassVar[frozenset[str]] = frozenset({"chat", "models", "model"})

    def check(self, ask: Ask) -> Reply | None:
        """Only the two."""
        if ask.operation == "chat" and self.card(ask.model) is None:
            known = ", ".join(card.id for card in self.cards)
            return self.error(404, f"The demo has no model '{ask.model}', only: {known}.", ask)
        return super().check(ask)

    def thinks(self, ask: Ask) -> bool:
        """There is nothing to think about."""
        del ask
        return False

    def spoken(self, ask: Ask) -> str | None:
        """The friendly text, or the question again."""
        if ask.model == "echo":
            return ask.question or "…"
        question = " ".join(ask.question.split())
        question = question if len(question) <= 300 else question[:299] + "…"
        return (_KOREAN if is_korean(question) else _ENGLISH).format(question=question)
