"""A running proxy before simulated providers, and a client on a raw socket: what is on the wire is what is tested.

It shares no code with the proxy: the head and the chunks of an answer are taken apart here.
"""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ollama_proxy.clock import Clock
from ollama_proxy.simulator import Arrival, Chunk, Header, Send, SimulatorThread, Sleep, Status
from ollama_proxy.simulator.actions import Action
from tests.support.running import RunningProxy

__all__ = [
    "CHAT",
    "CODE",
    "DEEP",
    "EMBED",
    "JSON",
    "NDJSON",
    "NO_TOOLS",
    "PAUSE",
    "PLAIN",
    "Answer",
    "World",
    "chunk",
    "make_world",
    "read_answer",
]

#: Models that the simulated providers list. They can: all; only talk; fill gaps; not even use tools; think; embed.
CHAT = "google:gemini-2.5-flash"
PLAIN = "cohere:command-a-03-2025"
CODE = "codestral:codestral-latest"
NO_TOOLS = "openrouter:nousresearch/hermes-3-llama-3.1-405b:free"
DEEP = "openrouter:deepseek/deepseek-r1"
EMBED = "google:gemini-embedding-001"

JSON = "application/json; charset=utf-8"
NDJSON = "application/x-ndjson"
PROVIDERS = ("google", "openrouter", "akash", "cohere", "codestral", "qwen")
#: Between two pieces that shall not arrive in one read.
PAUSE = Sleep(0.05)
#: A test that hangs is a failed test.
PATIENCE_S = 20.0


@dataclass(frozen=True)
class Answer:
    """One answer. fields: names in lower case, in the order in which they came. whole: the body ended as announced."""

    status: int
    fields: tuple[tuple[str, str], ...]
    body: bytes
    chunked: bool
    whole: bool

    def all(self, name: str) -> list[str]:
        """The values of a field, in order."""
        return [value for field, value in self.fields if field == name]

    def field(self, name: str) -> str | None:
        """The value of a field that may come once; None where it did not."""
        values = self.all(name)
        assert len(values) < 2, f"{name} came twice: {values}"
        return values[0] if values else None

    @property
    def type(self) -> str | None:
        return self.field("content-type")

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The objects of an NDJSON stream: one a line, each line ended, none of them empty."""
        assert self.type == NDJSON, self
        assert self.whole, self
        assert self.body.endswith(b"\n"), self
        texts = self.body[:-1].split(b"\n")
        found = [json.loads(text) for text in texts]
        assert all(isinstance(one, dict) for one in found), self
        return found

    @property
    def events(self) -> list[Any]:
        """The data of each event of an SSE stream, JSON decoded, `[DONE]` as it is; comments left out."""
        assert self.type == "text/event-stream", self
        assert self.whole, self
        assert self.body.endswith(b"\n\n"), self
        frames = [frame for frame in self.body.decode().split("\n\n")[:-1] if not frame.startswith(":")]
        assert all(frame.startswith("data: ") and "\n" not in frame for frame in frames), self
        data = [frame.removeprefix("data: ") for frame in frames]
        return [one if one == "[DONE]" else json.loads(one) for one in data]

    def assert_error(self, status: int, text: str | None = None, *, begins: str = "", ends: str = "") -> None:
        """An error of Ollama's API: `{"error":"…"}` and nothing else."""
        assert self.status == status, self
        assert self.type == JSON, self
        assert self.body.startswith(b'{"error":"'), self
        assert self.body.endswith(b'"}'), self
        error = self.json["error"]
        assert text is None or error == text, self
        assert error.startswith(begins), self
        assert error.endswith(ends), self

    def assert_openai_error(self, status: int, message: str | None = None, kind: str | None = None) -> dict[str, Any]:
        """An error of OpenAI's API, all four keys there; its object."""
        assert self.status == status, self
        assert str(self.type).startswith("application/json"), self
        assert set(self.json) == {"error"}, self
        error: dict[str, Any] = self.json["error"]
        assert list(error) == ["message", "type", "param", "code"], self
        assert message is None or error["message"] == message, self
        assert kind is None or error["type"] == kind, self
        return error


def read_answer(raw: bytes, *, head_only: bool = False) -> Answer:
    """The one answer in these bytes; nothing may follow it."""
    head, found, rest = raw.partition(b"\r\n\r\n")
    assert found, f"no whole head: {raw!r}"
    first, *lines = head.decode("latin-1").split("\r\n")
    version, status = first.split(" ")[:2]
    assert version == "HTTP/1.1", first
    fields = tuple((name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines))
    length = dict(fields).get("content-length")
    chunked = dict(fields).get("transfer-encoding") == "chunked"
    assert length is None or not chunked, "two framings"
    if chunked and not head_only:
        body, whole = _unchunk(rest)
    else:
        body, whole = rest, head_only or status in ("204", "304") or (length is not None and len(rest) == int(length))
    return Answer(int(status), fields, body, chunked, whole)


def _unchunk(data: bytes) -> tuple[bytes, bool]:
    body = b""
    while data:
        size, _, data = data.partition(b"\r\n")
        count = int(size, 16)
        piece, data = data[:count], data[count + 2 :]
        body += piece
        if count == 0:
            assert not data, f"something follows the last chunk: {data!r}"
            return body, True
    return body, False


def chunk(delta: Mapping[str, Any] | None = None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    """One chunk of a chat stream as providers send it; without a delta and a finish it has no choice at all."""
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish}
    choices = [] if delta is None and finish is None else [choice]
    return {"id": "up-1", "object": "chat.completion.chunk", "created": 7, "model": "up", "choices": choices, **more}


def _step(part: Mapping[str, Any] | str | Action) -> Action:
    if isinstance(part, Mapping):
        part = f"data: {json.dumps(part)}\n\n"
    return Chunk(part.encode()) if isinstance(part, str) else part


class World:
    """A proxy, the providers before which it stands, and ways to ask it."""

    def __init__(self, sim: SimulatorThread, proxy: RunningProxy) -> None:
        self.sim = sim
        self.proxy = proxy

    def fresh(self) -> None:
        """Providers that do nothing special and remember nothing; keys that nothing has happened to."""
        self.proxy.forget()
        self.sim.reset()

    # --- asking -------------------------------------------------------------------------------------------------------

    def connect(self, *, receive_buffer: int | None = None) -> socket.socket:
        """A connection to the proxy."""
        sock = socket.socket()
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(PATIENCE_S)
        sock.connect(("127.0.0.1", self.proxy.port))
        return sock

    def request(self, method: str, target: str, body: Any = None, **fields: str | None) -> bytes:
        """A request's bytes. body: JSON, or bytes as they are. fields: underscores are dashes, None leaves one out."""
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        named = {"host": f"127.0.0.1:{self.proxy.port}", "connection": "close"}
        if body is not None:
            named |= {"content-type": "application/json", "content-length": str(len(data))}
        given = {**named, **{name.replace("_", "-"): value for name, value in fields.items()}}
        lines = [f"{name}: {value}" for name, value in given.items() if value is not None]
        return "\r\n".join([f"{method} {target} HTTP/1.1", *lines, "", ""]).encode() + data

    def ask(self, method: str, target: str, body: Any = None, **fields: str | None) -> Answer:
        """One request on a connection of its own, and its answer; see `request`."""
        with self.connect() as sock:
            sock.sendall(self.request(method, target, body, **fields))
            raw = b""
            while piece := sock.recv(65536):
                raw += piece
        return read_answer(raw, head_only=method == "HEAD")

    def get(self, target: str, **fields: str | None) -> Answer:
        return self.ask("GET", target, **fields)

    def post(self, target: str, body: Any, **fields: str | None) -> Answer:
        return self.ask("POST", target, body, **fields)

    def chat(self, model: str = CHAT, text: str = "Say hello.", **more: Any) -> Answer:
        """A whole answer of /api/chat, unless `stream` says otherwise; None leaves a field out."""
        body = {"model": model, "messages": [{"role": "user", "content": text}], "stream": False, **more}
        return self.post("/api/chat", {name: value for name, value in body.items() if value is not None})

    def generate(self, model: str = CHAT, prompt: str = "Say hello.", **more: Any) -> Answer:
        """The same of /api/generate."""
        body = {"model": model, "prompt": prompt, "stream": False, **more}
        return self.post("/api/generate", {name: value for name, value in body.items() if value is not None})

    def complete(self, model: str = CHAT, text: str = "Say hello.", **more: Any) -> Answer:
        """An answer of /v1/chat/completions."""
        return self.post(
            "/v1/chat/completions", {"model": model, "messages": [{"role": "user", "content": text}], **more}
        )

    # --- what the providers do ----------------------------------------------------------------------------------------

    def answer_with(self, body: Mapping[str, Any], provider: str | None = None) -> None:
        """Providers answer with this JSON from now on."""
        steps = [Status(200), Header("content-type", "application/json"), Send(json.dumps(body).encode())]
        self.sim.on(provider, steps, times=None)

    def stream_with(self, *parts: Mapping[str, Any] | str | Action, done: bool = True) -> None:
        """Providers answer with these chunks from now on; a text is sent as it is. done: with the end mark."""
        steps = [*map(_step, parts), *([_step("data: [DONE]\n\n")] if done else [])]
        self.sim.on(None, [Status(200), Header("content-type", "text/event-stream"), *steps], times=None)

    @property
    def arrivals(self) -> list[Arrival]:
        """What the providers were asked, lists of models aside."""
        return [one for one in self.sim.log if one.operation not in ("models", "model", "key", "credits")]

    @property
    def sent(self) -> dict[str, Any]:
        """The body of the one request that reached a provider."""
        (arrival,) = self.arrivals
        return dict(arrival.body)


@contextlib.contextmanager
def make_world(
    folder: Path,
    *,
    toml: str = "[timeouts]\nkey_wait_s = 0.01\n",
    keys: Mapping[str, Sequence[str]] | None = None,
    clock: Clock | None = None,
    **env: str,
) -> Iterator[World]:
    """A running world; one key for each of the six providers unless `keys` says otherwise. toml: the settings file."""
    (folder / "ollama-proxy.toml").write_text(toml)
    wanted = {name: ["one"] for name in PROVIDERS} if keys is None else keys
    with (
        SimulatorThread() as sim,
        RunningProxy({**sim.env(wanted), **env}, folder, clock=clock) as proxy,
    ):
        yield World(sim, proxy)
