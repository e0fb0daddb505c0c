"""The rules of qwen-code's sign-in, without file, clock and network."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs

import pytest

from ollama_proxy.oauth import (
    NoToken,
    RefreshRefused,
    Token,
    base_url_of,
    file_of,
    headers_of,
    is_new,
    is_stale,
    read_answer,
    read_token,
    refresh_request,
    write_token,
)

WALL = 1_790_000_000.0
FILE = {
    "access_token": "access-1",
    "refresh_token": "refresh-1",
    "token_type": "Bearer",
    "resource_url": "portal.qwen.ai",
    "expiry_date": 1_790_021_600_000,
}
ANSWER = {
    "access_token": "access-2",
    "refresh_token": "refresh-2",
    "token_type": "Bearer",
    "expires_in": 21600,
    "resource_url": "other.qwen.ai",
}


def without(fields: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in names}


def read(fields: Any) -> Token:
    return read_token(json.dumps(fields).encode())


def answer(fields: Any, old: Token | None = None) -> Token:
    return read_answer(200, json.dumps(fields).encode(), old or read(FILE), WALL)


# --- which key is a sign-in -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "path"),
    [
        ("oauth", "~/.qwen/oauth_creds.json"),
        ("oauth:", "~/.qwen/oauth_creds.json"),
        ("oauth:/run/secrets/qwen.json", "/run/secrets/qwen.json"),
        ("oauth:C:/Users/홍 길동/.qwen/oauth_creds.json", "C:/Users/홍 길동/.qwen/oauth_creds.json"),
        ("sk-0123456789", None),
        ("oauth2", None),
        ("sk-oauth:x", None),
    ],
)
def test_an_entry_names_a_file_or_is_a_key(entry: str, path: str | None) -> None:
    """`oauth` alone is qwen-code's own file."""
    assert file_of(entry) == path


# --- the file ---------------------------------------------------------------------------------------------------------


def test_the_file_is_read_in_milliseconds() -> None:
    """Its end is `expiry_date` in epoch milliseconds; there is no `expires_at`."""
    token = read({**FILE, "expires_at": 1})
    assert (token.access, token.refresh, token.resource) == ("access-1", "refresh-1", "portal.qwen.ai")
    assert token.expires == 1_790_021_600.0
    assert token.renewed is None


def test_a_file_is_written_as_it_was_read() -> None:
    """Fields that mean nothing to us stay, so that another program finds its own."""
    fields = {**FILE, "id_token": "x", "nested": {"a": [1, None]}}
    assert json.loads(write_token(read(fields))) == fields


def test_a_file_without_its_end_is_old() -> None:
    """Nobody knows how long its token is good."""
    assert is_stale(read(without(FILE, "expiry_date")), WALL)
    assert is_stale(read(without(FILE, "access_token")), WALL)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b'"text"',
        b'{"access_token": "SECRET"',
        json.dumps({"access_token": "SECRET"}).encode(),
        json.dumps({**FILE, "refresh_token": ""}).encode(),
        json.dumps({**FILE, "refresh_token": 7}).encode(),
        json.dumps({**FILE, "access_token": "SECRET\r\nx: y"}).encode(),
        json.dumps({**FILE, "access_token": ["SECRET"]}).encode(),
        json.dumps({**FILE, "expiry_date": "SECRET"}).encode(),
        json.dumps({**FILE, "expiry_date": True}).encode(),
        json.dumps({**FILE, "resource_url": "https://SECRET@host"}).encode(),
        b"[" * 100_000,
    ],
)
def test_what_is_no_sign_in_is_refused_without_being_quoted(data: bytes) -> None:
    """The error says what is wrong, and nothing of what is there."""
    with pytest.raises(NoToken) as caught:
        read_token(data)
    assert "SECRET" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_token_does_not_print_itself() -> None:
    """It may end up in a log by accident."""
    token = read(FILE)
    assert not [text for text in (repr(token), str(token), f"{token}") if "access-1" in text or "refresh-1" in text]


# --- its age ----------------------------------------------------------------------------------------------------------


def test_a_token_is_old_half_a_minute_before_its_end() -> None:
    """As in qwen-code."""
    token = Token("a", "r", expires=WALL)
    assert not is_stale(token, WALL - 30.001)
    assert is_stale(token, WALL - 30)
    assert is_stale(token, WALL + 1)


def test_a_token_is_new_for_a_minute_after_we_got_it() -> None:
    """One that was read from the file may be refused because it is old, whatever its end says."""
    token = Token("a", "r", expires=WALL + 21600, renewed=WALL)
    assert is_new(token, WALL)
    assert is_new(token, WALL + 59)
    assert not is_new(token, WALL + 60)
    assert not is_new(Token("a", "r", expires=WALL + 21600), WALL)


# --- where it is used, and how ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("resource", "url"),
    [
        ("portal.qwen.ai", "https://portal.qwen.ai/v1"),
        ("portal.qwen.ai/", "https://portal.qwen.ai/v1"),
        ("https://portal.qwen.ai", "https://portal.qwen.ai/v1"),
        ("https://portal.qwen.ai/v1", "https://portal.qwen.ai/v1"),
        ("https://portal.qwen.ai/v1/", "https://portal.qwen.ai/v1"),
        ("dashscope.aliyuncs.com/compatible-mode", "https://dashscope.aliyuncs.com/compatible-mode/v1"),
        ("http://127.0.0.1:5100/qwen", "http://127.0.0.1:5100/qwen/v1"),
    ],
)
def test_the_address_is_completed(resource: str, url: str) -> None:
    """`https://` in front where it is missing, `/v1` behind."""
    assert base_url_of(resource) == url


@pytest.mark.parametrize(
    "resource", ["", "ftp://x", "https://", "https://me@host", "host?x", "host#x", "ho st", "host:99999", "호스트"]
)
def test_what_is_no_address_is_refused(resource: str) -> None:
    """A token is sent nowhere by accident."""
    with pytest.raises(NoToken):
        base_url_of(resource)


def test_a_file_without_address_means_the_portal() -> None:
    """The field is not in the oldest files."""
    assert base_url_of(read(without(FILE, "resource_url")).resource) == "https://portal.qwen.ai/v1"


@pytest.mark.parametrize(
    ("platform", "machine", "agent"),
    [
        ("linux", "x86_64", b"QwenCode/0.15.10 (linux; x64)"),
        ("darwin", "arm64", b"QwenCode/0.15.10 (darwin; arm64)"),
        ("win32", "AMD64", b"QwenCode/0.15.10 (win32; x64)"),
        ("linux", "aarch64", b"QwenCode/0.15.10 (linux; arm64)"),
        ("linux", "riscv64", b"QwenCode/0.15.10 (linux; riscv64)"),
    ],
)
def test_calls_carry_the_headers_of_qwen_code(platform: str, machine: str, agent: bytes) -> None:
    """In Node's words for platform and machine."""
    assert dict(headers_of(read(FILE), platform, machine)) == {
        b"authorization": b"Bearer access-1",
        b"user-agent": agent,
        b"x-dashscope-authtype": b"qwen-oauth",
        b"x-dashscope-cachecontrol": b"enable",
        b"x-dashscope-useragent": agent,
    }


# --- a new one --------------------------------------------------------------------------------------------------------


def test_a_renewal_is_asked_for_with_a_form() -> None:
    """Not JSON; every sign is escaped."""
    headers, body = refresh_request(Token("a", "r+/=& 1"))
    assert dict(headers) == {b"content-type": b"application/x-www-form-urlencoded", b"accept": b"application/json"}
    assert parse_qs(body.decode(), strict_parsing=True) == {
        "grant_type": ["refresh_token"],
        "refresh_token": ["r+/=& 1"],
        "client_id": ["f0304373b74a44d2b584a3fb70ca9e56"],
    }


def test_a_new_pair_takes_the_place_of_the_old_one() -> None:
    """With its own address and end; what else stood in the file stays."""
    token = answer(ANSWER, read({**FILE, "id_token": "x"}))
    assert (token.access, token.refresh, token.resource) == ("access-2", "refresh-2", "other.qwen.ai")
    assert (token.expires, token.renewed) == (WALL + 21600, WALL)
    assert json.loads(write_token(token)) == {
        **without(ANSWER, "expires_in"),
        "expiry_date": 1_790_021_600_000,
        "id_token": "x",
    }


def test_what_an_answer_leaves_out_stays_as_it_was() -> None:
    """No new refresh token, no new address; six hours where nothing is said of the time."""
    token = answer({"access_token": "access-2"})
    assert (token.access, token.refresh, token.resource) == ("access-2", "refresh-1", "portal.qwen.ai")
    assert token.expires == WALL + 21600
    assert answer({**ANSWER, "refresh_token": None, "expires_in": 0}).refresh == "refresh-1"


@pytest.mark.parametrize("status", [400, 401])
def test_a_refused_renewal_is_told_from_trouble(status: int) -> None:
    """Only these two say that the sign-in is over; `error` is a text there."""
    body = json.dumps({"error": "invalid_request", "error_description": "Invalid refresh token or client_id"}).encode()
    with pytest.raises(RefreshRefused):
        read_answer(status, body, read(FILE), WALL)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b"{}"),
        (429, b'{"error": "slow_down"}'),
        (302, b""),
        (405, b"<!doctype html>"),
        (200, b"<!doctype html>"),
        (200, b"{}"),
        (200, b'{"access_token": ""}'),
        (200, b'{"access_token": 1}'),
        (200, b'{"access_token": "x y"}'),
        (200, b'{"access_token": "x", "refresh_token": 5}'),
        (200, b'{"access_token": "x", "resource_url": "https://a@b"}'),
        (200, b'{"error": "authorization_pending"}'),
    ],
)
def test_an_answer_without_a_token_ends_nothing(status: int, body: bytes) -> None:
    """The service is in trouble; the sign-in may be good all the same."""
    with pytest.raises(NoToken) as caught:
        read_answer(status, body, read(FILE), WALL)
    assert not isinstance(caught.value, RefreshRefused)
