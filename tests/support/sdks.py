"""The official SDKs that try again by themselves, as one: a question, and the text of the answer."""

from __future__ import annotations

import anthropic
import openai
import pytest

from tests.support.faulty_world import World

__all__ = ["ask_by_sdk", "every_sdk"]

#: Package and protocol have one name.
every_sdk = pytest.mark.parametrize("sdk", ["openai", "anthropic"])


def ask_by_sdk(world: World, sdk: str, model: str) -> str:
    """What this SDK's user reads; its errors are its own."""
    if sdk == "openai":
        with openai.OpenAI(base_url=f"{world.proxy.url}/v1", api_key="any") as gpt:
            said = gpt.chat.completions.create(model=model, messages=[{"role": "user", "content": "hi"}])
        return said.choices[0].message.content or ""
    with anthropic.Anthropic(base_url=world.proxy.url, api_key="any") as claude:
        message = claude.messages.create(model=model, max_tokens=99, messages=[{"role": "user", "content": "hi"}])
    return "".join(block.text for block in message.content if block.type == "text")
