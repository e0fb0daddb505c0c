"""Owns what is known of models without asking anybody: the rows of models.toml. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from ollama_proxy.providers.tables import Matcher, read_table
from ollama_proxy.types import Capability, Model

__all__ = ["Facts", "KnownModels", "known_models"]

_CHATS = frozenset({Capability.COMPLETION, Capability.TOOLS})
_TALK = Capability.COMPLETION


@dataclass(frozen=True, slots=True)
class Facts:
    """What one row says; None where it says nothing."""

    capabilities: frozenset[Capability]
    context: int | None = None
    max_output: int | None = None
    embedding_length: int | None = None


_UNKNOWN = Facts(_CHATS)


@dataclass(slots=True)
class _Row:
    fits: Matcher
    facts: Facts
    offered: tuple[str, ...]


class KnownModels:
    """The built-in table. Answers for any id: with a row's facts, or with what is true of most models."""

    def __init__(self, tables: Mapping[str, Any]) -> None:
        self._skip = Matcher(tables["skip"])
        self._rows = {
            name: [_row(row) for row in rows]
            for name, rows in tables.items()
            if isinstance(rows, list) and name != "skip"
        }
        self._successors: dict[str, dict[str, str]] = {
            provider: {old.lower(): new for old, new in table.items()}
            for provider, table in tables.get("successors", {}).items()
        }

    def facts(self, provider: str, model_id: str) -> Facts:
        """What is known of a model's abilities and sizes."""
        for row in self._rows.get(provider, ()):
            if row.fits(model_id):
                return row.facts
        name = model_id.rsplit("/", 1)[-1]
        return next((row.facts for row in self._rows["any"] if row.fits(name)), _UNKNOWN)

    def describe(self, provider: str, model_id: str) -> Model:
        """A model that no list has named."""
        facts = self.facts(provider, model_id)
        return Model(
            provider,
            model_id,
            facts.capabilities,
            facts.context,
            facts.max_output,
            facts.embedding_length,
            listed=False,
        )

    def successor(self, provider: str, model_id: str) -> str | None:
        """The id that took the place of a retired one."""
        return self._successors.get(provider, {}).get(model_id.lower())

    def offered(self, provider: str) -> list[Model]:
        """The models to show for a provider that gives no list."""
        ids = [model_id for row in self._rows.get(provider, ()) for model_id in row.offered]
        return [self.describe(provider, model_id) for model_id in dict.fromkeys(ids)]

    def talks(self, model_id: str) -> bool:
        """Whether a model is for text: False for pictures, sound and the like."""
        return not self._skip(model_id.rsplit("/", 1)[-1])


def _row(table: Mapping[str, Any]) -> _Row:
    can = frozenset(Capability(word) for word in table.get("can", ()))
    ids = table["id"]
    return _Row(
        Matcher(ids),
        Facts(
            can if Capability.EMBEDDING in can else can | {_TALK},
            table.get("context"),
            table.get("max_output"),
            table.get("vector"),
        ),
        tuple(i for i in ids if "*" not in i and "[" not in i) if table.get("offer") else (),
    )


@cache
def known_models() -> KnownModels:
    """The table of models.toml, read once."""
    return KnownModels(read_table("models"))
