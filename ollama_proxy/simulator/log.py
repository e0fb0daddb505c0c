"""Owns what the simulator remembers of each request, and waiting for something to happen. Knows no provider.

A key appears only by its label, in the fields as in the headers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Arrival", "Log"]


@dataclass(slots=True, eq=False)
class Arrival:
    """One request and what became of it.

    number: 1 for the first request of this simulator; connection: 1 for its first connection.
    operation: chat, completions, fim, embeddings, models, model, key, credits; "" for a path nobody serves.
    key: the key's label. model: as asked for, with any `!fault`. body: the JSON object read, None if it is none; raw:
    the body's bytes.
    outcome: what was answered (`chat`, `stream`, `429-day`, `cut` ...).
    Times are the simulator's clock (`now`), None while it has not happened. `bytes_sent` counts head and body.
    peer_closed: the client closed this connection, at whatever time; gave_up: it did so before the answer's end.
    """

    number: int
    connection: int
    provider: str
    operation: str
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    key: str
    model: str
    stream: bool
    body: Any
    opened_at: float
    raw: bytes = field(default=b"", repr=False)
    outcome: str = ""
    status: int = 0
    first_byte_at: float | None = None
    finished_at: float | None = None
    peer_closed_at: float | None = None
    bytes_sent: int = 0
    gave_up: bool = False
    told: bool = field(default=False, repr=False)
    peer_closed: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    def facts(self) -> dict[str, Any]:
        """The arrival as plain JSON values."""
        names = (
            "number connection provider operation method path query headers key model stream body opened_at outcome "
            "status first_byte_at finished_at peer_closed_at bytes_sent gave_up"
        )
        return {name: getattr(self, name) for name in names.split()}

    def __str__(self) -> str:
        asked = f"{self.provider or '-'} {self.operation or self.path} {self.model}".rstrip()
        return f"{asked} key={self.key or '-'} -> {self.status} {self.outcome}"


class Log:
    """The newest arrivals, oldest first; at most `size` of them."""

    def __init__(self, size: int) -> None:
        self.arrivals: list[Arrival] = []
        self._size = size
        self._watchers: list[tuple[Callable[[], object], asyncio.Future[object]]] = []

    def add(self, arrival: Arrival) -> None:
        self.arrivals.append(arrival)
        if len(self.arrivals) > self._size:
            del self.arrivals[: len(self.arrivals) - self._size]
        self.changed()

    def clear(self) -> None:
        self.arrivals.clear()
        self.changed()

    def changed(self) -> None:
        """Look at every waiting predicate again."""
        for watcher in list(self._watchers):
            predicate, future = watcher
            if future.done():
                self._watchers.remove(watcher)
                continue
            try:
                found = predicate()
            except Exception as error:  # noqa: BLE001  a test's predicate failed: the test must see it, not the server
                future.set_exception(error)
                continue
            if found:
                future.set_result(found)

    async def wait_for(self, predicate: Callable[[list[Arrival]], Any], timeout_s: float) -> Any:
        """What the predicate answers for the arrivals, as soon as that is true.

        Raises: TimeoutError, with the log, after `timeout_s` seconds.
        """
        found = predicate(self.arrivals)
        if found:
            return found
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._watchers.append((lambda: predicate(self.arrivals), future))
        done, _ = await asyncio.wait([future], timeout=timeout_s)
        if done:
            return future.result()
        future.cancel()
        lines = "\n".join(f"  {arrival}" for arrival in self.arrivals[-20:]) or "  nothing arrived"
        raise TimeoutError(f"not seen within {timeout_s} s; the log holds\n{lines}")
