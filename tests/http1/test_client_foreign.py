"""A foreign judge: the standard library's own HTTP server, and its reading of what we send."""

from __future__ import annotations

import http.server
import threading
import zlib
from collections.abc import Iterator

import pytest

from ollama_proxy.http1.client import Client, Origin, Timeouts
from tests.support.loops import play

#: The defaults are longer than the patience of a test: what waits for them fails it.
LONG = Timeouts()


class Judge(http.server.BaseHTTPRequestHandler):
    """Answers with what it understood; the path chooses the framing."""

    protocol_version = "HTTP/1.1"
    connections = 0

    def setup(self) -> None:
        super().setup()
        type(self).connections += 1

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        said = f"{self.command} {self.path} {self.headers['X-Name']} {len(body)} {zlib.crc32(body)}".encode()
        self.send_response(200)
        if self.path.startswith("/chunked"):
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for byte in said:
                self.wfile.write(b"1\r\n" + bytes([byte]) + b"\r\n")
            self.wfile.write(b"0\r\n\r\n")
        elif self.path.startswith("/close"):
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(said)
        else:
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(said)

    do_POST = do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def judge() -> Iterator[Origin]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Judge)
    server.daemon_threads = True
    Judge.connections = 0
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield Origin("http", "127.0.0.1", server.server_address[1])
    server.shutdown()
    thread.join()
    server.server_close()


BODIES = [b"", b"x", b"\r\n\r\n0\r\n", bytes(range(256)) * 300, bytes(65536), bytes(65537)]


@pytest.mark.parametrize("path", ["/length?a=%20b&c", "/chunked", "/close"])
def test_the_standard_library_understands_us_and_we_understand_it(judge: Origin, path: str) -> None:
    """Each framing of answers, bodies around every buffer size, one connection while it may be kept."""

    async def story() -> None:
        client = Client()
        for body in BODIES:
            got = await client.request("POST", judge, path, [(b"X-Name", b"caf\xc3\xa9")], body, LONG)
            text = (await got.read(1000)).decode()
            name = b"caf\xc3\xa9".decode("latin-1")
            assert (got.status, text) == (200, f"POST {path} {name} {len(body)} {zlib.crc32(body)}")
        assert Judge.connections == (len(BODIES) if path == "/close" else 1)
        await client.close()

    play(story())


def test_head_and_get_against_the_standard_library(judge: Origin) -> None:
    """Both on one connection."""

    async def story() -> None:
        client = Client()
        for method in ("HEAD", "GET", "HEAD", "GET"):
            got = await client.request(method, judge, "/", [(b"X-Name", b"n")], b"", LONG)
            assert await got.read(1000) == (b"" if method == "HEAD" else b"GET / n 0 0")
        assert Judge.connections == 1
        await client.close()

    play(story())
