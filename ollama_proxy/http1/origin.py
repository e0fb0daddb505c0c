"""Owns where a request goes: the origin it is meant for and the egress proxy it passes, if any. Pure.

It opens nothing and reads no environment: the caller hands over a mapping. Rules: RFC 3986 (authority), RFC 9110 §4.2
(http and https), and for the `*_PROXY` variables what curl and Go's `httpproxy` agree on.
"""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit

__all__ = ["Origin", "Proxy", "proxy_from_environment"]

_DEFAULT_PORTS = {"http": 80, "https": 443}
#: A DNS name (underscores exist in private networks), an IPv4 address, or an IPv6 address without its brackets.
_HOST = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_.])?|[0-9a-f:.]+(?:%[a-z0-9_.-]+)?", re.ASCII)
#: What a path may hold as it is sent: visible ASCII without `#`, which would begin a fragment (RFC 9112 §3.2).
_BASE_PATH = re.compile(r"(?:/[\x21\x22\x24-\x7e]*)?")


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port: who is asked. The host is lower-case, an IPv6 address without brackets."""

    scheme: str
    host: str
    port: int

    @staticmethod
    def parse(url: str) -> tuple[Origin, str]:
        """The origin of an absolute http(s) URL, and its path without trailing slash ("" for the root).

        Raises: ValueError for another scheme, user information, a query, a fragment, or a host that is none.
        """
        parts = _split(url, "the URL")
        if parts.scheme not in _DEFAULT_PORTS:
            raise ValueError("the URL must begin with http:// or https://")
        if parts.username is not None or parts.password is not None:
            raise ValueError("the URL must not hold a user name or password")
        if "?" in url or "#" in url:
            raise ValueError("the URL must end with its path: no '?' and no '#'")
        if not _BASE_PATH.fullmatch(parts.path):
            raise ValueError("the path of the URL holds a space, control or non-ASCII character; percent-encode it")
        host, port = _host_and_port(parts, "the URL")
        return Origin(parts.scheme, host, port or _DEFAULT_PORTS[parts.scheme]), parts.path.rstrip("/")

    @property
    def authority(self) -> str:
        """`host` or `host:port` as a Host field has it: the port only where it is not the scheme's own."""
        return _bracketed(self.host) if self.port == _DEFAULT_PORTS.get(self.scheme) else self.host_and_port

    @property
    def host_and_port(self) -> str:
        """`host:port`, always with the port: the target of CONNECT, and what a message shows."""
        return f"{_bracketed(self.host)}:{self.port}"


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy on the way out. `auth_header` is the value of Proxy-Authorization; it is never printed."""

    host: str
    port: int
    auth_header: bytes | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not _HOST.fullmatch(self.host) or not 0 < self.port < 65536:
            raise ValueError("a proxy needs an ASCII host name in lower case and a port from 1 to 65535")
        if self.auth_header is not None and any(c < 32 or c == 127 for c in self.auth_header):
            raise ValueError("the proxy's authorization holds a control character")

    @staticmethod
    def parse(url: str) -> Proxy:
        """The proxy behind `http://user:password@host:port` or `host:port`; the port is 80 if none is given.

        Raises: ValueError; its text holds nothing of the URL, which may hold a password.
        """
        parts = _split(url if "://" in url else f"http://{url}", "the proxy's address")
        if parts.scheme != "http":
            raise ValueError("the proxy's address must begin with http:// (https and socks proxies are not supported)")
        host, port = _host_and_port(parts, "the proxy's address")
        auth = None
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            auth = b"Basic " + base64.b64encode(pair.encode())
        return Proxy(host, port or 80, auth)


def proxy_from_environment(environ: Mapping[str, str]) -> Callable[[Origin], Proxy | None]:
    """Which proxy an origin is reached through, after HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY.

    The lower-case name wins over the upper-case one, as in curl; an empty value counts as unset. NO_PROXY is a list
    separated by commas or spaces: `*`, a name (itself and everything below it, with or without a leading dot), an
    address, a network such as 10.0.0.0/8; each may end with `:port`. Loopback is never proxied, as in Go.
    Raises: ValueError naming the variable whose value cannot be used.
    """
    chosen = {scheme: _first_proxy(environ, f"{scheme}_proxy", "all_proxy") for scheme in _DEFAULT_PORTS}
    exempt = [_exemption(word) for word in _variable(environ, "no_proxy").replace(",", " ").lower().split()]

    def proxy_for(origin: Origin) -> Proxy | None:
        proxy = chosen.get(origin.scheme)
        if proxy is None or _is_loopback(origin.host) or any(rule(origin.host, origin.port) for rule in exempt):
            return None
        return proxy

    return proxy_for


def _split(url: str, what: str) -> SplitResult:
    # urlsplit silently drops tabs and newlines and strips spaces: look before it does.
    if any(c <= " " or c == "\x7f" for c in url):
        raise ValueError(f"{what} holds a space or control character")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ValueError(f"{what} is not a URL with a valid host and port") from None
    return parts


def _host_and_port(parts: SplitResult, what: str) -> tuple[str, int | None]:
    host = parts.hostname or ""
    if not _HOST.fullmatch(host) or parts.port == 0:
        raise ValueError(f"{what} needs an ASCII host name (an international one in its xn-- form) and a valid port")
    return host, parts.port


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _variable(environ: Mapping[str, str], name: str) -> str:
    return (environ.get(name) or environ.get(name.upper()) or "").strip()


def _first_proxy(environ: Mapping[str, str], *names: str) -> Proxy | None:
    for name in names:
        value = _variable(environ, name)
        if value:
            try:
                return Proxy.parse(value)
            except ValueError as error:
                raise ValueError(f"{name.upper()}: {error}") from None
    return None


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return host == "localhost" or host.endswith(".localhost") or (address is not None and address.is_loopback)


def _exemption(word: str) -> Callable[[str, int], bool]:
    """One word of NO_PROXY as a question about (host, port)."""
    if word == "*":
        return lambda _host, _port: True
    name, wanted = _cut_port(word)
    try:
        network = ipaddress.ip_network(name, strict=False)
    except ValueError:
        suffix = name.removeprefix("*").strip(".")
        return lambda host, port: (
            wanted in (None, port) and (host.rstrip(".") == suffix or host.rstrip(".").endswith(f".{suffix}"))
        )

    def inside(host: str, port: int) -> bool:
        address = _address(host)
        return wanted in (None, port) and address is not None and address in network

    return inside


def _cut_port(word: str) -> tuple[str, int | None]:
    if word.startswith("["):
        name, _, rest = word[1:].partition("]")
        return name, int(rest[1:]) if rest[1:].isdecimal() else None
    name, colon, port = word.rpartition(":")
    if colon and ":" not in name and port.isdecimal():
        return name, int(port)
    return word, None
