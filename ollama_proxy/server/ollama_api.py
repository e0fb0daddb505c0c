"""Owns what happens on Ollama's routes. Knows neither how a request is read nor how it is served."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from ollama_proxy import OLLAMA_VERSION, __version__
from ollama_proxy.errors import BadRequest, ProxyError
from ollama_proxy.protocols import ollama
from ollama_proxy.protocols.ollama import OllamaRequest, Place
from ollama_proxy.server.routing_table import Route
from ollama_proxy.server.services import Services
from ollama_proxy.server.visit import Visit
from ollama_proxy.types import Headers

__all__ = ["routes"]

_JSON: Headers = [(b"content-type", ollama.JSON)]
_Endpoint = Callable[[Visit], Coroutine[Any, Any, None] | None]


def routes(services: Services) -> list[Route]:
    """The table's lines for Ollama's API."""
    api = _Ollama(services)
    clock = services.clock
    return [
        Route(("GET", "HEAD"), "/api/version", api.version),
        Route(("GET",), "/api/status", api.status),
        Route(("GET", "HEAD"), "/api/tags", api.tags),
        Route(("GET",), "/api/ps", api.ps),
        Route(("POST",), "/api/show", api.show),
        Route(("POST",), "/api/chat", api.generation(lambda body: ollama.parse_chat(body, clock))),
        Route(("POST",), "/api/generate", api.generation(lambda body: ollama.parse_generate(body, clock))),
        Route(("POST",), "/api/embed", api.generation(lambda body: ollama.parse_embed(body, clock))),
        Route(("POST",), "/api/embeddings", api.generation(lambda body: ollama.parse_embeddings(body, clock))),
        Route(("POST",), "/api/push", api.push),
        Route(("HEAD",), "/api/blobs/*", api.blob),
        Route(("POST",), "/api/blobs/*", api.put_blob),
        Route(("POST",), "/api/me", api.me),
        Route(("POST",), "/api/signout", api.signout),
        Route(("DELETE",), "/api/user/keys/*", api.signout),
        Route(("POST",), "/api/experimental/web_search", api.web("web search")),
        Route(("POST",), "/api/experimental/web_fetch", api.web("web fetch")),
        Route(("GET",), "/api/experimental/model-recommendations", api.recommendations),
    ]


class _Ollama:
    def __init__(self, services: Services) -> None:
        self._services = services

    # --- generating ---------------------------------------------------------------------------------------------------

    def generation(self, parse: Callable[[bytes], OllamaRequest]) -> _Endpoint:
        """An endpoint that reads a request with `parse` and answers it, from here or through the gateway."""

        def endpoint(visit: Visit) -> Coroutine[Any, Any, None] | None:
            request = parse(visit.body)
            try:
                return self._generate(visit, request)
            except ProxyError as error:
                visit.respond(*request.call.face.render_error(error))
                return None

        return endpoint

    def _generate(self, visit: Visit, request: OllamaRequest) -> Coroutine[Any, Any, None] | None:
        services, call = self._services, request.call
        model = services.describe(services.router.targets(call.model)[0])
        ollama.check_capabilities(request, model)
        keep_alive_s = services.settings.keep_alive_s if request.keep_alive_s is None else request.keep_alive_s
        services.shelf.use(model.name, call.model, keep_alive_s, services.clock.wall())
        if request.local_answer is not None:
            visit.respond(200, _JSON, request.local_answer)
            return None
        return services.serve(call, visit, "ollama")

    # --- looking ------------------------------------------------------------------------------------------------------

    def version(self, visit: Visit) -> None:
        visit.respond(200, _JSON, ollama.render_version(OLLAMA_VERSION, __version__))

    def status(self, visit: Visit) -> None:
        visit.respond(200, _JSON, ollama.render_status())

    def tags(self, visit: Visit) -> None:
        visit.respond(200, _JSON, ollama.render_tags(self._services.all_listed()))

    def ps(self, visit: Visit) -> None:
        services = self._services
        wall = services.clock.wall()
        loaded = []
        for name, use in services.shelf.loaded(wall).items():
            listed = self._services.find(name)
            if listed is not None:
                loaded.append(ollama.Loaded(listed, use.until))
        visit.respond(200, _JSON, ollama.render_ps(loaded, wall))

    def show(self, visit: Visit) -> None:
        asked = ollama.parse_show(visit.body)
        listed = self._services.find(asked)
        if listed is None:
            raise self._services.unknown(Place.SHOW, asked)
        user_agent = visit.request.headers.get(b"user-agent", b"").decode("latin-1")
        visit.respond(200, _JSON, ollama.render_show(listed, asked, user_agent))

    def recommendations(self, visit: Visit) -> None:
        visit.respond(200, _JSON, ollama.render_recommendations(self._services.all_listed()[:10]))

    # --- weights, which nobody has here -------------------------------------------------------------------------------

    def push(self, visit: Visit) -> None:
        visit.respond(*ollama.render_push(ollama.parse_push(visit.body)))

    def blob(self, visit: Visit) -> None:
        ollama.check_digest(visit.tail)
        visit.respond(404, [], b"")

    def put_blob(self, visit: Visit) -> None:
        ollama.check_digest(visit.tail)
        raise BadRequest("weights cannot be stored here: this server is a proxy, models live at their providers")

    # --- accounts -----------------------------------------------------------------------------------------------------

    def me(self, visit: Visit) -> None:
        visit.respond(*ollama.render_me())

    def signout(self, visit: Visit) -> None:
        visit.respond(*ollama.render_signout())

    def web(self, what: str) -> _Endpoint:
        def endpoint(visit: Visit) -> None:
            raise ollama.parse_web(visit.body, what)

        return endpoint
