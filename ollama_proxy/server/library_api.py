"""Owns what Ollama's managing verbs do: copy, create, pull and delete change the library, which outlives a restart.

Nothing pretends: a pull asks the provider for the model, a delete takes something out of the lists, and what cannot be
done is refused in Ollama's words.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

import msgspec

from ollama_proxy.errors import BadRequest, ProxyError, UnknownModel
from ollama_proxy.library import Recipe
from ollama_proxy.protocols import ollama, openai
from ollama_proxy.refresh import Refresh
from ollama_proxy.server.routing_table import Route
from ollama_proxy.server.services import Services
from ollama_proxy.server.visit import Visit

__all__ = ["routes"]


def _full() -> BadRequest:
    # A new one each time: an error that is raised twice keeps every frame that it has seen, and their bodies.
    return BadRequest("the proxy keeps as many names as it may; delete some first")


def routes(services: Services, refresh: Refresh) -> list[Route]:
    """The table's lines for the managing verbs."""
    api = _LibraryVerbs(services, refresh)
    return [
        Route(("POST",), "/api/pull", api.pull),
        Route(("POST",), "/api/create", api.create),
        Route(("POST",), "/api/copy", api.copy),
        Route(("DELETE",), "/api/delete", api.delete),
    ]


class _LibraryVerbs:
    def __init__(self, services: Services, refresh: Refresh) -> None:
        self._services = services
        self._refresh = refresh

    # --- copy and create ----------------------------------------------------------------------------------------------

    def copy(self, visit: Visit) -> None:
        source, destination = ollama.parse_copy(visit.body)
        base = self._base(source)
        if base is None:
            raise ollama.refuse_copy(source)
        self._make(destination, Recipe(source, made=self._today()).over(base))
        visit.respond(200, [], b"")

    def create(self, visit: Visit) -> None:
        created = ollama.parse_create(visit.body)
        base = self._base(created.source)
        if base is None:
            error = UnknownModel(f"model '{created.source}' not found")
            visit.respond(*ollama.render_pull(ollama.Managed(created.source, created.managed.stream), error))
            return
        recipe = Recipe(
            created.source,
            created.system,
            created.messages,
            created.defaults,
            created.parameters,
            made=self._today(),
        )
        self._make(created.managed.model, recipe.over(base))
        visit.respond(*ollama.render_create(created))

    def _base(self, name: str) -> Recipe | None:
        """What another name may be made from: a made name, or a provider's model."""
        library = self._services.library
        found = library.find(name)
        if found is not None:
            return found
        listed = self._services.find(name)
        return None if listed is None else Recipe(listed.name)

    def _make(self, name: str, recipe: Recipe) -> None:
        library = self._services.library
        fixed = library.find(name)
        if not library.make(name, recipe):
            raise ollama.refuse_delete(name, fixed=True) if fixed is not None and fixed.fixed else _full()
        self._services.keep_library()

    def _today(self) -> int:
        return int(self._services.clock.wall())

    # --- delete -------------------------------------------------------------------------------------------------------

    def delete(self, visit: Visit) -> None:
        name = ollama.parse_delete(visit.body)
        services, library = self._services, self._services.library
        recipe = library.find(name)
        if recipe is not None:
            if not library.unmake(name):
                raise ollama.refuse_delete(name, fixed=True)
        else:
            listed = services.find(name)
            if listed is None or listed.name not in {one.name for one in services.all_listed()}:
                raise ollama.refuse_delete(name)
            if not library.hide(listed.name):
                raise _full()
        services.keep_library()
        visit.respond(200, [], b"")

    # --- pull ---------------------------------------------------------------------------------------------------------

    def pull(self, visit: Visit) -> Coroutine[Any, Any, None]:
        return self._pull(visit, ollama.parse_pull(visit.body))

    async def _pull(self, visit: Visit, request: ollama.Managed) -> None:
        trouble: ProxyError | None = None
        try:
            await self._reach(request.model)
        except ProxyError as error:
            trouble = error
        visit.respond(*ollama.render_pull(request, trouble))

    async def _reach(self, name: str) -> None:
        """Returns when the model is there, and listed from now on.

        Raises: UnknownModel, or whatever keeps it from being reached.
        """
        services, library = self._services, self._services.library
        if library.find(name) is not None:
            return
        target = services.router.targets(name)[0]
        if not services.describe(target).listed:
            await self._refresh.look(target.provider)
        model = services.describe(services.router.targets(name)[0])
        if not model.listed:
            await self._try(name)
        if not library.keep(model.name):
            raise _full()
        services.keep_library()

    async def _try(self, name: str) -> None:
        """One token from a model that no list names: the only proof that it answers."""
        body = {"model": name, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
        await self._services.gateway.ask(openai.parse_chat(msgspec.json.encode(body), {}, self._services.clock))
