"""Owns the answers of /api/tags, /api/ps, /api/version, /api/status and the model recommendations.

All answers come from what the caller passes in: clients ask for every model before every message, so nothing here may
cost an upstream call. Rules: Ollama 0.33's shapes; what the strictest clients need stands beside the field.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ollama_proxy.protocols.ollama.durations import rfc3339
from ollama_proxy.protocols.ollama.encode import json_bytes
from ollama_proxy.protocols.ollama.models import Listed, capabilities, context_of, details
from ollama_proxy.types import Capability

__all__ = [
    "Loaded",
    "render_ps",
    "render_recommendations",
    "render_root",
    "render_status",
    "render_tags",
    "render_version",
]

#: What Ollama tells about a model that is never unloaded: about 292 years.
_FOR_EVER_S = 2**63 / 1e9


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model that counts as loaded. expires_at: epoch seconds; infinity for never."""

    listed: Listed
    expires_at: float


def render_tags(models: Iterable[Listed]) -> bytes:
    """The list of models, newest first."""
    newest_first = sorted(models, key=lambda listed: -math.floor(listed.modified_at))
    return json_bytes({"models": [_tag(listed) for listed in newest_first]})


def _tag(listed: Listed) -> dict[str, Any]:
    return {
        "name": listed.name,
        "model": listed.name,
        **_remote(listed),
        "modified_at": rfc3339(listed.modified_at).decode(),
        "size": listed.size,
        "digest": listed.digest,
        "details": details(listed.model, lengths=True),
        "capabilities": capabilities(listed.model),
    }


def _remote(listed: Listed) -> dict[str, str]:
    """Says that the model runs elsewhere: the ollama CLI then shows no size and skips its load request."""
    return {"remote_model": listed.model.id, "remote_host": listed.remote_host} if listed.remote_host else {}


def render_ps(loaded: Iterable[Loaded], wall: float) -> bytes:
    """The models that count as loaded, longest remaining first. wall: epoch seconds now."""
    longest_first = sorted(loaded, key=lambda one: -one.expires_at)
    return json_bytes(
        {"models": [_process(one.listed, min(one.expires_at, wall + _FOR_EVER_S)) for one in longest_first]}
    )


def _process(listed: Listed, expires_at: float) -> dict[str, Any]:
    return {
        "name": listed.name,
        "model": listed.name,
        "size": listed.size,
        "digest": listed.digest,
        "details": details(listed.model),
        "expires_at": rfc3339(expires_at).decode(),
        "size_vram": listed.size,
        "context_length": context_of(listed.model),
    }


def render_version(level: str, proxy: str) -> bytes:
    """The two versions. level: of the Ollama that we behave as, a bare X.Y.Z (Open WebUI calculates with it)."""
    return json_bytes({"version": level, "proxy": proxy})


def render_root(level: str, proxy: str) -> bytes:
    """The answer of GET / for programs; the sentence is what apps look for."""
    return json_bytes({"status": "Ollama is running", "version": level, "proxy": proxy})


def render_status() -> bytes:
    """Says that Ollama's own cloud is off, so that clients hide its features."""
    return json_bytes({"cloud": {"disabled": True, "source": "env"}})


def render_recommendations(models: Iterable[Listed]) -> bytes:
    """Models that a client may suggest: those that can talk, as given."""
    talkers = [listed for listed in models if Capability.COMPLETION in listed.model.capabilities]
    return json_bytes({"recommendations": [_recommendation(listed) for listed in talkers]})


def _recommendation(listed: Listed) -> dict[str, Any]:
    model = listed.model
    told: dict[str, Any] = {"model": listed.name, "description": model.title or model.id}
    if model.context:
        told["context_length"] = model.context
    if model.max_output:
        told["max_output_tokens"] = model.max_output
    return told
