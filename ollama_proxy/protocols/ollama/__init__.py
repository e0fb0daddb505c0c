"""Ollama's own API: bodies become hub requests, and the hub's answers become Ollama's.

Pure translation: no socket, no clock of its own, no catalogue. Rules: Ollama 0.33's behaviour; where a client is known
to need more than Ollama gives, the module says which.
"""

from __future__ import annotations

from ollama_proxy.protocols.ollama.chat import parse_chat
from ollama_proxy.protocols.ollama.create import Created, parse_create, render_create
from ollama_proxy.protocols.ollama.embed import parse_embed, parse_embeddings
from ollama_proxy.protocols.ollama.errors import JSON, NDJSON, PLAIN_JSON, render_error
from ollama_proxy.protocols.ollama.generate import parse_generate
from ollama_proxy.protocols.ollama.lists import (
    Loaded,
    render_ps,
    render_recommendations,
    render_root,
    render_status,
    render_tags,
    render_version,
)
from ollama_proxy.protocols.ollama.manage import (
    Managed,
    check_digest,
    parse_copy,
    parse_delete,
    parse_pull,
    parse_push,
    parse_web,
    refuse_copy,
    refuse_delete,
    render_me,
    render_pull,
    render_push,
    render_signout,
)
from ollama_proxy.protocols.ollama.models import Listed, Made, digest_of
from ollama_proxy.protocols.ollama.names import Place, told_as, unknown_model
from ollama_proxy.protocols.ollama.request import OllamaRequest, check_capabilities
from ollama_proxy.protocols.ollama.show import parse_show, render_show

__all__ = [
    "JSON",
    "NDJSON",
    "PLAIN_JSON",
    "Created",
    "Listed",
    "Loaded",
    "Made",
    "Managed",
    "OllamaRequest",
    "Place",
    "check_capabilities",
    "check_digest",
    "digest_of",
    "parse_chat",
    "parse_copy",
    "parse_create",
    "parse_delete",
    "parse_embed",
    "parse_embeddings",
    "parse_generate",
    "parse_pull",
    "parse_push",
    "parse_show",
    "parse_web",
    "refuse_copy",
    "refuse_delete",
    "render_create",
    "render_error",
    "render_me",
    "render_ps",
    "render_pull",
    "render_push",
    "render_recommendations",
    "render_root",
    "render_show",
    "render_signout",
    "render_status",
    "render_tags",
    "render_version",
    "told_as",
    "unknown_model",
]
