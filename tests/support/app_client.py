"""An app on the wire: its requests header by header, its answers read the way it reads them. No library of ours.

Nothing is added to what the app sends: no Accept, no Content-Type, no User-Agent, unless its table says so.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

__all__ = ["App", "Heard", "Sse", "join_calls"]

Fields = Sequence[tuple[str, str]]
JSON: Fields = [("Content-Type", "application/json")]


@dataclass(frozen=True)
class Heard:
    """One answer. headers: lower-case names."""

    status: int
    headers: dict[str, str]
    body: bytes

    def ok(self) -> Heard:
        """Itself, if it is an answer and no error."""
        assert self.status == 200, (self.status, self.body[:500])
        return self

    def json(self) -> Any:
        """The one JSON document that it is."""
        assert self.headers["content-type"].partition(";")[0] == "application/json"
        return json.loads(self.body.decode())

    def lines(self) -> list[Any]:
        """NDJSON as the strictest read it: each line one object, split at LF alone, no blank line, nothing behind."""
        assert self.headers["content-type"].partition(";")[0] == "application/x-ndjson"
        text = self.body.decode()
        assert text.endswith("\n")
        # httpx splits lines at these too, so ollama-python and all that build on it would tear the line.
        assert not any(
            mark in text for mark in ("\r", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029")
        )
        found = [json.loads(line) for line in text[:-1].split("\n")]
        assert all(type(line) is dict for line in found)
        return found

    def events(self) -> list[Sse]:
        """SSE as plain readers do it: fields in lines that end in LF, comments skipped, a blank line ends an event."""
        assert self.headers["content-type"].partition(";")[0] == "text/event-stream"
        found, name, data = [], "", ""
        for line in self.body.decode().split("\n"):
            line = line.removesuffix("\r")
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if field == "event":
                name = value
            elif field == "data":
                data += value
            elif not line and data:
                found.append(Sse(name, data))
                name, data = "", ""
        return found


@dataclass(frozen=True)
class Sse:
    """One event."""

    name: str
    data: str

    def json(self) -> Any:
        return json.loads(self.data)


class App:
    """One app. url: as its user types it, with whatever path or slash. headers: those of every request.

    patience_s: how long it waits for an answer before it gives up.
    """

    def __init__(self, url: str, headers: Fields = (), *, patience_s: float = 10.0) -> None:
        self._parts = urlsplit(url)
        self._headers = headers
        self._patience_s = patience_s

    def send(self, method: str, path: str, body: Any = None, headers: Fields = ()) -> Heard:
        """One request on its own connection. body: bytes as they are, anything else as JSON; None sends none."""
        connection = http.client.HTTPConnection(self._parts.netloc, timeout=self._patience_s)
        connection.putrequest(method, self._parts.path + path, skip_accept_encoding=True)
        for name, value in [*self._headers, *headers]:
            connection.putheader(name, value)
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        if data is not None:
            connection.putheader("Content-Length", str(len(data)))
        connection.endheaders(data)
        response = connection.getresponse()
        heard = Heard(response.status, {n.lower(): v for n, v in response.getheaders()}, response.read())
        connection.close()
        return heard

    def get(self, path: str, headers: Fields = ()) -> Heard:
        return self.send("GET", path, None, headers)

    def post(self, path: str, body: Any, headers: Fields = JSON) -> Heard:
        return self.send("POST", path, body, headers)


def join_calls(lines: Sequence[Mapping[str, Any]]) -> list[Any]:
    """The tool calls of all lines of /api/chat."""
    return [call for line in lines for call in line["message"].get("tool_calls") or ()]
