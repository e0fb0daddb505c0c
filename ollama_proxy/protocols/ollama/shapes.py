"""Owns the bytes of chat and generate answers: which key stands where. Knows neither streams nor requests.

Every object begins with `{"model":…,"created_at":"…` (see Stamp); a Shape writes the rest. Key order, and which keys
are left out when empty, are Ollama 0.33's. No object but an error has a top-level `error` or `type`: ollama-js and
Continue take the mere presence of these for something else.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from ollama_proxy.protocols.ollama.durations import second_text
from ollama_proxy.wire.ndjson import quote

__all__ = ["CHAT", "GENERATE", "Said", "Shape", "Stamp", "done"]

NOT_DONE = b',"done":false'


@dataclass(frozen=True, slots=True)
class Said:
    """What one object tells, already JSON.

    text: a string literal. thinking: a string literal, b"" for none. calls, logprobs: the elements of a list, b"" for
    none. done: `,"done":…` and what belongs right behind it. metrics: as render_metrics gives them, b"" for none.
    """

    text: bytes = b'""'
    thinking: bytes = b""
    calls: bytes = b""
    logprobs: bytes = b""
    done: bytes = NOT_DONE
    metrics: bytes = b""


class Shape(ABC):
    """One endpoint's objects.

    text, thinking: what stands between the stamp's last digit and the text of a line that holds nothing else.
    end: what follows that text, newline included.
    """

    text: bytes
    thinking: bytes
    end: bytes

    @abstractmethod
    def rest(self, said: Said) -> bytes:
        """Everything behind the stamp's last digit, without a newline."""


class _Chat(Shape):
    text = b'Z","message":{"role":"assistant","content":'
    thinking = text + b'"","thinking":'
    end = b"}" + NOT_DONE + b"}\n"

    def rest(self, said: Said) -> bytes:
        message = self.text + said.text + _field(b"thinking", said.thinking) + _list(b"tool_calls", said.calls)
        return message + b"}" + said.done + _list(b"logprobs", said.logprobs) + said.metrics + b"}"


class _Generate(Shape):
    text = b'Z","response":'
    thinking = text + b'"","thinking":'
    end = NOT_DONE + b"}\n"

    def rest(self, said: Said) -> bytes:
        head = self.text + said.text + _field(b"thinking", said.thinking) + said.done + said.metrics
        return head + _list(b"tool_calls", said.calls) + _list(b"logprobs", said.logprobs) + b"}"


CHAT: Shape = _Chat()
GENERATE: Shape = _Generate()


def done(reason: str, *, context: bool = False) -> bytes:
    """The end mark: `done` and `done_reason` (stop, length, load, unload).

    context: with an empty `context` list, for generate. We have no tokenizer, but ollama-ai-provider-v2 refuses a
    generate answer without the list.
    """
    mark = b',"done":true,"done_reason":"%b"' % reason.encode()
    return mark + b',"context":[]' if context else mark


class Stamp:
    """The beginning of every object of one answer: the caller's model string and the time."""

    __slots__ = ("_head", "_prefix", "_second", "_wall")

    def __init__(self, model: str, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._head = b'{"model":' + quote(model) + b',"created_at":"'
        self._prefix = b""
        self._second = -1

    def line(self, before: bytes, literal: bytes, end: bytes) -> bytes:
        """`{"model":"m","created_at":"2026-08-21T18:48:22.385406455` and these three behind it."""
        wall = self._wall()
        second = int(wall)
        if second != self._second:
            self._second = second
            self._prefix = self._head + second_text(second)
        return b"%b%09d%b%b%b" % (self._prefix, (wall - second) * 1e9, before, literal, end)


def _field(name: bytes, literal: bytes) -> bytes:
    return b',"%b":%b' % (name, literal) if literal else b""


def _list(name: bytes, elements: bytes) -> bytes:
    return b',"%b":[%b]' % (name, elements) if elements else b""
