"""Requests that are refused: smuggling, Host games, oversized heads and bodies, odd verbs. Nothing behind them runs."""

from __future__ import annotations

import pytest

from ollama_proxy.http1.server import ServerLimits
from tests.support.raw_client import Recorder, parse_replies
from tests.support.virtual_connection import VirtualConnection

PLANTED = b"GET /planted HTTP/1.1\r\nHost: localhost\r\n\r\n"


def head(*lines: str, start: str = "POST /x HTTP/1.1", host: str | None = "Host: localhost") -> bytes:
    """A head of these lines."""
    return "\r\n".join([start, *([host] if host else []), *lines, "", ""]).encode("latin-1")


CHUNKED = head("Transfer-Encoding: chunked")

SMUGGLING = {
    "CL and TE": head("Content-Length: 5", "Transfer-Encoding: chunked") + b"0\r\n\r\n",
    "TE and CL": head("Transfer-Encoding: chunked", "Content-Length: 5") + b"0\r\n\r\n",
    "two CLs that differ": head("Content-Length: 1", "Content-Length: 2") + b"ab",
    "two equal CLs": head("Content-Length: 2", "Content-Length: 2") + b"ab",
    "a list of CLs": head("Content-Length: 2, 2") + b"ab",
    "CL +4": head("Content-Length: +4") + b"abcd",
    "CL -1": head("Content-Length: -1") + b"abcd",
    "CL hexadecimal": head("Content-Length: 0x4") + b"abcd",
    "CL with a blank inside": head("Content-Length: 1 0") + b"abcdefghij",
    "CL empty": head("Content-Length:") + b"abcd",
    "CL above 64 bits": head("Content-Length: 99999999999999999999999") + b"abcd",
    "CL with a blank before the colon": head("Content-Length : 4") + b"abcd",
    "TE xchunked": head("Transfer-Encoding: xchunked") + b"0\r\n\r\n",
    "TE chunked, identity": head("Transfer-Encoding: chunked, identity") + b"0\r\n\r\n",
    "TE gzip, chunked": head("Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n",
    "TE identity": head("Transfer-Encoding: identity") + b"0\r\n\r\n",
    "TE empty": head("Transfer-Encoding:") + b"0\r\n\r\n",
    "TE with a parameter": head("Transfer-Encoding: chunked;a=b") + b"0\r\n\r\n",
    "TE with a vertical tab": head("Transfer-Encoding: \x0bchunked") + b"0\r\n\r\n",
    "TE quoted": head('Transfer-Encoding: "chunked"') + b"0\r\n\r\n",
    "two TEs": head("Transfer-Encoding: chunked", "Transfer-Encoding: chunked") + b"0\r\n\r\n",
    "two TEs that differ": head("Transfer-Encoding: identity", "Transfer-Encoding: chunked") + b"0\r\n\r\n",
    "TE in HTTP/1.0": head("Transfer-Encoding: chunked", start="POST /x HTTP/1.0") + b"0\r\n\r\n",
    "chunk size 0x4": CHUNKED + b"0x4\r\nabcd\r\n0\r\n\r\n",
    "chunk size +4": CHUNKED + b"+4\r\nabcd\r\n0\r\n\r\n",
    "chunk size -4": CHUNKED + b"-4\r\nabcd\r\n0\r\n\r\n",
    "chunk size with blanks": CHUNKED + b" 4\r\nabcd\r\n0\r\n\r\n",
    "chunk size with blanks behind": CHUNKED + b"4 \r\nabcd\r\n0\r\n\r\n",
    "chunk size above 64 bits": CHUNKED + b"fffffffffffffffff\r\nabcd\r\n0\r\n\r\n",
    "chunk size missing": CHUNKED + b"\r\nabcd\r\n0\r\n\r\n",
    "chunk longer than its size": CHUNKED + b"4\r\nabcdX\r\n0\r\n\r\n",
    "chunk shorter than its size": CHUNKED + b"4\r\nabc\r\n0\r\n\r\n",
    "bare LF after a chunk size": CHUNKED + b"4\nabcd\r\n0\r\n\r\n",
    "bare LF after chunk data": CHUNKED + b"4\r\nabcd\n0\r\n\r\n",
    "bare LF in a chunk extension": CHUNKED + b"4;a\nb\r\nabcd\r\n0\r\n\r\n",
    "bare CR in a chunk extension": CHUNKED + b"4;a\rb\r\nabcd\r\n0\r\n\r\n",
    "bare LF after the last chunk": CHUNKED + b"4\r\nabcd\r\n0\n\n",
    "bare LF after the trailers": CHUNKED + b"4\r\nabcd\r\n0\r\nA: b\n\n",
}

HEADS = {
    "bare LF after the request line": b"GET /x HTTP/1.1\nHost: localhost\r\n\r\n",
    "bare CR after the request line": b"GET /x HTTP/1.1\rHost: localhost\r\n\r\n",
    "bare LF after a header": b"GET /x HTTP/1.1\r\nHost: localhost\nX-A: b\r\n\r\n",
    "bare LFs at the end": b"GET /x HTTP/1.1\r\nHost: localhost\n\n",
    "obs-fold": head("X-A: a", " b"),
    "obs-fold with a tab": head("X-A: a", "\tb"),
    "obs-fold of the first header": b"GET /x HTTP/1.1\r\n Host: localhost\r\n\r\n",
    "NUL in a value": head("X-A: a\0b"),
    "NUL in a name": head("X\0A: b"),
    "bare CR in a value": head("X-A: a\rb"),
    "CR CR LF": head("X-A: a\r"),
    "control character in a value": head("X-A: a\x01b"),
    "DEL in a value": head("X-A: a\x7fb"),
    "blank before the colon": head("X-A : b"),
    "no name": head(": b"),
    "no colon": head("X-A"),
    "parenthesis in a name": head("X(A): b"),
    "no Host": head(host=None),
    "two Hosts": head("Host: localhost"),
    "two Hosts that differ": head("host: evil.test"),
    "Host with a path": head(host="Host: localhost/evil"),
    "Host with userinfo": head(host="Host: localhost@evil.test"),
    "Host with a query": head(host="Host: localhost?a"),
    "Host with a fragment": head(host="Host: localhost#a"),
    "Host with a blank": head(host="Host: localhost evil.test"),
    "Host list": head(host="Host: localhost, evil.test"),
    "Host with a scheme": head(host="Host: http://localhost"),
    "Host that is not ASCII": head(host="Host: lo\xe7alhost"),
    "Host longer than any name": head(host=f"Host: {'a' * 300}"),
    "two Authorizations": head("Authorization: Bearer a", "authorization: Bearer b"),
    "two keys": head("X-Api-Key: a", "x-api-key: a"),
    "absolute-form": head(start="GET http://localhost/x HTTP/1.1"),
    "absolute-form of somebody else": head(start="GET https://evil.test/x HTTP/1.1"),
    "authority-form": head(start="GET localhost:80 HTTP/1.1"),
    "asterisk-form": head(start="GET * HTTP/1.1"),
    "fragment": head(start="GET /x#y HTTP/1.1"),
    "blank in the target": head(start="GET /x y HTTP/1.1"),
    "control character in the target": head(start="GET /x\x01y HTTP/1.1"),
    "NUL in the target": head(start="GET /x\0y HTTP/1.1"),
    "raw UTF-8 in the target": head(start="GET /\xc3\xa4 HTTP/1.1"),
    "query without a path": head(start="GET ?x HTTP/1.1"),
    "no target": head(start="GET  HTTP/1.1"),
    "unknown method": head(start="BREW /x HTTP/1.1"),
    "method in lower case": head(start="get /x HTTP/1.1"),
    "blank before the method": head(start=" GET /x HTTP/1.1"),
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/1.2": head(start="GET /x HTTP/1.2"),
    "HTTP/x": head(start="GET /x HTTP/x"),
    "no version, two words": head(start="GET /x TTP"),
    "TLS": bytes.fromhex("16030100c8010000c40303") + bytes(range(200)),
}

OTHERS = {
    "HTTP/0.9": (505, b"GET /x\r\n\r\n"),
    "HTTP/2.0": (505, head(start="GET /x HTTP/2.0")),
    "CONNECT": (501, head(start="CONNECT evil.test:443 HTTP/1.1", host="Host: evil.test:443")),
    "CONNECT of a path": (501, head(start="CONNECT /x HTTP/1.1")),
    "TRACE": (501, head(start="TRACE /x HTTP/1.1")),
    "unknown expectation": (417, head("Expect: 200-ok", "Content-Length: 1") + b"x"),
    "one terabyte": (413, head("Content-Length: 1000000000000") + b"x"),
    "one byte too many": (413, head("Content-Length: 33554433") + b"x"),
    "long target": (414, head(start=f"GET /{'x' * 8192} HTTP/1.1")),
    "endless target": (414, b"GET /" + b"x" * 1_000_000),
    "101 headers": (431, head(*[f"X-{number}: 1" for number in range(100)])),
    "2,000 headers": (431, head(*[f"X-{number}: 1" for number in range(2000)])),
    "one value of 64 KB": (431, head(f"X-A: {'a' * 65536}")),
    "one name of 64 KB": (431, head(f"{'a' * 65536}: b")),
    "endless value": (431, head()[:-2] + b"X-A: " + b"a" * 1_000_000),
}

CASES = {
    **{name: (400, raw) for name, raw in {**SMUGGLING, **HEADS}.items()},
    **OTHERS,
}


def pieces(raw: bytes, size: int) -> list[bytes]:
    """Cut into pieces of this size; a megabyte not byte by byte."""
    size = max(size, len(raw) // 5000)
    return [raw[at : at + size] for at in range(0, len(raw), size)]


@pytest.mark.parametrize("size", [10_000_000, 7, 1])
@pytest.mark.parametrize("name", CASES)
def test_is_refused_and_nothing_behind_it_runs(name: str, size: int) -> None:
    """F70, F72, F73, F74: one answer that says close, for any way the bytes are cut; the planted request never runs."""
    status, raw = CASES[name]
    handler = Recorder()
    connection = VirtualConnection(handler)
    connection.feed(*pieces(raw + PLANTED, size), PLANTED)
    (reply,) = parse_replies(connection.sent, "GET")
    assert (reply.status, reply.headers["connection"]) == (status, "close")
    assert handler.targets == []
    assert len(handler.faults) == 1
    assert reply.body.endswith(b".")
    assert connection.transport.ended
    connection.finish()
    assert connection.transport.lost


@pytest.mark.parametrize("name", [*SMUGGLING, "one byte too many", "bare LF after a header"])
def test_a_request_before_it_is_still_answered(name: str) -> None:
    """F70: the answers come in order, the refusal last."""
    status, raw = CASES[name]
    handler = Recorder()
    connection = VirtualConnection(handler)
    connection.feed(head(start="GET /first HTTP/1.1") + raw + PLANTED, PLANTED)
    first, second = parse_replies(connection.sent, "GET", "POST")
    assert (first.status, second.status) == (200, status)
    assert handler.targets == [b"/first"]


@pytest.mark.parametrize(
    "raw",
    [
        head("Content-Length: 0005") + b"abcde",
        head("Content-Length: 5 ") + b"abcde",
        head("Transfer-Encoding: Chunked") + b"5\r\nabcde\r\n0\r\n\r\n",
        head("Transfer-Encoding: chunked") + b"00000005\r\nabcde\r\n000\r\n\r\n",
        head("Content-Length: 5", host="Host: [::1]:5005") + b"abcde",
        head("Content-Length: 5", host="Host: my_box.local.") + b"abcde",
        head("Content-Length: 5", "X-A: \xe4\xff") + b"abcde",
        b"\r\n\r\n" + head("Content-Length: 5") + b"abcde",
        head("Content-Length: 5", *[f"X-{number}: 1" for number in range(98)]) + b"abcde",
    ],
)
def test_unusual_but_correct_requests_are_served(raw: bytes) -> None:
    """RFC 9112 §6.3, §7 (codings have no case), §2.2; a hundred headers are the limit, not above it."""
    handler = Recorder()
    connection = VirtualConnection(handler)
    connection.feed(raw)
    assert [exchange.body for exchange in handler.handled] == [b"abcde"]


@pytest.mark.parametrize("extra", [0, 1])
def test_the_header_limit_is_exact(extra: int) -> None:
    """Name, value and four more bytes for each field count; one byte above 32 KB is 431."""
    base = head()
    room = 32768 - len(b"Host: localhost\r\n") - len(b"X-A: \r\n")
    connection = VirtualConnection(Recorder())
    connection.feed(base[:-2] + b"X-A: " + b"a" * (room + extra) + b"\r\n\r\n")
    assert parse_replies(connection.sent, "POST")[0].status == (431 if extra else 200)


def test_the_target_limit_is_exact() -> None:
    """8,192 bytes are fine."""
    connection = VirtualConnection(Recorder())
    connection.feed(head(start=f"GET /{'x' * 8191} HTTP/1.1"))
    assert parse_replies(connection.sent, "GET")[0].status == 200


def test_a_body_too_large_is_refused_before_it_is_read() -> None:
    """F69: by its Content-Length, with the head alone."""
    handler = Recorder()
    connection = VirtualConnection(handler)
    connection.feed(head("Content-Length: 1000000000000"))
    assert parse_replies(connection.sent, "POST")[0].status == 413
    assert handler.faults[0][0] is not None
    assert handler.faults[0][0].path == "/x"


def test_a_chunked_body_is_refused_at_the_limit() -> None:
    """F69: while reading, whatever its chunks; the limit itself is fine."""
    limits = ServerLimits(max_body_bytes=10_000)
    fits, over = Recorder(), Recorder()
    VirtualConnection(fits, limits).feed(
        CHUNKED + b"64\r\n" + b"a" * 100 + b"\r\n", b"26ac\r\n" + b"b" * 9900 + b"\r\n0\r\n\r\n"
    )
    assert [len(exchange.body) for exchange in fits.handled] == [10_000]
    connection = VirtualConnection(over, limits)
    connection.feed(CHUNKED, *[b"64\r\n" + b"a" * 100 + b"\r\n"] * 200)
    assert parse_replies(connection.sent, "POST")[0].status == 413
    assert over.handled == []


def test_a_chunked_body_has_the_same_limit_to_the_byte() -> None:
    """10,001 bytes are one too many."""
    connection = VirtualConnection(Recorder(), ServerLimits(max_body_bytes=10_000))
    connection.feed(CHUNKED + b"2711\r\n", b"a" * 10_000)
    assert connection.open
    connection.feed(b"a")
    assert parse_replies(connection.sent, "POST")[0].status == 413


@pytest.mark.parametrize(
    "endless", [b"X-A: " + b"a" * 100_000, b"a" * 100_000, b"".join(b"X-%d: 1\r\n" % n for n in range(200))]
)
def test_a_head_without_end_is_refused_long_before(endless: bytes) -> None:
    """F73: a value, a name, or fields that never stop: told after what is allowed, not after what memory holds."""
    connection = VirtualConnection(Recorder())
    connection.feed(*pieces(head()[:-2] + endless, 1000))
    assert parse_replies(connection.sent, "POST")[0].status == 431


@pytest.mark.parametrize(
    "junk",
    [b"1;" + b"x" * 60_000 + b"\r\na\r\n", b"0\r\nX-Trailer: " + b"x" * 60_000, b"0\r\n" + b"A: b\r\n" * 10_000],
)
def test_chunks_that_carry_nothing_are_refused(junk: bytes) -> None:
    """F71, F73: extensions and trailers have a limit too, or llhttp would collect them without end."""
    handler = Recorder()
    connection = VirtualConnection(handler)
    connection.feed(CHUNKED, *pieces(junk, 3000))
    (reply,) = parse_replies(connection.sent, "POST")
    assert (reply.status, handler.handled) == (400, [])


def test_tiny_chunks_are_served_without_an_object_each() -> None:
    """One byte per chunk is wasteful, not wrong."""
    handler = Recorder()
    VirtualConnection(handler).feed(CHUNKED + b"1\r\na\r\n" * 50_000 + b"0\r\n\r\n")
    assert handler.handled[0].body == b"a" * 50_000


@pytest.mark.parametrize("name", ["Authorization", "Host", "X-Api-Key", "Content-Type", "Content-Length"])
def test_trailers_never_become_headers(name: str) -> None:
    """F71: the head is what admission saw, whatever comes behind the body."""
    handler = Recorder()
    connection = VirtualConnection(handler)
    connection.feed(CHUNKED + f"1\r\na\r\n0\r\n{name}: evil\r\n\r\n".encode() + PLANTED)
    for exchange in handler.handled:
        assert b"evil" not in exchange.request.headers.values()
        assert exchange.request.headers[b"host"] == b"localhost"
    assert handler.targets in ([b"/x", b"/planted"], [])


def test_a_refusal_does_not_repeat_the_request() -> None:
    """F90: the words of the answer and of the fault quote nothing of what came."""
    for raw in (
        head("Authorization: Bearer sk-123456789", "X-A: a\0b"),
        head("Authorization: sk-123456789", "Authorization: sk-123456789"),
        head(start="GET /sk-123456789#x HTTP/1.1"),
        head("Content-Length: sk-123456789"),
        head(host="Host: sk-123456789/"),
    ):
        handler = Recorder()
        connection = VirtualConnection(handler)
        connection.feed(raw)
        assert handler.faults
        assert b"sk-123456789" not in connection.sent


def test_a_client_that_still_sends_can_read_its_refusal() -> None:
    """RFC 9112 §9.6: our half is closed, what still comes is dropped, and the connection ends soon after."""
    connection = VirtualConnection(Recorder())
    connection.feed(head("Content-Length: 99999999"), *[b"x" * 65536] * 100)
    assert connection.transport.ended
    assert not connection.transport.closing
    connection.advance(1.9)
    assert not connection.transport.closing
    connection.advance(0.2)
    assert connection.transport.lost
