"""Owns how a decoded body is held against the fields of a request: which are known, and of which type.

A field may come in any letter case, `null` is the same as absent, unknown fields are dropped, and a wrong type is told
in Go's words. What the fields mean is the endpoints' business.
Rules: Ollama 0.33's behaviour; its bodies are decoded into Go structs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ollama_proxy.errors import BadRequest

__all__ = ["ANY", "BOOL", "INT", "MAP", "STRING", "Kind", "Struct", "kind_of", "list_of", "quoted"]


@dataclass(frozen=True, slots=True)
class Kind:
    """One field's type: ours (None takes anything) and Go's name for it."""

    python: type | None
    go: str


STRING = Kind(str, "string")
BOOL = Kind(bool, "bool")
INT = Kind(int, "int")
MAP = Kind(dict, "map[string]interface {}")
#: Looked at later, by rules of its own.
ANY = Kind(None, "interface {}")

_WORDS = {str: "string", bool: "bool", int: "number", float: "number", list: "array", dict: "object"}


def list_of(go: str) -> Kind:
    """A list; its elements are looked at by whoever knows them."""
    return Kind(list, "[]" + go)


def kind_of(value: Any) -> str:
    """The word for a JSON value's kind: string, bool, number, array, object."""
    return _WORDS.get(type(value), "null")


def quoted(text: str) -> str:
    """The text between double quotes, as Go's %q writes it."""
    plain = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in plain) + '"'


@dataclass(frozen=True, slots=True)
class Struct:
    """The fields of one kind of object in a request."""

    name: str
    fields: Mapping[str, Kind]
    _any_case: dict[str, str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_any_case", {name.lower(): name for name in self.fields})

    def read(self, value: Any) -> dict[str, Any]:
        """The fields that were given, under their right names.

        Raises: BadRequest if the value is no object, or a field has the wrong type.
        """
        if type(value) is not dict:
            if value is None:
                return {}
            raise BadRequest(f"json: cannot unmarshal {kind_of(value)} into Go value of type api.{self.name}")
        given = {}
        for key, item in value.items():
            name = key if key in self.fields else self._any_case.get(key.lower())
            # The exact spelling is preferred where both came.
            if item is None or name is None or (name is not key and value.get(name) is not None):
                continue
            kind = self.fields[name]
            if kind.python is not None and type(item) is not kind.python:
                raise self.wrong(name, item)
            given[name] = item
        return given

    def wrong(self, name: str, value: Any, kind: Kind | None = None) -> BadRequest:
        """The error for a field (or an element of it) whose value has the wrong type."""
        given = kind_of(value)
        if type(value) is float:
            given += f" {value!r}"
        go = (kind or self.fields[name]).go
        return BadRequest(f"json: cannot unmarshal {given} into Go struct field {self.name}.{name} of type {go}")
