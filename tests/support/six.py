"""A model for chatting at each of the six providers."""

from __future__ import annotations

import pytest

__all__ = ["EVERY_MODEL", "MODELS"]

MODELS = {
    "google": "google:gemini-2.5-flash",
    "openrouter": "openrouter:qwen/qwen3-coder:free",
    "akash": "akash:meta-llama/Llama-3.3-70B-Instruct",
    "cohere": "cohere:command-a-03-2025",
    "codestral": "codestral:codestral-latest",
    "qwen": "qwen:qwen3.8-max",
}
EVERY_MODEL = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
