"""Named server-sent events as tests look at them, and calls of the two protocols that speak in such."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from ollama_proxy.protocols import anthropic, responses
from ollama_proxy.types import Call, Stream
from tests.support.openai_kit import StillClock, dumps

__all__ = ["ask_messages", "ask_responses", "events", "fed", "messages_call", "responses_call", "sent"]

Event = tuple[str, dict[str, Any]]

QUESTION = {"role": "user", "content": "hi"}


def events(stream: bytes) -> list[Event]:
    """(event, data) of each frame; the two names of an event must agree, and a comment is none."""
    found: list[Event] = []
    for frame in stream.decode().split("\n\n"):
        if not frame or frame.startswith(":"):
            continue
        name, data = frame.split("\n")
        event = name.removeprefix("event: "), json.loads(data.removeprefix("data: "))
        assert event[0] == event[1]["type"]
        found.append(event)
    return found


def messages_call(**fields: Any) -> tuple[Call, list[str]]:
    """A parsed request to the Messages API and what was left out; None takes a field away."""
    given = {"model": "google:gemini", "max_tokens": 100, "messages": [QUESTION], **fields}
    body = {name: value for name, value in given.items() if value is not None}
    return anthropic.parse_messages(dumps(body), {}, StillClock(), "req_0123")


def responses_call(**fields: Any) -> tuple[Call, list[str]]:
    """The same for the Responses API."""
    given = {"model": "google:gemini", "input": "hi", **fields}
    body = {name: value for name, value in given.items() if value is not None}
    return responses.parse_responses(dumps(body), {}, StillClock())


def sent(call: Call) -> dict[str, Any]:
    """The hub request without its messages."""
    return {name: value for name, value in call.body.items() if name != "messages"}


def ask_messages(*messages: Any, **fields: Any) -> list[dict[str, Any]]:
    """The hub's messages for these of the Messages API."""
    hub: list[dict[str, Any]] = messages_call(messages=list(messages), **fields)[0].body["messages"]
    return hub


def ask_responses(given: Any, **fields: Any) -> list[dict[str, Any]]:
    """The hub's messages for this input of the Responses API."""
    hub: list[dict[str, Any]] = responses_call(input=given, **fields)[0].body["messages"]
    return hub


def fed(stream: Stream, pieces: Iterable[bytes]) -> bytes:
    """All that a stream gives for these upstream bytes, its end included."""
    return b"".join([*map(stream.feed, pieces), stream.finish()])
