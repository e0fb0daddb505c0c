"""Owns how a tool that belongs to a namespace is called in the hub, and how it gets its own name back.

Chat completions know no namespaces, and most providers take only letters, digits, `_` and `-`, 64 at most.
Source: OpenAI API reference, "Responses" (tools of the type namespace), read 2026-11.
"""

from __future__ import annotations

import hashlib
import re

from ollama_proxy.protocols.responses.freehand import wrapped

__all__ = ["Names", "hub_name"]

_ODD = re.compile(r"[^A-Za-z0-9_-]")
_LONGEST = 64


def hub_name(namespace: str, name: str) -> str:
    """The name in the hub, always the same for these two: the namespace stands before the function."""
    if not namespace:
        return name
    joined = _ODD.sub("_", f"{namespace.rstrip('_')}__{name}")
    if len(joined) <= _LONGEST:
        return joined
    digest = hashlib.sha256(f"{namespace}\0{name}".encode("utf-8", "replace")).hexdigest()[:8]
    return f"{joined[: _LONGEST - 9]}_{digest}"


class Names:
    """The namespaces of one request's tools, and which of them are called with free text."""

    __slots__ = ("_freehand", "_homes")

    def __init__(self) -> None:
        self._homes: dict[str, tuple[str, str]] = {}
        self._freehand: set[str] = set()

    def add(self, namespace: str, name: str, *, freehand: bool = False) -> str:
        """Takes note of a tool: its name in the hub. freehand: it is called with free text."""
        hub = hub_name(namespace, name)
        self._homes[hub] = (namespace, name)
        if freehand:
            self._freehand.add(hub)
        return hub

    def home(self, hub: str) -> tuple[str, str]:
        """(namespace, name) of a tool by its name in the hub; the namespace is "" where it has none."""
        return self._homes.get(hub, ("", hub))

    def is_freehand(self, hub: str) -> bool:
        """Whether the tool with this name in the hub is called with free text."""
        return hub in self._freehand

    def rescue(self, hub: str, arguments: str) -> str | None:
        """Arguments that are no JSON object, as those of a tool that is called with free text; None for others."""
        return wrapped(arguments) if hub in self._freehand else None
