"""Owns what an answer that did not serve means: an Outcome. The rows are refusals.toml's.

The order of work: the body in one form (fault.py), the provider's own rows, the rows for words that many use, and only
then the status. A status alone is weak evidence: a 429 may mean this key now, this key today, everybody, or never.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ollama_proxy.outcome import OK, Kind, Outcome, Reply, Scope, Span
from ollama_proxy.providers.allowances import allowance_of
from ollama_proxy.providers.fault import Fault, read_fault
from ollama_proxy.providers.tables import Matcher, read_table
from ollama_proxy.providers.waits import DAY_LIMIT_S, MONTH_LIMIT_S, clamp, until, wait_of

__all__ = ["NO_LIST", "Judge"]

#: The code of a refused model list: the built-in one serves, and nobody is to blame.
NO_LIST = "no_model_list"
#: A 403 that says nothing of the key is no proof against it.
_PLAIN_403_WAIT_S = 600.0
#: Waiting does not help these.
_WITHOUT_WAIT = (Kind.CALLER, Kind.CREDENTIAL)
_SPANS = {Kind.RATE: Span.MINUTE, Kind.DAILY: Span.DAY}
_NO_LIST_STATUS = (404, 405, 410, 501)
_WORD = re.compile(r"[a-z][a-z0-9_]{2,49}")


@dataclass(slots=True)
class _Row:
    """One row of refusals.toml."""

    kind: Kind
    scope: Scope | None = None
    status: frozenset[int] | None = None
    code: frozenset[str] | None = None
    says: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    matches: re.Pattern[str] | None = None
    model: Matcher | None = None
    word: str = ""
    wait: float | None = None
    hint: bool = True
    until: str = ""

    def fits(self, fault: Fault, model_id: str) -> bool:
        return (
            (self.status is None or fault.status in self.status)
            and (self.code is None or not self.code.isdisjoint(fault.words))
            and (not self.says or any(text in fault.text for text in self.says))
            and not any(text in fault.text for text in self.never)
            and (self.matches is None or self.matches.search(fault.text) is not None)
            and (self.model is None or self.model(model_id))
        )


class Judge:
    """One provider's rows, in the order in which they are asked."""

    __slots__ = ("_rows",)

    def __init__(self, sets: Iterable[str]) -> None:
        tables = read_table("refusals")
        self._rows = [_row(row) for name in (*sets, "shared") for row in tables[name]]

    def judge(self, reply: Reply, model_id: str, wall: float) -> Outcome:
        """What the reply means. An empty model id says that the model list was asked for."""
        fault = read_fault(reply)
        if not model_id and reply.status in _NO_LIST_STATUS:
            return Outcome(Kind.CALLER, fault.said, code=NO_LIST, status=reply.status)
        outcome = self._judge(fault, reply, model_id, wall)
        span = _SPANS.get(outcome.kind)
        told = allowance_of(fault, reply, span) if span is not None else None
        return outcome if told is None else replace(outcome, allowance=told)

    def _judge(self, fault: Fault, reply: Reply, model_id: str, wall: float) -> Outcome:
        if 200 <= reply.status < 300 and fault.shape != "error":
            return _without_error(fault, reply.status)
        if fault.shape in ("error", "text"):
            row = next((row for row in self._rows if row.fits(fault, model_id)), None)
            if row is not None:
                return _by_row(row, fault, reply, wall)
        return _by_status(fault, reply, wall)


def _row(table: Mapping[str, Any]) -> _Row:
    return _Row(
        kind=Kind(table["kind"]),
        scope=Scope(table["scope"]) if "scope" in table else None,
        status=frozenset(table["status"]) if "status" in table else None,
        code=frozenset(table["code"]) if "code" in table else None,
        says=tuple(table.get("says", ())),
        never=tuple(table.get("never", ())),
        matches=re.compile(table["matches"]) if "matches" in table else None,
        model=Matcher(table["model"]) if "model" in table else None,
        word=table.get("as", ""),
        wait=table.get("wait"),
        hint=table.get("hint", True),
        until=table.get("until", ""),
    )


def _hint(fault: Fault, reply: Reply, wall: float) -> float | None:
    return wait_of(reply.headers, wall, delays=fault.delays, text=fault.text, inner=fault.headers)


def _by_row(row: _Row, fault: Fault, reply: Reply, wall: float) -> Outcome:
    wait = _hint(fault, reply, wall) if row.hint and row.kind not in _WITHOUT_WAIT else None
    limit = MONTH_LIMIT_S if row.until.startswith("month") else DAY_LIMIT_S
    wait = clamp(wait, limit)
    if row.until:
        wait = max(wait or 0.0, until(row.until, wall))
    elif wait is None:
        wait = row.wait
    return Outcome(
        row.kind, fault.said, clamp(wait, limit), row.scope, row.word or _word(row.kind, fault), fault.status
    )


def _word(kind: Kind, fault: Fault) -> str:
    """The provider's own word for a fault of the request, where it is fit to be passed on."""
    if kind is not Kind.CALLER:
        return ""
    return min((w for w in fault.words if _WORD.fullmatch(w) and w not in _EMPTY_WORDS), default="")


#: Say no more than the status does.
_EMPTY_WORDS = frozenset(
    {"error", "invalid_request_error", "invalid_argument", "null", "badrequesterror", "failed_precondition"}
)


def _without_error(fault: Fault, status: int) -> Outcome:
    """A 2xx that was handed here: it served after all, was withheld, or makes no sense."""
    if fault.shape == "answer" and ":content" in fault.words:
        return OK
    if any(w.startswith(("content_filter", "safety", "prohibited", "blocklist", "recitation")) for w in fault.words):
        said = "the provider withheld its answer: " + ", ".join(sorted(fault.words))
        return Outcome(Kind.CALLER, said, code="content_filter", status=status)
    said = fault.said or "the provider's answer holds nothing"
    return Outcome(Kind.JUNK, said, scope=Scope.PROVIDER if fault.shape == "page" else None, status=status)


def _by_status(fault: Fault, reply: Reply, wall: float) -> Outcome:
    """What the status alone says."""
    status = fault.status
    kind, scope, code = _STATUS.get(status) or _of_class(status)
    if fault.shape not in ("error", "answer") and status in (404, 410):
        kind, scope, code = Kind.JUNK, Scope.PROVIDER, ""  # no such page: the address is wrong, not the model
    elif fault.shape == "page" and 400 <= status < 500 and status not in (401, 402, 429):
        kind, scope, code = Kind.JUNK, Scope.PROVIDER, ""  # a bot wall or firewall stands before the provider
    if kind is Kind.TRANSIENT:
        scope = _who_stumbled(fault)
    wait = None if kind in _WITHOUT_WAIT else clamp(_hint(fault, reply, wall))
    if status == 403 and kind is Kind.MODEL_ACCESS and wait is None:
        wait = _PLAIN_403_WAIT_S
    return Outcome(kind, fault.said, wait, scope, code or _word(kind, fault), status)


def _who_stumbled(fault: Fault) -> Scope | None:
    """A page or a bare line comes from what stands before all models; a timeout says something of one of them."""
    if fault.status in _TIMEOUTS:
        return Scope.PROVIDER_MODEL
    return None if fault.shape in ("error", "answer") else Scope.PROVIDER


_TIMEOUTS = (408, 504, 524)
_STATUS: dict[int, tuple[Kind, Scope | None, str]] = {
    401: (Kind.CREDENTIAL, Scope.KEY, ""),
    402: (Kind.QUOTA, Scope.KEY, ""),
    403: (Kind.MODEL_ACCESS, Scope.KEY_MODEL, ""),
    # Some providers say it of a model that only this key lacks; another key is asked before the model is given up.
    404: (Kind.MODEL_ACCESS, Scope.KEY_MODEL, "model_not_found"),
    408: (Kind.TRANSIENT, None, ""),
    409: (Kind.TRANSIENT, None, ""),
    413: (Kind.CALLER, None, "context_length_exceeded"),
    425: (Kind.TRANSIENT, None, ""),
    429: (Kind.RATE, None, ""),
}


def _of_class(status: int) -> tuple[Kind, Scope | None, str]:
    if 400 <= status < 500:
        return Kind.CALLER, None, ""
    if status >= 500:
        return Kind.TRANSIENT, None, ""
    return Kind.JUNK, Scope.PROVIDER, ""
