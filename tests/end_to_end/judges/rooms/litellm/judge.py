"""LiteLLM, which aider and many others call through, by both of its ways to Ollama. Run by the room's own Python.

It gives the calls of a stream the place within their line as index, so that two calls in two lines become one; Ollama
itself sends them so, and a streamed round is therefore judged with a single call.
"""

from __future__ import annotations

import json
import os
from typing import Any

import litellm

# It would fetch a tokenizer from a hub to count what the proxy has counted already.
litellm.disable_hf_tokenizer_download = True

BASE = os.environ["PROXY_URL"]
MODELS: dict[str, str] = json.loads(os.environ["MODELS"])
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": name,
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    }
    for name in ("get_weather", "get_time")
]


def ask(model: str, question: str | list[Any], **more: Any) -> Any:
    messages = [{"role": "user", "content": question}] if isinstance(question, str) else question
    return litellm.completion(model, messages, api_base=BASE, **more)


def text(model: str, question: str) -> tuple[str, str]:
    """Whole and streamed."""
    whole = ask(model, question).choices[0].message.content
    return whole, "".join(chunk.choices[0].delta.content or "" for chunk in ask(model, question, stream=True))


def chats(name: str) -> None:
    whole, streamed = text(f"ollama_chat/{name}", "Say Paris, please")
    assert "Paris" in whole
    assert whole == streamed


def goes_a_round(name: str, question: str, count: int, *, stream: bool) -> None:
    messages: list[Any] = [{"role": "user", "content": question}]
    answer = ask(f"ollama_chat/{name}", messages, tools=TOOLS, stream=stream)
    answer = litellm.stream_chunk_builder(list(answer)) if stream else answer
    message = answer.choices[0].message
    assert answer.choices[0].finish_reason == "tool_calls"
    assert [json.loads(call.function.arguments) for call in message.tool_calls] == [{"city": "Oslo"}] * count
    messages.append(message.model_dump())
    messages += [{"role": "tool", "tool_call_id": call.id, "content": "fine"} for call in message.tool_calls]
    assert "fine" in ask(f"ollama_chat/{name}", messages, tools=TOOLS).choices[0].message.content


def generates() -> None:
    whole, streamed = text(f"ollama/{MODELS['google']}", "Say hello")
    assert "hello" in whole
    assert whole == streamed


def thinks_apart() -> None:
    message = ask(f"ollama_chat/{MODELS['google']}", "Why?", reasoning_effort="low").choices[0].message
    assert message.reasoning_content
    assert message.content
    assert "<thought>" not in message.content


def embeds() -> None:
    rows = litellm.embedding("ollama/cohere:embed-v4.0", ["a", "b"], api_base=BASE).data
    assert [len(row["embedding"]) for row in rows] == [1536, 1536]


def learns_the_window_and_the_tools() -> None:
    os.environ["OLLAMA_API_BASE"] = BASE
    info = litellm.get_model_info(f"ollama/{MODELS['google']}")
    assert info["max_input_tokens"] == 1_048_576
    assert info["supports_function_calling"]


def tells_an_error() -> None:
    try:
        ask("ollama_chat/nobody", "Hi")
    except litellm.NotFoundError as error:
        told = str(error)
    else:
        told = ""
    assert "model 'nobody' not found" in told


def main() -> None:
    """One line for each check that passed; the first that fails ends it."""
    passed = 0
    for name in MODELS.values():
        both = 'Use both tools in parallel: get_weather and get_time for "Oslo"'
        chats(name)
        goes_a_round(name, both, 2, stream=False)
        goes_a_round(name, 'Use get_weather for "Oslo"', 1, stream=True)
        passed += 3
    for check in (generates, thinks_apart, embeds, learns_the_window_and_the_tools, tells_an_error):
        check()
        passed += 1
    print(f"{passed} checks passed")


if __name__ == "__main__":
    main()
