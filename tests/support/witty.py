"""A model with just enough wit for other people's test-suites: it knows what their questions ask a model to know.

The simulated model knows only what `ollama_proxy.simulator.talk` says; here are the few questions of LangChain's and
Haystack's tests that need more. What a protocol carries is judged by them, not how clever an answer is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ollama_proxy.simulator import Say
from ollama_proxy.simulator.ask import Ask

__all__ = ["answer"]

#: What is asked -> what every model knows.
_KNOWN = {
    "the capital of France": "Paris.",
    "the second largest": "Birmingham.",
    "did I ask you to remember": "You said 42.",
    "Describe the image": "A red apple.",
}
#: "What is the weather today in San Francisco, CA?", "What is the weather in Paris and London?"
_WEATHER = re.compile(r"\bweather\b.*?\bin ([A-Z][\w ,]*)\?")
#: "Create a customer named '…'"
_NAMED = re.compile(r"\bnamed '([^']+)'")
#: "What is the value of magic_function(3)?", "… of magic_function_no_args()?"
_CALLED = re.compile(r"\b(\w+)\((\d*)\)")
#: "2+3?", "Now multiply the result by 10."
_SUMS: dict[str, tuple[str, Sequence[int]]] = {"2+3?": ("add", (2, 3)), "Now multiply": ("multiply", (5, 10))}
#: "a JSON with 'setup' and 'punchline' keys"
_KEYS = re.compile(r"'(\w+)'")

_Call = tuple[str, Mapping[str, Any]]


def answer(ask: Ask) -> Say | None:
    """What a model would answer; None leaves it to the simulator."""
    if ask.operation != "chat" or not ask.messages or ask.messages[-1].get("role") == "tool":
        return None
    document = _document(ask)
    if document is not None:
        return Say(json.dumps(document))
    calls = _calls(ask)
    if calls:
        return Say(calls=calls)
    return next((Say(fact) for words, fact in _KNOWN.items() if words in ask.question), None)


def _document(ask: Ask) -> Mapping[str, Any] | None:
    wanted = ask.body.get("response_format")
    if not isinstance(wanted, Mapping):
        return None
    if wanted.get("type") == "json_object":
        return dict.fromkeys(_KEYS.findall(ask.question), "something") or None
    properties = wanted["json_schema"]["schema"].get("properties", {})
    return {"capital": "Paris", "population": 2_100_000} if "capital" in properties else None


def _calls(ask: Ask) -> list[_Call]:
    tools = {str(tool["name"]): list((tool.get("parameters") or {}).get("properties", ())) for tool in ask.tools}
    question = ask.question
    called = _CALLED.search(question)
    if called and called[1] in tools:
        return [(called[1], {tools[called[1]][0]: int(called[2])} if called[2] else {})]
    for words, (name, numbers) in _SUMS.items():
        if words in question and name in tools:
            return [(name, dict(zip(tools[name], numbers, strict=True)))]
    subject = _WEATHER.search(question) or _NAMED.search(question)
    if subject is None or not tools:
        return []
    name = next((name for name in tools if "weather" in name), next(iter(tools)))
    first, *others = tools[name]
    return [(name, {first: each, **dict.fromkeys(others, "something")}) for each in subject[1].split(" and ")]
