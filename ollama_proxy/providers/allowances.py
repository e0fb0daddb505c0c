"""Owns how a provider tells its limit: how many calls, in which time. Decides nothing, and knows no key.

Read is only what leaves no doubt that calls are meant, how many, and over which time: most 429s speak of tokens, of
several limits at once, or of none. Forms: Google's QuotaFailure (Google AI for Developers, rate limits), OpenAI's and
Groq's "requests per min (RPM): Limit 3", Cohere's "20 API calls / minute", OpenRouter's "free-models-per-min" beside
X-RateLimit-Limit; all read 2026-11.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from ollama_proxy.outcome import Allowance, Reply, Span
from ollama_proxy.providers.fault import Fault

__all__ = ["allowance_left", "allowance_of"]

#: More calls than one key may make in a minute or a day; a larger number is another unit. A minute's calls are kept one
#: by one, so that whoever claims a million would cost us as many numbers.
_MOST = {Span.MINUTE: 20_000, Span.DAY: 1_000_000}
_SPANS = {Span.MINUTE: ("min", "perminute"), Span.DAY: ("day", "perday")}
_FORMS = (
    r"requests per {span}(?:ute)? \(rp[md]\):? limit:? (\d{{1,7}})\b(?![.,]\d)",
    r"(?<![\d.,])\b(\d{{1,7}}) (?:api )?(?:calls|requests) ?(?:/|per) ?{span}(?:ute)?\b",
)
_PATTERNS = {
    span: re.compile("|".join(form.format(span=word) for form in _FORMS)) for span, (word, _) in _SPANS.items()
}


def allowance_of(fault: Fault, reply: Reply, span: Span) -> Allowance | None:
    """The limit per `span` that a refusal names; None where it names none, or several."""
    found = {number for number in _numbers(fault, reply, span) if 0 < number < _MOST[span]}
    return Allowance(found.pop(), span, 0) if len(found) == 1 else None


def _numbers(fault: Fault, reply: Reply, span: Span) -> Iterator[int]:
    word, in_an_id = _SPANS[span]
    for quota_id, value in fault.quotas:
        if "requests" in quota_id and in_an_id in quota_id and value.isdecimal():
            yield int(value[:9])
    for match in _PATTERNS[span].finditer(fault.text):
        yield int(match[1] or match[2])
    if f"-models-per-{word}" in fault.text:
        inner = {name.lower(): value for name, value in fault.headers.items()}
        value = inner.get("x-ratelimit-limit", reply.headers.get(b"x-ratelimit-limit", b"").decode("latin-1"))
        if value.isdecimal():
            yield int(value[:9])


def allowance_left(headers: Mapping[bytes, bytes], name: bytes) -> Allowance | None:
    """The limit per minute in a good answer's header `name`, once half of it is used up; before, it matters to nobody.

    How many calls are left stands in the header that is called "remaining" in place of "limit".
    """
    limit, left = headers.get(name, b""), headers.get(name.replace(b"-limit-", b"-remaining-"), b"")
    if not limit.isdigit() or not left.isdigit():
        return None
    calls, remaining = int(limit[:9]), int(left[:9])
    if not 0 < calls < _MOST[Span.MINUTE] or 2 * remaining > calls:
        return None
    return Allowance(calls, Span.MINUTE, remaining)
