"""Owns how a model's name is taken apart and compared. Pure; knows no provider and no model."""

from __future__ import annotations

__all__ = ["split_name", "without_latest"]

_LATEST = ":latest"


def split_name(name: str) -> tuple[str, str]:
    """(provider in lower case, the rest); the provider is "" where the name has no separator.

    The first `:` or `/` ends the provider; the rest belongs to the model, whatever it holds.
    """
    ends = [i for i in (name.find(":"), name.find("/")) if i >= 0]
    if not ends:
        return "", name
    end = min(ends)
    return name[:end].lower(), name[end + 1 :]


def without_latest(name: str) -> str:
    """The name without one trailing `:latest`, in any letter case: Ollama's clients like to add it."""
    return name[: -len(_LATEST)] if name.lower().endswith(_LATEST) else name
