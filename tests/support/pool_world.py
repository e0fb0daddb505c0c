"""A virtual world for the pool and the plan: a clock that jumps, providers that follow a script, many requests at once.

A request is a generator that yields the moment at which it wants to go on; the World wakes requests in order of time,
and of arrival where times are equal. So hours pass in milliseconds and every run is the same as the last.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ollama_proxy.outcome import CANCELLED, OK, Kind, Outcome
from ollama_proxy.plan import Ended, Fail, Progress, Stage, Try, Wait, next_step
from ollama_proxy.pool import KeyPool, PoolRules, Rest
from ollama_proxy.secret import Secret

START = 1000.0
#: (outcome, seconds until it is known) for a call with this key's label, for this model, at this moment.
Upstream = Callable[[str, str, float], tuple[Outcome, float]]


def secrets(count: int, provider: str = "p", first: int = 1) -> list[Secret]:
    """Keys `p#1`, `p#2`, ... with a value that no test may ever see printed."""
    return [Secret(f"sk-canary-{provider}-{i:04}", f"{provider}#{i}") for i in range(first, first + count)]


def make_pool(
    count: int = 3,
    rules: PoolRules | None = None,
    provider: str = "p",
    accounts: Mapping[str, str] | None = None,
) -> KeyPool:
    """A pool of fresh keys."""
    return KeyPool(provider, secrets(count, provider), rules, accounts=accounts)


@dataclass
class Attempt:
    """One call to a provider, as the provider saw it."""

    at: float
    provider: str
    key: str
    model: str
    kind: Kind
    request: int
    target: int


@dataclass
class Answer:
    """How one request ended: `fail` is None when it was served. honest_s: when the first key is really free."""

    request: int
    began: float
    progress: Progress
    ended: float = 0.0
    fail: Fail | None = None
    attempts: list[Attempt] = field(default_factory=list)
    waits: list[tuple[float, float]] = field(default_factory=list)
    honest_s: float | None = None

    @property
    def served(self) -> bool:
        return self.fail is None


@dataclass
class Place:
    """One target: a pool, a model there, and how the provider behaves."""

    pool: KeyPool
    upstream: Upstream
    model: str = "m"
    group: str | None = None
    context: int | None = None
    name: str = "p"


@dataclass
class World:
    """Virtual time."""

    seed: int = 0
    now: float = START
    answers: list[Answer] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    queue_limit: int = 64
    _heap: list[tuple[float, int, Generator[float, None, None]]] = field(default_factory=list)
    _ticket: int = 0
    _requests: int = 0
    _queued: int = 0

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def rnd(self) -> float:
        return self._random.random()

    def ask(self, *chain: Place, at: float | None = None, **options: Any) -> None:
        """A request that arrives at `at` (now); options as of `_request`."""
        self._requests += 1
        task = self._request(self._requests, chain, **options)
        self._push(self.now if at is None else at, task)

    def one(self, *chain: Place, **options: Any) -> Answer:
        """The answer to one request, with nothing else going on."""
        self.ask(*chain, **options)
        self.run()
        return self.answers[-1]

    def run(self, until: float = float("inf")) -> None:
        """Lets time pass until everything is done, or until a moment."""
        while self._heap and self._heap[0][0] <= until:
            at, _, task = heapq.heappop(self._heap)
            self.now = max(self.now, at)
            again = next(task, None)
            if again is not None:
                self._push(again, task)
        if until != float("inf"):
            self.now = max(self.now, until)

    def _push(self, at: float, task: Generator[float, None, None]) -> None:
        self._ticket += 1
        heapq.heappush(self._heap, (at, self._ticket, task))

    def _request(
        self,
        number: int,
        chain: Sequence[Place],
        *,
        patience_s: float = 600.0,
        sdk_retry: bool = False,
        commits: bool = False,
        leaves_after_s: float = float("inf"),
    ) -> Generator[float, None, None]:
        """commits: the client has read something before the first attempt ends. leaves_after_s: the client goes."""
        stages = [Stage(place.pool.budget, place.context) for place in chain]
        progress = Progress(stages, deadline=self.now + patience_s, sdk_retry=sdk_retry)
        answer = Answer(number, self.now, progress)
        gone_at = self.now + leaves_after_s
        event: Ended | Rest | None = None
        while self.now < gone_at:
            step = next_step(progress, event, self.now, self.rnd(), queue_full=self._queued >= self.queue_limit)
            event = None
            if isinstance(step, Wait):
                answer.waits.append((self.now, step.until))
                self._queued += step.queued
                yield min(step.until, gone_at)
                self._queued -= step.queued
            elif isinstance(step, Try):
                event = yield from self._attempt(chain[progress.target], answer, commits, gone_at)
                if event is None:
                    return
            elif isinstance(step, Fail):
                self._finish(answer, step, chain)
                return

    def _attempt(
        self, place: Place, answer: Answer, commits: bool, gone_at: float
    ) -> Generator[float, None, Ended | Rest | None]:
        """One call; None when the request is over with it."""
        progress = answer.progress
        lease = place.pool.acquire(place.model, place.group, self.now, self.rnd(), progress.excluded)
        if isinstance(lease, Rest):
            return lease
        key = lease.key.label
        outcome, duration = place.upstream(key, place.model, self.now)
        attempt = Attempt(self.now, place.name, key, place.model, outcome.kind, answer.request, progress.target)
        answer.attempts.append(attempt)
        self.attempts.append(attempt)
        progress.committed = progress.committed or commits
        yield min(self.now + duration, gone_at)
        if self.now >= gone_at:
            place.pool.release(lease, CANCELLED, self.now, self.rnd())
            return None
        place.pool.release(lease, outcome, self.now, self.rnd())
        if outcome.kind is Kind.OK:
            self._finish(answer, None, [place])
            return None
        return Ended(outcome, key, place.pool.outlook(place.model, place.group, self.now))

    def _finish(self, answer: Answer, fail: Fail | None, chain: Sequence[Place]) -> None:
        looks = [place.pool.outlook(place.model, place.group, self.now).soonest for place in chain]
        known = [look - self.now for look in looks if look is not None]
        answer.ended, answer.fail = self.now, fail
        answer.honest_s = min(known) if known else None
        self.answers.append(answer)

    # --- what happened ------------------------------------------------------------------------------------------------

    def served(self) -> int:
        return sum(answer.served for answer in self.answers)

    def calls_by_key(self) -> Counter[str]:
        return Counter(attempt.key for attempt in self.attempts)


def always(outcome: Outcome = OK, seconds: float = 0.5) -> Upstream:
    """A provider that always answers the same."""
    return lambda key, model, now: (outcome, seconds)


def by_key(outcomes: Mapping[str, Outcome], seconds: float = 0.5) -> Upstream:
    """A provider that answers by key; OK where nothing is said."""
    return lambda key, model, now: (outcomes.get(key, OK), seconds)


def in_turn(*outcomes: Outcome, seconds: float = 0.5) -> Upstream:
    """A provider that answers call after call; OK when the script is over."""
    script = list(outcomes)
    return lambda key, model, now: (script.pop(0) if script else OK, seconds)


def until(moment: float, bad: Outcome, good: Outcome = OK, seconds: float = 0.2) -> Upstream:
    """A provider that is ill until a moment."""
    return lambda key, model, now: (bad if now < moment else good, seconds)


def warm(pool: KeyPool, now: float = START - 100) -> None:
    """Every key has served once."""
    leases = [lease for _ in pool.snapshot(now) if not isinstance(lease := pool.acquire("m", None, now, 0.0), Rest)]
    for lease in leases:
        pool.release(lease, OK, now, 0.0)
