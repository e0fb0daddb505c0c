"""Owns how a client's JSON body becomes a dict whose values are still JSON text. Knows no protocol's fields.

Only the top level is decoded: a request is looked at, and goes on as the bytes that came. What a strict upstream would
choke on (a lone surrogate, a byte order mark) is mended here; what is not JSON is refused here, whatever is wrong with
it, and never as anything but a BadRequest or TooLarge.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

import msgspec
from msgspec import Raw

from ollama_proxy.errors import BadRequest
from ollama_proxy.hub.guard import check_structure
from ollama_proxy.hub.loose import mend_surrogates

__all__ = ["drop_target_keys", "is_empty", "is_list", "is_sdk_retry", "read_body", "take_flag", "take_text", "without"]

_decode = msgspec.json.Decoder(dict[str, Raw]).decode
_BOM = b"\xef\xbb\xbf"
_MAYBE_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_EMPTY = re.compile(rb"null|\[\s*\]|\{\s*\}|\"\"")

#: Keys by which some gateways let a caller choose where a request goes or with which key (LiteLLM docs, "Clientside
#: auth"; LangChain and AutoGen send them along). Nobody chooses that but the operator, here or further up.
_TARGET_KEYS = frozenset(
    {
        "api_base",
        "api_key",
        "api_type",
        "api_version",
        "base_url",
        "custom_llm_provider",
        "default_headers",
        "extra_headers",
        "organization",
        "user_config",
    }
)


def read_body(body: bytes) -> dict[str, Raw]:
    """The top level of this JSON object; of a key that comes twice the last counts.

    Raises: BadRequest when it is not a JSON object in UTF-8, or nests too deep; TooLarge for too many parts.
    """
    body = body.removeprefix(_BOM)
    if not body or body.isspace():
        raise BadRequest("EOF")  # Ollama's own word for an empty body on /v1
    check_structure(body)
    if not body.isascii():
        _check_utf8(body)
    try:
        return _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        if _MAYBE_SURROGATE.search(body):
            return _read_mended(body)
        raise _refusal(error) from error


def take_text(body: dict[str, Any], key: str) -> str | None:
    """Removes a key from the body: its text; None where it is missing or null.

    Raises: BadRequest when it is something else.
    """
    value = _decoded(body.pop(key, None))
    if value is None or isinstance(value, str):
        return value
    raise BadRequest(f"'{key}' must be a string", param=key)


def take_flag(body: dict[str, Any], key: str) -> bool | None:
    """Removes a key from the body: true or false; None where it is missing or null.

    Raises: BadRequest when it is something else.
    """
    value = _decoded(body.pop(key, None))
    if value is None or isinstance(value, bool):
        return value
    raise BadRequest(f"'{key}' must be true or false", param=key)


def is_empty(value: Any) -> bool:
    """Whether a raw value is missing, null, or an empty list, object or string."""
    return value is None or _EMPTY.fullmatch(memoryview(value)) is not None


def is_list(value: Any) -> bool:
    """Whether a raw value is a list."""
    return value is not None and bytes(memoryview(value)[:1]) == b"["


def drop_target_keys(body: dict[str, Any]) -> None:
    """Removes every key that tries to choose the target or the credentials."""
    if not _TARGET_KEYS.isdisjoint(body):
        for key in _TARGET_KEYS.intersection(body):
            del body[key]


def is_sdk_retry(headers: Mapping[bytes, bytes]) -> bool:
    """Whether the client's SDK says that it repeats a request by itself (`x-stainless-retry-count`, all official SDKs
    of OpenAI and Anthropic, seen on the wire 2026-11).
    """
    return headers.get(b"x-stainless-retry-count", b"0").strip() not in (b"", b"0")


def without(body: Mapping[str, Any], keys: Collection[str]) -> dict[str, Any]:
    """A copy of the body without these keys."""
    return {key: value for key, value in body.items() if key not in keys}


def _decoded(value: Any) -> Any:
    if value is None:
        return None
    try:
        return msgspec.json.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _refusal(error) from error


def _check_utf8(body: bytes) -> None:
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise BadRequest(f"the request body is not valid UTF-8 (byte {error.start})") from error


def _read_mended(body: bytes) -> dict[str, Raw]:
    try:
        return _decode(mend_surrogates(body))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _refusal(error) from error


def _refusal(error: Exception) -> BadRequest:
    if isinstance(error, msgspec.ValidationError):
        return BadRequest("the request body must be a JSON object")
    if isinstance(error, RecursionError):
        return BadRequest("the request body nests too deep")
    reason = str(error).removeprefix("JSON is malformed: ")
    return BadRequest(f"the request body is not valid JSON: {reason}")
