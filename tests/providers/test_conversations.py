"""Conversations as each provider takes them: roles, foreign words, calls and their answers."""

from __future__ import annotations

from typing import Any

import pytest

from ollama_proxy.providers import Prepared, load
from ollama_proxy.types import Operation

PROVIDERS = load()
USER = {"role": "user", "content": "hello"}


def call(call_id: str | None = "call_1", name: str = "look_up", arguments: Any = "{}", **more: Any) -> dict[str, Any]:
    identity = {} if call_id is None else {"id": call_id}
    return {**identity, "type": "function", "function": {"name": name, "arguments": arguments}, **more}


def asks(*calls: dict[str, Any], content: str | None = "") -> dict[str, Any]:
    return {"role": "assistant", "content": content, "tool_calls": list(calls)}


def answer(call_id: str | None = "call_1", content: str = "found", **more: Any) -> dict[str, Any]:
    identity = {} if call_id is None else {"tool_call_id": call_id}
    return {"role": "tool", "content": content, **identity, **more}


def prepare(provider: str, *messages: dict[str, Any], model: str = "m", **fields: Any) -> Prepared:
    return PROVIDERS[provider].prepare(Operation.CHAT, model, {"messages": list(messages), **fields}, True)


def sent(provider: str, *messages: dict[str, Any], model: str = "m") -> list[dict[str, Any]]:
    result: list[dict[str, Any]] = prepare(provider, *messages, model=model).body["messages"]
    return result


def roles(messages: list[dict[str, Any]]) -> list[str]:
    return [message["role"] for message in messages]


# --- roles and foreign words ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", ["google", "akash", "cohere", "codestral", "qwen"])
def test_a_developer_becomes_the_system(provider: str) -> None:
    """Only OpenAI and OpenRouter know the newer word."""
    assert roles(sent(provider, {"role": "developer", "content": "be brief"}, USER)) == ["system", "user"]


@pytest.mark.parametrize("provider", ["openai", "openrouter"])
def test_a_developer_stays_where_it_is_known(provider: str) -> None:
    """And the conversation is plain there."""
    assert roles(sent(provider, {"role": "developer", "content": "be brief"}, USER)) == ["developer", "user"]


@pytest.mark.parametrize("provider", ["google", "openrouter", "akash", "cohere", "codestral", "qwen", "groq"])
def test_names_of_people_are_dropped(provider: str) -> None:
    """Mistral answers 422 to them, Groq 400."""
    assert sent(provider, {**USER, "name": "ann"}) == [USER]


FOREIGN: dict[str, Any] = {
    "reasoning": "r",
    "reasoning_content": "r",
    "reasoning_details": [{}],
    "thinking": "r",
    "extra_content": {"google": {"thought_signature": "s"}},
    "refusal": None,
    "annotations": [],
    "audio": None,
}


@pytest.mark.parametrize("provider", ["akash", "cohere", "codestral", "qwen", "together", "local"])
def test_words_of_other_providers_are_taken_out_of_the_history(provider: str) -> None:
    """A client sends back what it got; the next provider has never heard of it."""
    said = {"role": "assistant", "content": "yes", **FOREIGN}
    assert sent(provider, USER, said, USER)[1] == {"role": "assistant", "content": "yes"}


def test_each_gets_its_own_words_back() -> None:
    """Gemini its signatures, OpenRouter its reasoning details, DeepSeek its reasoning."""
    said = {"role": "assistant", "content": "yes", **FOREIGN}
    assert sent("google", USER, said, USER)[1] == {
        "role": "assistant",
        "content": "yes",
        "extra_content": {"google": {"thought_signature": "s"}},
    }
    assert sent("openrouter", USER, said, USER)[1]["reasoning_details"] == [{}]
    assert "reasoning_content" not in sent("openrouter", USER, said, USER)[1]
    assert sent("deepseek", USER, said, USER)[1]["reasoning_content"] == "r"


@pytest.mark.parametrize("field", ["reasoning", "thinking", "reasoning_content"])
def test_thoughts_go_back_under_the_name_that_is_read(field: str) -> None:
    """DeepSeek answers 400 when the thoughts beside a call do not come back, whatever the client calls them."""
    history = [USER, {**asks(call()), field: "hm"}, answer()]
    assert sent("deepseek", *history)[1]["reasoning_content"] == "hm"
    assert sent("openrouter", *history)[1]["reasoning"] == "hm"


@pytest.mark.parametrize("provider", ["google", "cohere", "codestral"])
def test_empty_messages_are_left_out(provider: str) -> None:
    """An empty text is refused; clients leave empty turns behind when an answer was stopped."""
    assert sent(provider, USER, {"role": "assistant", "content": ""}, {"role": "user", "content": None}, USER) in (
        [USER, USER],
        [USER, USER],
    )


@pytest.mark.parametrize("provider", ["google", "cohere", "codestral"])
def test_unknown_fields_of_parts_are_left_out(provider: str) -> None:
    """Cache marks of other vendors, say."""
    parts = [
        {"type": "text", "text": "see", "cache_control": {"type": "ephemeral"}},
        {"type": "text", "text": ""},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
    ]
    (message,) = sent(provider, {"role": "user", "content": parts})
    assert message["content"] == [{"type": "text", "text": "see"}, parts[2]]


@pytest.mark.parametrize("provider", ["google", "cohere", "codestral"])
def test_a_system_message_alone_becomes_the_users(provider: str) -> None:
    """Gemini: "contents is not specified"."""
    assert roles(sent(provider, {"role": "system", "content": "a poem, please"})) == ["user"]


@pytest.mark.parametrize("provider", ["cohere", "codestral"])
def test_system_messages_come_first_and_as_one(provider: str) -> None:
    """Wherever the client put them."""
    messages = sent(provider, USER, {"role": "system", "content": "a"}, {"role": "system", "content": "b"}, USER)
    assert messages == [{"role": "system", "content": "a\n\nb"}, USER, USER]


# --- calls and answers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", list(PROVIDERS))
def test_an_answer_without_id_belongs_to_the_first_open_call(provider: str) -> None:
    """ollama-python and Home Assistant send neither ids nor names."""
    history = [USER, asks(call(None, "one"), call(None, "two")), answer(None, "1"), answer(None, "2")]
    messages = [m for m in sent(provider, *history) if m["role"] in ("assistant", "tool")]
    ids = [c["id"] for c in messages[0]["tool_calls"]]
    assert len(set(ids)) == 2
    assert [(m["tool_call_id"], m["content"]) for m in messages[1:]] == [(ids[0], "1"), (ids[1], "2")]


def test_an_answer_with_a_name_belongs_to_the_call_of_that_name() -> None:
    """ai-sdk-ollama and Zed send a name and no id."""
    history = [
        USER,
        asks(call("a", "one"), call("b", "two")),
        answer(None, "2", tool_name="two"),
        answer(None, "1", name="one"),
    ]
    answers = [m for m in sent("together", *history) if m["role"] == "tool"]
    assert [(m["tool_call_id"], m["content"]) for m in answers] == [("b", "2"), ("a", "1")]


@pytest.mark.parametrize("provider", ["google", "openrouter", "akash", "cohere", "codestral", "qwen"])
def test_an_answer_without_a_call_becomes_the_users_text(provider: str) -> None:
    """litellm and aider drop the calls from the history."""
    messages = sent(provider, USER, answer("lost", "sunny", name="weather"), USER)
    assert messages[1]["role"] == "user"
    assert "sunny" in messages[1]["content"]
    assert "weather" in messages[1]["content"]


@pytest.mark.parametrize("provider", ["google", "openrouter", "akash", "cohere", "codestral", "qwen"])
def test_a_call_without_an_answer_gets_one(provider: str) -> None:
    """Gemini: the number of answers must be that of the calls."""
    messages = sent(provider, USER, asks(call("a"), call("b")), answer("b"), USER)
    answers = [m["content"] for m in messages if m["role"] == "tool"]
    assert answers == ["found", "(no result)"]


def test_a_second_answer_to_one_call_is_not_one() -> None:
    """Cohere refuses duplicates."""
    messages = sent("cohere", USER, asks(call()), answer(), answer(content="again"), USER)
    assert roles(messages) == ["user", "assistant", "tool", "user", "user"]


def test_ids_used_in_two_turns_are_told_apart() -> None:
    """Some clients count from call_0 in every turn."""
    history = [USER, asks(call("call_0")), answer("call_0", "first"), asks(call("call_0")), answer("call_0", "second")]
    messages = sent("cohere", *history)
    answers = {m["tool_call_id"]: m["content"] for m in messages if m["role"] == "tool"}
    assert list(answers.values()) == ["first", "second"]


def test_made_up_ids_are_the_same_in_the_next_request() -> None:
    """A provider's prompt cache sees the same conversation."""
    history = [USER, asks(call(None)), answer(None)]
    assert sent("openrouter", *history) == sent("openrouter", *history, USER)[:3]


@pytest.mark.parametrize("provider", list(PROVIDERS))
def test_arguments_are_text(provider: str) -> None:
    """Ollama's clients send objects; every provider wants JSON text."""
    for arguments, text in (({"q": "x"}, '{"q":"x"}'), ("", "{}"), (None, "{}"), ('{"a": 1}', '{"a": 1}')):
        messages = sent(provider, USER, asks(call(arguments=arguments)), answer())
        assert messages[1]["tool_calls"][0]["function"]["arguments"] == text


def test_an_empty_list_of_calls_is_no_list() -> None:
    """vLLM writes it into plain answers, OpenAI refuses it in the history."""
    assert sent("openai", USER, {"role": "assistant", "content": "x", "tool_calls": []}, USER)[1] == {
        "role": "assistant",
        "content": "x",
    }


def test_cohere_gets_known_fields_of_calls_only() -> None:
    """422: tool_calls[].index."""
    messages = sent("cohere", USER, asks(call(index=0, extra_content={"google": {}})), answer(name="look_up"))
    assert messages[1] == {"role": "assistant", "tool_calls": [call()]}
    assert messages[2] == answer()


# --- Mistral ----------------------------------------------------------------------------------------------------------


def test_call_ids_have_nine_letters_or_digits() -> None:
    """400, code 3280, for any other; the call and its answer get the same one."""
    prepared = prepare("codestral", USER, asks(call("call_abcdef123456")), answer("call_abcdef123456"))
    made = prepared.body["messages"][1]["tool_calls"][0]["id"]
    assert len(made) == 9
    assert made.isalnum()
    assert prepared.body["messages"][2]["tool_call_id"] == made
    assert prepared.ids == {made: "call_abcdef123456"}


def test_an_id_that_fits_is_kept() -> None:
    """Mistral's own ids come back as they were."""
    prepared = prepare("codestral", USER, asks(call("abcDEF123")), answer("abcDEF123"))
    assert prepared.body["messages"][1]["tool_calls"][0]["id"] == "abcDEF123"
    assert prepared.ids == {}


def test_the_same_id_is_always_mapped_to_the_same_nine() -> None:
    """The next request repeats this one."""
    first, second = (prepare("codestral", USER, asks(call("x")), answer("x")).ids for _ in range(2))
    assert first == second


def test_the_assistant_speaks_between_a_tool_and_the_user() -> None:
    """400, code 3230: unexpected role 'user' after role 'tool'."""
    assert roles(sent("codestral", USER, asks(call()), answer(), USER)) == [
        "user",
        "assistant",
        "tool",
        "assistant",
        "user",
    ]


def test_a_last_turn_of_the_assistant_is_to_be_continued() -> None:
    """400, code 3230: expected last role User or Tool (or Assistant with prefix True)."""
    last = sent("codestral", USER, {"role": "assistant", "content": "Once upon"})[-1]
    assert last == {"role": "assistant", "content": "Once upon", "prefix": True}


def test_a_name_stands_on_tool_messages_only_and_is_not_empty() -> None:
    """422 for any other."""
    assert sent("codestral", USER, asks(call()), answer(name="look_up"))[2]["name"] == "look_up"
    assert "name" not in sent("codestral", USER, asks(call()), answer(name=""))[2]


# --- Gemini -----------------------------------------------------------------------------------------------------------


def test_gemini_3_gets_a_stand_in_for_a_lost_signature() -> None:
    """400 otherwise; Ollama's clients cannot carry it. Only calls after the last user's turn are checked."""
    history = [USER, asks(call("a")), answer("a"), USER, asks(call("b"), call("c")), answer("b"), answer("c")]
    messages = sent("google", *history, model="gemini-3-flash-preview")
    assert "extra_content" not in messages[1]["tool_calls"][0]
    first, second = messages[4]["tool_calls"]
    assert first["extra_content"] == {"google": {"thought_signature": "skip_thought_signature_validator"}}
    assert "extra_content" not in second


def test_a_signature_that_is_there_goes_back_unchanged() -> None:
    """Wrong ones are refused."""
    own = {"google": {"thought_signature": "own"}}
    messages = sent("google", USER, asks(call(extra_content=own)), answer(), model="gemini-3-flash-preview")
    assert messages[1]["tool_calls"][0]["extra_content"] == own


def test_other_models_need_no_signature() -> None:
    """Gemini 2.5 does not ask for one."""
    messages = sent("google", USER, asks(call()), answer(), model="gemini-2.5-flash")
    assert "extra_content" not in messages[1]["tool_calls"][0]


@pytest.mark.parametrize("provider", ["openrouter", "akash", "cohere", "codestral", "qwen", "together"])
def test_signatures_go_to_gemini_only(provider: str) -> None:
    """They are bound to the provider that made them."""
    messages = sent(provider, USER, asks(call(extra_content={"google": {"thought_signature": "s"}})), answer())
    assert "extra_content" not in messages[1]["tool_calls"][0]


def test_answers_carry_the_functions_name() -> None:
    """Gemini's own form knows answers by name."""
    assert sent("google", USER, asks(call(name="look_up")), answer())[2]["name"] == "look_up"


def test_a_conversation_cut_in_a_tools_turn_begins_with_the_user() -> None:
    """Clients that shorten a history cut it anywhere."""
    assert roles(sent("google", asks(call()), answer(), USER)) == ["user", "assistant", "tool", "user"]
    assert roles(sent("google", {"role": "system", "content": "s"}, asks(call()), answer())) == [
        "system",
        "user",
        "assistant",
        "tool",
    ]


def test_two_turns_of_the_assistant_become_one() -> None:
    """A call must follow a user's turn or a tool's answer directly."""
    messages = sent(
        "google", USER, {"role": "assistant", "content": "I will look."}, asks(call(), content=None), answer()
    )
    assert messages[1] == {"role": "assistant", "content": "I will look.", "tool_calls": [call()]}
