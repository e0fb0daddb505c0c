"""One client of a soak on its socket: asks, reads or leaves, and says what came of it. Knows no proxy from inside."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from bench.soak.plan import Visit, name_of
from tests.support.client_kinds import Told
from tests.support.faulty_world import render
from tests.support.sim_kit import Got

__all__ = ["Client", "Note", "judge"]

#: Longer than the proxy's own limits in a soak; who waits longer hangs.
_PATIENCE_S = 30.0
_NOW = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Note:
    """What came of one visit.

    end: ok, told (an error where there was a fault), turned away (an honest "later"), left, or wrong, with `why`.
    attempts: how many calls to a provider the answer speaks of; None where it says nothing.
    """

    name: str
    end: str
    why: str = ""
    attempts: int | None = None


def judge(visit: Visit, told: Told, text: str) -> tuple[str, str]:
    """(the end, why it is wrong) of an answer; `text` is what a good one says."""
    if told.complete and not told.error:
        return ("ok", "") if told.text == text else ("wrong", f"a complete answer with other words: {told.text[:80]!r}")
    if not told.ended or not told.error:
        return "wrong", f"an answer that neither ends well nor says why: {told.body[-200:]!r}"
    if visit.fault:
        return "told", ""
    if told.status in (429, 503) and "retry-after" in told.headers:
        return "turned away", ""
    return "wrong", f"status {told.status} without a reason: {told.error[:200]}"


class Client:
    """Plays the visits of one client, one after another; its connection is kept where the server lets it."""

    def __init__(self, number: int, port: int, text: str) -> None:
        self.number = number
        self._port = port
        self._text = text
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def play(self, visits: Iterator[Visit], until: float) -> list[Note]:
        """What came of each visit begun before `until` (the loop's time)."""
        notes = []
        loop = asyncio.get_running_loop()
        for count, visit in enumerate(visits):
            await asyncio.sleep(max(0.0, min(visit.pause_s, until - loop.time())))
            if loop.time() >= until:
                break
            name = name_of(self.number, count)
            try:
                note = await asyncio.wait_for(self._visit(visit, name), _PATIENCE_S)
            except asyncio.TimeoutError:
                note = Note(name, "wrong", "it hangs")
                self._hang_up()
            except Exception as error:  # noqa: BLE001 — whatever the answer was, it is told as a wrong one
                note = Note(name, "wrong", f"{type(error).__name__}: {str(error)[:200]}")
                self._hang_up()
            notes.append(note)
        self._hang_up()
        return notes

    async def _visit(self, visit: Visit, name: str) -> Note:
        question = f"{name} {'word ' * (visit.padding // 5)}Say it."
        request = render(visit.way.path, visit.way.body(visit.model, question), close=False)
        if visit.fresh:
            self._hang_up()
        reader, writer = self._streams or await asyncio.open_connection("127.0.0.1", self._port)
        self._streams = reader, writer
        writer.write(request)
        await writer.drain()
        if visit.leaves == "before":
            self._hang_up(visit.how)
            return Note(name, "left")
        raw = await self._read(reader, to_the_middle=visit.leaves == "middle")
        if visit.leaves:
            self._hang_up(visit.how)
            return Note(name, "left")
        got = Got(raw, "eof")
        told = visit.way.told(got)
        if not got.complete or got.headers.get("connection") == "close":
            self._hang_up()
        end, why = judge(visit, told, self._text)
        attempts = told.headers.get("x-proxy-attempts") if end == "ok" else None
        return Note(name, end, why, None if attempts is None else int(attempts))

    async def _read(self, reader: asyncio.StreamReader, *, to_the_middle: bool) -> bytes:
        raw = await reader.readuntil(b"\r\n\r\n")
        head = raw.lower()
        if to_the_middle:
            return raw + await reader.read(64)
        if b"transfer-encoding: chunked" not in head:
            return raw + await reader.readexactly(int(head.partition(b"content-length: ")[2].split(b"\r\n")[0]))
        pieces = [raw]
        while not (len(pieces[-1]) == 5 and pieces[-1] == b"0\r\n\r\n"):
            size = await reader.readuntil(b"\r\n")
            pieces.append(size + await reader.readexactly(int(size, 16) + 2))
        return b"".join(pieces)

    def _hang_up(self, how: str = "fin") -> None:
        if self._streams is None:
            return
        _, writer = self._streams
        self._streams = None
        if how == "rst":
            sock = writer.get_extra_info("socket")
            if sock is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NOW)
            writer.transport.abort()
        else:
            writer.close()
