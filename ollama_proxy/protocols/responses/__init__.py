"""OpenAI's Responses API, told over chat completions.

Good for the official SDKs and Codex. Pure translation: what chat completions cannot say is left out and named. Nothing
is stored, so every request has to bring its whole conversation.
"""

from __future__ import annotations

from ollama_proxy.protocols.responses.request import parse_responses

__all__ = ["parse_responses"]
