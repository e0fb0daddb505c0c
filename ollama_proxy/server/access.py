"""Owns who may call: browser origins, the Host header, the proxy's own token. Pure; knows no route and no body.

The rules and their order are Ollama's (origin first, then host), because browser apps and extensions are written
against them; the token is ours. Everything is decided from the head of a request, before a byte of its body is read.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
from collections.abc import Collection, Mapping, Sequence
from urllib.parse import unquote_to_bytes

from ollama_proxy.secret import Secret
from ollama_proxy.types import Headers

__all__ = ["Access", "HostCheck", "Origins"]

_LOCAL_NAMES = ("localhost", "127.0.0.1", "0.0.0.0")  # noqa: S104 — names that a page may come from, not a bind
_APP_SCHEMES = ("app://", "file://", "tauri://", "vscode-webview://", "vscode-file://")
_LOCAL_SUFFIXES = (".localhost", ".local", ".internal")
#: Hosts that were judged good and need not be judged again.
_REMEMBERED = 64

#: What Ollama's preflight allows, in its spelling; behind it what Anthropic's SDK sends from a page as well (1.12, seen
#: on the wire 2026-11), without which a browser would not let it call.
_ALLOWED_HEADERS = (
    b"Authorization,Content-Type,User-Agent,Accept,X-Requested-With,Openai-Beta,X-Stainless-Arch,X-Stainless-Async,"
    b"X-Stainless-Custom-Poll-Interval,X-Stainless-Helper-Method,X-Stainless-Lang,X-Stainless-Os,"
    b"X-Stainless-Package-Version,X-Stainless-Poll-Helper,X-Stainless-Retry-Count,X-Stainless-Runtime,"
    b"X-Stainless-Runtime-Version,X-Stainless-Timeout,"
    b"X-Api-Key,Anthropic-Version,Anthropic-Beta,Anthropic-Dangerous-Direct-Browser-Access,X-Stainless-Helper"
)
_PREFLIGHT: Headers = [
    (b"access-control-allow-headers", _ALLOWED_HEADERS),
    (b"access-control-allow-methods", b"GET,POST,PUT,PATCH,DELETE,HEAD,OPTIONS"),
    (b"access-control-max-age", b"43200"),
]


class Origins:
    """Which web pages may call (OLLAMA_ORIGINS and Ollama's defaults)."""

    def __init__(self, extra: Sequence[str] = ()) -> None:
        self.any = "*" in extra
        self._exact = {f"{scheme}://{name}" for scheme in ("http", "https") for name in _LOCAL_NAMES}
        self._exact |= {origin for origin in extra if "*" not in origin}
        ports = tuple(f"{origin}:" for origin in self._exact if origin.split("://")[1] in _LOCAL_NAMES)
        self._starts = (*ports, *_APP_SCHEMES)
        self._patterns = [tuple(o.split("*", 1)) for o in extra if "*" in o and o != "*"]

    def allows(self, origin: str) -> bool:
        """Whether a page of this origin may read our answers; letter case counts, as in Ollama."""
        return (
            self.any
            or origin in self._exact
            or origin.startswith(self._starts)
            or any(
                origin.startswith(head) and origin.endswith(tail) and len(origin) >= len(head) + len(tail)
                for head, tail in self._patterns
            )
        )

    def headers(self, origin: str) -> Headers:
        """What every answer to an allowed origin carries."""
        if self.any:
            return [(b"access-control-allow-origin", b"*")]
        return [(b"access-control-allow-origin", origin.encode("latin-1")), (b"vary", b"Origin")]

    def preflight(self, origin: str) -> Headers:
        """The headers of the 204 that answers a preflight."""
        headers = [*self.headers(origin), *_PREFLIGHT]
        if not self.any:
            headers += [
                (b"vary", b"Access-Control-Request-Method"),
                (b"vary", b"Access-Control-Request-Headers"),
            ]
        return headers


class HostCheck:
    """Defence against DNS rebinding: which names in Host may mean us. Off when other machines may call anyway."""

    def __init__(self, *, active: bool, hostname: str = "", interfaces: Collection[str] = ()) -> None:
        self._active = active
        self._hostname = hostname.lower()
        self._interfaces = frozenset(interfaces)
        self._allowed: set[str] = set()

    def allows(self, host: str) -> bool:
        """Loopback, private and own addresses, and names that no public DNS can hold; the port does not count."""
        if host in self._allowed or not self._active or not host:
            return True
        if not self._judge(host):
            return False
        # Clients send the same few, request after request.
        if len(self._allowed) < _REMEMBERED:
            self._allowed.add(host)
        return True

    def _judge(self, host: str) -> bool:
        name = _without_port(host)
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            lower = name.lower()
            return lower in {"localhost", self._hostname} or lower.endswith(_LOCAL_SUFFIXES)
        return address.is_loopback or address.is_private or address.is_unspecified or name in self._interfaces


def _without_port(host: str) -> str:
    if host.startswith("["):
        # As in Ollama: a bracketed address counts only with a port behind it.
        end = host.find("]:")
        return host[1:end] if end > 0 else host
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() and ":" not in name else host


class Access:
    """The proxy's own token, by whichever way a client can send it.

    Ways: `Authorization: Bearer`, `Authorization: Basic` with the token as password, `x-api-key`, or the first path
    segment. Without a token set, whatever a client sends means nothing.
    """

    def __init__(self, token: Secret | None) -> None:
        self._digest = None if token is None else _digest(token.reveal().encode())

    @property
    def open(self) -> bool:
        """No token is asked for."""
        return self._digest is None

    def path_within(self, path: str) -> tuple[str, bool]:
        """(the path without a token in its first segment, whether the token was there).

        Slashes doubled before it are the same slip as elsewhere in an address (see `routing_table`), and served.
        """
        if self._digest is None:
            return path, False
        first, slash, rest = path.lstrip("/").partition("/")
        if first and hmac.compare_digest(_digest(unquote_to_bytes(first)), self._digest):
            return slash + rest or "/", True
        return path, False

    def admits(self, headers: Mapping[bytes, bytes], *, by_path: bool) -> bool:
        """Whether the caller showed the token; two different ones are no token.

        Digests are compared, so that neither length nor content of a guess shows in the time taken.
        """
        if self._digest is None:
            return True
        shown = [_digest(token) for token in _carried(headers)]
        if not shown:
            return by_path
        return all(hmac.compare_digest(digest, self._digest) for digest in shown)


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()


def _carried(headers: Mapping[bytes, bytes]) -> list[bytes]:
    """The tokens in the headers; an empty bearer is none (VS Code sends one)."""
    tokens = [headers.get(b"x-api-key", b"").strip()]
    scheme, _, value = headers.get(b"authorization", b"").strip().partition(b" ")
    value = value.strip()
    if scheme.lower() == b"bearer":
        tokens.append(value)
    elif scheme.lower() == b"basic":
        try:
            tokens.append(base64.b64decode(value, validate=True).partition(b":")[2])
        except binascii.Error:
            tokens.append(value)
    elif value or scheme:
        tokens.append(scheme + b" " + value)
    return [token for token in tokens if token]


def is_same_origin(origin: str, host: str) -> bool:
    """Whether a page was served by ourselves, as the browser sees it."""
    return origin in (f"http://{host}", f"https://{host}")
