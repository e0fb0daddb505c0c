"""What clients noted, what the provider logged, what the proxy counted: whether they agree, and what is left. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bench.soak.client import Note

__all__ = ["Counts", "Ledger", "Log", "Report", "read_ledger", "slope"]

_NAME = re.compile(rb"soak-\d+-\d+-")
_ATTEMPTS = re.compile(r'ollama_proxy_upstream_attempts_total\{provider="(\w+)",outcome="(\w+)"\} (\d+)')
#: A connection that had served before and dies before a byte of the answer is replaced once, for free: the provider
#: sees two requests, the books have one attempt.
_DIED_FIRST = ("close-first", "rst-first")


@dataclass
class Log:
    """What arrived at the providers. arrivals: by the visit's name; repeats: those of them that were free."""

    arrivals: Counter[str] = field(default_factory=Counter)
    repeats: Counter[str] = field(default_factory=Counter)
    _connections: set[int] = field(default_factory=set)

    def add(self, connection: int, outcome: str, body: bytes) -> None:
        """One call that generates something."""
        found = _NAME.search(body)
        name = found[0].decode() if found else ""
        self.arrivals[name] += 1
        if connection in self._connections and outcome in _DIED_FIRST:
            self.repeats[name] += 1
        self._connections.add(connection)


@dataclass(frozen=True)
class Ledger:
    """What the proxy says it did: attempts, and how many of them it ended itself."""

    attempts: int
    cancelled: int


def read_ledger(metrics: str) -> Ledger:
    """The books in the text of /metrics."""
    rows = [(outcome, int(count)) for _, outcome, count in _ATTEMPTS.findall(metrics)]
    return Ledger(sum(count for _, count in rows), sum(count for outcome, count in rows if outcome == "cancelled"))


@dataclass(frozen=True)
class Counts:
    """What a process holds at one moment."""

    descriptors: int
    tasks: int
    requests: int
    leases: int


def slope(samples: Sequence[tuple[float, float]]) -> float:
    """MB in ten minutes, by least squares over (seconds, MB)."""
    middle = sum(at for at, _ in samples) / len(samples)
    spread = sum((at - middle) ** 2 for at, _ in samples)
    return 600 * sum((at - middle) * mb for at, mb in samples) / spread if spread else 0.0


@dataclass(frozen=True)
class Report:
    """All that a soak found. `lines` for people, `failures` what misses its bar."""

    notes: Sequence[Note]
    log: Log
    ledger: Ledger
    before: Counts
    after: Counts
    samples: Sequence[tuple[float, float]]
    seconds: float
    errors: Sequence[str] = ()

    def _wrong(self) -> list[Note]:
        return [note for note in self.notes if note.end == "wrong"]

    def _disagreements(self) -> list[str]:
        """Where the answer's own count of attempts is not what the provider saw."""
        found = []
        for note in self.notes:
            seen = self.log.arrivals[note.name] - self.log.repeats[note.name]
            if note.attempts is not None and note.attempts != seen:
                found.append(f"{note.name}: {note.attempts} attempts told, {seen} seen by the provider")
        return found

    def _unaccounted(self) -> int:
        """Calls that are in one book only; one that we ended ourselves may never have arrived."""
        missing = self.ledger.attempts - (self.log.arrivals.total() - self.log.repeats.total())
        return missing if missing < 0 else max(0, missing - self.ledger.cancelled)

    def lines(self) -> list[str]:
        ends = Counter(note.end for note in self.notes)
        share = 100 / max(1, len(self.notes))
        rows = [
            ("requests", f"{len(self.notes)} in {self.seconds:.0f} s: {_told(ends)}"),
            ("unexplained", f"{ends['wrong']} ({share * ends['wrong']:.3f} %; bar 0.1 %)"),
            ("turned away", f"{ends['turned away']} ({share * ends['turned away']:.2f} %; bar 2 %)"),
            ("our books", f"{self.ledger.attempts} attempts, {self.ledger.cancelled} of them ended by us"),
            ("theirs", f"{self.log.arrivals.total()} calls, {self.log.repeats.total()} of them free repeats"),
            ("between them", f"{self._unaccounted()} calls, {len(self._disagreements())} answers that count wrongly"),
            ("resident memory", self._memory()),
            ("left behind", _left(self.before, self.after)),
            *(("error in the log", line) for line in self.errors),
        ]
        return [f"{title:<18}{told}" for title, told in rows]

    def _memory(self) -> str:
        rss = [mb for _, mb in self.samples]
        if not rss:
            return "not sampled"
        trend = f"{slope(self.samples):+.2f} MB in 10 min (bar 1; judged from 10 min on)"
        return f"{rss[0]:.1f} MB after the warm-up, {max(rss):.1f} at most, {rss[-1]:.1f} at the end; {trend}"

    def failures(self) -> list[str]:
        """What misses its bar, in detail; none: all is well."""
        found = [f"{note.name}: {note.why}" for note in self._wrong()]
        if len(found) < 0.001 * len(self.notes):
            found = []
        if sum(note.end == "turned away" for note in self.notes) > 0.02 * len(self.notes):
            found.append("too many were turned away")
        found += self._disagreements()
        if self._unaccounted():
            found.append(f"{self._unaccounted()} calls are in one book only")
        if self.samples and self.samples[-1][0] - self.samples[0][0] >= 600 and slope(self.samples) > 1:
            found.append(f"memory grows by {slope(self.samples):.1f} MB in 10 minutes")
        for name in ("descriptors", "tasks", "requests", "leases"):
            if getattr(self.after, name) > getattr(self.before, name):
                found.append(f"{name}: {getattr(self.before, name)} before, {getattr(self.after, name)} after")
        return [*found, *self.errors]


def _told(ends: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {end}" for end, count in sorted(ends.items(), key=lambda item: -item[1]))


def _left(before: Counts, after: Counts) -> str:
    names: Iterable[str] = ("descriptors", "tasks", "requests", "leases")
    return ", ".join(f"{name} {getattr(before, name)} -> {getattr(after, name)}" for name in names)
