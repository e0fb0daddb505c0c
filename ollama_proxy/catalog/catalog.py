"""Owns the models of all providers, in memory. Pure: no network, no disk, no clock; `wall` is epoch seconds.

A live list wins over the built-in table, and a bad one never wins over a good one: an empty list changes nothing, and
one that is suddenly much shorter has to be seen twice. A model that left its list is still found for a week, because
lists flicker and names live on in clients' settings; then its successor, if one is known, is named in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from ollama_proxy.types import Capability, Model

__all__ = ["Book", "Catalog"]

#: How long a model that left its list is still found.
GRACE_S = 7 * 86400.0
#: A list shorter than this part of the one before is believed only when it is seen again.
_SHRUNKEN = 0.25
#: The age of models whose age nobody knows: 2026-01-01. A fixed day, so that clients see no change.
_UNDATED = 1767225600
_LATEST = ":latest"
#: Descriptions of unlisted models that are kept; their names come from clients.
_REMEMBERED = 1024


class Book(Protocol):
    """What is known of models that no list has named."""

    def describe(self, provider: str, model_id: str) -> Model:
        """A model by its id alone."""

    def successor(self, provider: str, model_id: str) -> str | None:
        """The id that took the place of a retired one."""


@dataclass(slots=True)
class _Entry:
    """One model; `seen` is when it first stood in a list, `gone` since when it does not (0: it does)."""

    model: Model
    seen: int
    gone: int = 0


class _Shelf:
    """One provider's models. `live`: a list was read, not only the built-in one."""

    __slots__ = ("by_name", "doubted", "entries", "live")

    def __init__(self) -> None:
        self.entries: dict[str, _Entry] = {}
        self.by_name: dict[str, str] = {}
        self.doubted = False
        self.live = False

    def index(self) -> None:
        """Ids by their lower-case form; of two that differ in case only, the listed one."""
        by_age = sorted(self.entries.items(), key=lambda item: not item[1].gone)
        self.by_name = {model_id.lower(): model_id for model_id, _ in by_age}

    def listed(self) -> int:
        return sum(1 for entry in self.entries.values() if not entry.gone)


class Catalog:
    """All models by provider and id."""

    def __init__(self, book: Book | None = None, *, grace_s: float = GRACE_S) -> None:
        self._book = book
        self._grace_s = grace_s
        self._shelves: dict[str, _Shelf] = {}
        self._sorted: list[Model] | None = None
        self._described: dict[tuple[str, str], Model] = {}
        #: Called whenever an id may mean another model.
        self.on_change: Callable[[], None] = lambda: None

    def __repr__(self) -> str:
        counts = ", ".join(f"{name}: {shelf.listed()}" for name, shelf in sorted(self._shelves.items()))
        return f"Catalog({counts or 'empty'})"

    # --- writing ------------------------------------------------------------------------------------------------------

    def replace(self, provider: str, models: Iterable[Model], wall: float) -> bool:
        """A provider's new list takes the place of the one before, if it can be believed. Returns whether it did.

        A list of models none of which is `listed` is a built-in one: it stands in only where no live one was ever read.
        """
        fresh = {model.id: model for model in models if model.provider == provider and model.id}
        live = any(model.listed for model in fresh.values())
        shelf = self._shelves.get(provider)
        if not fresh:
            return False
        if shelf is not None and shelf.live:
            if not live:
                return False
            if len(fresh) < _SHRUNKEN * shelf.listed() and not shelf.doubted:
                shelf.doubted = True
                return False
        self._put(provider, fresh, int(wall), live=live)
        return True

    def keep_only(self, providers: Iterable[str]) -> None:
        """Providers that are not set up, perhaps any more, leave with all their models."""
        for provider in self._shelves.keys() - set(providers):
            self.forget(provider)

    def forget(self, provider: str) -> None:
        """A provider that is no longer set up leaves with all its models."""
        if self._shelves.pop(provider, None) is not None:
            self._sorted = None
            self.on_change()

    def _put(self, provider: str, fresh: Mapping[str, Model], wall: int, *, live: bool) -> None:
        shelf = self._shelves.setdefault(provider, _Shelf())
        kept = shelf.entries if shelf.live == live else {}
        entries = {}
        for model_id, model in fresh.items():
            before = shelf.entries.get(model_id)
            entries[model_id] = _Entry(model, wall if before is None else before.seen)
        for model_id, entry in kept.items():
            gone = entry.gone or wall
            if model_id not in fresh and wall - gone < self._grace_s:
                entries[model_id] = _Entry(replace(entry.model, listed=False), entry.seen, gone)
        shelf.entries, shelf.live, shelf.doubted = entries, live, False
        shelf.index()
        self._sorted = None
        self.on_change()

    # --- reading ------------------------------------------------------------------------------------------------------

    def find(self, provider: str, model_id: str) -> Model | None:
        """The model with this id, in any letter case, with or without `:latest`; also one that left its list lately."""
        entry = self._entry(provider, model_id)
        return None if entry is None else entry.model

    def describe(self, provider: str, model_id: str) -> Model:
        """The model with this id; for one that nobody listed what the book says, else what is safe to say."""
        found = self.find(provider, model_id)
        if found is not None:
            return found
        asked = provider, model_id
        described = self._described.get(asked)
        if described is None:
            if len(self._described) >= _REMEMBERED:
                self._described.clear()
            described = self._described[asked] = self._unlisted(provider, model_id)
        return described

    def _unlisted(self, provider: str, model_id: str) -> Model:
        if self._book is not None:
            return self._book.describe(provider, model_id)
        return Model(provider, model_id, frozenset({Capability.COMPLETION, Capability.TOOLS}), listed=False)

    def successor(self, provider: str, model_id: str) -> str | None:
        """The id of a listed model that took the place of one that is gone; None for one that is not gone."""
        entry = self._entry(provider, model_id)
        if self._book is None or (entry is not None and not entry.gone):
            return None
        heir = self._book.successor(provider, model_id if entry is None else entry.model.id)
        living = None if heir is None else self._entry(provider, heir)
        return None if living is None or living.gone else living.model.id

    def all(self) -> list[Model]:
        """Every listed model, newest first; the same order each time. Not to be changed by the caller."""
        if self._sorted is None:
            listed = [
                (-self._dated(entry), entry.model.name, entry.model)
                for shelf in self._shelves.values()
                for entry in shelf.entries.values()
                if not entry.gone
            ]
            self._sorted = [model for _, _, model in sorted(listed, key=lambda item: item[:2])]
        return self._sorted

    def modified_at(self, model: Model) -> int:
        """Epoch seconds to show as a model's date: the same each time, also after a restart."""
        entry = self._entry(model.provider, model.id)
        return self._dated(entry) if entry is not None else model.created or _UNDATED

    @staticmethod
    def _dated(entry: _Entry) -> int:
        was_listed = entry.model.listed or entry.gone
        return entry.model.created or (entry.seen if was_listed else 0) or _UNDATED

    def _entry(self, provider: str, model_id: str) -> _Entry | None:
        shelf = self._shelves.get(provider)
        if shelf is None:
            return None
        entry = shelf.entries.get(model_id)
        if entry is not None:
            return entry
        asked = model_id.lower()
        for name in (asked, asked.removesuffix(_LATEST), asked + _LATEST, asked.removeprefix("models/")):
            if name in shelf.by_name:
                return shelf.entries[shelf.by_name[name]]
        return None

    # --- the copy on disk ---------------------------------------------------------------------------------------------

    def export(self) -> dict[str, Any]:
        """All live lists as plain values, fit for JSON."""
        return {
            "version": 1,
            "providers": {
                name: [_plain(entry) for entry in shelf.entries.values()]
                for name, shelf in self._shelves.items()
                if shelf.live
            },
        }

    def restore(self, data: Any, wall: float) -> None:
        """Takes up an exported copy; what cannot be read is passed over, and lists read since are not touched."""
        providers = data.get("providers") if isinstance(data, dict) and data.get("version") == 1 else None
        for name, items in providers.items() if isinstance(providers, dict) else ():
            shelf = self._shelves.get(name)
            if not isinstance(name, str) or not isinstance(items, list) or (shelf is not None and shelf.live):
                continue
            entries = {e.model.id: e for item in items if (e := _entry_of(name, item, wall)) is not None}
            if any(not entry.gone for entry in entries.values()):
                shelf = self._shelves[name] = _Shelf()
                shelf.entries, shelf.live = entries, True
                shelf.index()
                self._sorted = None
                self.on_change()


def _plain(entry: _Entry) -> dict[str, Any]:
    model = entry.model
    item: dict[str, Any] = {
        "id": model.id,
        "can": sorted(capability.value for capability in model.capabilities),
        "context": model.context,
        "max_output": model.max_output,
        "vector": model.embedding_length,
        "created": model.created,
        "title": model.title,
        "seen": entry.seen,
        "gone": entry.gone,
    }
    return {key: value for key, value in item.items() if value not in (None, 0, "")}


def _entry_of(provider: str, item: Any, wall: float) -> _Entry | None:
    """One exported model; None for one that makes no sense or comes from the future."""
    try:
        gone = _count(item.get("gone")) or 0
        model = Model(
            provider,
            str(item["id"]),
            frozenset(Capability(word) for word in item["can"]),
            _count(item.get("context")),
            _count(item.get("max_output")),
            _count(item.get("vector")),
            _count(item.get("created")) or 0,
            str(item.get("title", "")),
            listed=not gone,
        )
        return _Entry(model, min(_count(item.get("seen")) or 0, int(wall)), min(gone, int(wall)))
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
