"""Owns one request inside the server: what was asked, and the client's side with what every answer carries."""

from __future__ import annotations

from collections.abc import Callable

from ollama_proxy.http1.server import Exchange, Request
from ollama_proxy.types import Headers

__all__ = ["Visit"]


class Visit:
    """A request that passed the door. Serves as the `Client` of the gateway.

    tail: what a route with an open end left of the path (`/v1/models/…`), still percent-encoded.
    common: headers of every answer to this request (request id, CORS).
    status: of the answer, once it has begun; 0 before.
    """

    __slots__ = ("_exchange", "body", "common", "request", "status", "tail")

    def __init__(self, exchange: Exchange, tail: str, common: Headers) -> None:
        self._exchange = exchange
        self.request: Request = exchange.request
        self.body: bytes = exchange.body
        self.tail = tail
        self.common = common
        self.status = 0

    @property
    def finished(self) -> bool:
        return self._exchange.finished

    @property
    def on_gone(self) -> Callable[[], None] | None:
        return self._exchange.on_gone

    @on_gone.setter
    def on_gone(self, call: Callable[[], None] | None) -> None:
        self._exchange.on_gone = call

    @property
    def on_flow(self) -> Callable[[bool], None] | None:
        return self._exchange.on_flow

    @on_flow.setter
    def on_flow(self, call: Callable[[bool], None] | None) -> None:
        self._exchange.on_flow = call

    def respond(self, status: int, headers: Headers, body: bytes) -> None:
        self.status = status
        self._exchange.respond(status, [*headers, *self.common], body)

    def start(self, status: int, headers: Headers) -> None:
        self.status = status
        self._exchange.start(status, [*headers, *self.common])

    def write(self, data: bytes) -> None:
        self._exchange.write(data)

    def end(self) -> None:
        self._exchange.end()

    def abort(self) -> None:
        self._exchange.abort()
