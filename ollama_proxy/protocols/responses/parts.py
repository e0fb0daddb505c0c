"""Owns what each part of an item's content becomes in the hub.

Source: OpenAI API reference, "Responses" (input content), read 2026-11; what is refused is refused in Ollama 0.33's
words.
"""

from __future__ import annotations

from typing import Any

from ollama_proxy.errors import BadRequest
from ollama_proxy.hub.content import image_part, text_part
from ollama_proxy.hub.given import wrong

__all__ = ["parts_of"]

Part = dict[str, Any]

_TEXTS = {"input_text": "text", "output_text": "text", "text": "text", "summary_text": "text", "refusal": "refusal"}


def parts_of(content: Any, place: str) -> list[Part]:
    """The hub's parts for a text or a list of parts; empty texts are left out.

    Raises: BadRequest.
    """
    if content is None:
        return []
    if isinstance(content, str):
        return [text_part(content)] if content else []
    if not isinstance(content, list):
        raise wrong(f"{place}.content", "a string or a list of parts")
    parts: list[Part] = []
    for number, part in enumerate(content):
        if not isinstance(part, dict):
            raise wrong(f"{place}.content[{number}]", "a part")
        parts += _part(part, f"{place}.content[{number}]")
    return parts


def _part(part: Part, place: str) -> list[Part]:
    kind = part.get("type")
    if isinstance(kind, str) and kind in _TEXTS:
        text = part.get(_TEXTS[kind])
        if not isinstance(text, str):
            raise wrong(f"{place}.text", "a string")
        return [text_part(text)] if text else []
    if kind == "input_image":
        return [_image(part, place)]
    if kind == "input_audio" and isinstance(part.get("input_audio"), dict):
        return [{"type": "input_audio", "input_audio": part["input_audio"]}]
    if kind == "input_file":
        raise BadRequest("file inputs are not currently supported", param="input")
    raise BadRequest(f"{place}: unknown content type: {str(kind)[:64]}", param="input")


def _image(part: Part, place: str) -> Part:
    url = part.get("image_url")
    if isinstance(url, dict):  # as in chat completions; some clients do not know the difference
        url = url.get("url")
    if not url or not isinstance(url, str):
        raise BadRequest(f"{place}: an image needs an image_url; uploaded files are not kept here", param="input")
    detail = part.get("detail")
    return image_part(url, detail if isinstance(detail, str) and detail != "auto" else None)
