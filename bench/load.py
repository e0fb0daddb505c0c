"""The stream loader: many clients at once on raw sockets, each answer checked chunk by chunk.

Owns: connections and their times. Does not know which proxy it talks to or what the bytes mean (wire.py does).
Runs on uvloop where that is installed; it has to be leaner than anything it measures, since it shares its core with the
fake provider.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

from bench.loop import new_event_loop
from bench.wire import Answer

__all__ = ["Job", "Tally", "percentile", "run_load"]

_SAMPLE_EVERY_S = 0.2
_FAULTS_ARE_ENOUGH = 50


@dataclass(frozen=True, slots=True)
class Job:
    """What is asked, by how many clients, for how long."""

    port: int
    request: bytes
    clients: int
    wanted: int
    """content chunks in a right answer"""
    end_mark: bytes
    """bytes that a right answer must hold beside its chunks; empty: none"""
    again_for_s: float = 0.0
    """clients begin another answer on the same connection until this long after the start; 0: one answer each"""
    spread_s: float = 0.0
    """the clients begin evenly over this time"""
    give_up_s: float = 30.0
    """whoever has no complete answer this long after the start is counted as unanswered"""
    gaps: bool = False
    """note the time between one piece of an answer and the next"""


@dataclass(slots=True)
class Tally:
    """What came of a job. Times are seconds; chunks are those of right answers, and of those cut short
    because the time was over.
    """

    right: int = 0
    asked: int = 0
    chunks: int = 0
    first_s: list[float] = field(default_factory=list)
    whole_s: list[float] = field(default_factory=list)
    gaps_s: list[float] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    ids: set[bytes] = field(default_factory=set)
    elapsed_s: float = 0.0

    def take(self, answer: Answer, first_s: float, whole_s: float) -> None:
        """Enters one finished answer."""
        if answer.fault is None and answer.answer_id in self.ids:
            answer.fault = "the same answer twice"
        if answer.fault is not None:
            self.faults[answer.fault] += 1
            return
        self.ids.add(answer.answer_id)
        self.right += 1
        self.chunks += answer.chunks
        self.first_s.append(first_s)
        self.whole_s.append(whole_s)

    def complaint(self) -> str | None:
        """One line about everything that went wrong; None: nothing did."""
        if not self.faults:
            return None
        wrong = ", ".join(f"{count} {fault}" for fault, count in self.faults.most_common())
        return f"{self.right} of {self.asked} right ({wrong})"


class _Client(asyncio.Protocol):
    """One connection that asks, reads, and perhaps asks again."""

    def __init__(self, job: Job, tally: Tally, until: float, over: asyncio.Future[None]) -> None:
        self._job = job
        self._tally = tally
        self._until = until
        self._over = over

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of asyncio's
        self._ask()

    def _ask(self) -> None:
        self._answer = Answer(self._job.wanted, self._job.end_mark)
        self._first_at = self._latest_at = 0.0
        self._asked_at = time.perf_counter()
        self._tally.asked += 1
        self._transport.write(self._job.request)

    def data_received(self, data: bytes) -> None:
        answer = self._answer
        before = answer.chunks
        answer.feed(data)
        if answer.chunks and not self._first_at:
            self._first_at = self._latest_at = time.perf_counter()
        elif self._job.gaps and answer.chunks > before:
            now = time.perf_counter()
            self._tally.gaps_s.append(now - self._latest_at)
            self._latest_at = now
        if answer.complete:
            self._take()
            if answer.keep_alive and time.perf_counter() < self._until and not self._hopeless():
                self._ask()
            else:
                self._transport.close()

    def _take(self) -> None:
        now = time.perf_counter()
        self._tally.take(self._answer, self._first_at - self._asked_at, now - self._asked_at)

    def _hopeless(self) -> bool:
        return self._tally.faults.total() >= _FAULTS_ARE_ENOUGH

    def connection_lost(self, exc: Exception | None) -> None:
        if self._over.done():  # given up: counted as unanswered already; what did come was work done
            if not self._answer.complete and self._answer.fault is None:
                self._tally.chunks += self._answer.chunks
            return
        if not self._answer.complete:
            self._answer.connection_lost()
            self._take()
        self._over.set_result(None)


async def _client(job: Job, tally: Tally, wait_s: float, until: float) -> None:
    """One client from first to last; a server that closes after each answer gets a new connection each time."""
    loop = asyncio.get_running_loop()
    await asyncio.sleep(wait_s)
    while True:
        over: asyncio.Future[None] = loop.create_future()
        try:
            factory = partial(_Client, job, tally, until, over)
            transport, _ = await loop.create_connection(factory, "127.0.0.1", job.port)
        except OSError as error:
            tally.asked += 1
            tally.faults[f"not connected ({error.strerror or error})"] += 1
            return
        try:
            await over
        finally:
            transport.abort()
        if time.perf_counter() >= until or tally.faults.total() >= _FAULTS_ARE_ENOUGH:
            return


async def _sample(during: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(_SAMPLE_EVERY_S)
        during()


async def _load(job: Job, during: Callable[[], None] | None) -> Tally:
    tally = Tally()
    started = time.perf_counter()
    until = started + job.again_for_s
    clients = [
        asyncio.ensure_future(_client(job, tally, job.spread_s * number / job.clients, until))
        for number in range(job.clients)
    ]
    sampler = asyncio.ensure_future(_sample(during)) if during else None
    _, late = await asyncio.wait(clients, timeout=job.give_up_s)
    tally.elapsed_s = time.perf_counter() - started
    if late:
        tally.faults["unanswered in time"] += len(late)
        tally.asked = max(tally.asked, tally.right + tally.faults.total())
    leftover = [*late, sampler] if sampler else [*late]
    for task in leftover:
        task.cancel()
    await asyncio.gather(*leftover, return_exceptions=True)
    await asyncio.sleep(0.01)  # aborted connections are closed in the loop's next turns
    return tally


def _run(work: Coroutine[Any, Any, Tally]) -> Tally:
    loop = new_event_loop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()


def run_load(job: Job, during: Callable[[], None] | None = None) -> Tally:
    """Does the job and returns what came of it; `during` is called every 0.2 s meanwhile (to sample memory)."""
    return _run(_load(job, during))


def percentile(values: list[float], share: float) -> float | None:
    """The value that `share` (0..1) of all do not exceed (nearest rank); None of none."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
