"""Owns one stream between a provider and a client: when it begins, what keeps it alive, how it ends.

One chain of calls per piece: the provider's bytes arrive, the protocol's translator turns them into the client's
bytes, they are written. No task is switched and no timer is set for a piece. Knows neither keys nor retries: the
gateway decides what a failure means, from `Delivery.committed`.

The commit point: until a piece with content has come, nothing is written (or, after long silence, only what means
nothing), so another attempt may still take this one's place. After it, an error is told inside the stream.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ollama_proxy.errors import ProxyError, StreamInterrupted, UpstreamJunk, UpstreamTimeout
from ollama_proxy.hub.rename import Renamer
from ollama_proxy.memory import Tap
from ollama_proxy.settings import Timeouts
from ollama_proxy.types import Client, Face, Headers, Stream
from ollama_proxy.upstream import UpstreamReply
from ollama_proxy.wire.sse import FrameTooLarge

__all__ = ["Delivery", "Relay", "Source"]

#: Bytes without content that may come before the first content; a real stream has a few hundred.
_MAX_HELD = 256 * 1024
#: Seconds for a provider to end the HTTP body behind its last word, so that the connection can serve again.
_GRACE_S = 1.0


class Delivery:
    """What the client of one streamed request has been given so far; outlives a failed attempt.

    started: the head is out. committed: something with content is out. stream: the translator of the last attempt.
    """

    __slots__ = ("client", "committed", "face", "started", "stream")

    def __init__(self, client: Client, face: Face) -> None:
        self.client = client
        self.face = face
        self.started = False
        self.committed = False
        self.stream: Stream | None = None

    def start(self, headers: Headers) -> None:
        """The head, once."""
        if not self.started:
            self.started = True
            self.client.start(200, [(b"content-type", self.face.stream_type), *headers])

    def fail(self, error: ProxyError) -> None:
        """Tells the error where the client can still hear it, and ends."""
        if self.client.finished:
            return
        if self.started:
            # The translator that failed may hold what came just before the error.
            stream = self.stream or self.face.open_stream()
            self.client.write(stream.render_error(error))
            self.client.end()
        else:
            self.client.respond(*self.face.render_error(error))


class Source:
    """An upstream stream as its relay reads it, with whoever listens to it or changes it on the way."""

    __slots__ = ("_renamer", "_reply", "_tap")

    def __init__(self, reply: UpstreamReply, tap: Tap | None = None, renamer: Renamer | None = None) -> None:
        self._reply = reply
        self._tap = tap
        self._renamer = renamer

    def relay(self, on_data: Callable[[bytes], None], on_end: Callable[[ProxyError | None], None]) -> None:
        """Hands the pieces to `on_data` and the way it ended to `on_end`; see `UpstreamReply.relay`."""
        if self._tap is None and self._renamer is None:
            self._reply.relay(on_data, on_end)
        else:
            self._reply.relay(
                lambda data: self._heard(data, on_data, on_end), lambda e: self._ended(e, on_data, on_end)
            )

    def pause(self) -> None:
        """Stop reading from the provider."""
        self._reply.pause()

    def resume(self) -> None:
        """Go on reading."""
        self._reply.resume()

    def _heard(
        self, data: bytes, on_data: Callable[[bytes], None], on_end: Callable[[ProxyError | None], None]
    ) -> None:
        if self._tap is not None:
            self._tap.feed(data)
        if self._renamer is not None:
            try:
                data = self._renamer.feed(data)
            except FrameTooLarge:
                on_end(UpstreamJunk("the provider's stream holds an event that is too large"))
                return
        if data:
            on_data(data)

    def _ended(
        self,
        error: ProxyError | None,
        on_data: Callable[[bytes], None],
        on_end: Callable[[ProxyError | None], None],
    ) -> None:
        if self._tap is not None:
            self._tap.close()
        rest = self._renamer.finish() if self._renamer is not None and error is None else b""
        if rest:
            on_data(rest)
        on_end(error)


class Relay:
    """One attempt's stream."""

    __slots__ = (
        "_client",
        "_delivery",
        "_done",
        "_first_content_s",
        "_headers",
        "_held",
        "_held_bytes",
        "_loop",
        "_now",
        "_on_commit",
        "_paused",
        "_progress",
        "_reply",
        "_seen",
        "_started_at",
        "_timeouts",
        "_timer",
        "_told",
        "_wrote",
        "stream",
    )

    def __init__(
        self,
        reply: Source,
        stream: Stream,
        delivery: Delivery,
        headers: Headers,
        timeouts: Timeouts,
        first_content_s: float,
        now: Callable[[], float],
        on_commit: Callable[[], None],
    ) -> None:
        """on_commit: called once, when content is on its way to the client."""
        self.stream = delivery.stream = stream
        self._reply = reply
        self._delivery = delivery
        self._client = delivery.client
        self._headers = headers
        self._timeouts = timeouts
        self._first_content_s = first_content_s
        self._now = now
        self._on_commit = on_commit
        self._loop = asyncio.get_running_loop()
        self._done: asyncio.Future[None] = self._loop.create_future()
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._paused = False
        self._told = False  # the client has its end mark
        self._progress = 0
        self._started_at = self._seen = self._wrote = now()
        self._timer: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """Returns when the stream is complete and the client has its end mark.

        Raises: the ProxyError that stopped it; CancelledError when the client left. The caller closes the reply.
        """
        self._client.on_flow = self._flow
        self._arm()
        self._reply.relay(self._on_data, self._on_end)
        try:
            await self._done
        finally:
            self._client.on_flow = None
            if self._timer is not None:
                self._timer.cancel()

    # --- the chain ----------------------------------------------------------------------------------------------------

    def _on_data(self, data: bytes) -> None:
        if self._done.done():
            return
        if self._told:
            # Bytes behind the end are nobody's, and nobody waits for more of them.
            self._finish(None)
            return
        try:
            out = self.stream.feed(data)
        except Exception as error:  # noqa: BLE001 — a bug of ours must not end as the provider's broken connection
            self._finish(error)
            return
        if self.stream.progress != self._progress:
            self._progress = self.stream.progress
            self._seen = self._now()
        if out:
            self._write(out)
        if self.stream.over:
            self._wind_up()

    def _write(self, out: bytes) -> None:
        if not self._delivery.committed:
            self._held.append(out)
            self._held_bytes += len(out)
            if not self.stream.committed:
                if self._held_bytes > _MAX_HELD:
                    self._finish(UpstreamJunk("the provider's stream says nothing at great length"))
                return
            self._commit()
            out = b"".join(self._held)
            self._held.clear()
        self._wrote = self._now()
        self._client.write(out)

    def _commit(self) -> None:
        self._delivery.start(self._headers)
        self._delivery.committed = True
        self._on_commit()

    def _on_end(self, error: ProxyError | None) -> None:
        if self._done.done():
            # Judged already, perhaps with an error that its task has not seen yet: an end mark would hide it.
            return
        if not self._told:
            self._conclude(error)
        self._finish(None)

    def _wind_up(self) -> None:
        """The provider has said its last word: the client need not wait for the end of the provider's connection."""
        self._conclude(None)
        if not self._done.done():
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_later(_GRACE_S, self._finish, None)

    def _conclude(self, error: ProxyError | None) -> None:
        """The client's end mark; or the error that keeps it from one.

        A stream that had come to its end is whole, however its connection ended afterwards.
        """
        try:
            rest = self.stream.finish()
        except ProxyError as problem:
            self._finish(error or problem)
            return
        except Exception as bug:  # noqa: BLE001 — as above
            self._finish(bug)
            return
        if not self._delivery.committed:
            self._commit()
        out = b"".join(self._held) + rest
        if out:
            self._client.write(out)
        self._client.end()
        self._told = True

    def _finish(self, error: Exception | None) -> None:
        if not self._done.done():
            if error is None:
                self._done.set_result(None)
            else:
                self._done.set_exception(error)

    def _flow(self, stop: bool) -> None:
        self._paused = stop
        if stop:
            self._reply.pause()
        else:
            self._seen = self._now()
            self._reply.resume()

    # --- time ---------------------------------------------------------------------------------------------------------

    def _arm(self) -> None:
        """One timer for all that can become due; it looks at what was noted and sets itself again."""
        now = self._now()
        due = min(self._content_due(), self._started_at + self._timeouts.stream_s, self._heartbeat_due())
        self._timer = self._loop.call_later(max(0.0, due - now), self._tick)

    def _content_due(self) -> float:
        wait = self._timeouts.idle_s if self._progress else self._first_content_s
        return self._seen + wait

    def _heartbeat_due(self) -> float:
        # What counts is what the client saw: a long tool call grows at the provider while nothing reaches the client.
        return self._wrote + self._timeouts.heartbeat_s

    def _tick(self) -> None:
        if self._done.done():
            return
        now = self._now()
        if now >= self._started_at + self._timeouts.stream_s:
            self._on_end(StreamInterrupted("the stream ran longer than allowed", code="upstream_too_long"))
        elif self._paused:
            # The client is slow, not the provider; the server's own timer watches a client that reads nothing.
            self._seen = self._wrote = now
            self._arm()
        elif now >= self._content_due():
            self._on_end(self._silence())
        else:
            if now >= self._heartbeat_due():
                self._heartbeat(now)
            self._arm()

    def _silence(self) -> ProxyError:
        if self._progress:
            return StreamInterrupted("the provider fell silent in the middle of its answer", code="upstream_idle")
        return UpstreamTimeout("the provider took too long to begin its answer")

    def _heartbeat(self, now: float) -> None:
        self._wrote = now
        self._delivery.start(self._headers)
        self._client.write(self.stream.heartbeat())
