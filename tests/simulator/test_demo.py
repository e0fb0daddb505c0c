"""The built-in demo."""

from __future__ import annotations

import pytest

from ollama_proxy.simulator import Simulator
from ollama_proxy.simulator.judge import Options
from tests.support.loops import play
from tests.support.sim_kit import events, fetch, tool


def ask(model: str, text: str, **more: object) -> dict[str, object]:
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}


@pytest.mark.parametrize(("text", "words"), [("Who are you?", "built-in demo"), ("누구세요?", "데모입니다")])
def test_hello_explains_itself_in_the_question_s_language(text: str, words: str) -> None:
    """It says what it is, repeats the question, and says how to add a key; it needs none itself."""

    async def story() -> None:
        async with Simulator() as sim:
            got = await fetch(sim, "demo", ask("hello", text), key=None)
            answer = got.json["choices"][0]["message"]["content"]
            assert words in answer
            assert text in answer
            assert "GOOGLE_API_KEYS=" in answer
            assert "python ollama_proxy.py" in answer

    play(story())


def test_echo_repeats_letter_by_letter() -> None:
    """Nothing is added to what was said, blanks included."""

    async def story() -> None:
        async with Simulator() as sim:
            text = "  안녕 \n\n  {curly} 🌏 "
            got = await fetch(sim, "demo", ask("echo", text, stream=True), key=None)
            chunks = events(got.body)[:-1]
            assert "".join(c["choices"][0]["delta"].get("content", "") for c in chunks) == text

    play(story())


def test_it_calls_no_tools_and_is_never_silent() -> None:
    """Tools that a client offers are left alone, and an empty question gets a sign of life."""

    async def story() -> None:
        async with Simulator() as sim:
            got = await fetch(sim, "demo", ask("echo", "use the tool get_weather", tools=[tool()]), key=None)
            assert got.json["choices"][0]["message"] == {"role": "assistant", "content": "use the tool get_weather"}
            got = await fetch(sim, "demo", ask("echo", ""), key=None)
            assert got.json["choices"][0]["message"]["content"] == "…"

    play(story())


def test_stream_looks_alive_but_is_quick() -> None:
    """Many small pieces, and no wait between them that is longer than 15 ms."""
    assert 0 < Options().demo_delay_s <= 0.015

    async def story() -> None:
        async with Simulator() as sim:
            got = await fetch(sim, "demo", ask("hello", "Hi", stream=True), key=None)
            assert len(events(got.body)) > 40

    play(story())


def test_other_models_are_a_404() -> None:
    """The answer names the two that exist."""

    async def story() -> None:
        async with Simulator() as sim:
            got = await fetch(sim, "demo", ask("gpt", "Hi"), key=None)
            assert got.status == 404
            assert "hello, echo" in got.json["error"]["message"]
            models = await fetch(sim, "demo", key=None)
            assert [row["id"] for row in models.json["data"]] == ["hello", "echo"]

    play(story())


def test_alone_it_serves_nothing_else_and_remembers_nothing() -> None:
    """A simulator that only backs the demo has no other provider, no log and no controls."""

    async def story() -> None:
        async with Simulator(providers=("demo",), log_size=0) as sim:
            assert (await fetch(sim, "demo", ask("echo", "secret words"), key=None)).status == 200
            assert (await fetch(sim, "google", key="k-a")).status == 404
            assert sim.log == []
            got = await fetch(sim, "", path="_log", key=None)
            assert got.status == 404
            assert b"secret" not in got.body

    play(story())
