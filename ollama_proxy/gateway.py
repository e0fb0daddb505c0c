"""Owns one request's journey: target after target, key after key, until the client has its answer.

It joins the parts and decides nothing itself: `routing` names the targets, `pool` hands out keys, `plan` says what
comes next, `providers` prepare the call and judge the answer, `relay` carries a stream. Here they are awaited, and
whatever happens a lease goes back exactly once and an unfinished upstream answer is closed at once. A client that
leaves cancels the task that serves it: that is the whole of cancellation.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import quote

import msgspec

from ollama_proxy.batches import in_batches
from ollama_proxy.channel import Channel, Place
from ollama_proxy.clock import Clock
from ollama_proxy.errors import (
    EmptyAnswer,
    ErrorInside,
    Overloaded,
    ProxyError,
    ShuttingDown,
    UpstreamError,
    UpstreamJunk,
    UpstreamTimeout,
)
from ollama_proxy.hub.rename import Renamer
from ollama_proxy.memory import Memory
from ollama_proxy.outcome import CANCELLED, Kind, Outcome, Reply
from ollama_proxy.plan import Ended, Fail, NextTarget, Progress, Reason, Stage, Try, Wait, next_step
from ollama_proxy.plan import Limits as PlanLimits
from ollama_proxy.pool import Lease, Rest
from ollama_proxy.refusals import keys_refused, keys_resting, refusal, unavailable
from ollama_proxy.relay import Delivery, Relay, Source
from ollama_proxy.routing import Target
from ollama_proxy.secret import Scrubber
from ollama_proxy.settings import Limits, Timeouts
from ollama_proxy.telemetry import Journal, Served, log_mistake
from ollama_proxy.types import Access, Call, Client, Headers, Model, Operation
from ollama_proxy.upstream import Transport, Upstream

__all__ = ["Gateway"]

_log = logging.getLogger("ollama_proxy.gateway")
_JSON = (b"content-type", b"application/json")
#: Says nothing bad about anybody.
_HEARD = Outcome(Kind.CALLER)
_encode = msgspec.json.Encoder().encode
#: Bytes of an error body that are looked at; no provider needs more to say no.
_ERROR_BYTES = 256 * 1024
#: Between a request's beginning and its first attempt.
_MOMENT_S = 0.05
#: The share of all the time in which nothing new is begun, at most.
_MOST = 0.8
#: Targets whose headers are kept; their names come from clients.
_REMEMBERED = 1024
#: Letters of the list of dropped fields, which clients write; theirs refuse a header of 64 KB.
_LONGEST_DROPPED = 1000


class _Nobody:
    """The client of a call that we make for ourselves: it takes no stream."""

    finished = True
    on_gone: Callable[[], None] | None = None
    on_flow: Callable[[bool], None] | None = None

    def respond(self, status: int, headers: Headers, body: bytes) -> None: ...
    def start(self, status: int, headers: Headers) -> None: ...
    def write(self, data: bytes) -> None: ...
    def end(self) -> None: ...
    def abort(self) -> None: ...


_NOBODY = _Nobody()


@dataclass(slots=True)
class _UnderWay:
    """How many requests are served just now. closing: they are to end, because we do."""

    requests: int = 0
    closing: bool = False


@dataclass(slots=True)
class _Trip:
    """One request under way."""

    call: Call
    delivery: Delivery
    targets: Sequence[Target]
    progress: Progress
    record: Served
    patience_s: float
    #: Where it stands in line for a key, and whether its turn has come.
    place: Place | None = None
    in_turn: bool = False
    answer: tuple[Headers, bytes] = field(default_factory=lambda: ([], b""))
    #: What broke the last attempt, where the provider did not say so itself.
    broke: UpstreamError | None = None

    @property
    def target(self) -> Target:
        return self.targets[self.progress.target]

    def channel(self, channels: Mapping[str, Channel]) -> Channel:
        return channels[self.target.provider]

    def leave_line(self) -> None:
        """Gives up its place, if it has one."""
        self.in_turn = False
        if self.place is not None:
            self.place.leave()
            self.place = None


class Gateway:
    """Serves calls.

    channels: the providers that may be called, by name. find: the targets of a caller's model name.
    describe: what is known of a model. successor: the name of the model that took the place of one that is gone.
    """

    def __init__(
        self,
        channels: Mapping[str, Channel],
        find: Callable[[str], Sequence[Target]],
        describe: Callable[[Target], Model],
        successor: Callable[[Target], str | None],
        upstream: Upstream,
        clock: Clock,
        journal: Journal,
        scrubber: Scrubber,
        memory: Memory,
        timeouts: Timeouts,
        limits: Limits,
    ) -> None:
        self._channels = channels
        self._find = find
        self._describe = describe
        self._successor = successor
        self._upstream = upstream
        self._clock = clock
        self._journal = journal
        self._scrubber = scrubber
        self._memory = memory
        self._timeouts = timeouts
        self._limits = limits
        # Where all the time is short, the first attempt has most of it.
        last_s = min(PlanLimits().last_second_s, _MOST * timeouts.answer_s)
        self._plan_limits = PlanLimits(max_wait_s=timeouts.key_wait_s, last_second_s=last_s)
        self._patience_s = min(timeouts.key_wait_s, timeouts.answer_s - last_s)
        # A stream has its relay's own, finer timers: the transport's must never be first.
        stream_idle_s = 2 * max(timeouts.idle_s, timeouts.first_content_s)
        self._streaming = Transport(timeouts.connect_s, timeouts.first_content_s, stream_idle_s)
        self._whole = Transport(timeouts.connect_s, timeouts.answer_s, timeouts.idle_s)
        self._under_way = _UnderWay()
        self._served_by: dict[Target, Headers] = {}

    @property
    def in_flight(self) -> int:
        """Requests under way, those of the gateways that this one took over from included."""
        return self._under_way.requests

    def close(self) -> None:
        """From now on, whoever is cancelled did not leave: he is told that we end."""
        self._under_way.closing = True

    def take_over(self, before: Gateway) -> None:
        """Counts together with the gateway before it, whose requests end there."""
        self._under_way = before._under_way

    # --- the two ways in ----------------------------------------------------------------------------------------------

    async def serve(self, call: Call, client: Client, protocol: str) -> None:
        """Answers the client, whatever happens; returns when the answer is complete or the client is gone."""
        delivery = Delivery(client, call.face)
        record = Served(protocol, call.model, 0, 0.0)
        started = self._clock.now()
        task = asyncio.current_task()
        client.on_gone = None if task is None else lambda: _leave(task)
        try:
            headers, body = await self._serve(call, delivery, record)
            if not call.stream:
                client.respond(200, [(b"content-type", call.face.answer_type), *headers], body)
            record.status = 200
        except ProxyError as error:
            record.status, record.kind = error.status, error.code
            delivery.fail(error)
        except asyncio.CancelledError:
            if self._under_way.closing and not client.finished:
                end = ShuttingDown("The proxy was stopped before the answer had ended.", retry_after_s=2)
                record.status, record.kind = end.status, end.code
                delivery.fail(end)
            else:
                record.status, record.kind = 499, "client left"
        except Exception as error:  # noqa: BLE001 — the one catch-all: a bug of ours must not hang a client
            record.status, record.kind = 500, "internal_error"
            delivery.fail(log_mistake(_log, error))
        finally:
            client.on_gone = None
            record.duration_s = self._clock.now() - started
            self._journal.served(record)

    async def ask(self, call: Call) -> bytes:
        """The rendered whole answer of a call that is not streamed.

        Raises: ProxyError.
        """
        return (await self._serve(call, Delivery(_NOBODY, call.face), Served("", call.model, 0, 0.0)))[1]

    async def _serve(self, call: Call, delivery: Delivery, record: Served) -> tuple[Headers, bytes]:
        if self.in_flight >= self._limits.in_flight:
            raise Overloaded("The proxy is serving as many requests as it may; try again in a moment.", retry_after_s=1)
        self._under_way.requests += 1
        try:
            if call.operation is Operation.EMBEDDINGS:
                answer = await self._in_batches(call, delivery, record)
                if answer is not None:
                    return answer
            return await self._travel(self._set_out(call, delivery, record))
        finally:
            self._under_way.requests -= 1

    async def _in_batches(self, call: Call, delivery: Delivery, record: Served) -> tuple[Headers, bytes] | None:
        """The answer to a request that its provider takes only in parts; None for one that it takes whole."""

        async def serve(part: Call) -> tuple[Headers, bytes]:
            return await self._travel(self._set_out(part, delivery, record))

        provider = self._channels[self._find(call.model)[0].provider].provider
        return await in_batches(call, provider.embed_batch, serve)

    # --- the journey --------------------------------------------------------------------------------------------------

    def _set_out(self, call: Call, delivery: Delivery, record: Served) -> _Trip:
        now = self._clock.now()
        targets = self._able(call, self._find(call.model))
        if len(targets) == 1:
            # The window matters only where there is another target to compare with.
            stages = [self._channels[targets[0].provider].stage]
        else:
            stages = [Stage(self._channels[t.provider].pool.budget, self._describe(t).context) for t in targets]
        patience = self._timeouts.first_content_s if call.stream else self._timeouts.answer_s
        # With a moment on top a first attempt, which begins a little later, has its usual limits.
        deadline = now + self._timeouts.answer_s + _MOMENT_S
        progress = Progress(stages, deadline, patience, call.sdk_retry, self._plan_limits)
        return _Trip(call, delivery, targets, progress, record, self._patience_s)

    def _able(self, call: Call, targets: Sequence[Target]) -> Sequence[Target]:
        """The targets that can do what is needed; all of them if none says so, since providers know best."""
        if len(targets) == 1 or not call.needs:
            return targets
        able = [t for t in targets if not call.needs - self._describe(t).capabilities]
        return able or targets

    async def _travel(self, trip: _Trip) -> tuple[Headers, bytes]:
        try:
            return await self._go_on(trip)
        finally:
            trip.leave_line()

    async def _go_on(self, trip: _Trip) -> tuple[Headers, bytes]:
        event: Ended | Rest | None = None
        while True:
            full = trip.channel(self._channels).waiting(trip.target.model_id) >= self._limits.queue
            step = next_step(trip.progress, event, self._clock.now(), self._clock.rnd(), queue_full=full)
            event = None
            match step:
                case Try():
                    event = await self._try(trip, step.first_content_s)
                    if event is None:
                        return trip.answer
                case Wait(queued=True):
                    await self._stand_in_line(trip, step.until)
                case Wait():
                    await asyncio.sleep(max(0.0, step.until - self._clock.now()))
                case NextTarget():
                    trip.leave_line()
                case Fail():
                    raise self._verdict(trip, step)

    async def _try(self, trip: _Trip, first_content_s: float) -> Ended | Rest | None:
        """None: the request is served."""
        channel, model_id = trip.channel(self._channels), trip.target.model_id
        group = channel.provider.group(model_id)
        now = self._clock.now()
        if not trip.in_turn and channel.waiting(model_id):
            # Others came first.
            return channel.pool.outlook(model_id, group, now)
        lease = channel.pool.acquire(model_id, group, now, self._clock.rnd(), trip.progress.excluded)
        if isinstance(lease, Rest):
            return lease
        trip.leave_line()
        outcome = await self._attempt(trip, channel, lease, first_content_s)
        if outcome.kind is Kind.OK:
            return None
        trip.progress.committed = trip.delivery.committed
        return Ended(outcome, lease.key.label, channel.pool.outlook(model_id, group, self._clock.now()))

    async def _stand_in_line(self, trip: _Trip, until: float) -> None:
        """Returns when it is this request's turn and a key may be free, or when its patience ends."""
        channel, model_id = trip.channel(self._channels), trip.target.model_id
        group = channel.provider.group(model_id)
        place = trip.place = trip.place or channel.join_line(model_id)
        came = now = self._clock.now()
        end = came + trip.patience_s
        while now < end:
            soonest = end
            if place.is_first:
                if now >= until or channel.pool.eligible(model_id, group, now, trip.progress.excluded):
                    break
                soonest = min(until, end)
            await place.pause(soonest - now)
            now = self._clock.now()
        trip.in_turn = True
        trip.patience_s = max(0.0, end - now)

    # --- one attempt --------------------------------------------------------------------------------------------------

    async def _attempt(self, trip: _Trip, channel: Channel, lease: Lease, first_content_s: float) -> Outcome:
        record = trip.record
        record.attempts += 1
        record.provider, record.key = channel.name, lease.key.label
        outcome, trip.broke = CANCELLED, None
        try:
            outcome = await self._judged(trip, channel, lease, first_content_s)
        finally:
            # Who says nothing is alive all the same: one odd prompt must not close the provider for everybody.
            news = _HEARD if isinstance(trip.broke, EmptyAnswer) else outcome
            channel.give_back(lease, news, self._clock.now(), self._clock.rnd())
            self._journal.attempted(channel.name, outcome.kind.value)
        return outcome

    async def _judged(self, trip: _Trip, channel: Channel, lease: Lease, first_content_s: float) -> Outcome:
        """How the call ended; whatever was raised on the way is an outcome too."""
        try:
            access = channel.auth(lease)
            if access is None:
                outcome = await channel.carry(lease, lambda a: self._call(trip, channel, lease, a, first_content_s))
            else:
                outcome = await self._call(trip, channel, lease, access, first_content_s)
        except ErrorInside as error:
            outcome = self._refusal(channel, lease, Reply(200, {}, error.payload))
        except UpstreamError as error:
            kind = Kind.JUNK if isinstance(error, UpstreamJunk) else Kind.TRANSIENT
            outcome = Outcome(kind, error.message, code=error.code)
            trip.broke = error
        if outcome.said:
            # Once more: in JSON a key may have been spelt with escapes.
            outcome = replace(outcome, said=self._scrubber.scrub_text(outcome.said))
        return outcome

    async def _call(
        self, trip: _Trip, channel: Channel, lease: Lease, access: Access, first_content_s: float
    ) -> Outcome:
        call, target, provider = trip.call, trip.target, channel.provider
        body = self._memory.restore(channel.name, call.body) if provider.remembers else call.body
        prepared = provider.prepare(call.operation, target.model_id, body, call.stream, self._describe(target))
        until = self._clock.now() + first_content_s
        reply = await self._upstream.send(
            "POST",
            access.base_url,
            prepared.path,
            [_JSON, *access.headers, *prepared.headers],
            _encode(prepared.body),
            self._patience(first_content_s, stream=call.stream),
            proxy=channel.proxies.get(lease.key.label),
        )
        try:
            if reply.status != 200:
                said = await reply.read(_ERROR_BYTES, until - self._clock.now())
                return self._refusal(channel, lease, Reply(reply.status, reply.headers, said))
            headers = self._headers(trip, prepared.dropped)
            tap = self._memory.tap(channel.name) if provider.remembers and "tools" in call.body else None
            renamer = Renamer(prepared.names) if prepared.names else None
            if call.stream:
                source = Source(reply, tap, renamer)
                await self._relay(trip, channel, lease, source, headers, first_content_s)
            else:
                answer = await reply.read(self._limits.answer_bytes, until - self._clock.now())
                if tap is not None:
                    self._memory.learn(channel.name, answer)
                trip.answer = headers, call.face.render_answer(answer if renamer is None else renamer.answer(answer))
        finally:
            reply.close()
        # A good answer may tell that it was the last one for a while.
        return provider.foresee(reply.headers, self._clock.wall())

    def _refusal(self, channel: Channel, lease: Lease, reply: Reply) -> Outcome:
        """What an answer means that did not serve; a key that it repeats is masked before anybody cuts the text."""
        reply = replace(reply, body=self._scrubber.scrub(reply.body))
        outcome = channel.classify(reply, lease.model, self._clock.wall())
        if outcome.kind is Kind.OK:
            # A 206 with words in it, and the like.
            return Outcome(Kind.JUNK, f"status {reply.status} is no answer to this", status=reply.status)
        return outcome

    async def _relay(
        self,
        trip: _Trip,
        channel: Channel,
        lease: Lease,
        source: Source,
        headers: Headers,
        first_content_s: float,
    ) -> None:
        def committed() -> None:
            channel.pool.confirm(lease, self._clock.now(), self._clock.rnd())

        stream = trip.call.face.open_stream()
        relay = Relay(
            source, stream, trip.delivery, headers, self._timeouts, first_content_s, self._clock.now, committed
        )
        await relay.run()
        if stream.usage is not None:
            trip.record.count(stream.usage)

    def _patience(self, first_byte_s: float, *, stream: bool) -> Transport:
        usual = self._streaming if stream else self._whole
        return usual if first_byte_s == usual.first_byte_s else replace(usual, first_byte_s=first_byte_s)

    def _headers(self, trip: _Trip, dropped: Sequence[str]) -> Headers:
        """Who served, at which attempt, and what of the request did not get there."""
        target = trip.target
        served = self._served_by.get(target)
        if served is None:
            if len(self._served_by) >= _REMEMBERED:
                self._served_by.clear()
            served = self._served_by[target] = [
                (b"x-proxy-provider", target.provider.encode()),
                (b"x-proxy-model", quote(target.model_id, safe="/:@+,;=~").encode()),
            ]
        headers = [*served, (b"x-proxy-attempts", b"%d" % trip.record.attempts)]
        if dropped:
            told = ",".join(dropped)
            if len(told) > _LONGEST_DROPPED:
                told = told[:_LONGEST_DROPPED] + "..."
            headers.append((b"x-proxy-dropped", quote(told, safe="/:@+,;=~[].").encode()))
        return headers

    # --- the end ------------------------------------------------------------------------------------------------------

    def _verdict(self, trip: _Trip, fail: Fail) -> ProxyError:
        """What the client is told."""
        channel = self._channels[trip.targets[fail.target].provider]
        title = channel.provider.title
        trip.record.provider = trip.record.provider or channel.name
        said = fail.outcome.said if fail.outcome is not None else ""
        match fail.reason:
            case Reason.RESTING:
                error: ProxyError = keys_resting(title, fail.retry_after_s, said, fail.cause)
            case Reason.REFUSED:
                error = keys_refused(title, said or channel.complaint())
            case Reason.TOO_LATE:
                error = UpstreamTimeout(f"{title} took too long to answer")
            case Reason.ILL if fail.outcome is None or fail.cause is not Kind.CAPACITY:
                error = unavailable(title, fail.retry_after_s, said)
            case _ if trip.delivery.committed and trip.broke is not None:
                error = type(trip.broke)(f"{title}: {trip.broke.message}", code=trip.broke.code)
            case _:
                outcome = fail.outcome or Outcome(fail.cause or Kind.TRANSIENT)
                heir = self._successor(trip.targets[fail.target]) if fail.reason is Reason.GONE else None
                error = refusal(outcome, title, trip.call.model, wait_s=fail.retry_after_s, successor=heir)
        error.hopeless = error.hopeless or fail.hopeless
        return error


def _leave(task: asyncio.Task[object]) -> None:
    task.cancel()
