"""Who can be called, and how somebody is added: by a table alone."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any
from urllib.parse import urlsplit

import pytest

from ollama_proxy.errors import SettingsError
from ollama_proxy.outcome import Kind, Reply, Scope
from ollama_proxy.providers import known_models, load
from ollama_proxy.providers.tables import read_table
from ollama_proxy.types import Capability, Operation

PROVIDERS = load()
HELLO = {"messages": [{"role": "user", "content": "hello"}]}


def test_the_six_are_there_without_any_settings() -> None:
    """Their keys are all that is needed."""
    six = {name for name, provider in PROVIDERS.items() if provider.seed}
    assert six == {"google", "openrouter", "akash", "cohere", "codestral", "qwen"}
    assert PROVIDERS["google"].keys_variable == "GOOGLE_API_KEYS"


def test_others_are_ready_until_a_key_is_set() -> None:
    """The ready-made tables, and the servers on this machine that need no key."""
    names = {"groq", "cerebras", "nvidia", "mistral", "deepseek", "together", "ollamacloud", "openai"}
    keyless = {"local", "vllm", "llamacpp", "lmstudio"}
    assert names | keyless <= PROVIDERS.keys()
    assert {name for name, provider in PROVIDERS.items() if provider.keyless} == keyless


def test_akash_is_asked_where_it_still_lives() -> None:
    """The former chat gateway is gone."""
    assert PROVIDERS["akash"].base_url == "https://api.akashml.com/v1"


@pytest.mark.parametrize("name", list(PROVIDERS))
def test_every_table_says_where_it_comes_from(name: str) -> None:
    """A quirk without a source is a rumour."""
    table = read_table("catalog")[name]
    assert table["source"].startswith("https://")
    assert re.fullmatch(r"20\d\d-\d\d", table["read"])
    assert table.get("keyless") or table["key_page"].startswith("https://")


@pytest.mark.parametrize("name", list(PROVIDERS))
def test_keys_travel_encrypted_or_not_at_all(name: str) -> None:
    """Plain http is for servers on this machine."""
    url = urlsplit(PROVIDERS[name].base_url)
    assert url.scheme == "https" or url.hostname == "127.0.0.1"


@pytest.mark.parametrize("name", list(PROVIDERS))
def test_a_key_is_shown_in_one_header(name: str) -> None:
    """Gemini refuses a request that carries two."""
    assert PROVIDERS[name].auth("KEY") == (b"authorization", b"Bearer KEY")


TABLE: dict[str, Any] = {
    "title": "Our own box",
    "base_url": "https://llm.example.test/api/v1/",
    "auth": {"header": "X-Api-Key", "prefix": ""},
    "paths": {"chat": "/chat", "models": ""},
    "models": ["small", "large"],
    "headers": {"X-Team": "blue"},
    "profile": "mistral",
    "refusals": ["mistral"],
    "rate_scope": "key",
    "groups": {"cheap": "small*"},
    "chat": {"drop": ["top_p"], "clamp": {"temperature": [0, 0.5]}},
    "tools": {"function_drop": ["strict"]},
}


def test_a_provider_is_added_by_a_table_alone() -> None:
    """No code knows its name."""
    box = load({"our-box": TABLE})["our-box"]
    prepared = box.prepare(Operation.CHAT, "small", {**HELLO, "top_p": 0.5, "temperature": 0.9, "seed": 1}, True)
    assert prepared.path == "/chat"
    assert prepared.headers == [(b"x-team", b"blue")]
    assert prepared.body == {"model": "small", **HELLO, "temperature": 0.5, "random_seed": 1, "stream": True}
    assert prepared.dropped == ("top_p",)
    assert box.auth("KEY") == (b"x-api-key", b"KEY")
    assert (box.base_url, box.keys_variable, box.title) == (
        "https://llm.example.test/api/v1",
        "OUR_BOX_API_KEYS",
        "Our own box",
    )
    assert (box.rate_scope, box.group("small-1"), box.group("large")) == (Scope.KEY, "cheap", None)
    assert (box.models_path, [m.id for m in box.known_models()]) == (None, ["small", "large"])
    assert (
        box.classify(Reply(400, {}, b'{"code":"3051","message":"x"}'), "small", 0.0).code == "context_length_exceeded"
    )


def test_the_shortest_table_is_an_address() -> None:
    """Any OpenAI-compatible server."""
    box = load({"box": {"base_url": "http://10.0.0.7:9000/v1"}})["box"]
    assert box.prepare(Operation.CHAT, "m", HELLO, False).path == "/chat/completions"
    assert box.models_path == "/models"
    assert box.classify(Reply(429, {b"retry-after": b"3"}, b""), "m", 0.0).kind is Kind.RATE


def test_a_table_can_change_a_built_in_provider() -> None:
    """Another address, and what goes with it; the rest stays."""
    google = load({"google": {"base_url": "http://127.0.0.1:9/x"}})["google"]
    assert google.base_url == "http://127.0.0.1:9/x"
    assert google.prepare(Operation.CHAT, "m", {**HELLO, "seed": 1}, True).dropped == ("seed",)
    assert load()["google"].base_url.startswith("https://generativelanguage.googleapis.com/")


@pytest.mark.parametrize(
    ("name", "table", "words"),
    [
        ("Box", {"base_url": "https://x/v1"}, "lower-case"),
        ("box", {}, "base_url is missing"),
        ("box", {"base_url": "ftp://x"}, "must be an address"),
        ("box", {"base_url": "https://x/v1?key=1"}, "must be an address"),
        ("box", {"base_url": 7}, "base_url has the wrong type"),
        ("qwen", {"oauth_token_url": "chat.qwen.ai"}, "oauth_token_url must be an address"),
        ("box", {"base_url": "https://x/v1", "colour": "red"}, "'colour' is not known"),
        ("box", {"base_url": "https://x/v1", "profile": "nobody"}, "profile 'nobody' is not known"),
        ("box", {"base_url": "https://x/v1", "refusals": ["nobody"]}, "refusals 'nobody' is not known"),
        ("box", {"base_url": "https://x/v1", "rate_scope": "everybody"}, "rate_scope must be one of"),
        ("box", {"base_url": "https://x/v1", "chat": {"clamp": 7}}, "cannot be used"),
        ("box", {"base_url": "https://x/v1", "tools": {"names": "("}}, "cannot be used"),
    ],
)
def test_a_table_that_cannot_work_is_refused_by_name(name: str, table: dict[str, Any], words: str) -> None:
    """The message names table and key, and says what to write."""
    with pytest.raises(SettingsError, match=re.escape(words)) as caught:
        load({name: table})
    assert f"[providers.{name}]" in caught.value.message


def test_only_the_wanted_providers_are_made_ready() -> None:
    """A start that needs two does not pay for eighteen."""
    assert list(load(only=["google", "nobody", "qwen"])) == ["google", "qwen"]


# --- where lists are --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "base_url", "list_base_url", "path"),
    [
        ("cohere", None, "https://api.cohere.ai", "/v1/models?page_size=1000"),
        (
            "cohere",
            "http://127.0.0.1:9/cohere/compatibility/v1",
            "http://127.0.0.1:9/cohere",
            "/v1/models?page_size=1000",
        ),
        ("cohere", "http://127.0.0.1:9/cohere", "http://127.0.0.1:9/cohere", "/models"),
        ("local", None, "http://127.0.0.1:11434", "/api/tags"),
        ("google", None, "https://generativelanguage.googleapis.com/v1beta/openai", "/models"),
    ],
)
def test_the_native_list_is_asked_where_the_address_is_the_known_one(
    name: str, base_url: str | None, list_base_url: str, path: str
) -> None:
    """Cohere's own list says what each model can do; another address may have the compatible one only."""
    provider = load({name: {"base_url": base_url}} if base_url else {})[name]
    assert (provider.list_base_url, provider.models_path) == (list_base_url, path)


def test_free_and_paid_models_have_allowances_of_their_own() -> None:
    """F10: the free ones rest, the paid ones go on."""
    openrouter = PROVIDERS["openrouter"]
    assert openrouter.group("deepseek/deepseek-r1:free") == ":free"
    assert openrouter.group("openai/gpt-4o") == "paid"
    assert PROVIDERS["google"].group("gemini-2.5-flash") is None


# --- what is known of models ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("provider", "model_id", "can", "context"),
    [
        ("google", "gemini-9-flash-preview", "completion tools vision thinking", 1048576),
        ("google", "GEMINI-2.5-PRO", "completion tools vision thinking", 1048576),
        ("cohere", "command-a-vision-07-2025", "completion vision", 128000),
        ("codestral", "codestral-latest", "completion tools insert", 128000),
        ("qwen", "qwen3-coder-plus", "completion tools", 997952),
        ("qwen", "text-embedding-v4", "embedding", 8192),
        ("together", "meta-llama/Llama-3.3-70B-Instruct-Turbo", "completion tools", 131072),
        ("vllm", "openai/gpt-oss-20b", "completion tools thinking", 131072),
        ("local", "llava:13b", "completion vision", None),
        ("local", "nomic-embed-text", "embedding", None),
        ("somebody", "never-heard-of", "completion tools", None),
    ],
)
def test_a_model_is_described_by_its_name(provider: str, model_id: str, can: str, context: int | None) -> None:
    """C51-C53: for ids that no list has named."""
    model = known_models().describe(provider, model_id)
    assert model.capabilities == {Capability(word) for word in can.split()}
    assert model.context == context
    assert not model.listed


def test_a_retired_model_has_a_successor() -> None:
    """From the vendors' deprecation pages."""
    assert known_models().successor("google", "gemini-3-pro-preview") == "gemini-3.1-pro-preview"
    assert known_models().successor("akash", "meta-llama-3-3-70b-instruct") == "meta-llama/Llama-3.3-70B-Instruct"
    assert known_models().successor("google", "gemini-2.5-flash") is None


@pytest.mark.parametrize(
    "model_id", ["gemini-2.5-flash", "llama-3.3-70b", "qwen-live-coder", "command-a-03-2025", "o4-mini"]
)
def test_models_for_text_are_not_taken_for_others(model_id: str) -> None:
    """A pattern that is too wide would hide a good model."""
    assert known_models().talks(model_id) or model_id == "qwen-live-coder"


def test_importing_reads_no_table() -> None:
    """Import defines names; files are read when the providers are loaded."""
    code = (
        "import ollama_proxy.providers\n"
        "from ollama_proxy.providers.tables import read_table\n"
        "assert read_table.cache_info().currsize == 0\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
