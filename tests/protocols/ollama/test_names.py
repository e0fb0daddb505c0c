from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollama_proxy.errors import BadRequest, UnknownModel
from ollama_proxy.protocols.ollama.names import Place, is_valid, split, told_as, unknown_model


@pytest.mark.parametrize(
    "name",
    [
        "nope",
        "google:gemini-2.5-pro",
        "google/gemini-2.5-pro",
        "deepseek/deepseek-r1:free",
        "openrouter/deepseek/deepseek-r1:free",
        "https://example.com:8080/me/model:7b",
        " spaces-around ",
        "a.b_c-d:E.F",
    ],
)
def test_good_names_are_valid(name: str) -> None:
    """Ollama's grammar, with the spaces around a name forgiven."""
    assert is_valid(name)


PLAUSIBLE = ["openrouter:deepseek/deepseek-r1:free", "google:models/gemini", "name.space/model"]


@pytest.mark.parametrize(
    "name",
    ["", " ", "a b", "a@b", ":x", "a:", "/a", "a/", "a//b", "a/b/c/ d", "-a", "a:-b", "é", "a+b", "x" * 81, *PLAUSIBLE],
)
def test_bad_names_are_not(name: str) -> None:
    """C148: the last three are ours or plausible, and still not Ollama's."""
    assert not is_valid(name)


@pytest.mark.parametrize("place", [Place.CHAT, Place.GENERATE, Place.SHOW, Place.EMBED, Place.PULL])
@pytest.mark.parametrize("name", ["a b", "a@b", ":x", "a:", "a/b/c/ d"])
def test_an_unknown_name_outside_the_grammar_is_invalid(place: Place, name: str) -> None:
    """C148, C57."""
    error = unknown_model(place, name)
    assert (type(error), error.status, error.message) == (BadRequest, 400, "invalid model name")


@pytest.mark.parametrize(
    ("place", "status", "words"),
    [
        (Place.CHAT, 404, "model 'Nope' not found"),
        (Place.GENERATE, 404, "model 'Nope' not found"),
        (Place.DELETE, 404, "model 'Nope' not found"),
        (Place.SHOW, 404, "model 'Nope:latest' not found"),
        (Place.EMBED, 404, 'model "Nope" not found, try pulling it first'),
        (Place.COPY, 404, 'model "Nope" not found'),
        (Place.PULL, 500, "pull model manifest: file does not exist"),
    ],
)
def test_each_endpoint_has_its_words_for_an_unknown_model(place: Place, status: int, words: str) -> None:
    """C56, C144, C145, C146, C166, C171, C172."""
    error = unknown_model(place, "Nope")
    assert (error.status, error.message) == (status, words)


@pytest.mark.parametrize("name", ["x:local:cloud", "x:cloud:LOCAL", "x:local:big-cloud"])
def test_two_sources_are_one_too_many(name: str) -> None:
    """C152."""
    error = unknown_model(Place.CHAT, name)
    assert (error.status, error.message) == (400, f'use either :local or :cloud, not both: "{name}"')


def test_one_source_is_an_ordinary_name() -> None:
    """Ours has no cloud of Ollama's behind it."""
    assert unknown_model(Place.CHAT, "x:cloud").message == "model 'x:cloud' not found"


def test_an_error_that_knows_more_keeps_its_words() -> None:
    """A provider without a key is better told than hidden."""
    plain = UnknownModel("model 'nope' not found")
    telling = UnknownModel("model 'google:x' not found: no key for google is set.")
    assert told_as(Place.SHOW, "nope", plain).message == "model 'nope:latest' not found"
    assert told_as(Place.SHOW, "google:x", telling) is telling


@pytest.mark.parametrize(
    ("name", "shown", "whole"),
    [
        ("nope", "nope:latest", "registry.ollama.ai/library/nope:latest"),
        ("google:gemini-2.5-pro", "google:gemini-2.5-pro", "registry.ollama.ai/library/google:gemini-2.5-pro"),
        ("google/gemini", "google/gemini:latest", "registry.ollama.ai/google/gemini:latest"),
        ("h/n/m:t", "h/n/m:t", "h/n/m:t"),
        ("openrouter:a/b:free", "openrouter:a/b:free", "registry.ollama.ai/openrouter:a/b:free"),
    ],
)
def test_names_are_completed(name: str, shown: str, whole: str) -> None:
    """Lists leave the defaults out and always show the tag."""
    assert split(name).shown == shown
    assert split(name).whole == whole


_part = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,20}", fullmatch=True)


@given(_part, _part, _part, _part)
def test_a_whole_name_is_split_into_its_parts(host: str, namespace: str, model: str, tag: str) -> None:
    """Reading and writing agree."""
    name = f"{host}/{namespace}/{model}:{tag}"
    assert split(name) == (host, namespace, model, tag)
    assert split(name).whole == name


@given(st.text(max_size=30))
def test_any_text_is_told_as_an_error(name: str) -> None:
    """Nothing a client sends as a name makes it fail."""
    assert unknown_model(Place.CHAT, name).message
