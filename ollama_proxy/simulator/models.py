"""Owns which models the simulated providers list: a few of each kind, with those that a client must filter out.

Numbers as the providers published them, read 2026-11; the real lists are longer and change monthly.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CARDS", "Card"]


@dataclass(frozen=True, slots=True)
class Card:
    """One model.

    kind: chat, embedding, or something that is neither (image, rerank ...). dimensions: of its vectors.
    """

    id: str
    context: int
    max_output: int | None = None
    kind: str = "chat"
    tools: bool = True
    vision: bool = False
    thinking: bool = False
    fim: bool = False
    title: str = ""
    dimensions: int = 8
    deprecated: bool = False


_MILLION = 1_048_576

_GOOGLE = (
    Card("gemini-2.5-flash", _MILLION, 65_536, vision=True, thinking=True, title="Gemini 2.5 Flash"),
    Card("gemini-2.5-pro", _MILLION, 65_536, vision=True, thinking=True, title="Gemini 2.5 Pro"),
    Card("gemini-3.5-flash", _MILLION, 65_536, vision=True, thinking=True, title="Gemini 3.5 Flash"),
    Card("gemini-3.1-flash-lite", _MILLION, 65_536, vision=True, thinking=True, title="Gemini 3.1 Flash-Lite"),
    Card("gemma-4-31b-it", 262_144, 32_768, vision=True, thinking=True, title="Gemma 4 31B"),
    Card("gemini-embedding-001", 2_048, 1, kind="embedding", title="Gemini Embedding 001", dimensions=3072),
    Card("imagen-4.0-generate-001", 480, 8_192, kind="image", title="Imagen 4"),
    Card("gemini-2.5-flash-preview-tts", 8_192, 16_384, kind="speech", title="Gemini 2.5 Flash Preview TTS"),
)
_OPENROUTER = (
    Card("qwen/qwen3-coder:free", 262_000, 262_000, title="Qwen: Qwen3 Coder (free)"),
    Card("openai/gpt-oss-20b:free", 131_072, 32_768, thinking=True, title="OpenAI: gpt-oss-20b (free)"),
    Card("google/gemma-4-31b-it:free", 262_144, 8_192, vision=True, thinking=True, title="Google: Gemma 4 31B (free)"),
    Card(
        "nousresearch/hermes-3-llama-3.1-405b:free",
        131_072,
        tools=False,
        title="Nous: Hermes 3 405B Instruct (free)",
    ),
    Card("deepseek/deepseek-r1", 163_840, 65_536, thinking=True, title="DeepSeek: R1"),
    Card("~anthropic/claude-sonnet-latest", 200_000, 64_000, vision=True, title="Anthropic: latest Sonnet"),
    Card("openrouter/auto", 2_000_000, title="Auto Router"),
    Card("black-forest-labs/flux.2-pro", 46_000, kind="image", tools=False, title="FLUX.2 Pro"),
    Card("qwen/qwen3-embedding-8b", 32_768, kind="embedding", tools=False, title="Qwen3 Embedding 8B", dimensions=4096),
)
_AKASH = (
    Card("meta-llama/Llama-3.3-70B-Instruct", 131_072, 131_072, title="Llama 3.3 70B Instruct"),
    Card("deepseek-ai/DeepSeek-V3.2", 163_840, 65_536, thinking=True, title="DeepSeek V3.2"),
    Card("MiniMaxAI/MiniMax-M2.5", 196_608, thinking=True, title="MiniMax M2.5"),
    Card("BAAI-bge-large-en-v1-5", 512, kind="embedding", tools=False, title="BGE large", dimensions=1024),
)
_COHERE = (
    Card("command-a-plus-05-2026", 128_000, 64_000, vision=True, thinking=True),
    Card("command-a-reasoning-08-2025", 256_000, 32_000, thinking=True),
    Card("command-a-03-2025", 256_000, 8_000),
    Card("command-a-vision-07-2025", 128_000, 8_000, tools=False, vision=True),
    Card("embed-v4.0", 128_000, kind="embedding", tools=False, dimensions=1536),
    Card("rerank-v3.5", 4_096, kind="rerank", tools=False),
    Card("command-light", 4_096, kind="generate", tools=False, deprecated=True),
)
_CODESTRAL = (
    Card("codestral-2508", 256_000, fim=True),
    Card("codestral-latest", 256_000, fim=True),
    Card("magistral-medium-latest", 262_144, vision=True, thinking=True),
    Card("mistral-small-latest", 262_144, vision=True),
    Card("mistral-embed", 8_192, kind="embedding", tools=False, dimensions=1024),
    Card("mistral-ocr-latest", 16_384, kind="ocr", tools=False, vision=True),
)
_QWEN = (
    Card("qwen3.8-max", 991_808, 131_072, vision=True, thinking=True),
    Card("qwen-plus-latest", 997_952, 32_768, thinking=True),
    Card("qwen3-coder-plus", 997_952, 65_536),
    Card("qwen3-vl-plus", 260_096, 32_768, vision=True, thinking=True),
    Card("qwq-plus", 98_304, 8_192, thinking=True),
    Card("text-embedding-v4", 8_192, kind="embedding", tools=False, dimensions=1024),
    Card("qwen-image", 800, kind="image", tools=False),
    Card("qwen3-asr-flash", 8_192, kind="speech", tools=False),
)
_OPENAI = (
    Card("sim-chat", 131_072, 16_384, vision=True),
    Card("sim-reasoning", 131_072, 16_384, thinking=True),
    Card("sim-embedding", 8_192, kind="embedding", tools=False, dimensions=16),
)
_DEMO = (
    Card("hello", 32_768, tools=False, title="Explains itself"),
    Card("echo", 32_768, tools=False, title="Repeats what you say"),
)

CARDS: dict[str, tuple[Card, ...]] = {
    "google": _GOOGLE,
    "openrouter": _OPENROUTER,
    "akash": _AKASH,
    "cohere": _COHERE,
    "codestral": _CODESTRAL,
    "qwen": _QWEN,
    "openai": _OPENAI,
    "demo": _DEMO,
}
