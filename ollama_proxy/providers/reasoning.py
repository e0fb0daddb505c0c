"""Owns how a wish to think (or not to) is said to each provider. The rows are profiles.toml's.

The neutral form is OpenAI's `reasoning_effort`; beside it the hub may hold `think`, Ollama's word, which is never sent:
true means the model's own default and that the thoughts are wanted, a level is such an effort, false is `none`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ollama_proxy.providers.tables import Matcher
from ollama_proxy.providers.tools import plainly
from ollama_proxy.types import Capability, Model

__all__ = ["FIELDS", "Reasoning", "nearest"]

#: The hub's words that are read here.
FIELDS = ("reasoning_effort", "reasoning", "think")
_ORDER = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
#: Tokens of thought for an effort, where a provider counts tokens (Google's own numbers for its 2.5 models,
#: https://ai.google.dev/gemini-api/docs/openai, read 2026-11).
_BUDGETS = {"low": 1024, "medium": 8192, "high": 24576}


def nearest(effort: str, accepts: Iterable[str]) -> str:
    """The effort to send: itself, else the next stronger one that is taken, else the strongest.

    Not thinking is never meant by an effort; where it cannot be had, the weakest effort stands for it.
    """
    taken = sorted(accepts, key=_ORDER.index)
    if effort in taken or effort not in _ORDER:
        return effort
    if effort == "none":
        return taken[0]
    stronger = [e for e in taken if _ORDER.index(e) > _ORDER.index(effort)]
    return stronger[0] if stronger else taken[-1]


@dataclass(slots=True)
class Wish:
    """What the client wants: an effort (None: said nothing), whether it wants to see thoughts, `own` default effort."""

    effort: str | None = None
    show: bool = False
    own: bool = False

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Wish:
        """The wish in a hub request."""
        effort = plainly(body.get("reasoning_effort"))
        effort = effort if isinstance(effort, str) and effort else None
        reasoning = plainly(body.get("reasoning"))
        if effort is None and isinstance(reasoning, dict):
            effort = _effort_of(reasoning)
        think = plainly(body.get("think"))
        if think is None:
            return cls(effort)
        if think is False:
            return cls("none")
        level = think if isinstance(think, str) else "medium"
        return cls(effort or level, show=True, own=think is True)


def _effort_of(reasoning: Mapping[str, Any]) -> str | None:
    """OpenRouter's `reasoning` object as an effort."""
    if isinstance(reasoning.get("effort"), str):
        return str(reasoning["effort"])
    if reasoning.get("enabled") is False:
        return "none"
    return "medium" if reasoning.get("enabled") or reasoning.get("max_tokens") else None


@dataclass(slots=True)
class Row:
    """One row of a profile's `reasoning` list."""

    models: Matcher
    style: str
    accepts: tuple[str, ...] = ()
    say: Mapping[str, str] = field(default_factory=dict)
    effort: bool = False
    stream_only: bool = False
    open_models: Matcher | None = None
    thinkers: bool = False


class Reasoning:
    """One dialect's rows, made ready."""

    def __init__(self, rows: Iterable[Mapping[str, Any]]) -> None:
        self._rows = [_row(row) for row in rows]
        #: Whether a call that is not streamed must be looked at, too.
        self.minds_streaming = any(row.stream_only or row.open_models for row in self._rows)

    def __bool__(self) -> bool:
        return bool(self._rows)

    def adapt(
        self,
        model_id: str,
        model: Model | None,
        body: Mapping[str, Any],
        out: dict[str, Any],
        dropped: list[str],
        *,
        stream: bool,
    ) -> bool:
        """Says the body's wish in `out`. Returns whether the call must be streamed."""
        row = next((row for row in self._rows if row.models(model_id)), None)
        if row is None:
            return stream
        if row.thinkers and model is not None and Capability.THINKING not in model.capabilities:
            row = _DUMB
        wish = Wish.of(body)
        for name in FIELDS:
            out.pop(name, None)
        if wish.effort is not None:
            value = nearest(wish.effort, row.accepts) if row.accepts else wish.effort
            _STYLES[row.style](out, _Saying(value, wish, row, body.get("reasoning"), dropped))
        elif body.get("reasoning") is not None:
            if row.style in _OBJECT_STYLES:
                out["reasoning"] = body["reasoning"]
            else:
                dropped.append("reasoning")
        if row.style == "switch":
            _settle(out, row, dropped)
        must = self._must_stream(row, model_id, out)
        return stream or must

    @staticmethod
    def _must_stream(row: Row, model_id: str, out: dict[str, Any]) -> bool:
        """DashScope: "enable_thinking must be set to false for non-streaming calls" (read 2026-11)."""
        if row.stream_only:
            return True
        if plainly(out.get("enable_thinking")) is True:
            return True
        return row.open_models is not None and "enable_thinking" not in out and row.open_models(model_id)


#: For a model that is known not to think, where the provider refuses the wish.
_DUMB = Row(Matcher(["*"]), "drop")


def _row(table: Mapping[str, Any]) -> Row:
    return Row(
        models=Matcher(table["models"]),
        style=table["as"],
        accepts=tuple(table.get("accepts", ())),
        say=table.get("say", {}),
        effort=table.get("effort", False),
        stream_only=table.get("stream_only", False),
        thinkers=table.get("thinkers", False),
        open_models=Matcher(table["open_models"]) if "open_models" in table else None,
    )


# --- styles: how one effort is said -----------------------------------------------------------------------------------


@dataclass(slots=True)
class _Saying:
    """What a style has to say: the effort, and what it may need beside it.

    given: the client's own `reasoning` object, if it sent one. dropped: names of what could not be said.
    """

    value: str
    wish: Wish
    row: Row
    given: Any
    dropped: list[str]

    @property
    def on(self) -> bool:
        return self.value != "none"


def _drop(out: dict[str, Any], say: _Saying) -> None:
    """The model cannot be asked; not to think is what it does anyway."""
    if say.on:
        say.dropped.append("reasoning_effort")


def _effort(out: dict[str, Any], say: _Saying) -> None:
    out["reasoning_effort"] = say.row.say.get(say.value, say.value)


def _object(out: dict[str, Any], say: _Saying) -> None:
    """`reasoning{effort, enabled}`; a client's own object goes as it is."""
    if say.given is not None:
        out["reasoning"] = say.given
    elif say.on:
        out["reasoning"] = {"enabled": True} if say.wish.own else {"effort": say.value}
    else:
        out["reasoning"] = {"enabled": False}


def _openrouter(out: dict[str, Any], say: _Saying) -> None:
    """OpenRouter knows OpenAI's word, too: a client that used it keeps it."""
    if say.given is None and not say.wish.own:
        out["reasoning_effort"] = say.value
    else:
        _object(out, say)


def _gemini_budget(out: dict[str, Any], say: _Saying) -> None:
    _gemini(out, say, {"thinking_budget": _BUDGETS.get(say.value, 0)})


def _gemini_level(out: dict[str, Any], say: _Saying) -> None:
    _gemini(out, say, {"thinking_level": say.value})


def _gemini(out: dict[str, Any], say: _Saying, setting: dict[str, Any]) -> None:
    """`reasoning_effort` or a thinking_config, never both (400); only the latter can show the thoughts."""
    extra = plainly(out.get("extra_body"))
    extra = extra if isinstance(extra, dict) else {}
    google = extra.get("google")
    google = google if isinstance(google, dict) else {}
    if "thinking_config" in google:
        say.dropped.append("reasoning_effort")
    elif say.wish.show and say.on:
        thinking = {"include_thoughts": True, **({} if say.wish.own else setting)}
        out["extra_body"] = {**extra, "google": {**google, "thinking_config": thinking}}
    else:
        out["reasoning_effort"] = say.value


def _switch(out: dict[str, Any], say: _Saying) -> None:
    """DashScope: `enable_thinking`; while thinking neither a forced call nor a JSON answer can be had."""
    on = say.on
    if not say.row.stream_only:
        if on and _wants_json(out):
            say.dropped.append("reasoning_effort")
            on = False
        out["enable_thinking"] = on
    if not on:
        return
    if say.row.effort:
        out["reasoning_effort"] = say.value
    elif not say.wish.own and say.value in ("low", "medium"):
        out.setdefault("thinking_budget", _BUDGETS[say.value])
    _auto_choice(out)


def _wants_json(out: dict[str, Any]) -> bool:
    wanted = plainly(out.get("response_format"))
    return isinstance(wanted, dict) and wanted.get("type") in ("json_object", "json_schema")


def _settle(out: dict[str, Any], row: Row, dropped: list[str]) -> None:
    """A model that may think unasked is told not to, where JSON or a call is wanted for sure.

    One that always thinks cannot be told: JSON is then asked for in words only, and a call left to it.
    """
    if row.stream_only:
        _auto_choice(out)
        if _wants_json(out):
            del out["response_format"]
            dropped.append("response_format")
    elif _wants_json(out) or _forces_call(out):
        out.setdefault("enable_thinking", False)


def _forces_call(out: dict[str, Any]) -> bool:
    return plainly(out.get("tool_choice")) not in (None, "auto", "none")


def _auto_choice(out: dict[str, Any]) -> None:
    if _forces_call(out):
        out["tool_choice"] = "auto"


def _type(out: dict[str, Any], say: _Saying) -> None:
    """DeepSeek: `thinking{type}`, and how hard beside it."""
    out["thinking"] = {"type": "enabled" if say.on else "disabled"}
    if say.on and not say.wish.own:
        out["reasoning_effort"] = say.value


def _template(out: dict[str, Any], say: _Saying) -> None:
    """Servers that hand the wish to the model's own chat template; templates know one name or the other."""
    given = plainly(out.get("chat_template_kwargs"))
    wish = {"enable_thinking": say.on, "thinking": say.on}
    out["chat_template_kwargs"] = {**wish, **(given if isinstance(given, dict) else {})}


_OBJECT_STYLES = ("object", "openrouter")
_STYLES: dict[str, Callable[[dict[str, Any], _Saying], None]] = {
    "drop": _drop,
    "effort": _effort,
    "gemini_budget": _gemini_budget,
    "gemini_level": _gemini_level,
    "object": _object,
    "openrouter": _openrouter,
    "switch": _switch,
    "template": _template,
    "type": _type,
}
