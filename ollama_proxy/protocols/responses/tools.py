"""Owns how `tools`, `tool_choice` and `parallel_tool_calls` of a request become the hub's.

Functions are passed on, a namespace's members among them, and as functions tools that are called with free text
(`custom`). What OpenAI's own servers would run (`web_search`, `file_search`, `mcp`) is left out and named.
Source: OpenAI API reference, "Responses" (tools, tool_choice), read 2026-11.
"""

from __future__ import annotations

from typing import Any

from ollama_proxy.errors import BadRequest
from ollama_proxy.hub.given import Given, wrong
from ollama_proxy.protocols.responses.freehand import description_of, parameters
from ollama_proxy.protocols.responses.names import Names, hub_name
from ollama_proxy.types import Body

__all__ = ["hub_tools"]

_MODES = ("auto", "none", "required")


def hub_tools(given: Given, names: Names, left_out: list[str]) -> Body:
    """The hub's tools and what is said of them, as far as it was given; their names are noted in `names`.

    Raises: BadRequest.
    """
    tools: list[dict[str, Any]] = []
    for place, tool in enumerate(given.objects("tools")):
        tools += _functions(tool, "", f"tools.{place}", names, left_out)
    choice = given.value("tool_choice")
    if not tools:
        return {}
    body: Body = {"tools": tools}
    if choice is not None:
        _choose(body, choice, left_out)
    parallel = given.flag("parallel_tool_calls")
    if parallel is not None:
        body["parallel_tool_calls"] = parallel
    return body


def _functions(
    tool: dict[str, Any], namespace: str, place: str, names: Names, left_out: list[str]
) -> list[dict[str, Any]]:
    kind = tool.get("type")
    if kind == "function":
        return [_function(tool, namespace, place, names)]
    if kind == "custom":
        return [_freehand(tool, namespace, place, names)]
    if kind == "namespace" and not namespace and isinstance(tool.get("tools"), list):
        home = _name(tool, place)
        members = [member for member in tool["tools"] if isinstance(member, dict)]
        return [made for member in members for made in _functions(member, home, place, names, left_out)]
    left_out.append(f"tools.{kind}")
    return []


def _function(tool: dict[str, Any], namespace: str, place: str, names: Names) -> dict[str, Any]:
    function: dict[str, Any] = {"name": names.add(namespace, _name(tool, place))}
    if isinstance(tool.get("description"), str):
        function["description"] = tool["description"]
    parameters = tool.get("parameters")
    function["parameters"] = parameters if isinstance(parameters, dict) else {"type": "object", "properties": {}}
    if tool.get("strict") is True:
        function["strict"] = True
    return {"type": "function", "function": function}


def _freehand(tool: dict[str, Any], namespace: str, place: str, names: Names) -> dict[str, Any]:
    function: dict[str, Any] = {"name": names.add(namespace, _name(tool, place), freehand=True)}
    description = description_of(tool)
    if description:
        function["description"] = description
    return {"type": "function", "function": {**function, "parameters": parameters()}}


def _name(tool: dict[str, Any], place: str) -> str:
    name = tool.get("name")
    if not name or not isinstance(name, str):
        raise wrong(f"{place}.name", "a string")
    return name


def _choose(body: Body, choice: Any, left_out: list[str]) -> None:
    if isinstance(choice, str):
        if choice not in _MODES:
            raise wrong("tool_choice", ", ".join(_MODES))
        body["tool_choice"] = choice
        return
    if not isinstance(choice, dict):
        raise wrong("tool_choice", "a string or an object")
    kind = choice.get("type")
    if kind in ("function", "custom"):
        body["tool_choice"] = _one(body, choice)
    elif kind == "allowed_tools":
        _allow(body, choice)
    else:
        left_out.append("tool_choice")


def _one(body: Body, choice: dict[str, Any]) -> dict[str, Any]:
    name = _asked(choice)
    if name not in _offered(body):
        raise BadRequest(f"tool_choice: there is no function '{name}' among the tools", param="tool_choice")
    return {"type": "function", "function": {"name": name}}


def _allow(body: Body, choice: dict[str, Any]) -> None:
    """Of the tools only those that the choice allows; where it allows none of them, no tool may be used."""
    listed = choice.get("tools")
    allowed = {_asked(tool) for tool in listed if isinstance(tool, dict)} if isinstance(listed, list) else set()
    tools = [tool for tool in body["tools"] if tool["function"]["name"] in allowed]
    if tools:
        body["tools"] = tools
        body["tool_choice"] = "required" if choice.get("mode") == "required" else "auto"
    else:
        body["tool_choice"] = "none"


def _offered(body: Body) -> set[str]:
    return {tool["function"]["name"] for tool in body["tools"]}


def _asked(choice: dict[str, Any]) -> str:
    return hub_name(str(choice.get("namespace") or ""), str(choice.get("name") or ""))
