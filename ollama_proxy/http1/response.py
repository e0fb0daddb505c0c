"""Owns one answer: its head, and the way of its body to the one who asked. Knows nothing about sockets or framing.

A connection feeds it the body bytes of each socket read as one piece and tells it how the body ended; the caller either
reads it whole or has it relayed.

    HELD     nobody has asked for the body yet: kept up to HELD_BYTES, then the connection stops reading
    READING  read(): kept up to the caller's limit
    RELAYED  relay(): passed on at once, one call per socket read; kept only while paused
    CLOSED   close(), or the end was told: nothing is kept, nobody is called

Buffers: `_pieces` holds decoded bytes that nobody took yet; what a compressed body still hides stays in its decoder.
At the end of the body the connection is no longer ours (`_source` is None): it may already serve somebody else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from ollama_proxy.http1.decode import Decoder, decoder_for
from ollama_proxy.http1.faults import ConnectionLost, TooMuch, TransportFault

__all__ = ["HELD_BYTES", "Response", "Source"]

#: How much of a body waits for a caller that has not asked for it yet. One socket read may come on top.
HELD_BYTES = 65536


class Source(Protocol):
    """The connection, as far as an answer may use it."""

    def hold(self) -> None:
        """Stop reading; a caller who takes his time is not an idle upstream."""

    def stop_reading(self) -> None:
        """Stop reading, but go on counting the time: the caller ought to ask for the body."""

    def go_on(self) -> None:
        """Read again."""

    def abort(self) -> None:
        """Close at once; idempotent."""


_HELD, _READING, _RELAYED, _CLOSED = "held", "reading", "relayed", "closed"


class Response:
    """An answer whose head is here. `headers`: lower-case names, repeated fields joined by b", ", as they came.

    Ask for the body once, with read() or relay(); or close().
    """

    __slots__ = (
        "_decoder",
        "_ended",
        "_fault",
        "_flushing",
        "_limit",
        "_mode",
        "_on_data",
        "_on_end",
        "_paused",
        "_pieces",
        "_size",
        "_source",
        "_waiter",
        "headers",
        "status",
    )

    def __init__(self, status: int, headers: dict[bytes, bytes], source: Source) -> None:
        self.status = status
        self.headers = headers
        self._source: Source | None = source
        self._mode = _HELD
        self._pieces: list[bytes] = []
        self._size = 0
        self._limit = 0
        self._paused = self._flushing = self._ended = False
        self._fault: TransportFault | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._on_data: Callable[[bytes], None] | None = None
        self._on_end: Callable[[TransportFault | None], None] | None = None
        self._decoder: Decoder | None = None
        if b"content-encoding" in headers:
            self._choose_decoder(headers[b"content-encoding"])

    def __repr__(self) -> str:
        return f"<Response {self.status} {self._mode}>"

    # What the caller uses

    @property
    def is_over(self) -> bool:
        """The body has come to its end, well or badly: read() will not wait."""
        return self._ended

    async def read(self, max_bytes: int) -> bytes:
        """The whole decoded body. Returns without suspending when all of it is already here.

        Raises: TooMuch when it is larger than max_bytes, or whatever fault ended it. On a fault, and when the reading
        task is cancelled, the connection is closed at once.
        """
        self._begin(_READING)
        self._paused = False
        if self._ended and self._decoder is None and self._fault is None and self._size <= max_bytes:
            return self._taken()
        self._limit = max_bytes
        announced = self.headers.get(b"content-length", b"")
        if self._size > max_bytes or (announced.isdigit() and int(announced) > max_bytes and not self._ended):
            self._fail(TooMuch(f"the answer is larger than {max_bytes} bytes"))
        self._flush()
        if self._on_the_way():
            await self._wait()
        if self._fault is not None:
            self._pieces.clear()  # the traceback would keep them
            raise self._fault
        return self._taken()

    def relay(self, on_data: Callable[[bytes], None], on_end: Callable[[TransportFault | None], None]) -> None:
        """Pass the decoded body on: on_data for what each socket read brought, then on_end exactly once.

        on_end gets None after a whole body, else the fault. What is already here, the end included, is delivered
        before relay returns; the rest comes from within the connection's own read callback. A compressed body comes
        in blocks of at most 64 KiB. The callbacks may pause, resume or close, and must not raise.
        """
        self._begin(_RELAYED)
        self._on_data, self._on_end = on_data, on_end
        self._flush()
        if not self._paused and self._source is not None:
            self._source.go_on()

    def pause(self) -> None:
        """No on_data from now on; the connection stops reading, so that the upstream feels it."""
        self._paused = True
        if self._source is not None:
            self._source.hold()

    def resume(self) -> None:
        """Deliver what was held and read on."""
        if not self._paused:
            return
        self._paused = False
        self._flush()
        if not self._paused and self._source is not None:
            self._source.go_on()

    def close(self) -> None:
        """Be done with it; idempotent, and no callback follows.

        A body that is not complete costs the connection: it is closed at once, so that the upstream stops working.
        """
        source, self._source = self._source, None
        self._release()
        self._pieces.clear()
        if self._waiter is not None and not self._waiter.done():
            self._fault = ConnectionLost("closed by ourselves while the answer was being read", response_began=True)
            self._waiter.set_result(None)
        if source is not None:
            source.abort()

    # What the connection uses

    def feed(self, data: bytes) -> None:
        """Body bytes of one socket read, still coded."""
        if self._decoder is None and self._on_data is not None and not self._paused and not self._pieces:
            self._on_data(data)
            return
        if self._mode == _CLOSED:
            return
        if self._decoder is not None:
            self._decoder.push(data)
        else:
            self._keep(data)
        if self._mode != _HELD or self._decoder is not None:
            self._flush()
        if self._mode == _HELD and self._size >= HELD_BYTES and self._source is not None:
            self._source.stop_reading()

    def finish(self, fault: TransportFault | None) -> None:
        """The body is over: whole (None), or ended by a fault. The connection is not ours any more."""
        self._source = None
        self._ended = True
        self._fault = self._fault or fault
        if self._mode != _HELD or self._decoder is not None:
            self._flush()

    # Inside

    def _choose_decoder(self, coding: bytes) -> None:
        try:
            self._decoder = decoder_for(coding)
        except TransportFault as fault:
            # Status and headers are still worth having (a 429 with Retry-After), so that only the body is refused.
            self._fail(fault)

    def _begin(self, mode: str) -> None:
        if self._mode != _HELD:
            raise RuntimeError("the body of an answer can be asked for once")
        self._mode = mode

    def _taken(self) -> bytes:
        self._mode = _CLOSED
        return b"".join(self._pieces)

    def _on_the_way(self) -> bool:
        return self._fault is None and not self._ended

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        if self._source is not None:
            self._source.go_on()
        try:
            await self._waiter
        except asyncio.CancelledError:
            self.close()
            raise
        finally:
            self._waiter = None

    def _keep(self, data: bytes) -> None:
        self._pieces.append(data)
        self._size += len(data)
        if self._mode == _READING and self._size > self._limit:
            self._fail(TooMuch(f"the answer is larger than {self._limit} bytes"))

    def _fail(self, fault: TransportFault) -> None:
        """A fault that we find ourselves: nothing more is wanted from the connection."""
        source, self._source = self._source, None
        self._ended = True
        self._fault = fault
        self._decoder = None
        if source is not None:
            source.abort()

    def _flush(self) -> None:
        """Move on what can be moved on, and tell the end when nothing is left. Never entered twice at a time."""
        if self._flushing:
            return
        self._flushing = True
        try:
            while self._move_one():
                pass
        finally:
            self._flushing = False
        if self._ended and self._mode != _HELD and not self._paused and self._is_empty():
            self._tell_end()

    def _move_one(self) -> bool:
        """Whether one step was done; False when there is nothing to do or nobody to take it."""
        if self._paused or self._mode == _CLOSED:
            return False
        if self._mode == _RELAYED and self._pieces:
            data = b"".join(self._pieces)
            self._pieces.clear()
            self._size = 0
            if self._on_data is not None:
                self._on_data(data)
            return True
        if self._decoder is None or (self._mode == _HELD and self._size >= HELD_BYTES):
            return False
        return self._decode_one(self._decoder)

    def _decode_one(self, decoder: Decoder) -> bool:
        try:
            block = decoder.pull()
            if not block and self._ended:
                self._decoder = None
                if self._fault is None:
                    decoder.finish()
        except TransportFault as fault:
            self._fail(fault)
            return True
        if block:
            self._keep(block)
        return bool(block)

    def _is_empty(self) -> bool:
        return self._decoder is None and (self._mode == _READING or not self._pieces)

    def _tell_end(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        if self._mode == _RELAYED:
            on_end = self._on_end
            self._release()
            if on_end is not None:
                on_end(self._fault)

    def _release(self) -> None:
        self._mode = _CLOSED
        self._on_data = self._on_end = self._decoder = None
