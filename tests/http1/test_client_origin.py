"""Where a request goes: origins, proxies, and the proxy variables of an environment."""

from __future__ import annotations

import pytest

from ollama_proxy.http1.client import Origin, Proxy, proxy_from_environment

GOOD = {
    "https://api.test/v1beta/openai/": (Origin("https", "api.test", 443), "/v1beta/openai"),
    "HTTP://API.Test": (Origin("http", "api.test", 80), ""),
    "http://127.0.0.1:8080/": (Origin("http", "127.0.0.1", 8080), ""),
    "http://[::1]:8080/a%20b": (Origin("http", "::1", 8080), "/a%20b"),
    "https://my_host.internal./x": (Origin("https", "my_host.internal.", 443), "/x"),
}


@pytest.mark.parametrize("url", GOOD)
def test_a_url_is_an_origin_and_a_path(url: str) -> None:
    """The path has no trailing slash: paths are joined to it."""
    assert Origin.parse(url) == GOOD[url]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.test",
        "ftp://api.test",
        "//api.test",
        "https://",
        "https://user:password@api.test",
        "https://user@api.test",
        "https://api.test/?key=1",
        "https://api.test/#x",
        "https://api.test:99999",
        "https://api.test:0",
        "https://api.test:x",
        "https://api .test",
        "https://api.test/a b",
        "https://api.test/\r\nX: y",
        "https://api.test\n",
        "https://b\u00fccher.test",
        "https://api.test/b\u00fccher",
        "https://api.test\\@evil.test/",
        "https://[::1",
        "https://a,b.test",
    ],
)
def test_what_is_no_plain_address_is_refused(url: str) -> None:
    """F89: and the message does not repeat what may be a secret."""
    with pytest.raises(ValueError, match=r"URL") as caught:
        Origin.parse(url)
    assert "password" not in str(caught.value).replace("user name or password", "")


@pytest.mark.parametrize(
    ("origin", "authority", "host_and_port"),
    [
        (Origin("https", "a.test", 443), "a.test", "a.test:443"),
        (Origin("https", "a.test", 80), "a.test:80", "a.test:80"),
        (Origin("http", "::1", 80), "[::1]", "[::1]:80"),
        (Origin("http", "::1", 81), "[::1]:81", "[::1]:81"),
    ],
)
def test_the_default_port_is_not_said_in_host(origin: Origin, authority: str, host_and_port: str) -> None:
    """RFC 9110 §4.2.3; CONNECT always says it."""
    assert (origin.authority, origin.host_and_port) == (authority, host_and_port)


def test_a_proxy_is_read_from_its_address() -> None:
    """With and without scheme, port and a percent-encoded password."""
    assert Proxy.parse("http://p.test:3128") == Proxy("p.test", 3128)
    assert Proxy.parse("P.test:3128/") == Proxy("p.test", 3128)
    assert Proxy.parse("http://p.test") == Proxy("p.test", 80)
    assert Proxy.parse("http://us%65r:p%40ss@[::1]:1") == Proxy("::1", 1, b"Basic dXNlcjpwQHNz")


def test_a_proxy_never_shows_its_password() -> None:
    """P9: nor does a message about an address that cannot be used."""
    assert "Basic" not in repr(Proxy("p.test", 1, b"Basic canary"))
    for url in (
        "socks5://u:canary@p.test",
        "https://u:canary@p.test",
        "http://u:canary@p .test",
        "http://u:canary@",
        "http://u:canary@p:x",
    ):
        with pytest.raises(ValueError, match="proxy") as caught:
            Proxy.parse(url)
        assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "port", "auth"), [("", 1, None), ("P.test", 1, None), ("p.test", 0, None), ("p.test", 1, b"x\r\nY: z")]
)
def test_a_proxy_that_would_break_the_framing_cannot_be_made(host: str, port: int, auth: bytes | None) -> None:
    """Its authorization becomes a header as it is."""
    with pytest.raises(ValueError, match="proxy"):
        Proxy(host, port, auth)


HTTPS = Origin("https", "api.test", 443)
HTTP = Origin("http", "api.test", 80)


@pytest.mark.parametrize(
    ("environ", "https", "http"),
    [
        ({}, None, None),
        ({"HTTPS_PROXY": "http://s:1"}, "s", None),
        ({"https_proxy": "s:1"}, "s", None),
        ({"HTTP_PROXY": "h:1"}, None, "h"),
        ({"ALL_PROXY": "a:1"}, "a", "a"),
        ({"ALL_PROXY": "a:1", "HTTPS_PROXY": "s:1"}, "s", "a"),
        ({"HTTPS_PROXY": "upper:1", "https_proxy": "lower:1"}, "lower", None),
        ({"HTTPS_PROXY": " s:1 ", "https_proxy": ""}, "s", None),
        ({"HTTPS_PROXY": "", "ALL_PROXY": "a:1"}, "a", "a"),
        ({"ALL_PROXY": "a:1", "NO_PROXY": "*"}, None, None),
        ({"ALL_PROXY": "a:1", "no_proxy": "api.test:443"}, None, "a"),
    ],
)
def test_the_variables_choose_the_proxy(environ: dict[str, str], https: str | None, http: str | None) -> None:
    """The special one before ALL_PROXY, lower case before upper case, empty is unset."""
    proxy_for = proxy_from_environment(environ)
    assert [getattr(proxy_for(origin), "host", None) for origin in (HTTPS, HTTP)] == [https, http]


@pytest.mark.parametrize(
    ("no_proxy", "host", "direct"),
    [
        ("api.test", "api.test", True),
        ("api.test", "deep.api.test", True),
        ("api.test", "notapi.test", False),
        (".api.test", "api.test", True),
        (".api.test", "deep.api.test", True),
        ("*.api.test", "deep.api.test", True),
        ("API.Test", "api.test", True),
        ("api.test", "api.test.", True),
        ("other.test, api.test", "api.test", True),
        ("other.test api.test", "api.test", True),
        ("api.test:8443", "api.test", False),
        ("api.test:443", "api.test", True),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3:443", "10.1.2.3", True),
        ("10.1.2.3:80", "10.1.2.3", False),
        ("fd00::/8", "fd12::1", True),
        ("[fd12::1]:443", "fd12::1", True),
        ("[fd12::1]:80", "fd12::1", False),
        ("10.0.0.0/8", "api.test", False),
        (",, ,", "api.test", False),
        (".", "api.test", False),
        ("", "localhost", True),
        ("", "x.localhost", True),
        ("", "127.0.0.9", True),
        ("", "::1", True),
    ],
)
def test_no_proxy_exempts_names_addresses_and_networks(no_proxy: str, host: str, direct: bool) -> None:
    """Suffixes at dots, ports, networks; loopback always."""
    proxy_for = proxy_from_environment({"ALL_PROXY": "p:1", "NO_PROXY": no_proxy})
    assert (proxy_for(Origin("https", host, 443)) is None) == direct


def test_a_variable_that_cannot_be_used_is_named_but_not_shown() -> None:
    """Going around a proxy in silence would be worse than stopping."""
    with pytest.raises(ValueError, match="HTTPS_PROXY") as caught:
        proxy_from_environment({"HTTPS_PROXY": "socks5://u:canary@p.test"})
    assert "canary" not in str(caught.value)
