"""Owns what a test asks for: rules that pick requests, and what is done with those. Knows no provider.

Rules are looked at in the order in which they were made; the first that fits a request answers it. A rule counts the
requests that fit it: `nth` picks one of them, `times` ends it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from ollama_proxy.simulator.actions import Action, Behaviour
from ollama_proxy.simulator.ask import Ask
from ollama_proxy.simulator.talk import Say

__all__ = ["GENERATES", "Play", "Rule", "Script", "Then"]

#: Operations that a model answers; rules concern these unless they name another.
GENERATES = frozenset({"chat", "completions", "fim", "embeddings"})


@dataclass(frozen=True, slots=True)
class Play:
    """A recorded answer or a fault, by name.

    facts: in place of its usual ones (`{"retry": "7"}`); headers: in addition. Both concern recorded answers only.
    """

    name: str
    facts: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


#: What a rule does: words to say, a recorded answer or fault, steps, or a function that decides (None: not this one).
Deed: TypeAlias = Say | Play | Behaviour | Sequence[Action]
Then: TypeAlias = Deed | Callable[[Ask], Deed | None]


@dataclass(slots=True)
class Rule:
    """One wish. None fits everything.

    key: the key's label. model: with or without its `!fault`. nth: only that one of the fitting requests, from 1.
    times: so many of them, then never again.
    """

    then: Then
    provider: str | None = None
    key: str | None = None
    model: str | None = None
    operation: str | None = None
    nth: int | None = None
    times: int | None = None
    seen: int = 0

    def fits(self, ask: Ask) -> bool:
        """Whether this request is meant, not counting."""
        if self.operation is None:
            if ask.operation not in GENERATES:
                return False
        elif self.operation not in ("*", ask.operation):
            return False
        asked = "!".join((ask.model, *ask.faults))
        return (
            self.provider in (None, ask.provider)
            and self.key in (None, ask.label)
            and self.model in (None, ask.model, asked)
        )

    def takes(self, ask: Ask) -> bool:
        """Count the request if it fits, and say whether this rule answers it."""
        if not self.fits(ask):
            return False
        self.seen += 1
        if self.nth is not None and self.seen != self.nth:
            return False
        return self.times is None or self.seen <= self.times


class Script:
    """All rules of one simulator."""

    def __init__(self, rules: Sequence[Rule] = ()) -> None:
        self.rules = list(rules)

    def add(self, rule: Rule) -> None:
        self.rules.append(rule)

    def clear(self) -> None:
        self.rules.clear()

    def choose(self, ask: Ask) -> Say | Play | Behaviour | None:
        """What the first fitting rule does; None if there is none."""
        for rule in self.rules:
            if not rule.takes(ask):
                continue
            then = rule.then
            chosen = then(ask) if callable(then) else then
            if chosen is not None:
                return chosen if isinstance(chosen, (Say, Play, Behaviour)) else Behaviour(tuple(chosen))
        return None
