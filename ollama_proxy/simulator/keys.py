"""Owns the relation between a made-up key and its label. Knows no provider and no fault.

A test names keys by label; the key itself carries a tail of hex digits, so that a leaked key can be told from a label
that is shown on purpose. A key that was not made here may be somebody's real one: only its end is ever shown.
"""

from __future__ import annotations

import hashlib
import re

__all__ = ["label_of", "make_key"]

_TAIL = re.compile(r"(?P<label>.+)-(?P<tail>[0-9a-f]{12})")
#: Keys typed by hand from the documentation.
_PLAIN = re.compile(r"(?:sim|k|key|demo|test|fake)-[A-Za-z0-9_.\-]{1,60}")


def make_key(provider: str, label: str) -> str:
    """The key that `label` stands for at this provider; the same one each time."""
    return f"{label}-{_tail(provider, label)}"


def label_of(provider: str, key: str) -> str:
    """The label of a key made here, the key itself if it is plainly an invented one, else `…` and its last four."""
    match = _TAIL.fullmatch(key)
    if match and match["tail"] == _tail(provider, match["label"]):
        return match["label"]
    if _PLAIN.fullmatch(key):
        return key
    return f"…{key[-4:]}" if len(key) > 8 else ("…" if key else "")


def _tail(provider: str, label: str) -> str:
    return hashlib.sha256(f"{provider}/{label}".encode()).hexdigest()[:12]
