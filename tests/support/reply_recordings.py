"""The recorded refusals and model lists: answers in the providers' shapes, in our own words, with what they mean."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ollama_proxy.outcome import Reply

__all__ = ["LISTS", "NOW", "REFUSALS", "ListRecording", "RefusalRecording"]

_FOLDER = Path(__file__).parent.parent / "recordings"
#: The clock of all recordings: 2026-09-21 14:13:20 UTC.
NOW = 1790000000.0


@dataclass(frozen=True)
class RefusalRecording:
    """One answer that did not serve, and its meaning. `scope` and `wait_s` are what the pool will act on."""

    name: str
    reply: Reply
    provider: str
    model: str
    kind: str
    scope: str | None
    wait_s: float | None
    note: str
    source: str
    code: str | None = None
    said: str | None = None

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class ListRecording:
    """One model list, and the models in it: id -> what is known of each."""

    name: str
    body: bytes
    provider: str
    models: dict[str, dict[str, Any]]
    note: str
    source: str
    next_path: str | None = None

    def __str__(self) -> str:
        return self.name


def _reply(path: Path) -> Reply:
    """The head and body of a recorded answer; whatever a checkout did to the line ends of the head."""
    head, _, body = re.split(rb"(\r?\n){2}", path.read_bytes(), maxsplit=1)
    lines = head.replace(b"\r", b"").split(b"\n")
    fields = (line.split(b":", 1) for line in lines[1:])
    return Reply(int(lines[0].split()[1]), {name.lower(): value.strip() for name, value in fields}, body)


def _cases(folder: str) -> dict[str, dict[str, Any]]:
    cases: dict[str, dict[str, Any]] = json.loads((_FOLDER / folder / "expected.json").read_text("utf-8"))["cases"]
    return cases


REFUSALS = [
    RefusalRecording(name, _reply(_FOLDER / "refusals" / f"{name}.http"), **facts)
    for name, facts in _cases("refusals").items()
]
LISTS = [
    ListRecording(name, (_FOLDER / "models" / f"{name}.json").read_bytes(), **facts)
    for name, facts in _cases("models").items()
]
