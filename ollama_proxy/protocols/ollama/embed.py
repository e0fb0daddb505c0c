"""Owns /api/embed and the older /api/embeddings: bodies to requests, vectors to answers.

Rules: Ollama 0.33's behaviour. The newer endpoint normalises, the older one does not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ollama_proxy.clock import Clock
from ollama_proxy.errors import BadRequest, InternalError, ProxyError, UnknownModel
from ollama_proxy.hub.vectors import Vector, read_vectors
from ollama_proxy.protocols.ollama.decode import decode_body
from ollama_proxy.protocols.ollama.durations import parse_keep_alive
from ollama_proxy.protocols.ollama.errors import JSON, NDJSON, render_error
from ollama_proxy.protocols.ollama.fields import ANY, BOOL, INT, MAP, STRING, Struct
from ollama_proxy.protocols.ollama.metrics import Moments, count, durations
from ollama_proxy.protocols.ollama.names import Place, told_as
from ollama_proxy.protocols.ollama.options import hub_options
from ollama_proxy.protocols.ollama.request import OllamaRequest
from ollama_proxy.types import Body, Call, Capability, Headers, Operation, Stream
from ollama_proxy.wire.ndjson import quote

__all__ = ["EmbedFace", "normalised", "parse_embed", "parse_embeddings"]

_EMBED = Struct(
    "EmbedRequest",
    {"model": STRING, "input": ANY, "truncate": BOOL, "dimensions": INT, "keep_alive": ANY, "options": MAP},
)
_EMBEDDINGS = Struct("EmbeddingRequest", {"model": STRING, "prompt": STRING, "keep_alive": ANY, "options": MAP})


def parse_embed(body: bytes, clock: Clock) -> OllamaRequest:
    """The request in a body of /api/embed.

    Raises: BadRequest; UnknownModel if no model is named.
    """
    given = _EMBED.read(decode_body(body))
    keep_alive_s = parse_keep_alive(given.get("keep_alive"))
    texts = _texts(given.get("input"))
    model = given.get("model", "")
    if not model.strip():
        raise UnknownModel("model '' not found")
    dimensions = max(0, given.get("dimensions", 0))
    face = EmbedFace(model, clock, clock.now(), len(texts) if isinstance(texts, list) else 1, dimensions)
    hub: Body = {"input": texts}
    if dimensions:
        hub["dimensions"] = dimensions
    return _request(hub, face, given, keep_alive_s)


def parse_embeddings(body: bytes, clock: Clock) -> OllamaRequest:
    """The request in a body of /api/embeddings.

    Raises: BadRequest
    """
    given = _EMBEDDINGS.read(decode_body(body))
    keep_alive_s = parse_keep_alive(given.get("keep_alive"))
    model = given.get("model", "")
    if not model.strip():
        raise BadRequest("model is required")
    prompt = given.get("prompt", "")
    face = EmbedFace(model, clock, clock.now(), 1, old=True)
    return _request({"input": prompt or []}, face, given, keep_alive_s)


def _texts(value: Any) -> str | list[str]:
    if value is None or value == "":
        return []
    if isinstance(value, str):
        return value
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise BadRequest("invalid input type")
    return value


def _request(hub: Body, face: EmbedFace, given: dict[str, Any], keep_alive_s: float | None) -> OllamaRequest:
    call = Call(Operation.EMBEDDINGS, face.model, hub, face, needs=frozenset({Capability.EMBEDDING}))
    request = OllamaRequest(call, "embed", keep_alive_s)
    try:
        # A provider takes none of them; they are only looked at, as Ollama does.
        hub_options(given.get("options", {}))
    except BadRequest as fault:
        request.fault = fault
    if not hub["input"]:
        request.load_only = "load"
        request.local_answer = b'{"embedding":[]}' if face.old else b'{"model":%b,"embeddings":[]}' % quote(face.model)
    return request


def normalised(vector: Vector, dimensions: int = 0) -> Vector:
    """The vector at length 1; cut to `dimensions` numbers first, where that is less than it has."""
    if 0 < dimensions < len(vector):
        vector = vector[:dimensions]
    norm = math.hypot(*vector)
    return [number / norm for number in vector] if norm else vector


@dataclass(slots=True)
class EmbedFace:
    """types.Face for both endpoints.

    started: monotonic seconds. texts: how many vectors there must be. dimensions: 0 for all. old: /api/embeddings.
    """

    model: str
    clock: Clock
    started: float
    texts: int
    dimensions: int = 0
    old: bool = False
    stream_type: bytes = field(default=NDJSON, init=False)
    answer_type: bytes = field(default=JSON, init=False)

    def open_stream(self) -> Stream:
        """Never: embeddings are not streamed."""
        raise InternalError("embeddings are not streamed")

    def render_answer(self, reply: bytes) -> bytes:
        """The one object for an upstream's whole answer."""
        vectors, rest = read_vectors(reply, self.texts)
        if self.old:
            return b'{"embedding":%b}' % msgspec.json.encode(vectors[0])
        told = msgspec.json.encode([normalised(vector, self.dimensions) for vector in vectors])
        total, load, _, _ = durations(Moments(self.started), self.clock.now())
        # ollama-ai-provider-v2 refuses an answer without the count; Gemini, for one, reports none.
        usage = rest.get("usage")
        tokens = count(usage if isinstance(usage, dict) else None, "prompt_tokens") or 0
        return b'{"model":%b,"embeddings":%b,"total_duration":%d,"load_duration":%d,"prompt_eval_count":%d}' % (
            quote(self.model),
            told,
            total,
            load,
            tokens,
        )

    def render_error(self, error: ProxyError) -> tuple[int, Headers, bytes]:
        """Status, headers and body."""
        return render_error(told_as(Place.EMBED, self.model, error) if isinstance(error, UnknownModel) else error)
