"""Owns what a handler sees of a request's head, and which heads are refused although llhttp lets them pass.

Pure: bytes and numbers in, verdicts out. Rules: RFC 9112 §3.2 (target, Host), §6.1 (Transfer-Encoding), §6.3 (framing),
§11.2 (request smuggling); RFC 9110 §9.3.6 and §9.3.8 (CONNECT, TRACE), §10.1.1 (Expect).

Found on httptools 0.9 (llhttp, all leniencies off), each guarded here or in `server_input`:
    it lets pass   `Transfer-Encoding: gzip, chunked`; Transfer-Encoding in HTTP/1.0; HTTP/0.9 and 2.0; no Host or two;
                   absolute-form and `*` targets, `#` in targets; any number and size of fields; trailers as fields;
                   trailing blanks of a value
    it refuses     Content-Length beside Transfer-Encoding, two Content-Lengths, anything in one but digits, bad chunk
                   sizes and ends, bare LF or CR, obs-fold, NUL and other control characters, unknown methods
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

__all__ = ["Field", "Request", "ServerLimits", "Verdict", "merge_fields", "objection", "size_of", "without_upgrade"]

Field = tuple[bytes, bytes]
#: Status and message of a refusal.
Verdict = tuple[int, str]

#: A second one of these is never a list but a game with whoever reads first and whoever reads last.
_SINGLE = frozenset([b"authorization", b"content-length", b"host", b"transfer-encoding", b"x-api-key"])
#: uri-host [":" port] in its widest reading (RFC 3986 §3.2.2): no path, no userinfo, no list. May be empty.
_HOST = re.compile(rb"[A-Za-z0-9._~%!$&'()*+;=:\[\]-]*")
#: A DNS name has at most 253 characters; a port and its colon follow.
_MAX_HOST = 259


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """What one client may ask of us. Seconds and bytes."""

    #: For a whole head, however it drips; also for saying nothing at all.
    header_timeout_s: float = 10.0
    #: Longest silence inside a body, and the window over which `body_min_rate` is measured.
    body_idle_s: float = 30.0
    #: Bytes per second below which a body is not worth its connection.
    body_min_rate: int = 1024
    #: Between requests; above the usual 60 s of proxies in front, so that they close first.
    keep_alive_s: float = 75.0
    #: For a client that takes nothing of its answer.
    write_idle_s: float = 60.0
    #: For a client that still sends after its last answer.
    linger_s: float = 2.0
    max_headers: int = 100
    max_header_bytes: int = 32768
    max_target_bytes: int = 8192
    #: Several photographs in base64 fit.
    max_body_bytes: int = 33554432
    max_connections: int = 4096
    #: Unsent bytes above which the handler is told to stop; also how many unparsed bytes are held.
    high_water: int = 65536


class Request:
    """The head of a request. `repr` shows no header, path or query: each may carry a token."""

    __slots__ = ("headers", "http_version", "method", "path", "peer", "query", "target")

    def __init__(self, method: str, target: bytes, headers: dict[bytes, bytes], http_version: str, peer: str) -> None:
        self.method = method
        #: As it came.
        self.target = target
        #: Before the first `?`; percent-escapes are not decoded.
        self.path, _, self.query = target.decode("latin-1").partition("?")
        #: Lower-case names; repeated fields are joined by `, ` in their order. Trailers never get in here.
        self.headers = headers
        #: "1.0" or "1.1"
        self.http_version = http_version
        #: Address of the other end of the socket, without port; "unix" for a Unix socket.
        self.peer = peer

    def __repr__(self) -> str:
        return f"<Request {self.method} HTTP/{self.http_version}>"


def merge_fields(fields: list[Field]) -> dict[bytes, bytes] | bytes:
    """Fields by name, repeated ones joined; or the name of a field that may come only once and came again."""
    merged: dict[bytes, bytes] = {}
    for name, value in fields:
        if name not in merged:
            merged[name] = value
        elif name in _SINGLE:
            return name
        else:
            merged[name] = b"%b, %b" % (merged[name], value)
    return merged


def size_of(fields: list[Field]) -> int:
    """Bytes of these fields on the wire, colon, blank and line end included."""
    return sum([len(name) + len(value) + 4 for name, value in fields])


def without_upgrade(method: bytes, target: bytes, version: str, fields: list[Field]) -> bytes:
    """The same head as bytes, less its Upgrade field: what a server that ignores an upgrade reads (RFC 9110 §7.8)."""
    lines = [b"%b: %b\r\n" % field for field in fields if field[0] != b"upgrade"]
    return b"%b %b HTTP/%b\r\n%b\r\n" % (method, target, version.encode(), b"".join(lines))


@lru_cache(maxsize=256)
def _is_host(value: bytes) -> bool:
    return _HOST.fullmatch(value) is not None


def objection(request: Request, max_body_bytes: int) -> Verdict | None:
    """Why this head is refused, or None. Looks at the head alone; nothing of the body has been used yet."""
    headers = request.headers
    if request.http_version != "1.1" and request.http_version != "1.0":
        return 505, f"HTTP/{request.http_version} is not spoken here. Use HTTP/1.1."
    host = headers.get(b"host")
    if host is None:
        if request.http_version == "1.1":
            return 400, "The Host header is missing. HTTP/1.1 requires exactly one."
    elif len(host) > _MAX_HOST or not _is_host(host):
        return 400, "The Host header is not a host name with an optional port."
    if request.target[:1] != b"/" or b"#" in request.target:
        problem = _target_objection(request)
        if problem is not None:
            return problem
    if request.method in ("CONNECT", "TRACE"):
        return 501, f"The method {request.method} is not supported."
    if b"transfer-encoding" in headers:
        problem = _coding_objection(request)
        if problem is not None:
            return problem
    elif int(headers.get(b"content-length", b"0")) > max_body_bytes:
        return 413, f"The request body is too large. At most {max_body_bytes} bytes are accepted."
    if b"expect" in headers and headers[b"expect"].lower() != b"100-continue":
        return 417, "The only expectation that can be met is `100-continue`."
    return None


def _target_objection(request: Request) -> Verdict | None:
    if request.method == "CONNECT" or (request.method == "OPTIONS" and request.target == b"*"):
        return None
    if b"#" in request.target:
        return 400, "A request target cannot hold `#`. Send it as `%23`, or leave the fragment out."
    return 400, "The request target must be a path that starts with `/`. This server is not a forward proxy."


def _coding_objection(request: Request) -> Verdict | None:
    if request.http_version != "1.1":
        return 400, "Transfer-Encoding does not exist in HTTP/1.0. Send Content-Length."
    if request.headers[b"transfer-encoding"].lower() != b"chunked":
        return 400, "The only Transfer-Encoding accepted is `chunked`."
    if b"content-length" in request.headers:
        return 400, "Content-Length and Transfer-Encoding cannot be used together."
    return None
