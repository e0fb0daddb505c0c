"""Ollama Proxy: one address for every Ollama, OpenAI and Anthropic client, in front of many LLM providers and keys.

Importing this package defines names and does nothing else: no socket, no file, no thread.
"""

from __future__ import annotations

__all__ = ["OLLAMA_VERSION", "__version__"]

__version__ = "0.1.0"

#: The level of the Ollama server that we behave as. Clients gate on it (Codex 0.13.4, VS Code 0.6.4), so it is
#: a bare X.Y.Z; our own version stands beside it in /api/version.
OLLAMA_VERSION = "0.33.0"
