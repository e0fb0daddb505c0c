"""Owns the shapes the pool is made of: what it knows about a key, an account, a call under way. Holds no rule.

A Slot is one key. Slots of one account share that account's cells, since the provider counts by account: several keys
of one Google project have one allowance between them. A refused credential is the key's own affair.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ollama_proxy.outcome import Kind, Scope
from ollama_proxy.pool.cell import Cell
from ollama_proxy.pool.counters import Counter
from ollama_proxy.pool.cover import Cover, Place
from ollama_proxy.pool.told import Told
from ollama_proxy.secret import Secret

__all__ = ["CREDENTIAL_SCOPE", "Account", "Lease", "Rest", "Slot"]

#: The scope word of a key's own cell; the others are those of `outcome.Scope`.
CREDENTIAL_SCOPE = "credential"


class Account:
    """What one account's keys share. Cells of models and groups exist only while they have a memory.

    own: it was made for one key, of which nobody said whose it is. books: its calls, where they are counted.
    told: its limits per minute as its provider told them. covers: what holds for a model and group, as far as asked.
    """

    __slots__ = ("books", "covers", "groups", "models", "name", "own", "told", "whole")

    def __init__(self, name: str, *, own: bool = False) -> None:
        self.name = name
        self.own = own
        self.whole = Cell(Scope.KEY.value)
        self.models: dict[str, Cell] = {}
        self.groups: dict[str, Cell] = {}
        self.books: dict[Place, Counter] = {}
        self.told: dict[Place, Told] = {}
        self.covers: dict[tuple[str, str | None], Cover] = {}

    def cells(self) -> Iterator[Cell]:
        """Every cell of the account."""
        yield self.whole
        yield from self.groups.values()
        yield from self.models.values()


class Slot:
    """What the pool knows about one key.

    heat: how much it was picked lately; last_pick: the number of its last call. Both only for choosing.
    strikes: refusals of the credential that count, first_strike and last_strike their moments.
    worked_at: when it was first seen to work, None if never. died_at: None while it lives. revived_at: when a dead key
    was given another chance. gone: the key was taken out of the settings; calls under way may still hold it.
    """

    __slots__ = (
        "account",
        "died_at",
        "faults",
        "first_strike",
        "gone",
        "heat",
        "in_flight",
        "last_pick",
        "last_strike",
        "own",
        "revived_at",
        "secret",
        "served",
        "strikes",
        "worked_at",
    )

    def __init__(self, secret: Secret, account: Account) -> None:
        self.secret = secret
        self.account = account
        self.own = Cell(CREDENTIAL_SCOPE)
        self.in_flight = 0
        self.heat = 0.0
        self.last_pick = 0
        self.strikes = 0
        self.first_strike = self.last_strike = 0.0
        self.worked_at: float | None = None
        self.died_at: float | None = None
        self.revived_at: float | None = None
        self.gone = False
        self.served = 0
        self.faults: dict[Kind, int] = {}

    def sick_cells(self, model: str, group: str | None) -> Iterator[Cell]:
        """The cells of this key and its account that cover a call and are not plainly healthy."""
        if self.own.sick:
            yield self.own
        account = self.account
        if account.whole.sick:
            yield account.whole
        if group is not None and group in account.groups:
            yield account.groups[group]
        if model in account.models:
            yield account.models[model]

    @property
    def refused(self) -> bool:
        """Only a new key can help: it is dead, or was refused and has never worked."""
        return self.died_at is not None or (self.strikes > 0 and self.worked_at is None)


class Lease:
    """The right to use a key for one call. Given back exactly once, however the call ends.

    seq: the number of the call in this pool. The rest is the pool's own: the cells it has entered, what limits it was
    counted for and when, whether it is still open, whether the provider has already answered well.
    """

    __slots__ = ("at", "confirmed", "cover", "group", "held", "key", "model", "open", "seq", "slot")

    def __init__(
        self,
        slot: Slot,
        model: str,
        group: str | None,
        seq: int,
        held: tuple[Cell, ...],
        cover: Cover | None,
        at: float,
    ) -> None:
        self.slot = slot
        self.key = slot.secret
        self.model = model
        self.group = group
        self.seq = seq
        self.held = held
        self.cover = cover
        self.at = at
        self.open = True
        self.confirmed = False

    def __repr__(self) -> str:
        return f"<Lease {self.seq} {self.key} {self.model}>"


@dataclass(frozen=True, slots=True)
class Rest:
    """Nobody may be called now. Moments are monotonic seconds.

    until: when it is worth asking again for this request, None if never (keys that it has excluded do not count).
    all_dead: every key is refused by the provider; only the operator can help.
    soonest: when the first key is usable again, for whoever asks then; None if none ever will be.
    cause: the trouble behind `soonest`, None if only the number of calls under way stands in the way.
    """

    until: float | None
    all_dead: bool
    soonest: float | None = None
    cause: Kind | None = None
