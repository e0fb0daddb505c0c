"""Owns how the TOML tables of this folder are read, joined and checked. Knows no provider.

The tables are data about the vendors; each says where it comes from and when it was read.
"""

from __future__ import annotations

import fnmatch
import re
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["Matcher", "join", "read_table"]


@cache
def read_table(name: str) -> dict[str, Any]:
    """The tables of `NAME.toml` in this folder, read once; nobody writes into them."""
    text = resources.files("ollama_proxy.providers").joinpath(f"{name}.toml").read_text("utf-8")
    return tomllib.loads(text)


def join(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Both tables in one: lists of words are joined (`over` first), tables likewise; other values are `over`'s."""
    joined = dict(under)
    for key, value in over.items():
        old = joined.get(key)
        if isinstance(old, dict) and isinstance(value, Mapping):
            joined[key] = join(old, value)
        elif isinstance(old, list) and isinstance(value, list) and not any(isinstance(v, int | float) for v in value):
            joined[key] = [*value, *old]
        else:
            joined[key] = value
    return joined


class Matcher:
    """Whether a model id fits one of several shell patterns; letter case does not count."""

    __slots__ = ("_pattern",)

    def __init__(self, patterns: Iterable[str]) -> None:
        self._pattern = re.compile("|".join(fnmatch.translate(p.lower()) for p in patterns) or r"(?!)")

    def __call__(self, model_id: str) -> bool:
        return self._pattern.match(model_id.lower()) is not None
