"""Owns what a client is told when a call to a provider ended badly. Pure; knows no protocol's shape.

A provider's status is mapped, not relayed: 401, 402 and 403 mean "your token is wrong" to the client's own software,
and 422 is shown by one of them as a moral judgement. The provider's words are kept, after its name, and what to do
next follows where we know it.
"""

from __future__ import annotations

from ollama_proxy.errors import (
    KeysRefused,
    KeysResting,
    ProxyError,
    StreamInterrupted,
    UnknownModel,
    UpstreamJunk,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from ollama_proxy.outcome import Kind, Outcome

__all__ = ["keys_refused", "keys_resting", "refusal", "unavailable"]

_TIMEOUTS = frozenset({408, 504, 524})
#: Codes of calls that did not get through to the provider.
_UNREACHED = frozenset({"", UpstreamUnreachable.code, "upstream_tls"})


def refusal(
    outcome: Outcome, title: str, model: str, *, wait_s: int | None = None, successor: str | None = None
) -> ProxyError:
    """The client's error for the outcome that ended its request.

    title: the provider's name for people. model: what the caller asked for. wait_s: when another try may help.
    successor: the model that took the place of one that is gone.
    """
    said = f"{title}: {outcome.said}" if outcome.said else title
    match outcome.kind:
        case Kind.CALLER:
            return UpstreamRefused(said, status=413 if outcome.status == 413 else 400, code=outcome.code)
        case Kind.CREDENTIAL | Kind.QUOTA:
            return keys_refused(title, outcome.said)
        case Kind.RATE | Kind.DAILY:
            return keys_resting(title, wait_s, outcome.said)
        case Kind.MODEL_ACCESS | Kind.MODEL_GONE:
            advice = f" Ask for {successor} instead." if successor else ""
            return UnknownModel(f"model '{model}' not found ({said}).{advice}")
        case Kind.CAPACITY:
            return UpstreamRefused(
                f"{said} (the model is overloaded at the provider)",
                status=503,
                code="upstream_overloaded",
                retry_after_s=wait_s or 5,
            )
        case Kind.JUNK:
            return UpstreamJunk(f"{title} sent an answer that makes no sense{_colon(outcome.said)}")
        case _:
            return _stumble(outcome, title)


def _stumble(outcome: Outcome, title: str) -> ProxyError:
    if outcome.status in _TIMEOUTS or outcome.code == UpstreamTimeout.code:
        return UpstreamTimeout(f"{title} took too long to answer{_colon(outcome.said)}")
    if outcome.status == 503:
        return unavailable(title, None, outcome.said)
    if outcome.status == 0 and outcome.code in _UNREACHED:
        return UpstreamUnreachable(f"{title} cannot be reached{_colon(outcome.said)}", code=outcome.code or None)
    if outcome.status == 0:
        return StreamInterrupted(f"{title}: {outcome.said}", code=outcome.code)
    return UpstreamRefused(f"{title} failed with status {outcome.status}{_colon(outcome.said)}", status=502)


def unavailable(title: str, wait_s: int | None, said: str = "") -> UpstreamRefused:
    """The provider, or this model there, is known to be in trouble."""
    return UpstreamRefused(
        f"{title} is not available just now{_colon(said)}",
        status=503,
        code="upstream_unavailable",
        retry_after_s=wait_s,
    )


_LIMITS = frozenset({Kind.RATE, Kind.DAILY})


def keys_resting(title: str, wait_s: int | None, said: str = "", cause: Kind | None = Kind.RATE) -> KeysResting:
    """Every usable key of the provider rests for `wait_s` seconds; `cause`: why the first to return does."""
    why = f"Every {title} key is at its limit." if cause in _LIMITS else f"No {title} key can be used just now."
    when = f" Try again in {_span(wait_s)}, or add another key." if wait_s else ""
    return KeysResting(
        f"{why}{when}{_quote(said)}",
        retry_after_s=wait_s,
        # An SDK that waits longer than a minute only keeps its user waiting.
        hopeless=wait_s is not None and wait_s > 60,
    )


def keys_refused(title: str, said: str = "") -> KeysRefused:
    """No key of the provider is accepted any more."""
    return KeysRefused(
        f"{title} accepts none of the keys that are set here; check them and replace the refused ones.{_quote(said)}",
        hopeless=True,
    )


def _colon(said: str) -> str:
    return f": {said}" if said else ""


def _quote(said: str) -> str:
    return f" ({said})" if said else ""


def _span(seconds: int) -> str:
    if seconds < 120:
        return f"{seconds} s"
    if seconds < 7200:
        return f"{round(seconds / 60)} min"
    return f"{round(seconds / 3600)} h"
