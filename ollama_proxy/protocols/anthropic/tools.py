"""Owns how `tools` and `tool_choice` of a request become the hub's.

A tool that Anthropic's own servers would run, or whose schema only Anthropic's models know (`web_search_20250305`,
`bash_20250124`), has no schema to pass on and is left out. Schemas go as they are: what a provider does not take of
them is its profile's business.
Source: Anthropic API reference, "Messages" (tools), read 2026-11.
"""

from __future__ import annotations

from typing import Any

from ollama_proxy.errors import BadRequest
from ollama_proxy.hub.given import Given, wrong
from ollama_proxy.types import Body

__all__ = ["hub_tools"]

_CHOICES = {"auto": "auto", "any": "required", "none": "none"}


def hub_tools(given: Given, left_out: list[str]) -> Body:
    """The hub's `tools`, `tool_choice` and `parallel_tool_calls`, as far as they were given.

    Raises: BadRequest.
    """
    tools = []
    for number, tool in enumerate(given.objects("tools")):
        made = _tool(tool, f"tools.{number}")
        if made is None:
            left_out.append(f"tools.{tool['type']}")
        else:
            tools.append(made)
    if not tools:
        return {}
    names = {tool["function"]["name"] for tool in tools}
    return {"tools": tools, **_choice(given.object("tool_choice"), names, left_out)}


def _tool(tool: dict[str, Any], place: str) -> dict[str, Any] | None:
    """The hub's tool; None for one that only Anthropic can offer."""
    kind = tool.get("type")
    schema = tool.get("input_schema")
    if not isinstance(schema, dict):
        if isinstance(kind, str) and kind not in ("", "custom"):
            return None
        raise wrong(f"{place}.input_schema", "an object")
    name = tool.get("name")
    if not name or not isinstance(name, str):
        raise wrong(f"{place}.name", "a string")
    function: dict[str, Any] = {"name": name}
    if isinstance(tool.get("description"), str):
        function["description"] = tool["description"]
    function["parameters"] = schema
    if tool.get("strict") is True:
        function["strict"] = True
    return {"type": "function", "function": function}


def _choice(choice: dict[str, Any] | None, names: set[str], left_out: list[str]) -> Body:
    if choice is None:
        return {}
    body: Body = {}
    kind = choice.get("type")
    if kind == "tool":
        name = choice.get("name")
        if name in names:
            body["tool_choice"] = {"type": "function", "function": {"name": name}}
        elif left_out:
            left_out.append("tool_choice")
        else:
            raise BadRequest(f"tool_choice: there is no tool '{name}' among the tools", param="tool_choice")
    elif kind in _CHOICES:
        body["tool_choice"] = _CHOICES[kind]
    else:
        raise wrong("tool_choice.type", "auto, any, tool or none")
    if choice.get("disable_parallel_tool_use") is True:
        body["parallel_tool_calls"] = False
    return body
