"""Owns a small raw client for tests against the simulator: every byte, and how the connection ended.

It shares no code with the proxy or the simulator: http.client and json read the answers.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPResponse, IncompleteRead
from typing import Any, cast

from ollama_proxy.simulator import Simulator

__all__ = ["MODELS", "PNG", "SIX", "Got", "SteadyClock", "chat", "events", "fetch", "tool"]

#: A data URL with the beginning of a picture.
PNG = "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(8)).decode()

#: A model of each of the six providers that chats, and does not think aloud.
SIX = {
    "google": "gemini-2.5-flash",
    "openrouter": "qwen/qwen3-coder:free",
    "akash": "meta-llama/Llama-3.3-70B-Instruct",
    "cohere": "command-a-03-2025",
    "codestral": "codestral-latest",
    "qwen": "qwen3-coder-plus",
}
MODELS = {**SIX, "openai": "sim-chat"}


class SteadyClock:
    """A wall clock that stands still, so that two answers can be compared byte by byte."""

    now = staticmethod(time.monotonic)

    @staticmethod
    def wall() -> float:
        return 1_790_000_000.0


@dataclass(frozen=True)
class Got:
    """One answer. end: `eof` or `reset`, or `left` when we stopped reading; raw: all bytes from the socket."""

    raw: bytes
    end: str

    @property
    def _response(self) -> tuple[HTTPResponse, bytes, bool]:
        class Source:
            def makefile(self, _mode: str) -> io.BytesIO:
                return io.BytesIO(data)

        data = self.raw
        response = HTTPResponse(cast(Any, Source()))
        response.begin()
        try:
            return response, response.read(), True
        except IncompleteRead as error:
            return response, error.partial, False

    @property
    def status(self) -> int:
        return self._response[0].status

    @property
    def headers(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self._response[0].getheaders()}

    @property
    def body(self) -> bytes:
        """The body as far as it came."""
        return self._response[1]

    @property
    def complete(self) -> bool:
        """Whether the body ended as it was announced."""
        return self._response[2]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def chat(provider: str, text: str = "Say hello.", **more: Any) -> dict[str, Any]:
    """A small chat request that this provider accepts."""
    body = {"model": MODELS[provider], "messages": [{"role": "user", "content": text}], **more}
    return {name: value for name, value in body.items() if value is not None}


def tool(name: str = "get_weather", **properties: Any) -> dict[str, Any]:
    """One tool as every provider accepts it."""
    shape = properties or {"city": {"type": "string"}}
    parameters = {"type": "object", "properties": shape, "required": list(shape)}
    return {"type": "function", "function": {"name": name, "description": "Looks it up.", "parameters": parameters}}


def events(body: bytes) -> list[Any]:
    """The JSON of each event of a stream in plain form; `[DONE]` as it is, comments left out."""
    found: list[Any] = []
    for frame in body.decode().split("\n\n"):
        if frame.startswith("data: "):
            data = frame.removeprefix("data: ")
            found.append(data if data == "[DONE]" else json.loads(data))
    return found


async def fetch(
    sim: Simulator,
    provider: str,
    body: Any = None,
    *,
    path: str | None = None,
    key: str | None = "k-ok-1",
    headers: Mapping[str, str] | None = None,
    until: Callable[[bytes], bool] | None = None,
    method: str | None = None,
) -> Got:
    """One request on its own connection. body: JSON or bytes; None is a GET. key: a label, None sends none.

    until: stop reading, and leave, as soon as this is true of the bytes so far.
    """
    data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    usual = "/models" if body is None else "/chat/completions"
    target = f"/{provider}{usual if path is None else path}"
    fields = {"host": f"127.0.0.1:{sim.port}", "connection": "close", "content-type": "application/json"}
    if key is not None:
        fields["authorization"] = f"Bearer {sim.key(provider, key)}"
    if data:
        fields["content-length"] = str(len(data))
    fields.update(headers or {})
    verb = method or ("GET" if body is None else "POST")
    head = "".join([f"{verb} {target} HTTP/1.1\r\n", *(f"{n}: {v}\r\n" for n, v in fields.items()), "\r\n"])
    return await exchange(sim.port, head.encode() + data, until)


async def exchange(port: int, request: bytes, until: Callable[[bytes], bool] | None = None) -> Got:
    """Send bytes and read to the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    raw, end = b"", "eof"
    try:
        writer.write(request)
        await writer.drain()
        while piece := await reader.read(65_536):
            raw += piece
            if until is not None and until(raw):
                end = "left"
                break
    except ConnectionError:
        end = "reset"
    finally:
        writer.transport.abort()
    return Got(raw, end)
