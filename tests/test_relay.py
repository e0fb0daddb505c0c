"""One stream between a provider and a client: what keeps it alive, and when its silence ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ollama_proxy.errors import EmptyAnswer, ProxyError, StreamInterrupted, UpstreamTimeout
from ollama_proxy.protocols import ollama, openai
from ollama_proxy.relay import Delivery, Relay
from ollama_proxy.settings import Timeouts
from ollama_proxy.types import Face, Headers

TIMEOUTS = replace(Timeouts(), heartbeat_s=0.03, idle_s=0.5, stream_s=5.0)
CHUNK = b'data: {"choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":null}]}\n\n'
CALL = b'data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,%b"function":{%b"arguments":"%b"}}]}}]}\n\n'
END = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


class Clock:
    """The loop's own time, which is what the relay's timers follow."""

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def wall(self) -> float:
        return 1_790_000_000.0

    def rnd(self) -> float:
        return 0.5


class Client:
    """Takes what is written, and tells when."""

    def __init__(self) -> None:
        self.finished = False
        self.on_gone: Callable[[], None] | None = None
        self.on_flow: Callable[[bool], None] | None = None
        self.said: list[bytes] = []
        self.wrote = asyncio.Event()

    def respond(self, status: int, headers: Headers, body: bytes) -> None:
        self.said.append(body)

    def start(self, status: int, headers: Headers) -> None:
        self.said.append(b"<head>")

    def write(self, data: bytes) -> None:
        self.said.append(data)
        self.wrote.set()

    def end(self) -> None:
        self.said.append(b"<end>")

    def abort(self) -> None:
        self.finished = True

    async def next(self) -> bytes:
        self.wrote.clear()
        await asyncio.wait_for(self.wrote.wait(), 5)
        return self.said[-1]


class Provider:
    """A stream that the test plays by hand."""

    def __init__(self) -> None:
        self.say: Callable[[bytes], None] = lambda _: None
        self.end: Callable[[ProxyError | None], None] = lambda _: None
        self.flow: list[str] = []

    def relay(self, on_data: Callable[[bytes], None], on_end: Callable[[ProxyError | None], None]) -> None:
        self.say, self.end = on_data, on_end

    def pause(self) -> None:
        self.flow.append("pause")

    def resume(self) -> None:
        self.flow.append("resume")


def chat_face() -> Face:
    body = b'{"model":"m","messages":[{"role":"user","content":"?"}]}'
    return ollama.parse_chat(body, Clock()).call.face


def openai_face() -> Face:
    body = b'{"model":"m","messages":[{"role":"user","content":"?"}],"stream":true}'
    return openai.parse_chat(body, {}, Clock()).face


async def started(
    face: Face, timeouts: Timeouts = TIMEOUTS, first_s: float = 1.0
) -> tuple[Provider, Client, asyncio.Task[None]]:
    provider, client = Provider(), Client()
    source: Any = provider
    relay = Relay(source, face.open_stream(), Delivery(client, face), [], timeouts, first_s, Clock().now, lambda: None)
    task = asyncio.create_task(relay.run())
    await asyncio.sleep(0)
    return provider, client, task


@pytest.mark.parametrize("face", [chat_face, openai_face])
def test_silence_is_bridged_by_something_that_means_nothing(face: Callable[[], Face]) -> None:
    """Without content for a while the client gets an empty line or a comment, and the answer after it."""

    async def scene() -> list[bytes]:
        provider, client, task = await started(face())
        beat = await client.next()
        assert client.said[0] == b"<head>"
        assert b'"content":""' in beat or beat.startswith(b":")
        provider.say(CHUNK)
        provider.say(END)
        provider.end(None)
        await task
        return client.said

    said = asyncio.run(scene())
    assert b"hi" in b"".join(said)
    assert said[-1] == b"<end>"
    assert said.count(b"<head>") == 1


def test_a_long_tool_call_that_grows_at_the_provider_does_not_silence_the_heartbeat() -> None:
    """What counts is what the client saw, not what the provider sent."""

    async def scene() -> int:
        provider, client, task = await started(chat_face())
        provider.say(CALL % (b'"id":"a",', b'"name":"f",', b'{\\"x\\":\\"'))
        beats = 0
        for _ in range(4):
            beat = asyncio.create_task(client.next())
            while not beat.done():
                provider.say(CALL % (b"", b"", b"y"))
                await asyncio.sleep(0.005)
            beats += b'"content":""' in beat.result()
        provider.say(CALL % (b"", b"", b'\\"}'))
        provider.say(END)
        provider.end(None)
        await task
        return beats

    assert asyncio.run(scene()) == 4


def test_a_provider_that_never_begins_is_a_timeout() -> None:
    """F34: comments prove life, not progress."""

    async def scene() -> None:
        provider, _, task = await started(openai_face(), replace(TIMEOUTS, heartbeat_s=9), first_s=0.05)
        for _ in range(3):
            provider.say(b": still here\n\n")
        with pytest.raises(UpstreamTimeout):
            await asyncio.wait_for(task, 5)

    asyncio.run(scene())


@pytest.mark.parametrize("face", [chat_face, openai_face])
@pytest.mark.parametrize("last", [END, b"data: [DONE]\n\n"], ids=["end", "done"])
def test_an_answer_without_a_word_is_no_answer_however_its_bytes_arrive(face: Callable[[], Face], last: bytes) -> None:
    """The end of the connection in the same moment once turned the error into a complete, empty answer."""

    async def scene() -> list[bytes]:
        provider, client, task = await started(face())
        provider.say(last)
        provider.end(None)
        with pytest.raises(EmptyAnswer):
            await task
        return client.said

    assert asyncio.run(scene()) == []


def test_an_error_behind_the_finish_reason_is_not_hidden_by_the_end_of_the_connection() -> None:
    """What the provider says last counts, even if it hangs up in the same breath."""

    async def scene() -> list[bytes]:
        provider, client, task = await started(openai_face())
        provider.say(CHUNK)
        provider.say(END.partition(b"data: [DONE]")[0])
        provider.say(b'data: {"error":{"message":"no","code":500}}\n\n')
        provider.end(None)
        with pytest.raises(ProxyError):
            await task
        return client.said

    assert b"<end>" not in asyncio.run(scene())


def test_a_provider_that_falls_silent_is_interrupted() -> None:
    """F35: content, then nothing."""

    async def scene() -> list[bytes]:
        provider, client, task = await started(openai_face(), replace(TIMEOUTS, heartbeat_s=9, idle_s=0.05))
        provider.say(CHUNK)
        with pytest.raises(StreamInterrupted) as caught:
            await asyncio.wait_for(task, 5)
        assert caught.value.code == "upstream_idle"
        return client.said

    assert asyncio.run(scene()) == [b"<head>", CHUNK]


def test_a_slow_client_stops_the_provider_and_costs_it_no_time() -> None:
    """F66: while the client does not read, the provider is paused and its silence does not count."""

    async def scene() -> None:
        provider, client, task = await started(openai_face(), replace(TIMEOUTS, heartbeat_s=9, idle_s=0.05))
        provider.say(CHUNK)
        assert client.on_flow is not None
        client.on_flow(True)
        assert provider.flow == ["pause"]
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.shield(task), 0.2)
        client.on_flow(False)
        assert provider.flow == ["pause", "resume"]
        provider.say(END)
        provider.end(None)
        await task

    asyncio.run(scene())


def test_nothing_reaches_the_client_before_there_is_content() -> None:
    """The commit point: role-only frames are held, so another attempt may still take this one's place."""

    async def scene() -> list[bytes]:
        provider, client, task = await started(openai_face(), replace(TIMEOUTS, heartbeat_s=9))
        provider.say(b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n')
        assert client.said == []
        provider.end(StreamInterrupted("gone"))
        with pytest.raises(StreamInterrupted):
            await task
        return client.said

    assert asyncio.run(scene()) == []
