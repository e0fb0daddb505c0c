"""TLS and egress proxies over real sockets: who is trusted, what a proxy hears, and that nothing is ever downgraded."""

from __future__ import annotations

import asyncio
import datetime
import ssl
from collections.abc import Callable
from typing import Any

import pytest
import trustme

from ollama_proxy.http1.client import Client, Origin, Proxy, Response, Timeouts
from ollama_proxy.http1.faults import ConnectFailed, ConnectionLost, TimedOut, TLSRefused
from ollama_proxy.http1.trust import platform_context
from tests.support.fake_upstream import Action, Upstream, Visit, answer, deaf, request, reset, send, stall, whole
from tests.support.loops import on_every_loop, play

#: The defaults are longer than the patience of a test: what waits for them fails it.
LONG = Timeouts()
AUTHORITY = trustme.CA()
PAST = datetime.datetime(2001, 1, 1, tzinfo=datetime.timezone.utc)


def serving(*names: str, authority: trustme.CA = AUTHORITY, **options: Any) -> ssl.SSLContext:
    """A server's context with a certificate for these names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names, **options).configure_cert(context)
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


def trusting() -> ssl.SSLContext:
    """The platform's context that also trusts our authority."""
    context = platform_context()
    AUTHORITY.configure_trust(context)
    return context


async def post(client: Client, origin: Origin, *, proxy: Proxy | None = None, timeouts: Timeouts = LONG) -> Response:
    headers = [(b"Authorization", b"Bearer canary")]
    return await client.request("POST", origin, "/x", headers, b"{}", timeouts, proxy=proxy)


# TLS


@on_every_loop
async def test_an_upstream_with_a_trusted_certificate_is_served() -> None:
    """By name and by address, ALPN http/1.1, one context and one connection for many requests."""
    made: list[ssl.SSLContext] = []

    def make() -> ssl.SSLContext:
        made.append(trusting())
        return made[-1]

    async with Upstream([answer(times=20)], tls=serving("localhost", "127.0.0.1")) as upstream:
        client = Client(ssl_context=make)
        by_address = Origin("https", "127.0.0.1", upstream.origin.port)
        await asyncio.gather(*[post(client, by_address) for _ in range(3)])
        for origin in (upstream.origin, by_address):
            for _ in range(3):
                assert await (await post(client, origin)).read(10) == b"ok"
        assert (len(made), len(upstream.visits)) == (1, 4)
        chosen = upstream.visits[0].transport.get_extra_info("ssl_object").selected_alpn_protocol()
        assert chosen == "http/1.1"
        await client.close()


WRONG: dict[str, Callable[[], ssl.SSLContext]] = {
    "other name": lambda: serving("example.test"),
    "unknown authority": lambda: serving("localhost", authority=trustme.CA()),
    "expired": lambda: serving("localhost", not_before=PAST, not_after=PAST + datetime.timedelta(days=9)),
}


@pytest.mark.parametrize("make_loop", [asyncio.new_event_loop])
@pytest.mark.parametrize("serve", WRONG.values(), ids=WRONG)
def test_a_wrong_certificate_is_refused_before_a_byte_is_sent(
    serve: Callable[[], ssl.SSLContext], make_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    """F31: and nothing is tried again with less."""

    async def story() -> None:
        async with Upstream([answer()], tls=serve()) as upstream:
            client = Client(ssl_context=trusting)
            with pytest.raises(TLSRefused, match="localhost") as caught:
                await post(client, upstream.origin)
            assert "canary" not in str(caught.value)
            assert upstream.requests == []
            await client.close()

    play(story(), make_loop)


@on_every_loop
async def test_the_platform_does_not_trust_just_anybody() -> None:
    """F31: the default context, self-signed upstream."""
    async with Upstream([answer()], tls=serving("localhost")) as upstream:
        client = Client()
        with pytest.raises(TLSRefused, match="certificate"):
            await post(client, upstream.origin)
        assert upstream.requests == []
        await client.close()


@on_every_loop
async def test_a_plain_server_behind_https_is_refused() -> None:
    """F31: https stays https."""

    async def plain(visit: Visit) -> None:
        while not visit.received:
            await asyncio.sleep(0)
        visit.transport.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with Upstream([plain, stall()]) as upstream:
        client = Client(ssl_context=trusting)
        with pytest.raises(TLSRefused):
            await post(client, Origin("https", "localhost", upstream.origin.port))
        assert b"canary" not in upstream.visits[0].received
        await client.close()


@on_every_loop
async def test_a_handshake_that_stalls_costs_the_connect_timeout() -> None:
    """F30: TLS is part of connecting; the half open connection is closed."""
    async with Upstream([stall()]) as upstream:
        client = Client(ssl_context=trusting)
        with pytest.raises(TimedOut) as caught:
            await post(client, Origin("https", "localhost", upstream.origin.port), timeouts=Timeouts(connect_s=0.2))
        assert caught.value.phase == "connect"
        await upstream.visits[0].gone.wait()
        await client.close()


@on_every_loop
async def test_cancelling_a_handshake_closes_its_connection_at_once() -> None:
    """F61: nobody waits for a connection that nobody wants."""
    async with Upstream([stall()]) as upstream:
        client = Client(ssl_context=trusting)
        task = asyncio.create_task(post(client, Origin("https", "localhost", upstream.origin.port)))
        visit = await upstream.visit(0)
        while not visit.received:
            await asyncio.sleep(0)
        before = asyncio.get_running_loop().time()
        task.cancel()
        await visit.gone.wait()
        assert asyncio.get_running_loop().time() - before < 0.25
        with pytest.raises(asyncio.CancelledError):
            await task
        await client.close()


@on_every_loop
async def test_a_handshake_that_breaks_off_is_a_failed_connect() -> None:
    """Not a matter of trust: another try may help."""
    async with Upstream([reset()]) as upstream:
        client = Client(ssl_context=trusting)
        with pytest.raises(ConnectFailed):
            await post(client, Origin("https", "localhost", upstream.origin.port))
        await client.close()


@pytest.mark.parametrize("weak", ["no name", "nothing"])
def test_a_context_that_does_not_verify_is_not_used(weak: str) -> None:
    """Verification cannot be configured away."""

    def make() -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        if weak == "nothing":
            context.verify_mode = ssl.CERT_NONE
        return context

    async def story() -> None:
        with pytest.raises(ValueError, match="verify"):
            await post(Client(ssl_context=make), Origin("https", "localhost", 1))

    play(story())


@on_every_loop
async def test_over_tls_a_stalled_upload_and_a_reset_have_their_names() -> None:
    """F36, F47: the same faults as without TLS."""
    async with Upstream(
        [deaf(), stall()],
        [request(), send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhal"), reset()],
        tls=serving("localhost"),
        receive_buffer=4096,
    ) as upstream:
        client = Client(ssl_context=trusting)
        with pytest.raises(TimedOut) as caught:
            await client.request("POST", upstream.origin, "/", [], b"x" * 20_000_000, Timeouts(write_idle_s=0.2))
        assert caught.value.phase == "write"
        with pytest.raises(ConnectionLost):
            await (await post(client, upstream.origin)).read(100)
        await client.close()


@on_every_loop
async def test_over_tls_a_large_body_arrives_whole_both_ways() -> None:
    """Pieces, pausing and records of their own do not lose a byte."""
    body = bytes(range(256)) * 20_000

    async def echo(visit: Visit) -> None:
        visit.transport.write(whole((await visit.request()).partition(b"\r\n\r\n")[2]))

    async with Upstream([echo], tls=serving("localhost")) as upstream:
        client = Client(ssl_context=trusting)
        got = await client.request("POST", upstream.origin, "/", [], body, LONG)
        seen: list[bytes] = []
        ended: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        loop = asyncio.get_running_loop()

        def take(data: bytes) -> None:
            seen.append(data)
            got.pause()
            loop.call_soon(got.resume)

        got.relay(take, ended.set_result)
        assert await ended is None
        assert b"".join(seen) == body
        await client.close()


# Proxies


def tunnelling(target: Upstream, *, status: bytes = b"200 Connection established", tail: bytes = b"") -> Action:
    """A proxy: answers CONNECT, then passes bytes both ways."""

    async def act(visit: Visit) -> None:
        await visit.request()
        reader, writer = await asyncio.open_connection("127.0.0.1", target.origin.port)
        visit.transport.write(b"HTTP/1.1 " + status + b"\r\nVia: p\r\n\r\n" + tail)
        passed = len(visit.received)

        async def inwards() -> None:
            while data := await reader.read(65536):
                visit.transport.write(data)

        task = asyncio.get_running_loop().create_task(inwards())
        try:
            while not visit.gone.is_set():
                writer.write(bytes(visit.received[passed:]))
                passed = len(visit.received)
                await asyncio.sleep(0.001)
        finally:
            task.cancel()
            writer.transport.abort()
            await asyncio.gather(task, return_exceptions=True)

    return act


def proxy_at(upstream: Upstream, auth: bytes | None = None) -> Proxy:
    return Proxy("127.0.0.1", upstream.origin.port, auth)


@on_every_loop
async def test_an_https_origin_is_reached_through_a_tunnel() -> None:
    """RFC 9110 §9.3.6: the proxy hears host and port and its own password, never the request or the key."""
    async with Upstream([answer(times=3)], tls=serving("localhost")) as target, Upstream([tunnelling(target)]) as hop:
        client = Client(ssl_context=trusting)
        proxy = proxy_at(hop, b"Basic c2VjcmV0")
        for _ in range(3):
            assert await (await post(client, target.origin, proxy=proxy)).read(10) == b"ok"
        name = b"localhost:%d" % target.origin.port
        assert hop.requests == [
            b"CONNECT " + name + b" HTTP/1.1\r\nHost: " + name + b"\r\nProxy-Authorization: Basic c2VjcmV0\r\n\r\n"
        ]
        assert b"canary" not in hop.visits[0].received
        assert b"Proxy-Authorization" not in target.requests[0]
        assert len(target.visits) == 1
        await client.close()
        await hop.visits[0].gone.wait()


@on_every_loop
async def test_certificates_are_verified_through_a_tunnel_too() -> None:
    """F31: a proxy is no reason to trust."""
    async with Upstream([answer()], tls=serving("example.test")) as target, Upstream([tunnelling(target)]) as hop:
        client = Client(ssl_context=trusting)
        with pytest.raises(TLSRefused):
            await post(client, target.origin, proxy=proxy_at(hop))
        assert target.requests == []
        await client.close()


@on_every_loop
async def test_an_http_origin_is_asked_for_by_its_whole_address() -> None:
    """RFC 9112 §3.2.2: absolute-form, Host of the origin, the proxy's password with every request."""
    async with Upstream([answer(times=2)]) as hop:
        client = Client()
        proxy = proxy_at(hop, b"Basic c2VjcmV0")
        for _ in range(2):
            assert await (await post(client, Origin("http", "far.test", 8080), proxy=proxy)).read(10) == b"ok"
        assert len(hop.visits) == 1
        assert hop.requests[1].startswith(b"POST http://far.test:8080/x HTTP/1.1\r\nHost: far.test:8080\r\n")
        assert b"Proxy-Authorization: Basic c2VjcmV0\r\n" in hop.requests[1]
        await client.close()


@on_every_loop
async def test_a_request_may_name_its_own_proxy() -> None:
    """It overrides proxy_for, and its connections are its own."""
    async with Upstream([answer(whole(b"common"))]) as common, Upstream([answer(whole(b"own"))]) as own:
        client = Client(proxy_for=lambda _: proxy_at(common))
        origin = Origin("http", "far.test", 80)
        assert await (await post(client, origin)).read(10) == b"common"
        assert await (await post(client, origin, proxy=proxy_at(own))).read(10) == b"own"
        await client.close()


REFUSALS = {
    "407": [request(), send(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 3\r\n\r\nno!")],
    "502": [request(), send(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")],
    "garbage": [request(), send(b"what?\r\n\r\n")],
    "closed": [request(), reset()],
    "early bytes": [request(), send(b"HTTP/1.1 200 OK\r\n\r\nearly")],
}


@pytest.mark.parametrize("script", REFUSALS.values(), ids=REFUSALS)
def test_a_proxy_that_opens_no_tunnel_is_a_failed_connect(script: list[Action]) -> None:
    """The proxy is named, its password is not; nobody goes around it."""

    async def story() -> None:
        async with Upstream([*script, stall()]) as hop:
            client = Client(ssl_context=trusting)
            with pytest.raises(ConnectFailed, match=rf"127\.0\.0\.1:{hop.origin.port}") as caught:
                await post(client, Origin("https", "far.test", 443), proxy=proxy_at(hop, b"Basic c2VjcmV0"))
            assert "c2VjcmV0" not in str(caught.value) + repr(proxy_at(hop, b"Basic c2VjcmV0"))
            await hop.visits[0].gone.wait()
            await client.close()

    play(story())


@on_every_loop
async def test_a_proxy_that_stalls_costs_the_connect_timeout() -> None:
    """F30: the way through the proxy is part of connecting."""
    async with Upstream([request(), stall()]) as hop:
        client = Client(ssl_context=trusting)
        with pytest.raises(TimedOut) as caught:
            await post(client, Origin("https", "far.test", 443), proxy=proxy_at(hop), timeouts=Timeouts(connect_s=0.2))
        assert caught.value.phase == "connect"
        await hop.visits[0].gone.wait()
        await client.close()
