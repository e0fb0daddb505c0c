"""Owns the retry budget of one provider: a bucket of tokens that keeps retries a small share of the requests.

Each request brings a little, time brings a little, and each further call to the same provider costs. When the bucket
is empty the first failure is the answer. So, over R requests in T seconds, repeats after provider faults are at most
10 + 0.2·R + 0.1·T whatever happens, and a request that changes its key once brings exactly what it costs.
The shape is Finagle's and gRPC's retry throttle; that key changes are cheaper than repeats follows botocore's split
between throttling and failure.
"""

from __future__ import annotations

__all__ = ["RetryBudget"]

#: Enough for a short burst of trouble after a quiet time.
CAPACITY = 10.0
#: With a repeat at 1.0, at most every fifth request may be repeated in the long run.
PER_REQUEST = 0.2
#: So that a quiet proxy is not stuck with an empty bucket for hours.
PER_SECOND = 0.1
#: Tokens are floats: 0.2 taken fifty times from 10 must succeed fifty times.
_TOLERANCE = 1e-9


class RetryBudget:
    """The bucket of one provider; begins full. Times are monotonic seconds."""

    __slots__ = ("_at", "_tokens")

    def __init__(self) -> None:
        self._tokens = CAPACITY
        # Before the first request the bucket is full, so no moment is needed.
        self._at = 0.0

    def level(self, now: float) -> float:
        """Tokens in the bucket."""
        return min(CAPACITY, self._tokens + PER_SECOND * max(0.0, now - self._at))

    def deposit(self, now: float) -> None:
        """A request has reached this provider (once per request, not per attempt)."""
        self._tokens = min(CAPACITY, self.level(now) + PER_REQUEST)
        self._at = now

    def spend(self, price: float, now: float) -> bool:
        """Takes `price` tokens; False, and nothing taken, when there are too few."""
        level = self.level(now)
        if level + _TOLERANCE < price:
            return False
        self._tokens = max(0.0, level - price)
        self._at = now
        return True

    def __repr__(self) -> str:
        return f"<RetryBudget {self._tokens:.1f} of {CAPACITY:.0f}>"
