"""Owns Ollama's grammar of model names, and how an unknown name is told. Knows no catalogue.

`[host/][namespace/]model[:tag]`, read from the right. The catalogue decides what exists and knows names that this
grammar refuses (`openrouter:deepseek/deepseek-r1:free`); so the grammar only speaks about names that nobody knows.
Rules: Ollama 0.33's behaviour.
"""

from __future__ import annotations

import enum
import re
from typing import NamedTuple

from ollama_proxy.errors import BadRequest, ClientError, UnknownModel
from ollama_proxy.protocols.ollama.fields import quoted

__all__ = ["Name", "Place", "is_valid", "split", "told_as", "unknown_model"]

_HOST, _NAMESPACE, _TAG = "registry.ollama.ai", "library", "latest"
_HOST_RULE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,349}")
_NAMESPACE_RULE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,79}")
_PART_RULE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}")
_SOURCE = re.compile(r":(?:local|cloud|[^:/]*-cloud)$", re.IGNORECASE)


class Place(enum.Enum):
    """Where a name was given: each endpoint has its own way to say that it does not know it."""

    CHAT = "chat"
    GENERATE = "generate"
    EMBED = "embed"
    SHOW = "show"
    PULL = "pull"
    COPY = "copy"
    DELETE = "delete"


class Name(NamedTuple):
    """A name with the defaults filled in; its parts are not checked."""

    host: str
    namespace: str
    model: str
    tag: str

    @property
    def shown(self) -> str:
        """As lists show it: without the default host and namespace, always with the tag."""
        name = f"{self.model}:{self.tag}"
        if (self.host, self.namespace) == (_HOST, _NAMESPACE):
            return name
        name = f"{self.namespace}/{name}"
        return name if self.host == _HOST else f"{self.host}/{name}"

    @property
    def whole(self) -> str:
        """With every part."""
        return f"{self.host}/{self.namespace}/{self.model}:{self.tag}"


def split(name: str) -> Name:
    """The parts of a name; spaces around it do not count."""
    rest = name.strip()
    rest = rest.partition("://")[2] or rest
    tag = _TAG
    if rest.rfind(":") > rest.rfind("/"):
        rest, _, tag = rest.rpartition(":")
    rest, slash, model = rest.rpartition("/")
    host, _, namespace = rest.rpartition("/")
    return Name(host or _HOST, namespace if slash else _NAMESPACE, model, tag)


def is_valid(name: str) -> bool:
    """Whether the name keeps to the grammar."""
    host, namespace, model, tag = split(name)
    return bool(
        _HOST_RULE.fullmatch(host)
        and _NAMESPACE_RULE.fullmatch(namespace)
        and _PART_RULE.fullmatch(model)
        and _PART_RULE.fullmatch(tag)
    )


def unknown_model(place: Place, name: str) -> ClientError:
    """The error for a name that nobody knows, in the words of the endpoint."""
    source = _SOURCE.search(name.strip())
    if source and _SOURCE.search(name.strip()[: source.start()]):
        return BadRequest(f"use either :local or :cloud, not both: {quoted(name)}")
    if place is not Place.COPY and not is_valid(name):
        return BadRequest(f"name {quoted(name)} is invalid" if place is Place.DELETE else "invalid model name")
    if place is Place.EMBED:
        return UnknownModel(f"model {quoted(name)} not found, try pulling it first")
    if place is Place.COPY:
        return UnknownModel(f"model {quoted(name)} not found")
    if place is Place.PULL:
        return UnknownModel("pull model manifest: file does not exist", status=500)
    return UnknownModel(f"model '{split(name).shown if place is Place.SHOW else name}' not found")


def told_as(place: Place, name: str, error: UnknownModel) -> ClientError:
    """The same error in the words of the endpoint; one that says more than "not found" keeps its own."""
    return unknown_model(place, name) if error.message.endswith("not found") else error
