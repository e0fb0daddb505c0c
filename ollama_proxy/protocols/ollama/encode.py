"""Owns how an answer that is put together from plain values becomes bytes: compact, and escaped as Go does."""

from __future__ import annotations

from typing import Any

from ollama_proxy.wire.ndjson import encode_line

__all__ = ["json_bytes"]


def json_bytes(value: Any) -> bytes:
    """JSON without a newline, as every answer of /api that is no stream."""
    return encode_line(value)[:-1]
