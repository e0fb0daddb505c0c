"""How providers tell their limits: read only where no doubt is left what is counted, how often, over which time."""

from __future__ import annotations

import pytest

from ollama_proxy.outcome import Allowance, Reply, Span
from ollama_proxy.providers.allowances import allowance_left, allowance_of
from ollama_proxy.providers.fault import read_fault

GOOGLE = (
    '{"error":{"code":429,"details":[{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":['
    '{"quotaId":"%s","quotaValue":"%s"}]}]}}'
)
HEADER = b"x-ratelimit-limit-req-minute"
LEFT = b"x-ratelimit-remaining-req-minute"


def told(body: str, span: Span = Span.MINUTE, **headers: str) -> Allowance | None:
    fields = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    reply = Reply(429, fields, body.encode())
    return allowance_of(read_fault(reply), reply, span)


@pytest.mark.parametrize(
    ("body", "headers", "calls"),
    [
        (GOOGLE % ("GenerateRequestsPerMinutePerProjectPerModel-FreeTier", "5"), {}, 5),
        ('{"error":{"message":"Rate limit reached: requests per minute (RPM): Limit 3, used 3."}}', {}, 3),
        ('{"message":"Trial keys are limited to 20 API calls / minute."}', {}, 20),
        (
            '{"error":{"message":"Rate limit exceeded: free-models-per-min. ","code":429}}',
            {"x_ratelimit_limit": "20"},
            20,
        ),
    ],
    ids=["google", "openai", "cohere", "openrouter"],
)
def test_a_limit_per_minute_is_read(body: str, headers: dict[str, str], calls: int) -> None:
    """P2: each provider's own form."""
    assert told(body, **headers) == Allowance(calls, Span.MINUTE, 0)
    assert told(body, Span.DAY, **headers) is None


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<html>too many requests</html>",
        '{"message":"too many requests"}',
        GOOGLE % ("GenerateContentInputTokensPerModelPerMinute-FreeTier", "250000"),
        GOOGLE % ("GenerateRequestsPerMinutePerProjectPerModel-FreeTier", "0"),
        GOOGLE % ("GenerateRequestsPerMinutePerProjectPerModel-FreeTier", "99999999999999999999"),
        GOOGLE % ("GenerateRequestsPerMinutePerProjectPerModel-FreeTier", "\\u00b2"),
        '{"message":"limited to 20 API calls / minute, or 40 API calls / minute with a paid key"}',
        '{"error":{"message":"Rate limit reached: tokens per minute (TPM): Limit 6000"}}',
        '{"error":{"message":"Rate limit reached: requests per minute (RPM): Limit 12,500, used 12,500."}}',
        '{"message":"limited to 12,500 requests per minute"}',
        '{"message":"limited to 0.5 requests per minute"}',
        '{"error":{"message":"free-models-per-min"}}',
    ],
)
def test_what_leaves_doubt_is_not_read(body: str) -> None:
    """P1: a limit that is none, is of tokens, or is one of several, would slow a key for nothing."""
    assert told(body) is None


@pytest.mark.parametrize(
    ("limit", "left", "calls"),
    [
        (b"30", b"1", 1),
        (b"30", b"15", 15),
        (b"30", b"16", None),
        (b"0", b"0", None),
        (b"x", b"1", None),
        (b"30", b"", None),
    ],
)
def test_a_good_answers_header_matters_once_half_is_used(limit: bytes, left: bytes, calls: int | None) -> None:
    """P2: before that it costs work and saves nothing."""
    expected = None if calls is None else Allowance(30, Span.MINUTE, calls)
    assert allowance_left({HEADER: limit, LEFT: left}, HEADER) == expected
    assert allowance_left({}, HEADER) is None


def test_a_limit_that_nobody_has_is_not_read() -> None:
    """P8: the calls of a minute are kept one by one, and a header may claim any number of them."""
    assert allowance_left({HEADER: b"999999", LEFT: b"0"}, HEADER) is None
    assert allowance_left({HEADER: b"10000", LEFT: b"0"}, HEADER) == Allowance(10000, Span.MINUTE, 0)
