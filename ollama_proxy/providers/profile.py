"""Owns how a hub request becomes the request that one provider takes. The rules are profiles.toml's.

The hot path decides on the names of the fields alone: a request that needs no change is copied once, and values that
are still JSON text stay text. Everything else goes the long way, rule by rule.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from ollama_proxy.providers.messages import MessageRules, Names
from ollama_proxy.providers.reasoning import FIELDS, Reasoning
from ollama_proxy.providers.tables import Matcher, join, read_table
from ollama_proxy.providers.tools import ToolRules, plainly
from ollama_proxy.types import Body, Model, Operation

__all__ = ["Draft", "Profile", "Rules", "profile_table"]

#: Values that say what holds without them: to drop one loses nothing, and is not mentioned.
_DEFAULTS: dict[str, Any] = {
    "n": 1,
    "frequency_penalty": 0,
    "presence_penalty": 0,
    "logprobs": False,
    "logit_bias": {},
    "store": False,
    "service_tier": "auto",
    "parallel_tool_calls": True,
    "repeat_penalty": 1,
    "repetition_penalty": 1,
    "min_p": 0,
    "metadata": {},
}
#: Written by the provider itself.
_OURS = frozenset({"model", "stream"})
_TOOL_FIELDS = ("tools", "tool_choice", "parallel_tool_calls")
#: How long an answer may become, under the hub's two names for it.
_OUTPUT = ("max_tokens", "max_completion_tokens")
_NAME = re.compile(r"[A-Za-z0-9_.\-]{1,64}")
#: Names told to the client; more would be a flood, not news.
_MOST_NAMES = 20


class Draft(msgspec.Struct, gc=False):
    """A request on its way: what goes, what was left out, and how names and ids were changed (new -> the client's)."""

    out: Body
    dropped: list[str]
    names: dict[str, str]
    ids: dict[str, str]
    stream: bool


class Fields:
    """What happens to the top-level fields of one operation."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        self.send = frozenset(table["send"]) if "send" in table else None
        self.drop = frozenset(table.get("drop", ()))
        self.quiet = frozenset(table.get("quiet", ()))
        self.rename: dict[str, str] = dict(table.get("rename", {}))
        self.clamp: dict[str, list[float]] = dict(table.get("clamp", {}))
        self.at_most: dict[str, int] = dict(table.get("at_most", {}))
        self.only: dict[str, list[Any]] = dict(table.get("only", {}))
        self.not_both: list[list[str]] = list(table.get("not_both", ()))
        minded = {*self.rename, *self.at_most, *self.only, *(f for pair in self.not_both for f in pair)}
        self._minded = frozenset(minded | self.drop)
        self._unminded = None if self.send is None else (self.send - minded) | self.quiet | _OURS

    def is_plain(self, body: Body, look: frozenset[str], most: int | None) -> bool:
        """No field needs a change or a look; those in `quiet` still have to go. most: tokens the model can answer."""
        if self._unminded is not None and not body.keys() <= self._unminded:
            return False
        if not (self._minded.isdisjoint(body) and look.isdisjoint(body)):
            return False
        if most is not None and _too_long(body, most):
            return False
        if not self.clamp:
            return True
        return all(name not in body or _clamped(body[name], bounds) is None for name, bounds in self.clamp.items())

    def adapt(self, body: Body, keep: Iterable[str], dropped: list[str], most: int | None) -> Body:
        """The fields that go, under their names there; `keep` are seen to by somebody else."""
        out: Body = {}
        if most is not None:
            body = _within(body, most, dropped)
        for key, value in body.items():
            name = self.rename.get(key, key)
            if key in _OURS:
                continue
            if key in keep:
                out[key] = value
            elif not self._goes(name) or (name != key and name in body):
                if key not in self.quiet and not _is_default(key, value):
                    dropped.append(key)
            else:
                out[name] = value
        self._bound(out, dropped)
        return out

    def _goes(self, name: str) -> bool:
        return name not in self.drop and (self.send is None or name in self.send) and name not in self.quiet

    def _bound(self, out: Body, dropped: list[str]) -> None:
        for name in out.keys() & self.clamp.keys():
            nearest = _clamped(out[name], self.clamp[name])
            if nearest is not None:
                out[name] = nearest
        for name in out.keys() & self.at_most.keys():
            value = plainly(out[name])
            if isinstance(value, list) and len(value) > self.at_most[name]:
                out[name] = value[: self.at_most[name]]
                dropped.append(name)
        for name in out.keys() & self.only.keys():
            if plainly(out[name]) not in self.only[name]:
                del out[name]
                dropped.append(name)
        for kept, other in self.not_both:
            if kept in out and other in out:
                loser = kept if not plainly(out[kept]) else other
                if plainly(out.pop(loser)):
                    dropped.append(loser)


class Rules:
    """One dialect, as it holds for one family of models."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        self.chat = Fields(table.get("chat", {}))
        self.others = {
            Operation.FIM: Fields(table.get("fim", table.get("chat", {}))),
            Operation.EMBEDDINGS: Fields(table.get("embeddings", {})),
        }
        self.messages = MessageRules(table["messages"])
        self.tools = ToolRules(table["tools"])
        self.reasoning = Reasoning(table.get("reasoning", ()))
        #: Said to the model where a JSON answer is wanted and nobody has told it so.
        self.json_hint: str = table.get("chat", {}).get("json_hint", "")
        own = {"think"} if not self.reasoning else set(FIELDS)
        looked = own | set(_TOOL_FIELDS) | ({"response_format"} if self.tools.format or self.json_hint else set())
        self._look = frozenset(looked)
        self._keep = frozenset(own | ({"tool_choice"} if self.tools.choice == "none" else set()))
        # OpenAI and DashScope refuse stream_options beside "stream": false.
        self._look_still = self._look | {"stream_options"}

    def adapt_chat(self, model_id: str, body: Body, model: Model | None, *, stream: bool) -> Draft | None:
        """The request as it is to go, without model and stream; None where it goes as it came."""
        look = self._look if stream else self._look_still
        if (
            self.chat.is_plain(body, look, None if model is None else model.max_output)
            and (stream or not self.reasoning.minds_streaming)
            and self.messages.is_plain(body.get("messages"))
        ):
            return None
        return self._adapt_chat(model_id, body, model, stream=stream)

    def _adapt_chat(self, model_id: str, body: Body, model: Model | None, *, stream: bool) -> Draft:
        dropped: list[str] = []
        out = self.chat.adapt(body, self._keep, dropped, None if model is None else model.max_output)
        names = Names(self.tools.names)
        self._adapt_tools(out, dropped, names)
        out.pop("think", None)
        wanted = plainly(out.get("response_format")) if self.json_hint else None
        asked, stream = stream, self.reasoning.adapt(model_id, model, body, out, dropped, stream=stream)
        if not stream:
            out.pop("stream_options", None)
        elif not asked:
            out["stream_options"] = {"include_usage": True}  # the whole answer would have said it unasked
        ids = self._adapt_messages(model_id, out, names)
        if isinstance(wanted, dict):
            _ask_for_json(out, wanted, self.json_hint)
        return Draft(out, _nameable(dropped), names.back, ids, stream)

    def _adapt_tools(self, out: Body, dropped: list[str], names: Names) -> None:
        if "tools" in out:
            self.tools.adapt(out, dropped, names)
        else:
            for name in ("tool_choice", "parallel_tool_calls"):
                out.pop(name, None)
        if self.tools.format and "response_format" in out:
            self.tools.adapt_format(out)

    def _adapt_messages(self, model_id: str, out: Body, names: Names) -> dict[str, str]:
        given = out.get("messages")
        if self.messages.is_plain(given):
            return {}
        messages = plainly(given)
        if not isinstance(messages, list):
            return {}
        fitting, ids = self.messages.adapt(messages, model_id, names)
        if fitting != messages:
            out["messages"] = fitting
        return ids

    def adapt_other(self, fields: Fields, body: Body, model: Model | None, *, stream: bool) -> Draft | None:
        """The same for requests without a conversation."""
        most = None if model is None else model.max_output
        if fields.is_plain(body, frozenset() if stream else frozenset({"stream_options"}), most):
            return None
        dropped: list[str] = []
        out = fields.adapt(body, (), dropped, most)
        if not stream:
            out.pop("stream_options", None)
        return Draft(out, _nameable(dropped), {}, {}, stream)


class Profile:
    """One dialect: its rules, and those of the model families that differ."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        self._variants = [(Matcher(row["models"]), Rules(_laid_over(table, row))) for row in table.get("variant", ())]
        self._plain = Rules(table)
        self._found: dict[str, Rules] = {}

    def rules(self, model_id: str) -> Rules:
        """What holds for this model."""
        if not self._variants:
            return self._plain
        found = self._found.get(model_id)
        if found is None:
            if len(self._found) > 4096:  # names come from outside
                self._found.clear()
            found = next((rules for fits, rules in self._variants if fits(model_id)), self._plain)
            self._found[model_id] = found
        return found


def profile_table(name: str, over: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A profile's table with those it is like underneath, and `over` on top.

    Raises: KeyError for a profile that is not there.
    """
    table = dict(read_table("profiles")[name])
    under = table.pop("like", None)
    if under is not None:
        table = join(profile_table(under), table)
    return join(table, over) if over else table


def _laid_over(table: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    return join(table, {k: v for k, v in row.items() if k != "models"})


def _ask_for_json(out: Body, wanted: Mapping[str, Any], hint: str) -> None:
    """Says in words what `response_format` cannot say.

    JSON mode is refused, or never ends, where the conversation does not hold the word. A schema is told where the model
    takes none, else it would never hear of it.
    """
    given = out.get("messages")
    messages = plainly(given)
    if not isinstance(messages, list):
        return
    if wanted.get("type") == "json_schema":
        if "response_format" in out:
            return
        hint = f"{hint} Fit it to this JSON schema: {_schema_text(wanted)}"
    else:
        text = bytes(given) if isinstance(given, msgspec.Raw) else msgspec.json.encode(given)
        if b"json" in text.lower():
            return
    first = messages[0] if messages else None
    if isinstance(first, dict) and first.get("role") == "system" and isinstance(first.get("content"), str):
        out["messages"] = [{**first, "content": f"{first['content']}\n\n{hint}"}, *messages[1:]]
    else:
        out["messages"] = [{"role": "system", "content": hint}, *messages]


def _schema_text(wanted: Mapping[str, Any]) -> str:
    holder = wanted.get("json_schema")
    return msgspec.json.encode(holder.get("schema", {}) if isinstance(holder, Mapping) else {}).decode()


def _clamped(value: Any, bounds: list[float]) -> float | None:
    """The nearest number within bounds; None for a value that may stay as it is."""
    value = plainly(value)
    low, high = bounds
    if isinstance(value, bool) or not isinstance(value, int | float) or low <= value <= high:
        return None
    return min(max(value, low), high)


def _within(body: Body, most: int, dropped: list[str]) -> Body:
    """The request with no longer answer than the model can give: providers refuse a larger number (400 or 422).

    Clients set it without knowing the model; many send the same number to all of them.
    """
    names = _too_long(body, most)
    dropped += names
    return {**body, **dict.fromkeys(names, most)} if names else body


def _too_long(body: Body, most: int) -> list[str]:
    found = []
    for name in _OUTPUT:
        if name in body:
            wanted = plainly(body[name])
            if type(wanted) in (int, float) and wanted > most:
                found.append(name)
    return found


def _is_default(key: str, value: Any) -> bool:
    value = plainly(value)
    return value is None or (key in _DEFAULTS and value == _DEFAULTS[key])


def _nameable(dropped: list[str]) -> list[str]:
    """Each name once, and only such as may stand in a header."""
    return [name for name in dict.fromkeys(dropped) if _NAME.fullmatch(name)][:_MOST_NAMES]
