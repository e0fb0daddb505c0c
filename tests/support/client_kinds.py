"""The protocols as a client sees them: how a question is put, and what an answer says, read without our own code.

A Way is a protocol with or without streaming. `WAYS` is what the tests of faults are parametrised with: a further
protocol is a class here and a line in KINDS.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import pytest

from tests.support.sim_kit import Got

__all__ = [
    "KINDS",
    "STREAMS",
    "WAYS",
    "WHOLE",
    "Kind",
    "Told",
    "Way",
    "every_kind",
    "every_stream",
    "every_way",
    "every_whole",
]


@dataclass
class Told:
    """What a client was told.

    text, thinking, calls: added up over the pieces; calls are (name, arguments). pieces: how many brought text.
    complete: the protocol's own end was there, and so was the end of the HTTP body. ended: the latter alone.
    error: the message of the protocol's error, code: its word for programs where it has one.
    seconds: from the question to the end of the answer.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    ended: bool
    text: str = ""
    thinking: str = ""
    calls: list[tuple[str, Any]] = field(default_factory=list)
    pieces: int = 0
    finish: str = ""
    complete: bool = False
    error: str = ""
    code: str = ""
    usage: Any = None
    seconds: float = 0.0

    def assert_ok(self, text: str | None = None) -> None:
        """A whole, good answer; with this text."""
        assert (self.status, self.error) == (200, ""), self
        assert self.complete, self
        assert text is None or self.text == text, self

    def assert_refused(self, status: int, code: str | None = None) -> None:
        """An error in the protocol's own form, before anything of an answer."""
        assert self.status == status, self
        assert self.ended, self
        assert self.error, self
        assert not self.text, self
        assert not self.complete, self
        # Ollama's protocol has no code.
        assert code is None or self.code in ("", code), self

    def assert_broken(self, code: str | None = None, *, after: str | None = None) -> None:
        """A stream that had begun and ends in the protocol's error, without an end mark; the text before it is kept."""
        assert self.status == 200, self
        assert self.ended, self
        assert self.error, self
        assert not self.complete, self
        assert after is None or self.text == after, self
        assert code is None or self.code in ("", code), self


class Kind(Protocol):
    """One protocol. sdk_repeats: its official SDKs try again by themselves, and say so."""

    name: str
    path: str
    sdk_repeats: bool

    def question(self, model: str, text: str) -> dict[str, Any]:
        """The least that this protocol asks with."""

    def read(self, told: Told, *, stream: bool) -> None:
        """Fills in what the body says."""


class _Ollama:
    """Ollama's API. Its error is one text. question: the fields that ask; said: the part of a line that answers."""

    sdk_repeats = False

    def __init__(
        self, name: str, path: str, question: Callable[[str], dict[str, Any]], said: Callable[..., dict[str, Any]]
    ) -> None:
        self.name, self.path = name, path
        self._question, self._said = question, said

    def question(self, model: str, text: str) -> dict[str, Any]:
        return {"model": model, **self._question(text)}

    def read(self, told: Told, *, stream: bool) -> None:
        lines = told.body.split(b"\n") if stream and told.status == 200 else [told.body]
        if stream and told.status == 200 and told.ended:
            assert lines.pop() == b"", "a stream ends with a line feed"
        for line in lines:
            said = json.loads(line.decode())
            if "error" in said:
                assert set(said) == {"error"}
                assert isinstance(said["error"], str)
                assert not told.error
                assert not told.complete, "no error follows the end"
                told.error = said["error"]
                continue
            assert not told.error, "nothing follows an error"
            assert not told.complete, "nothing follows the end"
            self._take(told, said)

    def _take(self, told: Told, said: dict[str, Any]) -> None:
        message = self._said(said)
        told.pieces += bool(message.get("content"))
        told.text += message.get("content") or ""
        told.thinking += message.get("thinking") or ""
        told.calls += [(c["function"]["name"], c["function"]["arguments"]) for c in message.get("tool_calls") or ()]
        if said["done"]:
            told.complete, told.finish = told.ended, said["done_reason"]
            told.usage = (said.get("prompt_eval_count"), said.get("eval_count"))


def _of_generate(said: dict[str, Any]) -> dict[str, Any]:
    return {"content": said["response"], "thinking": said.get("thinking"), "tool_calls": said.get("tool_calls")}


class _OpenAI:
    """OpenAI's chat completions. Its error is an object of four keys; in a stream it comes alone, without an end."""

    name = "openai"
    path = "/v1/chat/completions"
    sdk_repeats = True

    def question(self, model: str, text: str) -> dict[str, Any]:
        return {"model": model, **_one_message(text)}

    def read(self, told: Told, *, stream: bool) -> None:
        if told.status != 200 or not stream:
            self._take(told, json.loads(told.body.decode()), "message")
            told.complete = told.ended and not told.error and bool(told.finish)
            return
        for event in _events(told.body):
            assert not told.error, "nothing follows an error"
            assert not told.complete, "nothing follows [DONE]"
            if event == "[DONE]":
                told.complete = told.ended
            else:
                self._take(told, json.loads(event), "delta")

    def _take(self, told: Told, said: dict[str, Any], part: str) -> None:
        if "error" in said:
            assert set(said) == {"error"}
            assert set(said["error"]) == {"message", "type", "param", "code"}
            told.error, told.code = said["error"]["message"], said["error"]["code"] or ""
            assert told.error
            return
        told.usage = said.get("usage") or told.usage
        for choice in said.get("choices") or ():
            message = choice.get(part) or {}  # what a provider sends is passed on as it is
            told.pieces += bool(message.get("content"))
            told.text += message.get("content") or ""
            told.thinking += message.get("reasoning_content") or message.get("reasoning") or ""
            _add_calls(told.calls, message.get("tool_calls") or ())
            told.finish = choice.get("finish_reason") or told.finish


class _Anthropic:
    """Anthropic's messages. Blocks come in order, each with start and stop; an error inside a stream is an event."""

    name = "anthropic"
    path = "/v1/messages"
    sdk_repeats = True

    def question(self, model: str, text: str) -> dict[str, Any]:
        return {"model": model, "max_tokens": 1024, **_one_message(text)}

    def read(self, told: Told, *, stream: bool) -> None:
        if told.status != 200 or not stream:
            said = json.loads(told.body.decode())
            if not self._is_error(told, said):
                for block in said["content"]:
                    self._take(told, block)
                self._end(told, said)
                told.complete = told.ended and said["type"] == "message"
            return
        blocks: list[dict[str, Any]] = []
        for event in map(json.loads, _events(told.body)):
            assert not told.error, "nothing follows an error"
            assert not told.complete, "nothing follows message_stop"
            if not self._is_error(told, event):
                self._event(told, event, blocks)

    def _event(self, told: Told, event: dict[str, Any], blocks: list[dict[str, Any]]) -> None:
        match event["type"]:
            case "content_block_start":
                assert event["index"] == len(blocks)
                blocks.append({**event["content_block"], "json": ""})
            case "content_block_delta":
                assert event["index"] == len(blocks) - 1
                self._delta(told, event["delta"], blocks[-1])
            case "content_block_stop":
                assert event["index"] == len(blocks) - 1
                if blocks[-1]["type"] == "tool_use":
                    told.calls.append((blocks[-1]["name"], json.loads(blocks[-1]["json"])))
            case "message_delta":
                self._end(told, {**event, **event["delta"]})
            case "message_stop":
                told.complete = told.ended and bool(told.finish)
            case other:
                assert other in ("message_start", "ping")

    def _delta(self, told: Told, delta: dict[str, Any], block: dict[str, Any]) -> None:
        if delta["type"] == "input_json_delta":
            block["json"] += delta["partial_json"]
        else:
            self._take(told, {"type": block["type"], **{k: v for k, v in delta.items() if k != "type"}})

    def _take(self, told: Told, block: dict[str, Any]) -> None:
        if block["type"] == "tool_use":
            told.calls.append((block["name"], block["input"]))
        elif block["type"] == "thinking":
            told.thinking += block.get("thinking", "")
        else:
            told.pieces += 1
            told.text += block["text"]

    def _end(self, told: Told, said: dict[str, Any]) -> None:
        told.finish = said["stop_reason"]
        told.usage = (said["usage"].get("input_tokens"), said["usage"].get("output_tokens"))

    def _is_error(self, told: Told, said: dict[str, Any]) -> bool:
        if said["type"] != "error":
            return False
        assert set(said["error"]) == {"type", "message"}
        told.error = said["error"]["message"]
        assert told.error
        return True


class _Responses:
    """OpenAI's responses. An answer that fails within a stream is a `response.failed`."""

    name = "responses"
    path = "/v1/responses"
    sdk_repeats = True

    def question(self, model: str, text: str) -> dict[str, Any]:
        return {"model": model, "input": text}

    def read(self, told: Told, *, stream: bool) -> None:
        if told.status != 200 or not stream:
            said = json.loads(told.body.decode())
            if set(said) == {"error"}:
                more = {"resets_at"} if said["error"]["type"] == "usage_limit_reached" else set()
                assert set(said["error"]) == {"message", "type", "param", "code", *more}
                told.error, told.code = said["error"]["message"], said["error"]["code"] or ""
                return
            self._whole(told, said)
            told.pieces = 1
            return
        text = ""
        for number, event in enumerate(map(json.loads, (e for e in _events(told.body)))):
            assert event["sequence_number"] == number
            assert not told.finish, "nothing follows the end"
            if event["type"] == "response.output_text.delta":
                text += event["delta"]
                told.pieces += 1
            elif event["type"] in ("response.completed", "response.incomplete", "response.failed"):
                self._whole(told, event["response"])
        assert told.error or not told.complete or told.text == text
        told.text = text

    def _whole(self, told: Told, response: dict[str, Any]) -> None:
        told.finish = response["status"]
        if response["status"] == "failed":
            told.error = response["error"]["message"]
            return
        for item in response["output"]:
            if item["type"] == "function_call":
                told.calls.append((item["name"], json.loads(item["arguments"])))
            elif item["type"] == "reasoning":
                told.thinking += "".join(part["text"] for part in item["summary"])
            else:
                told.text += "".join(part["text"] for part in item["content"])
        told.complete = told.ended
        usage = response["usage"]
        told.usage = usage and (usage["input_tokens"], usage["output_tokens"])


def _events(body: bytes) -> list[str]:
    """The data of each event; whatever the line ends are."""
    text = body.decode().removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    found = []
    for event in text.split("\n\n"):
        data = [line[5:].removeprefix(" ") for line in event.split("\n") if line.startswith("data:")]
        if data:
            found.append("\n".join(data))
    return found


def _add_calls(calls: list[tuple[str, Any]], parts: Any) -> None:
    """As the official accumulator does it: by index, names and arguments added up."""
    for at, part in enumerate(parts):
        index = part.get("index", at)
        while len(calls) <= index:
            calls.append(("", ""))
        name, arguments = calls[index]
        function = part["function"]
        calls[index] = (name + (function.get("name") or ""), arguments + (function.get("arguments") or ""))


def _one_message(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}]}


KINDS: list[Kind] = [
    _Ollama("ollama-chat", "/api/chat", _one_message, lambda said: dict(said["message"])),
    _Ollama("ollama-generate", "/api/generate", lambda text: {"prompt": text}, _of_generate),
    _OpenAI(),
    _Anthropic(),
    _Responses(),
]


@dataclass(frozen=True)
class Way:
    """One protocol, streaming or not."""

    kind: Kind
    stream: bool

    @property
    def path(self) -> str:
        return self.kind.path

    @property
    def name(self) -> str:
        return self.kind.name

    def body(self, model: str, text: str = "Say hello.", **more: Any) -> dict[str, Any]:
        return {**self.kind.question(model, text), "stream": self.stream, **more}

    def told(self, got: Got) -> Told:
        """What the bytes of an answer say. `seconds` is left to the caller."""
        told = Told(got.status, got.headers, got.body, got.complete)
        self.kind.read(told, stream=self.stream)
        return told

    @classmethod
    def find(cls, name: str, *, stream: bool) -> Way:
        """The way of this name, for a test that needs only one."""
        return next(way for way in WAYS if way.name == name and way.stream is stream)

    def __str__(self) -> str:
        return f"{self.kind.name}-{'stream' if self.stream else 'whole'}"


STREAMS = [Way(kind, True) for kind in KINDS]
WHOLE = [Way(kind, False) for kind in KINDS]
WAYS = [*STREAMS, *WHOLE]


every_way = pytest.mark.parametrize("way", WAYS, ids=str)
every_stream = pytest.mark.parametrize("way", STREAMS, ids=str)
every_whole = pytest.mark.parametrize("way", WHOLE, ids=str)
#: One way for each protocol, where streaming makes no difference to the fault.
every_kind = pytest.mark.parametrize("way", [Way(kind, n % 2 == 0) for n, kind in enumerate(KINDS)], ids=str)
