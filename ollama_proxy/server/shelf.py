"""Owns which models count as loaded, for /api/ps. Nothing is ever loaded here; clients look at it anyway. Pure."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Shelf", "Use"]

#: Names come from clients; more than this many in use at once are not worth remembering.
_MOST = 256


@dataclass(frozen=True, slots=True)
class Use:
    """A model in use: as it was asked for, and until when it counts as loaded (epoch seconds, inf for ever)."""

    asked: str
    until: float


class Shelf:
    """Models in use, by the name that our lists show."""

    def __init__(self) -> None:
        self._uses: dict[str, Use] = {}

    def use(self, name: str, asked: str, keep_alive_s: float, wall: float) -> None:
        """Puts a model up, or takes it down where it is not to be kept."""
        self._uses.pop(name, None)
        if keep_alive_s <= 0:
            return
        if len(self._uses) >= _MOST:
            del self._uses[next(iter(self._uses))]
        self._uses[name] = Use(asked, wall + keep_alive_s)

    def loaded(self, wall: float) -> dict[str, Use]:
        """What counts as loaded now."""
        self._uses = {name: use for name, use in self._uses.items() if use.until > wall}
        return dict(self._uses)
