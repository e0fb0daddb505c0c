"""Model lists in every shape seen."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ollama_proxy.errors import UpstreamJunk
from ollama_proxy.providers import load
from ollama_proxy.types import Capability, Model
from tests.support.reply_recordings import LISTS, ListRecording

PROVIDERS = load()


def facts(model: Model) -> dict[str, Any]:
    return {
        "can": sorted(capability.value for capability in model.capabilities),
        "context": model.context,
        "max_output": model.max_output,
        "vector": model.embedding_length,
        "created": model.created,
    }


@pytest.mark.parametrize("recording", LISTS, ids=str)
def test_a_list_is_read(recording: ListRecording) -> None:
    """C51-C53: ids without prefix, abilities and sizes from the list, from the table where it is silent."""
    models, _ = PROVIDERS[recording.provider].parse_models(recording.body)
    assert {model.id: facts(model) for model in models} == recording.models


@pytest.mark.parametrize("recording", LISTS, ids=str)
def test_listed_models_belong_to_their_provider(recording: ListRecording) -> None:
    """A list makes no models for others."""
    models, _ = PROVIDERS[recording.provider].parse_models(recording.body)
    assert all(model.provider == recording.provider and model.listed for model in models)


@pytest.mark.parametrize("recording", LISTS, ids=str)
def test_the_next_page_is_named(recording: ListRecording) -> None:
    """Cohere and Gemini hand out a token; it is quoted, since it comes from outside."""
    _, path = PROVIDERS[recording.provider].parse_models(recording.body)
    assert path == recording.next_path


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"null", b"{}", b"7", b'"\x80"', b'{"data":{}}', b'{"error":{}}', b"[" * 50_000]
)
def test_what_is_no_list_is_junk(body: bytes) -> None:
    """F22: it must never be taken for a list of no models."""
    with pytest.raises(UpstreamJunk):
        PROVIDERS["together"].parse_models(body)


def test_an_embedding_model_does_not_complete() -> None:
    """C52: embedding without completion."""
    body = b'{"data":[{"id":"text-embedding-v4"}]}'
    (model,), _ = PROVIDERS["qwen"].parse_models(body)
    assert model.capabilities == {Capability.EMBEDDING}


def test_a_model_nobody_knows_is_taken_to_call_tools() -> None:
    """Several clients hide models without tools; a provider whose model cannot says so plainly."""
    (model,), _ = PROVIDERS["together"].parse_models(b'[{"id":"somebody/brand-new"}]')
    assert model.capabilities == {Capability.COMPLETION, Capability.TOOLS}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "id",
                    "name",
                    "type",
                    "architecture",
                    "top_provider",
                    "capabilities",
                    "endpoints",
                    "meta",
                    "created",
                    "features",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@settings(deadline=None)
@given(entries=st.lists(json_values, max_size=5))
def test_no_entry_breaks_the_list(entries: list[Any]) -> None:
    """F57: a provider's nonsense costs that entry only."""
    import msgspec

    try:
        body = msgspec.json.encode({"data": [*entries, {"id": "good"}]})
    except (OverflowError, UnicodeEncodeError):
        return
    models, _ = PROVIDERS["together"].parse_models(body)
    assert "good" in {model.id for model in models}


def test_the_built_in_list_stands_in_where_there_is_none() -> None:
    """Codestral's address may have no list at all."""
    ids = {model.id for model in PROVIDERS["codestral"].known_models()}
    assert {"codestral-latest", "codestral-2508"} <= ids
    assert all(not model.listed for model in PROVIDERS["codestral"].known_models())


@pytest.mark.parametrize("name", ["google", "openrouter", "akash", "cohere", "codestral", "qwen"])
def test_each_of_the_six_has_a_built_in_list(name: str) -> None:
    """Something can be shown before any list was read."""
    assert PROVIDERS[name].known_models()
