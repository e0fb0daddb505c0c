"""Owns how a client's model name becomes targets. Pure; knows neither keys nor the network.

`provider:model` or `provider/model`: the first separator ends the provider, the rest belongs to the model, whatever
colons and slashes it holds (`openrouter:deepseek/deepseek-r1:free`). The provider's letter case does not count, nor
does a trailing `:latest` that Ollama clients like to add. An alias stands for a provider's model, and only for that: no
alias is followed to another, so none can run in a circle. A chain of fallbacks follows it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from ollama_proxy.errors import UnknownModel
from ollama_proxy.names import split_name, without_latest

__all__ = ["Router", "Target"]

#: Names whose targets are kept; they come from clients.
_REMEMBERED = 1024
#: Names come from clients and are kept in several places; no provider has one half as long.
_LONGEST = 512


@dataclass(frozen=True, slots=True)
class Target:
    """One model at one provider, by the provider's own id."""

    provider: str
    model_id: str


class Router:
    """Turns names into targets.

    providers: names of the providers that may be called now.
    known: variable that would switch a known provider on, by provider: for the message.
    canonical: (provider, id as asked) -> the id as the provider spells it, or None for one that is not listed.
    alias: a name -> the name that it stands for, or None.
    """

    def __init__(
        self,
        providers: Collection[str],
        known: Mapping[str, str],
        canonical: Callable[[str, str], str | None],
        alias: Callable[[str], str | None] = lambda _: None,
        fallbacks: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self._providers = frozenset(providers)
        self._known = known
        self._canonical = canonical
        self._alias = alias
        self._known_names: dict[str, list[Target]] = {}
        self._fallbacks = {without_latest(k).lower(): tuple(v) for k, v in (fallbacks or {}).items()}

    def targets(self, name: str) -> list[Target]:
        """The targets for a name, best first, each once. Not to be changed by the caller.

        Raises: UnknownModel where the name stands for nothing that could be tried.
        """
        found = self._known_names.get(name)
        if found is None:
            if len(name) > _LONGEST:
                raise UnknownModel(f"the model's name is too long: at most {_LONGEST} characters are accepted")
            found = self._find(name)
            if len(self._known_names) >= _REMEMBERED:
                self._known_names.clear()
            self._known_names[name] = found
        return found

    def passed_over(self) -> list[tuple[str, str]]:
        """(a model, a name in its chain that stands for nothing now), as the settings have them."""
        chains = self._fallbacks.items()
        return [(name, other) for name, chain in chains for other in chain if self._stand_in(other) is None]

    def astray(self, aliases: Mapping[str, str]) -> list[tuple[str, str, bool]]:
        """(an alias, the name that it stands for, whether that is an alias too), for those that lead nowhere now."""
        lost = [(name, meant) for name, meant in aliases.items() if self._stand_in(name) is None]
        return [(name, meant, self._alias(meant) is not None) for name, meant in lost]

    def forget(self) -> None:
        """Aliases or lists of models have changed: names are looked up anew."""
        self._known_names.clear()

    def _find(self, name: str) -> list[Target]:
        asked = without_latest(name.strip()).lower()
        meant = self._alias(name) or name
        targets = [self._target(meant, asked_as=name)]
        chain = self._fallbacks.get(asked) or self._fallbacks.get(without_latest(meant.strip()).lower(), ())
        for other in chain:
            target = self._stand_in(other)
            if target is not None and target not in targets:
                targets.append(target)
        return targets

    def _stand_in(self, name: str) -> Target | None:
        """The target that a chain names. None: it stands for nothing now, which is no reason to refuse the others."""
        try:
            return self._target(self._alias(name) or name, asked_as=name)
        except UnknownModel:
            return None

    def _target(self, name: str, *, asked_as: str) -> Target:
        provider, rest = split_name(name.strip())
        if provider in self._providers and rest:
            listed = self._canonical(provider, rest)
            plain = without_latest(rest)
            if listed is not None or plain:
                return Target(provider, listed if listed is not None else plain)
        elif provider in self._known:
            raise UnknownModel(
                f"model '{asked_as}' not found: no key for {provider} is set. "
                f"Put one into {self._known[provider]}, in .env for instance."
            )
        if self._alias(name) is not None:
            raise UnknownModel(
                f"model '{asked_as}' not found: it stands for '{name}', which is an alias itself. "
                "An alias has to name a provider's model."
            )
        raise UnknownModel(f"model '{asked_as}' not found")
