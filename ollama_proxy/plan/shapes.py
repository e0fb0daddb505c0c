"""Owns the words between the plan and the shell around it: what happened, what to do next, within which bounds."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from ollama_proxy.outcome import Kind, Outcome

__all__ = [
    "Ended",
    "Fail",
    "Limits",
    "NextTarget",
    "Purse",
    "Reason",
    "Resting",
    "Stage",
    "Step",
    "Try",
    "Wait",
]

# --- what comes in --------------------------------------------------------------------------------------------------


class Purse(Protocol):
    """A provider's retry budget."""

    def deposit(self, now: float) -> None:
        """A request has reached this provider."""

    def spend(self, price: float, now: float) -> bool:
        """Takes `price` tokens, or says that there are too few."""


class Resting(Protocol):
    """When the pool has a key again; moments are monotonic seconds."""

    @property
    def until(self) -> float | None:
        """When it is worth asking again for this request; None: never."""

    @property
    def all_dead(self) -> bool:
        """Every key is refused by the provider."""

    @property
    def soonest(self) -> float | None:
        """When any key is usable again, for anybody."""

    @property
    def cause(self) -> Kind | None:
        """The trouble behind it."""


@dataclass(frozen=True, slots=True)
class Ended:
    """An attempt that did not serve the request.

    key: the label of the key it used. outlook: how things stand at the pool for this model, asked after the lease was
    given back. stale: a kept connection turned out to be closed before the provider can have seen the request.
    """

    outcome: Outcome
    key: str
    outlook: Resting
    stale: bool = False


@dataclass(frozen=True, slots=True)
class Stage:
    """One target as the plan sees it. context: the model's window in tokens, None where nobody said."""

    budget: Purse
    context: int | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of one request, each with its reason."""

    #: Four tries at a provider that stumbles: the fourth succeeds rarely enough that a fifth is not worth its load.
    provider_faults: int = 4
    #: Eight keys of one provider may be found bad by one request; the next one knows them all.
    attempts_per_target: int = 8
    #: Over the whole chain.
    attempts: int = 10
    #: In the queue, altogether: longer than people wait for a sign of life, and the next request may be luckier.
    max_wait_s: float = 5.0
    #: No attempt and no sleep in the last second.
    last_second_s: float = 1.0
    #: Pauses grow from the first number to the second, random over the whole length.
    provider_pause_s: tuple[float, float] = (0.1, 2.0)
    key_pause_s: tuple[float, float] = (0.05, 0.5)
    #: A client told to come back later comes at a random moment soon after, not together with all the others.
    spread_share: float = 0.2
    spread_s: float = 2.0
    #: An SDK that would wait longer than this for its own retry is told not to.
    hopeless_after_s: float = 60.0


# --- what goes out --------------------------------------------------------------------------------------------------


class Reason(enum.Enum):
    """Why a request failed."""

    #: Every usable key rests (429); `retry_after_s` is honest.
    RESTING = "resting"
    #: Every key is refused by its provider (502); only the operator can help.
    REFUSED = "refused"
    #: The provider, or this model there, is known to be in trouble (503).
    ILL = "ill"
    #: Nobody here may use the model, or it is no more (404).
    GONE = "gone"
    #: The outcome of the last attempt is the answer.
    FAILED = "failed"
    #: The request's time is up (504).
    TOO_LATE = "too late"
    #: We ended it ourselves.
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Try:
    """Ask the current target's pool for a key; with one, call, and give the first content `first_content_s`."""

    first_content_s: float


@dataclass(frozen=True, slots=True)
class Wait:
    """Ask again at `until`. queued: in the line for a key, and a freed key may end the wait earlier."""

    until: float
    queued: bool


@dataclass(frozen=True, slots=True)
class NextTarget:
    """Go on with this target of the chain."""

    index: int


@dataclass(frozen=True, slots=True)
class Fail:
    """The client's answer.

    outcome: the last attempt's at the target that the answer speaks about, None if there was none.
    target: that target's index. cause: the kind of trouble there.
    retry_after_s: whole seconds, at least 1; None when nobody knows. hopeless: an SDK's own retry would be wasted.
    """

    reason: Reason
    outcome: Outcome | None = None
    target: int = 0
    cause: Kind | None = None
    retry_after_s: int | None = None
    hopeless: bool = False


Step: TypeAlias = Try | Wait | NextTarget | Fail
