"""Owns what happens on Anthropic's routes. Knows neither how a request is read nor how it is served."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from ollama_proxy.protocols import anthropic
from ollama_proxy.server.losses import drop_thinking, tell_losses
from ollama_proxy.server.routing_table import Route
from ollama_proxy.server.services import Services
from ollama_proxy.server.visit import Visit

__all__ = ["routes"]

_JSON = (b"content-type", b"application/json")


def routes(services: Services) -> list[Route]:
    """The table's lines for Anthropic's API."""
    api = _Anthropic(services)
    return [
        Route(("POST",), "/v1/messages", api.messages),
        Route(("POST",), "/v1/messages/count_tokens", api.count_tokens),
    ]


class _Anthropic:
    def __init__(self, services: Services) -> None:
        self._services = services

    def messages(self, visit: Visit) -> Coroutine[Any, Any, None]:
        services = self._services
        request_id = _repeat_id(visit)
        call, left_out = anthropic.parse_messages(visit.body, visit.request.headers, services.clock, request_id)
        tell_losses(visit, [*left_out, *drop_thinking(services, call)])
        if call.stream:
            visit.common.append((b"cache-control", b"no-cache"))
        return services.serve(call, visit, "anthropic")

    def count_tokens(self, visit: Visit) -> None:
        """An estimate, made here; a model that nobody serves is refused as it would be for a message."""
        _repeat_id(visit)
        model, tokens = anthropic.parse_count(visit.body)
        self._services.router.targets(model)
        visit.respond(200, [_JSON], anthropic.render_count(tokens))


def _repeat_id(visit: Visit) -> str:
    """The request's id, which from now on stands also where Anthropic's SDKs look for it."""
    request_id = dict(visit.common)[b"x-request-id"]
    visit.common.append((b"request-id", request_id))
    return request_id.decode()
