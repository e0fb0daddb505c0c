"""Owns which path and method lead where. Pure; knows neither bodies nor answers.

Ollama's router is the model: an unknown path is 404 and a known one with another method 405, both as plain text. Slips
that users and apps make with base URLs (a trailing or doubled slash, `/v1` before `/api`, `/v1` twice) are served.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ollama_proxy.errors import UnknownRoute, WrongMethod

__all__ = ["Route", "Table", "clean_path"]

#: Ollama lists the methods of a 405 in this order.
_ORDER = ("HEAD", "GET", "POST", "PUT", "PATCH", "DELETE")
_SLASHES = re.compile(r"//+")
_SLIPS = (("/v1/api/", "/api/"), ("/v1/v1/", "/v1/"), ("/api/v1/", "/v1/"), ("/api/api/", "/api/"))


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the table.

    path: ends in `*` where the rest of the path is the endpoint's (never empty).
    open: answered without the proxy's token.
    reads: bodies of any size up to the limit are read; routes without a body get a small limit.
    """

    methods: tuple[str, ...]
    path: str
    endpoint: Callable[..., Any]
    open: bool = False


class Table:
    """Finds the route of a request."""

    def __init__(self, routes: list[Route]) -> None:
        #: What nearly every request asks for: one look-up, the path as it came.
        self.direct = {(method, r.path): r for r in routes for method in r.methods if not r.path.endswith("*")}
        self._exact: dict[str, list[Route]] = {}
        self._prefixes: dict[str, list[Route]] = {}
        for route in routes:
            home, path = (self._prefixes, route.path[:-1]) if route.path.endswith("*") else (self._exact, route.path)
            home.setdefault(path, []).append(route)

    def find(self, method: str, path: str) -> tuple[Route, str]:
        """(the route, the rest of the path for an open-ended one).

        Raises: UnknownRoute, WrongMethod.
        """
        tail = ""
        routes = self._exact.get(path)
        if routes is None:
            for prefix, candidates in self._prefixes.items():
                if path.startswith(prefix) and len(path) > len(prefix):
                    routes, tail = candidates, path[len(prefix) :]
                    break
            else:
                raise UnknownRoute("404 page not found")
        for route in routes:
            if method in route.methods:
                return route, tail
        allowed = {m for route in routes for m in route.methods}
        raise WrongMethod("405 method not allowed", allow=", ".join(m for m in _ORDER if m in allowed))


def clean_path(path: str) -> str:
    """The path as the table knows it."""
    if "//" in path:
        path = _SLASHES.sub("/", path)
    for slip, meant in _SLIPS:
        if path.startswith(slip):
            path = meant + path[len(slip) :]
    return path[:-1] if len(path) > 1 and path.endswith("/") else path
