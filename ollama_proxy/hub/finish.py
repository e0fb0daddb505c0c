"""Owns what a provider's finish_reason means in OpenAI's words, and which end needs words before it.

Sources: Google AI for Developers (GenerateContentResponse, FinishReason), Cohere API reference (finish_reason), Mistral
OpenAPI file (FinishReason), DeepSeek API reference (finish_reason), OpenRouter docs (finish reasons), read 2026-11;
`content_filter: PROHIBITED_CONTENT` and `function_call_filter: MALFORMED_FUNCTION_CALL` were seen from Gemini's
OpenAI-compatible endpoint.
"""

from __future__ import annotations

from ollama_proxy.errors import EmptyAnswer

__all__ = ["ERROR", "MALFORMED", "OPENAI_REASONS", "TELL_WHY", "check_said", "map_finish"]

#: What map_finish says for a failure that the provider dressed as an end.
ERROR = "error"
#: The model wrote a tool call that nobody can read.
MALFORMED = "malformed"

#: The values that OpenAI's own schema knows.
OPENAI_REASONS = frozenset({"stop", "length", "tool_calls", "content_filter", "function_call"})

_EXACT = {
    "stop": "stop",
    "complete": "stop",
    "end_turn": "stop",
    "eos": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "tool_calls": "tool_calls",
    "tool_call": "tool_calls",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "error_toxic": "content_filter",
    "refusal": "content_filter",
    "error": ERROR,
    "insufficient_system_resource": ERROR,
}
_PREFIXES = (
    ("function_call_filter", MALFORMED),
    ("malformed_function_call", MALFORMED),
    ("content_filter", "content_filter"),
    ("safety", "content_filter"),
    ("recitation", "content_filter"),
    ("prohibited_content", "content_filter"),
    ("blocklist", "content_filter"),
    ("spii", "content_filter"),
)


#: Ends that tell why nothing was said.
TELL_WHY = frozenset({"length", "content_filter"})


def check_said(finish: str | None, *, said: bool, may_be_silent: bool) -> None:
    """Nothing, where the answer has said something or it is clear why not.

    finish: as mapped; None where no reason came. may_be_silent: the question allows it: a gap in which nothing is
    missing, a stop sequence that was met at once.
    Raises: EmptyAnswer. Models of every provider do this now and then, and a second try nearly always helps.
    """
    if not (said or finish in TELL_WHY or (may_be_silent and finish is not None)):
        raise EmptyAnswer("The model ended its answer without having said anything.")


def map_finish(reason: str) -> str:
    """`stop`, `length`, `tool_calls`, `content_filter`, or ERROR or MALFORMED; what nobody knows is a `stop`."""
    word = reason.strip().lower()
    known = _EXACT.get(word)
    if known is not None:
        return known
    for prefix, meaning in _PREFIXES:
        if word.startswith(prefix):
            return meaning
    return "stop"
