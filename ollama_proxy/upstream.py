"""The one door to providers: send a request, read or relay the answer, time out, cancel. Knows no protocol's shape.

Foreign faults are renamed here, once, into the errors of `errors.py`. A provider's key enters as a header that the
caller has made, goes to that provider's own address and nowhere else: redirects are not followed.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Mapping

from ollama_proxy.errors import (
    Overloaded,
    ProxyError,
    StreamInterrupted,
    UpstreamError,
    UpstreamJunk,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from ollama_proxy.http1.client import Client, Origin, Proxy, Response, Timeouts, proxy_from_environment
from ollama_proxy.http1.faults import (
    BadFraming,
    ConnectFailed,
    ConnectionLost,
    EncodingRefused,
    NoMeans,
    TimedOut,
    TLSRefused,
    TooMuch,
    TransportFault,
)
from ollama_proxy.types import Headers

__all__ = ["Proxy", "Transport", "Upstream", "UpstreamReply", "rename"]

_log = logging.getLogger("ollama_proxy.upstream")
#: Seconds between two lines of the log about the same want.
_QUIET_S = 60.0

#: How long each part of a call may take.
Transport = Timeouts


def rename(fault: TransportFault) -> ProxyError:
    """Our error for a transport's fault, an UpstreamError unless it is our own; its words hold no secret."""
    match fault:
        case NoMeans():
            return Overloaded(
                f"The proxy's own machine has nothing left for another connection ({fault}); try again in a moment.",
                retry_after_s=1,
            )
        case TimedOut(phase="idle"):
            return StreamInterrupted("the provider fell silent in the middle of its answer", code="upstream_idle")
        case TimedOut(phase=phase):
            return UpstreamTimeout(f"the provider took too long ({phase.replace('_', ' ')})")
        case TLSRefused():
            return UpstreamUnreachable(f"no trustworthy connection to the provider: {fault}", code="upstream_tls")
        case ConnectFailed():
            return UpstreamUnreachable(f"no connection to the provider: {fault}")
        case ConnectionLost():
            return StreamInterrupted(
                "the provider closed the connection in the middle of its answer", code="upstream_reset"
            )
        case BadFraming() | EncodingRefused() | TooMuch():
            return UpstreamJunk(f"the provider's answer is not usable: {fault}")
        case _:
            return UpstreamError(f"the call to the provider failed: {fault}")


class UpstreamReply:
    """One provider's answer, of which the head has arrived."""

    __slots__ = ("_response", "headers", "status")

    def __init__(self, response: Response) -> None:
        self._response = response
        self.status = response.status
        self.headers: Mapping[bytes, bytes] = response.headers

    async def read(self, max_bytes: int, within_s: float = math.inf) -> bytes:
        """The whole body, however slowly its bytes drip in, `within_s` from now.

        Raises: UpstreamError of the fitting kind.
        """
        late = False

        def give_up() -> None:
            nonlocal late
            late = True
            self._response.close()

        timer = None
        # A small answer comes with its head: a timer for it would cost 7 % of the whole request (2026-11).
        if within_s < math.inf and not self._response.is_over:
            timer = asyncio.get_running_loop().call_later(max(0.0, within_s), give_up)
        try:
            return await self._response.read(max_bytes)
        except TransportFault as fault:
            if late:
                raise UpstreamTimeout("the provider took too long (whole answer)") from fault
            if isinstance(fault, TimedOut):
                # Nothing of it was passed on: for whoever waits for the whole it is late, not cut.
                raise UpstreamTimeout("the provider fell silent in the middle of its answer") from fault
            raise rename(fault) from fault
        finally:
            if timer is not None:
                timer.cancel()

    def relay(self, on_data: Callable[[bytes], None], on_end: Callable[[ProxyError | None], None]) -> None:
        """Hands every piece of the body to `on_data` as it comes, then the way it ended to `on_end`."""

        def ended(fault: TransportFault | None) -> None:
            on_end(None if fault is None else rename(fault))

        self._response.relay(on_data, ended)

    def pause(self) -> None:
        """Stop reading from the provider."""
        self._response.pause()

    def resume(self) -> None:
        """Go on reading."""
        self._response.resume()

    def close(self) -> None:
        """Done with this answer: an unfinished one is cut off at once, so that the provider stops working on it."""
        self._response.close()


class Upstream:
    """Sends requests to providers, over connections that are kept and shared."""

    def __init__(self, environment: Mapping[str, str] | None = None, *, client: Client | None = None) -> None:
        self._client = client or Client(proxy_for=proxy_from_environment(environment or {}))
        self._addresses: dict[str, tuple[Origin, str]] = {}
        self._proxies: dict[str, Proxy] = {}
        self._quiet_until = -math.inf

    async def send(
        self,
        method: str,
        base_url: str,
        path: str,
        headers: Headers,
        body: bytes,
        timeouts: Timeouts,
        *,
        proxy: str | None = None,
    ) -> UpstreamReply:
        """The answer's head, whatever its status; the caller closes it.

        Raises: UpstreamUnreachable, UpstreamTimeout, UpstreamJunk, StreamInterrupted; Overloaded where it is our own
        machine that can open no connection.
        """
        address = self._addresses.get(base_url)
        if address is None:
            address = self._addresses[base_url] = Origin.parse(base_url)
        origin, base_path = address
        leave_by = None if proxy is None else self._proxy(proxy)
        try:
            response = await self._client.request(
                method, origin, base_path + path, headers, body, timeouts, proxy=leave_by
            )
        except TransportFault as fault:
            if isinstance(fault, NoMeans):
                self._complain(fault)
            raise rename(fault) from fault
        return UpstreamReply(response)

    def _complain(self, fault: NoMeans) -> None:
        """Tells the operator, who alone can help, and once in a while is enough."""
        now = asyncio.get_running_loop().time()
        if now >= self._quiet_until:
            self._quiet_until = now + _QUIET_S
            _log.error("no connection to a provider can be opened: %s; raise the limit (ulimit -n)", fault)

    def _proxy(self, url: str) -> Proxy:
        proxy = self._proxies.get(url)
        if proxy is None:
            proxy = self._proxies[url] = Proxy.parse(url)
        return proxy

    async def close(self) -> None:
        """Closes every kept connection."""
        await self._client.close()
