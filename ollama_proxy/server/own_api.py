"""Owns what happens on the routes that are our own: the root, the page, health, metrics, the state of the keys."""

from __future__ import annotations

import msgspec

from ollama_proxy import OLLAMA_VERSION, __version__
from ollama_proxy.protocols import ollama
from ollama_proxy.server.access import Access
from ollama_proxy.server.page import render_page
from ollama_proxy.server.preference import first_choice
from ollama_proxy.server.routing_table import Route
from ollama_proxy.server.services import Services
from ollama_proxy.server.visit import Visit
from ollama_proxy.types import Headers

__all__ = ["routes"]

_JSON: Headers = [(b"content-type", ollama.JSON)]
_TEXT: Headers = [(b"content-type", b"text/plain; charset=utf-8")]
#: What the root can be, by what the client accepts; programs get JSON unless they want something else more.
_FORMS = {
    "application/json": "json",
    "application/*": "json",
    "*/*": "json",
    "text/plain": "text",
    "text/*": "text",
    "text/html": "page",
}


def routes(services: Services) -> list[Route]:
    """The table's lines for what Ollama does not have."""
    api = _Own(services)
    return [
        Route(("GET", "HEAD"), "/", api.root, open=True),
        Route(("GET", "HEAD"), "/ui", api.page),
        Route(("GET", "HEAD"), "/healthz", api.health, open=True),
        Route(("GET",), "/metrics", api.metrics),
        Route(("GET",), "/api/keys", api.keys),
    ]


class _Own:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._access = Access(services.settings.token)

    def root(self, visit: Visit) -> None:
        """Ollama's sentence for who asks for text, versions for programs, the page for browsers.

        Who shows no token where one is set gets the sentence and nothing else.
        """
        headers = visit.request.headers
        by_path = self._access.path_within(visit.request.path)[1]
        known = self._access.admits(headers, by_path=by_path)
        form = first_choice(headers.get(b"accept", b""), _FORMS, "json") if known else "text"
        if form == "page":
            self.page(visit)
        elif form == "text":
            visit.respond(200, _TEXT, b"Ollama is running")
        else:
            visit.respond(200, _JSON, ollama.render_root(OLLAMA_VERSION, __version__))

    def page(self, visit: Visit) -> None:
        languages = visit.request.headers.get(b"accept-language", b"")
        korean = first_choice(languages, {"ko": True, "en": False, "*": False}, False)
        visit.respond(200, *render_page(korean=korean))

    def health(self, visit: Visit) -> None:
        visit.respond(200, _JSON, b'{"status":"ok"}')

    def metrics(self, visit: Visit) -> None:
        services = self._services
        now = services.clock.now()

        def gauges() -> list[tuple[str, str, float]]:
            found = [("ollama_proxy_requests_in_flight", "", float(services.gateway.in_flight))]
            for name, channel in services.channels.items():
                for view in channel.pool.snapshot(now):
                    labels = f'provider="{name}",key="{view.label}",state="{view.state.value}"'
                    found.append(("ollama_proxy_key_in_flight", labels, float(view.in_flight)))
            return found

        text = services.journal.exposition(gauges)
        visit.respond(200, [(b"content-type", b"text/plain; version=0.0.4; charset=utf-8")], text.encode())

    def keys(self, visit: Visit) -> None:
        now = self._services.clock.now()
        told = {
            name: {"provider": channel.pool.overview(now), "keys": channel.pool.snapshot(now)}
            for name, channel in self._services.channels.items()
        }
        visit.respond(200, _JSON, msgspec.json.encode(told, enc_hook=str))
