"""Owns the way to a connection: name lookup, TCP, the tunnel through an egress proxy, TLS. Knows no requests.

    lookup    getaddrinfo in the loop's threads; one lookup per name at a time, however many wait for it: a resolver
              that hangs costs one thread, not all of them
    TCP       all addresses, families in turn, a head start of 250 ms each (RFC 8305, "Happy Eyeballs"); done here
              because uvloop's create_connection has no happy_eyeballs_delay (uvloop 0.23, read 2026-11)
    tunnel    CONNECT (RFC 9110 §9.3.6) for https origins behind a Proxy
    TLS       chain and name always verified, ALPN http/1.1; after a refusal nothing is tried again with less

One limit, connect_s, stands over all of it. Whatever is half open when it strikes, or when the caller leaves, is
closed. A transport belongs to the Connection on it; TLS takes it over from a bare one.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import itertools
import socket
import ssl
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeAlias, TypeVar

from ollama_proxy.http1.connection import Connection, Timeouts
from ollama_proxy.http1.faults import ConnectFailed, NoMeans, TimedOut, TLSRefused, TransportFault
from ollama_proxy.http1.origin import Origin, Proxy
from ollama_proxy.http1.trust import platform_context

__all__ = ["Connector"]

#: RFC 8305 §5, "Connection Attempt Delay", the recommended value.
HEAD_START_S = 0.25
#: What the system says when it is our own means that are used up.
_USED_UP = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})

_K = TypeVar("_K", bound=Hashable)
_V = TypeVar("_V")
#: family, type, protocol, canonical name, address: what getaddrinfo returns.
_Info: TypeAlias = tuple[int, int, int, str, tuple[Any, ...]]


class Connector:
    """Opens connections. One for all origins of a client: lookups and the TLS context are shared."""

    def __init__(self, make_context: Callable[[], ssl.SSLContext] | None = None) -> None:
        self._make_context = make_context or platform_context
        self._context: ssl.SSLContext | None = None
        self._contexts: _Once[str, ssl.SSLContext] = _Once()
        self._lookups: _Once[tuple[str, int], list[_Info]] = _Once()
        self._under_way: set[asyncio.Task[Connection]] = set()

    async def open(self, origin: Origin, proxy: Proxy | None, connect_s: float) -> Connection:
        """A fresh connection, ready for requests to `origin`.

        Raises: ConnectFailed, TLSRefused, TimedOut("connect").
        """
        task = asyncio.get_running_loop().create_task(self._open(origin, proxy))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        try:
            done, _ = await asyncio.wait((task,), timeout=connect_s)
        except asyncio.CancelledError:
            _abandon(task)
            raise
        if not done:
            _abandon(task)
            raise TimedOut("connect", connect_s)
        if task.cancelled():
            raise ConnectFailed("the client is closed")
        connection = task.result()
        if connection.is_closed:
            raise ConnectFailed(f"{origin.host_and_port} closed the new connection at once")
        return connection

    def close(self) -> None:
        """Give up whatever is being opened."""
        for task in self._under_way:
            task.cancel()
        self._contexts.close()
        self._lookups.close()

    async def _open(self, origin: Origin, proxy: Proxy | None) -> Connection:
        context = await self._get_context() if origin.scheme == "https" else None
        near = Origin("http", proxy.host, proxy.port) if proxy else origin
        loop = asyncio.get_running_loop()
        connection = await _connect_tcp(loop, near, await self._look_up(loop, near))
        if context is None:
            return connection
        if proxy is not None:
            await _open_tunnel(connection, origin, proxy)
        return await _start_tls(loop, connection, context, origin)

    async def _get_context(self) -> ssl.SSLContext:
        if self._context is None:
            # Reading all certificate authorities takes 20 ms and more: not in the loop.
            try:
                self._context = await self._contexts.get("", lambda: asyncio.to_thread(self._make_verifying_context))
            except OSError as error:
                fault = TLSRefused("the certificate authorities to trust cannot be read")
                raise _no_means(error, hidden=True) or fault from error
        return self._context

    def _make_verifying_context(self) -> ssl.SSLContext:
        context = self._make_context()
        if context.verify_mode is not ssl.CERT_REQUIRED or not context.check_hostname:
            raise ValueError("the TLS context for upstreams must verify certificates and host names")
        return context

    async def _look_up(self, loop: asyncio.AbstractEventLoop, near: Origin) -> list[_Info]:
        literal = _literal(near)
        if literal is not None:
            return [literal]

        async def look_up() -> list[_Info]:
            return list(await loop.getaddrinfo(near.host, near.port, type=socket.SOCK_STREAM))

        try:
            return _families_in_turn(await self._lookups.get((near.host, near.port), look_up))
        except (OSError, UnicodeError) as error:
            fault = ConnectFailed(f"the name {near.host} cannot be resolved")
            raise _no_means(error, hidden=True) or fault from error


class _Once(Generic[_K, _V]):
    """One task per key at a time: whoever asks meanwhile shares it, and may leave without ending it."""

    def __init__(self) -> None:
        self._tasks: dict[_K, asyncio.Task[_V]] = {}

    async def get(self, key: _K, make: Callable[[], Coroutine[Any, Any, _V]]) -> _V:
        task = self._tasks.get(key)
        if task is None or task.get_loop() is not asyncio.get_running_loop():
            task = self._tasks[key] = asyncio.get_running_loop().create_task(make())
            task.add_done_callback(lambda ended: self._forget(key, ended))
        return await asyncio.shield(task)

    def close(self) -> None:
        """Stop waiting; a thread that is busy with it ends by itself."""
        for task in self._tasks.values():
            task.cancel()

    def _forget(self, key: _K, task: asyncio.Task[_V]) -> None:
        if self._tasks.get(key) is task:
            del self._tasks[key]
        if not task.cancelled():
            task.exception()  # perhaps nobody waits for it any more


def _abandon(task: asyncio.Task[Connection]) -> None:
    """Nobody wants the connection any more; if it comes into being nevertheless, it is closed."""

    def close(ended: asyncio.Task[Connection]) -> None:
        if not ended.cancelled() and ended.exception() is None:
            ended.result().abort()

    task.cancel()
    task.add_done_callback(close)


def _literal(near: Origin) -> _Info | None:
    """The address itself, where the host is one: no thread needs to look it up."""
    try:
        address = ipaddress.ip_address(near.host)
    except ValueError:
        return None
    if address.version == 4:
        return (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (near.host, near.port))
    if "%" in near.host:
        return None  # the scope's number has to be looked up
    return (socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (near.host, near.port, 0, 0))


def _families_in_turn(found: list[_Info]) -> list[_Info]:
    """The resolver's order within each family, the families alternating (RFC 8305 §4)."""
    families: dict[int, list[_Info]] = {}
    for info in found:
        families.setdefault(info[0], []).append(info)
    rounds = itertools.zip_longest(*families.values())
    return [info for one_round in rounds for info in one_round if info is not None]


async def _connect_tcp(loop: asyncio.AbstractEventLoop, near: Origin, addresses: list[_Info]) -> Connection:
    """The first one that connects; each further address starts HEAD_START_S later, or when one has failed."""
    rest = list(reversed(addresses))
    under_way: set[asyncio.Task[Connection]] = set()
    error: BaseException | None = None
    try:
        while rest or under_way:
            if rest:
                under_way.add(loop.create_task(_connect_one(loop, rest.pop())))
            done, under_way = await asyncio.wait(
                under_way, timeout=HEAD_START_S if rest else None, return_when=asyncio.FIRST_COMPLETED
            )
            winners = [task.result() for task in done if not task.exception()]
            for late in winners[1:]:
                late.abort()
            if winners:
                return winners[0]
            error = next((task.exception() for task in done), error)
    finally:
        for task in under_way:
            _abandon(task)
    if isinstance(error, OSError):
        raise _renamed(error, near) from error
    raise error or ConnectFailed(f"the name {near.host} has no address")


async def _connect_one(loop: asyncio.AbstractEventLoop, info: _Info) -> Connection:
    """By host and port, not by a socket of our own.

    uvloop would close the descriptor of a `sock=` behind our back when the other side resets at once (read in uvloop
    0.23: the transport is closed before the socket object is attached to it).
    """
    family, _, _, _, address = info
    scope = f"%{address[3]}" if family == socket.AF_INET6 and address[3] else ""
    _, connection = await loop.create_connection(
        lambda: Connection(loop), host=f"{address[0]}{scope}", port=address[1], family=family
    )
    return connection


async def _open_tunnel(connection: Connection, origin: Origin, proxy: Proxy) -> None:
    """Ask the proxy for a way through to the origin. connect_s, outside, is the limit."""
    target = origin.host_and_port.encode("ascii")
    auth = b"Proxy-Authorization: %b\r\n" % proxy.auth_header if proxy.auth_header else b""
    head = b"CONNECT %b HTTP/1.1\r\nHost: %b\r\n%b\r\n" % (target, target, auth)
    try:
        answer = await connection.send(head, b"", Timeouts(), tunnel=True)
    except TransportFault as fault:
        raise ConnectFailed(f"the proxy {proxy.host}:{proxy.port} opened no tunnel: {fault}") from fault
    except BaseException:  # cancelled: nobody else knows of this connection
        connection.abort()
        raise
    if connection.is_closed:
        raise ConnectFailed(f"the proxy {proxy.host}:{proxy.port} opened no tunnel: status {answer.status}")


async def _start_tls(
    loop: asyncio.AbstractEventLoop, bare: Connection, context: ssl.SSLContext, origin: Origin
) -> Connection:
    """The connection inside TLS, on the transport of the bare one; start_tls closes that one if it fails."""
    transport, connection = bare.surrender(), Connection(loop)
    try:
        secured = transport and await loop.start_tls(transport, connection, context, server_hostname=origin.host)
    except OSError as error:
        raise _renamed(error, origin) from error
    if secured is None:
        raise ConnectFailed(f"{origin.host_and_port} closed the connection before the TLS handshake")
    connection.connection_made(secured)
    return connection


def _no_means(error: Exception, *, hidden: bool = False) -> NoMeans | None:
    """The fault if it is our own means that are used up, None if it is not.

    hidden: the system's word may be lost behind another one, as in getaddrinfo; then one more descriptor is asked for.
    """
    if isinstance(error, OSError) and error.errno in _USED_UP:
        return NoMeans(error.strerror)
    if hidden:
        try:
            socket.socket().close()
        except OSError as second:
            return _no_means(second)
    return None


def _renamed(error: OSError, origin: Origin) -> TransportFault:
    """The fault for what the loop raised; of its text only what is known to hold no secret."""
    where = origin.host_and_port
    if no_means := _no_means(error):
        return no_means
    if isinstance(error, ssl.SSLCertVerificationError):
        return TLSRefused(f"the certificate of {where} is not accepted: {error.verify_message}")
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
        return TLSRefused(f"no TLS with {where}: {(error.reason or 'handshake failed').replace('_', ' ').lower()}")
    return ConnectFailed(f"no connection to {where}: {error.strerror or 'it was closed during the handshake'}")
