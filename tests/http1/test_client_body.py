"""The way of a body to its reader: relaying, back-pressure, and the undoing of content codings nobody asked for."""

from __future__ import annotations

import asyncio
import gzip
import os
import random
import sys
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from ollama_proxy.http1.client import Client, Origin, Response, Timeouts
from ollama_proxy.http1.decode import BLOCK, decoder_for
from ollama_proxy.http1.faults import BadFraming, ConnectionLost, EncodingRefused, TimedOut, TooMuch, TransportFault
from ollama_proxy.http1.response import HELD_BYTES
from tests.support.fake_upstream import (
    Upstream,
    answer,
    close,
    firehose,
    request,
    reset,
    send,
    stall,
    tell,
    wait,
    whole,
)
from tests.support.loops import on_every_loop, play
from tests.support.memory_transport import connect_in_memory

#: The defaults are longer than the patience of a test: what waits for them fails it.
LONG = Timeouts()
HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


async def post(client: Client, origin: Origin, *, timeouts: Timeouts = LONG) -> Response:
    return await client.request("POST", origin, "/", [], b"{}", timeouts)


class Reader:
    """Takes a relayed body and notes what happened, in order."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []
        self.ended: asyncio.Future[TransportFault | None] = asyncio.get_running_loop().create_future()

    def on_end(self, fault: TransportFault | None) -> None:
        self.ended.set_result(fault)

    @property
    def text(self) -> bytes:
        return b"".join(self.seen)


# Relaying


@on_every_loop
async def test_what_is_already_here_is_delivered_before_relay_returns() -> None:
    """The end included."""
    async with Upstream([answer(whole(b"all of it"))]) as upstream:
        client = Client()
        got, reader = await post(client, upstream.origin), Reader()
        got.relay(reader.seen.append, reader.on_end)
        assert (reader.seen, reader.ended.done()) == ([b"all of it"], True)
        await client.close()


def test_one_socket_read_is_one_call() -> None:
    """However many chunks it holds; and the end comes in the same turn."""

    async def story() -> None:
        connection, _ = connect_in_memory()
        future = connection.send(b"", b"", LONG)
        connection.data_received(CHUNKED + b"1\r\na\r\n2\r\nbc\r\n")
        got, reader = await future, Reader()
        got.relay(reader.seen.append, reader.on_end)
        connection.data_received(b"1\r\nd\r\n3\r\nefg\r\n1")
        connection.data_received(b"\r\nh\r\n0\r\n\r\n")
        assert (reader.seen, reader.ended.result()) == ([b"abc", b"defg", b"h"], None)
        connection.abort()
        await asyncio.sleep(0)

    play(story())


def test_a_body_is_asked_for_once() -> None:
    """read() and relay(), in any combination."""

    async def story() -> None:
        connection, _ = connect_in_memory()
        future = connection.send(b"", b"", LONG)
        connection.data_received(whole(b"x"))
        got = await future
        assert await got.read(1) == b"x"
        with pytest.raises(RuntimeError):
            await got.read(1)
        with pytest.raises(RuntimeError):
            got.relay(lambda _: None, lambda _: None)
        connection.abort()
        await asyncio.sleep(0)

    play(story())


def test_reading_what_is_already_here_does_not_suspend() -> None:
    """A small answer costs no further turn of the loop."""

    async def story() -> None:
        connection, _ = connect_in_memory()
        future = connection.send(b"", b"", LONG)
        connection.data_received(whole(b"x"))
        got = await future
        with pytest.raises(StopIteration) as done:
            got.read(10).send(None)
        assert done.value.value == b"x"
        connection.abort()
        await asyncio.sleep(0)

    play(story())


def test_an_answer_given_up_in_the_moment_it_came_leaves_its_connection_in_order() -> None:
    """Cancelled before the answer is seen: closed. Cancelled after: free, and the next one gets its own answer."""

    async def story() -> None:
        connection, transport = connect_in_memory()
        future = connection.send(b"", b"", LONG)
        future.cancel()
        connection.data_received(whole(b"x"))
        assert transport.aborted
        connection, transport = connect_in_memory()
        future = connection.send(b"", b"", LONG)
        connection.data_received(whole(b"x"))
        future.result().close()
        assert not transport.aborted
        following = connection.send(b"", b"", LONG)
        future.result().close()
        connection.data_received(whole(b"y"))
        assert await (await following).read(9) == b"y"
        connection.abort()
        await asyncio.sleep(0)

    play(story())


@on_every_loop
async def test_closing_from_within_a_callback_ends_everything() -> None:
    """No further call, and the upstream sees it."""
    async with Upstream([request(), send(CHUNKED + b"1\r\na\r\n"), firehose(b"1\r\nb\r\n")]) as upstream:
        client = Client()
        got, reader = await post(client, upstream.origin), Reader()

        def once(data: bytes) -> None:
            reader.seen.append(data)
            got.close()

        got.relay(once, reader.on_end)
        await upstream.visits[0].gone.wait()
        assert len(reader.seen) == 1
        assert not reader.ended.done()
        await client.close()


@on_every_loop
async def test_a_fault_comes_after_what_came_before_it() -> None:
    """F36: three pieces were sent, then RST or bad framing; nothing is lost, nothing is said twice."""
    for rest in ([reset()], [send(b"zz\r\n"), stall()], [close()]):
        sent = asyncio.Event()
        async with Upstream([request(), send(CHUNKED + b"3\r\nabc\r\n"), wait(sent), *rest]) as upstream:
            client = Client()
            got, reader = await post(client, upstream.origin), Reader()
            got.relay(reader.seen.append, reader.on_end)
            sent.set()
            assert isinstance(await reader.ended, TransportFault)
            assert reader.text == b"abc"
            await client.close()


def test_bad_framing_comes_after_the_body_bytes_of_the_same_read() -> None:
    """F41: three bytes and a broken chunk size in one segment, with and without the head in it."""

    async def story() -> None:
        for parts in ([CHUNKED + b"3\r\nabc\r\nzz\r\n"], [CHUNKED, b"3\r\nabc\r\nzz\r\n"]):
            connection, transport = connect_in_memory()
            future = connection.send(b"", b"", LONG)
            for part in parts:
                connection.data_received(part)
            got, reader = await future, Reader()
            got.relay(reader.seen.append, reader.on_end)
            assert (reader.seen, type(reader.ended.result())) == ([b"abc"], BadFraming)
            assert transport.aborted
        await asyncio.sleep(0)

    play(story())


# Back-pressure


def resident_bytes() -> int:
    """Memory of this process now; 0 where it cannot be told."""
    if not sys.platform.startswith("linux"):
        return 0
    with open("/proc/self/statm") as statm:  # noqa: PTH123 - a pseudo file
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@on_every_loop
async def test_a_paused_reader_stops_a_firehose_without_memory() -> None:
    """F66, P8: while paused, nothing is delivered, at most a few hundred KiB wait, and no idle timeout strikes."""
    block = b"x" * 100_000
    async with Upstream([request(), send(HEAD + b"\r\n"), firehose(block)]) as upstream:
        client = Client()
        got, reader = await post(client, upstream.origin, timeouts=Timeouts(idle_s=0.05)), Reader()
        amount = 0

        def count(data: bytes) -> None:
            nonlocal amount
            amount += len(data)

        before = resident_bytes()
        got.relay(count, reader.on_end)
        got.pause()
        paused_at = amount
        visit = upstream.visits[0]
        while visit.is_clear.is_set():  # until the upstream feels it
            await asyncio.sleep(0)
        await asyncio.sleep(0.1)
        assert (amount, reader.ended.done()) == (paused_at, False)
        assert visit.transport.get_write_buffer_size() > 0
        assert resident_bytes() - before < 8_000_000
        got.resume()
        while amount < 20_000_000:
            await asyncio.sleep(0)
        assert resident_bytes() - before < 8_000_000
        got.close()
        await client.close()


@on_every_loop
async def test_an_answer_nobody_asks_for_holds_little_and_ends_in_time() -> None:
    """Held up to 64 KiB and one read; then the upstream is not read, and after idle_s it is over."""
    async with Upstream([request(), send(HEAD + b"\r\n"), firehose(b"x" * 100_000)]) as upstream:
        client = Client()
        got = await post(client, upstream.origin, timeouts=Timeouts(idle_s=0.05))
        await upstream.visits[0].gone.wait()
        with pytest.raises(TimedOut) as caught:
            await got.read(1 << 30)
        assert caught.value.phase == "idle"
        await client.close()


@on_every_loop
async def test_a_held_answer_goes_on_when_it_is_asked_for() -> None:
    """A body larger than what is held, asked for late, by read and by relay."""
    body = random.Random(1).randbytes(HELD_BYTES * 20)
    for relayed in (False, True):
        full = asyncio.Event()

        async def send_all(visit: Any, full: asyncio.Event = full) -> None:
            visit.transport.write(whole(body))
            full.set()

        async with Upstream([request(), send_all, stall()]) as upstream:
            client = Client()
            got, reader = await post(client, upstream.origin), Reader()
            await full.wait()
            for _ in range(20):
                await asyncio.sleep(0)
            if relayed:
                got.relay(reader.seen.append, reader.on_end)
                assert await reader.ended is None
            assert (reader.text if relayed else await got.read(len(body))) == body
            await client.close()


def test_pieces_that_come_while_paused_wait_for_the_reader() -> None:
    """Bytes already under way, and the end, are delivered on resume, in order; also from within a callback."""

    async def story() -> None:
        connection, transport = connect_in_memory()
        future = connection.send(b"", b"", LONG)
        connection.data_received(CHUNKED)
        got, reader = await future, Reader()
        got.relay(reader.seen.append, reader.on_end)
        got.pause()
        assert not transport.is_reading()
        connection.data_received(b"1\r\na\r\n")
        connection.data_received(b"1\r\nb\r\n0\r\n\r\n")
        assert (reader.seen, reader.ended.done()) == ([], False)
        assert transport.is_reading()  # whole: free for the next, and watching for EOF
        got.resume()
        assert (reader.seen, reader.ended.result()) == ([b"ab"], None)
        connection.abort()
        await asyncio.sleep(0)

    play(story())


def test_the_end_waits_for_a_paused_reader_too() -> None:
    """Paused means no callback at all, also where nothing is held."""

    async def story() -> None:
        connection, _ = connect_in_memory()
        future = connection.send(b"", b"", LONG)
        connection.data_received(CHUNKED)
        got, reader = await future, Reader()
        got.relay(reader.seen.append, reader.on_end)
        got.pause()
        connection.data_received(b"0\r\n\r\n")
        assert not reader.ended.done()
        got.resume()
        assert reader.ended.done()
        connection.abort()
        await asyncio.sleep(0)

    play(story())


def test_resuming_from_within_every_callback_does_not_pile_up() -> None:
    """Hundreds of decoded blocks, each paused and resumed in its own callback: no recursion."""

    async def story() -> None:
        connection, _ = connect_in_memory()
        future = connection.send(b"", b"", LONG)
        body = TEXT * 60
        connection.data_received(whole(gzip.compress(body, 1), b"Content-Encoding: gzip"))
        got, amount = await future, 0
        ends: list[TransportFault | None] = []

        def take(data: bytes) -> None:
            nonlocal amount
            amount += len(data)
            got.pause()
            got.resume()

        got.relay(take, ends.append)
        assert (amount, ends) == (len(body), [None])
        connection.abort()
        await asyncio.sleep(0)

    play(story())


@on_every_loop
async def test_pausing_after_every_piece_changes_nothing() -> None:
    """Any pattern of pause and resume gives the same bytes."""
    body = random.Random(2).randbytes(3_000_000)
    for reply in (whole(body), whole(gzip.compress(body, 1), b"Content-Encoding: gzip")):
        async with Upstream([answer(reply)]) as upstream:
            client = Client()
            got, reader = await post(client, upstream.origin), Reader()
            loop = asyncio.get_running_loop()

            def take(data: bytes, got: Response = got, reader: Reader = reader, loop: Any = loop) -> None:
                reader.seen.append(data)
                got.pause()
                if len(reader.seen) % 3:
                    loop.call_soon(got.resume)
                else:
                    got.resume()

            got.relay(take, reader.on_end)
            assert await reader.ended is None
            assert reader.text == body
            await client.close()


# Content codings


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


PACKERS: dict[str, tuple[bytes, Callable[[bytes], bytes]]] = {
    "gzip": (b"gzip", gzip.compress),
    "x-gzip": (b"X-GZIP", gzip.compress),
    "zlib": (b"deflate", zlib.compress),
    "raw": (b"deflate", raw_deflate),
    "identity": (b"identity", bytes),
}
TEXT = b"".join(b'data: {"delta":"%d"}\n\n' % n for n in range(20_000))


@pytest.mark.parametrize(("coding", "pack"), PACKERS.values(), ids=PACKERS)
def test_a_coded_body_is_decoded(coding: bytes, pack: Callable[[bytes], bytes]) -> None:
    """Although identity was asked for; read and relayed, and the connection serves on."""

    async def story() -> None:
        reply = whole(pack(TEXT), b"Content-Encoding: " + coding)
        async with Upstream([answer(reply, times=3)]) as upstream:
            client = Client()
            assert await (await post(client, upstream.origin)).read(len(TEXT)) == TEXT
            got, reader = await post(client, upstream.origin), Reader()
            got.relay(reader.seen.append, reader.on_end)
            assert await reader.ended is None
            assert reader.text == TEXT
            if coding != b"identity":
                assert max(map(len, reader.seen)) <= BLOCK
            with pytest.raises(TooMuch):
                await (await post(client, upstream.origin)).read(len(TEXT) - 1)
            assert len(upstream.visits) == 1
            await client.close()

    play(story())


@pytest.mark.parametrize(("coding", "pack"), PACKERS.values(), ids=PACKERS)
def test_any_cut_of_a_coded_body_decodes_the_same(coding: bytes, pack: Callable[[bytes], bytes]) -> None:
    """Byte by byte, and 0 bytes at all."""
    decoder = decoder_for(coding)
    if decoder is None:
        return
    out = []
    for byte in pack(TEXT[:3000]):
        decoder.push(bytes([byte]))
        while block := decoder.pull():
            out.append(block)
    decoder.finish()
    assert b"".join(out) == TEXT[:3000]
    empty = decoder_for(coding)
    assert empty is not None
    assert empty.pull() == b""
    empty.finish()


@pytest.mark.parametrize("coding", [b"br", b"zstd", b"gzip, gzip", b"compress", b"nonsense" * 1000])
def test_an_unknown_coding_is_refused_but_the_head_is_not(coding: bytes) -> None:
    """F43: a 429 keeps its status and its Retry-After; the body is refused, briefly, and the connection closed."""

    async def story() -> None:
        reply = whole(b"body", b"Retry-After: 7", b"Content-Encoding: " + coding, status=b"429 Too Many")
        async with Upstream([answer(reply), stall()]) as upstream:
            client = Client()
            for relayed in (False, True):
                got, reader = await post(client, upstream.origin), Reader()
                assert (got.status, got.headers[b"retry-after"]) == (429, b"7")
                if relayed:
                    got.relay(reader.seen.append, reader.on_end)
                    assert isinstance(await reader.ended, EncodingRefused)
                    assert reader.seen == []
                else:
                    with pytest.raises(EncodingRefused) as caught:
                        await got.read(100)
                    assert len(str(caught.value)) < 120
            for visit in upstream.visits:
                await visit.gone.wait()
            await client.close()

    play(story())


DAMAGED = {
    "cut": gzip.compress(TEXT)[:-9],
    "flipped": gzip.compress(TEXT)[:500] + b"\xff\xff" + gzip.compress(TEXT)[502:],
    "checksum": gzip.compress(TEXT)[:-8] + b"\0\0\0\0" + gzip.compress(TEXT)[-4:],
    "no gzip": b"plain text",
    "more behind it": gzip.compress(TEXT) + b"x",
    "two members": gzip.compress(TEXT) * 2,
}


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_coded_body_is_a_fault(data: bytes) -> None:
    """P5: it is never taken for whole, in whatever pieces it comes."""

    async def story() -> None:
        reply = whole(data, b"Content-Encoding: gzip")
        async with Upstream([answer(reply, times=2)]) as upstream:
            client = Client()
            with pytest.raises(EncodingRefused):
                await (await post(client, upstream.origin)).read(1 << 20)
            got, reader = await post(client, upstream.origin), Reader()
            got.relay(reader.seen.append, reader.on_end)
            assert isinstance(await reader.ended, EncodingRefused)
            assert TEXT.startswith(reader.text)
            await client.close()

    play(story())


BOMBS = {name: pack(b"\0" * 200_000_000) for name, pack in (("gzip", gzip.compress), ("deflate", zlib.compress))}


@pytest.mark.parametrize("relayed", [False, True], ids=["read", "relay"])
@pytest.mark.parametrize("coding", BOMBS)
def test_a_bomb_is_refused_before_it_grows(coding: str, relayed: bool) -> None:
    """F43: 190 KB that would become 200 MB; memory stays flat, read or relayed."""

    async def story() -> None:
        reply = whole(BOMBS[coding], b"Content-Encoding: " + coding.encode())
        async with Upstream([answer(reply)]) as upstream:
            client = Client()
            before = resident_bytes()
            got, reader = await post(client, upstream.origin), Reader()
            if relayed:
                got.relay(lambda _: None, reader.on_end)
                assert isinstance(await reader.ended, TooMuch)
            else:
                with pytest.raises(TooMuch):
                    await got.read(1 << 30)
            assert resident_bytes() - before < 10_000_000
            await client.close()

    play(story())


@on_every_loop
async def test_a_paused_reader_of_a_coded_body_keeps_it_coded() -> None:
    """What is not wanted yet is not decoded; the end waits behind it."""
    body = TEXT * 3
    async with Upstream([answer(whole(gzip.compress(body), b"Content-Encoding: gzip"))]) as upstream:
        client = Client()
        got, reader = await post(client, upstream.origin), Reader()

        def take(data: bytes) -> None:
            reader.seen.append(data)
            got.pause()

        got.relay(take, reader.on_end)
        for wanted in range(1, 5):
            assert len(reader.seen) == wanted
            await asyncio.sleep(0)
            got.resume()
        while not reader.ended.done():
            got.resume()
            await asyncio.sleep(0)
        assert (reader.text, reader.ended.result()) == (body, None)
        await client.close()


@on_every_loop
async def test_a_reset_behind_a_coded_body_comes_after_its_text() -> None:
    """What was received is delivered, then the fault of the connection."""
    packer = zlib.compressobj(wbits=31)
    start = packer.compress(TEXT) + packer.flush(zlib.Z_SYNC_FLUSH)
    here = asyncio.Event()
    reply = HEAD + b"Content-Encoding: gzip\r\n\r\n" + start
    async with Upstream([request(), send(reply), tell(here), wait(asyncio.Event())]) as upstream:
        client = Client()
        got, reader = await post(client, upstream.origin), Reader()
        got.relay(reader.seen.append, reader.on_end)
        while reader.text != TEXT:
            await asyncio.sleep(0)
        await reset()(upstream.visits[0])
        assert isinstance(await reader.ended, ConnectionLost)
        assert reader.text == TEXT
        await client.close()
