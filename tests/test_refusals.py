"""What a client is told when a call to a provider ended badly."""

from __future__ import annotations

import pytest

from ollama_proxy.errors import KeysRefused, KeysResting, UnknownModel, UpstreamJunk, UpstreamTimeout
from ollama_proxy.outcome import Kind, Outcome
from ollama_proxy.refusals import refusal


def told(kind: Kind, status: int = 0, said: str = "its words", code: str = "") -> tuple[int, str]:
    error = refusal(Outcome(kind, said, status=status, code=code), "Some Provider", "p:m")
    return error.status, error.message


@pytest.mark.parametrize("status", [401, 402, 403, 422])
@pytest.mark.parametrize("kind", [kind for kind in Kind if kind not in (Kind.OK, Kind.CANCELLED)])
def test_no_upstream_status_that_means_something_else_to_a_client_is_relayed(kind: Kind, status: int) -> None:
    """C237: 401, 402, 403 and 422 of a provider never reach a client as such."""
    assert told(kind, status)[0] not in {401, 402, 403, 422}


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind not in (Kind.OK, Kind.CANCELLED)])
def test_the_provider_and_its_words_are_named(kind: Kind) -> None:
    """Whoever reads the error knows who said what."""
    message = told(kind)[1]
    assert "Some Provider" in message
    assert "its words" in message


@pytest.mark.parametrize(
    ("kind", "status", "expected"),
    [
        (Kind.CALLER, 400, 400),
        (Kind.CALLER, 413, 413),
        (Kind.CREDENTIAL, 401, 502),
        (Kind.QUOTA, 402, 502),
        (Kind.RATE, 429, 429),
        (Kind.DAILY, 429, 429),
        (Kind.MODEL_ACCESS, 403, 404),
        (Kind.MODEL_GONE, 410, 404),
        (Kind.CAPACITY, 529, 503),
        (Kind.TRANSIENT, 500, 502),
        (Kind.TRANSIENT, 503, 503),
        (Kind.TRANSIENT, 504, 504),
        (Kind.TRANSIENT, 524, 504),
        (Kind.TRANSIENT, 0, 502),
        (Kind.JUNK, 200, 502),
    ],
)
def test_each_kind_has_its_status(kind: Kind, status: int, expected: int) -> None:
    """The table of statuses."""
    assert told(kind, status)[0] == expected


def test_resting_keys_say_when_and_whether_waiting_helps() -> None:
    """F13 F14: a minute may be waited for, hours not."""
    soon = refusal(Outcome(Kind.RATE), "P", "p:m", wait_s=40)
    assert isinstance(soon, KeysResting)
    assert (soon.retry_after_s, soon.hopeless) == (40, False)
    assert "40 s" in soon.message
    late = refusal(Outcome(Kind.DAILY), "P", "p:m", wait_s=32_400)
    assert late.hopeless
    assert "9 h" in late.message


def test_refused_keys_are_the_operators_business() -> None:
    """F2: an SDK's own retry would be wasted."""
    error = refusal(Outcome(Kind.CREDENTIAL), "P", "p:m")
    assert isinstance(error, KeysRefused)
    assert error.hopeless


def test_a_model_that_is_gone_names_its_successor() -> None:
    """What to do next is part of the message."""
    error = refusal(Outcome(Kind.MODEL_GONE, "retired"), "P", "p:old", successor="p:new")
    assert isinstance(error, UnknownModel)
    assert error.message == "model 'p:old' not found (P: retired). Ask for p:new instead."


def test_a_callers_code_is_kept() -> None:
    """Programs look for `context_length_exceeded`."""
    assert refusal(Outcome(Kind.CALLER, "too long", code="context_length_exceeded"), "P", "p:m").code == (
        "context_length_exceeded"
    )


def test_timeouts_and_nonsense_have_their_own_names() -> None:
    """504 and 502 with codes of their own."""
    assert isinstance(refusal(Outcome(Kind.TRANSIENT, code="upstream_timeout"), "P", "m"), UpstreamTimeout)
    assert isinstance(refusal(Outcome(Kind.JUNK), "P", "m"), UpstreamJunk)
