"""Numbers into words: Markdown tables for people, a dictionary for JSON.

Pure: results in, text out. Owns which numbers are shown, in which order, and which direction is better.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.cells import DISTURBED, Results

__all__ = ["METRICS", "Metric", "as_dict", "best", "render"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One row of the table."""

    key: str
    title: str
    more_is_better: bool
    digits: int = 0
    compared: bool = True
    """stands in the tables of ratios too"""


METRICS = (
    Metric("small_per_cpu", "small answers per CPU-second", True),
    Metric("c8_rps", "small answers/s, 8 connections", True),
    Metric("c8_p50_ms", "p50 ms, 8 connections", False, 2),
    Metric("c8_p99_ms", "p99 ms, 8 connections", False, 2),
    Metric("c1_p50_ms", "p50 ms, 1 connection", False, 3),
    Metric("c1_p99_ms", "p99 ms, 1 connection", False, 3),
    Metric("c1_added_p50_ms", "added to direct, p50 ms, 1 connection", False, 3, compared=False),
    Metric("c1_added_p99_ms", "added to direct, p99 ms, 1 connection", False, 3, compared=False),
    Metric("c8_added_p50_ms", "added to direct, p50 ms, 8 connections", False, 3, compared=False),
    Metric("c8_added_p99_ms", "added to direct, p99 ms, 8 connections", False, 3, compared=False),
    Metric("big_per_cpu", "100 kB prompts per CPU-second", True),
    Metric("big_rps", "100 kB prompts/s, 8 connections", True),
    Metric("paced_per_cpu", "streamed chunks per CPU-second, 20 ms apart", True),
    Metric("paced_first_p50_ms", "first chunk p50 ms, 100 streams", False, 1),
    Metric("paced_first_p99_ms", "first chunk p99 ms, 100 streams", False, 1),
    Metric("burst_per_cpu", "streamed chunks per CPU-second, back to back", True),
    Metric("burst_streams_s", "streams/s, 50 chunks back to back", True),
    Metric("ollama_small_per_cpu", "/api/chat: small answers per CPU-second", True),
    Metric("ollama_paced_per_cpu", "/api/chat: chunks per CPU-second, 20 ms apart", True),
    Metric("ollama_burst_per_cpu", "/api/chat: chunks per CPU-second, back to back", True),
    Metric("ollama_burst_streams_s", "/api/chat: streams/s, 50 chunks back to back", True, compared=False),
    Metric("rss_idle_mb", "memory at rest, MB", False),
    Metric("rss_slow_mb", "memory with {streams} slow streams, MB", False),
    Metric("slow_right", "slow streams with every chunk right, %", True, 1, compared=False),
    Metric("slow_first_p50_ms", "first chunk p50 ms, {streams} streams", False, 1),
    Metric("slow_first_p99_ms", "first chunk p99 ms, {streams} streams", False, 1),
    Metric("slow_cpu_ms", "CPU ms for one slow stream, connections and all", False, 2),
    Metric("cold_ms", "start to first answer, ms", False),
    Metric("dials", "new provider connections per answer", False, 2, compared=False),
)


def best(results: Results, metric: Metric) -> tuple[float, bool] | None:
    """(value, disturbed): the better of the rounds, an undisturbed one before any disturbed one; None: not measured."""
    taken = results.values.get(metric.key)
    if not taken:
        return None
    sign = -1 if metric.more_is_better else 1
    return min(taken, key=lambda one: (one[1], sign * one[0]))


def add_differences(rows: Mapping[str, Results]) -> None:
    """Enters what each proxy adds to the latency of the bare provider."""
    direct = rows.get("direct")
    for key in ("c1_p50_ms", "c1_p99_ms", "c8_p50_ms", "c8_p99_ms"):
        metric = Metric(key, "", False)
        base = best(direct, metric) if direct else None
        for name, results in rows.items():
            taken = best(results, metric)
            if base and taken and name != "direct":
                added = key.replace("_p", "_added_p")
                results.values[added] = [(max(0.0, taken[0] - base[0]), taken[1] or base[1])]


def _number(value: float, digits: int) -> str:
    return f"{value:,.{digits}f}"


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    widths = [max(len(line[column]) for line in (head, *lines)) for column in range(len(head))]

    def draw(line: Sequence[str]) -> str:  # fmt: skip
        first, *rest = (text.ljust(widths[0]) if not at else text.rjust(widths[at]) for at, text in enumerate(line))
        return "| " + " | ".join((first, *rest)) + " |"

    rule = (
        "|"
        + "|".join("-" * (width + 2) if not at else "-" * (width + 1) + ":" for at, width in enumerate(widths))
        + "|"
    )
    return "\n".join((draw(head), rule, *map(draw, lines)))


def _numbers(rows: Mapping[str, Results], streams: int) -> str:
    lines = []
    for metric in METRICS:
        taken = [best(results, metric) for results in rows.values()]
        if any(taken):
            cells = ["–" if one is None else _number(one[0], metric.digits) + ("~" if one[1] else "") for one in taken]
            lines.append([metric.title.format(streams=f"{streams:,}"), *cells])
    return _table(["", *rows], lines)


def _ratio(metric: Metric, one: Results, other: Results) -> str:
    """How many times better `one` is than `other`: above 1 it is ahead, whichever direction is better."""
    ahead, behind = best(one, metric), best(other, metric)
    if ahead is None or behind is None:
        return "–"
    above, below = (ahead[0], behind[0]) if metric.more_is_better else (behind[0], ahead[0])
    return f"{above / below:.2f}" if below else "–"


def _ratios(rows: Mapping[str, Results], pivot: str, streams: int, *, pivot_first: bool) -> str:
    others = {name: results for name, results in rows.items() if name not in (pivot, "direct")}
    lines = []
    for metric in METRICS:
        pairs = [(rows[pivot], other) if pivot_first else (other, rows[pivot]) for other in others.values()]
        cells = [_ratio(metric, one, other) for one, other in pairs] if metric.compared else []
        if any(cell != "–" for cell in cells):
            lines.append([metric.title.format(streams=f"{streams:,}"), *cells])
    return _table(["", *others], lines)


_COMPARED = (
    ("nginx", False, "Each against nginx (1.00: as good as nginx; above: ahead of it)"),
    ("ours", True, "Ours against each (above 1: ours is ahead)"),
)


def render(rows: Mapping[str, Results], facts: Mapping[str, str], skipped: Mapping[str, str], streams: int) -> str:
    """The whole report as Markdown. Who gave no number stands in the notes only."""
    rows, everybody = {name: results for name, results in rows.items() if results.values}, rows
    parts = [", ".join(f"{name}: {value}" for name, value in facts.items()), "", _numbers(rows, streams)]
    if any(disturbed for results in rows.values() for taken in results.values.values() for _, disturbed in taken):
        parts += ["", f"~ others used more than {DISTURBED:.0%} of the proxy's core meanwhile: take it with care."]
    for pivot, pivot_first, title in _COMPARED:
        if pivot in rows and rows.keys() - {pivot, "direct"}:
            parts += ["", title, "", _ratios(rows, pivot, streams, pivot_first=pivot_first)]
    notes = [f"- {name}, {cell}: {note}" for name, results in everybody.items() for cell, note in results.notes.items()]
    notes += [f"- {name}: skipped, {reason}" for name, reason in skipped.items()]
    return "\n".join([*parts, "", *notes]).rstrip() + "\n"


def as_dict(rows: Mapping[str, Results], facts: Mapping[str, str], skipped: Mapping[str, str]) -> dict[str, Any]:
    """The same for programs: the chosen number of each metric and every round's."""
    shown: dict[str, Any] = {}
    for name, results in rows.items():
        chosen = {metric.key: taken[0] for metric in METRICS if (taken := best(results, metric))}
        rounds = {key: [value for value, _ in taken] for key, taken in results.values.items()}
        shown[name] = {"values": chosen, "rounds": rounds, "notes": results.notes}
    return {"facts": dict(facts), "proxies": shown, "skipped": dict(skipped)}
