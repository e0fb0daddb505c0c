"""What providers' refusals mean: every shape seen, as data beside its recording."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from ollama_proxy.consequences import CONSEQUENCES
from ollama_proxy.outcome import OK, Kind, Outcome, Reply, Scope
from ollama_proxy.providers import NO_LIST, Provider, load
from tests.support.reply_recordings import NOW, REFUSALS, RefusalRecording

PROVIDERS = load()


def classify(recording: RefusalRecording) -> Outcome:
    return PROVIDERS[recording.provider].classify(recording.reply, recording.model, NOW)


def effective_scope(outcome: Outcome, provider: Provider) -> Scope | None:
    """Whom the pool will let rest: what the outcome names, else what is usual for its kind."""
    usual = {Kind.RATE: provider.rate_scope, Kind.DAILY: provider.daily_scope}
    if outcome.kind is Kind.JUNK and outcome.scope is None:
        return None
    return outcome.scope or usual.get(outcome.kind) or CONSEQUENCES[outcome.kind].scope


@pytest.mark.parametrize("recording", REFUSALS, ids=str)
def test_a_refusal_has_its_kind(recording: RefusalRecording) -> None:
    """F4, F5, F8-F11, F18, F20-F23: the kind decides who rests and whether another key is tried."""
    assert classify(recording).kind.value == recording.kind


@pytest.mark.parametrize("recording", REFUSALS, ids=str)
def test_a_refusal_rests_whom_it_concerns_and_nobody_else(recording: RefusalRecording) -> None:
    """F8, F10, F11: one model on one key, a group of models, or the model at the provider."""
    scope = effective_scope(classify(recording), PROVIDERS[recording.provider])
    assert (scope.value if scope else None) == recording.scope


@pytest.mark.parametrize("recording", REFUSALS, ids=str)
def test_a_refusal_says_how_long_to_wait(recording: RefusalRecording) -> None:
    """F7-F10: the provider's own hint, the known reset, or nothing."""
    expected = None if recording.wait_s is None else pytest.approx(recording.wait_s, abs=0.01)
    assert classify(recording).wait_s == expected


@pytest.mark.parametrize("recording", [r for r in REFUSALS if r.code is not None], ids=str)
def test_a_refusal_has_the_fields_word_for_it(recording: RefusalRecording) -> None:
    """Clients act on `code`: a context that is too long is compacted, filtered content is not sent again."""
    assert classify(recording).code == recording.code


@pytest.mark.parametrize("recording", [r for r in REFUSALS if r.said is not None], ids=str)
def test_the_providers_own_words_are_kept(recording: RefusalRecording) -> None:
    """The most telling message, whether it is a text, an object, a list or a supplier's."""
    assert classify(recording).said == recording.said


@pytest.mark.parametrize("recording", REFUSALS, ids=str)
def test_words_for_people_are_one_short_line_without_markup(recording: RefusalRecording) -> None:
    """F22: no HTML reaches a client, and no line break a log."""
    said = classify(recording).said
    assert len(said) <= 500
    assert said.isprintable()
    assert "<html" not in said.lower()
    assert "<body" not in said.lower()


def test_every_recording_says_where_its_shape_comes_from() -> None:
    """A quirk without a source is a rumour."""
    assert [r.name for r in REFUSALS if not r.source] == []


@pytest.mark.parametrize("recording", [r for r in REFUSALS if r.reply.status >= 400], ids=str)
def test_no_caller_fault_touches_a_cell(recording: RefusalRecording) -> None:
    """F17: a thousand bad requests leave every key as it was."""
    outcome = classify(recording)
    if outcome.kind is Kind.CALLER:
        assert outcome.wait_s is None


# --- the first form ---------------------------------------------------------------------------------------------------


def error(status: int, body: object, provider: str = "together", **headers: str) -> Outcome:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    plain = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    return PROVIDERS[provider].classify(Reply(status, plain, text), "some-model", NOW)


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "words"}},
        [{"error": {"message": "words"}}],
        {"error": "words"},
        {"error": ["words"]},
        {"detail": "words"},
        {"detail": [{"msg": "words"}]},
        {"message": "words"},
        {"message": {"detail": [{"msg": "words"}]}},
        {"errors": [{"message": "words"}]},
        {"title": "words"},
        {"code": "Some.Code", "message": "words"},
        {"choices": [{"error": {"message": "words"}}]},
        "words",
        b"words",
        b'\xef\xbb\xbf \n {"error":{"message":"words"}}',
        b'data: {"error":{"message":"words"}}\n\n',
    ],
    ids=repr,
)
def test_a_message_is_found_in_every_shape(body: object) -> None:
    """Errors come as objects, lists, texts, problem+json and events."""
    assert error(418, body).said == "words"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe\x00",
        b'{"error":"\x80"}',
        b"[" * 100_000,
        b"{}",
        b"[]",
        b"null",
        b"7",
        b'{"error":{"message":{"message":{"message":{"message":{"message":{"message":{"message":{}}}}}}}}}',
        b'{"error":{"details":[7,null,{"violations":{"a":1}}],"metadata":{"raw":7,"headers":{"a":null}}}}',
        b'{"error":{"code":["x"],"message":7,"type":{}}}',
        b'{"choices":[7,null,{"message":"x"}]}',
        b"<",
        b'{"error":"' + b"x" * 1_000_000 + b'"}',
    ],
    ids=lambda b: repr(b[:40]),
)
@pytest.mark.parametrize("status", [200, 301, 400, 401, 404, 429, 500, 599])
def test_no_body_makes_the_judge_stumble(body: bytes, status: int) -> None:
    """F57, F77: whatever a provider sends is an outcome, never an exception."""
    outcome = error(status, body)
    assert isinstance(outcome, Outcome)
    assert len(outcome.said) <= 500


@pytest.mark.parametrize("status", [408, 409, 425])
def test_passing_faults_may_be_tried_again(status: int) -> None:
    """F19."""
    assert error(status, {"error": {"message": "later"}}).kind is Kind.TRANSIENT


@pytest.mark.parametrize("status", [500, 502, 503, 504, 520, 524, 599])
def test_a_broken_provider_blames_no_key(status: int) -> None:
    """F15."""
    assert error(status, {"error": {"message": "broken"}}).kind is Kind.TRANSIENT


@pytest.mark.parametrize("status", [101, 204, 206, 300, 304, 307])
def test_a_status_that_is_no_answer_is_junk(status: int) -> None:
    """F23, F24."""
    assert error(status, b"").kind is Kind.JUNK


@pytest.mark.parametrize("status", [400, 405, 415, 422])
def test_the_callers_fault_is_told_to_the_caller(status: int) -> None:
    """F17."""
    outcome = error(status, {"error": {"message": "field x", "type": "invalid_request_error"}})
    assert (outcome.kind, outcome.said, outcome.status) == (Kind.CALLER, "field x", status)


def test_a_model_that_is_missing_everywhere_is_not_asked_of_every_key() -> None:
    """F18: 410, or words such as 'deprecated'."""
    assert error(410, {"error": {"message": "x"}}).kind is Kind.MODEL_GONE
    assert error(404, {"error": {"message": "model x has been deprecated"}}).kind is Kind.MODEL_GONE


def test_a_plain_404_may_be_this_keys_alone() -> None:
    """F18: another key is asked before the model is given up."""
    assert error(404, {"error": {"message": "no such model"}}).kind is Kind.MODEL_ACCESS


@pytest.mark.parametrize(
    "text", ["tokens per minute: too many tokens", "rate limit: maximum context length per minute"]
)
def test_a_rate_limit_is_never_taken_for_a_long_prompt(text: str) -> None:
    """A client would shorten its history in vain."""
    assert error(429, {"error": {"message": text}}).kind is Kind.RATE


@pytest.mark.parametrize(
    "text",
    [
        "prompt is too long: 9 tokens > 8",
        "This model's maximum context length is 8192 tokens.",
        "Please reduce the length of the messages",
        "current length is 9000 while limit is 8192",
        "too large for model with 4096 maximum context length",
        "the request exceeds the available context size",
    ],
)
def test_a_prompt_that_is_too_long_is_recognised(text: str) -> None:
    """The client gets `context_length_exceeded` and compacts its history."""
    outcome = error(400, {"error": {"message": text}})
    assert (outcome.kind, outcome.code) == (Kind.CALLER, "context_length_exceeded")


@pytest.mark.parametrize("path_status", [404, 405, 501])
def test_a_missing_model_list_is_nobodys_fault(path_status: int) -> None:
    """The built-in list serves; neither key nor provider is blamed."""
    outcome = PROVIDERS["codestral"].classify(Reply(path_status, {}, b"<html>no</html>"), "", NOW)
    assert (outcome.kind, outcome.code) == (Kind.CALLER, NO_LIST)


def test_a_bad_key_shows_when_the_list_is_asked_for() -> None:
    """A key is tested by asking for the list."""
    assert (
        PROVIDERS["cohere"].classify(Reply(401, {}, b'{"message":"invalid api token"}'), "", NOW).kind
        is Kind.CREDENTIAL
    )


@pytest.mark.parametrize(
    "body",
    [
        {"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]},
        {"choices": [{"message": {"tool_calls": [{}]}, "finish_reason": "tool_calls"}]},
        {"object": "list", "data": [{"embedding": [0.1]}]},
    ],
    ids=["text", "calls", "embeddings"],
)
def test_a_good_answer_is_not_taken_for_a_bad_one(body: dict[str, Any]) -> None:
    """Should one be handed in, nobody is blamed."""
    assert error(200, body) == OK


@pytest.mark.parametrize(
    ("inside", "kind"),
    [
        ({"code": 429, "message": "slow"}, Kind.RATE),
        ({"code": "429", "message": "slow"}, Kind.RATE),
        ({"type": "rate_limit_error", "message": "slow"}, Kind.RATE),
        ({"code": 401, "message": "who"}, Kind.CREDENTIAL),
        ({"type": "invalid_request_error", "message": "field"}, Kind.CALLER),
        ({"message": "broken"}, Kind.TRANSIENT),
        ({"code": 200, "message": "odd"}, Kind.TRANSIENT),
    ],
    ids=repr,
)
def test_an_error_inside_a_200_counts_by_its_own_code(inside: dict[str, Any], kind: Kind) -> None:
    """F20, F21."""
    assert error(200, {"error": inside}).kind is kind


def test_the_month_turns_at_the_end_of_the_year_too() -> None:
    """Cohere's monthly allowance used up on 31 December returns on 1 January."""
    new_years_eve = 1798718400.0  # 2026-12-31 12:00 UTC
    body = b'{"message":"limited to 1000 API calls / month"}'
    outcome = PROVIDERS["cohere"].classify(Reply(429, {}, body), "m", new_years_eve)
    assert outcome.wait_s == 12 * 3600


@pytest.mark.parametrize(
    ("wall", "hours"),
    [
        (1772960400.0, 23 - 1),  # 2026-03-08 09:00 UTC = 01:00 PST, an hour before summer time: a day of 23 hours
        (1793520000.0 - 0.0, 24.0),  # 2026-11-01 08:00 UTC = 01:00 PDT, an hour before winter time: a day of 25 hours
    ],
)
def test_googles_day_ends_at_midnight_pacific_whatever_the_season(wall: float, hours: float) -> None:
    """F9: both changes of the clock."""
    day = next(r for r in REFUSALS if r.name == "google_429_day")
    outcome = PROVIDERS["google"].classify(day.reply, day.model, wall)
    assert outcome.wait_s == hours * 3600


def test_outcomes_carry_no_reply_beyond_words() -> None:
    """A key that a provider repeats is scrubbed by whoever shows `said`; nothing else leaves."""
    fields = {f.name for f in dataclasses.fields(Outcome)}
    assert fields == {"kind", "said", "wait_s", "scope", "code", "status", "allowance"}
