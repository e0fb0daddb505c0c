"""A model with just enough wit for other people's test-suites: it does what their questions plainly want of a model.

The simulated model knows only what `ollama_proxy.simulator.talk` says; here are the few questions of LangChain's tests
that need more. What a protocol carries is judged by them, not how clever an answer is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ollama_proxy.simulator import Say
from ollama_proxy.simulator.ask import Ask

__all__ = ["answer"]

#: "What is the weather in Boston?", "today in San Francisco, CA?"
_WEATHER = re.compile(r"\bweather\b.*?\bin ([A-Z][\w ,]*)\?")
#: "Create a customer named '…'"
_NAMED = re.compile(r"\bnamed '([^']+)'")
#: "a JSON with 'setup' and 'punchline' keys"
_KEYS = re.compile(r"'(\w+)'")
#: "What is the value of magic_function(3)?"
_CALLED = re.compile(r"\b(\w+)\((\d+)\)")


def answer(ask: Ask) -> Say | None:
    """What a model would answer; None leaves it to the simulator."""
    if ask.operation != "chat" or not ask.messages or ask.messages[-1].get("role") != "user":
        return None
    question = ask.question
    called = _CALLED.search(question)
    for tool in ask.tools:
        if called and tool["name"] == called[1]:
            return Say(calls=[(called[1], {next(iter(tool["parameters"]["properties"])): int(called[2])})])
    subject = _WEATHER.search(question) or _NAMED.search(question)
    if subject and len(ask.tools) == 1:
        return Say(calls=[(str(ask.tools[0]["name"]), _arguments(ask.tools[0], subject[1]))])
    wanted = ask.body.get("response_format")
    if isinstance(wanted, Mapping) and wanted.get("type") == "json_object":
        keys = _KEYS.findall(question)
        return Say(json.dumps(dict.fromkeys(keys, "something"))) if keys else None
    return None


def _arguments(tool: Mapping[str, Any], subject: str) -> dict[str, str]:
    """The subject as first argument, something for the others."""
    first, *others = tool["parameters"]["properties"]
    return {first: subject, **dict.fromkeys(others, "something")}
