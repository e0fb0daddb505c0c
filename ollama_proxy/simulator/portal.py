"""Owns the state of Qwen's sign-in service as it is simulated: which tokens are good, and which were used up.

A refresh token serves once; an access token serves until it expires. Knows no HTTP and no clock: `wall` is epoch
seconds.

Rules: QwenLM/qwen-code 0.15.10 (qwenOAuth2.ts), read 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ollama_proxy.simulator.keys import make_key

__all__ = ["CLIENT_ID", "LIFE_S", "Portal"]

#: The public id of qwen-code.
CLIENT_ID = "f0304373b74a44d2b584a3fb70ca9e56"
LIFE_S = 21600


class Portal:
    """All sign-ins of one simulator."""

    def __init__(self) -> None:
        self._issued = 0
        self._ends: dict[str, float] = {}
        self._refresh: set[str] = set()

    def issue(self, wall: float, life_s: float = LIFE_S) -> tuple[str, str]:
        """A new pair: (access token, refresh token). life_s: below zero for one that has expired already."""
        self._issued += 1
        access = make_key("qwen", f"access-{self._issued}")
        refresh = make_key("qwen", f"refresh-{self._issued}")
        self._ends[access] = wall + life_s
        self._refresh.add(refresh)
        return access, refresh

    def accepts(self, access: str, wall: float) -> bool:
        """Whether a call may be made with this access token."""
        return wall < self._ends.get(access, 0.0)

    def renew(self, form: Mapping[str, Any], wall: float) -> tuple[str, str] | None:
        """The pair that follows, or None for a request that is not as it must be. The old refresh token is used up."""
        refresh = str(form.get("refresh_token", ""))
        wanted = {"grant_type": "refresh_token", "refresh_token": refresh, "client_id": CLIENT_ID}
        if dict(form) != wanted or refresh not in self._refresh:
            return None
        self._refresh.discard(refresh)
        return self.issue(wall)
