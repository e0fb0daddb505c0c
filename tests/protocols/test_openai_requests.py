"""An OpenAI request is looked at, not rebuilt; what is wrong with it is said in OpenAI's shape."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from ollama_proxy.errors import (
    BadRequest,
    Forbidden,
    InternalError,
    KeysRefused,
    KeysResting,
    Overloaded,
    ProxyError,
    ShuttingDown,
    SlowRequest,
    TooLarge,
    Unauthorized,
    UnknownModel,
    UpstreamJunk,
    UpstreamRefused,
    UpstreamTimeout,
    WrongMethod,
)
from ollama_proxy.protocols import openai
from ollama_proxy.types import Call, Capability, Model, Operation
from tests.support.openai_kit import StillClock, dumps

MESSAGES = [{"role": "user", "content": "hi"}]


def chat(body: Any = None, headers: dict[bytes, bytes] | None = None, **fields: Any) -> Call:
    given = dumps({"model": "google:gemini", "messages": MESSAGES, **fields}) if body is None else body
    return openai.parse_chat(given, headers or {}, StillClock())


def sent(call: Call) -> Any:
    return json.loads(msgspec.json.encode(call.body))


def test_every_parameter_reaches_the_upstream() -> None:
    """Only model and stream are taken out; the rest goes on letter by letter. (C198, C199)"""
    fields: dict[str, Any] = {
        "stop": ["a"],
        "max_tokens": 5,
        "max_completion_tokens": 6,
        "seed": 7,
        "tool_choice": "auto",
        "parallel_tool_calls": False,
        "n": 2,
        "stream_options": {"include_usage": True},
        "novel": {"a": [1, None]},
    }
    call = chat(**fields, stream=True)
    assert sent(call) == {"messages": MESSAGES, **fields}
    assert (call.operation, call.model, call.stream) == (Operation.CHAT, "google:gemini", True)


def test_values_keep_their_bytes() -> None:
    call = chat(b'{"model":"m","messages": [ {"role" : "user"} ],"temperature":0.10}')
    assert bytes(call.body["messages"]) == b'[ {"role" : "user"} ]'
    assert bytes(call.body["temperature"]) == b"0.10"


@pytest.mark.parametrize(
    ("fields", "stream"), [({}, False), ({"stream": None}, False), ({"stream": False}, False), ({"stream": True}, True)]
)
def test_streaming_is_off_unless_asked_for(fields: dict[str, Any], stream: bool) -> None:
    """(C183)"""
    assert chat(**fields).stream is stream


@pytest.mark.parametrize(("tools", "needs"), [(None, set()), ([], set()), ([{"type": "function"}], {Capability.TOOLS})])
def test_tools_are_a_need_where_there_are_any(tools: Any, needs: set[Capability]) -> None:
    assert chat(tools=tools).needs == needs
    assert chat().needs == set()


def test_nobody_chooses_the_target() -> None:
    """(F88)"""
    call = chat(api_base="http://evil", base_url="http://evil", api_key="k", extra_headers={}, custom_llm_provider="x")
    assert sent(call) == {"messages": MESSAGES}


def test_a_repetition_by_the_sdk_is_seen() -> None:
    """(F29)"""
    assert chat(headers={b"x-stainless-retry-count": b"1"}).sdk_retry
    assert not chat(headers={b"x-stainless-retry-count": b"0"}).sdk_retry


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "EOF"),
        (dumps({"messages": MESSAGES}), "model is required"),
        (dumps({"model": "", "messages": MESSAGES}), "model is required"),
        (dumps({"model": None, "messages": MESSAGES}), "model is required"),
        (dumps({"model": 1, "messages": MESSAGES}), "'model' must be a string"),
        (dumps({"model": "m", "messages": []}), "[] is too short - 'messages'"),
        (dumps({"model": "m"}), "[] is too short - 'messages'"),
        (dumps({"model": "m", "messages": "hi"}), "'messages' must be a list"),
        (dumps({"model": "m", "messages": MESSAGES, "stream": "false"}), "'stream' must be true or false"),
        (b"[]", "the request body must be a JSON object"),
    ],
)
def test_bad_requests_are_refused_with_words(body: bytes, message: str) -> None:
    """(C36, C192, C193, F82)"""
    with pytest.raises(BadRequest) as caught:
        chat(body)
    assert caught.value.message == message
    assert caught.value.status == 400


@pytest.mark.parametrize("value", [b"NaN", b"[" * 100_000, b"[" * 100_000 + b"]" * 100_000, b"01", b'"\xff"', b"tru"])
def test_poison_is_a_bad_request(value: bytes) -> None:
    """Anywhere in the body, at once. (F77, F79, F81)"""
    for key in (b"tools", b"novel"):
        with pytest.raises(BadRequest):
            chat(b'{"model":"m","messages":[{}],"%b":%b}' % (key, value))


def test_a_face_opens_a_fresh_stream_for_every_attempt() -> None:
    face = chat().face
    assert face.open_stream() is not face.open_stream()
    assert (face.stream_type, face.answer_type) == (b"text/event-stream", b"application/json")


@pytest.mark.parametrize(
    ("error", "status", "kind", "code"),
    [
        (BadRequest("x", param="model"), 400, "invalid_request_error", None),
        (TooLarge("x"), 413, "invalid_request_error", None),
        (WrongMethod("x", allow="POST"), 405, "invalid_request_error", None),
        (Unauthorized("x"), 401, "authentication_error", "invalid_api_key"),
        (Forbidden("x"), 403, "permission_error", None),
        (UnknownModel("x"), 404, "not_found_error", "model_not_found"),
        (SlowRequest("x"), 408, "timeout", None),
        (KeysResting("x"), 429, "rate_limit_error", "rate_limit_exceeded"),
        (KeysRefused("x"), 502, "api_error", "upstream_credentials_exhausted"),
        (Overloaded("x"), 503, "server_overloaded", "server_overloaded"),
        (ShuttingDown("x"), 503, "server_overloaded", "shutting_down"),
        (UpstreamJunk("x"), 502, "api_error", "upstream_bad_response"),
        (UpstreamTimeout("x"), 504, "api_error", "upstream_timeout"),
        (
            UpstreamRefused("x", status=400, code="context_length_exceeded"),
            400,
            "invalid_request_error",
            "context_length_exceeded",
        ),
        (UpstreamRefused("x", status=503), 503, "api_error", "upstream_error"),
        (InternalError("x"), 500, "api_error", "internal_error"),
    ],
)
def test_errors_have_openais_shape(error: ProxyError, status: int, kind: str, code: str | None) -> None:
    """All four keys, always. (C200, F1–F29)"""
    told_status, headers, body = chat().face.render_error(error)
    assert told_status == status
    assert dict(headers)[b"content-type"] == b"application/json"
    assert json.loads(body) == {"error": {"message": "x", "type": kind, "param": error.param, "code": code}}


def test_errors_say_when_to_come_back() -> None:
    """(F13, F14, C239)"""
    _, headers, _ = openai.render_error(KeysResting("x", retry_after_s=9, hopeless=True))
    assert headers[1:] == [(b"retry-after", b"9"), (b"retry-after-ms", b"9000"), (b"x-should-retry", b"false")]


def test_a_message_with_half_a_letter_is_still_json() -> None:
    """(F81)"""
    assert json.loads(openai.render_error(BadRequest("a\ud800b"))[2])["error"]["message"] == "a?b"


def test_models_are_listed_in_openais_shape() -> None:
    """More keys than OpenAI's where something is known. (C177)"""
    models = [
        Model(
            "google",
            "gemini",
            frozenset({Capability.TOOLS, Capability.COMPLETION}),
            context=9,
            max_output=8,
            title="Gemini",
        ),
        Model("akash", "org/llama", frozenset({Capability.EMBEDDING}), embedding_length=3),
    ]
    entries = [openai.Entry(model.name, model, created) for model, created in zip(models, (7, 6), strict=True)]
    told = json.loads(openai.render_models(entries))
    assert told == {
        "object": "list",
        "data": [
            {
                "id": "google:gemini",
                "object": "model",
                "created": 7,
                "owned_by": "proxy",
                "capabilities": ["completion", "tools"],
                "name": "Gemini",
                "context_length": 9,
                "max_output_tokens": 8,
            },
            {
                "id": "akash:org/llama",
                "object": "model",
                "created": 6,
                "owned_by": "proxy",
                "capabilities": ["embedding"],
                "embedding_length": 3,
            },
        ],
    }
    assert json.loads(openai.render_models([])) == {"object": "list", "data": []}


def test_one_model_has_the_name_that_was_asked_for() -> None:
    """(C178)"""
    entry = openai.Entry("Google/gemini:latest", Model("google", "gemini"), 7)
    assert json.loads(openai.render_model(entry))["id"] == "Google/gemini:latest"
