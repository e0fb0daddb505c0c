"""What was promised, and what came out: the bars, and the table of them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Bar", "Row", "render"]


@dataclass(frozen=True, slots=True)
class Bar:
    """One promise: a number that must not be passed. at_least: that must be reached."""

    name: str
    what: str
    bound: float
    unit: str
    at_least: bool = False
    digits: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """A bar and the number that was measured; None: not measured, and `note` says why."""

    bar: Bar
    value: float | None
    note: str = ""

    @property
    def holds(self) -> bool | None:
        if self.value is None:
            return None
        return self.value >= self.bar.bound if self.bar.at_least else self.value <= self.bar.bound


def render(rows: Sequence[Row]) -> str:
    """A Markdown table, and below it how many bars hold."""
    lines = ["| bar | load | promised | measured | |", "|---|---|---:|---:|---|"]
    for row in rows:
        bar = row.bar
        sign = "≥" if bar.at_least else "≤"
        told = "–" if row.value is None else f"{row.value:,.{bar.digits}f} {bar.unit}"
        verdict = {True: "holds", False: "**missed**", None: "not measured"}[row.holds]
        verdict += f" ({row.note})" if row.note else ""
        lines.append(f"| {bar.name} | {bar.what} | {sign} {bar.bound:,g} {bar.unit} | {told} | {verdict} |")
    held = sum(row.holds is True for row in rows)
    measured = sum(row.holds is not None for row in rows)
    return "\n".join([*lines, "", f"{held} of {measured} bars hold."])
