"""Owns the words for how one call to a provider ended. Knows neither providers nor clients.

`providers` turn an upstream answer into an Outcome, `pool` turns an Outcome into who rests and for how long, `plan`
decides whether another try may help, and `gateway` turns the last Outcome into an error for the client.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["CANCELLED", "OK", "Allowance", "Kind", "Outcome", "Reply", "Scope", "Span"]


class Kind(enum.Enum):
    """What happened, in the order in which it is looked for (quota before rate)."""

    OK = "ok"
    #: The request itself: malformed, too long, refused for its content. Says nothing bad about key or provider.
    CALLER = "caller"
    #: This key is not (or no longer) valid.
    CREDENTIAL = "credential"
    #: This key's account is out of money or credit.
    QUOTA = "quota"
    #: This key's allowance for the day (or month) is used up.
    DAILY = "daily"
    #: This key is too fast just now.
    RATE = "rate"
    #: This key may not use this model.
    MODEL_ACCESS = "model_access"
    #: Nobody can use this model here: retired or unknown.
    MODEL_GONE = "model_gone"
    #: The model is short of capacity for everybody; the key is fine.
    CAPACITY = "capacity"
    #: The provider stumbled: 5xx, connection refused or lost, timeout.
    TRANSIENT = "transient"
    #: The answer makes no sense: HTML, empty, unparsable, a redirect.
    JUNK = "junk"
    #: We ended it ourselves: the client left, or we are shutting down. No evidence about anybody.
    CANCELLED = "cancelled"


class Scope(enum.Enum):
    """Whom an outcome concerns; the pool keeps one cell for each."""

    PROVIDER = "provider"
    PROVIDER_MODEL = "provider+model"
    KEY = "key"
    #: One key's allowance for a group of models (OpenRouter's `:free`).
    KEY_GROUP = "key+group"
    KEY_MODEL = "key+model"


@dataclass(frozen=True, slots=True)
class Reply:
    """An upstream answer that is to be judged: the head, and the body as far as it was read.

    Header names are lower-case.
    """

    status: int
    headers: Mapping[bytes, bytes] = field(default_factory=dict)
    body: bytes = b""


class Span(enum.Enum):
    """The time over which a provider counts calls."""

    MINUTE = "minute"
    DAY = "day"


@dataclass(frozen=True, slots=True)
class Allowance:
    """How many calls a provider says it allows in a span; left: how many of them remain, None if it did not say."""

    calls: int
    span: Span
    left: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one call ended.

    wait_s: seconds to leave `scope` alone, as the provider asked; None when it gave no hint.
    scope: None means the usual scope of this kind at this provider.
    said: the provider's own words, without keys, 500 characters at most.
    code: the field's word for it where one exists (`context_length_exceeded`, `content_filter`, `model_not_found`).
    status: the upstream's HTTP status, 0 when there was none.
    allowance: what the provider said of its limit for `scope`, where it said so without doubt.
    """

    kind: Kind
    said: str = ""
    wait_s: float | None = None
    scope: Scope | None = None
    code: str = ""
    status: int = 0
    allowance: Allowance | None = None


OK = Outcome(Kind.OK)
CANCELLED = Outcome(Kind.CANCELLED)
