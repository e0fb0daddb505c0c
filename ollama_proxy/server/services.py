"""Owns the parts that endpoints work with, put together once at the start. Holds no rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ollama_proxy.catalog import Catalog
from ollama_proxy.channel import Channel
from ollama_proxy.clock import Clock
from ollama_proxy.gateway import Gateway
from ollama_proxy.protocols.ollama import Listed, digest_of
from ollama_proxy.routing import Router, Target
from ollama_proxy.server.shelf import Shelf
from ollama_proxy.settings import Settings
from ollama_proxy.store import Documents
from ollama_proxy.telemetry import Journal
from ollama_proxy.types import Model

__all__ = ["Services"]


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
    shelf: Shelf = field(default_factory=Shelf)

    def describe(self, target: Target) -> Model:
        """What is known of a target."""
        return self.catalog.describe(target.provider, target.model_id)

    def listed(self, name: str, model: Model) -> Listed:
        """A model as our lists show it, under its own name or an alias."""
        channel = self.channels[model.provider]
        return Listed(
            name=name,
            model=model,
            digest=digest_of(name, model),
            modified_at=self.catalog.modified_at(model),
            remote_host=channel.provider.base_url,
        )

    def all_listed(self) -> list[Listed]:
        """Everything that can be asked for: aliases first of their age, then the providers' models."""
        aliases = [self.listed(alias, self.describe(target)) for alias, target in self.router.aliases()]
        return [*aliases, *(self.listed(model.name, model) for model in self.catalog.all())]
