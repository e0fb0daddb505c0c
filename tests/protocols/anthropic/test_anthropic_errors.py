"""Errors in Anthropic's shape and words."""

from __future__ import annotations

import json

import pytest

from ollama_proxy.errors import (
    BadRequest,
    Forbidden,
    InternalError,
    KeysRefused,
    KeysResting,
    Overloaded,
    ProxyError,
    ShuttingDown,
    SlowRequest,
    TooLarge,
    Unauthorized,
    UnknownModel,
    UnsupportedEncoding,
    UpstreamRefused,
    UpstreamTimeout,
)
from ollama_proxy.protocols.anthropic import render_error


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (BadRequest("x"), 400, "invalid_request_error"),
        (Unauthorized("x"), 401, "authentication_error"),
        (Forbidden("x"), 403, "permission_error"),
        (UnknownModel("x"), 404, "not_found_error"),
        (SlowRequest("x"), 408, "invalid_request_error"),
        (TooLarge("x"), 413, "request_too_large"),
        (UnsupportedEncoding("x"), 415, "invalid_request_error"),
        (KeysResting("x"), 429, "rate_limit_error"),
        (InternalError("x"), 500, "api_error"),
        (KeysRefused("x"), 502, "api_error"),
        (Overloaded("x"), 503, "overloaded_error"),
        (ShuttingDown("x"), 503, "overloaded_error"),
        (UpstreamRefused("x", status=503), 503, "overloaded_error"),
        (UpstreamTimeout("x"), 504, "api_error"),
    ],
)
def test_each_status_has_anthropics_word(error: ProxyError, status: int, kind: str) -> None:
    """C217."""
    told, headers, body = render_error(error, "req_1")
    assert told == status
    assert (b"content-type", b"application/json") in headers
    assert json.loads(body) == {"type": "error", "error": {"type": kind, "message": "x"}, "request_id": "req_1"}


def test_the_client_learns_whether_waiting_helps() -> None:
    _, headers, _ = render_error(KeysResting("x", retry_after_s=70, hopeless=True), "req_1")
    assert {(b"retry-after", b"70"), (b"x-should-retry", b"false")} <= set(headers)


def test_a_message_with_half_a_surrogate_pair_can_be_told() -> None:
    assert json.loads(render_error(BadRequest("a\ud83db\n"), "req_1")[2])["error"]["message"] == "a\ufffdb\n"
