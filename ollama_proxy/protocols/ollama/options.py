"""Owns what `options`, `think`, `format` and the logprobs fields of a request mean in the hub. Knows no endpoint.

Only what the client set is sent on; Ollama's defaults are not. Hardware options and old names mean nothing to a
provider and are dropped; what a provider does not take is dropped by its own profile.
Rules: Ollama 0.33's behaviour, its error texts included.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ollama_proxy.errors import BadRequest
from ollama_proxy.protocols.ollama.fields import quoted

__all__ = ["check_top_logprobs", "hub_format", "hub_logprobs", "hub_options", "hub_think", "parse_think"]

_FLOAT, _INT, _BOOL, _LIST = "float32", "integer", "boolean", "array"
#: Every option that Ollama checks, and its type. Names are exact; others are ignored.
_TYPES = {
    "temperature": _FLOAT,
    "top_p": _FLOAT,
    "min_p": _FLOAT,
    "typical_p": _FLOAT,
    "repeat_penalty": _FLOAT,
    "presence_penalty": _FLOAT,
    "frequency_penalty": _FLOAT,
    "top_k": _INT,
    "repeat_last_n": _INT,
    "seed": _INT,
    "num_predict": _INT,
    "num_ctx": _INT,
    "num_keep": _INT,
    "num_batch": _INT,
    "num_gpu": _INT,
    "main_gpu": _INT,
    "num_thread": _INT,
    "draft_num_predict": _INT,
    "use_mmap": _BOOL,
    "stop": _LIST,
}
#: Ollama's name -> the hub's. `top_k`, `min_p` and `repetition_penalty` are extensions that some providers take.
_HUB = {
    "temperature": "temperature",
    "top_p": "top_p",
    "min_p": "min_p",
    "repeat_penalty": "repetition_penalty",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
    "top_k": "top_k",
    "seed": "seed",
    "num_predict": "max_tokens",
    "stop": "stop",
}
_EFFORTS = ("low", "medium", "high", "max")
_THINK_WORDS = '"high", "medium", "low", "max", true, or false'


def hub_options(options: dict[str, Any]) -> dict[str, Any]:
    """The hub keys for `options`.

    Raises: BadRequest with status 500 (as Ollama answers) for a value of the wrong type.
    """
    body: dict[str, Any] = {}
    for name, value in options.items():
        kind = _TYPES.get(name)
        if kind is None or value is None:
            continue
        value = _checked(name, kind, value)
        hub = _HUB.get(name)
        if hub is not None and not _means_nothing(name, value):
            body[hub] = value
    return body


def _checked(name: str, kind: str, value: Any) -> Any:
    if kind is _LIST:
        if not isinstance(value, list):
            raise _wrong_type(name, "array")
        if not all(isinstance(item, str) for item in value):
            raise _wrong_type(name, "an array of strings")
        return value
    if kind is _BOOL:
        if not isinstance(value, bool):
            raise _wrong_type(name, kind)
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _wrong_type(name, kind)
    return int(value) if kind is _INT else value


def _means_nothing(name: str, value: Any) -> bool:
    """Whether the value says no more than leaving the option out: no limit, any seed, no stop words."""
    return bool((name == "num_predict" and value <= 0) or (name == "seed" and value == -1) or value == [])


def _wrong_type(name: str, kind: str) -> BadRequest:
    joint = "of" if kind.startswith("an ") else "of type"
    return BadRequest(f"option {quoted(name)} must be {joint} {kind}", status=500)


def parse_think(value: Any) -> bool | str | None:
    """`think` as given: None if unset, a bool, or one of low, medium, high, max.

    Raises: BadRequest
    """
    # Some clients send all their fields, empty ones too.
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return value
    if not isinstance(value, str):
        raise BadRequest(f"think must be a boolean or string ({_THINK_WORDS})")
    if value not in _EFFORTS:
        raise BadRequest(f"invalid think value: {quoted(value)} (must be {_THINK_WORDS})")
    return value


def hub_think(think: bool | str | None) -> dict[str, Any]:
    """The hub keys for `think`: the effort (plain true is medium, false none), and `think` where thoughts show."""
    if think is None:
        return {}
    if think is False:
        return {"reasoning_effort": "none"}
    # Some providers (Gemini) think at an effort but show their thoughts only when asked to.
    return {"think": think, "reasoning_effort": "medium" if think is True else think}


def hub_format(value: Any) -> dict[str, Any]:
    """The hub key for `format`: JSON mode, a JSON schema, or nothing.

    Raises: BadRequest with status 500, as Ollama answers.
    """
    if value is None or value == "":
        return {}
    if value in ("json", {}):
        return {"response_format": {"type": "json_object"}}
    if isinstance(value, dict):
        schema = {"name": "schema", "schema": value}
        return {"response_format": {"type": "json_schema", "json_schema": schema}}
    text = msgspec.json.encode(value).decode()
    raise BadRequest(f'invalid format: {text}; expected "json" or a valid JSON Schema object', status=500)


def check_top_logprobs(given: dict[str, Any]) -> None:
    """Raises: BadRequest if `top_logprobs` is out of range."""
    if not 0 <= given.get("top_logprobs", 0) <= 20:
        raise BadRequest("top_logprobs must be between 0 and 20")


def hub_logprobs(given: dict[str, Any]) -> dict[str, Any]:
    """The hub keys for `logprobs` and `top_logprobs`; the second means nothing without the first."""
    if not given.get("logprobs"):
        return {}
    top = given.get("top_logprobs", 0)
    return {"logprobs": True, "top_logprobs": top} if top else {"logprobs": True}
