"""Text completions are told over chat and fill-in-the-middle."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from openai.types import Completion

from ollama_proxy.errors import BadRequest, ErrorInside, StreamInterrupted, UnknownModel, UpstreamJunk
from ollama_proxy.protocols import openai
from ollama_proxy.types import Call, Capability, Operation
from tests.support.openai_kit import StillClock, dumps, frame, objects

USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}


def complete(**fields: Any) -> Call:
    return openai.parse_completions(dumps({"model": "google:gemini", "prompt": "hi", **fields}), {}, StillClock())


def sent(call: Call) -> Any:
    return json.loads(msgspec.json.encode(call.body))


def told(data: bytes, **fields: Any) -> list[Any]:
    stream = complete(stream=True, **fields).face.open_stream()
    return objects(stream.feed(data) + stream.finish())


def test_a_prompt_becomes_one_user_message() -> None:
    """What chat has no word for is left out, the rest goes on. (C203)"""
    call = complete(max_tokens=5, stop=["a"], seed=1, echo=True, best_of=2, logprobs=3, suffix="", novel=1)
    assert (call.operation, call.model, call.stream, call.needs) == (
        Operation.CHAT,
        "google:gemini",
        False,
        frozenset(),
    )
    assert sent(call) == {
        "messages": [{"role": "user", "content": "hi"}],
        "max_tokens": 5,
        "stop": ["a"],
        "seed": 1,
        "novel": 1,
    }


def test_a_suffix_is_filled_in_the_middle() -> None:
    """(C205)"""
    call = complete(suffix="\n}", max_tokens=5)
    assert (call.operation, call.needs) == (Operation.FIM, frozenset({Capability.INSERT}))
    assert sent(call) == {"prompt": "hi", "suffix": "\n}", "max_tokens": 5}


@pytest.mark.parametrize(
    "fields", [{"prompt": ["hi"]}, {"prompt": 1}, {"suffix": 1}, {"stop": [1]}, {"stop": 1}, {"stream_options": 1}]
)
def test_wrong_types_name_the_field(fields: dict[str, Any]) -> None:
    """(C205, F82)"""
    with pytest.raises(BadRequest, match=next(iter(fields))):
        complete(**fields)


def test_no_model_is_an_unknown_model() -> None:
    """(C205)"""
    with pytest.raises(UnknownModel) as caught:
        openai.parse_completions(dumps({"prompt": "hi"}), {}, StillClock())
    assert (caught.value.status, caught.value.message) == (404, "model '' not found")


def test_an_answer_is_a_text_completion() -> None:
    """Reasoning is left out; the model is the caller's. (C203)"""
    reply = dumps(
        {"choices": [{"message": {"content": "<think>hm</think>Low."}, "finish_reason": "MAX_TOKENS"}], "usage": USAGE}
    )
    answer = json.loads(complete().face.render_answer(reply))
    assert answer == {
        "id": answer["id"],
        "object": "text_completion",
        "created": 1_800_000_000,
        "model": "google:gemini",
        "choices": [{"text": "Low.", "index": 0, "logprobs": None, "finish_reason": "length"}],
        "usage": USAGE,
    }
    assert answer["id"].startswith("cmpl-")
    Completion.model_validate(answer)


def test_a_stream_is_made_of_text_completions() -> None:
    """Text frames, a frame with the reason, [DONE]; id and time are the same in all. (C204)"""
    events = told(
        frame({"reasoning": "hm"})
        + frame({"content": "Lo"})
        + frame({"content": "w."})
        + frame({}, "stop", usage=USAGE)
    )
    assert [event["choices"][0]["text"] for event in events[:-1]] == ["Lo", "w.", ""]
    assert [event["choices"][0]["finish_reason"] for event in events[:-1]] == [None, None, "stop"]
    assert events[-1] == "[DONE]"
    assert len({(event["id"], event["created"], event["object"]) for event in events[:-1]}) == 1
    assert "usage" not in events[-2]


def test_usage_comes_last_where_it_was_asked_for() -> None:
    """(C204)"""
    events = told(frame({"content": "a"}) + frame({}, "stop", usage=USAGE), stream_options={"include_usage": True})
    assert (events[-2]["choices"], events[-2]["usage"]) == ([], USAGE)


def test_reasoning_alone_is_progress_but_does_not_commit() -> None:
    stream = complete(stream=True).face.open_stream()
    assert stream.feed(frame({"reasoning": "hm"})) == b""
    assert (stream.committed, stream.progress) == (False, 1)
    assert stream.feed(frame({"content": "a"}))
    assert stream.committed
    assert stream.heartbeat() == b": keep-alive\n\n"


def test_an_error_is_told_after_the_text_before_it() -> None:
    """(C201, F36)"""
    stream = complete(stream=True).face.open_stream()
    stream.feed(frame({"content": "a"}))
    with pytest.raises(ErrorInside):
        stream.feed(frame({"content": "b"}) + b'data: {"error":1}\n\n')
    events = objects(stream.render_error(UpstreamJunk("it broke")))
    assert events[0]["choices"][0]["text"] == "b"
    assert events[1]["error"]["message"] == "it broke"


def test_a_cut_stream_is_interrupted() -> None:
    """(F37)"""
    stream = complete(stream=True).face.open_stream()
    stream.feed(frame({"content": "a"}))
    with pytest.raises(StreamInterrupted):
        stream.finish()


def test_errors_have_openais_shape() -> None:
    assert complete().face.render_error(BadRequest("x"))[0] == 400
