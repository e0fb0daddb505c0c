"""Typed readings of JSON, as the compiled clients do them: the first field that does not fit is an error.

A shape is a type, a list with one shape, a mapping of the fields that are needed, or one of the words below. Fields
that are not named are ignored, as serde, Swift's Codable, Jackson and zod do unless told otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

__all__ = ["NINE_DIGITS", "OllamaError", "Option", "Shape", "Text", "Unless", "check", "unsigned"]


@dataclass(frozen=True)
class Option:
    """May be missing or null, as Rust's Option, Swift's optionals and Go's zero values."""

    shape: Shape


@dataclass(frozen=True)
class Unless:
    """May be missing, but not null, as zod's `optional()`."""

    shape: Shape


@dataclass(frozen=True)
class Text:
    """A text that matches as a whole."""

    pattern: str


Shape: TypeAlias = "type | list[Any] | Mapping[str, Any] | Option | Unless | Text | Callable[[Any], bool] | None"

#: RFC 3339 with nine digits and Z: the one form that OllamaKit, LangChain4j and everybody else reads.
NINE_DIGITS = Text(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z")
#: What every Ollama client reads of an error.
OllamaError: Mapping[str, Any] = {"error": str}


def unsigned(value: Any) -> bool:
    """Rust's u64, Go's uint64."""
    return type(value) is int and 0 <= value < 2**64


def check(value: Any, shape: Shape, at: str = "$") -> None:
    """Raises AssertionError, with the place in the document, where the value is not of this shape."""
    if isinstance(shape, (Option, Unless)):
        assert value is not None or isinstance(shape, Option), f"{at} is null"
        if value is not None:
            check(value, shape.shape, at)
    elif isinstance(shape, list):
        assert type(value) is list, f"{at} is {value!r}, not a list"
        for number, item in enumerate(value):
            check(item, shape[0], f"{at}[{number}]")
    elif isinstance(shape, Mapping):
        _check_fields(value, shape, at)
    elif isinstance(shape, Text):
        assert type(value) is str, f"{at} is {value!r}, not a text"
        assert re.fullmatch(shape.pattern, value), f"{at} is {value!r}"
    elif isinstance(shape, type):
        fits = type(value) in (int, float) if shape is float else type(value) is shape
        assert fits, f"{at} is {value!r}, not of type {shape.__name__}"
    elif shape is not None:
        assert shape(value), f"{at} is {value!r}"


def _check_fields(value: Any, fields: Mapping[str, Any], at: str) -> None:
    assert type(value) is dict, f"{at} is {value!r}, not an object"
    for name, shape in fields.items():
        if name in value:
            check(value[name], shape, f"{at}.{name}")
        else:
            assert isinstance(shape, (Option, Unless)), f"{at}.{name} is missing"
