"""Owns when a key dies of refused credentials, and when the dead come back. Knows no other trouble.

A 401 has two meanings: this key is revoked, or the provider's login service is ill and says so to everybody. They look
the same, so a key that has worked is given ten minutes and five refusals; the last key that ever worked is never given
up; and when any refused key works again, the refusals were the provider's illness: keys that died of it return.
A truly revoked key costs five calls in ten minutes and one more; a login outage costs no key.
"""

from __future__ import annotations

from collections.abc import Iterable

from ollama_proxy.pool.rules import PoolRules
from ollama_proxy.pool.slot import Slot

__all__ = ["declare_dead", "is_last_hope", "must_die", "pardon", "strike"]


def strike(slot: Slot, now: float, rules: PoolRules) -> None:
    """The key was refused once more; refusals in one burst count once."""
    if slot.strikes and now - slot.last_strike < rules.strike_gap_s:
        return
    if not slot.strikes:
        slot.first_strike = now
    slot.strikes += 1
    slot.last_strike = now


def must_die(slot: Slot, slots: Iterable[Slot], now: float, rules: PoolRules) -> bool:
    """Whether this key has been refused often and long enough to be given up."""
    if slot.worked_at is None:
        return slot.strikes >= rules.new_key_strikes and now - slot.first_strike >= rules.new_key_span_s
    enough = slot.strikes >= rules.proven_key_strikes and now - slot.first_strike >= rules.proven_key_span_s
    return enough and not is_last_hope(slot, slots)


def is_last_hope(slot: Slot, slots: Iterable[Slot]) -> bool:
    """Whether this key has worked and no other living key has."""
    return slot.worked_at is not None and not any(
        other is not slot and other.worked_at is not None and other.died_at is None for other in slots
    )


def pardon(slot: Slot, now: float, rules: PoolRules) -> None:
    """A dead key lives again, with one strike left at most: a single further refusal and it is dead for good."""
    slot.died_at = None
    slot.revived_at = now
    slot.strikes = min(slot.strikes, rules.proven_key_strikes - 1)


def declare_dead(slot: Slot, at: float, rules: PoolRules) -> None:
    """The key died at a moment of which another process tells."""
    slot.died_at = slot.last_strike = at
    slot.first_strike = at - rules.proven_key_span_s
    slot.strikes = rules.proven_key_strikes
