"""What reaches the provider of a request to /api/chat, and what is refused before it does."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.support.contract import CHAT, DEEP, JSON, NO_TOOLS, PLAIN, World

OPEN = "openrouter:openai/gpt-4o-mini"
TEXT = {"role": "user", "content": "What is this?"}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
PICTURES = {
    "image/png": b"\x89PNG\r\n\x1a\n" + bytes(16),
    "image/jpeg": b"\xff\xd8\xff\xe0" + bytes(16),
    "image/gif": b"GIF89a" + bytes(16),
    "image/webp": b"RIFF\x10\x00\x00\x00WEBPVP8 " + bytes(8),
}
SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def chat(world: World, model: str = OPEN, **more: Any) -> dict[str, Any]:
    """What the provider was sent for a request that was served."""
    assert world.chat(model, **more).status == 200
    return world.sent


# --- messages ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", PICTURES)
def test_pictures_become_parts_behind_the_text(world: World, kind: str) -> None:
    """C86: one image_url each, with the type that their bytes show."""
    data = b64(PICTURES[kind])
    sent = chat(world, CHAT, messages=[{**TEXT, "images": [data, data]}])
    part = {"type": "image_url", "image_url": {"url": f"data:{kind};base64,{data}"}}
    assert sent["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "What is this?"}, part, part]},
    ]


def test_a_message_without_pictures_keeps_its_text(world: World) -> None:
    """C87: a plain string, whatever others of the conversation hold."""
    picture = {**TEXT, "images": [b64(PICTURES["image/png"])]}
    said = {"role": "assistant", "content": "A picture."}
    sent = chat(world, CHAT, messages=[picture, said, {**TEXT, "images": []}])
    assert [type(message["content"]) for message in sent["messages"]] == [list, str, str]


@pytest.mark.parametrize("role", ["System", "SYSTEM", "system"])
def test_roles_have_no_case(world: World, role: str) -> None:
    """C88: they reach the provider in lower case."""
    sent = chat(world, messages=[{"role": role, "content": "Be brief."}, TEXT])
    assert sent["messages"] == [{"role": "system", "content": "Be brief."}, TEXT]


@pytest.mark.parametrize("path", ["/api/chat", "/api/generate"])
def test_a_data_url_is_no_base64(world: World, path: str) -> None:
    """C89: the first byte that is none is named."""
    images = [f"data:image/png;base64,{b64(PICTURES['image/png'])}"]
    chat_body = {"model": CHAT, "messages": [{**TEXT, "images": images}]}
    body = chat_body if path == "/api/chat" else {"model": CHAT, "prompt": "What is this?", "images": images}
    world.post(path, body).assert_error(400, "illegal base64 data at input byte 4")
    assert not world.arrivals


@pytest.mark.parametrize("content", [[{"type": "text", "text": "hi"}], {"text": "hi"}, 1, True])
def test_content_is_text(world: World, content: Any) -> None:
    """C90: parts are OpenAI's form, not Ollama's."""
    world.chat(messages=[{"role": "user", "content": content}]).assert_error(400, begins="json: cannot unmarshal ")


# --- format -----------------------------------------------------------------------------------------------------------


def test_formats_become_response_formats(world: World) -> None:
    """C91: JSON mode, or a schema with all that it holds."""
    assert chat(world, format="json")["response_format"] == {"type": "json_object"}
    world.fresh()
    sent = chat(world, format=SCHEMA)["response_format"]
    assert sent["type"] == "json_schema"
    assert sent["json_schema"]["schema"] == SCHEMA
    for nothing in ("", None):
        world.fresh()
        assert world.post("/api/chat", {"model": OPEN, "messages": [TEXT], "format": nothing}).status == 200
        assert "response_format" not in world.sent


@pytest.mark.parametrize("value", ["xml", 5, True, []])
def test_another_format_is_refused_as_ollama_does(world: World, value: Any) -> None:
    """C92: status 500, with the words that name what is allowed."""
    answer = world.chat(format=value)
    answer.assert_error(500, begins="invalid format: ", ends='; expected "json" or a valid JSON Schema object')
    assert not world.arrivals


# --- options ----------------------------------------------------------------------------------------------------------

OPTIONS = {
    "temperature": 0.25,
    "top_p": 0.5,
    "seed": 42,
    "stop": ["END", "\n\n"],
    "presence_penalty": 0.5,
    "frequency_penalty": -0.5,
}
#: What a provider never hears of.
HARDWARE = {
    "num_ctx": 8192,
    "num_gpu": 1,
    "main_gpu": 0,
    "num_thread": 4,
    "num_batch": 512,
    "num_keep": 4,
    "repeat_last_n": 64,
    "typical_p": 0.7,
    "use_mmap": True,
    "mirostat": 2,
    "mirostat_tau": 5.0,
    "mirostat_eta": 0.1,
    "tfs_z": 1,
    "penalize_newline": True,
    "low_vram": False,
    "f16_kv": True,
    "numa": False,
    "nonsense": "x",
}


@pytest.mark.parametrize("path", ["/api/chat", "/api/generate"])
def test_options_arrive_unchanged(world: World, path: str) -> None:
    """C93 C141: under the names that chat completions have for them."""
    options = {**OPTIONS, "num_predict": 77}
    ask: dict[str, Any] = {"messages": [TEXT]} if path == "/api/chat" else {"prompt": "What is this?"}
    assert world.post(path, {"model": OPEN, "stream": False, "options": options, **ask}).status == 200
    assert {name: world.sent[name] for name in OPTIONS} == OPTIONS
    assert 77 in (world.sent.get("max_tokens"), world.sent.get("max_completion_tokens"))


@pytest.mark.parametrize("limit", [-1, -2])
def test_no_limit_is_not_sent(world: World, limit: int) -> None:
    """C94: as many tokens as it takes."""
    sent = chat(world, options={"num_predict": limit})
    assert not {"max_tokens", "max_completion_tokens"} & sent.keys()


@pytest.mark.parametrize("model", [OPEN, "akash:meta-llama/Llama-3.3-70B-Instruct", PLAIN])
def test_nothing_is_sent_that_the_client_did_not_set(world: World, model: str) -> None:
    """C95: Ollama's defaults are no wishes of the client."""
    sent = chat(world, model)
    assert sent.keys() <= {"model", "messages", "stream"}


@pytest.mark.parametrize("path", ["/api/chat", "/api/generate"])
def test_hardware_is_nobodys_business(world: World, path: str) -> None:
    """C96: options about it, old ones and unknown ones are neither sent nor an error."""
    ask: dict[str, Any] = {"messages": [TEXT]} if path == "/api/chat" else {"prompt": "What is this?"}
    assert world.post(path, {"model": OPEN, "stream": False, "options": HARDWARE, **ask}).status == 200
    assert world.sent.keys() <= {"model", "messages", "stream"}


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"temperature": "hot"}, 'option "temperature" must be of type float32'),
        ({"stop": "x"}, 'option "stop" must be of type array'),
        ({"stop": [1]}, 'option "stop" must be of an array of strings'),
        ({"seed": "x"}, 'option "seed" must be of type integer'),
        ({"use_mmap": 1}, 'option "use_mmap" must be of type boolean'),
    ],
)
@pytest.mark.parametrize("path", ["/api/chat", "/api/generate"])
def test_an_option_of_the_wrong_type_is_named(world: World, path: str, options: dict[str, Any], text: str) -> None:
    """C97 C98: status 500, as Ollama has it."""
    ask: dict[str, Any] = {"messages": [TEXT]} if path == "/api/chat" else {"prompt": "What is this?"}
    answer = world.post(path, {"model": OPEN, "options": options, **ask})
    answer.assert_error(500, text)
    assert not world.arrivals


# --- keep_alive and think ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [300, 0.5, -1, "5m", "1h30m", "0", "0s", "-1m", "300ms", None])
@pytest.mark.parametrize("path", ["/api/chat", "/api/generate", "/api/embed"])
def test_keep_alive_takes_numbers_and_durations(world: World, path: str, value: Any) -> None:
    """C99: and none of it reaches the provider."""
    ask: dict[str, Any] = {"messages": [TEXT], "prompt": "hi", "input": "hi", "stream": False}
    model = "qwen:text-embedding-v4" if path == "/api/embed" else OPEN
    assert world.post(path, {"model": model, "keep_alive": value, **ask}).status == 200
    assert "keep_alive" not in world.sent


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("300", 'time: missing unit in duration "300"'),
        ("-1", 'time: missing unit in duration "-1"'),
        ("", 'time: invalid duration ""'),
        ("soon", 'time: invalid duration "soon"'),
        (True, "Unsupported type: 'bool'"),
    ],
)
def test_a_wrong_keep_alive_is_told_in_gos_words(world: World, value: Any, text: str) -> None:
    """C100: a text needs a unit."""
    world.chat(OPEN, keep_alive=value).assert_error(400, text)


WORDS = '"high", "medium", "low", "max", true, or false'


def test_a_wrong_think_is_told_in_ollamas_words(world: World) -> None:
    """C101: a word that is none, and no word at all."""
    world.chat(think="x").assert_error(400, f'invalid think value: "x" (must be {WORDS})')
    wrong: list[Any] = [5, ["low"], {}]
    for value in wrong:
        world.chat(think=value).assert_error(400, f"think must be a boolean or string ({WORDS})")


def budget(tokens: int) -> dict[str, Any]:
    return {"extra_body": {"google": {"thinking_config": {"include_thoughts": True, "thinking_budget": tokens}}}}


#: What each provider is asked for each wish: levels at one, tokens at another, a switch at the third.
EFFORTS: dict[str, dict[Any, dict[str, Any]]] = {
    CHAT: {
        "low": budget(1024),
        "medium": budget(8192),
        "high": budget(24576),
        "max": budget(24576),
        True: {"extra_body": {"google": {"thinking_config": {"include_thoughts": True}}}},
        False: {"reasoning_effort": "none"},
    },
    DEEP: {
        **{word: {"reasoning_effort": word} for word in ("low", "medium", "high")},
        "max": {"reasoning_effort": "xhigh"},
        True: {"reasoning": {"enabled": True}},
        False: {"reasoning_effort": "minimal"},  # this one cannot but think
    },
    "qwen:qwen-plus-latest": {
        **{word: {"enable_thinking": True} for word in ("low", "medium", "high", "max", True)},
        False: {"enable_thinking": False},
    },
}


@pytest.mark.parametrize("model", EFFORTS)
@pytest.mark.parametrize("think", ["low", "medium", "high", "max", True, False])
def test_think_becomes_the_providers_own_parameter(world: World, model: str, think: Any) -> None:
    """C102: each of Ollama's words in the provider's."""
    assert world.chat(model, think=think, stream=True).status == 200
    sent = world.sent
    assert "think" not in sent
    for name, value in EFFORTS[model][think].items():
        assert sent[name] == value


# --- what a model cannot ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("think", [True, "low", "max"])
def test_thinking_must_be_supported(world: World, think: Any) -> None:
    """C103: the model's name in quotes."""
    world.chat(PLAIN, think=think).assert_error(400, f'"{PLAIN}" does not support thinking')
    world.generate(PLAIN, think=think).assert_error(400, f'"{PLAIN}" does not support thinking')
    assert not world.arrivals


def test_not_thinking_is_what_any_model_can(world: World) -> None:
    """C103: false is taken, and nothing is asked of the provider."""
    assert chat(world, PLAIN, think=False).keys() <= {"model", "messages", "stream"}


def test_tools_must_be_supported(world: World) -> None:
    """C104: told under the fully qualified name."""
    world.chat(NO_TOOLS, tools=[TOOL]).assert_error(400, ends=" does not support tools")
    assert not world.arrivals
    assert world.chat(NO_TOOLS, tools=[]).status == 200


@pytest.mark.parametrize("value", [21, -1])
def test_top_logprobs_has_a_range(world: World, value: int) -> None:
    """C105: 0 to 20, before the model is looked at."""
    world.chat("nope", logprobs=True, top_logprobs=value).assert_error(400, "top_logprobs must be between 0 and 20")
    world.generate("nope", top_logprobs=value).assert_error(400, "top_logprobs must be between 0 and 20")


def test_a_tools_schema_is_the_clients(world: World) -> None:
    """C106: every keyword of JSON schema reaches a provider that knows them."""
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer", "minimum": 1, "default": 3, "examples": [1]}},
        "required": ["n"],
        "additionalProperties": False,
        "$defs": {"a": {"type": "string", "format": "uuid"}},
    }
    tool = {"type": "function", "function": {"name": "f", "description": "d", "parameters": schema}}
    assert chat(world, OPEN, tools=[tool])["tools"] == [tool]


def test_what_is_refused_is_told_as_json(world: World) -> None:
    """C92 C97 C103: also where a stream was asked for."""
    for more in ({"format": "xml"}, {"options": {"stop": "x"}}, {"think": True}):
        answer = world.chat(PLAIN, stream=True, **more)
        assert (answer.type, answer.chunked) == (JSON, False)
