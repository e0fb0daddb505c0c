"""Owns what happens on OpenAI's routes. Knows neither how a request is read nor how it is served."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any
from urllib.parse import unquote

from ollama_proxy.clock import Clock
from ollama_proxy.protocols import openai
from ollama_proxy.protocols.ollama import Listed, Place
from ollama_proxy.server.routing_table import Route
from ollama_proxy.server.services import Services
from ollama_proxy.server.visit import Visit
from ollama_proxy.types import Call

__all__ = ["routes"]

_Parse = Callable[[bytes, Mapping[bytes, bytes], Clock], Call]
_JSON = (b"content-type", b"application/json")


def routes(services: Services) -> list[Route]:
    """The table's lines for OpenAI's API."""
    api = _OpenAI(services)
    return [
        Route(("POST",), "/v1/chat/completions", api.call(openai.parse_chat)),
        Route(("POST",), "/v1/completions", api.call(openai.parse_completions)),
        Route(("POST",), "/v1/embeddings", api.call(openai.parse_embeddings)),
        Route(("POST",), "/v1/audio/transcriptions", api.transcription),
        Route(("GET",), "/v1/models", api.models),
        Route(("GET",), "/v1/models/*", api.model),
    ]


class _OpenAI:
    def __init__(self, services: Services) -> None:
        self._services = services

    def call(self, parse: _Parse) -> Callable[[Visit], Coroutine[Any, Any, None]]:
        """An endpoint that reads a request with `parse` and lets the gateway serve it."""
        services = self._services

        def endpoint(visit: Visit) -> Coroutine[Any, Any, None]:
            call = parse(visit.body, visit.request.headers, services.clock)
            return services.serve(call, visit, "openai")

        return endpoint

    def transcription(self, visit: Visit) -> None:
        model = openai.parse_transcription(visit.body, visit.request.headers.get(b"content-type", b""))
        self._services.router.targets(model)
        raise openai.refuse_transcription(model)

    def models(self, visit: Visit) -> None:
        visit.respond(200, [_JSON], openai.render_models(map(_entry, self._services.all_listed())))

    def model(self, visit: Visit) -> None:
        asked = unquote(visit.tail)
        services = self._services
        listed = services.find(asked)
        if listed is None or listed.name not in {one.name for one in services.all_listed()}:
            raise services.unknown(Place.SHOW, asked)
        visit.respond(200, [_JSON], openai.render_model(_entry(listed)._replace(name=asked)))


def _entry(listed: Listed) -> openai.Entry:
    return openai.Entry(listed.name, listed.model, int(listed.modified_at))
