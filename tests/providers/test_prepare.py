"""Requests as each provider takes them: fields, operations, and what costs nothing."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import Raw

from ollama_proxy.errors import BadRequest
from ollama_proxy.providers import Prepared, load
from ollama_proxy.types import Model, Operation
from tests.support.strict_upstreams import as_json

PROVIDERS = load()
MODELS = {
    "google": ["gemini-2.5-flash", "gemini-2.5-pro", "gemini-3-pro-preview", "gemini-3.5-flash", "gemma-4-31b-it"],
    "openrouter": ["qwen/qwen3-coder:free", "google/gemini-3.5-flash", "deepseek/deepseek-r1:free"],
    "akash": ["meta-llama/Llama-3.3-70B-Instruct"],
    "cohere": ["command-a-03-2025", "command-a-reasoning-08-2025"],
    "codestral": ["codestral-latest"],
    "qwen": ["qwen3-max", "qwen3-8b", "qwq-plus", "qwen3-coder-plus", "deepseek-v4-pro"],
}
SIX = list(MODELS)
HELLO = [{"role": "user", "content": "hello"}]
TOOL = {
    "type": "function",
    "function": {"name": "look_up", "parameters": {"type": "object", "properties": {"q": {"type": "string"}}}},
}


def prepare(provider: str, model: str = "", stream: bool = True, /, **fields: Any) -> Prepared:
    return PROVIDERS[provider].prepare(
        Operation.CHAT, model or MODELS[provider][0], {"messages": HELLO, **fields}, stream
    )


def raw(body: dict[str, Any]) -> dict[str, Any]:
    """A body as the OpenAI face hands it on: decoded one level deep."""
    return {key: Raw(msgspec.json.encode(value)) for key, value in body.items()}


# --- nothing to change ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", SIX)
def test_a_plain_request_stays_json_text(provider: str) -> None:
    """The hot path decides on field names; nobody decodes a plain conversation into objects."""
    messages = Raw(msgspec.json.encode([{"role": "system", "content": "be brief"}, *HELLO]))
    prepared = PROVIDERS[provider].prepare(Operation.CHAT, "m", {"messages": messages, "top_p": Raw(b"0.5")}, True)
    assert prepared.body["messages"] is messages
    assert prepared.dropped == ()


@pytest.mark.parametrize("provider", SIX)
def test_model_and_stream_are_added(provider: str) -> None:
    """A hub body has neither of its own."""
    body = as_json(prepare(provider, "some-model", False, temperature=0.5).body)
    assert (body["model"], body["stream"]) == ("some-model", False)


def test_a_model_inside_the_body_does_not_win() -> None:
    """F88: nobody chooses the target in the body."""
    prepared = PROVIDERS["openrouter"].prepare(
        Operation.CHAT, "right", {"model": "wrong", "stream": 7, "messages": HELLO}, True
    )
    assert (prepared.body["model"], prepared.body["stream"]) == ("right", True)
    prepared = PROVIDERS["cohere"].prepare(Operation.CHAT, "right", {"model": "wrong", "messages": [], "n": 2}, True)
    assert prepared.body["model"] == "right"


@pytest.mark.parametrize(
    "field", ["logprobs", "service_tier", "metadata", "provider", "transforms", "made_up_tomorrow"]
)
def test_openrouter_gets_every_field_it_may_know(field: str) -> None:
    """A pass-through: what is not known to be refused goes up."""
    prepared = PROVIDERS["openrouter"].prepare(Operation.CHAT, "m", {"messages": HELLO, field: {"a": 1}}, True)
    assert prepared.body[field] == {"a": 1}


@pytest.mark.parametrize("provider", SIX)
def test_a_limit_of_the_answer_stays_json_text_where_it_fits(provider: str) -> None:
    """Most requests have one; only one that the model cannot keep takes the long way."""
    model = Model(provider, "m", max_output=100)
    messages = Raw(msgspec.json.encode(HELLO))
    for given, sent in ((Raw(b"100"), Raw(b"100")), (Raw(b"101"), 100)):
        body = {"messages": messages, "max_tokens": given}
        prepared = PROVIDERS[provider].prepare(Operation.CHAT, "m", body, True, model)
        assert prepared.body["max_tokens"] == sent
        assert prepared.dropped == (() if given == sent else ("max_tokens",))
        assert prepared.body["messages"] is messages
        assert body["max_tokens"] is given


# --- the field matrix -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", ["google", "cohere", "codestral", "qwen"])
def test_max_completion_tokens_is_renamed(provider: str) -> None:
    """They know the older name only."""
    body = prepare(provider, max_completion_tokens=9).body
    assert body["max_tokens"] == 9
    assert "max_completion_tokens" not in body


@pytest.mark.parametrize("provider", ["openrouter", "akash"])
def test_max_completion_tokens_is_kept_where_it_is_known(provider: str) -> None:
    """Both names are accepted there."""
    assert prepare(provider, max_completion_tokens=9).body["max_completion_tokens"] == 9


def test_of_two_names_for_one_thing_the_providers_own_wins() -> None:
    """And the other one is reported."""
    prepared = prepare("google", max_tokens=5, max_completion_tokens=9)
    assert prepared.body["max_tokens"] == 5
    assert prepared.dropped == ("max_completion_tokens",)


def test_seed_is_renamed_for_mistral_and_dropped_for_gemini() -> None:
    """422 extra_forbidden there, "Unknown name" here."""
    assert prepare("codestral", seed=7).body["random_seed"] == 7
    assert "seed" not in prepare("codestral", seed=7).body
    assert prepare("google", seed=7).dropped == ("seed",)


def test_repeat_penalty_goes_by_the_name_that_servers_know() -> None:
    """Ollama's name is nobody else's."""
    assert prepare("akash", repeat_penalty=1.1).body["repetition_penalty"] == 1.1
    assert prepare("google", repeat_penalty=1.1).dropped == ("repeat_penalty",)


@pytest.mark.parametrize(
    ("provider", "asked", "sent"),
    [
        ("cohere", 1.8, 1),
        ("codestral", 1.8, 1.5),
        ("qwen", 2, 1.99),
        ("cohere", -1, 0),
        ("google", 1.8, 1.8),
        ("cohere", 0.3, 0.3),
    ],
)
def test_temperature_stays_within_the_providers_range(provider: str, asked: float, sent: float) -> None:
    """A value out of range is a 400 there; the nearest one is what was meant."""
    assert prepare(provider, temperature=asked).body["temperature"] == sent


def test_no_more_than_five_stop_texts_for_gemini() -> None:
    """The sixth is a 400."""
    prepared = prepare("google", stop=list("abcdefg"))
    assert prepared.body["stop"] == list("abcde")
    assert prepared.dropped == ("stop",)
    assert prepare("google", stop="a").body["stop"] == "a"


def test_only_one_penalty_for_cohere() -> None:
    """Some of its models refuse both at once."""
    prepared = prepare("cohere", frequency_penalty=0.5, presence_penalty=0.5)
    assert "presence_penalty" not in prepared.body
    assert prepared.dropped == ("presence_penalty",)
    assert prepare("cohere", frequency_penalty=0, presence_penalty=0.5).body["presence_penalty"] == 0.5


@pytest.mark.parametrize("provider", ["google", "cohere", "codestral"])
def test_stream_options_go_where_they_are_known(provider: str) -> None:
    """The three send usage unasked, so nothing is lost and nothing is reported."""
    prepared = prepare(provider, stream_options={"include_usage": True})
    assert "stream_options" not in prepared.body
    assert prepared.dropped == ()


@pytest.mark.parametrize("provider", ["openrouter", "akash", "qwen", "openai"])
def test_stream_options_go_with_a_stream_only(provider: str) -> None:
    """OpenAI and DashScope refuse them beside "stream": false."""
    options = {"include_usage": True}
    assert prepare(provider, "m", stream_options=options).body["stream_options"] == options
    assert "stream_options" not in prepare(provider, "m", False, stream_options=options).body


@pytest.mark.parametrize("provider", list(PROVIDERS))
@pytest.mark.parametrize("empty", [[], None], ids=repr)
def test_empty_tools_are_dropped_with_what_belongs_to_them(provider: str, empty: object) -> None:
    """`"tools": []` is refused by DashScope, Mistral and Gemini."""
    for body in ({"tools": empty}, raw({"tools": empty})):
        prepared = prepare(provider, "m", **body, tool_choice="auto", parallel_tool_calls=True)
        assert not {"tools", "tool_choice", "parallel_tool_calls"} & prepared.body.keys()


@pytest.mark.parametrize("provider", list(PROVIDERS))
def test_a_choice_without_tools_is_dropped(provider: str) -> None:
    """OpenAI refuses tool_choice without tools."""
    assert "tool_choice" not in prepare(provider, "m", tool_choice="required").body


@pytest.mark.parametrize("provider", list(PROVIDERS))
@pytest.mark.parametrize("field", ["num_ctx", "mirostat", "use_mmap", "keep_alive", "options"])
def test_ollamas_own_options_never_leave(provider: str, field: str) -> None:
    """They are about a model on this machine."""
    prepared = prepare(provider, "m", **{field: 1})
    assert field not in prepared.body
    assert prepared.dropped == (field,)


@pytest.mark.parametrize("provider", list(PROVIDERS))
@pytest.mark.parametrize("field", ["api_key", "api_base", "base_url", "extra_headers", "user_config"])
def test_no_field_can_choose_another_server_or_key(provider: str, field: str) -> None:
    """F88."""
    assert field not in prepare(provider, "m", **{field: "http://evil.test"}).body


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("n", 1),
        ("frequency_penalty", 0),
        ("frequency_penalty", 0.0),
        ("logprobs", False),
        ("store", None),
        ("user", None),
    ],
)
def test_to_drop_a_default_is_no_loss(field: str, value: object) -> None:
    """Many clients send them always; only what the client would miss is reported."""
    prepared = prepare("google", **{field: value})
    assert field not in prepared.body
    assert prepared.dropped == ()


def test_names_of_dropped_fields_can_stand_in_a_header() -> None:
    """F75, F91: the client chose them."""
    strange = {"a\r\nx: y": 1, "ключ": 1, "": 1, "x" * 100: 1, "fine-name": 1, **{f"f{i}": 1 for i in range(50)}}
    dropped = prepare("google", **strange).dropped
    assert "fine-name" in dropped
    assert len(dropped) <= 20
    assert all(name.isascii() and name.isprintable() and "," not in name and ":" not in name for name in dropped)


def test_openais_reasoning_models_get_their_own_fields() -> None:
    """They refuse max_tokens, and a temperature."""
    prepared = prepare("openai", "gpt-5.2", max_tokens=9, temperature=0.2)
    assert prepared.body["max_completion_tokens"] == 9
    assert prepared.dropped == ("temperature",)
    assert prepare("openai", "gpt-4o", max_tokens=9, temperature=0.2).body["max_tokens"] == 9


JSON = {"type": "json_object"}


@pytest.mark.parametrize("provider", ["qwen", "openai", "groq", "deepseek", "codestral"])
def test_a_json_answer_is_asked_for_in_words_too(provider: str) -> None:
    """They refuse JSON mode, or run on, where the conversation does not hold the word, and few clients say it."""
    hint = {"role": "system", "content": "Answer in JSON."}
    assert prepare(provider, "m", response_format=JSON).body["messages"] == [hint, *HELLO]
    system = {"role": "system", "content": "Be brief."}
    both = prepare(provider, "m", response_format=JSON, messages=[system, *HELLO]).body["messages"]
    assert both == [{"role": "system", "content": "Be brief.\n\nAnswer in JSON."}, *HELLO]


@pytest.mark.parametrize("said", ["in JSON, please", "as json", "a Json object"])
def test_who_has_said_json_is_not_told_again(said: str) -> None:
    """Nothing is added that is not needed."""
    messages = [{"role": "user", "content": said}]
    assert prepare("qwen", "m", response_format=JSON, messages=messages).body["messages"] == messages
    assert prepare("google", response_format=JSON).body["messages"] == HELLO


# --- other operations -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", ["google", "openrouter", "cohere", "qwen", "mistral"])
def test_embeddings_have_no_stream(provider: str) -> None:
    """It is an unknown field there."""
    prepared = PROVIDERS[provider].prepare(Operation.EMBEDDINGS, "e", {"input": ["a"]}, False)
    assert prepared.body == {"model": "e", "input": ["a"]}
    assert prepared.path == "/embeddings"


def test_embeddings_send_what_the_provider_knows() -> None:
    """dimensions: Gemini yes, Cohere no, Mistral by another name; DashScope gives floats only."""
    body = {"input": "a", "dimensions": 64, "encoding_format": "base64", "user": "u"}

    def sent(provider: str) -> dict[str, Any]:
        return PROVIDERS[provider].prepare(Operation.EMBEDDINGS, "e", body, False).body

    assert sent("google") == {"model": "e", "input": "a", "dimensions": 64, "encoding_format": "base64"}
    assert sent("cohere") == {"model": "e", "input": "a", "encoding_format": "base64"}
    assert sent("mistral") == {"model": "e", "input": "a", "output_dimension": 64, "encoding_format": "base64"}
    assert sent("qwen") == {"model": "e", "input": "a", "dimensions": 64}


def test_filling_in_goes_to_its_own_path() -> None:
    """Codestral's fim endpoint refuses every field of chat that it does not know."""
    body = {"prompt": "def f(", "suffix": "return 1", "seed": 1, "top_k": 5, "stream_options": {}, "max_tokens": 9}
    prepared = PROVIDERS["codestral"].prepare(Operation.FIM, "codestral-latest", body, True)
    assert prepared.path == "/fim/completions"
    assert prepared.body == {
        "model": "codestral-latest",
        "prompt": "def f(",
        "suffix": "return 1",
        "random_seed": 1,
        "max_tokens": 9,
        "stream": True,
    }
    assert prepared.dropped == ("top_k",)


def test_an_operation_that_is_not_offered_is_said_so() -> None:
    """A clear 400, and no call to a path that is not there."""
    with pytest.raises(BadRequest, match="does not offer fill-in-the-middle"):
        PROVIDERS["google"].prepare(Operation.FIM, "m", {"prompt": "a"}, True)
    with pytest.raises(BadRequest, match="does not offer embeddings"):
        PROVIDERS["codestral"].prepare(Operation.EMBEDDINGS, "m", {"input": "a"}, True)
    assert not PROVIDERS["akash"].offers(Operation.EMBEDDINGS)
    assert PROVIDERS["codestral"].offers(Operation.FIM)
