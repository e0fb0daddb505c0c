"""Owns the choice among keys that may be called. Knows no cell: who may be called is settled before.

Least calls under way first, then least picked lately, then the one whose last pick is longest ago; for equal keys that
is plain round robin. Above `two_choices_above` keys two random candidates are compared the same way: nearly as even,
and as fast for a thousand keys as for two.

"Lately" is a decaying sum: a pick weighs 1 and fades by a factor e every `recent_s`. All keys fade alike, so instead of
fading every key on every look, a new pick is added with a weight that grows with time: the order is the same, and
comparing is comparing floats.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ollama_proxy.pool.slot import Slot

__all__ = ["Heat", "lightest", "two_of"]

#: exp(200) is far from the largest float, and long before that an old pick weighs nothing.
_REBASE_AT = 200.0


class Heat:
    """The growing weight of a pick."""

    __slots__ = ("_epoch", "_recent_s")

    def __init__(self, recent_s: float) -> None:
        self._recent_s = recent_s
        self._epoch: float | None = None

    def weight(self, now: float, slots: Sequence[Slot]) -> float:
        """What a pick at `now` adds to a slot's heat; once in hours it also scales every slot's heat down."""
        if self._epoch is None:
            self._epoch = now
        age = (now - self._epoch) / self._recent_s
        if age > _REBASE_AT:
            fade = math.exp(-age) if age < 3 * _REBASE_AT else 0.0
            for slot in slots:
                slot.heat *= fade
            self._epoch, age = now, 0.0
        return math.exp(age)


def lightest(slots: Sequence[Slot]) -> Slot:
    """The slot to use next, out of at least one."""
    best = slots[0]
    in_flight, heat = best.in_flight, best.heat
    for slot in slots:
        if slot.in_flight > in_flight:
            continue
        if slot.in_flight == in_flight:
            if slot.heat > heat or (slot.heat == heat and slot.last_pick >= best.last_pick):
                continue
            heat = slot.heat
        best, in_flight, heat = slot, slot.in_flight, slot.heat
    return best


def two_of(slots: Sequence[Slot], rnd: float) -> tuple[Slot, Slot]:
    """Two different slots out of at least two, drawn with one random number in [0, 1)."""
    place = rnd * len(slots)
    first = int(place)
    second = int((place - first) * (len(slots) - 1))
    return slots[first], slots[second if second < first else second + 1]
