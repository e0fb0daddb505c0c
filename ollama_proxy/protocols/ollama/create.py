"""Owns the shapes of /api/create: a name that stands for another model with words and options of its own.

Rules: Ollama 0.33's behaviour. What needs weights (files, adapters, quantize) is refused: they live at the providers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ollama_proxy.errors import BadRequest
from ollama_proxy.protocols.ollama.decode import decode_body
from ollama_proxy.protocols.ollama.encode import json_bytes
from ollama_proxy.protocols.ollama.fields import ANY, BOOL, MAP, STRING, Struct, list_of
from ollama_proxy.protocols.ollama.manage import NAMED, Answer, Managed, managed, progress
from ollama_proxy.protocols.ollama.messages import hub_messages
from ollama_proxy.protocols.ollama.names import is_valid
from ollama_proxy.protocols.ollama.options import hub_options

__all__ = ["Created", "parse_create", "render_create"]

_CREATE = Struct(
    "CreateRequest",
    {
        **NAMED,
        "from": STRING,
        "files": MAP,
        "adapters": MAP,
        "draft_files": MAP,
        "template": STRING,
        "system": STRING,
        "license": ANY,
        "parameters": MAP,
        "messages": list_of("api.Message"),
        "renderer": STRING,
        "parser": STRING,
        "requires": STRING,
        "remote_host": STRING,
        "quantize": STRING,
        "draft_quantize": STRING,
        "info": MAP,
        "stream": BOOL,
    },
)


@dataclass(frozen=True, slots=True)
class Created:
    """A request to create. source: the name it starts from. messages, defaults: in the hub's shape.

    parameters: as the client wrote them.
    """

    managed: Managed
    source: str
    system: str
    messages: tuple[Mapping[str, Any], ...]
    defaults: Mapping[str, Any]
    parameters: Mapping[str, Any]


def parse_create(body: bytes) -> Created:
    """The request in a body of /api/create.

    Raises: BadRequest
    """
    given = _CREATE.read(decode_body(body))
    verb = managed(given, "invalid model name")
    if not is_valid(verb.model):
        raise BadRequest("invalid model name")
    if not (given.get("from") or given.get("files")):
        raise BadRequest("neither 'from' or 'files' was specified")
    for field in ("files", "adapters", "draft_files", "quantize", "draft_quantize"):
        if given.get(field):
            raise BadRequest(f"'{field}' needs weights, and this server has none: models live at their providers")
    parameters = {name: value for name, value in given.get("parameters", {}).items() if value is not None}
    return Created(
        verb,
        given["from"],
        given.get("system", ""),
        tuple(hub_messages(given.get("messages", []), _CREATE)),
        hub_options(parameters),
        parameters,
    )


def render_create(created: Created) -> Answer:
    """The whole answer of a create that was done."""
    layers = [("using existing", created.source)]
    layers += [
        ("creating new", part) for part in (created.system, _json(created.messages), _json(created.parameters)) if part
    ]
    stages = tuple(f"{how} layer sha256:{hashlib.sha256(part.encode()).hexdigest()}" for how, part in layers)
    return progress(created.managed, (*stages, "writing manifest", "success"))


def _json(value: Any) -> str:
    return json_bytes(value).decode() if value else ""
