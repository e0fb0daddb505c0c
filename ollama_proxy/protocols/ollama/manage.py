"""Owns the shapes of the endpoints that manage models and accounts: pull, push, copy, delete, blobs, me, signout, web.

Models live at their providers: weights can be neither stored nor pushed here, and that is said in Ollama's shape. What
the other verbs do is the library's business. Rules: Ollama 0.33's behaviour.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ollama_proxy.errors import BadRequest, ClientError, ProxyError, UnknownModel
from ollama_proxy.protocols.ollama.decode import decode_body
from ollama_proxy.protocols.ollama.encode import json_bytes
from ollama_proxy.protocols.ollama.errors import JSON, NDJSON, PLAIN_JSON, error_line, render_error
from ollama_proxy.protocols.ollama.fields import BOOL, INT, STRING, Struct, quoted
from ollama_proxy.protocols.ollama.names import Place, is_valid, told_as, unknown_model
from ollama_proxy.types import Headers

__all__ = [
    "NAMED",
    "Answer",
    "Managed",
    "check_digest",
    "lines",
    "managed",
    "parse_copy",
    "parse_delete",
    "parse_pull",
    "parse_push",
    "parse_web",
    "progress",
    "refuse_copy",
    "refuse_delete",
    "render_me",
    "render_pull",
    "render_push",
    "render_signout",
    "type_of",
]

#: Status, headers, body.
Answer = tuple[int, Headers, bytes]

#: The two fields in which a verb may name its model.
NAMED = {"model": STRING, "name": STRING}
_PULL = Struct("PullRequest", {**NAMED, "insecure": BOOL, "username": STRING, "password": STRING, "stream": BOOL})
_PUSH = Struct("PushRequest", _PULL.fields)
_DELETE = Struct("DeleteRequest", NAMED)
_COPY = Struct("CopyRequest", {"source": STRING, "destination": STRING})
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
    return managed(_PULL.read(decode_body(body)), "invalid model name")


def parse_push(body: bytes) -> Managed:
    """The request in a body of /api/push. Raises: BadRequest."""
    return managed(_PUSH.read(decode_body(body)), "model is required")


def managed(given: dict[str, Any], nameless: str) -> Managed:
    """Which model a verb is for. Raises: BadRequest with the text `nameless`."""
    model = given.get("model") or given.get("name") or ""
    if not model.strip():
        raise BadRequest(nameless)
    return Managed(model, given.get("stream", True))


def parse_delete(body: bytes) -> str:
    """The model in a body of /api/delete, the caller's string. Raises: BadRequest."""
    return managed(_DELETE.read(decode_body(body)), "model is required").model


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


def render_pull(request: Managed, trouble: ProxyError | None = None) -> Answer:
    """The whole answer of a pull: done at once for a model that we serve, `trouble` for any other."""
    if trouble is None:
        return progress(request, _PULL_STAGES)
    error = told_as(Place.PULL, request.model, trouble) if isinstance(trouble, UnknownModel) else trouble
    if not request.stream or error.status == BadRequest.status:
        return render_error(error)
    return 200, type_of(NDJSON), lines(_PULL_STAGES[:1]) + error_line(error)


def render_push(request: Managed) -> Answer:
    """The whole answer of a push: there is nowhere to push to."""
    error = BadRequest(f"nothing can be pushed: {_HERE}")
    if not request.stream:
        return render_error(error)
    return 200, type_of(NDJSON), lines(("retrieving manifest",)) + error_line(error)


def refuse_copy(source: str) -> ClientError:
    """The error of a copy of a model that nobody knows."""
    return unknown_model(Place.COPY, source)


def refuse_delete(model: str, *, fixed: bool = False) -> ClientError:
    """The error of a delete of a model that is not in the lists; `fixed`: it stands in the settings file."""
    if fixed:
        return BadRequest(f"model {quoted(model)} stands in ollama-proxy.toml; take it out there")
    return unknown_model(Place.DELETE, model)


def render_me() -> Answer:
    """A user, so that clients do not ask people to sign in to ollama.com."""
    return 200, type_of(JSON), json_bytes(_USER)


def render_signout() -> Answer:
    """Nobody is signed in, and nothing more has to be done."""
    return 200, type_of(JSON), b"null"


def progress(request: Managed, stages: tuple[str, ...]) -> Answer:
    """The stages, as a stream or as the last of them."""
    if request.stream:
        return 200, type_of(NDJSON), lines(stages)
    return 200, type_of(PLAIN_JSON), json_bytes({"status": stages[-1]})


def lines(stages: tuple[str, ...]) -> bytes:
    """The stages as lines of a stream."""
    return b"".join(json_bytes({"status": stage}) + b"\n" for stage in stages)


def type_of(content_type: bytes) -> Headers:
    """The headers of an answer of this type."""
    return [(b"content-type", content_type)]
