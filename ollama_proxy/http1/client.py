"""Owns the sending of requests to upstreams: `Client.request`. Knows HTTP/1.1 and nothing of what is asked.

    client.py      the request: its head, a connection for it, the one free retry
    pool.py        connections that are free, and how many there may be
    connect.py     opening one: names, TCP, proxy, TLS
    connection.py  one exchange on one connection: parsing, limits, timeouts
    response.py    the answer: reading or relaying its body
    decode.py, origin.py, trust.py, faults.py    what they need

A request is sent again by itself in one case only: a connection that had served before was closed or reset before any
byte of the answer, which is what a keep-alive connection does when the server was tired of it (RFC 9110 §9.2.2,
RFC 9112 §9.3.1). Then it goes, once, over a fresh connection. Everything else is the caller's decision, 3xx included.

On the warm path a request costs one future and no task or timer. Bodies that arrive before the caller asks for them
wait in the Response; nothing here buffers. Every fault is a faults.TransportFault.
"""

from __future__ import annotations

import asyncio
import functools
import re
import ssl
from collections.abc import Callable

from ollama_proxy.http1.connect import Connector
from ollama_proxy.http1.connection import Connection, Timeouts
from ollama_proxy.http1.faults import ConnectFailed, ConnectionLost
from ollama_proxy.http1.origin import Origin, Proxy, proxy_from_environment
from ollama_proxy.http1.pool import ClientLimits, Lane
from ollama_proxy.http1.response import Response

__all__ = ["Client", "ClientLimits", "Origin", "Proxy", "Response", "Timeouts", "proxy_from_environment"]

Headers = list[tuple[bytes, bytes]]

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_METHOD = re.compile(r"[A-Z]+")
#: Visible ASCII without `#`: everything else has to be percent-encoded (RFC 9112 §3.2).
_PATH = re.compile(r"/[\x21\x22\x24-\x7e]*")
#: Tab, visible ASCII, space and the upper half: what a field value may hold (RFC 9110 §5.5). No CR, LF or NUL.
_VALUE_BYTES = bytes([9, *range(32, 127), *range(128, 256)])
#: Framing, routing and connection are ours to say.
_OURS = frozenset(
    b"host content-length transfer-encoding accept-encoding connection keep-alive proxy-connection "
    b"proxy-authorization te trailer upgrade expect".split()
)
_WITHOUT_BODY = frozenset(("GET", "HEAD", "DELETE", "OPTIONS"))


class Client:
    """Sends requests over HTTP/1.1. Belongs to the event loop it is first used in."""

    def __init__(
        self,
        *,
        limits: ClientLimits | None = None,
        ssl_context: Callable[[], ssl.SSLContext] | None = None,
        proxy_for: Callable[[Origin], Proxy | None] | None = None,
    ) -> None:
        """ssl_context makes the TLS context at the first https origin, in a thread; default: the platform's trust.

        proxy_for is asked once per origin; default: no proxy. See proxy_from_environment.
        """
        self._limits = limits or ClientLimits()
        self._connector = Connector(ssl_context)
        self._proxy_for = proxy_for
        self._routes: dict[tuple[Origin, Proxy | None], _Route] = {}
        self._sweeper: asyncio.TimerHandle | None = None
        self._closed = False

    async def request(
        self,
        method: str,
        origin: Origin,
        path: str,
        headers: Headers,
        body: bytes,
        timeouts: Timeouts,
        *,
        proxy: Proxy | None = None,
    ) -> Response:
        """The answer, as soon as its head is here. The caller has to read, relay or close it.

        path: with its query, percent-encoded. headers: sent as given, after Host; framing and connection
        fields are ours. proxy: instead of the one that proxy_for names. Cancelling closes the
        connection at once.
        Raises: TransportFault; ValueError for a request that must not be sent.
        """
        route = self._routes.get((origin, proxy)) or self._add_route(origin, proxy)
        head = route.head(method, path, headers, len(body))
        connection = route.lane.take()
        if connection is None:
            connection = await self._open(route, timeouts.connect_s)
        try:
            return await _exchange(connection, head, body, timeouts)
        except ConnectionLost as lost:
            if lost.response_began or not connection.has_served:
                raise
        connection = await self._open(route, timeouts.connect_s)
        return await _exchange(connection, head, body, timeouts)

    async def close(self) -> None:
        """Abort everything and wait until the sockets are closed. Requests under way fail; later ones are refused."""
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        self._connector.close()
        for route in self._routes.values():
            await route.lane.close()

    def _add_route(self, origin: Origin, proxy: Proxy | None) -> _Route:
        chosen = proxy or (self._proxy_for(origin) if self._proxy_for else None)
        route = self._routes[origin, proxy] = _Route(origin, chosen, Lane(asyncio.get_running_loop(), self._limits))
        return route

    async def _open(self, route: _Route, connect_s: float) -> Connection:
        """A fresh connection; or, where a cap is reached, one that became free."""
        self._check_open()
        lane = route.lane
        if not lane.reserve():
            connection = await lane.stand_in_line(connect_s)
            if connection is not None:
                return connection
        try:
            connection = await self._connector.open(route.origin, route.proxy, connect_s)
        except BaseException:  # cancelled too: the place in the lane is given back in any case
            lane.not_opened()
            raise
        lane.opened(connection)
        try:
            self._check_open()  # it may have been closed while we waited
        except ConnectFailed:
            connection.abort()
            raise
        self._sweep_later()
        return connection

    def _check_open(self) -> None:
        if self._closed:
            raise ConnectFailed("the client is closed")

    def _sweep_later(self) -> None:
        if self._sweeper is None:
            # Half of idle_s: an unused connection is closed after one to one and a half times idle_s.
            self._sweeper = asyncio.get_running_loop().call_later(self._limits.idle_s / 2, self._sweep)

    def _sweep(self) -> None:
        self._sweeper = None
        for route in self._routes.values():
            route.lane.sweep()
        if not all(route.lane.is_empty for route in self._routes.values()):
            self._sweep_later()


class _Route:
    """One origin by one way: its connections, and how a request to it begins."""

    __slots__ = ("_after", "_before", "_prefix", "lane", "origin", "proxy")

    def __init__(self, origin: Origin, proxy: Proxy | None, lane: Lane) -> None:
        self.origin, self.proxy, self.lane = origin, proxy, lane
        # A plain proxy is told the whole address (RFC 9112 §3.2.2); through a tunnel the origin hears its own form.
        absolute = proxy is not None and origin.scheme == "http"
        self._prefix = f"http://{origin.authority}" if absolute else ""
        self._before = b"Host: " + origin.authority.encode("ascii")
        self._after = b"Accept-Encoding: identity"
        if absolute and proxy is not None and proxy.auth_header:
            self._after += b"\r\nProxy-Authorization: " + proxy.auth_header

    def head(self, method: str, path: str, headers: Headers, length: int) -> bytes:
        """Request line and fields, as they go over the wire. Raises: ValueError for what must not go there."""
        lines = [_request_line(method, self._prefix, path), self._before]
        lines += [_field_start(name) + value for name, value in headers]
        if b"".join([value for _, value in headers]).translate(None, _VALUE_BYTES):
            raise ValueError("a header value holds a control character")
        lines.append(self._after)
        if length or method not in _WITHOUT_BODY:
            lines.append(b"Content-Length: %d" % length)
        lines.append(b"\r\n")
        return b"\r\n".join(lines)


@functools.lru_cache(maxsize=256)
def _request_line(method: str, prefix: str, path: str) -> bytes:
    if not _METHOD.fullmatch(method):
        raise ValueError("the method of a request is a word in capitals")
    if not _PATH.fullmatch(path):
        raise ValueError(
            "the path of a request begins with '/' and holds no space, '#', control or non-ASCII character"
        )
    return f"{method} {prefix}{path} HTTP/1.1".encode("ascii")


@functools.lru_cache(maxsize=256)
def _field_start(name: bytes) -> bytes:
    if not _TOKEN.fullmatch(name):
        raise ValueError("a header name holds a character that is not allowed there")
    if name.lower() in _OURS:
        raise ValueError(f"the header field {name.decode('ascii')} is set by the client itself")
    return name + b": "


async def _exchange(connection: Connection, head: bytes, body: bytes, timeouts: Timeouts) -> Response:
    waiter = connection.send(head, body, timeouts, no_body=head.startswith(b"HEAD "))
    try:
        return await waiter
    except asyncio.CancelledError:
        if waiter.cancelled() or not waiter.done() or waiter.exception() is not None:
            connection.abort()
        else:
            waiter.result().close()  # the connection may already serve somebody else
        raise
