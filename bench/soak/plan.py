"""What every client of a soak does, in order: a matter of the seed alone. Pure.

A fault is a word behind the model's name, which the simulator plays for that call. Chosen are those that spoil a call,
and none that spoils a key or a model for hours: at one call in twenty nothing would be left after some minutes. Keys
that are always too fast or never valid are among the keys instead.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from tests.support.client_kinds import WAYS, Way
from tests.support.sim_kit import SIX

__all__ = ["FAULTS", "KEYS", "Visit", "name_of", "visits"]

KEYS = {
    "google": ("ok-1", "ok-2", "rate-3"),
    "openrouter": ("ok-1", "ok-2"),
    "akash": ("ok-1", "ok-2", "bad-3"),
    "cohere": ("ok-1", "rate-2", "ok-3"),
    "codestral": ("ok-1", "ok-2"),
    "qwen": ("ok-1", "ok-2"),
}
FAULTS = (
    # before content
    *("500", "502", "503", "529", "408", "400", "413", "error-first", "error-200", "html", "empty", "no-content"),
    *("redirect", "close-first", "rst-first", "hang", "silent", "comments", "slow-head", "late"),
    # in the middle
    *("cut", "rst", "stall", "truncated", "cut-json", "error-mid"),
    # odd, and harmless
    *("slow", "whitespace", "no-done", "no-finish", "crlf", "cr", "utf8", "one-write", "no-blank", "bom"),
    # below HTTP's surface
    *("gzip", "bomb", "short", "planted", "bad-chunk", "no-last-chunk", "two-framings", "header-flood", "hints"),
    *("stale", "liberties"),
)
#: Shares of the visits.
_FAULTY, _LEAVING, _FRESH, _LONG = 0.05, 0.05, 0.3, 0.02


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of one client.

    pause_s: before it. fault: "" for none. leaves: "" stays; else when: "before" the first byte or in the "middle".
    how: fin or rst. fresh: on a connection of its own, although the last one would still serve. padding: letters ahead
    of the question.
    """

    pause_s: float
    way: Way
    provider: str
    fault: str
    leaves: str
    how: str
    fresh: bool
    padding: int

    @property
    def model(self) -> str:
        model = f"{self.provider}:{SIX[self.provider]}"
        return f"{model}!{self.fault}" if self.fault else model


def name_of(client: int, number: int) -> str:
    """What a visit is called, here and in the provider's log."""
    return f"soak-{client}-{number}-"


def visits(seed: int, client: int, *, pause_s: float = 1.0) -> Iterator[Visit]:
    """All visits of one client, for ever. pause_s: between two of them, on average."""
    chance = random.Random(f"{seed} {client}")
    while True:
        yield Visit(
            pause_s=chance.uniform(0, 2 * pause_s),
            way=chance.choice(WAYS),
            provider=chance.choice(list(SIX)),
            fault=chance.choice(FAULTS) if chance.random() < _FAULTY else "",
            leaves=chance.choice(("before", "middle")) if chance.random() < _LEAVING else "",
            how=chance.choice(("fin", "rst")),
            fresh=chance.random() < _FRESH,
            padding=chance.choice((20_000, 200_000)) if chance.random() < _LONG else 0,
        )
