"""OpenAI's client protocol: chat completions, text completions, embeddings, models. Nearly a pass-through.

The three `parse_*` take (body, headers with lower-case names, clock) and give a Call whose face tells the answer.
"""

from __future__ import annotations

from ollama_proxy.protocols.openai.chat import parse_chat
from ollama_proxy.protocols.openai.completions import parse_completions
from ollama_proxy.protocols.openai.embeddings import parse_embeddings
from ollama_proxy.protocols.openai.errors import render_error
from ollama_proxy.protocols.openai.models import render_model, render_models

__all__ = ["parse_chat", "parse_completions", "parse_embeddings", "render_error", "render_model", "render_models"]
