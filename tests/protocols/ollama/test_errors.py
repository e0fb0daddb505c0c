from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollama_proxy.errors import (
    BadRequest,
    Forbidden,
    KeysRefused,
    KeysResting,
    Overloaded,
    ProxyError,
    Unauthorized,
    UnknownRoute,
    UpstreamRefused,
    UpstreamUnreachable,
    WrongMethod,
)
from ollama_proxy.protocols.ollama import render_error
from ollama_proxy.protocols.ollama.errors import error_line


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (BadRequest("x"), 400),
        (BadRequest("x", status=500), 500),
        (KeysResting("x"), 429),
        (Overloaded("x"), 503),
        (UpstreamUnreachable("x"), 502),
        (UpstreamRefused("x", status=400), 400),
        (Unauthorized("x"), 401),
    ],
)
def test_an_error_is_one_string_under_its_status(error: ProxyError, status: int) -> None:
    """C235, C238."""
    assert render_error(error) == (status, [(b"content-type", b"application/json; charset=utf-8")], b'{"error":"x"}')


@pytest.mark.parametrize("status", [401, 402, 403])
def test_a_providers_refusal_of_a_key_is_not_the_clients(status: int) -> None:
    """C237: the official client reads any 401 as "sign in"."""
    assert render_error(UpstreamRefused("google refused its key", status=status))[0] == 502


def test_the_time_to_come_back_is_told() -> None:
    """C239, and that coming back is useless."""
    headers = dict(render_error(KeysResting("x", retry_after_s=30))[1])
    assert (headers[b"retry-after"], headers[b"retry-after-ms"]) == (b"30", b"30000")
    assert dict(render_error(KeysRefused("x", hopeless=True))[1])[b"x-should-retry"] == b"false"


def test_router_errors_are_plain_text() -> None:
    """C8, C10."""
    assert render_error(UnknownRoute("x")) == (404, [(b"content-type", b"text/plain")], b"404 page not found")
    assert render_error(WrongMethod("x", allow="HEAD, GET")) == (
        405,
        [(b"content-type", b"text/plain"), (b"allow", b"HEAD, GET")],
        b"405 method not allowed",
    )


def test_forbidden_has_no_body() -> None:
    """C223: a page that must not see us learns nothing."""
    assert render_error(Forbidden("x")) == (403, [], b"")


@given(st.text())
def test_any_message_is_one_line_of_json(message: str) -> None:
    """C78, C235."""
    line = error_line(BadRequest(message))
    assert line.endswith(b"\n")
    assert len(line.decode().splitlines()) == 1
    assert json.loads(line) == {"error": message or "unknown error"}
