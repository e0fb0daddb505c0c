"""Owns how the fields of a client's JSON body are read one by one, each as the type that it must have.

For protocols that are translated rather than passed on. `null` is the same as absent. Knows no protocol's fields.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ollama_proxy.errors import BadRequest
from ollama_proxy.hub.body import read_body

__all__ = ["Given", "wrong"]

_decode = msgspec.json.Decoder().decode


def wrong(place: str, words: str) -> BadRequest:
    """The error for a value that is not what it must be. words: "a string", "a list"."""
    return BadRequest(f"{place}: must be {words}", param=place)


class Given:
    """A body's fields. Every reader gives None for a field that is absent or null.

    Raises: BadRequest (or TooLarge) when it is not a JSON object, and from a reader for a value of another type.
    """

    __slots__ = ("_fields",)

    def __init__(self, body: bytes) -> None:
        self._fields = read_body(body)

    def value(self, key: str) -> Any:
        """Whatever it is, as plain values."""
        raw = self._fields.get(key)
        if raw is None:
            return None
        try:
            return _decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise BadRequest(f"{key}: {str(error).removeprefix('JSON is malformed: ')}", param=key) from error

    def text(self, key: str) -> str | None:
        value = self.value(key)
        if value is None or isinstance(value, str):
            return value
        raise wrong(key, "a string")

    def flag(self, key: str) -> bool | None:
        value = self.value(key)
        if value is None or isinstance(value, bool):
            return value
        raise wrong(key, "true or false")

    def number(self, key: str) -> int | float | None:
        value = self.value(key)
        if value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)):
            return value
        raise wrong(key, "a number")

    def whole(self, key: str) -> int | None:
        """An integer; 5.0 is one."""
        value = self.number(key)
        if isinstance(value, float):
            if not value.is_integer():
                raise wrong(key, "an integer")
            value = int(value)
        return value

    def object(self, key: str) -> dict[str, Any] | None:
        value = self.value(key)
        if value is None or isinstance(value, dict):
            return value
        raise wrong(key, "an object")

    def objects(self, key: str) -> list[dict[str, Any]]:
        """A list of objects; [] where it is absent."""
        value = self.value(key)
        if value is None:
            return []
        if not isinstance(value, list):
            raise wrong(key, "a list")
        for place, item in enumerate(value):
            if not isinstance(item, dict):
                raise wrong(f"{key}.{place}", "an object")
        return value

    def texts(self, key: str) -> list[str]:
        """A list of strings; [] where it is absent."""
        value = self.value(key)
        if value is None:
            return []
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return value
        raise wrong(key, "a list of strings")
