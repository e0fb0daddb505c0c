"""Owns what follows from each kind of outcome: who rests, for how long, whether another try may help, what it costs.

The rules stand here once, as one table; `pool` reads the columns about resting, `plan` those about trying again.
This module knows no clock, no key and no request.

How to read the table
---------------------
*blames* says whose fault it was. Only a key can be blamed for a key's fault: a provider that stumbles never costs a key
its place, and a caller's bad request costs nobody anything (a thousand of them leave every cell as it was).

*scope* is the cell that rests. None: the provider's profile knows it (a per-minute limit is counted per key and model
at one provider, per account at another). An outcome that names its own scope always wins.

*effect*: COOLING and EXHAUSTED both keep a cell from being chosen until a moment, and one probe must then succeed.
EXHAUSTED is the kind worth remembering over a restart. COUNTED rests nobody by itself: the provider's breaker counts
how many came in a row.

*first_s*, *longest_s* apply when the provider gave no hint: the rest doubles from episode to episode. *random* is the
share of it that is left to chance, so that keys do not come back in step; with 0 a rest is never shorter than said.
- CREDENTIAL starts at 30 s, not a second less: a revoked key then costs five calls in ten minutes, and a provider's
  broken login service (it answers 401 to everybody) is still left behind within a minute.
- RATE and CAPACITY start at 2 s, since most such limits are refilled by the second or the minute.
- QUOTA, DAILY, MODEL_ACCESS look again each hour: somebody may have paid, or the day may have ended.
- MODEL_GONE is believed for a day.
- TRANSIENT and JUNK are the breaker's: at most 15 s. Longer was measured to bring service back late after an outage
  (a 300 s cap: 30 s late after two minutes of downtime) and saved nothing.

*remedy*, *repeats*: whether this request may try again, and how often after this kind (None: the plan's general
limits). Nonsense and lack of capacity seldom pass within a second: one more try, not three.

*price* is taken from the provider's retry budget. Changing keys is cheap, since it asks another account; repeating what
broke the provider is five times as dear.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ollama_proxy.outcome import Kind, Scope

__all__ = ["CONSEQUENCES", "KEY_CHANGE_PRICE", "REPEAT_PRICE", "Blame", "Consequence", "Effect", "Remedy"]


class Blame(enum.Enum):
    """Whose fault an outcome is."""

    NOBODY = "nobody"
    KEY = "key"
    PROVIDER = "provider"


class Effect(enum.Enum):
    """What happens to the cell that an outcome concerns."""

    NOTHING = "nothing"
    COOLING = "cooling"
    EXHAUSTED = "exhausted"
    COUNTED = "counted"


class Remedy(enum.Enum):
    """What may still help this request."""

    NONE = "none"
    OTHER_KEY = "other key"
    REPEAT = "repeat"
    OTHER_TARGET = "other target"


@dataclass(frozen=True, slots=True)
class Consequence:
    """One row of the table; times in seconds, price in tokens of the retry budget."""

    blames: Blame
    effect: Effect
    scope: Scope | None
    first_s: float
    longest_s: float
    random: float
    remedy: Remedy
    repeats: int | None
    price: float


#: Moving to another key after a key's fault.
KEY_CHANGE_PRICE = 0.2
#: Asking again after the provider's fault.
REPEAT_PRICE = 1.0

_HOUR = 3600.0


def _nobody() -> Consequence:
    return Consequence(Blame.NOBODY, Effect.NOTHING, None, 0.0, 0.0, 0.0, Remedy.NONE, 0, 0.0)


def _key(effect: Effect, scope: Scope | None, first_s: float, longest_s: float, random: float) -> Consequence:
    return Consequence(Blame.KEY, effect, scope, first_s, longest_s, random, Remedy.OTHER_KEY, None, KEY_CHANGE_PRICE)


def _provider(effect: Effect, scope: Scope, first_s: float, longest_s: float, repeats: int | None) -> Consequence:
    return Consequence(Blame.PROVIDER, effect, scope, first_s, longest_s, 0.5, Remedy.REPEAT, repeats, REPEAT_PRICE)


CONSEQUENCES: Mapping[Kind, Consequence] = MappingProxyType(
    {
        Kind.OK: _nobody(),
        Kind.CALLER: _nobody(),
        Kind.CANCELLED: _nobody(),
        # A key's faults: effect, scope, first, longest, random
        Kind.CREDENTIAL: _key(Effect.COOLING, Scope.KEY, 30.0, 300.0, 0.0),
        Kind.QUOTA: _key(Effect.EXHAUSTED, Scope.KEY, _HOUR, _HOUR, 0.0),
        Kind.DAILY: _key(Effect.EXHAUSTED, None, _HOUR, _HOUR, 0.0),
        Kind.RATE: _key(Effect.COOLING, None, 2.0, 60.0, 0.5),
        Kind.MODEL_ACCESS: _key(Effect.EXHAUSTED, Scope.KEY_MODEL, _HOUR, _HOUR, 0.0),
        # The provider's: effect, scope, first, longest, repeats
        Kind.CAPACITY: _provider(Effect.COOLING, Scope.PROVIDER_MODEL, 2.0, 60.0, 1),
        Kind.TRANSIENT: _provider(Effect.COUNTED, Scope.PROVIDER, 1.0, 15.0, None),
        Kind.JUNK: _provider(Effect.COUNTED, Scope.PROVIDER, 1.0, 15.0, 1),
        # Nobody's fault, and no repetition will bring the model back; the price is that of a fallback that stays with
        # the same provider.
        Kind.MODEL_GONE: Consequence(
            Blame.NOBODY,
            Effect.EXHAUSTED,
            Scope.PROVIDER_MODEL,
            24 * _HOUR,
            24 * _HOUR,
            0.0,
            Remedy.OTHER_TARGET,
            0,
            KEY_CHANGE_PRICE,
        ),
    }
)
