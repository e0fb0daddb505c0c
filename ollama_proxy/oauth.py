"""Owns the rules of qwen-code's sign-in: its file, when a token is too old, how a new one is asked for, what is sent.

An entry `oauth:PATH` among a provider's keys stands for the file of such a sign-in, `oauth` alone for qwen-code's own.
Pure: bytes and the time come in, bytes go out; `sign_in` reads, waits and asks. No error here repeats what a file or an
answer holds: it may be a token.

Rules: QwenLM/qwen-code 0.15.10 (qwenOAuth2.ts, sharedTokenManager.ts), read 2026-11. Qwen switched the free tier behind
the sign-in off on 2026-04-15 (announced there): tokens are still handed out, and refused when they are used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec

from ollama_proxy.types import Headers

__all__ = [
    "MODELS",
    "RETIRED",
    "NoToken",
    "RefreshRefused",
    "Token",
    "base_url_of",
    "file_of",
    "headers_of",
    "is_new",
    "is_stale",
    "read_answer",
    "read_token",
    "refresh_request",
    "write_token",
]

#: What people are told when the sign-in is refused: why, and what to use instead.
RETIRED = (
    "Qwen switched off the free tier behind this sign-in on 2026-04-15; "
    "put a DashScope key (Alibaba Model Studio) into QWEN_API_KEYS instead"
)
#: What the service serves; it has no list of its own.
MODELS = ("coder-model", "vision-model")

_OWN_FILE = "~/.qwen/oauth_creds.json"
_RESOURCE = "portal.qwen.ai"
#: Public: it names the program, not the person.
_CLIENT_ID = "f0304373b74a44d2b584a3fb70ca9e56"
_VERSION = "0.15.10"
#: So long before its end a token is not used any more: a call has to arrive with it.
_EARLY_S = 30.0
#: What an answer without `expires_in` means.
_LIFE_S = 21600.0
#: A token this young that is refused will not be better for being renewed once more.
_NEW_S = 60.0
_MACHINES = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64"}


class NoToken(ValueError):
    """A file or an answer that holds no usable token; says what is wrong with it, not what is in it."""


class RefreshRefused(NoToken):
    """The service does not renew this sign-in any more."""


@dataclass(frozen=True, slots=True, repr=False)
class Token:
    """One pair of tokens.

    expires: epoch seconds. renewed: when we got it ourselves (epoch seconds), None for one that was read.
    rest: everything else in the file, kept as it is.
    """

    access: str
    refresh: str
    resource: str = _RESOURCE
    expires: float = 0.0
    renewed: float | None = None
    rest: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Token(expires={self.expires:.0f})"


def file_of(entry: str) -> str | None:
    """The file that an entry among the keys stands for; None for a plain key."""
    word, _, path = entry.partition(":")
    return (path.strip() or _OWN_FILE) if word == "oauth" else None


def is_stale(token: Token, wall: float) -> bool:
    """Whether a token has to be renewed before it is used."""
    return not token.access or wall >= token.expires - _EARLY_S


def is_new(token: Token, wall: float) -> bool:
    """Whether we got it a moment ago: then a refusal is meant, and renewing it again would only repeat it."""
    return token.renewed is not None and 0 <= wall - token.renewed < _NEW_S


def base_url_of(resource: str) -> str:
    """The address for calls: `portal.qwen.ai` -> `https://portal.qwen.ai/v1`. Raises: NoToken for what is none."""
    url = (resource if "://" in resource else f"https://{resource}").rstrip("/")
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not _is_plain(url) or any(sign in url for sign in "@?#"):
        raise NoToken("its resource_url is no address")
    return url if url.endswith("/v1") else f"{url}/v1"


def headers_of(token: Token, platform: str, machine: str) -> Headers:
    """What qwen-code sends with a call. platform, machine: as `sys.platform` and `platform.machine()` tell them."""
    arch = _MACHINES.get(machine.lower(), machine.lower())
    agent = f"QwenCode/{_VERSION} ({platform}; {arch})".encode("ascii", "replace")
    return [
        (b"authorization", b"Bearer " + token.access.encode()),
        (b"user-agent", agent),
        (b"x-dashscope-authtype", b"qwen-oauth"),
        (b"x-dashscope-cachecontrol", b"enable"),
        (b"x-dashscope-useragent", agent),
    ]


# --- the file ---------------------------------------------------------------------------------------------------------


def read_token(data: bytes) -> Token:
    """The pair in a file of qwen-code's. Raises: NoToken.

    `expiry_date` is in epoch milliseconds; a file without it (or without `access_token`) has to be renewed first.
    """
    fields = _object(data)
    refresh = fields.pop("refresh_token", None)
    if not isinstance(refresh, str) or not refresh:
        raise NoToken("it has no refresh_token")
    expires = fields.pop("expiry_date", 0)
    if isinstance(expires, bool) or not isinstance(expires, int | float):
        raise NoToken("its expiry_date is no number")
    access = _plain(fields.pop("access_token", ""), "access_token")
    resource = _resource(fields.pop("resource_url", None), _RESOURCE)
    return Token(access, refresh, resource, expires / 1000, rest=fields)


def write_token(token: Token) -> bytes:
    """The file with this pair, as qwen-code reads it; what else stood in it stays."""
    fields = {
        **token.rest,
        "access_token": token.access,
        "refresh_token": token.refresh,
        "token_type": token.rest.get("token_type", "Bearer"),
        "resource_url": token.resource,
        "expiry_date": round(token.expires * 1000),
    }
    return msgspec.json.format(msgspec.json.encode(fields), indent=2)


# --- a new token ------------------------------------------------------------------------------------------------------


def refresh_request(token: Token) -> tuple[Headers, bytes]:
    """Headers and body of the request for a new pair: a form, not JSON."""
    form = {"grant_type": "refresh_token", "refresh_token": token.refresh, "client_id": _CLIENT_ID}
    headers = [(b"content-type", b"application/x-www-form-urlencoded"), (b"accept", b"application/json")]
    return headers, urlencode(form).encode()


def read_answer(status: int, body: bytes, old: Token, wall: float) -> Token:
    """The pair that takes the place of `old`: a refresh token serves once, and stays only where none comes back.

    Raises: RefreshRefused after 400 and 401, NoToken for everything else that is no token.
    """
    if status in (400, 401):
        raise RefreshRefused(f"status {status}")
    if status != 200:
        raise NoToken(f"status {status}")
    fields = _object(body)
    access = _plain(fields.get("access_token"), "access_token")
    refresh = fields.get("refresh_token") or old.refresh
    life = fields.get("expires_in")
    if isinstance(life, bool) or not isinstance(life, int | float) or life <= 0:
        life = _LIFE_S
    if not access or not isinstance(refresh, str):
        raise NoToken("it has no access_token")
    resource = _resource(fields.get("resource_url"), old.resource)
    return Token(access, refresh, resource, wall + life, wall, old.rest)


def _object(data: bytes) -> dict[str, Any]:
    try:
        fields = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # Without the cause: its words might quote the text.
        raise NoToken("it is no JSON") from None
    if not isinstance(fields, dict):
        raise NoToken("it is no JSON object")
    return fields


def _plain(value: Any, name: str) -> str:
    """A text that fits into a header."""
    if not isinstance(value, str) or not _is_plain(value):
        raise NoToken(f"its {name} is no token")
    return value


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text


def _resource(value: Any, usual: str) -> str:
    """A `resource_url` that can be called. Raises: NoToken."""
    resource = value if isinstance(value, str) and value else usual
    base_url_of(resource)
    return resource
