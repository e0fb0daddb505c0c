"""Owns what Ollama's own verbs do here: names made by copy and create, models hidden by delete, kept by pull. Pure.

A name made here stands for a provider's model, perhaps with a system prompt, opening messages and parameters of its
own. Recipes are flat: one made from another takes over what that one holds, so no chain is ever followed. What the
settings file names as an alias is there too, and can be neither replaced nor deleted from outside.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from ollama_proxy.names import without_latest
from ollama_proxy.types import Body

__all__ = ["Library", "Recipe"]

#: Made names, hidden and kept models: more than anybody makes by hand, and a bound for what comes from outside.
_MOST = 1000
#: Characters that all made names may hold together: hundreds of long system prompts, and still quick to save.
_MOST_TEXT = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a made name stands for.

    source: the name of a provider's model. system: put first where a request brings no system message of its own.
    messages: put before a request's messages, in the hub's shape. defaults: hub fields that a request may override.
    parameters: the same as Ollama's clients wrote them, to be shown. made: epoch seconds. fixed: from the settings.
    """

    source: str
    system: str = ""
    messages: tuple[Mapping[str, Any], ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    made: int = 0
    fixed: bool = False

    @property
    def plain(self) -> bool:
        """Nothing but another name."""
        return not (self.system or self.messages or self.defaults)

    def over(self, base: Recipe) -> Recipe:
        """One recipe made from another: the other's model, and whatever this one does not say itself."""
        return replace(
            self,
            source=base.source,
            system=self.system or base.system,
            messages=self.messages or base.messages,
            defaults={**base.defaults, **self.defaults},
            parameters={**base.parameters, **self.parameters},
        )

    def apply(self, body: Body) -> Body:
        """A request's body with what the recipe adds; the body itself is not touched."""
        if self.plain:
            return body
        dressed = {**self.defaults, **body}
        if (self.system or self.messages) and "messages" in body:
            messages = _decoded(body["messages"])
            if isinstance(messages, list):
                dressed["messages"] = self._opening(messages) + messages
        return dressed

    def _opening(self, messages: list[Any]) -> list[Mapping[str, Any]]:
        opening = list(self.messages)
        given = [*opening, *messages]
        if self.system and not any(isinstance(m, Mapping) and m.get("role") == "system" for m in given):
            opening.insert(0, {"role": "system", "content": self.system})
        return opening


def _decoded(value: Any) -> Any:
    return msgspec.json.decode(value) if isinstance(value, msgspec.Raw) else value


_encode = msgspec.json.Encoder().encode


class Library:
    """Made names, hidden models, kept models. Names are compared without case and without `:latest`."""

    def __init__(self, aliases: Mapping[str, str] | None = None) -> None:
        """aliases: the settings' own. `on_change` is called whenever a name means something else."""
        self.on_change: Callable[[], None] = lambda: None
        self._made: dict[str, tuple[str, Recipe]] = {}
        #: Bytes that each made name holds, and all of them.
        self._sizes: dict[str, int] = {}
        self._held = 0
        self._hidden: set[str] = set()
        self._kept: set[str] = set()
        self.fix(aliases or {})

    def fix(self, aliases: Mapping[str, str]) -> None:
        """The settings' aliases, in place of the ones before."""
        self._made = {key: made for key, made in self._made.items() if not made[1].fixed}
        for name, source in aliases.items():
            self._made[_key(name)] = name, Recipe(source, fixed=True)
            self._held -= self._sizes.pop(_key(name), 0)
        self.on_change()

    # --- made names ---------------------------------------------------------------------------------------------------

    def find(self, name: str) -> Recipe | None:
        """What a made name stands for."""
        found = self._made.get(_key(name)) if self._made else None
        return None if found is None else found[1]

    def source(self, name: str) -> str | None:
        """The provider's model behind a made name."""
        found = self._made.get(_key(name))
        return None if found is None else found[1].source

    def spelling(self, name: str) -> str | None:
        """A made name as it was made."""
        found = self._made.get(_key(name))
        return None if found is None else found[0]

    def names(self) -> list[str]:
        """Every made name, newest first, as it was made."""
        return [name for name, _ in sorted(self._made.values(), key=lambda made: (-made[1].made, made[0]))]

    def make(self, name: str, recipe: Recipe) -> bool:
        """Puts a name up, in place of one that was made before. False: the settings hold the name, or there is no room.

        A model that was hidden under this name is a thing of its own and stays hidden.
        """
        key = _key(name)
        before = self._made.get(key)
        if before is not None and before[1].fixed:
            return False
        if before is None and len(self._made) >= _MOST:
            return False
        size = 0 if recipe.plain else len(_encode(recipe))
        held = self._held - self._sizes.get(key, 0) + size
        if size and held > _MOST_TEXT:
            return False
        self._held = held
        self._sizes[key] = size
        self._made[key] = without_latest(name.strip()), recipe
        self.on_change()
        return True

    def unmake(self, name: str) -> bool:
        """Takes a made name away; False where it is not there or stands in the settings."""
        found = self._made.get(_key(name))
        if found is None or found[1].fixed:
            return False
        del self._made[_key(name)]
        self._held -= self._sizes.pop(_key(name), 0)
        self.on_change()
        return True

    # --- providers' models --------------------------------------------------------------------------------------------

    def hide(self, name: str) -> bool:
        """Leaves a provider's model out of the lists; it can still be asked for by name. False: no room."""
        self._kept.discard(name)
        if len(self._hidden) >= _MOST and name not in self._hidden:
            return False
        self._hidden.add(name)
        return True

    def keep(self, name: str) -> bool:
        """Shows a provider's model in the lists, listed there or not. False: no room."""
        self._hidden.discard(name)
        if len(self._kept) >= _MOST and name not in self._kept:
            return False
        self._kept.add(name)
        return True

    def shows(self, name: str) -> bool:
        """Whether a provider's model is in our lists."""
        return name not in self._hidden

    def kept(self) -> list[str]:
        """Models that are listed because somebody pulled them."""
        return sorted(self._kept)

    # --- the copy on disk ---------------------------------------------------------------------------------------------

    def export(self) -> dict[str, Any]:
        """What was made from outside, fit for JSON."""
        made = {
            name: {
                "source": recipe.source,
                "system": recipe.system,
                "messages": list(recipe.messages),
                "defaults": dict(recipe.defaults),
                "parameters": dict(recipe.parameters),
                "made": recipe.made,
            }
            for name, recipe in self._made.values()
            if not recipe.fixed
        }
        return {"version": 1, "made": made, "hidden": sorted(self._hidden), "kept": sorted(self._kept)}

    def restore(self, data: Any) -> None:
        """Takes up an exported copy; what cannot be read is passed over."""
        if not isinstance(data, dict) or data.get("version") != 1:
            return
        made = data.get("made")
        for name, item in made.items() if isinstance(made, dict) else ():
            recipe = _recipe(item)
            if isinstance(name, str) and recipe is not None:
                self.make(name, recipe)
        self._hidden |= _strings(data.get("hidden"))
        self._kept |= _strings(data.get("kept"))


def _key(name: str) -> str:
    return without_latest(name.strip()).lower()


def _strings(value: Any) -> set[str]:
    return {item for item in value if isinstance(item, str)} if isinstance(value, list) else set()


def _recipe(item: Any) -> Recipe | None:
    try:
        return msgspec.convert({**item, "fixed": False}, Recipe)
    except (msgspec.ValidationError, TypeError):
        return None
