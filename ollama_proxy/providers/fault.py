"""Owns how an answer that did not serve is read: any body, brought to one form. Decides nothing.

Seen so far: OpenAI's `error` object, a list around it (Gemini), a string in its place (Ollama, LM Studio), `detail` as
text or list (FastAPI), `message` as text or object (Mistral, Cohere), a native `code` and `message` (DashScope),
problem+json (NVIDIA), a supplier's own error as JSON inside `metadata.raw` (OpenRouter), an error event of a stream,
web pages, plain text, nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ollama_proxy.outcome import Reply

__all__ = ["Fault", "read_fault"]

#: What an error inside a 2xx means that names a type but no number; first that fits.
_MEANT = (
    ("rate_limit", 429),
    ("throttling", 429),
    ("limit_", 429),
    ("insufficient_quota", 429),
    ("overloaded", 529),
    ("authentication", 401),
    ("invalid_api_key", 401),
    ("payment_required", 402),
    ("permission_denied", 403),
    ("not_found", 404),
    ("invalid_request", 400),
    ("invalid_parameter", 400),
    ("context_length_exceeded", 400),
    ("inspection", 400),
    ("content_filter", 400),
)
#: Characters of the provider's message that are kept.
LONGEST_SAID = 500
#: Characters that rules look at.
_LONGEST_TEXT = 4000
_TAG = re.compile(r"<[^<>]{0,200}>")
_TITLE = re.compile(r"<title[^>]{0,100}>([^<]{1,200})", re.IGNORECASE)
_ERROR_EVENT = re.compile(rb"^data:\s?(\{.*\"error\".*)$", re.MULTILINE)


@dataclass(slots=True)
class Fault:
    """One reply's failure.

    status: the HTTP status, or the error's own code where it came inside a 2xx.
    said: the provider's words for people: one line, no markup, 500 characters at most.
    words: its words for programs, in lower case: codes, types, reasons; a few of ours begin with a colon.
    text: everything that was said, in lower case.
    delays: google.rpc.RetryInfo. quotas: (id in lower case, value) of google.rpc.QuotaFailure.
    headers: rate-limit headers inside the body.
    shape: "error", "answer" (JSON without an error), "page" (HTML), "text" or "nothing".
    """

    status: int
    said: str = ""
    words: set[str] = field(default_factory=set)
    text: str = ""
    delays: list[str] = field(default_factory=list)
    quotas: list[tuple[str, str]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    shape: str = "nothing"


def read_fault(reply: Reply) -> Fault:
    """The reply's failure, whatever its body is."""
    body = reply.body.strip().removeprefix(b"\xef\xbb\xbf")
    fault = Fault(reply.status)
    if not body:
        return fault
    if body.startswith(b"<"):
        return _page(fault, body)
    value = _json(body)
    if value is None:
        return _words(fault, body)
    return _Reader(fault).read(value)


def _json(body: bytes) -> Any:
    """The JSON in a body: itself, or the error event of a stream that was sent in its place."""
    if body.startswith((b"data:", b"event:", b":")):
        event = _ERROR_EVENT.search(body)
        if event is None:
            return None
        body = event[1]
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return value if isinstance(value, list | dict | str) else None


def _page(fault: Fault, body: bytes) -> Fault:
    """A web page: its title is all that people get to see."""
    text = body[:_LONGEST_TEXT].decode("utf-8", "replace")
    title = _TITLE.search(text)
    fault.shape = "page"
    fault.text = text.lower()
    fault.said = one_line(
        f"a web page instead of an answer: {title[1]}" if title else "a web page instead of an answer"
    )
    return fault


def _words(fault: Fault, body: bytes) -> Fault:
    text = body[:_LONGEST_TEXT].decode("utf-8", "replace")
    fault.shape = "text"
    fault.text = text.lower()
    fault.said = "" if text.startswith((":", "data:", "event:")) else one_line(text)
    return fault


def one_line(text: str) -> str:
    """Text for people: one line, no markup, not too long."""
    plain = _TAG.sub(" ", text[: 4 * LONGEST_SAID])
    plain = " ".join("".join(c if c.isprintable() else " " for c in plain).split())
    return plain if len(plain) <= LONGEST_SAID else plain[: LONGEST_SAID - 1] + "…"


class _Reader:
    """Collects what a JSON body says."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.messages: list[str] = []

    def read(self, value: Any) -> Fault:
        fault = self.fault
        error = _error_in(value)
        fault.shape = "answer" if error is None else "error"
        if error is None:
            if isinstance(value, dict):
                self._ends(value)
            return fault
        self._error(error)
        if isinstance(value, dict) and isinstance(value.get("error_description"), str):
            self.messages.append(value["error_description"])
        fault.text = " ".join(self.messages).lower()[:_LONGEST_TEXT]
        fault.said = one_line(self._best())
        if fault.status < 300:
            fault.status = self._own_status(error)
        return fault

    def _best(self) -> str:
        """The most telling message: a supplier's own words say more than that it failed."""
        messages = list(dict.fromkeys(m for m in self.messages if m.strip()))
        if len(messages) > 1 and messages[0].strip().lower() == "provider returned error":
            return f"{messages[0]}: {messages[1]}"
        return messages[0] if messages else ", ".join(sorted(w for w in self.fault.words if not w.startswith(":")))

    def _own_status(self, error: Any) -> int:
        """The status that an error inside a 2xx should have come with."""
        for key in ("code", "status", "status_code", "raw_status_code"):
            code = error.get(key) if isinstance(error, dict) else None
            text = str(code) if isinstance(code, int | str) and not isinstance(code, bool) else ""
            if len(text) == 3 and text.isdecimal() and 400 <= int(text) <= 599:
                return int(text)
        return next((status for part, status in _MEANT if any(part in word for word in self.fault.words)), 502)

    def _error(self, error: Any, depth: int = 0) -> None:
        if isinstance(error, str):
            self.messages.append(error)
        elif isinstance(error, list):
            for item in error[:20]:
                self._error(item, depth + 1)
        elif isinstance(error, dict) and depth < 6:
            self._object(error, depth)

    def _object(self, error: Mapping[str, Any], depth: int) -> None:
        for key in ("code", "type", "status", "reason", "error_type", "limit_source"):
            self._word(error.get(key))
        if isinstance(error.get("msg"), str) and isinstance(error.get("loc"), list):
            where = ".".join(str(step) for step in error["loc"][:8])
            self.messages.append(f"{error['msg']} ({where})")
        for key in ("message", "msg", "detail", "error", "errors", "title", "description"):
            value = error.get(key)
            if value is not None:
                self._error(value, depth + 1)
        if isinstance(error.get("metadata"), dict):
            self._metadata(error["metadata"], depth)
        if isinstance(error.get("details"), list):
            for detail in error["details"][:20]:
                self._detail(detail)

    def _word(self, value: Any) -> None:
        if isinstance(value, str | int) and not isinstance(value, bool) and str(value) not in ("", "None"):
            self.fault.words.add(str(value).lower()[:100])

    def _metadata(self, metadata: Mapping[str, Any], depth: int) -> None:
        """OpenRouter: who failed, why, in what words (openrouter.ai/docs/api-reference/errors, read 2026-11)."""
        for key in ("error_type", "limit_source"):
            self._word(metadata.get(key))
        if isinstance(metadata.get("provider_name"), str):
            self.fault.words.add(":supplier")
        if metadata.get("reasons") is not None or metadata.get("flagged_input") is not None:
            self.fault.words.add(":flagged")
        headers = metadata.get("headers")
        if isinstance(headers, dict):
            self.fault.headers.update({str(k): str(v) for k, v in list(headers.items())[:40]})
        raw = metadata.get("raw")
        if isinstance(raw, str):
            inner = _json(raw.strip().encode("utf-8", "replace")) if raw.lstrip()[:1] in "{[" else None
            raw = raw if inner is None else _error_in(inner) or raw
        self._error(raw, depth + 1)

    def _detail(self, detail: Any) -> None:
        """google.rpc details (https://cloud.google.com/apis/design/errors, read 2026-11)."""
        if not isinstance(detail, dict):
            return
        self._word(detail.get("reason"))
        if isinstance(detail.get("retryDelay"), str):
            self.fault.delays.append(detail["retryDelay"])
        for violation in _dicts(detail.get("violations")):
            quota = str(violation.get("quotaId") or "").lower()
            if not quota:
                continue
            self.fault.words.add(":per-day" if "perday" in quota else ":per-minute")
            self.fault.quotas.append((quota, str(violation.get("quotaValue", ""))))
            if "quotaValue" not in violation:
                self.fault.words.add(":no-quota-value")

    def _ends(self, answer: Mapping[str, Any]) -> None:
        """How an answer without an error ended, for one that holds nothing."""
        for choice in _dicts(answer.get("choices")):
            message = choice.get("message")
            message = message if isinstance(message, dict) else {}
            if message.get("content") or message.get("tool_calls"):
                self.fault.words.add(":content")
            self._word(choice.get("finish_reason"))
        if any(isinstance(answer.get(key), list) and answer[key] for key in ("data", "models")):
            self.fault.words.add(":content")


def _dicts(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, list):
        yield from (item for item in value if isinstance(item, dict))


def _error_in(value: Any) -> Any:
    """The error in a JSON body: an object, a text or a list; None where there is none."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return next((found for item in value if (found := _error_in(item) if isinstance(item, dict) else None)), None)
    if value.get("error"):
        return value["error"]
    for choice in _dicts(value.get("choices")):
        if choice.get("error"):
            return choice["error"]
    if "choices" in value or "data" in value or "models" in value:
        return None
    if any(value.get(key) for key in ("message", "detail", "errors", "title", "code")):
        return value
    return None
