from __future__ import annotations

import re
from typing import Any

import pytest

from ollama_proxy.errors import BadRequest
from ollama_proxy.protocols.ollama import check_capabilities
from ollama_proxy.protocols.ollama.options import hub_format, hub_options, parse_think
from ollama_proxy.types import Capability
from tests.support.ollama_kit import chat, generate, model


def test_options_arrive_under_their_hub_names() -> None:
    """C93."""
    options = {
        "temperature": 0.2,
        "top_p": 0.9,
        "seed": 42,
        "stop": ["END"],
        "presence_penalty": 0.5,
        "frequency_penalty": 1,
        "num_predict": 100,
        "top_k": 20,
        "min_p": 0.05,
        "repeat_penalty": 1.1,
    }
    assert hub_options(options) == {
        "temperature": 0.2,
        "top_p": 0.9,
        "seed": 42,
        "stop": ["END"],
        "presence_penalty": 0.5,
        "frequency_penalty": 1,
        "max_tokens": 100,
        "top_k": 20,
        "min_p": 0.05,
        "repetition_penalty": 1.1,
    }


@pytest.mark.parametrize(
    "options", [{"num_predict": -1}, {"num_predict": -2}, {"num_predict": 0}, {"seed": -1}, {"stop": []}]
)
def test_what_means_no_limit_is_not_sent(options: dict[str, Any]) -> None:
    """C94."""
    assert hub_options(options) == {}


def test_nothing_is_sent_that_the_client_did_not_set() -> None:
    """C95."""
    body = chat().call.body
    assert body == {"messages": [{"role": "user", "content": "hi"}], "stream_options": {"include_usage": True}}


def test_hardware_and_unknown_options_stay_here() -> None:
    """Old names are still sent by many clients, some in camel case (C96)."""
    options = {
        "num_ctx": 8192,
        "num_gpu": 1,
        "mirostat": 2,
        "use_mmap": True,
        "numCtx": "x",
        "tfs_z": "?",
        "num_keep": 4,
    }
    assert hub_options(options) == {}


def test_null_options_are_unset() -> None:
    """langchain-ollama sends a dozen of them (C33)."""
    assert hub_options({"temperature": None, "stop": None, "seed": 1}) == {"seed": 1}


def test_fractions_of_whole_number_options_are_cut_off() -> None:
    """As Ollama does."""
    assert hub_options({"num_predict": 10.9, "top_k": 3.0}) == {"max_tokens": 10, "top_k": 3}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"temperature": "hot"}, 'option "temperature" must be of type float32'),
        ({"temperature": True}, 'option "temperature" must be of type float32'),
        ({"num_predict": "x"}, 'option "num_predict" must be of type integer'),
        ({"num_ctx": []}, 'option "num_ctx" must be of type integer'),
        ({"use_mmap": 1}, 'option "use_mmap" must be of type boolean'),
        ({"stop": "x"}, 'option "stop" must be of type array'),
        ({"stop": ["x", 1]}, 'option "stop" must be of an array of strings'),
    ],
)
@pytest.mark.parametrize("parse", [chat, generate])
def test_a_wrong_type_is_told_once_the_model_is_known(options: dict[str, Any], words: str, parse: Any) -> None:
    """Ollama looks at options after capabilities, and answers 500 (C97, C98, C141)."""
    request = parse(options=options)
    with pytest.raises(BadRequest, match=f"^{re.escape(words)}$") as caught:
        check_capabilities(request, model())
    assert caught.value.status == 500


def test_capabilities_are_looked_at_before_options() -> None:
    """The order of Ollama's checks."""
    request = chat(options={"temperature": "hot"}, think=True)
    with pytest.raises(BadRequest, match="does not support thinking"):
        check_capabilities(request, model())


@pytest.mark.parametrize("given", [None, ""])
def test_an_empty_format_is_none(given: Any) -> None:
    """Old clients send "" (C91)."""
    assert hub_format(given) == {}


def test_formats_become_response_formats() -> None:
    """C91."""
    schema = {"type": "object", "properties": {"b": {"type": "string"}, "a": {"type": "integer"}}}
    assert hub_format("json") == {"response_format": {"type": "json_object"}}
    assert hub_format(schema) == {
        "response_format": {"type": "json_schema", "json_schema": {"name": "schema", "schema": schema}}
    }


@pytest.mark.parametrize(("given", "shown"), [("xml", '"xml"'), ([1], "[1]"), (5, "5"), (True, "true")])
def test_any_other_format_is_refused_with_500(given: Any, shown: str) -> None:
    """C92."""
    words = f'invalid format: {shown}; expected "json" or a valid JSON Schema object'
    with pytest.raises(BadRequest, match=f"^{re.escape(words)}$") as caught:
        check_capabilities(chat(format=given), model())
    assert caught.value.status == 500


@pytest.mark.parametrize(
    ("given", "effort"),
    [(False, "none"), (True, "medium"), ("low", "low"), ("medium", "medium"), ("high", "high"), ("max", "max")],
)
@pytest.mark.parametrize("parse", [chat, generate])
def test_think_sets_the_reasoning_effort(given: Any, effort: str, parse: Any) -> None:
    """C102, C141."""
    request = parse(think=given)
    assert request.call.body["reasoning_effort"] == effort
    # Some providers show thoughts only to those who ask for them.
    assert request.call.body.get("think") == (given or None)
    assert (Capability.THINKING in request.call.needs) is bool(given)


@pytest.mark.parametrize("given", [None, ""])
def test_think_unset_says_nothing(given: Any) -> None:
    """The provider's default then holds."""
    assert parse_think(given) is None
    assert "reasoning_effort" not in chat(think=given).call.body


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("x", 'invalid think value: "x" (must be "high", "medium", "low", "max", true, or false)'),
        ("true", 'invalid think value: "true" (must be "high", "medium", "low", "max", true, or false)'),
        (5, 'think must be a boolean or string ("high", "medium", "low", "max", true, or false)'),
        ([], 'think must be a boolean or string ("high", "medium", "low", "max", true, or false)'),
    ],
)
def test_a_wrong_think_is_told_at_once(given: Any, words: str) -> None:
    """C101."""
    with pytest.raises(BadRequest, match=f"^{re.escape(words)}$") as caught:
        chat(think=given)
    assert caught.value.status == 400


@pytest.mark.parametrize("given", [21, -1])
@pytest.mark.parametrize("parse", [chat, generate])
def test_top_logprobs_has_a_range(given: int, parse: Any) -> None:
    """It is looked at before the model's name (C105)."""
    with pytest.raises(BadRequest, match=r"^top_logprobs must be between 0 and 20$"):
        parse(top_logprobs=given, model="")


@pytest.mark.parametrize(
    ("fields", "sent"),
    [
        ({"logprobs": True}, {"logprobs": True}),
        ({"logprobs": True, "top_logprobs": 3}, {"logprobs": True, "top_logprobs": 3}),
        ({"top_logprobs": 3}, {}),
        ({"logprobs": False}, {}),
    ],
)
def test_logprobs_are_asked_for_as_openai_wants_it(fields: dict[str, Any], sent: dict[str, Any]) -> None:
    """The number means nothing without the switch."""
    body = chat(**fields).call.body
    assert {key: body[key] for key in ("logprobs", "top_logprobs") if key in body} == sent
