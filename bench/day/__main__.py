"""`python -m bench.day`: the same day for everybody, one after the other, and a table.

Owns: the users (who come, and how long they wait) and the counting. What the provider does is in `provider`.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from bench.day.provider import KEYS, Day, Provider
from bench.day.rotators import ROTATORS, Call

__all__ = ["main"]

#: A user's patience.
_PATIENCE_S = 20.0


@dataclass
class Tally:
    """What one day brought."""

    served: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    waited_s: list[float] = field(default_factory=list)

    async def user(self, call: Call) -> None:
        """One request, until its answer or the end of patience."""
        came = time.monotonic()
        try:
            status = await asyncio.wait_for(call(), _PATIENCE_S)
        except asyncio.TimeoutError:
            status = 0
        if status == 200:
            self.served += 1
        else:
            self.refused[str(status) if status else "no answer"] += 1
        self.waited_s.append(time.monotonic() - came)


def _arrivals(day: Day) -> list[float]:
    steady = [number / day.rate for number in range(int(day.length_s * day.rate))]
    return sorted([*steady, *(moment for moment, many in day.bursts for _ in range(many))])


async def _play(name: str, day: Day) -> str:
    provider = Provider(day)
    url = await provider.start()
    tally = Tally()
    try:
        async with ROTATORS[name](url) as call:
            await _warm_up(call, name)
            provider.begin()
            users = []
            for moment in _arrivals(day):
                await asyncio.sleep(max(0.0, provider.began + moment - time.monotonic()))
                users.append(asyncio.create_task(tally.user(call)))
            await asyncio.gather(*users)
    except FileNotFoundError as missing:
        return f"| {name} | {missing} | | | | | | |"
    finally:
        await provider.close()
    return _row(name, day, provider, tally)


async def _warm_up(call: Call, name: str) -> None:
    """A slow starter's first answer is not part of the day."""
    for _ in range(60):
        if await call() == 200 or name == "blind round robin":
            return
        await asyncio.sleep(0.5)


def _row(name: str, day: Day, provider: Provider, tally: Tally) -> str:
    statuses = Counter(status for _, _, status in provider.book)
    wasted = sum(count for status, count in statuses.items() if status != 200)
    dead = sum(1 for _, key, status in provider.book if key == KEYS[2] and status == 401)
    outage = sum(1 for at, _, status in provider.book if status == 503)
    lost = sum(max(0.0, waited - day.latency_s) for waited in tally.waited_s)
    refused = ", ".join(f"{count} × {status}" for status, count in sorted(tally.refused.items())) or "none"
    return (
        f"| {name} | {tally.served} of {len(tally.waited_s)} | {refused} | {wasted} | {dead} | {outage} "
        f"| {len(provider.book) / max(1, tally.served):.2f} | {lost:.0f} |"
    )


def main(words: Sequence[str] | None = None) -> None:
    """Plays the day for each and prints the table."""
    parser = argparse.ArgumentParser(prog="scripts/day", description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--only", help=f"one of: {', '.join(ROTATORS)}")
    parser.add_argument("--quick", action="store_true", help="a third of the day")
    options = parser.parse_args(words)
    day = Day()
    if options.quick:
        day = replace(day, length_s=20, revoked_at_s=5, outage_s=(9, 12), bursts=((4, 30),), per_day=40, short_day=10)
    print(
        "| who | served | refusals the user saw | calls wasted | with the revoked key | into the outage "
        "| calls per served | seconds lost |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name in ROTATORS:
        if options.only in (None, name):
            print(asyncio.run(_play(name, day)), flush=True)


if __name__ == "__main__":
    main()
