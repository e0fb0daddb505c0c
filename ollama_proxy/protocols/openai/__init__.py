"""OpenAI's client protocol: chat completions, text completions, embeddings, audio, models. Nearly a pass-through.

`parse_chat`, `parse_completions` and `parse_embeddings` take (body, headers with lower-case names, clock) and give a
Call whose face tells the answer.
"""

from __future__ import annotations

from ollama_proxy.protocols.openai.audio import parse_transcription, refuse_transcription
from ollama_proxy.protocols.openai.chat import parse_chat
from ollama_proxy.protocols.openai.completions import parse_completions
from ollama_proxy.protocols.openai.embeddings import parse_embeddings
from ollama_proxy.protocols.openai.errors import render_error
from ollama_proxy.protocols.openai.models import Entry, render_model, render_models

__all__ = [
    "Entry",
    "parse_chat",
    "parse_completions",
    "parse_embeddings",
    "parse_transcription",
    "refuse_transcription",
    "render_error",
    "render_model",
    "render_models",
]
