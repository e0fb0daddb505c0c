"""Owns the way of a request through the server: the door (origin, host, token), the route, the endpoint, its errors.

Implements what the HTTP protocol asks of an application. Knows no body and no model: endpoints do.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import secrets
from collections.abc import Callable, Coroutine
from typing import Any

from ollama_proxy.errors import (
    BadRequest,
    Forbidden,
    InternalError,
    Overloaded,
    ProxyError,
    ShuttingDown,
    SlowRequest,
    TooLarge,
    Unauthorized,
    UnknownRoute,
    UnsupportedEncoding,
    WrongMethod,
)
from ollama_proxy.http1.server import Answer, Exchange, Request
from ollama_proxy.protocols import anthropic, ollama, openai
from ollama_proxy.server.access import Access, HostCheck, Origins, is_same_origin
from ollama_proxy.server.routing_table import Route, Table, clean_path
from ollama_proxy.server.unpack import is_taken, unpack
from ollama_proxy.server.visit import Visit
from ollama_proxy.telemetry import log_mistake
from ollama_proxy.types import Headers

__all__ = ["App"]

_log = logging.getLogger("ollama_proxy.server")
#: What is refused before any protocol comes into play looks the same on every path, as with Ollama: 404 and 405 as
#: plain text, 403 without a body.
_ROUTERS_OWN = (Forbidden, UnknownRoute, WrongMethod)


class App:
    """Serves requests by a table of routes.

    routes: endpoints are called with the visit; they answer it, or return a coroutine that will, or raise ProxyError.
    """

    def __init__(self, routes: list[Route], access: Access, origins: Origins, hosts: HostCheck) -> None:
        self.use(routes, access, origins, hosts)
        self._tasks: set[asyncio.Task[None]] = set()
        # Ids are unique within a run, and runs do not collide. 24 digits, as Ollama gives Anthropic's clients.
        self._ids = map(f"req_{secrets.token_hex(8)}%08x".__mod__, itertools.count(1))
        self.draining = False
        self._ending = False

    def use(self, routes: list[Route], access: Access, origins: Origins, hosts: HostCheck) -> None:
        """These rules and routes from the next request on."""
        self._table = Table(routes)
        self._access = access
        self._origins = origins
        self._hosts = hosts

    # --- what the HTTP protocol calls ---------------------------------------------------------------------------------

    def admit(self, request: Request) -> Answer | None:
        """None: go on and read the body."""
        cors = self._cors(request) if b"origin" in request.headers else []
        try:
            return self._at_the_door(request, cors)
        except ProxyError as error:
            return self._refusal(request, error, cors or [])

    def handle(self, exchange: Exchange) -> None:
        """Sends a whole request to its endpoint."""
        request = exchange.request
        common: Headers = [(b"x-request-id", next(self._ids).encode())]
        if b"origin" in request.headers:
            common += self._cors(request) or []
        try:
            route, tail = self._route(request)
            visit = Visit(exchange, tail, common)
            if b"content-encoding" in request.headers:
                visit.body = unpack(visit.body, _coding(request.headers))
            work = route.endpoint(visit)
        except ProxyError as error:
            status, headers, body = _told(error, self._path(request)[0], common[0][1])
            exchange.respond(status, [*headers, *common], body)
            return
        if work is not None:
            self._run(self._answered(work, visit))

    def fault(self, request: Request | None, status: int, message: str) -> Answer:
        """A malformed, late or too large request, in its client's protocol."""
        kinds: dict[int, Callable[[str], ProxyError]] = {
            408: SlowRequest,
            413: TooLarge,
            415: UnsupportedEncoding,
            500: InternalError,
            503: Overloaded,
        }
        error = kinds[status](message) if status in kinds else BadRequest(message, status=status)
        return self._refusal(request, error, [])

    # --- the door -----------------------------------------------------------------------------------------------------

    def _at_the_door(self, request: Request, cors: Headers | None) -> Answer | None:
        headers = request.headers
        origin = headers.get(b"origin")
        if cors is None:
            raise Forbidden("origin not allowed")
        if origin is not None and cors and request.method == "OPTIONS":
            return 204, self._origins.preflight(origin.decode("latin-1")), b""
        if not self._hosts.allows(headers.get(b"host", b"").decode("latin-1")):
            raise Forbidden("host not allowed")
        if request.method == "OPTIONS" and self._is_named(headers):
            return 204, [], b""
        route = None
        error: ProxyError | None = None
        try:
            route, _ = self._route(request)
        except ProxyError as problem:
            error = problem
        if not self._access.open and not (route is not None and route.open):
            self._check_token(headers, self._path(request)[1])
        if error is not None:
            raise error
        if self.draining:
            raise ShuttingDown("The proxy is about to stop; try again in a moment.", retry_after_s=2)
        if b"content-encoding" in headers and not is_taken(_coding(headers), self._path(request)[0]):
            raise UnsupportedEncoding("Send the body without Content-Encoding.")
        return None

    def _check_token(self, headers: dict[bytes, bytes], by_path: bool) -> None:
        if not self._access.admits(headers, by_path=by_path):
            raise Unauthorized(
                "This proxy wants its token: send it as Authorization: Bearer, as x-api-key, or first in the path."
            )

    def _is_named(self, headers: dict[bytes, bytes]) -> bool:
        """OPTIONS without a foreign origin is answered for a host that has a name, as in Ollama."""
        host = headers.get(b"host", b"").rpartition(b":")[0] or headers.get(b"host", b"")
        return bool(host) and not host.replace(b".", b"").isdigit() and not host.startswith(b"[")

    def _cors(self, request: Request) -> Headers | None:
        """Headers for a page of another origin; none for no page or our own; None: not allowed."""
        origin = request.headers.get(b"origin")
        if origin is None:
            return []
        text = origin.decode("latin-1")
        if is_same_origin(text, request.headers.get(b"host", b"").decode("latin-1")):
            return []
        return self._origins.headers(text) if self._origins.allows(text) else None

    def _route(self, request: Request) -> tuple[Route, str]:
        """The route, and what an open-ended one leaves of the path. Raises: UnknownRoute, WrongMethod."""
        route = self._table.direct.get((request.method, request.path))
        return (route, "") if route is not None else self._table.find(request.method, self._path(request)[0])

    def _path(self, request: Request) -> tuple[str, bool]:
        """(the path that the table knows, whether the token stood before it)."""
        path, by_path = self._access.path_within(request.path)
        return clean_path(path), by_path

    def _refusal(self, request: Request | None, error: ProxyError, cors: Headers) -> Answer:
        path = self._path(request)[0] if request is not None else "/"
        request_id = next(self._ids).encode()
        status, headers, body = _told(error, path, request_id)
        if _is_anthropics(path):
            headers.append((b"request-id", request_id))  # where their SDKs look for it
        return status, [*headers, (b"x-request-id", request_id), *cors], body

    # --- work ---------------------------------------------------------------------------------------------------------

    def end_all(self) -> None:
        """Cancels whatever is under way, and tells whom nobody else tells."""
        self._ending = True
        for task in list(self._tasks):
            task.cancel()

    async def _answered(self, work: Coroutine[Any, Any, None], visit: Visit) -> None:
        """Does the work, whose end is an answer: the gateway's own, or else one of ours."""
        try:
            await work
        except asyncio.CancelledError:
            if not self._ending or visit.finished:
                raise
            self._fail(visit, ShuttingDown("The proxy was stopped before the answer had ended.", retry_after_s=2))
        except Exception as error:  # noqa: BLE001 — a mistake of ours outside the gateway must not hang a client either
            self._fail(visit, log_mistake(_log, error))

    def _fail(self, visit: Visit, error: ProxyError) -> None:
        if visit.status and not visit.finished:
            visit.abort()
        else:
            visit.respond(*_told(error, self._path(visit.request)[0], visit.common[0][1]))

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        # The loop itself holds tasks only weakly.
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _told(error: ProxyError, path: str, request_id: bytes) -> Answer:
    """The error as the clients of this path read it."""
    if isinstance(error, _ROUTERS_OWN):
        return ollama.render_error(error)
    if _is_anthropics(path):
        return anthropic.render_error(error, request_id.decode())
    return openai.render_error(error) if path.startswith("/v1/") else ollama.render_error(error)


def _is_anthropics(path: str) -> bool:
    return path == "/v1/messages" or path.startswith("/v1/messages/")


def _coding(headers: dict[bytes, bytes]) -> bytes:
    return headers[b"content-encoding"].strip().lower()
