"""Owns what happens on the Responses API's route. Knows neither how a request is read nor how it is served."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from ollama_proxy.protocols import responses
from ollama_proxy.server.losses import drop_thinking, tell_losses
from ollama_proxy.server.routing_table import Route
from ollama_proxy.server.services import Services
from ollama_proxy.server.visit import Visit

__all__ = ["routes"]


def routes(services: Services) -> list[Route]:
    """The table's line for the Responses API."""

    def create(visit: Visit) -> Coroutine[Any, Any, None]:
        call, left_out = responses.parse_responses(visit.body, visit.request.headers, services.clock)
        tell_losses(visit, [*left_out, *drop_thinking(services, call)])
        if call.stream:
            visit.common.append((b"cache-control", b"no-cache"))
        return services.serve(call, visit, "responses")

    return [Route(("POST",), "/v1/responses", create)]
