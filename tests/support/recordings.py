"""The recorded streams: every accent we know of, in our own words, with what must be read out of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["RECORDINGS", "Recording"]

_FOLDER = Path(__file__).parent.parent / "recordings" / "streams"


@dataclass(frozen=True)
class Recording:
    """One stream as bytes, and what it says. `raises` names the error that ends it, if one does."""

    name: str
    data: bytes
    note: str
    text: str
    thinking: str
    calls: list[list[str]]
    finish: str | None
    usage: list[int | None] | None
    raises: str | None = None

    def __str__(self) -> str:
        return self.name


def _load() -> list[Recording]:
    expected: dict[str, dict[str, Any]] = json.loads((_FOLDER / "expected.json").read_text(encoding="utf-8"))
    return [Recording(name, (_FOLDER / f"{name}.sse").read_bytes(), **facts) for name, facts in expected.items()]


RECORDINGS = _load()
