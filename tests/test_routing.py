"""Routing: which names stand for which model at which provider."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from ollama_proxy.errors import UnknownModel
from ollama_proxy.library import Library
from ollama_proxy.routing import Router, Target

LISTED = {("google", "gemini-2.5-flash"): "gemini-2.5-flash", ("local", "llama3:latest"): "llama3:latest"}


def canonical(provider: str, model_id: str) -> str | None:
    return LISTED.get((provider, model_id.lower()))


def router(aliases: Mapping[str, str] | None = None, fallbacks: Mapping[str, list[str]] | None = None) -> Router:
    library = Library(aliases)
    return Router(
        ["google", "openrouter", "local"], {"cohere": "COHERE_API_KEYS"}, canonical, library.source, fallbacks
    )


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("google:gemini-2.5-flash", Target("google", "gemini-2.5-flash")),
        ("google/gemini-2.5-flash", Target("google", "gemini-2.5-flash")),
        ("GOOGLE:Gemini-2.5-Flash", Target("google", "gemini-2.5-flash")),
        ("google:gemini-2.5-flash:latest", Target("google", "gemini-2.5-flash")),
        (" google:gemini-2.5-flash ", Target("google", "gemini-2.5-flash")),
        ("openrouter:deepseek/deepseek-r1:free", Target("openrouter", "deepseek/deepseek-r1:free")),
        ("openrouter/deepseek/deepseek-r1:free", Target("openrouter", "deepseek/deepseek-r1:free")),
        ("openrouter:Vendor/Unlisted-Model", Target("openrouter", "Vendor/Unlisted-Model")),
        ("local:llama3:latest", Target("local", "llama3:latest")),
        ("google:models/gemini-x", Target("google", "models/gemini-x")),
    ],
)
def test_a_name_leads_to_its_target(name: str, target: Target) -> None:
    """C149 C150 C151: prefix by `:` or `/`, any case, with or without `:latest`; the model keeps its colons."""
    assert router().targets(name) == [target]


@pytest.mark.parametrize("name", ["nope", "nope:x", "google:", "google", ":x", "", "google::latest"])
def test_a_name_without_a_target_is_unknown_in_ollamas_words(name: str) -> None:
    """C144: the message quotes the name as it was sent."""
    with pytest.raises(UnknownModel) as caught:
        router().targets(name)
    assert caught.value.message == f"model '{name}' not found"


def test_a_known_provider_without_keys_says_which_variable_to_set() -> None:
    """The message begins with Ollama's words and tells what to do."""
    with pytest.raises(UnknownModel) as caught:
        router().targets("cohere:command-a")
    assert caught.value.message.startswith("model 'cohere:command-a' not found")
    assert "COHERE_API_KEYS" in caught.value.message


def test_an_alias_stands_for_its_model_in_any_case_and_with_latest() -> None:
    """`llama3.1`, `LLAMA3.1` and `llama3.1:latest` are the same alias."""
    aliases = {"llama3.1": "google:gemini-2.5-flash", "my/own:tag": "openrouter:a/b"}
    for name in ("llama3.1", "LLAMA3.1", "llama3.1:latest"):
        assert router(aliases=aliases).targets(name) == [Target("google", "gemini-2.5-flash")]
    assert router(aliases=aliases).targets("my/own:tag") == [Target("openrouter", "a/b")]


def test_fallbacks_follow_the_first_target_in_order_and_once() -> None:
    """A chain is tried after its model; a target is not repeated; an alias inside a chain works."""
    chain = {"google:gemini-2.5-flash": ["openrouter:a/b", "small", "openrouter:a/b"]}
    found = router(aliases={"small": "local:llama3:latest"}, fallbacks=chain).targets("google:gemini-2.5-flash")
    assert found == [
        Target("google", "gemini-2.5-flash"),
        Target("openrouter", "a/b"),
        Target("local", "llama3:latest"),
    ]


def test_an_alias_has_the_fallbacks_of_its_model_unless_it_has_its_own() -> None:
    """The chain may hang on either name."""
    shared = {"google:gemini-2.5-flash": ["openrouter:a/b"]}
    aliases = {"small": "google:gemini-2.5-flash"}
    assert len(router(aliases=aliases, fallbacks=shared).targets("small")) == 2
    own = {**shared, "small": ["openrouter:c/d"]}
    assert router(aliases=aliases, fallbacks=own).targets("small")[1] == Target("openrouter", "c/d")
