from __future__ import annotations

import json
from typing import Any

import pytest

from ollama_proxy.errors import BadRequest, UnknownModel
from ollama_proxy.protocols.ollama import check_capabilities, parse_generate
from ollama_proxy.types import Capability, Operation
from tests.support.ollama_kit import (
    DONE,
    FakeClock,
    answer,
    dumps,
    frame,
    generate,
    lines_of,
    model,
    run,
    text_frame,
    usage_frame,
)

PNG = "iVBORw0KGgoAAAAA"


def test_a_prompt_is_one_turn() -> None:
    """C134."""
    assert generate().call.body["messages"] == [{"role": "user", "content": "hi"}]
    assert generate(system="be brief").call.body["messages"] == [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "hi"},
    ]


def test_images_belong_to_the_prompt() -> None:
    """C135."""
    (message,) = generate(images=[PNG]).call.body["messages"]
    assert [part["type"] for part in message["content"]] == ["text", "image_url"]


def test_raw_sends_the_prompt_unchanged() -> None:
    """C139."""
    assert generate(raw=True, prompt="<s>[INST] hi").call.body["messages"] == [
        {"role": "user", "content": "<s>[INST] hi"}
    ]


@pytest.mark.parametrize("fields", [{"system": "s"}, {"template": "t"}, {"context": [1]}])
def test_raw_excludes_what_a_template_needs(fields: dict[str, Any]) -> None:
    """C138: it is looked at before capabilities, after the model."""
    request = generate(raw=True, think=True, **fields)
    with pytest.raises(BadRequest, match=r"^raw mode does not support template, system, or context$") as caught:
        check_capabilities(request, model())
    assert caught.value.status == 400


@pytest.mark.parametrize("fields", [{"system": ""}, {"template": ""}, {"context": []}, {"context": None}])
def test_empty_fields_do_not_conflict_with_raw(fields: dict[str, Any]) -> None:
    """The Go client always sends them."""
    check_capabilities(generate(raw=True, **fields), model())


def test_template_and_context_have_no_effect() -> None:
    """C140."""
    assert generate(template="{{ .Prompt }}", context=[1, 2, 3]).call.body == generate().call.body


def test_a_suffix_makes_it_a_gap_to_fill() -> None:
    """C136: the provider's own fields, and nothing that its endpoint refuses."""
    request = generate(prompt="def f(", suffix="return a", options={"temperature": 0, "num_predict": 64}, format="json")
    assert request.call.operation is Operation.FIM
    assert request.call.body == {"prompt": "def f(", "suffix": "return a", "temperature": 0, "max_tokens": 64}
    assert Capability.INSERT in request.call.needs
    check_capabilities(request, model(Capability.COMPLETION, Capability.INSERT))


def test_a_suffix_needs_a_model_that_inserts() -> None:
    """C137."""
    with pytest.raises(
        BadRequest, match=r"^registry.ollama.ai/library/google:gemini-2.5-flash does not support insert$"
    ):
        check_capabilities(generate(suffix="x"), model())


def test_a_filled_gap_is_told_as_response() -> None:
    """C136: the endpoints answer in chat's shape; nothing in code is taken for a tag."""
    lines = run(generate(suffix="x").call.face.open_stream(), text_frame("<think>"), frame(finish="stop"), DONE)
    assert lines[0]["response"] == "<think>"


@pytest.mark.parametrize("body", [b"{}", b"null", b'{"model":"","prompt":"x"}'])
def test_no_model_is_an_unknown_model(body: bytes) -> None:
    """C142."""
    with pytest.raises(UnknownModel, match=r"^model '' not found$") as caught:
        parse_generate(body, FakeClock())
    assert caught.value.status == 404


@pytest.mark.parametrize(
    "fields", [{}, {"prompt": ""}, {"images": [PNG]}, {"suffix": "x"}, {"system": "s"}, {"think": False}]
)
def test_no_prompt_loads_the_model(fields: dict[str, Any]) -> None:
    """Even with images, suffix or system (C129, C131)."""
    request = parse_generate(dumps({"model": "m", **fields}), FakeClock())
    assert request.load_only == "load"
    assert request.local_answer == (
        b'{"model":"m","created_at":"2026-08-21T18:48:22.385406494Z","response":"","done":true,"done_reason":"load"}'
    )


@pytest.mark.parametrize("keep_alive", [0, "0s"])
def test_no_prompt_and_no_time_unload_it(keep_alive: Any) -> None:
    """C129."""
    request = parse_generate(dumps({"model": "m", "keep_alive": keep_alive}), FakeClock())
    assert json.loads(request.local_answer or b"")["done_reason"] == "unload"


def test_a_model_for_embeddings_cannot_generate() -> None:
    """The verb is the endpoint's."""
    with pytest.raises(BadRequest, match=r'^"google:gemini-2.5-flash" does not support generate$'):
        check_capabilities(generate(), model(Capability.EMBEDDING))


def test_the_whole_answer_has_ollamas_keys_in_order() -> None:
    """C132: `context` is empty, because one client refuses an answer without the list."""
    told = json.loads(generate(stream=False).call.face.render_answer(answer()))
    assert list(told) == [
        "model",
        "created_at",
        "response",
        "done",
        "done_reason",
        "context",
        "total_duration",
        "load_duration",
        "prompt_eval_count",
        "prompt_eval_duration",
        "eval_count",
        "eval_duration",
    ]
    assert (told["response"], told["context"]) == ("hello", [])


def test_raw_answers_have_no_context() -> None:
    """C132."""
    assert "context" not in json.loads(generate(raw=True, stream=False).call.face.render_answer(answer()))


def test_every_line_has_a_response() -> None:
    """C133: only the last is done."""
    lines = run(
        generate().call.face.open_stream(), text_frame("a"), text_frame("b"), frame(finish="stop"), usage_frame(), DONE
    )
    assert [line["response"] for line in lines] == ["a", "b", ""]
    assert [line["done"] for line in lines] == [False, False, True]
    assert list(lines[0]) == ["model", "created_at", "response", "done"]


def test_reasoning_stands_beside_an_empty_response() -> None:
    """C112."""
    lines = run(
        generate().call.face.open_stream(), frame({"reasoning": "hm"}), text_frame("a"), frame(finish="stop"), DONE
    )
    assert list(lines[0]) == ["model", "created_at", "response", "thinking", "done"]
    assert (lines[0]["response"], lines[0]["thinking"]) == ("", "hm")
    whole = json.loads(generate(stream=False).call.face.render_answer(answer({"reasoning_content": "hm"})))
    assert list(whole)[2:4] == ["response", "thinking"]


def test_a_heartbeat_is_a_line_without_response() -> None:
    """It means nothing to anybody."""
    (line,) = lines_of(generate().call.face.open_stream().heartbeat())
    assert (line["response"], line["done"]) == ("", False)


def test_an_unknown_model_is_told_as_in_chat() -> None:
    """C145."""
    status, _, body = generate(model="nope").call.face.render_error(UnknownModel("model 'nope' not found"))
    assert (status, body) == (404, b'{"error":"model \'nope\' not found"}')
