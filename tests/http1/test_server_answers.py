"""Requests that are in order, and how they are answered: framing, order, keeping alive."""

from __future__ import annotations

import logging
import tracemalloc
import weakref

import pytest

from ollama_proxy.http1.server import Answer, Exchange, Request, ServerLimits
from tests.support.raw_client import TEXT, Recorder, hold, parse_replies
from tests.support.virtual_connection import VirtualConnection

GET = b"GET /api/tags HTTP/1.1\r\nHost: localhost:5005\r\n\r\n"
POST = b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    b'2\r\nhe\r\n3;note="x"\r\nllo\r\n0\r\nX-Trailer: yes\r\n\r\n'
)


def held() -> tuple[Recorder, VirtualConnection]:
    """A connection whose handler leaves each exchange to the test."""
    handler = Recorder()
    handler.answer = hold
    return handler, VirtualConnection(handler)


@pytest.mark.parametrize("raw", [POST, CHUNKED])
def test_a_body_reaches_the_handler_whole(raw: bytes) -> None:
    """With Content-Length and in chunks; chunk extensions and trailers are no part of it."""
    connection = VirtualConnection(Recorder())
    connection.feed(raw)
    (reply,) = parse_replies(connection.sent, "POST")
    assert (reply.status, reply.body) == (200, b"POST /api/chat\nhello")
    assert connection.open


def test_a_request_says_what_came() -> None:
    """Names in lower case, blanks around values gone, repeated fields joined in order, the target as it was."""
    handler = Recorder()
    VirtualConnection(handler).feed(
        b"GET /v1//models/%2e%2e/a;x?q=%20&r=?s HTTP/1.1\r\nHOST: Localhost\r\nX-One:  a b \t\r\n"
        b"Accept: text/html\r\nX-Empty:\r\naccept: \xe4;q=1\r\n\r\n"
    )
    request = handler.handled[0].request
    assert (request.method, request.http_version, request.peer) == ("GET", "1.1", "192.0.2.7")
    assert request.target == b"/v1//models/%2e%2e/a;x?q=%20&r=?s"
    assert (request.path, request.query) == ("/v1//models/%2e%2e/a;x", "q=%20&r=?s")
    assert request.headers == {
        b"host": b"Localhost",
        b"x-one": b"a b",
        b"accept": b"text/html, \xe4;q=1",
        b"x-empty": b"",
    }


def test_a_request_shows_no_secret_when_printed() -> None:
    """F90: a token may stand in a header, in the path or in the query; none of them is shown."""
    request = Request("POST", b"/sk-123/v1/chat?key=sk-123", {b"authorization": b"sk-123"}, "1.1", "::1")
    assert repr(request) == "<Request POST HTTP/1.1>"


def test_an_answer_carries_a_date_and_no_server_name() -> None:
    """RFC 9110 §6.6.1; who we are is nobody's business."""
    connection = VirtualConnection(Recorder())
    connection.feed(GET)
    (reply,) = parse_replies(connection.sent, "GET")
    assert reply.headers["date"].endswith(" GMT")
    assert set(reply.headers) == {"date", "content-type", "content-length"}


def test_head_has_the_length_of_the_body_and_no_body() -> None:
    """RFC 9110 §9.3.2, F74."""
    connection = VirtualConnection(Recorder())
    connection.feed(GET.replace(b"GET", b"HEAD"), GET)
    first, second = parse_replies(connection.sent, "HEAD", "GET")
    assert (first.headers["content-length"], first.body) == ("15", b"")
    assert second.body == b"GET /api/tags\n"


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_body_has_neither_body_nor_framing(status: int) -> None:
    """RFC 9110 §15.3.5, §15.4.5: the next answer follows at once, whole or streamed."""
    handler, connection = held()
    connection.feed(GET, GET, GET)
    handler.handled[0].respond(status, TEXT, b"never sent")
    handler.handled[1].start(status, TEXT)
    handler.handled[1].write(b"never sent")
    handler.handled[1].end()
    handler.handled[2].respond(200, TEXT, b"next")
    first, second, third = parse_replies(connection.sent, "GET", "GET", "GET")
    assert first.headers.keys() == second.headers.keys() == {"date", "content-type"}
    assert third.body == b"next"


def test_a_stream_leaves_chunk_by_chunk_its_head_with_the_first() -> None:
    """One transport write per piece; nothing is sent before the first."""
    handler, connection = held()
    connection.feed(GET)
    (exchange,) = handler.handled
    exchange.start(200, TEXT)
    assert connection.sent == b""
    exchange.write(b"")
    assert connection.sent == b""
    exchange.write(b"one\n")
    head, _, body = connection.sent.partition(b"\r\n\r\n")
    assert b"\r\nTransfer-Encoding: chunked" in head
    assert body == b"4\r\none\n\r\n"
    exchange.write(b"x" * 300)
    assert connection.transport.writes == 2
    exchange.end()
    assert connection.transport.writes == 3
    (reply,) = parse_replies(connection.sent, "GET")
    assert reply.body == b"one\n" + b"x" * 300
    assert exchange.finished
    assert connection.open


def test_a_stream_without_a_piece_is_an_empty_answer() -> None:
    """`start` then `end`: a length of zero, not a chunked nothing."""
    handler, connection = held()
    connection.feed(GET)
    handler.handled[0].start(200, TEXT)
    handler.handled[0].end()
    (reply,) = parse_replies(connection.sent, "GET")
    assert (reply.headers["content-length"], reply.body) == ("0", b"")


def test_head_of_a_stream_is_its_head() -> None:
    """HEAD of something that GET streams: the same fields, no chunk, and the connection goes on (C2)."""
    handler, connection = held()
    connection.feed(GET.replace(b"GET", b"HEAD"), GET.replace(b"GET", b"HEAD"), GET)
    for exchange in handler.handled[:1]:
        exchange.start(200, TEXT)
        exchange.write(b"data: {}\n\n")
        exchange.end()
    handler.handled[1].start(200, TEXT)
    handler.handled[1].end()
    handler.handled[2].respond(200, TEXT, b"next")
    first, second, third = parse_replies(connection.sent, "HEAD", "HEAD", "GET")
    assert first.headers["transfer-encoding"] == second.headers["transfer-encoding"] == "chunked"
    assert (first.body, second.body, third.body) == (b"", b"", b"next")


def test_a_large_body_is_not_copied_behind_its_head() -> None:
    """Two writes, the same bytes."""
    handler, connection = held()
    connection.feed(GET)
    handler.handled[0].respond(200, TEXT, b"y" * 200_000)
    assert connection.transport.writes == 2
    assert parse_replies(connection.sent, "GET")[0].body == b"y" * 200_000


def test_http_1_0_closes_after_its_answer() -> None:
    """RFC 9112 §9.3: without keep-alive; and a Host is not required."""
    connection = VirtualConnection(Recorder())
    connection.feed(b"GET / HTTP/1.0\r\n\r\n")
    (reply,) = parse_replies(connection.sent, "GET")
    assert (reply.headers["connection"], reply.body) == ("close", b"GET /\n")
    assert connection.transport.closing


def test_http_1_0_may_ask_to_be_kept() -> None:
    """RFC 9112 §9.3: both sides say keep-alive."""
    connection = VirtualConnection(Recorder())
    connection.feed(b"GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", b"GET /2 HTTP/1.0\r\n\r\n")
    first, second = parse_replies(connection.sent, "GET", "GET")
    assert (first.headers["connection"], second.headers["connection"]) == ("keep-alive", "close")


def test_an_http_1_0_stream_ends_with_its_connection() -> None:
    """RFC 9112 §6.3: no chunks for who does not know them, whatever was said about keeping alive."""
    handler, connection = held()
    connection.feed(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    handler.handled[0].start(200, TEXT)
    handler.handled[0].write(b"one")
    handler.handled[0].write(b"two")
    assert connection.open
    handler.handled[0].end()
    (reply,) = parse_replies(connection.sent, "GET")
    assert (reply.headers["connection"], reply.body) == ("close", b"onetwo")
    assert "transfer-encoding" not in reply.headers
    assert connection.transport.closing


def test_connection_close_is_honoured_and_bytes_behind_it_are_nobodys() -> None:
    """RFC 9112 §9.6: what follows a request that said close never runs and does no harm."""
    handler = Recorder()
    connection = VirtualConnection(handler)
    connection.feed(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") + GET + b"\0\xff", GET)
    (reply,) = parse_replies(connection.sent, "GET")
    assert (reply.status, reply.headers["connection"]) == (200, "close")
    assert connection.transport.closing
    assert len(handler.handled) == 1


def test_many_requests_use_one_connection() -> None:
    """Keep-alive, one after the other; blank lines between requests are skipped (RFC 9112 §2.2)."""
    connection = VirtualConnection(Recorder())
    for _ in range(50):
        connection.feed(POST, b"\r\n", GET + b"\r\n\r\n")
    replies = parse_replies(connection.sent, *["POST", "GET"] * 50)
    assert {reply.status for reply in replies} == {200}
    assert connection.open


def test_pipelined_requests_are_handled_one_at_a_time_in_order() -> None:
    """F74: the second is handed over only when the first answer is complete."""
    handler, connection = held()
    connection.feed(GET + POST + CHUNKED + GET)
    order = []
    for turn in range(4):
        assert len(handler.handled) == turn + 1
        assert len(handler.admitted) == turn + 1
        exchange = handler.handled[turn]
        order.append((exchange.request.method, exchange.body))
        exchange.respond(200, TEXT, b"%d" % turn)
    assert order == [("GET", b""), ("POST", b"hello"), ("POST", b"hello"), ("GET", b"")]
    assert [reply.body for reply in parse_replies(connection.sent, *"abcd")] == [b"0", b"1", b"2", b"3"]


def test_a_long_pipeline_answered_at_once_needs_no_recursion() -> None:
    """Ten thousand requests in one read, each answered inside `handle`."""
    connection = VirtualConnection(Recorder())
    connection.feed(b"GET /p HTTP/1.1\r\nHost: a\r\n\r\n" * 10_000)
    assert len(parse_replies(connection.sent, *["GET"] * 10_000)) == 10_000


def test_a_long_pipeline_lets_others_in_between() -> None:
    """L10: after some hundred requests the loop gets its turn."""
    handler = Recorder()
    connection = VirtualConnection(handler)
    connection.protocol.data_received(b"GET /p HTTP/1.1\r\nHost: a\r\n\r\n" * 1000)
    turns = [len(handler.handled)]
    while connection.loop.ready:
        connection.loop.turn()
        turns.append(len(handler.handled) - sum(turns))
    assert sum(turns) == 1000
    assert max(turns) <= 128


@pytest.mark.parametrize("clogged", [False, True])
@pytest.mark.parametrize("size", [100, 10_000])
def test_a_pipelining_client_fills_no_memory(size: int, clogged: bool) -> None:
    """While a request is answered, or its answer not taken, others wait as bytes; above the high-water mark they stay
    in the client's socket."""
    handler, connection = held()
    connection.transport.stalled = clogged
    connection.feed(GET)
    if clogged:
        handler.handled[0].respond(200, TEXT, b"x" * 70_000)
    burst = b"GET / HTTP/1.1\r\nHost:a\r\n\r\n" * size
    tracemalloc.start()
    for _ in range(1_000_000 // size):
        connection.feed(burst)
    memory, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert memory < 2 * (65536 + len(burst))
    assert connection.transport.stops_reading()
    assert len(handler.handled) == 1
    connection.transport.stalled = False
    if clogged:
        connection.transport.take(80_000)
    else:
        handler.handled[0].respond(200, TEXT, b"")
    while connection.transport.stops_reading():
        handler.handled[-1].respond(200, TEXT, b"")
        connection.feed()


@pytest.mark.parametrize("last", [GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), GET + b"nonsense\r\n"])
def test_bytes_behind_the_last_request_do_not_stop_reading(last: bytes) -> None:
    """They are dropped at once and not kept: a client that sends them can still be seen leaving."""
    handler, connection = held()
    connection.feed(last)
    tracemalloc.start()
    connection.feed(*[b"x" * 65536] * 100)
    memory, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert memory < 200_000
    assert connection.transport.reading
    assert len(handler.handled) == 1
    connection.finish()
    assert handler.handled[0].finished


def test_limits_start_anew_with_each_request() -> None:
    """A hundred long heads in two parts, a hundred wasteful chunked bodies: none pays for those before."""
    handler = Recorder()
    connection = VirtualConnection(handler)
    for _ in range(100):
        connection.feed(GET[:-2] + b"X-A: " + b"a" * 3000, b"a\r\n\r\n")
        connection.feed(CHUNKED[: -len(b"0\r\nX-Trailer: yes\r\n\r\n")], b"0\r\nX-T: " + b"a" * 3000, b"\r\n\r\n")
    assert len(handler.handled) == 200
    assert connection.open


def test_admission_is_asked_before_the_body_is_there() -> None:
    """F71: with the head alone, and once."""
    handler = Recorder()
    connection = VirtualConnection(handler)
    head, body = POST[:-5], POST[-5:]
    connection.feed(head)
    assert [request.path for request in handler.admitted] == ["/api/chat"]
    connection.feed(body)
    assert len(handler.admitted) == 1
    assert connection.sent.endswith(b"hello")


@pytest.mark.parametrize(("raw", "closes"), [(GET, False), (POST, True), (CHUNKED, True), (POST[:-3], True)])
def test_a_refused_request_is_closed_when_it_has_a_body(raw: bytes, closes: bool) -> None:
    """The body of a stranger is not read; a request without one costs no connection."""
    handler = Recorder()
    refusal: Answer = (401, TEXT, b"no")
    handler.gate = lambda request: refusal
    connection = VirtualConnection(handler)
    connection.feed(raw)
    (reply,) = parse_replies(connection.sent, "GET")
    assert (reply.status, reply.body, handler.handled) == (401, b"no", [])
    assert reply.headers.get("connection") == ("close" if closes else None)
    assert connection.open is not closes
    if raw == POST[:-3]:
        # The client is still sending: it must be able to read the answer first.
        assert not connection.transport.closing


def test_continue_is_said_after_admission_only() -> None:
    """RFC 9110 §10.1.1: `100 Continue` once the head is admitted; the final answer follows the body."""
    handler = Recorder()
    connection = VirtualConnection(handler)
    head = POST[:-9] + b"\r\nExpect: 100-continue\r\n\r\n"
    connection.feed(head)
    assert connection.sent == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.feed(b"he", b"llo")
    assert connection.sent.count(b"100 Continue") == 1
    assert parse_replies(connection.sent, "POST")[0].body.endswith(b"hello")

    handler.gate = lambda request: (401, TEXT, b"no")
    refused = VirtualConnection(handler)
    refused.feed(head)
    assert refused.sent.startswith(b"HTTP/1.1 401 ")


def test_continue_is_not_said_to_who_does_not_wait() -> None:
    """RFC 9110 §10.1.1: may be left out when the body is already coming; never said to HTTP/1.0."""
    whole = VirtualConnection(Recorder())
    whole.feed(POST[:-9] + b"\r\nExpect: 100-continue\r\n\r\nhello")
    begun = VirtualConnection(Recorder())
    begun.feed(POST[:-9] + b"\r\nExpect: 100-continue\r\n\r\nhe", b"llo")
    old = VirtualConnection(Recorder())
    old.feed(POST[:-9].replace(b"1.1", b"1.0") + b"\r\nExpect: 100-continue\r\n\r\n", b"hello")
    for connection in (whole, begun, old):
        assert b"100 Continue" not in connection.sent
        assert connection.sent.endswith(b"hello")


def test_continue_waits_for_the_answer_before() -> None:
    """In a pipeline it would otherwise be taken for a part of the answer before."""
    handler, connection = held()
    connection.feed(GET + POST[:-9] + b"\r\nExpect: 100-continue\r\n\r\n")
    assert connection.sent == b""
    handler.handled[0].respond(200, TEXT, b"first")
    assert connection.sent.endswith(b"firstHTTP/1.1 100 Continue\r\n\r\n")


@pytest.mark.parametrize(
    "offer",
    [
        b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n",
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n",
        b"Upgrade: h2c\r\n",
    ],
)
@pytest.mark.parametrize("raw", [GET, POST, CHUNKED])
@pytest.mark.parametrize("bytewise", [False, True])
def test_an_upgrade_is_ignored_and_the_request_answered(raw: bytes, offer: bytes, bytewise: bool) -> None:
    """RFC 9110 §7.8, F74: as plain HTTP/1.1, body included, and so is the next request."""
    connection = VirtualConnection(Recorder())
    data = raw.replace(b"\r\n", b"\r\n" + offer, 1) + GET
    connection.feed(*([data[at : at + 1] for at in range(len(data))] if bytewise else [data]))
    first, second = parse_replies(connection.sent, "POST", "GET")
    assert (first.status, second.status) == (200, 200)
    assert first.body == (b"GET /api/tags\n" if raw is GET else b"POST /api/chat\nhello")
    assert connection.open


def test_options_may_ask_for_the_whole_server() -> None:
    """RFC 9112 §3.2.4: the asterisk form belongs to OPTIONS."""
    handler = Recorder()
    VirtualConnection(handler).feed(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
    assert handler.handled[0].request.path == "*"


def test_an_aborted_stream_is_never_complete() -> None:
    """P5: what was written arrives, the last chunk does not; nobody is told of a client that left."""
    handler, connection = held()
    connection.feed(GET)
    (exchange,) = handler.handled
    exchange.on_gone = lambda: pytest.fail("the client did not leave")
    exchange.start(200, TEXT)
    exchange.write(b"half")
    exchange.abort()
    assert exchange.finished
    assert connection.sent.endswith(b"4\r\nhalf\r\n")
    assert connection.transport.closing
    assert not connection.transport.aborted


def test_an_aborted_http_1_0_stream_is_reset() -> None:
    """P5: an orderly close is how such a stream ends, so it must not have one."""
    handler, connection = held()
    connection.feed(b"GET / HTTP/1.0\r\n\r\n")
    handler.handled[0].start(200, TEXT)
    handler.handled[0].write(b"half")
    handler.handled[0].abort()
    assert connection.transport.aborted


def use_all(exchange: Exchange) -> None:
    exchange.respond(200, TEXT, b"x")
    exchange.start(200, TEXT)
    exchange.write(b"x")
    exchange.end()
    exchange.abort()


def test_a_finished_exchange_does_nothing_more() -> None:
    """However it finished: answered, ended, aborted, or the client gone."""
    handler, connection = held()
    connection.feed(GET, GET)
    handler.handled[0].respond(200, TEXT, b"once")
    sent = connection.sent
    use_all(handler.handled[0])
    assert connection.sent == sent
    assert not handler.handled[1].finished
    connection.lose()
    use_all(handler.handled[1])
    assert connection.sent == sent


def test_a_finished_exchange_forgets_its_callbacks() -> None:
    """Whoever keeps an exchange does not keep the stream that answered it."""
    handler, connection = held()
    connection.feed(GET)

    class Owner:
        def gone(self) -> None:
            pass

        def flow(self, stop: bool) -> None:
            pass

    owner = Owner()
    handler.handled[0].on_gone, handler.handled[0].on_flow = owner.gone, owner.flow
    remains = weakref.ref(owner)
    handler.handled[0].respond(200, TEXT, b"")
    del owner
    assert remains() is None


def test_answering_out_of_order_is_a_bug_that_says_so() -> None:
    """A handler that writes before it starts, or starts twice, is told at once."""
    handler, connection = held()
    connection.feed(GET)
    (exchange,) = handler.handled
    with pytest.raises(RuntimeError, match="before start"):
        exchange.write(b"x")
    with pytest.raises(RuntimeError, match="before start"):
        exchange.end()
    exchange.start(200, TEXT)
    with pytest.raises(RuntimeError, match="twice"):
        exchange.start(200, TEXT)
    with pytest.raises(RuntimeError, match="after start"):
        exchange.respond(200, TEXT, b"")


def explode(exchange: Exchange) -> None:
    raise LookupError("secret sk-or-v1-0123456789 of the request")


def test_a_handler_that_fails_is_answered_with_500(caplog: pytest.LogCaptureFixture) -> None:
    """F94: the client and the log learn the type and the place, neither the words nor a traceback."""
    handler = Recorder()
    handler.answer = explode
    connection = VirtualConnection(handler)
    with caplog.at_level(logging.DEBUG):
        connection.feed(GET + GET)
    (reply,) = parse_replies(connection.sent, "GET")
    assert (reply.status, reply.headers["connection"]) == (500, "close")
    assert len(handler.handled) == 1
    assert handler.handled[0].finished
    assert "LookupError at test_server_answers.py:" in caplog.text
    assert "sk-or" not in caplog.text + connection.sent.decode()
    assert not any(record.exc_info for record in caplog.records)


def test_a_gate_that_fails_is_answered_with_500() -> None:
    """F94: nothing is handed over."""
    handler = Recorder()

    def fail(request: Request) -> Answer | None:
        raise LookupError

    handler.gate = fail
    connection = VirtualConnection(handler)
    connection.feed(POST)
    assert parse_replies(connection.sent, "GET")[0].status == 500
    assert handler.handled == []


def test_a_handler_that_fails_in_the_middle_cuts_its_stream() -> None:
    """F94, P5: no second answer inside the first, and no end."""
    handler = Recorder()

    def fail(exchange: Exchange) -> None:
        exchange.start(200, TEXT)
        exchange.write(b"half")
        raise LookupError

    handler.answer = fail
    connection = VirtualConnection(handler)
    connection.feed(GET)
    assert connection.sent.endswith(b"half\r\n")
    assert connection.sent.count(b"HTTP/1.1") == 1
    assert connection.transport.closing


@pytest.mark.parametrize("callback", ["on_flow", "on_gone"])
def test_a_callback_that_fails_stays_inside(callback: str, caplog: pytest.LogCaptureFixture) -> None:
    """F94: an error in `on_flow` cuts the stream, one in `on_gone` is logged; neither reaches the loop."""
    handler, connection = held()
    connection.feed(GET)
    (exchange,) = handler.handled

    def fail(*arguments: bool) -> None:
        raise LookupError

    setattr(exchange, callback, fail)
    connection.transport.stalled = True
    exchange.start(200, TEXT)
    exchange.write(b"x" * 70_000)
    connection.lose()
    assert exchange.finished
    assert "LookupError at test_server_answers.py:" in caplog.text


def test_a_header_with_a_line_break_becomes_500() -> None:
    """RFC 9112 §11.1: no split answer, whichever way the handler answers."""

    def split(exchange: Exchange) -> None:
        exchange.respond(200, [(b"X-Model", b"a\r\n\r\nHTTP/1.1 200 OK")], b"")

    def split_stream(exchange: Exchange) -> None:
        exchange.start(200, [(b"X-Model", b"a\r\nb: c")])
        exchange.write(b"x")

    for answer in (split, split_stream):
        handler = Recorder()
        handler.answer = answer
        connection = VirtualConnection(handler)
        connection.feed(GET)
        assert [reply.status for reply in parse_replies(connection.sent, "GET")] == [500]


def test_a_fault_handler_that_fails_leaves_a_plain_answer() -> None:
    """The last resort needs nobody."""

    class Broken(Recorder):
        def fault(self, request: Request | None, status: int, message: str) -> Answer:
            raise LookupError

    connection = VirtualConnection(Broken())
    connection.feed(b"nonsense\r\n\r\n")
    (reply,) = parse_replies(connection.sent, "GET")
    assert (reply.status, reply.headers["content-type"]) == (400, "text/plain; charset=utf-8")


def test_too_many_connections_are_told_so_and_far_too_many_are_not() -> None:
    """503 and close above the limit; a quarter above it not even that."""
    handler, crowd = Recorder(), set[object]()
    limits = ServerLimits(max_connections=8)
    connections = [VirtualConnection(handler, limits, crowd) for _ in range(11)]
    assert [connection.open for connection in connections] == [True] * 8 + [False] * 3
    assert [reply.status for reply in parse_replies(connections[9].sent, "GET")] == [503]
    assert connections[10].transport.aborted
    assert connections[10].sent == b""
    connections[0].lose()
    connections[9].finish()
    connections[8].finish()
    connections[10].feed()
    late = VirtualConnection(handler, limits, crowd)
    late.feed(GET)
    assert parse_replies(late.sent, "GET")[0].status == 200
