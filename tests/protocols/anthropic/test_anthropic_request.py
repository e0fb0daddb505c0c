"""A body of the Messages API becomes a hub request; what is wrong with it is said in the words that clients know."""

from __future__ import annotations

from typing import Any

import pytest

from ollama_proxy.errors import BadRequest, TooLarge
from ollama_proxy.protocols import anthropic
from ollama_proxy.types import Capability, Operation
from tests.support.event_streams import QUESTION, messages_call, sent
from tests.support.openai_kit import StillClock, dumps

PNG = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}}
TOOL = {"name": "f", "input_schema": {"type": "object"}}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"model": None}, "model is required"),
        ({"model": ""}, "model is required"),
        ({"max_tokens": None}, "max_tokens is required and must be positive"),
        ({"max_tokens": 0}, "max_tokens is required and must be positive"),
        ({"max_tokens": -1}, "max_tokens is required and must be positive"),
        ({"messages": None}, "messages is required"),
        ({"messages": []}, "messages is required"),
        ({"messages": [{"role": "user", "content": []}]}, "messages is required"),
        ({"model": None, "max_tokens": None, "messages": None}, "model is required"),
    ],
)
def test_what_is_required_is_asked_for_in_ollamas_words(fields: dict[str, Any], words: str) -> None:
    """C216: one thing at a time, in this order."""
    with pytest.raises(BadRequest) as caught:
        messages_call(**fields)
    assert caught.value.message == words


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"model":', b'{"model":1}', b"\xff", b"[" * 5000, b'{"messages":{}}', b'{"stream":"x"}']
)
def test_a_broken_body_is_the_callers_fault(body: bytes) -> None:
    with pytest.raises((BadRequest, TooLarge)):
        anthropic.parse_messages(body, {}, StillClock(), "req_1")


def test_sampling_reaches_the_hub_under_its_names() -> None:
    call, left_out = messages_call(
        max_tokens=7, temperature=0.5, top_p=0.9, top_k=40, stop_sequences=["END"], metadata={"user_id": "u"}, novel=1
    )
    assert sent(call) == {"max_tokens": 7, "temperature": 0.5, "top_p": 0.9, "top_k": 40, "stop": ["END"]}
    assert (call.operation, call.model, call.stream, left_out) == (Operation.CHAT, "google:gemini", False, [])


def test_nothing_is_said_that_was_not_asked_for() -> None:
    assert sent(messages_call()[0]) == {"max_tokens": 100}


def test_a_stream_asks_for_its_usage() -> None:
    call, _ = messages_call(stream=True)
    assert call.stream
    assert call.body["stream_options"] == {"include_usage": True}


def test_needs_follow_from_what_is_sent() -> None:
    assert messages_call()[0].needs == set()
    assert messages_call(tools=[TOOL])[0].needs == {Capability.TOOLS}
    assert messages_call(messages=[{"role": "user", "content": [PNG]}])[0].needs == {Capability.VISION}


def test_a_repetition_by_the_sdk_is_seen() -> None:
    """F29: all of Anthropic's SDKs send the same header as OpenAI's."""
    body = dumps({"model": "m", "max_tokens": 1, "messages": [QUESTION]})
    headers = {b"x-stainless-retry-count": b"2"}
    assert anthropic.parse_messages(body, headers, StillClock(), "req_1")[0].sdk_retry


def test_tokens_are_estimated_from_all_that_is_sent() -> None:
    """C220: a quarter of the bytes, and something for each image; no max_tokens needed."""

    def count(**fields: Any) -> int:
        model, tokens = anthropic.parse_count(dumps({"model": "m", **fields}))
        assert model == "m"
        return tokens

    question = count(messages=[{"role": "user", "content": "x" * 400}])
    assert question == 100
    assert count(messages=[{"role": "user", "content": "x" * 400}], system="y" * 40) == 110
    assert count(messages=[{"role": "user", "content": "x" * 400}], tools=[TOOL]) > question
    assert count(messages=[{"role": "user", "content": [PNG]}]) > 1000
    assert anthropic.render_count(7) == b'{"input_tokens":7}'
    with pytest.raises(BadRequest, match="messages is required"):
        count()
