"""Anthropic's client protocol: the Messages API and its token count, told over chat completions.

Good for the official SDKs and Claude Code. Pure translation: what chat completions cannot say is left out and named.
"""

from __future__ import annotations

from ollama_proxy.protocols.anthropic.errors import render_error
from ollama_proxy.protocols.anthropic.request import parse_count, parse_messages, render_count

__all__ = ["parse_count", "parse_messages", "render_count", "render_error"]
