"""Owns the list of simulated providers."""

from __future__ import annotations

from collections.abc import Mapping

from ollama_proxy.simulator.providers.akash import Akash
from ollama_proxy.simulator.providers.base import Provider
from ollama_proxy.simulator.providers.codestral import Codestral
from ollama_proxy.simulator.providers.cohere import Cohere
from ollama_proxy.simulator.providers.demo import Demo
from ollama_proxy.simulator.providers.google import Google
from ollama_proxy.simulator.providers.openrouter import OpenRouter
from ollama_proxy.simulator.providers.qwen import Qwen

__all__ = ["PROVIDERS", "Provider"]

#: By their name, which is also the first part of their path here.
PROVIDERS: Mapping[str, Provider] = {
    provider.name: provider
    for provider in (Google(), OpenRouter(), Akash(), Cohere(), Codestral(), Qwen(), Provider(), Demo())
}
