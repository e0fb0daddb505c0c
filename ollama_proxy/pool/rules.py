"""Owns the pool's numbers and the arithmetic of waiting. Knows no key and no request.

Which kind of outcome rests whom is the table in `consequences`; here is what one provider may differ in, and how a
hint or a default becomes a moment. Every number has its unit in its name and its reason beside it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ollama_proxy.consequences import CONSEQUENCES
from ollama_proxy.outcome import Kind, Scope

__all__ = ["HIGHEST_LEVEL", "PoolRules", "believed_wait", "level_after", "moment"]

_HOUR = 3600.0
_DAY = 24 * _HOUR
#: 2 s doubled eight times is beyond every cap in the table: higher levels would only be slower to forget.
HIGHEST_LEVEL = 8


@dataclass(frozen=True, slots=True)
class PoolRules:
    """What the pool of one provider goes by."""

    #: Where this provider counts "too fast" and "enough for today"; its profile knows.
    rate_scope: Scope = Scope.KEY
    daily_scope: Scope = Scope.KEY
    #: Calls at once with one key; None: as many as come. For providers that count concurrency.
    max_in_flight: int | None = None

    #: A hint below this is noise of the provider's clock; asking again at once would only be refused again.
    shortest_hint_s: float = 0.25
    #: A day and two hours: no daily limit is longer (26 h covers a day of 25 h and a late clock).
    longest_hint_s: float = 26 * _HOUR
    #: A monthly limit: no month is longer than 31 days. A wait beyond that is nonsense, and believed for a day only.
    longest_month_s: float = 32 * _DAY
    #: Randomness on top of a hint, so that a crowd does not return in one instant. Only ever later.
    hint_jitter_share: float = 0.1
    hint_jitter_s: float = 1.0

    #: So many failures in a row open the provider's breaker (Envoy's outlier detection counts five too).
    breaker_failures: int = 5
    #: After the probe two calls at once, then four, eight, and from sixteen on without limit (HAProxy's slow start,
    #: made countable).
    ramp_first: int = 2
    ramp_open: int = 16

    #: Refusals closer together than this are one event (a burst of concurrent calls with one key).
    strike_gap_s: float = 1.0
    #: A key that never worked is dead after two refusals this far apart: nobody misses it.
    new_key_strikes: int = 2
    new_key_span_s: float = 15.0
    #: A key that has worked needs five over ten minutes: login services fail too, for minutes, and answer 401.
    proven_key_strikes: int = 5
    proven_key_span_s: float = 600.0
    #: When every living key is refused, the login service is the suspect: each key asks at least this often, so that
    #: service is back a minute after the provider's.
    all_refused_s: float = 60.0
    #: The rest of a key that is given another chance.
    amnesty_s: float = 30.0

    #: More keys than this: two random candidates are compared instead of all (the power of two choices).
    two_choices_above: int = 64
    #: Picks count for about this long when equally busy keys are compared; most rate limits are per minute.
    recent_s: float = 60.0
    #: When only calls under way stand in the way, nobody knows how long they take: ask again this soon.
    recheck_s: float = 0.25
    #: Rests at least this long are worth telling others and keeping over a restart.
    memorable_s: float = 60.0

    #: How long a call counts against a limit per minute: a second more than a minute, since calls take their time to
    #: arrive, and a provider counts when they do.
    minute_s: float = 61.0
    #: So much after a day's end by our clock it has ended by the provider's, too.
    day_edge_s: float = 5.0
    #: A limit that the provider told of is tested this often while it stands in the way; a plan that was changed for
    #: a better one is noticed within this time.
    test_every_s: float = 600.0
    #: What was told of limits is forgotten when it was not told again for so long.
    told_s: float = 26 * _HOUR

    #: Keys of one account are refused one right after the other, as long as one request takes to try them.
    together_s: float = 10.0
    #: Keys are taken for one account's after they were refused together three times, in different minutes.
    together_times: int = 3
    #: Then they rest together for an hour, and have to be refused together again.
    together_hold_s: float = _HOUR
    #: Refusals longer ago than a week prove nothing.
    together_memory_s: float = 7 * _DAY

    #: Model names come from clients: memories of names beyond this number are dropped, the soonest to end first.
    named_cells: int = 4096


def believed_wait(rules: PoolRules, kind: Kind, wait_s: float | None) -> float | None:
    """The provider's hint within bounds, in seconds; None where it gave none that makes sense.

    Only a DAILY limit may be longer than a day: monthly allowances are of that kind.
    """
    if wait_s is None or not 0.0 < wait_s < math.inf:  # also catches NaN
        return None
    if kind is Kind.DAILY and wait_s <= rules.longest_month_s:
        return max(rules.shortest_hint_s, wait_s)
    return min(max(rules.shortest_hint_s, wait_s), rules.longest_hint_s)


def moment(rules: PoolRules, kind: Kind, wait_s: float | None, level: int, now: float, rnd: float) -> float:
    """When a cell that just fell may be asked again.

    level: how many episodes of trouble came before this one.
    """
    row = CONSEQUENCES[kind]
    wait = believed_wait(rules, kind, wait_s)
    if wait is None:
        wait = min(row.longest_s, row.first_s * 2.0**level)
        if row.random:
            return now + wait * (1 - row.random + row.random * rnd)
    return now + wait + rnd * min(rules.hint_jitter_s, rules.hint_jitter_share * wait)


def level_after(level: int) -> int:
    """The level of the episode after one of `level`."""
    return min(level + 1, HIGHEST_LEVEL)
