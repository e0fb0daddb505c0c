"""Who may call: origins, hosts, tokens."""

from __future__ import annotations

import base64

import pytest

from ollama_proxy.secret import Secret
from ollama_proxy.server.access import Access, HostCheck, Origins, is_same_origin

TOKEN = "a-long-proxy-token"


@pytest.mark.parametrize(
    "origin",
    [
        "http://localhost",
        "http://localhost:3000",
        "https://127.0.0.1:8443",
        "http://0.0.0.0",
        "app://obsidian.md",
        "tauri://localhost",
        "vscode-webview://x",
        "file://anything",
    ],
)
def test_ollamas_default_origins_are_allowed(origin: str) -> None:
    """C222 C225: local pages on any port, and desktop apps."""
    assert Origins().allows(origin)


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        "chrome-extension://x",
        "https://LOCALHOST",
        "http://localhost.evil.example",
        "http://[::1]",
    ],
)
def test_other_origins_are_refused(origin: str) -> None:
    """C223 C224: neither foreign pages nor extensions, and letter case counts."""
    assert not Origins().allows(origin)


def test_origins_add_to_the_defaults() -> None:
    """C228: an exact origin, a pattern with one star, and the star for all."""
    origins = Origins(["https://app.example", "https://*.dev.example"])
    assert origins.allows("https://app.example")
    assert origins.allows("https://a.dev.example")
    assert origins.allows("http://localhost:1")
    assert not origins.allows("https://app.example.evil")
    assert not origins.allows("https://.dev.exampl")
    anyone = Origins(["*"])
    assert anyone.allows("https://whoever.example")
    assert anyone.headers("https://whoever.example") == [(b"access-control-allow-origin", b"*")]


def test_a_preflight_lists_methods_headers_and_age() -> None:
    """C227: Ollama's list, with three Vary values."""
    headers = Origins().preflight("http://localhost")
    assert (b"access-control-max-age", b"43200") in headers
    assert (b"access-control-allow-methods", b"GET,POST,PUT,PATCH,DELETE,HEAD,OPTIONS") in headers
    assert [v for n, v in headers if n == b"vary"] == [
        b"Origin",
        b"Access-Control-Request-Method",
        b"Access-Control-Request-Headers",
    ]


def test_a_page_of_our_own_is_same_origin() -> None:
    """C226: scheme and Host equal means no CORS at all."""
    assert is_same_origin("http://127.0.0.1:5005", "127.0.0.1:5005")
    assert not is_same_origin("http://127.0.0.1:5006", "127.0.0.1:5005")


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("localhost", True),
        ("localhost:5005", True),
        ("127.0.0.1:5005", True),
        ("192.168.1.5", True),
        ("10.0.0.1:80", True),
        ("box.local", True),
        ("BOX.LOCAL:5005", True),
        ("x.internal", True),
        ("a.localhost", True),
        ("my-host", True),
        ("", True),
        ("[::1]:5005", True),
        ("[::1]", False),
        ("evil.example", False),
        ("evil.example:5005", False),
        ("8.8.8.8", False),
        ("local", False),
        ("evil.local.example", False),
    ],
)
def test_a_host_that_public_dns_could_hold_is_refused_on_loopback(host: str, allowed: bool) -> None:
    """C230 F85: DNS rebinding ends at the Host header."""
    assert HostCheck(active=True, hostname="my-host").allows(host) is allowed


def test_off_loopback_any_host_is_taken() -> None:
    """C231: the check is only for loopback; there a token guards the door."""
    assert HostCheck(active=False).allows("evil.example")


def basic(user: str, password: str) -> bytes:
    return b"Basic " + base64.b64encode(f"{user}:{password}".encode())


@pytest.mark.parametrize(
    "headers",
    [
        {b"authorization": b"Bearer " + TOKEN.encode()},
        {b"authorization": b"bearer  " + TOKEN.encode()},
        {b"x-api-key": TOKEN.encode()},
        {b"authorization": basic("anyone", TOKEN)},
        {b"authorization": b"Bearer " + TOKEN.encode(), b"x-api-key": TOKEN.encode()},
        {b"authorization": b"Bearer ", b"x-api-key": TOKEN.encode()},
    ],
)
def test_the_token_is_taken_by_every_carrier(headers: dict[bytes, bytes]) -> None:
    """F87: bearer, Basic password and x-api-key; an empty bearer counts as none."""
    assert Access(Secret(TOKEN, "t")).admits(headers, by_path=False)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {b"authorization": b"Bearer "},
        {b"authorization": b"Bearer wrong"},
        {b"authorization": b"Bearer " + TOKEN[:-1].encode()},
        {b"authorization": b"Bearer " + TOKEN.encode() + b"x"},
        {b"authorization": TOKEN.encode()},
        {b"authorization": b"Basic !!!"},
        {b"x-api-key": b"wrong", b"authorization": b"Bearer " + TOKEN.encode()},
        {b"authorization": b"Bearer \xff\xfe"},
        {b"authorization": b"Bearer " + b"x" * 1_000_000},
    ],
)
def test_no_other_token_opens(headers: dict[bytes, bytes]) -> None:
    """F87: none, wrong, shortened, lengthened, two that differ, bytes that are no text, a megabyte."""
    assert not Access(Secret(TOKEN, "t")).admits(headers, by_path=False)


def test_the_token_may_stand_first_in_the_path() -> None:
    """Clients that can send no header put it into their base URL."""
    access = Access(Secret(TOKEN, "t"))
    assert access.path_within(f"/{TOKEN}/api/tags") == ("/api/tags", True)
    assert access.path_within(f"/{TOKEN}") == ("/", True)
    assert access.path_within(f"//{TOKEN}/api/tags") == ("/api/tags", True)
    for path in ("/wrong/api/tags", "//wrong/api/tags", "//", f"/api/{TOKEN}"):
        assert access.path_within(path) == (path, False)
    assert access.admits({}, by_path=True)
    assert not access.admits({b"x-api-key": b"wrong"}, by_path=True)


def test_without_a_token_set_whatever_is_sent_means_nothing() -> None:
    """C21: apps send default keys."""
    access = Access(None)
    assert access.open
    assert access.admits({b"authorization": b"Bearer default-key"}, by_path=False)
    assert access.path_within("/x/api/tags") == ("/x/api/tags", False)
