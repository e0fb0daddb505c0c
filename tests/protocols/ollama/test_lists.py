from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollama_proxy.protocols.ollama import (
    Listed,
    Loaded,
    digest_of,
    render_ps,
    render_recommendations,
    render_root,
    render_status,
    render_tags,
    render_version,
)
from ollama_proxy.protocols.ollama.models import family_of
from ollama_proxy.types import Capability, Model
from tests.support.ollama_kit import WALL, model

SEEING = frozenset({Capability.VISION, Capability.COMPLETION, Capability.TOOLS})
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z")


def listed(name: str = "google:gemini-2.5-flash", modified_at: float = WALL, **fields: Any) -> Listed:
    entry = model(**{"context": 1_048_576, **fields})
    return Listed(name, entry, digest_of(name, entry), modified_at, remote_host="https://example.com")


def tags(*models: Listed) -> list[dict[str, Any]]:
    value: list[dict[str, Any]] = json.loads(render_tags(models))["models"]
    return value


def test_no_models_are_an_empty_list() -> None:
    """C37, C45."""
    assert render_tags([]) == b'{"models":[]}'
    assert render_ps([], WALL) == b'{"models":[]}'


def test_an_entry_has_all_that_the_strictest_client_needs() -> None:
    """C38, C39, C40, C41, C44: one odd entry empties the whole list in four clients."""
    (entry,) = tags(listed(capabilities=SEEING))
    assert list(entry) == [
        "name",
        "model",
        "remote_model",
        "remote_host",
        "modified_at",
        "size",
        "digest",
        "details",
        "capabilities",
    ]
    assert entry["name"] == entry["model"] == "google:gemini-2.5-flash"
    assert (entry["remote_model"], entry["remote_host"]) == ("gemini-2.5-flash", "https://example.com")
    assert STAMP.fullmatch(entry["modified_at"])
    assert entry["size"] == 0
    assert re.fullmatch(r"[0-9a-f]{64}", entry["digest"])
    assert entry["capabilities"] == ["completion", "tools", "vision"]
    assert entry["details"] == {
        "parent_model": "",
        "format": "",
        "family": "gemini",
        "families": ["gemini", "clip"],
        "parameter_size": "unknown",
        "quantization_level": "",
        "context_length": 1_048_576,
    }


def test_a_model_without_known_host_is_not_remote() -> None:
    """Half of the pair would confuse the CLI."""
    (entry,) = tags(replace(listed(), remote_host=""))
    assert not {"remote_model", "remote_host"} & entry.keys()


def test_the_newest_comes_first() -> None:
    """C42: by whole seconds; within one the order given stays."""
    entries = tags(listed("a:1", 10.9), listed("b:2", 20), listed("c:3", 10.1))
    assert [entry["name"] for entry in entries] == ["b:2", "a:1", "c:3"]


def test_a_digest_names_model_and_abilities() -> None:
    """C39: llm-ollama keeps capabilities under it, and merges models that share it."""
    plain = model()
    assert digest_of("a:x", plain) == digest_of("a:x", model())
    others = [
        digest_of("b:x", plain),
        digest_of("a:x", model(Capability.COMPLETION, Capability.TOOLS)),
        digest_of("a:x", model(context=5)),
    ]
    assert len({digest_of("a:x", plain), *others}) == 4
    assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in others)


@given(names=st.sets(st.text(max_size=20), min_size=2, max_size=6))
def test_every_name_has_its_own_digest(names: set[str]) -> None:
    """C39: any two models differ, whatever their names are."""
    assert len({digest_of(name, model(id=name)) for name in names}) == len(names)


def test_a_digest_does_not_change_with_what_is_only_shown() -> None:
    """C39: what clients keep under it stays theirs when a list tells a title or a date anew."""
    assert digest_of("a:x", model()) == digest_of("a:x", model(created=7, title="A", listed=False))


@pytest.mark.parametrize(
    ("model_id", "family"),
    [
        ("gemini-2.5-flash", "gemini"),
        ("deepseek/deepseek-r1:free", "deepseek"),
        ("qwen/qwen3-coder:free", "qwen3"),
        ("Meta-Llama-3-1-8B-Instruct-FP8", "llama"),
        ("codestral-2508", "codestral"),
        ("command-a-03-2025", "command"),
        ("text-embedding-004", "embedding"),
        ("12345", "google"),
    ],
)
def test_a_family_is_found_in_the_id(model_id: str, family: str) -> None:
    """Roo Code needs one; it also names the keys of model_info."""
    assert family_of(model(id=model_id)) == family


@pytest.mark.parametrize(
    ("model_id", "size"),
    [
        ("llama-3.3-70b-instruct", "70B"),
        ("qwen2.5-coder-1.5b", "1.5B"),
        ("mixtral-8x7b", "8x7B"),
        ("bge-300m", "300M"),
        ("gemini-2.5-flash", "unknown"),
        ("gpt-oss-20b:free", "20B"),
    ],
)
def test_a_parameter_size_is_found_in_the_id(model_id: str, size: str) -> None:
    """Never empty: Roo Code needs a string, and people read it."""
    assert tags(listed(id=model_id))[0]["details"]["parameter_size"] == size


def test_a_loaded_model_is_shown_with_its_end() -> None:
    """C46, C48."""
    (entry,) = json.loads(render_ps([Loaded(listed(), WALL + 600)], WALL))["models"]
    assert list(entry) == [
        "name",
        "model",
        "size",
        "digest",
        "details",
        "expires_at",
        "size_vram",
        "context_length",
    ]
    assert entry["expires_at"].startswith("2026-08-21T18:58:22.")
    assert entry["context_length"] == 1_048_576
    assert "context_length" not in entry["details"]


def test_loaded_for_ever_ends_in_centuries() -> None:
    """C47: about 292 years, and longest first."""
    models = [Loaded(listed("a:1"), WALL + 5), Loaded(listed("b:2"), math.inf)]
    first, second = json.loads(render_ps(models, WALL))["models"]
    assert (first["name"], first["expires_at"][:4]) == ("b:2", "2318")
    assert second["name"] == "a:1"


def test_a_window_that_nobody_told_is_still_a_number() -> None:
    """Clients divide by it."""
    (entry,) = json.loads(render_ps([Loaded(listed(context=None), WALL)], WALL))["models"]
    assert entry["context_length"] == 32768


def test_a_model_for_embeddings_tells_its_length() -> None:
    """As real Ollama's list does."""
    (entry,) = tags(listed(capabilities=frozenset({Capability.EMBEDDING}), embedding_length=768))
    assert entry["details"]["embedding_length"] == 768
    assert entry["capabilities"] == ["embedding"]


def test_the_version_is_bare_and_ours_stands_beside_it() -> None:
    """C3: clients gate on the first and calculate with it."""
    assert render_version("0.33.0", "0.1.0") == b'{"version":"0.33.0","proxy":"0.1.0"}'
    assert json.loads(render_root("0.33.0", "0.1.0"))["status"] == "Ollama is running"


def test_ollamas_cloud_is_off() -> None:
    """C20."""
    assert render_status() == b'{"cloud":{"disabled":true,"source":"env"}}'


def test_recommendations_are_a_list_of_models_that_talk() -> None:
    """C176."""
    entries = [listed(title="Gemini", max_output=65536), listed("g:e", capabilities=frozenset({Capability.EMBEDDING}))]
    assert json.loads(render_recommendations(entries))["recommendations"] == [
        {
            "model": "google:gemini-2.5-flash",
            "description": "Gemini",
            "context_length": 1_048_576,
            "max_output_tokens": 65536,
        }
    ]
    assert render_recommendations([]) == b'{"recommendations":[]}'


def test_odd_text_in_names_is_escaped() -> None:
    """A provider's title may hold anything."""
    data = render_recommendations([Listed("a:x", Model("a", "x", title="<b>\u2028"), "0" * 64, 0)])
    assert rb"\u003cb\u003e\u2028" in data
