"""Owns what `thinking` and `output_config` of a request mean in the hub.

Source: Anthropic API reference, "Messages" (thinking, output_config), read 2026-11. Providers know efforts, not tokens,
so a budget becomes the effort that is nearest to it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ollama_proxy.errors import BadRequest
from ollama_proxy.hub.given import Given, wrong
from ollama_proxy.types import Body

__all__ = ["Wish", "hub_format", "read_wish"]

_EFFORTS = ("low", "medium", "high", "xhigh", "max")
#: Tokens up to which a budget is a low or a medium effort: between the budgets that Google gives for its efforts
#: (1,024, 8,192 and 24,576; Google AI for Developers, OpenAI compatibility, read 2026-11).
_LOW, _MEDIUM = 4096, 16384


class Wish(NamedTuple):
    """body: the hub's words for it. hide: the client does not want to see thoughts."""

    body: Body
    hide: bool


def read_wish(given: Given) -> Wish:
    """How hard the model is to think, and whether its thoughts are wanted.

    Raises: BadRequest.
    """
    thinking = given.object("thinking") or {}
    effort = _effort(given)
    kind = thinking.get("type")
    if kind == "disabled":
        return Wish({"reasoning_effort": "none"}, hide=True)
    if kind is None:
        return Wish({"reasoning_effort": effort} if effort else {}, hide=False)
    hide = thinking.get("display") == "omitted"
    if kind == "enabled":
        effort = effort or _of_budget(thinking.get("budget_tokens"))
    # `think` asks for thoughts that are shown; alone it leaves the effort to the model.
    body: Body = {} if hide else {"think": effort or True}
    if effort:
        body["reasoning_effort"] = effort
    return Wish(body, hide)


def hub_format(given: Given) -> Body:
    """The hub's `response_format` for `output_config.format`.

    Raises: BadRequest.
    """
    wanted = (given.object("output_config") or {}).get("format") or given.object("output_format")
    if wanted is None:
        return {}
    if (
        not isinstance(wanted, dict)
        or wanted.get("type") != "json_schema"
        or not isinstance(wanted.get("schema"), dict)
    ):
        raise wrong("output_config.format", "a json_schema with a schema")
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "schema", "schema": wanted["schema"]}}}


def _effort(given: Given) -> str | None:
    """The effort that was asked for; one that nobody knows yet is as good as none."""
    effort: Any = (given.object("output_config") or {}).get("effort")
    return effort if isinstance(effort, str) and effort in _EFFORTS else None


def _of_budget(budget: Any) -> str:
    if budget is None:
        return "medium"
    if isinstance(budget, bool) or not isinstance(budget, int) or budget < 0:
        raise BadRequest("thinking.budget_tokens: must be a positive integer")
    if budget <= _LOW:
        return "low"
    return "medium" if budget <= _MEDIUM else "high"
