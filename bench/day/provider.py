"""A provider with a free tier, compressed: its minute is five seconds, its day the whole run.

Owns: limits per key and minute, allowances per key and day, one key that is revoked, one outage; and the book of every
call. Knows nothing of who calls. It answers as an OpenAI-compatible service does, with honest hints.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections import Counter
from dataclasses import dataclass, field

__all__ = ["KEYS", "Day", "Provider"]

KEYS = tuple(f"day-key-number-{number}" for number in range(1, 6))


@dataclass(frozen=True, slots=True)
class Day:
    """What happens, in seconds from the start. per_day is for most keys; the last key has `short_day`."""

    length_s: float = 60.0
    minute_s: float = 5.0
    per_minute: int = 12
    per_day: int = 110
    short_day: int = 25
    revoked_at_s: float = 15.0
    outage_s: tuple[float, float] = (28.0, 36.0)
    latency_s: float = 0.15
    #: Requests a second in between, and (moment, how many at once).
    rate: float = 7.0
    bursts: tuple[tuple[float, int], ...] = ((10.0, 40), (45.0, 40))


@dataclass
class Provider:
    """The service. book: (moment, key, status) of every chat call."""

    day: Day
    began: float = 0.0
    book: list[tuple[float, str, int]] = field(default_factory=list)
    _used: Counter[str] = field(default_factory=Counter)
    _minute: Counter[tuple[str, int]] = field(default_factory=Counter)
    _server: asyncio.Server | None = None

    async def start(self) -> str:
        """Listens; the base URL."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"

    def begin(self) -> None:
        """The day begins now."""
        self.began = time.monotonic()
        self.book.clear()
        self._used.clear()
        self._minute.clear()

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                fields = {
                    name.lower(): value.strip()
                    for name, _, value in (line.partition(b":") for line in head.split(b"\r\n")[1:-2])
                }
                await reader.readexactly(int(fields.get(b"content-length", b"0")))
                if b"/models" in head.split(b"\r\n")[0]:
                    self._send(writer, 200, {"object": "list", "data": [{"id": "day", "object": "model"}]})
                    continue
                key = fields.get(b"authorization", b"").removeprefix(b"Bearer ").decode()
                status, answer, wait_s = self._judge(key)
                self.book.append((time.monotonic() - self.began, key, status))
                await asyncio.sleep(self.day.latency_s if status == 200 else 0.02)
                self._send(writer, status, answer, wait_s)
                if fields.get(b"connection") == b"close":
                    return
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            # Whoever leaves in the middle, and the end of the day itself.
            return
        finally:
            writer.close()

    def _judge(self, key: str) -> tuple[int, dict[str, object], float | None]:
        day, now = self.day, time.monotonic() - self.began
        if key == KEYS[2] and now >= day.revoked_at_s:
            return 401, _error("Incorrect API key provided.", "invalid_api_key"), None
        if day.outage_s[0] <= now < day.outage_s[1]:
            return 503, _error("The service is temporarily unavailable.", "unavailable"), None
        allowance = day.short_day if key == KEYS[4] else day.per_day
        if self._used[key] >= allowance:
            said = f"Rate limit reached for requests per day (RPD): Limit {allowance}. Please try again in 7h12m0s."
            return 429, _error(said, "rate_limit_exceeded"), 25_920.0
        minute = int(now / day.minute_s)
        if self._minute[key, minute] >= day.per_minute:
            wait_s = (minute + 1) * day.minute_s - now
            said = f"Rate limit reached for requests per min (RPM): Limit {day.per_minute}."
            return 429, _error(said, "rate_limit_exceeded"), wait_s
        self._minute[key, minute] += 1
        self._used[key] += 1
        return 200, _ANSWER, None

    @staticmethod
    def _send(writer: asyncio.StreamWriter, status: int, answer: object, wait_s: float | None = None) -> None:
        body = json.dumps(answer).encode()
        hint = (
            ""
            if wait_s is None
            else f"retry-after: {math.ceil(wait_s)}\r\nretry-after-ms: {math.ceil(wait_s * 1000)}\r\n"
        )
        head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{hint}content-length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)


_ANSWER: dict[str, object] = {
    "id": "chatcmpl-day",
    "object": "chat.completion",
    "created": 1,
    "model": "day",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}


def _error(message: str, code: str) -> dict[str, object]:
    return {"error": {"message": message, "type": "requests", "param": None, "code": code}}
