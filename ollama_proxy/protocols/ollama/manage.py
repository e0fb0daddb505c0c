"""Owns the endpoints that manage models and accounts: pull, push, create, copy, delete, blobs, me, signout, web.

Models live at their providers, so there is little to manage: a pull of a model that we serve succeeds at once (Codex
and Home Assistant pull before they chat), the rest is refused in words that say why. Rules: Ollama 0.33's behaviour.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ollama_proxy.errors import BadRequest, ClientError
from ollama_proxy.protocols.ollama.decode import decode_body
from ollama_proxy.protocols.ollama.encode import json_bytes
from ollama_proxy.protocols.ollama.errors import JSON, NDJSON, PLAIN_JSON, error_line, render_error
from ollama_proxy.protocols.ollama.fields import ANY, BOOL, INT, MAP, STRING, Struct, list_of, quoted
from ollama_proxy.protocols.ollama.names import Place, is_valid, unknown_model
from ollama_proxy.types import Headers

__all__ = [
    "Managed",
    "check_digest",
    "parse_copy",
    "parse_create",
    "parse_delete",
    "parse_pull",
    "parse_push",
    "parse_web",
    "refuse_copy",
    "refuse_delete",
    "render_create",
    "render_me",
    "render_pull",
    "render_push",
    "render_signout",
]

Answer = tuple[int, Headers, bytes]

_NAMED = {"model": STRING, "name": STRING}
_PULL = Struct("PullRequest", {**_NAMED, "insecure": BOOL, "username": STRING, "password": STRING, "stream": BOOL})
_PUSH = Struct("PushRequest", _PULL.fields)
_DELETE = Struct("DeleteRequest", _NAMED)
_COPY = Struct("CopyRequest", {"source": STRING, "destination": STRING})
_CREATE = Struct(
    "CreateRequest",
    {
        **_NAMED,
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
_SEARCH = Struct("WebSearchRequest", {"query": STRING, "max_results": INT, "url": STRING})
_DIGEST = re.compile(r"sha256[:-][0-9a-fA-F]{64}")
_PULL_STAGES = ("pulling manifest", "verifying sha256 digest", "writing manifest", "success")
_HERE = "this server is a proxy, models live at their providers"
_USER = {"id": "ollama-proxy", "email": "", "name": "ollama-proxy"}


@dataclass(frozen=True, slots=True)
class Managed:
    """A request to pull, push or create. model: the caller's string."""

    model: str
    stream: bool


def parse_pull(body: bytes) -> Managed:
    """The request in a body of /api/pull. Raises: BadRequest."""
    return _managed(_PULL.read(decode_body(body)), "invalid model name")


def parse_push(body: bytes) -> Managed:
    """The request in a body of /api/push. Raises: BadRequest."""
    return _managed(_PUSH.read(decode_body(body)), "model is required")


def parse_create(body: bytes) -> Managed:
    """The request in a body of /api/create. Raises: BadRequest."""
    given = _CREATE.read(decode_body(body))
    managed = _managed(given, "invalid model name")
    if not is_valid(managed.model):
        raise BadRequest("invalid model name")
    if not (given.get("from") or given.get("files")):
        raise BadRequest("neither 'from' or 'files' was specified")
    return managed


def _managed(given: dict[str, Any], nameless: str) -> Managed:
    model = given.get("model") or given.get("name") or ""
    if not model.strip():
        raise BadRequest(nameless)
    return Managed(model, given.get("stream", True))


def parse_delete(body: bytes) -> str:
    """The model in a body of /api/delete, the caller's string. Raises: BadRequest."""
    return _managed(_DELETE.read(decode_body(body)), "model is required").model


def parse_copy(body: bytes) -> tuple[str, str]:
    """(source, destination) of a body of /api/copy, the caller's strings.

    Raises: BadRequest
    """
    given = _COPY.read(decode_body(body))
    source, destination = given.get("source", ""), given.get("destination", "")
    if not source.strip():
        raise BadRequest(f"source {quoted(source)} is invalid")
    if not is_valid(destination):
        raise BadRequest(f"destination {quoted(destination)} is invalid")
    return source, destination


def parse_web(body: bytes, what: str) -> BadRequest:
    """The refusal of a web search or fetch (`what`: "web search", "web fetch"), which only Ollama's cloud has.

    Raises: BadRequest for a body that is no request.
    """
    _SEARCH.read(decode_body(body))
    return BadRequest(f"ollama cloud is disabled: {what} is unavailable", status=403)


def check_digest(digest: str) -> None:
    """Returns for `sha256:` (or `sha256-`) and 64 hex digits. Raises: BadRequest."""
    if not _DIGEST.fullmatch(digest):
        raise BadRequest("invalid digest format")


def render_pull(request: Managed, *, known: bool) -> Answer:
    """The whole answer of a pull: done at once for a model that we serve, an error for any other."""
    if known:
        return _progress(request, _PULL_STAGES)
    error = unknown_model(Place.PULL, request.model)
    if not request.stream or error.status == BadRequest.status:
        return render_error(error)
    return 200, _type(NDJSON), _lines(_PULL_STAGES[:1]) + error_line(error)


def render_push(request: Managed) -> Answer:
    """The whole answer of a push: there is nowhere to push to."""
    error = BadRequest(f"nothing can be pushed: {_HERE}")
    if not request.stream:
        return render_error(error)
    return 200, _type(NDJSON), _lines(("retrieving manifest",)) + error_line(error)


def render_create(request: Managed) -> Answer:
    """The whole answer of a create: an alias does what can be done."""
    error = BadRequest(
        f"model {quoted(request.model)} cannot be created: {_HERE}. Add an alias to ollama-proxy.toml instead"
    )
    return render_error(error)


def refuse_copy(source: str, *, known: bool) -> ClientError:
    """The error of every copy; `known`: we serve the source."""
    if known:
        return BadRequest(
            f"model {quoted(source)} cannot be copied: {_HERE}. Add an alias to ollama-proxy.toml instead"
        )
    return unknown_model(Place.COPY, source)


def refuse_delete(model: str, *, known: bool) -> ClientError:
    """The error of every delete; `known`: we serve the model."""
    return (
        BadRequest(f"model {quoted(model)} cannot be deleted: {_HERE}") if known else unknown_model(Place.DELETE, model)
    )


def render_me() -> Answer:
    """A user, so that clients do not ask people to sign in to ollama.com."""
    return 200, _type(JSON), json_bytes(_USER)


def render_signout() -> Answer:
    """Nobody is signed in, and nothing more has to be done."""
    return 200, _type(JSON), b"null"


def _progress(request: Managed, stages: tuple[str, ...]) -> Answer:
    if request.stream:
        return 200, _type(NDJSON), _lines(stages)
    return 200, _type(PLAIN_JSON), json_bytes({"status": stages[-1]})


def _lines(stages: tuple[str, ...]) -> bytes:
    return b"".join(json_bytes({"status": stage}) + b"\n" for stage in stages)


def _type(content_type: bytes) -> Headers:
    return [(b"content-type", content_type)]
