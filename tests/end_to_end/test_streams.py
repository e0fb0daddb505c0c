"""Streams as they come: nothing is held back, nothing is torn, and no cut answer looks whole."""

from __future__ import annotations

import contextlib
import http.client
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ollama
import openai
import pytest

from ollama_proxy.simulator import SimulatorThread, Wait
from tests.support.running import RunningProxy

M = "google:gemini-2.5-flash"
A = "akash:meta-llama/Llama-3.3-70B-Instruct"
KOREAN = "안녕하세요, 세계! 🌏 “따옴표” é — 끝"


@pytest.fixture(scope="module")
def proxy(simulator: SimulatorThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProxy]:
    with RunningProxy(
        simulator.env({"google": ["one"], "akash": ["one"]}), tmp_path_factory.mktemp("proxy")
    ) as running:
        yield running


@pytest.fixture
def fresh(simulator: SimulatorThread, tmp_path: Path) -> Iterator[RunningProxy]:
    """A proxy of its own: faults in a row would open the provider's breaker for the next test."""
    with RunningProxy(simulator.env({"akash": ["one"]}), tmp_path) as running:
        yield running


@contextlib.contextmanager
def post(proxy: RunningProxy, path: str, **body: Any) -> Iterator[http.client.HTTPResponse]:
    question = {"model": M, "messages": [{"role": "user", "content": "hi"}], "stream": True}
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=10)) as connection:
        connection.request("POST", path, json.dumps({**question, **body}))
        with connection.getresponse() as answer:
            yield answer


def text_of(client: ollama.Client, model: str) -> str:
    parts = client.chat(model, [{"role": "user", "content": "?"}], stream=True)
    return "".join(part.message.content or "" for part in parts)


@pytest.mark.parametrize("path", ["/api/chat", "/v1/chat/completions"])
def test_the_first_piece_is_there_before_the_provider_sends_its_second(
    proxy: RunningProxy, simulator: SimulatorThread, path: str
) -> None:
    """C74: while the provider waits after its first word, the client already reads it."""
    simulator.hold("second")
    simulator.say("google", ["first", Wait("second"), " last"])
    with post(proxy, path) as answer:
        assert b"first" in answer.readline()
        simulator.release("second")
        rest = answer.read()
    assert b" last" in rest


@pytest.mark.parametrize("fault", ["utf8", "crlf", "one-write", "liberties", "bom", "many"])
def test_however_the_bytes_are_cut_the_text_is_the_same(
    proxy: RunningProxy, simulator: SimulatorThread, fault: str
) -> None:
    """C79 F46 F49 F51 F52: every letter cut, other line ends, one write, ten thousand pieces."""
    with ollama.Client(proxy.url) as client:
        simulator.say("google", KOREAN, times=None)
        plain, cut = text_of(client, M), text_of(client, f"{M}!{fault}")
    assert plain == KOREAN
    assert cut == KOREAN if fault != "many" else len(cut) > 10_000


@pytest.mark.parametrize("fault", ["cut", "rst", "truncated", "cut-json!slow", "error-mid!slow"])
def test_a_stream_that_dies_is_an_error_in_ollamas_protocol(fresh: RunningProxy, fault: str) -> None:
    """C81 C82 C83 F36 F37: the text that came, one error line, no `done`, a clean end of the body."""
    with post(fresh, "/api/chat", model=f"{A}!{fault}") as answer:
        lines = [json.loads(line) for line in answer.read().splitlines()]
    assert answer.status == 200
    assert [line["done"] for line in lines[:-1]] == [False] * (len(lines) - 1)
    assert len(lines) > 1
    assert set(lines[-1]) == {"error"}
    assert isinstance(lines[-1]["error"], str)


@pytest.mark.parametrize("fault", ["cut", "rst", "truncated", "cut-json!slow", "error-mid!slow"])
def test_a_stream_that_dies_raises_in_the_openai_client(fresh: RunningProxy, fault: str) -> None:
    """C201 F36 F37: an error event and no `[DONE]`, which the SDK raises."""
    with openai.OpenAI(base_url=f"{fresh.url}/v1", api_key="x", max_retries=0) as client:
        stream = client.chat.completions.create(
            model=f"{A}!{fault}", messages=[{"role": "user", "content": "hi"}], stream=True
        )
        with pytest.raises(openai.APIError):
            list(stream)
    with post(fresh, "/v1/chat/completions", model=f"{A}!{fault}") as answer:
        raw = answer.read()
    assert b"[DONE]" not in raw
    assert raw.rstrip().splitlines()[-1].startswith(b'data: {"error":')


@pytest.mark.parametrize("path", ["/api/chat", "/v1/chat/completions"])
@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_ends_the_providers_work(
    proxy: RunningProxy, simulator: SimulatorThread, path: str, stream: bool
) -> None:
    """P7 C84, B79: the provider's connection is closed within moments, streaming or not."""
    simulator.hold("never")
    simulator.say("google", ["first", Wait("never"), " last"])
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=10)
    body = {"model": M, "messages": [{"role": "user", "content": "hi"}], "stream": stream}
    connection.request("POST", path, json.dumps(body))
    simulator.reached("never")
    left = time.monotonic()
    connection.close()
    simulator.wait_for(lambda log: any(arrival.gave_up for arrival in log) or None, 2.0)
    assert time.monotonic() - left < 1.0


def test_a_missing_end_mark_after_a_finish_is_supplied(proxy: RunningProxy) -> None:
    """F38: the answer is complete, so the client gets its end."""
    with post(proxy, "/v1/chat/completions", model=f"{M}!no-done") as answer:
        assert answer.read().endswith(b"data: [DONE]\n\n")


def test_the_pass_through_keeps_the_providers_bytes(proxy: RunningProxy, simulator: SimulatorThread) -> None:
    """Unknown fields, ids and the model's name reach the client as the provider sent them."""
    with post(proxy, "/v1/chat/completions", model=A) as answer:
        first = json.loads(answer.readline()[6:])
        answer.read()
    assert first["model"] == "meta-llama/Llama-3.3-70B-Instruct"
    assert answer.getheader("x-proxy-provider") == "akash"
    assert answer.getheader("x-proxy-attempts") == "1"
