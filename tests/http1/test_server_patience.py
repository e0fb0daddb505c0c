"""How long a client may take: heads, bodies, pauses, reading. Time is moved by the test, except on real sockets."""

from __future__ import annotations

import asyncio

import pytest

from ollama_proxy.http1.server import Answer, Request, ServerLimits
from tests.support.raw_client import LOOPS, TEXT, MakeLoop, Recorder, hold, parse_replies, run_on, serving
from tests.support.virtual_connection import VirtualConnection

GET = b"GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n"


def test_who_says_nothing_is_closed_in_silence() -> None:
    """F67: after 10 s, without an answer to a question nobody asked."""
    connection = VirtualConnection(Recorder())
    connection.advance(9.9)
    assert connection.open
    connection.advance(0.2)
    assert connection.transport.lost
    assert connection.sent == b""


@pytest.mark.parametrize("pause", [0.5, 5.0, 9.9])
def test_a_dripping_head_ends_ten_seconds_after_the_connection(pause: float) -> None:
    """F67: one byte now and then extends nothing; the client is told 408."""
    connection = VirtualConnection(Recorder())
    elapsed = 0.0
    for byte in GET:
        if elapsed + pause >= 10.0:
            break
        connection.advance(pause)
        elapsed += pause
        connection.feed(bytes([byte]))
    assert connection.open
    connection.advance(10.1 - elapsed)
    (reply,) = parse_replies(connection.sent, "GET")
    assert (reply.status, reply.headers["connection"]) == (408, "close")


def test_a_later_head_has_ten_seconds_from_its_first_byte() -> None:
    """F67: not from the answer before, and not from the connection."""
    handler = Recorder()
    connection = VirtualConnection(handler)
    connection.feed(GET)
    connection.advance(60.0)
    connection.feed(GET[:5])
    connection.advance(9.0)
    connection.feed(GET[5:9])
    assert connection.open
    connection.advance(1.1)
    assert handler.faults[0][1] == 408


def test_half_a_head_that_waited_behind_an_answer_gets_its_full_time() -> None:
    """What came in one piece with the request before is not late because that one took long."""
    handler = Recorder()
    handler.answer = hold
    connection = VirtualConnection(handler)
    connection.feed(GET + GET[:9])
    connection.advance(3600.0)
    handler.handled[0].respond(200, TEXT, b"done")
    connection.advance(9.0)
    connection.feed(GET[9:])
    assert len(handler.handled) == 2


def test_an_idle_connection_is_closed_in_silence() -> None:
    """75 s after the last answer; blank lines do not extend it."""
    connection = VirtualConnection(Recorder())
    connection.feed(GET)
    answered = connection.sent
    for _ in range(7):
        connection.advance(10.0)
        connection.feed(b"\r\n")
    assert connection.open
    connection.advance(5.1)
    assert connection.transport.lost
    assert connection.sent == answered


def test_a_connection_in_use_stays() -> None:
    """A request each minute for an hour."""
    connection = VirtualConnection(Recorder())
    for _ in range(60):
        connection.feed(GET)
        connection.advance(60.0)
    assert connection.open


def test_an_answer_may_take_its_time() -> None:
    """How long a request is worked on is no business of the connection."""
    handler = Recorder()
    handler.answer = hold
    connection = VirtualConnection(handler)
    connection.feed(GET)
    connection.advance(86400.0)
    assert connection.open
    handler.handled[0].respond(200, TEXT, b"at last")
    connection.advance(74.0)
    assert connection.open
    connection.advance(2.0)
    assert connection.transport.lost


def test_a_body_that_stops_is_408_after_thirty_seconds() -> None:
    """F68: nothing but the head, or nothing more."""
    for begin in ([POST], [POST + b"x" * 100], [POST, b"x" * 100]):
        handler = Recorder()
        connection = VirtualConnection(handler)
        connection.feed(*begin)
        connection.advance(29.9)
        assert connection.open
        connection.advance(0.2)
        (reply,) = parse_replies(connection.sent, "POST")
        assert (reply.status, reply.headers["connection"], handler.handled) == (408, "close", [])


def test_a_dripping_body_is_408_after_thirty_seconds() -> None:
    """F68: 1 MB announced, one byte per second."""
    handler = Recorder()
    connection = VirtualConnection(handler)
    connection.feed(POST)
    for _ in range(29):
        connection.advance(1.0)
        connection.feed(b"x")
    assert connection.open
    connection.advance(1.1)
    assert handler.faults[0][1] == 408


def test_a_slow_but_steady_body_arrives() -> None:
    """Above 1 KB/s it may take as long as it needs."""
    handler = Recorder()
    connection = VirtualConnection(handler)
    connection.feed(POST)
    for _ in range(500):
        connection.advance(1.0)
        connection.feed(b"x" * 2000)
    assert handler.handled[0].body == b"x" * 1_000_000


def test_each_body_is_timed_by_itself() -> None:
    """The second body of a connection starts with a full window."""
    handler = Recorder()
    connection = VirtualConnection(handler)
    for _ in range(3):
        connection.feed(POST, b"x" * 500_000)
        connection.advance(29.0)
        connection.feed(b"x" * 500_000)
    assert len(handler.handled) == 3


def test_a_reader_that_stalls_is_dropped_and_the_handler_told() -> None:
    """F66: 60 s without taking a byte; once."""
    handler = Recorder()
    handler.answer = hold
    connection = VirtualConnection(handler)
    connection.feed(GET)
    (exchange,) = handler.handled
    gone: list[bool] = []
    flow: list[bool] = []
    exchange.on_gone = lambda: gone.append(exchange.finished)
    exchange.on_flow = flow.append
    connection.transport.stalled = True
    exchange.start(200, TEXT)
    while not flow:
        exchange.write(b"x" * 1000)
    assert len(connection.transport.waiting) <= 65536 + 1100
    connection.advance(59.9)
    assert connection.open
    assert gone == []
    connection.advance(0.2)
    assert connection.transport.aborted
    assert (gone, flow) == ([True], [True])


def test_a_reader_that_takes_something_is_not_dropped() -> None:
    """F66: slow is not stalled; and once it has caught up, the handler goes on without a deadline."""
    handler = Recorder()
    handler.answer = hold
    connection = VirtualConnection(handler)
    connection.feed(GET)
    (exchange,) = handler.handled
    flow: list[bool] = []
    exchange.on_flow = flow.append
    connection.transport.stalled = True
    exchange.start(200, TEXT)
    while not flow:
        exchange.write(b"x" * 1000)
    while flow == [True]:
        connection.advance(30.0)
        connection.transport.take(5000)
    connection.advance(3600.0)
    assert connection.open
    assert flow == [True, False]


def test_the_next_request_waits_until_the_last_answer_is_taken() -> None:
    """F66: a client that pipelines and never reads gets no second answer into our memory."""
    handler = Recorder()
    handler.answer = lambda exchange: exchange.respond(200, TEXT, b"x" * 100_000)
    connection = VirtualConnection(handler)
    connection.transport.stalled = True
    connection.feed(GET + GET, GET)
    assert len(handler.handled) == 1
    connection.transport.take(100_000)
    assert len(handler.handled) == 2
    connection.advance(61.0)
    assert connection.transport.aborted
    assert len(handler.handled) == 2


def test_a_close_that_nobody_takes_is_ended() -> None:
    """An answer below the high-water mark, an idle connection, a reader that is no more: still no leak."""
    connection = VirtualConnection(Recorder())
    connection.transport.stalled = True
    connection.feed(GET)
    connection.advance(75.1)
    assert connection.transport.closing
    assert not connection.transport.aborted
    connection.advance(60.1)
    assert connection.transport.aborted


def test_a_close_that_is_taken_in_part_is_ended_too() -> None:
    """Reading a little after the close starts the patience anew once, and no more."""
    handler = Recorder()
    handler.answer = lambda exchange: exchange.respond(200, TEXT, b"x" * 100_000)
    connection = VirtualConnection(handler)
    connection.transport.stalled = True
    connection.feed(GET.replace(b"1.1", b"1.0"))
    assert connection.transport.closing
    connection.advance(30.0)
    connection.transport.take(90_000)
    connection.advance(59.0)
    assert not connection.transport.aborted
    connection.advance(17.0)
    assert connection.transport.aborted


def test_a_client_that_leaves_with_bytes_unread_is_dropped_at_once() -> None:
    """F63: who half-closes in the middle of a stream gets neither the rest nor our memory for it."""
    handler = Recorder()
    handler.answer = hold
    connection = VirtualConnection(handler)
    connection.feed(GET)
    connection.transport.stalled = True
    handler.handled[0].start(200, TEXT)
    handler.handled[0].write(b"x" * 1000)
    connection.finish()
    assert connection.transport.aborted
    assert handler.handled[0].finished


def test_a_refusal_that_is_taken_late_still_ends_the_connection() -> None:
    """Lingering begins when the client has read, and takes two seconds however long that was."""

    class Wordy(Recorder):
        def fault(self, request: Request | None, status: int, message: str) -> Answer:
            return status, TEXT, b"y" * 100_000

    connection = VirtualConnection(Wordy())
    connection.transport.stalled = True
    connection.feed(b"nonsense\r\n")
    connection.advance(50.0)
    connection.transport.take(200_000)
    connection.advance(1.9)
    assert not connection.transport.closing
    connection.advance(0.2)
    assert connection.transport.lost


def test_a_connection_has_one_timer_and_moves_it_rarely() -> None:
    """A thousand requests and pieces arm nothing: the one timer looks at the deadline when it fires."""
    handler = Recorder()
    connection = VirtualConnection(handler)
    for _ in range(1000):
        connection.feed(GET)
    assert connection.loop.armed == 1
    handler.answer = hold
    connection.feed(GET)
    handler.handled[-1].start(200, TEXT)
    for _ in range(1000):
        handler.handled[-1].write(b"piece")
    assert connection.loop.armed == 1
    connection.advance(1000.0)
    assert connection.loop.timers == []


@pytest.mark.parametrize("make_loop", LOOPS)
def test_slow_clients_on_sockets_are_closed_and_others_served(make_loop: MakeLoop) -> None:
    """F67, F68: three hundred of them hold nobody up."""
    limits = ServerLimits(header_timeout_s=0.3, body_idle_s=0.3, linger_s=0.1, keep_alive_s=0.3)

    async def main() -> list[bytes]:
        async with serving(limits=limits) as site:
            slow = [await site.connect() for _ in range(300)]
            for at, client in enumerate(slow):
                await client.send((b"", GET[:20], POST)[at % 3])
            quick = await site.connect()
            await quick.send(GET)
            assert (await quick.read_reply()).status == 200
            ends = [await client.closed() for client in slow]
            assert await quick.read_rest() == b""
            return ends

    ends = run_on(make_loop, main())
    assert ends[0::3] == [b""] * 100
    assert all(end.startswith(b"HTTP/1.1 408 ") for end in ends[1::3] + ends[2::3])


@pytest.mark.parametrize("make_loop", LOOPS)
def test_a_stalled_reader_on_a_socket_is_dropped(make_loop: MakeLoop) -> None:
    """F66: with everything between filled, the handler stops at the high-water mark and is told when it is over."""
    handler = Recorder()
    handler.answer = hold

    async def main() -> None:
        async with serving(handler, ServerLimits(write_idle_s=0.2, high_water=65536)) as site:
            client = await site.connect(receive_buffer=4096)
            await client.send(GET)
            exchange = await handler.arrivals.get()
            gone, clogged = asyncio.Event(), asyncio.Event()
            exchange.on_gone = gone.set
            exchange.on_flow = lambda stop: clogged.set() if stop else clogged.clear()
            exchange.start(200, TEXT)
            while not clogged.is_set():
                for _ in range(20):
                    if not clogged.is_set():
                        exchange.write(b"x" * 10_000)
                await asyncio.sleep(0)
            assert site.connections[0]._transport.get_write_buffer_size() <= 65536 + 10_100
            await gone.wait()
            await site.alone()

    run_on(make_loop, main())
