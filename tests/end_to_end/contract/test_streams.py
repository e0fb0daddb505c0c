"""NDJSON streams of /api/chat: lines, their order, and every way in which a stream can end."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from ollama_proxy.simulator import Wait
from tests.support.contract import CHAT, NDJSON, PAUSE, PLAIN, Answer, World, chunk, make_world, read_answer

ASK = {"model": CHAT, "messages": [{"role": "user", "content": "Say hello."}]}
FINAL = [
    "model",
    "created_at",
    "message",
    "done",
    "done_reason",
    "total_duration",
    "load_duration",
    "prompt_eval_count",
    "prompt_eval_duration",
    "eval_count",
    "eval_duration",
]
USAGE = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}
#: Everything that a text can hold.
ODD = 'two\nlines "quoted" \\ tab\t 한국어 \U0001f600 \U0001d11e <b>&amp; \u2028 \u2029 \x85 \x00 \x7f end'


def texts(lines: list[dict[str, Any]]) -> list[str]:
    return [line["message"]["content"] for line in lines]


# --- the form of a stream ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/api/chat", "/api/generate"])
def test_a_request_streams_unless_told_otherwise(world: World, path: str) -> None:
    """C69: as NDJSON without a charset, chunked, with a whole end."""
    answer = world.post(path, ASK if path == "/api/chat" else {"model": CHAT, "prompt": "Say hello."})
    assert (answer.status, answer.type, answer.chunked, answer.whole) == (200, NDJSON, True, True)


def test_a_line_is_one_object_and_only_the_last_is_done(world: World) -> None:
    """C70 C71 C72: every line an object with a newline behind it, metrics in the last one alone."""
    lines = world.post("/api/chat", ASK).lines
    assert len(lines) > 3
    for line in lines[:-1]:
        assert list(line) == ["model", "created_at", "message", "done"]
        assert line["done"] is False
    assert list(lines[-1]) == FINAL
    assert lines[-1]["done"] is True
    assert lines[-1]["message"] == {"role": "assistant", "content": ""}
    assert all(type(lines[-1][name]) is int and lines[-1][name] > 0 for name in FINAL[5:])


def test_no_line_has_a_blank_outside_its_texts(world: World) -> None:
    """C70: compact, byte by byte."""
    world.sim.say(None, ["One", "Two"])
    first = world.chat(PLAIN, stream=True).body.split(b"\n")[0]
    stamp = json.loads(first)["created_at"].encode()
    head = b'{"model":"' + PLAIN.encode() + b'","created_at":"' + stamp
    assert first == head + b'","message":{"role":"assistant","content":"One"},"done":false}'


def test_the_pieces_add_up(world: World) -> None:
    """C73: to what the provider said."""
    said = "The quick brown fox jumps over the lazy dog. "
    world.sim.say(None, said * 20)
    assert "".join(texts(world.post("/api/chat", ASK).lines)) == said * 20


@pytest.mark.parametrize("path", ["/api/chat", "/api/generate"])
def test_each_piece_is_there_at_once(world: World, path: str) -> None:
    """C74: the first line can be read while the provider has not sent its second."""
    world.sim.hold("second")
    world.sim.say(None, ["first", Wait("second"), " last"])
    body = ASK if path == "/api/chat" else {"model": CHAT, "prompt": "Say hello."}
    with world.connect() as sock:
        sock.sendall(world.request("POST", path, body))
        raw = b""
        while b'"first"' not in raw or not raw.endswith(b"\n\r\n"):
            raw += sock.recv(65536)
        assert b"last" not in raw
        world.sim.release("second")
        while piece := sock.recv(65536):
            raw += piece
    assert [line["done"] for line in read_answer(raw).lines] == [False, False, True]


# --- what providers send ----------------------------------------------------------------------------------------------


def test_usage_behind_the_end_is_in_the_last_line(world: World) -> None:
    """C75: in a chunk of its own, without choices."""
    world.stream_with(chunk({"content": "Hi"}), chunk({}, "stop"), chunk(usage=USAGE))
    last = world.post("/api/chat", ASK).lines[-1]
    assert (last["prompt_eval_count"], last["eval_count"]) == (7, 2)


def test_the_last_word_on_usage_counts(world: World) -> None:
    """C75: some report it with every chunk."""
    early = {"prompt_tokens": 7, "completion_tokens": 1, "total_tokens": 8}
    world.stream_with(chunk({"content": "Hi"}, usage=early), chunk({"content": "!"}, "stop", usage=USAGE))
    assert world.post("/api/chat", ASK).lines[-1]["eval_count"] == 2


def test_comments_and_empty_pieces_make_no_lines(world: World) -> None:
    """C76 C77: nor blank ones."""
    world.stream_with(
        ": OPENROUTER PROCESSING\n\n",
        chunk({"role": "assistant"}),
        chunk({"role": "assistant", "content": ""}),
        "\n\n",
        chunk({"content": None}),
        chunk({"content": "Hi"}),
        ": keep-alive\n\n",
        "event: ping\n\n",
        chunk({}, "stop"),
    )
    assert texts(world.post("/api/chat", ASK).lines) == ["Hi", ""]


def test_any_text_arrives_whole(world: World) -> None:
    """C78 C79: letters cut between the provider's writes, line ends, quotes, signs outside the basic plane."""
    for fault in ("utf8", "one-write", "crlf"):
        world.sim.reset()
        world.sim.say(None, [ODD[:9], ODD[9:]], times=None)
        answer = world.chat(f"{CHAT}!{fault}", stream=True)
        assert "".join(texts(answer.lines)) == ODD


def test_what_some_clients_take_for_a_line_end_is_escaped(world: World) -> None:
    """C78: the three separators, and what Go's encoder escapes besides; in a whole answer too."""
    for stream in (True, False):
        world.sim.say(None, [ODD])
        body = world.chat(PLAIN, stream=stream).body
        for sign in ("\u2028", "\u2029", "\x85", "<", ">", "&"):
            assert sign.encode() not in body
        for escape in (b"\\u2028", b"\\u2029", b"\\u0085", b"\\u003cb\\u003e\\u0026amp;"):
            assert escape in body
        assert "한국어 \U0001f600".encode() in body


def test_a_surrogate_pair_in_two_pieces_is_no_torn_letter(world: World) -> None:
    """C79: each half alone would be no text; nothing of the line breaks."""
    head = 'data: {"choices":[{"index":0,"delta":{"content":"'
    world.stream_with(f'{head}a\\ud83d\\ude00"}}}}]}}\n\n', f'{head}\\ud83d"}}}}]}}\n\n', chunk({}, "stop"))
    lines = world.post("/api/chat", ASK).lines
    assert texts(lines)[0] == "a\U0001f600"
    assert lines[-1]["done"] is True


# --- how a stream ends ------------------------------------------------------------------------------------------------


def test_a_refusal_before_the_first_piece_has_its_status(world: World) -> None:
    """C80: 429 for a request that wanted a stream, as JSON without charset."""
    world.sim.play("google", "429", times=None)
    answer = world.post("/api/chat", ASK)
    assert (answer.status, answer.type, answer.chunked) == (429, "application/json", False)
    assert list(answer.json) == ["error"]
    assert not answer.body.endswith(b"\n")


def assert_broken(answer: Answer, *said: str) -> str:
    """What came before, one error line, a proper end of the body, and no line that is done; the error's text."""
    assert (answer.status, answer.chunked, answer.whole) == (200, True, True)
    *lines, last = answer.lines
    assert [line["done"] for line in lines] == [False] * len(lines)
    assert not said or texts(lines) == list(said)
    assert list(last) == ["error"]
    error = last["error"]
    assert type(error) is str
    return error


@pytest.mark.parametrize("fault", ["cut", "rst", "cut-json", "truncated"])
def test_a_stream_that_breaks_ends_in_an_error_line(world: World, fault: str) -> None:
    """C81 C83: a lost connection, a torn event, an end without an end mark."""
    answer = world.chat(f"{PLAIN}!{fault}", stream=True)
    assert len(answer.lines) > 1
    assert "Cohere" in assert_broken(answer)


def test_an_end_without_a_reason_and_a_mark_is_no_success(world: World) -> None:
    """C83: the body ended properly, and still something is missing."""
    world.stream_with(chunk({"content": "One"}), chunk({"content": "Two"}), done=False)
    assert_broken(world.post("/api/chat", ASK), "One", "Two")


def test_an_error_inside_a_stream_ends_it(world: World) -> None:
    """C82: the provider's words are told, and nothing that it sends behind them."""
    error = {"error": {"message": "the backend fell over", "code": 502}}
    world.stream_with(chunk({"content": "One"}), PAUSE, error, chunk({"content": "Two"}, "stop"))
    assert "the backend fell over" in assert_broken(world.post("/api/chat", ASK), "One")


def test_an_error_inside_a_stream_before_any_text_has_its_status(world: World) -> None:
    """C80 C82: nothing was sent yet, so the client gets a real status."""
    error = {"error": {"message": "slow down", "code": 429}}
    world.stream_with(chunk({"role": "assistant", "content": ""}), error)
    answer = world.post("/api/chat", ASK)
    assert (answer.status, answer.chunked) == (429, False)
    assert "slow down" in answer.json["error"]


@pytest.mark.parametrize("path", ["/api/chat", "/api/generate"])
def test_a_client_that_leaves_takes_the_provider_along(world: World, path: str) -> None:
    """C84: the provider's connection is closed within a second."""
    world.sim.hold("never")
    world.sim.say(None, ["first", Wait("never")])
    sock = world.connect()
    sock.sendall(world.request("POST", path, ASK if path == "/api/chat" else {"model": CHAT, "prompt": "hi"}))
    assert sock.recv(100)
    world.sim.reached("never")
    left = time.monotonic()
    sock.close()
    world.sim.wait_for(lambda log: any(arrival.gave_up for arrival in log), 2.0)
    assert time.monotonic() - left < 1.0


# --- patience ---------------------------------------------------------------------------------------------------------

IMPATIENT = "[timeouts]\nkey_wait_s = 0.01\nfirst_content_s = 0.2\nidle_s = 0.4\nheartbeat_s = 0.1\n"


@pytest.fixture(scope="module")
def hurried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with make_world(tmp_path_factory.mktemp("impatient"), toml=IMPATIENT) as world:
        yield world


@pytest.fixture
def impatient(hurried: World) -> World:
    hurried.fresh()
    return hurried


def test_silence_after_some_text_is_borne_for_a_while(impatient: World) -> None:
    """C85: up to the time that is set, with lines that mean nothing; then an error line."""
    began = time.monotonic()
    answer = impatient.chat(f"{CHAT}!stall", stream=True)
    assert 0.4 <= time.monotonic() - began < 5
    assert_broken(answer)
    beats = texts(answer.lines[:-1])[-2:]
    assert beats == ["", ""]


def test_silence_before_any_text_is_borne_for_a_while(impatient: World) -> None:
    """C85: nothing came, so the end is told as an error that says what happened."""
    began = time.monotonic()
    answer = impatient.chat(f"{CHAT}!hang", stream=True)
    assert 0.2 <= time.monotonic() - began < 5
    assert "took too long" in answer.body.decode()
    assert b'"done":true' not in answer.body
