from __future__ import annotations

import contextlib
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollama_proxy.errors import BadRequest, UnknownModel
from ollama_proxy.protocols.ollama import check_capabilities, parse_chat, parse_embed, parse_generate
from ollama_proxy.types import Capability, Operation
from tests.support.ollama_kit import CHAT_BODY, FakeClock, chat, dumps, model

TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
KEYS = [
    "model",
    "messages",
    "role",
    "content",
    "images",
    "tool_calls",
    "function",
    "arguments",
    "tool_name",
    "prompt",
    "stream",
    "format",
    "keep_alive",
    "tools",
    "options",
    "think",
    "top_logprobs",
    "temperature",
    "stop",
    "input",
]
PNG = "iVBORw0KGgoAAAAA"


def test_a_request_streams_unless_told_otherwise() -> None:
    """C69; a stream also asks for its token counts."""
    assert chat().call.stream is True
    assert chat().call.body["stream_options"] == {"include_usage": True}
    assert chat(stream=False).call.stream is False
    assert "stream_options" not in chat(stream=False).call.body


def test_the_model_is_the_callers_string() -> None:
    """Routing splits it; answers echo it (C61)."""
    request = chat(model="Google:Gemini-2.5-Flash:latest")
    assert request.call.model == "Google:Gemini-2.5-Flash:latest"
    assert request.call.operation is Operation.CHAT
    assert "model" not in request.call.body


@pytest.mark.parametrize("body", [b"{}", b"null", b'{"model":""}', b'{"model":"  "}', b'{"model":null}'])
def test_a_model_is_required(body: bytes) -> None:
    """C30, C143."""
    with pytest.raises(BadRequest, match=r"^model is required$") as caught:
        parse_chat(body, FakeClock())
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("fields", "needed"),
    [
        ({}, set()),
        ({"tools": [TOOL]}, {Capability.TOOLS}),
        ({"tools": []}, set()),
        ({"think": True}, {Capability.THINKING}),
        ({"think": "low"}, {Capability.THINKING}),
        ({"think": False}, set()),
        ({"messages": [{"role": "user", "content": "", "images": [PNG]}]}, {Capability.VISION}),
    ],
)
def test_needs_follow_from_the_request(fields: dict[str, Any], needed: set[Capability]) -> None:
    """A fallback chain skips targets that lack one."""
    assert chat(**fields).call.needs == needed | {Capability.COMPLETION}


def test_thinking_must_be_supported() -> None:
    """C103: the name as sent, between quotes; false is fine anywhere."""
    with pytest.raises(BadRequest, match=r'^"google:gemini-2.5-flash" does not support thinking$'):
        check_capabilities(chat(think=True), model())
    check_capabilities(chat(think=False), model())
    check_capabilities(chat(think="high"), model(Capability.COMPLETION, Capability.THINKING))


def test_tools_must_be_supported() -> None:
    """C104: with the whole name."""
    words = r"^registry.ollama.ai/library/google:gemini-2.5-flash does not support tools$"
    with pytest.raises(BadRequest, match=words) as caught:
        check_capabilities(chat(tools=[TOOL]), model())
    assert caught.value.status == 400
    check_capabilities(chat(tools=[TOOL]), model(Capability.COMPLETION, Capability.TOOLS))


def test_a_model_for_embeddings_cannot_chat() -> None:
    """Whatever else is missing."""
    with pytest.raises(BadRequest, match=r'^"google:gemini-2.5-flash" does not support chat$'):
        check_capabilities(chat(tools=[TOOL]), model(Capability.EMBEDDING))


def test_a_model_that_no_list_describes_is_trusted() -> None:
    """The provider itself will say what it cannot do."""
    check_capabilities(chat(tools=[TOOL], think=True), model(listed=False))


def test_images_are_not_judged_here() -> None:
    """Open WebUI sends them to every model; the provider's words are better than a guess."""
    check_capabilities(chat(messages=[{"role": "user", "content": "", "images": [PNG]}]), model())


@pytest.mark.parametrize("fields", [{"messages": []}, {"messages": None}])
@pytest.mark.parametrize("stream", [True, False])
def test_no_messages_load_the_model(fields: dict[str, Any], stream: bool) -> None:
    """One object, whatever `stream` says, and no provider is called (C127)."""
    request = chat(stream=stream, **fields)
    assert request.load_only == "load"
    assert request.local_answer == (
        b'{"model":"google:gemini-2.5-flash","created_at":"2026-08-21T18:48:22.385406494Z",'
        b'"message":{"role":"assistant","content":""},"done":true,"done_reason":"load"}'
    )
    assert request.call.face.answer_type == b"application/json; charset=utf-8"


@pytest.mark.parametrize("keep_alive", [0, "0", "0s", 0.0])
def test_no_messages_and_no_time_unload_it(keep_alive: Any) -> None:
    """C128."""
    request = chat(messages=[], keep_alive=keep_alive)
    assert request.load_only == "unload"
    assert request.keep_alive_s == 0
    assert json.loads(request.local_answer or b"")["done_reason"] == "unload"


def test_unloading_asks_nothing_of_the_model() -> None:
    """Ollama unloads before it looks at capabilities and options."""
    request = chat(messages=[], keep_alive=0, think=True, options={"temperature": "hot"})
    check_capabilities(request, model(Capability.EMBEDDING))


def test_loading_looks_at_options_but_not_at_the_format() -> None:
    """The order of Ollama's checks; a format matters only once there is something to say."""
    check_capabilities(chat(messages=[], format="xml"), model())
    with pytest.raises(BadRequest, match="temperature"):
        check_capabilities(chat(messages=[], options={"temperature": "hot"}), model())


@pytest.mark.parametrize(
    ("given", "seconds"), [("10m", 600.0), (-1, math.inf), (None, None), ("absent", None), (0, 0.0)]
)
def test_keep_alive_is_told_in_seconds(given: Any, seconds: float | None) -> None:
    """C47, C48: the list of loaded models is made from it."""
    fields = {} if given == "absent" else {"keep_alive": given}
    assert chat(**fields).keep_alive_s == seconds
    assert chat(**fields).local_answer is None


def test_a_request_with_everything_is_taken() -> None:
    """Fields without a counterpart have no effect (C32, C96)."""
    request = chat(truncate=False, shift=True, options={"num_ctx": 4096}, tool_choice="auto", cache=True, name="")
    assert request.call.body == chat().call.body


def test_a_debugging_client_sees_the_request_instead_of_an_answer() -> None:
    """`_debug_render_only` generates nothing."""
    request = chat(_debug_render_only=True, messages=[{"role": "user", "content": "<b>", "images": [PNG]}])
    told = json.loads(request.local_answer or b"")
    assert told["done"] is False
    assert told["_debug_info"]["image_count"] == 1
    assert json.loads(told["_debug_info"]["rendered_template"]) == request.call.body


_anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=3), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(KEYS), _anything))
def test_any_fields_are_a_request_or_a_bad_request(fields: dict[str, Any]) -> None:
    """No other failure comes out, and what is a request can be sent on."""
    with contextlib.suppress(BadRequest, UnknownModel):
        json.dumps(parse_chat(dumps({"model": "m", **fields}), FakeClock()).call.body)
    with contextlib.suppress(BadRequest, UnknownModel):
        json.dumps(parse_generate(dumps({"model": "m", **fields}), FakeClock()).call.body)
    with contextlib.suppress(BadRequest, UnknownModel):
        json.dumps(parse_embed(dumps({"model": "m", **fields}), FakeClock()).call.body)


def test_the_clients_body_is_not_kept_by_reference() -> None:
    """Two parses of one body give two requests."""
    body = dumps(CHAT_BODY)
    one, two = parse_chat(body, FakeClock()), parse_chat(body, FakeClock())
    one.call.body["messages"][0]["content"] = "changed"
    assert two.call.body["messages"][0]["content"] == "hi"
