"""Owns how a tool that is called with free text (`custom`) becomes a function with one text, and how its calls go back.

Chat completions of most providers know functions only, and no provider keeps to a grammar that it cannot be sent: the
definition stands in the description, where the model reads it as a wish.
Source: OpenAI API reference, "Responses" (tools of the type custom), and the types of openai-python 3.54, read 2026-11.
"""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["arguments_of", "description_of", "input_of", "parameters", "wrapped"]

_INPUT = "input"
_SYNTAXES = {"lark": "Lark grammar", "regex": "regular expression"}


def parameters() -> dict[str, Any]:
    """The schema of the function's one argument; a fresh one, since providers' rules may change it."""
    text = {"type": "string", "description": "The whole input of the tool, as plain text."}
    return {"type": "object", "properties": {_INPUT: text}, "required": [_INPUT]}


def description_of(tool: dict[str, Any]) -> str:
    """What the model is told of the tool, the grammar of its input included; "" for nothing."""
    said = tool.get("description")
    parts = [said] if isinstance(said, str) and said else []
    shape = tool.get("format")
    if isinstance(shape, dict) and shape.get("type") == "grammar" and isinstance(shape.get("definition"), str):
        syntax = _SYNTAXES.get(str(shape.get("syntax")), "grammar")
        parts.append(f"The input has to follow this {syntax}:\n{shape['definition']}")
    return "\n\n".join(parts)


def arguments_of(text: str) -> str:
    """The function's arguments for a call's input."""
    return msgspec.json.encode({_INPUT: text}).decode()


def wrapped(text: str) -> str | None:
    """The function's arguments where a model wrote the input without them, as it is or as a JSON string.

    None for what was meant to be an object: it was cut, or is broken, and nobody should run half of it.
    """
    if text.lstrip().startswith("{"):
        return None
    try:
        told = msgspec.json.decode(text)
    except msgspec.DecodeError:
        told = text
    return arguments_of(told if isinstance(told, str) else text)


def input_of(arguments: bytes) -> str:
    """The input for the function's arguments, a JSON object; nothing of what the model wrote is lost.

    A model may call its one text by another name. Whatever else it says is the input as it is. (Where it wrote no
    object at all, that became one by `arguments_of` before: see `Names.rescue`.)
    """
    told: dict[str, Any] = msgspec.json.decode(arguments)
    text = told.get(_INPUT, next(iter(told.values())) if len(told) == 1 else None)
    return text if isinstance(text, str) else arguments.decode()
