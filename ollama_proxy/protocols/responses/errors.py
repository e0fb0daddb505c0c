"""Owns how an error looks to a client of the Responses API: as everywhere under /v1, with one word of its own.

Codex sleeps for as long as `retry-after` says, be it a day, and reads neither `x-should-retry` nor `code`. Only the
type `usage_limit_reached` ends its turn at once; with `resets_at` its user reads when to come back (Codex 0.169, seen
on the wire 2026-11; openai/codex, `codex-rs`, `api_bridge.rs`).
"""

from __future__ import annotations

import math

from ollama_proxy.errors import ProxyError
from ollama_proxy.protocols import openai
from ollama_proxy.types import Headers

__all__ = ["render_error"]


def render_error(error: ProxyError, wall: float) -> tuple[int, Headers, bytes]:
    """Status, headers and body of an answer that has not begun. wall: epoch seconds.

    A limit that is worth waiting for keeps the usual type, so that the client waits and asks again.
    """
    if error.status != 429 or not error.hopeless:
        return openai.render_error(error)
    wait_s = error.retry_after_s
    resets_at = {} if wait_s is None else {"resets_at": math.ceil(wall) + wait_s}
    return openai.render_error(error, type="usage_limit_reached", **resets_at)
