"""Owns the provider's own cell: a circuit breaker that counts failures in a row. Knows no key.

A single failure rests nobody; several in a row, or a failed probe, close the provider for a few seconds. Any answer
that shows the provider at work (even one that refuses a key) is a sign of life. While it is open, failures of calls
that began earlier are old news: they neither count nor prolong the rest.
"""

from __future__ import annotations

from ollama_proxy.outcome import Kind, Scope
from ollama_proxy.pool.cell import Cell
from ollama_proxy.pool.rules import PoolRules, moment

__all__ = ["Breaker"]


class Breaker(Cell):
    """One provider's cell; `failures` is how many calls in a row it has failed."""

    __slots__ = ("failures",)

    def __init__(self) -> None:
        super().__init__(Scope.PROVIDER.value)
        self.failures = 0

    def fail(self, seq: int, newest: int, kind: Kind, rules: PoolRules, now: float, rnd: float) -> None:
        """Call `seq` ended in a stumble of the provider. `newest`: the last call number given out."""
        if self.suspect:
            if self.probe == seq:
                self._open(seq, newest, kind, rules, now, rnd)
            return
        self.failures += 1
        if self.failures >= rules.breaker_failures:
            self._open(seq, newest, kind, rules, now, rnd)

    def _open(self, seq: int, newest: int, kind: Kind, rules: PoolRules, now: float, rnd: float) -> None:
        self.failures = 0
        level = self.blame(seq, newest)
        self.rest(moment(rules, kind, None, level, now, rnd), newest, kind, exhausted=False)
