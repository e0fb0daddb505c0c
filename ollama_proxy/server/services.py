"""Owns the parts that endpoints work with, put together once at the start. Holds no rule."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ollama_proxy.catalog import Catalog
from ollama_proxy.channel import Channel
from ollama_proxy.clock import Clock
from ollama_proxy.errors import ProxyError, UnknownModel
from ollama_proxy.gateway import Gateway
from ollama_proxy.library import Library, Recipe
from ollama_proxy.protocols.ollama import Listed, Made, Place, digest_of, told_as, unknown_model
from ollama_proxy.routing import Router, Target
from ollama_proxy.server.shelf import Shelf
from ollama_proxy.server.visit import Visit
from ollama_proxy.settings import Settings
from ollama_proxy.store import Documents
from ollama_proxy.telemetry import Journal
from ollama_proxy.types import Call, Model

__all__ = ["LIBRARY", "Services"]

#: The document that holds the library.
LIBRARY = "library"


@dataclass(slots=True)
class Services:
    """Everything that an endpoint may need."""

    settings: Settings
    clock: Clock
    channels: Mapping[str, Channel]
    catalog: Catalog
    router: Router
    gateway: Gateway
    documents: Documents
    journal: Journal
    library: Library
    shelf: Shelf = field(default_factory=Shelf)

    def describe(self, target: Target) -> Model:
        """What is known of a target."""
        return self.catalog.describe(target.provider, target.model_id)

    def listed(self, name: str, model: Model, recipe: Recipe | None = None) -> Listed:
        """A model as our lists show it, under its own name or a made one."""
        channel = self.channels[model.provider]
        return Listed(
            name=name,
            model=model,
            digest=digest_of(name, model),
            modified_at=recipe.made if recipe is not None and recipe.made else self.catalog.modified_at(model),
            remote_host=channel.provider.base_url,
            made=None if recipe is None else Made(recipe.source, recipe.system, recipe.messages, recipe.parameters),
        )

    def all_listed(self) -> list[Listed]:
        """Everything that can be asked for, newest first: made names, and the providers' models that nobody deleted."""
        library = self.library
        made = []
        for name in library.names():
            recipe = library.find(name)
            target = self.target(name)
            if recipe is not None and target is not None:
                made.append(self.listed(name, self.describe(target), recipe))
        models = [model for model in self.catalog.all() if library.shows(model.name)]
        known = {model.name for model in models}
        kept = [t for name in library.kept() if name not in known and (t := self.target(name)) is not None]
        listed = [*made, *(self.listed(m.name, m) for m in (*models, *map(self.describe, kept)))]
        return sorted(listed, key=lambda one: -int(one.modified_at))

    def target(self, name: str) -> Target | None:
        """What a caller's name stands for; None where nothing could be tried."""
        try:
            return self.router.targets(name)[0]
        except UnknownModel:
            return None

    def find(self, name: str) -> Listed | None:
        """The model that a caller's name stands for, listed or merely worth a try; None where nothing could be."""
        target = self.target(name)
        if target is None:
            return None
        model, recipe = self.describe(target), self.library.find(name)
        return self.listed(self.library.spelling(name) or model.name, model, recipe)

    def unknown(self, place: Place, name: str) -> ProxyError:
        """The error for a name that stands for nothing, or for nothing that our lists show."""
        try:
            self.router.targets(name)
        except UnknownModel as error:
            return told_as(place, name, error)
        return unknown_model(place, name)

    def serve(self, call: Call, visit: Visit, protocol: str) -> Coroutine[Any, Any, None]:
        """A call through the gateway; a made name brings what it holds."""
        recipe = self.library.find(call.model)
        if recipe is not None:
            call.body = recipe.apply(call.body)
        return self.gateway.serve(call, visit, protocol)

    def keep_library(self) -> None:
        """What a verb did outlives the process."""
        self.documents.put(LIBRARY, msgspec.json.encode(self.library.export()))
