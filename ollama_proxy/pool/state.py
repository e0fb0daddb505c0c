"""Owns everything one pool holds, and where its cells are found. Decides nothing about calls.

Cells of models and groups are made when they first fall and dropped when they are healthy again, so a pool without
trouble holds none, and `sick` (every cell with a memory) is empty: the fast path of the pool asks only that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ollama_proxy.outcome import Kind, Scope
from ollama_proxy.pool.breaker import Breaker
from ollama_proxy.pool.cell import Cell
from ollama_proxy.pool.choose import Heat
from ollama_proxy.pool.cover import Cover
from ollama_proxy.pool.limits import Limits
from ollama_proxy.pool.rules import PoolRules
from ollama_proxy.pool.siblings import Siblings
from ollama_proxy.pool.slot import Account, Slot
from ollama_proxy.secret import Secret

__all__ = ["PoolState"]

#: Troubles that a client can cause with a model name of its own making; the only ones that may be forgotten early.
_MADE_BY_CLIENTS = frozenset({Kind.MODEL_GONE, Kind.MODEL_ACCESS})


class PoolState:
    """The keys, accounts and cells of one provider. `newest` is the number of the last call.

    The lists and sets keep their identity, so that others may hold on to them.
    """

    __slots__ = (
        "accounts",
        "breaker",
        "heat",
        "limits",
        "living",
        "models",
        "newest",
        "provider",
        "rules",
        "siblings",
        "sick",
        "slots",
    )

    def __init__(self, provider: str, rules: PoolRules) -> None:
        self.provider = provider
        self.rules = rules
        self.breaker = Breaker()
        self.limits = Limits(rules)
        self.siblings = Siblings(rules)
        self.heat = Heat(rules.recent_s)
        self.models: dict[str, Cell] = {}
        self.accounts: dict[str, Account] = {}
        self.slots: list[Slot] = []
        self.living: list[Slot] = []
        self.sick: set[Cell] = set()
        self.newest = 0

    # --- keys ---------------------------------------------------------------------------------------------------------

    def replace_keys(self, keys: Sequence[Secret], accounts: Mapping[str, str], now: float) -> None:
        """These keys and no others. A key known by its fingerprint keeps all that is known of it."""
        known = {slot.secret.fingerprint: slot for slot in self.slots}
        former = dict(self.accounts)
        self.accounts.clear()
        homes = {fingerprint: slot.account for fingerprint, slot in known.items()}
        slots: dict[str, Slot] = {}
        for secret in keys:
            if secret.fingerprint in slots:
                continue
            label = accounts.get(secret.label)
            name = label or f"key {secret.fingerprint}"
            account = self.accounts.setdefault(name, former.get(name) or Account(name, own=not label))
            slots[secret.fingerprint] = self._slot(known.get(secret.fingerprint), secret, account)
        self.slots[:] = slots.values()
        for fingerprint, slot in known.items():
            slot.gone = fingerprint not in slots
        for fingerprint, slot in slots.items():
            home = homes.get(fingerprint, slot.account)
            if home is not slot.account:
                self.limits.take_over(home, slot.account, now)
        self.siblings.keep_only(set(self.accounts))
        self.refresh()

    def _slot(self, known: Slot | None, secret: Secret, account: Account) -> Slot:
        if known is None:
            return Slot(secret, account)
        known.secret = secret
        if known.account is not account:
            for cell in known.account.cells():
                if cell.sick:
                    self._adopt(cell, account)
            known.account = account
        return known

    def _adopt(self, cell: Cell, account: Account) -> None:
        """A key moved to another account, and its rests with it: better a rest too many than a call too early."""
        own = self.find_in(Scope(cell.scope), account, cell.name, cell.name)
        own.level = max(own.level, cell.level)
        self.rest(own, cell.until, cell.cause or Kind.RATE, exhausted=cell.exhausted)

    def refresh(self) -> None:
        """Call after a key has come, gone, died or been revived."""
        self.living[:] = [slot for slot in self.slots if slot.died_at is None]
        self.sick.clear()
        self.sick.update(cell for cell in self._cells() if cell.sick)

    def _cells(self) -> list[Cell]:
        cells: list[Cell] = [self.breaker, *self.models.values()]
        for account in self.accounts.values():
            cells.extend(account.cells())
        cells.extend(slot.own for slot in self.slots)
        return cells

    # --- cells --------------------------------------------------------------------------------------------------------

    def find(self, scope: Scope, slot: Slot, model: str, group: str | None) -> Cell:
        """The cell of this scope that covers a call, made if there was none."""
        if scope is Scope.PROVIDER:
            return self.breaker
        if scope is Scope.PROVIDER_MODEL:
            return self.named(self.models, scope, model)
        return self.find_in(scope, slot.account, model, group)

    def find_in(self, scope: Scope, account: Account, model: str, group: str | None) -> Cell:
        """The same for a scope of accounts."""
        if scope is Scope.KEY_MODEL:
            return self.named(account.models, scope, model)
        if scope is Scope.KEY_GROUP and group is not None:
            return self.named(account.groups, scope, group)
        return account.whole

    def named(self, home: dict[str, Cell], scope: Scope, name: str) -> Cell:
        cell = home.get(name)
        if cell is None:
            if len(self.sick) >= self.rules.named_cells:
                self._make_room()
            cell = home[name] = Cell(scope.value, name, home)
        return cell

    def _make_room(self) -> None:
        names = [cell for cell in self.sick if cell.home is not None and cell.cause in _MADE_BY_CLIENTS]
        names.sort(key=lambda cell: (cell.until, cell.scope, cell.name))
        for cell in names[: 1 + len(names) // 4]:
            self._drop(cell)

    def rest(self, cell: Cell, until: float, cause: Kind, *, exhausted: bool) -> None:
        """Lets a cell rest, and remembers that something is sick."""
        cell.rest(until, self.newest, cause, exhausted=exhausted)
        self.sick.add(cell)

    def tidy(self, cell: Cell) -> None:
        """Forgets a cell that is plainly healthy again."""
        if not cell.sick:
            self._drop(cell)

    def _drop(self, cell: Cell) -> None:
        self.sick.discard(cell)
        if cell.home is not None and cell.home.get(cell.name) is cell:
            del cell.home[cell.name]

    # --- who may begin ------------------------------------------------------------------------------------------------

    def provider_opens_at(self, model: str, now: float) -> tuple[float, Kind | None]:
        """When provider and model let a call in (`now`: at once), and what is the matter."""
        return self._latest([self.breaker, self.models.get(model)], now)

    def slot_opens_at(self, slot: Slot, model: str, group: str | None, now: float) -> tuple[float, Kind | None]:
        """The same for a key and its account."""
        at, cause = self._latest(list(slot.sick_cells(model, group)), now)
        if self.limits.active:
            full_until = self.limits.cover(slot.account, model, group, now).opens_at(now)
            at, cause = max((at, cause), full_until, key=lambda opens: opens[0])
        limit = self.rules.max_in_flight
        if limit is not None and slot.in_flight >= limit and at <= now:
            return now + self.rules.recheck_s, None
        return at, cause

    def _latest(self, cells: Sequence[Cell | None], now: float) -> tuple[float, Kind | None]:
        at, cause = now, None
        for cell in cells:
            if cell is not None and cell.sick and (opens_at := cell.opens_at(now, self.rules.recheck_s)) > at:
                at, cause = opens_at, cell.cause
        return at, cause

    def admits(self, slot: Slot, model: str, group: str | None, now: float) -> bool:
        """Whether a key and its account let a call in now: `slot_opens_at`, without its price."""
        limit = self.rules.max_in_flight
        if limit is not None and slot.in_flight >= limit:
            return False
        recheck_s = self.rules.recheck_s
        if slot.own.sick and slot.own.opens_at(now, recheck_s) > now:
            return False
        account = slot.account
        if account.whole.sick and account.whole.opens_at(now, recheck_s) > now:
            return False
        cell = account.models.get(model)
        if cell is not None and cell.opens_at(now, recheck_s) > now:
            return False
        cell = account.groups.get(group) if group is not None else None
        if cell is not None and cell.opens_at(now, recheck_s) > now:
            return False
        return not self.limits.active or self.limits.cover(account, model, group, now).lets_in(now)

    def cover(self, slot: Slot, model: str, group: str | None, now: float) -> Cover | None:
        """What limits hold for a call with this key; None where nobody has spoken of any."""
        return self.limits.cover(slot.account, model, group, now) if self.limits.active else None

    def is_careful(self) -> bool:
        """Whether there is more to look at than what is sick."""
        return self.limits.active or self.rules.max_in_flight is not None

    def use_lately(self, account: Account, now: float) -> float:
        """About how many calls an account has begun in the last minute, where nobody has counted them."""
        weight = self.heat.weight(now, self.slots)
        return sum(slot.heat for slot in self.slots if slot.account is account) / weight

    def covering(self, slot: Slot, model: str, group: str | None) -> tuple[Cell, ...]:
        """The sick cells that a call enters."""
        model_cell = self.models.get(model)
        cells = [*slot.sick_cells(model, group)]
        if model_cell is not None:
            cells.append(model_cell)
        if self.breaker.sick:
            cells.append(self.breaker)
        return tuple(cells)

    def room(self, model: str, group: str | None, now: float) -> float:
        """How many calls may begin at this instant: the least along each way, summed over the accounts."""
        model_cell = self.models.get(model)
        whole = min(self.breaker.room(now), model_cell.room(now) if model_cell is not None else math.inf)
        in_keys: dict[str, float] = {}
        for slot in self.living:
            name = slot.account.name
            in_keys[name] = in_keys.get(name, 0) + self._key_room(slot, now)
        for name, keys in in_keys.items():
            in_keys[name] = min(keys, self._account_room(self.accounts[name], model, group, now))
        return min(whole, sum(in_keys.values()))

    def _key_room(self, slot: Slot, now: float) -> float:
        limit = self.rules.max_in_flight
        return min(slot.own.room(now), math.inf if limit is None else max(0, limit - slot.in_flight))

    def _account_room(self, account: Account, model: str, group: str | None, now: float) -> float:
        cells = (account.whole, account.models.get(model), account.groups.get(group) if group is not None else None)
        room = min(cell.room(now) for cell in cells if cell is not None)
        if self.limits.active:
            room = min(room, self.limits.cover(account, model, group, now).room(now))
        return room
