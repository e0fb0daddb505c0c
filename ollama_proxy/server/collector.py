"""Owns when the garbage collector looks at everything that lives. Knows no request, only how many are under way.

Python looks at the young objects often and at all of them whenever those that stay have grown by a quarter, which is
just while many streams open. Looking at all takes 120 ms with five thousand streams (measured 2026-11, Python 3.11:
half a million objects), and nobody is served meanwhile. So the great round waits for a quiet moment, or, where there is
none, for ten minutes; there is little for it to find, since finished requests leave no cycles behind. What lives when
the proxy starts is left out for good.
"""

from __future__ import annotations

import gc

__all__ = ["Collector"]

#: With so few requests under way a great round takes a few milliseconds.
_FEW = 50
#: Not more often than this, and not before the young rounds have left something to look at.
_PAUSE_S = 30.0
_WORTH_IT = 10
#: Without a quiet moment for so long, a great round comes nevertheless.
_PATIENCE_S = 600.0
#: As the threshold of great rounds: never by itself.
_NEVER = 1_000_000_000
_USUAL = gc.get_threshold()


class Collector:
    """begin, then look about once a second, then end. `now` is monotonic seconds."""

    def __init__(self) -> None:
        self._last = 0.0

    def begin(self, now: float) -> None:
        """From now on great rounds come from here; what lives already stays for good."""
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_USUAL[:2], _NEVER)
        self._last = now

    def look(self, under_way: int, now: float) -> bool:
        """Makes a great round if this is the moment for it; whether it was."""
        waited_s = now - self._last
        if waited_s < _PAUSE_S or gc.get_count()[2] < _WORTH_IT or (under_way > _FEW and waited_s < _PATIENCE_S):
            return False
        gc.collect()
        self._last = now
        return True

    def end(self) -> None:
        """As it was when the program began."""
        gc.set_threshold(*_USUAL)
        gc.unfreeze()
