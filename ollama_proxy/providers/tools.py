"""Owns what happens to `tools`, `tool_choice` and the schema of `response_format`. The rules are profiles.toml's."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec

from ollama_proxy.errors import BadRequest
from ollama_proxy.providers.messages import Names
from ollama_proxy.providers.schemas import gemini, gemini_value, inline, strip

__all__ = ["ToolRules", "plainly"]


def plainly(value: Any) -> Any:
    """The value itself, decoded if it is still JSON text.

    Raises: BadRequest for what only a reader of the whole text can refuse, such as a number out of range.
    """
    if not isinstance(value, msgspec.Raw):
        return value
    try:
        return msgspec.json.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        reason = str(error).removeprefix("JSON is malformed: ")
        raise BadRequest(f"the request body cannot be used: {reason}") from error


#: Bytes of tools that are remembered in their converted form.
_LONGEST_KEPT = 262_144


@dataclass(frozen=True, slots=True)
class _Fitting:
    """Tools made fit, and how their names were changed."""

    tools: msgspec.Raw
    names: Names


class ToolRules:
    """One dialect's `tools` table, made ready."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        self.filter: str = table["filter"]
        self.function_drop = frozenset(table.get("function_drop", ()))
        self.schema_drop = frozenset(table.get("schema_drop", ()))
        self.inline = table.get("inline", False) is True
        self.names = re.compile(table["names"]) if "names" in table else None
        self.choice: str = table["choice"]
        self.format = table.get("format", False) is True
        words = [*self.function_drop, *self.schema_drop, *(("$ref",) if self.inline else ())]
        #: An agent sends the same tools with every turn of a conversation.
        self._fit = lru_cache(maxsize=16)(self._convert)
        #: JSON text without any of these words needs no look inside; None: always look.
        self._suspects = None if self.filter != "strip" or self.names else [f'"{word}"'.encode() for word in words]

    def adapt(self, out: dict[str, Any], dropped: list[str], names: Names) -> None:
        """Puts the request's tools right in place; without tools, what only makes sense beside them goes too."""
        tools = out.get("tools")
        if not isinstance(tools, msgspec.Raw):
            tools = msgspec.Raw(msgspec.json.encode(tools))
        text = bytes(tools)
        if self._is_suspect(text):
            fitting = self._fit(text) if len(text) <= _LONGEST_KEPT else self._convert(text)
            if fitting is None:
                # `"tools": []` is refused by DashScope, Mistral and Gemini.
                for key in ("tools", "tool_choice", "parallel_tool_calls"):
                    out.pop(key, None)
                return
            tools = fitting.tools
            names.learn(fitting.names)
        out["tools"] = tools
        if "tool_choice" in out:
            self._choose(out, dropped, names)

    def _convert(self, text: bytes) -> _Fitting | None:
        """The tools as the provider takes them; None for none."""
        tools = plainly(msgspec.Raw(text))
        if not isinstance(tools, list) or not tools:
            return None
        names = Names(self.names)
        names.keep(_names_in(tools))
        fitting = [self._tool(tool, names) for tool in tools]
        return _Fitting(msgspec.Raw(msgspec.json.encode(fitting)), names)

    def _is_suspect(self, text: bytes) -> bool:
        if text.strip() in (b"[]", b"null") or self._suspects is None or self.choice == "none":
            return True
        return any(word in text for word in self._suspects)

    def _tool(self, tool: Any, names: Names) -> Any:
        function = tool.get("function") if isinstance(tool, dict) else None
        if not isinstance(function, dict):
            return tool
        made = {k: v for k, v in function.items() if k not in self.function_drop}
        if self.filter != "strip":
            made = {k: made[k] for k in ("name", "description", "parameters") if made.get(k) is not None}
        if isinstance(made.get("name"), str):
            made["name"] = names(made["name"])
        self._parameters(made)
        return {"type": "function", "function": made} if self.filter != "strip" else {**tool, "function": made}

    def _parameters(self, function: dict[str, Any]) -> None:
        schema = function.get("parameters")
        if schema is None:
            return
        if self.filter == "gemini":
            fitting = gemini(schema)
            if fitting is None:
                del function["parameters"]
            else:
                function["parameters"] = fitting
            return
        if self.inline:
            schema = inline(schema)
        function["parameters"] = strip(schema, self.schema_drop)

    def _choose(self, out: dict[str, Any], dropped: list[str], names: Names) -> None:
        choice = plainly(out["tool_choice"])
        if isinstance(choice, dict) and isinstance(choice.get("function"), dict):
            function = choice["function"]
            out["tool_choice"] = {**choice, "function": {**function, "name": names(str(function.get("name", "")))}}
        if self.choice != "none":
            return
        del out["tool_choice"]
        if choice == "none":
            del out["tools"]
        elif choice not in ("auto", None):
            dropped.append("tool_choice")

    def adapt_format(self, out: dict[str, Any]) -> None:
        """Filters the schema that an answer is to follow."""
        wanted = plainly(out["response_format"])
        inner = wanted.get("json_schema") if isinstance(wanted, dict) else None
        if isinstance(inner, dict) and isinstance(inner.get("schema"), dict):
            out["response_format"] = {**wanted, "json_schema": {**inner, "schema": gemini_value(inner["schema"])}}


def _names_in(tools: list[Any]) -> Iterator[str]:
    for tool in tools:
        function = tool.get("function") if isinstance(tool, dict) else None
        if isinstance(function, dict) and isinstance(function.get("name"), str):
            yield function["name"]
