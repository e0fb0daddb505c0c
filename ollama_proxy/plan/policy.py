"""Owns the retry policy: what one request does next, over a chain of targets. Knows no key, no socket and no clock.

    progress = Progress(stages, deadline)
    step = next_step(progress, None, now, rnd)               # at the start, and after each Wait and NextTarget
    step = next_step(progress, rest, now, rnd)               # a Try found no key: the pool's Rest
    step = next_step(progress, Ended(...), now, rnd)         # an attempt ended badly; its lease is already back

and does what the step says: Try (ask the pool for a key and call), Wait, NextTarget (another pool), Fail (the client's
answer). A request that is served simply stops asking.

The rules, in order
-------------------
1. What a client has begun to read is never repeated: once `committed` is set, every failure is final.
2. A caller's own mistake is final, except that a prompt too long for this model may fit a later target.
3. A key's fault is tried with another key: at once, but from the second "too fast" on after a short pause, since keys
   of one owner often share what they hit. The key is not used again for this target; only one that was merely too fast
   is, once, when its rest is over, and where there is no later target: its pool does not hand it out before.
4. A provider's fault is repeated after a pause that grows and is random over its whole length ("full jitter").
   Not if the client's SDK is repeating by itself: two loops multiply.
5. Each further call to a provider that this request has called is paid for from that provider's budget. A first call
   is free: the fallback to somebody else must work when the first provider has nothing left.
6. Nobody sleeps past the last second before the deadline: an answer in time beats a better one too late.
7. Without a key the request waits in the queue, five seconds in all at most, unless waiting cannot help: then the next
   target, and at the end the soonest honest moment over all targets.
8. Lack of capacity is not waited for while there is another target.

The number of attempts is bounded three ways (`Limits`); which outcome allows what, and its price, is the table in
`consequences`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ollama_proxy.consequences import CONSEQUENCES, KEY_CHANGE_PRICE, Blame, Remedy
from ollama_proxy.outcome import Kind, Outcome
from ollama_proxy.plan.shapes import Ended, Fail, Limits, NextTarget, Reason, Resting, Stage, Step, Try, Wait

__all__ = ["Progress", "next_step"]

#: How providers' profiles call a prompt that is longer than the model's window.
_TOO_LONG = "context_length_exceeded"
_LIMITS = Limits()


# --- the history of one request -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _End:
    """How one target was given up."""

    reason: Reason
    target: int
    outcome: Outcome | None
    cause: Kind | None
    soonest: float | None = None


@dataclass(slots=True)
class _Here:
    """What has happened at the current target."""

    attempts: int = 0
    provider_faults: int = 0
    faults: dict[Kind, int] = field(default_factory=dict)
    excluded: set[str] = field(default_factory=set)
    too_fast: set[str] = field(default_factory=set)
    last: Outcome | None = None


@dataclass(slots=True)
class Progress:
    """The history of one request. The shell sets `committed` when the client was sent the first content.

    deadline: monotonic seconds, by which the first content must be there. first_content_s: for a single attempt.
    sdk_retry: the client's SDK is already repeating this request by itself.
    """

    stages: Sequence[Stage]
    deadline: float
    first_content_s: float = 120.0
    sdk_retry: bool = False
    limits: Limits = _LIMITS
    committed: bool = False
    #: Index of the current target, and attempts over all targets.
    target: int = 0
    attempts: int = 0
    _here: _Here = field(default_factory=_Here)
    _ends: list[_End] = field(default_factory=list)
    #: What the next call to a provider costs, by the identity of its budget; present once the request has reached it.
    _prices: dict[int, float] = field(default_factory=dict)
    _waited_s: float = 0.0
    _waiting_since: float | None = None
    _had_free_retry: bool = False

    @property
    def excluded(self) -> set[str]:
        """Labels of the keys that are of no more use at the current target.

        Another target starts without them: what is wrong with a key for all models its pool knows.
        """
        return self._here.excluded


def next_step(
    progress: Progress, event: Ended | Resting | None, now: float, rnd: float, *, queue_full: bool = False
) -> Step:
    """What the request does next, after what just happened to it.

    queue_full: nobody else may queue for a key now. Raises: ValueError for an attempt that ended well.
    """
    if progress._waiting_since is not None:
        progress._waited_s += max(0.0, now - progress._waiting_since)
        progress._waiting_since = None
    if event is None:
        return _ask(progress, now)
    if isinstance(event, Ended):
        return _after(progress, event, now, rnd)
    return _without_key(progress, event, now, rnd, queue_full=queue_full)


def _ask(progress: Progress, now: float) -> Step:
    _arrive(progress, now)
    left = progress.deadline - now
    if progress.committed or left < progress.limits.last_second_s:
        reason = Reason.FAILED if progress.committed else Reason.TOO_LATE
        return Fail(reason, progress._here.last, progress.target)
    return Try(min(progress.first_content_s, left))


def _arrive(progress: Progress, now: float) -> None:
    """Counts the request once at each provider that it reaches."""
    budget = progress.stages[progress.target].budget
    if id(budget) not in progress._prices:
        progress._prices[id(budget)] = 0.0
        budget.deposit(now)


# --- after an attempt -----------------------------------------------------------------------------------------------


def _after(progress: Progress, event: Ended, now: float, rnd: float) -> Step:
    outcome = event.outcome
    if outcome.kind is Kind.OK:
        raise ValueError("an attempt that ended well needs no next step")
    progress.attempts += 1
    progress._here.attempts += 1
    progress._here.last = outcome
    if progress.committed:
        return Fail(Reason.FAILED, outcome, progress.target, outcome.kind)
    if outcome.kind is Kind.CANCELLED:
        return Fail(Reason.CANCELLED, outcome, progress.target, outcome.kind)
    if event.stale and not progress._had_free_retry and _attempts_left(progress):
        progress._had_free_retry = True
        return _ask(progress, now)
    _count(progress, event)
    if outcome.kind is Kind.CALLER:
        return _after_mistake(progress, outcome, now, rnd)
    return _again(progress, event, now, rnd)


def _count(progress: Progress, event: Ended) -> None:
    kind, here, row = event.outcome.kind, progress._here, CONSEQUENCES[event.outcome.kind]
    here.faults[kind] = here.faults.get(kind, 0) + 1
    if row.blames is Blame.PROVIDER:
        here.provider_faults += 1
    elif row.blames is Blame.KEY and not _may_come_again(progress, event):
        here.excluded.add(event.key)
    progress._prices[id(progress.stages[progress.target].budget)] = max(row.price, KEY_CHANGE_PRICE)


def _may_come_again(progress: Progress, event: Ended) -> bool:
    """Whether the key may serve this request after its rest: who has one key only, has no other."""
    first = event.key not in progress._here.too_fast
    progress._here.too_fast.add(event.key)
    return first and event.outcome.kind is Kind.RATE and progress.target + 1 == len(progress.stages)


def _attempts_left(progress: Progress) -> bool:
    limits = progress.limits
    return progress.attempts < limits.attempts and progress._here.attempts < limits.attempts_per_target


def _after_mistake(progress: Progress, outcome: Outcome, now: float, rnd: float) -> Step:
    context = progress.stages[progress.target].context
    if outcome.code == _TOO_LONG and context is not None:
        end = _End(Reason.FAILED, progress.target, outcome, outcome.kind)
        return _move_on(progress, end, now, rnd, larger_than=context)
    return Fail(Reason.FAILED, outcome, progress.target, outcome.kind)


def _again(progress: Progress, event: Ended, now: float, rnd: float) -> Step:
    kind = event.outcome.kind
    end = _End(_reason_of(event), progress.target, event.outcome, kind, event.outlook.soonest)
    if not _may_repeat(progress, kind):
        return _move_on(progress, end, now, rnd)
    pause = _pause(progress, kind, rnd)
    if now + pause > progress.deadline - progress.limits.last_second_s:
        return _verdict([*progress._ends, end], progress.limits, now, rnd)
    if not progress.stages[progress.target].budget.spend(CONSEQUENCES[kind].price, now):
        return _move_on(progress, end, now, rnd)
    return Wait(now + pause, queued=False) if pause > 0 else _ask(progress, now)


def _may_repeat(progress: Progress, kind: Kind) -> bool:
    row, here = CONSEQUENCES[kind], progress._here
    if row.remedy is Remedy.OTHER_TARGET or not _attempts_left(progress):
        return False
    if row.repeats is not None and here.faults[kind] > row.repeats:
        return False
    if row.blames is not Blame.PROVIDER:
        return True
    if kind is Kind.CAPACITY and progress.target + 1 < len(progress.stages):
        return False
    return not progress.sdk_retry and here.provider_faults < progress.limits.provider_faults


def _pause(progress: Progress, kind: Kind, rnd: float) -> float:
    here, limits = progress._here, progress.limits
    if CONSEQUENCES[kind].blames is Blame.PROVIDER:
        first, longest = limits.provider_pause_s
        return rnd * min(longest, first * 2.0**here.provider_faults)
    if kind is Kind.RATE and here.faults[kind] > 1:
        first, longest = limits.key_pause_s
        return rnd * min(longest, first * 2.0 ** here.faults[kind])
    return 0.0


def _reason_of(event: Ended) -> Reason:
    """What the client is told if nothing else is tried after this outcome."""
    match event.outcome.kind:
        case Kind.MODEL_GONE:
            return Reason.GONE
        case Kind.CAPACITY:
            return Reason.ILL
        case kind if CONSEQUENCES[kind].blames is Blame.KEY:
            return _reason_of_rest(event.outlook)
        case _:
            return Reason.FAILED


# --- without a key --------------------------------------------------------------------------------------------------


def _without_key(progress: Progress, rest: Resting, now: float, rnd: float, *, queue_full: bool) -> Step:
    if progress.committed:
        return _ask(progress, now)
    if not queue_full and _is_worth_waiting(progress, rest, now):
        assert rest.until is not None
        progress._waiting_since = now
        return Wait(rest.until, queued=True)
    reason = _reason_of_rest(rest)
    end = _End(reason, progress.target, progress._here.last, rest.cause, rest.soonest)
    return _move_on(progress, end, now, rnd)


def _is_worth_waiting(progress: Progress, rest: Resting, now: float) -> bool:
    limits = progress.limits
    if rest.until is None or _reason_of_rest(rest) in (Reason.REFUSED, Reason.GONE):
        return False
    if rest.cause is Kind.CAPACITY and progress.target + 1 < len(progress.stages):
        return False
    in_time = rest.until <= progress.deadline - limits.last_second_s
    return in_time and rest.until - now <= limits.max_wait_s - progress._waited_s


def _reason_of_rest(rest: Resting) -> Reason:
    if rest.all_dead:
        return Reason.REFUSED
    if rest.cause is Kind.MODEL_GONE or rest.cause is Kind.MODEL_ACCESS:
        return Reason.GONE
    if rest.cause is not None and CONSEQUENCES[rest.cause].blames is Blame.PROVIDER:
        return Reason.ILL
    return Reason.RESTING


# --- the next target, or the end ------------------------------------------------------------------------------------


def _move_on(progress: Progress, end: _End, now: float, rnd: float, *, larger_than: int | None = None) -> Step:
    progress._ends.append(end)
    if progress.attempts < progress.limits.attempts:
        for index in _later_targets(progress, larger_than):
            budget = progress.stages[index].budget
            price = progress._prices.get(id(budget), 0.0)
            if price == 0.0 or budget.spend(price, now):
                progress.target = index
                progress._here = _Here()
                return NextTarget(index)
    return _verdict(progress._ends, progress.limits, now, rnd)


def _later_targets(progress: Progress, larger_than: int | None) -> Iterator[int]:
    for index in range(progress.target + 1, len(progress.stages)):
        context = progress.stages[index].context
        if larger_than is None or (context is not None and context > larger_than):
            yield index


def _verdict(ends: Sequence[_End], limits: Limits, now: float, rnd: float) -> Fail:
    """One answer for all targets: resting keys first, since they will be back; then the last that is ill."""
    resting = [end for end in ends if end.reason is Reason.RESTING]
    troubled = [end for end in ends if end.reason is Reason.ILL or (end.reason is Reason.FAILED and _is_upstreams(end))]
    refused = [end for end in ends if end.reason is Reason.REFUSED]
    end = min(resting, key=_soonest) if resting else (troubled or refused or list(ends))[-1]
    fail = Fail(end.reason, end.outcome, end.target, end.cause, hopeless=end.reason is Reason.REFUSED)
    if end.reason is not Reason.RESTING and end.reason is not Reason.ILL:
        return fail
    wait = max(0.0, min(_soonest(e) for e in ends if e.reason in (Reason.RESTING, Reason.ILL)) - now)
    if wait == math.inf:
        return fail
    spread = rnd * min(limits.spread_s, limits.spread_share * wait)
    retry_after_s = max(1, math.ceil(wait + spread))
    hopeless = wait > limits.hopeless_after_s
    return Fail(end.reason, end.outcome, end.target, end.cause, retry_after_s, hopeless)


def _soonest(end: _End) -> float:
    return math.inf if end.soonest is None else end.soonest


def _is_upstreams(end: _End) -> bool:
    return end.cause is not None and CONSEQUENCES[end.cause].blames is Blame.PROVIDER
