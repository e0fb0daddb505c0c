"""Keys, and pieces of keys, are masked wherever somebody repeats them; words are left alone."""

from __future__ import annotations

import io
import json
import logging
import random
import string
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollama_proxy.secret import Scrubber
from ollama_proxy.simulator import Chunk, Header, Send, Sleep, Status
from ollama_proxy.telemetry import setup_logging
from tests.support.client_kinds import Way, every_way
from tests.support.faulty_world import NO_WAITING, World, make_world
from tests.support.program import run_program

_LETTERS = string.ascii_letters + string.digits
#: What keys of a kind begin with, and what the rest is made of.
KINDS = {
    "AIzaSy": (_LETTERS + "-_", 33),
    "sk-or-v1-": ("0123456789abcdef", 64),
    "sk-": ("0123456789abcdef", 32),
    "akml-": (_LETTERS, 32),
    "gsk_": (_LETTERS, 52),
    "nvapi-": (_LETTERS, 64),
    "": (_LETTERS, 40),
}
WORDS = """Incorrect API key provided. The requested model `google:gemini-2.5-flash` does not exist, or you do not have
access to it; see https://openrouter.ai/docs/api-reference/authentication for the upstream documentation: status=401,
request_id=req_0123456789 2026-09-21T14:13:20Z, AIzaSy... and sk-or-v1-... are how keys begin."""


def secret(prefix: str, number: int) -> str:
    """What follows the beginning of a made-up key."""
    letters, length = KINDS[prefix]
    return "".join(random.Random(f"{prefix}{number}").choices(letters, k=length))


numbers = st.integers(0, 999)
prefixes = st.sampled_from(list(KINDS))


@given(prefixes, numbers, st.integers(0, 60), st.integers(8, 64))
def test_any_eight_characters_of_the_secret_part_are_masked(prefix: str, number: int, start: int, size: int) -> None:
    """P9: from its beginning, its middle or its end, between letters, quotes or dots."""
    rest = secret(prefix, number)
    start = min(start, len(rest) - 8)
    piece = rest[start : start + size]
    scrubber = Scrubber([prefix + rest, "another-key-that-is-made-of-words"])
    for text in (f"key {piece}.", f'{{"key":"...{piece}..."}}', f"{prefix}{piece}", f"k={piece}***"):
        told = scrubber.scrub_text(text)
        assert "[key]" in told
        assert not any(piece[at : at + 8] in told for at in range(len(piece) - 7))


@given(prefixes, numbers)
def test_the_whole_key_leaves_nothing(prefix: str, number: int) -> None:
    """P9: twice in one text, and glued to other letters."""
    key = prefix + secret(prefix, number)
    assert Scrubber([key]).scrub_text(f"Bearer {key}, {key}") == "Bearer [key], [key]"
    told = Scrubber([key]).scrub_text(f"x{key}x")
    assert not any(key[at : at + 8] in told for at in range(len(prefix), len(key) - 7))


@given(prefixes, numbers)
def test_words_and_public_beginnings_stay(prefix: str, number: int) -> None:
    """A text without any of it is what it was."""
    assert Scrubber([prefix + secret(prefix, number)]).scrub_text(WORDS) == WORDS


@pytest.mark.parametrize(
    "key", ["my-master-key-2026", "sk-local-development", "documentation-key", "upstream_request_id", "authentication"]
)
def test_a_key_of_words_is_masked_as_a_whole_and_its_words_are_not(key: str) -> None:
    """Somebody's own server may have such a key; everybody writes such words."""
    scrubber = Scrubber([key])
    assert scrubber.scrub_text(f"no {key}!") == "no [key]!"
    assert scrubber.scrub_text("the master-key: development, documentation, request_id, upstream_, authenticated") == (
        "the master-key: development, documentation, request_id, upstream_, authenticated"
    )


@given(numbers, st.text(max_size=200))
def test_text_around_a_piece_stays(number: int, text: str) -> None:
    """Only the piece goes."""
    rest = secret("sk-or-v1-", number)
    scrubber = Scrubber(["sk-or-v1-" + rest])
    plain = scrubber.scrub_text(text)
    assert scrubber.scrub_text(f"{text} {rest[20:40]} {text}") == f"{plain} [key] {plain}"


def test_a_key_of_odd_signs_has_pieces_too() -> None:
    """P9: somebody's own server may take anything that a header can hold."""
    key = "x9!k$Q2%w&7(z)R*5,e:8;T@u?v[L]4^n{M}3|"
    scrubber = Scrubber([key])
    for start in range(3, len(key) - 8):
        assert scrubber.scrub_text(f"say: {key[start : start + 9]} .") == "say: [key] ."


def test_pieces_that_overlap_are_one() -> None:
    """Two pieces side by side are two, however little lies between them."""
    rest = secret("", 1)
    scrubber = Scrubber([rest])
    assert scrubber.scrub_text(f"{rest[3:20]}+{rest[20:30]}") == "[key]+[key]"
    assert scrubber.scrub_text(rest[:-1]) == "[key]"
    assert scrubber.scrub_text(rest[:7]) == rest[:7]


def test_what_was_learnt_later_is_masked_in_pieces_too() -> None:
    """A renewed token; the one before it is still known."""
    old, new = secret("", 2), secret("", 3)
    scrubber = Scrubber([old])
    scrubber.learn([new])
    assert scrubber.scrub_text(f"{old[5:15]} {new[5:15]}") == "[key] [key]"


def test_the_log_has_no_piece_of_a_key() -> None:
    """P9, F90, B81: whoever wrote it there."""
    rest, sink = secret("AIzaSy", 4), io.StringIO()
    listener = setup_logging("INFO", Scrubber(["AIzaSy" + rest]), sink)
    logging.getLogger("ollama_proxy.test").warning("the provider said: key ending in %s", rest[-8:])
    listener.stop()
    assert sink.getvalue().endswith("the provider said: key ending in [key]\n")


# --- on the wire ------------------------------------------------------------------------------------------------------

COHERE = "cohere:command-a-03-2025"
KEY = secret("", 5)
PIECES = {"beginning": KEY[:8], "middle": KEY[13:24], "end": KEY[-9:]}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with make_world(tmp_path_factory, {"cohere": ["one"]}, NO_WAITING, env={"COHERE_API_KEYS": KEY}) as running:
        yield running


@pytest.fixture
def world(running: World) -> World:
    running.fresh()
    return running


def assert_clean(text: str) -> None:
    assert not any(KEY[at : at + 8] in text for at in range(len(KEY) - 7))


@every_way
@pytest.mark.parametrize("status", [400, 401, 402, 429, 500])
def test_no_answer_holds_a_piece_of_a_key(world: World, way: Way, status: int) -> None:
    """F90, P9, B81: the provider's words reach the client, the piece in them does not."""
    for where, piece in PIECES.items():
        world.fresh(luck=0.0)
        said = json.dumps({"message": f"what is wrong with {piece}... ({where})"})
        world.sim.on("cohere", [Status(status), Send(said.encode())], times=None)
        told = world.ask(way, COHERE)
        assert told.error
        assert_clean(repr(told.headers) + told.body.decode())
        assert status != 400 or f"what is wrong with [key]... ({where})" in told.error


def test_a_piece_spelt_with_escapes_is_one_as_well(world: World) -> None:
    """F90: JSON has several ways to write a letter."""
    spelt = "".join(f"\\u{ord(letter):04x}" for letter in KEY[4:14])
    world.sim.on("cohere", [Status(400), Send(b'{"message": "no %b"}' % spelt.encode())], times=None)
    assert world.ask(Way.find("openai", stream=False), COHERE).error.endswith("no [key]")


@pytest.mark.parametrize("name", ["ollama-chat", "openai", "anthropic", "responses"])
def test_an_error_inside_a_stream_holds_no_piece(world: World, name: str) -> None:
    """F90: after the first words too."""
    event = {"error": {"code": 500, "message": f"lost {PIECES['middle']}"}}
    hello = Chunk(b'data: {"choices":[{"index":0,"delta":{"content":"Hello"}}]}\n\n')
    lost = Chunk(b"data: " + json.dumps(event).encode() + b"\n\n")
    world.sim.on("cohere", [Status(200), Header("content-type", "text/event-stream"), hello, Sleep(0.05), lost])
    told = world.ask(Way.find(name, stream=True), COHERE)
    told.assert_broken(after="Hello")
    assert "lost [key]" in told.error
    assert_clean(told.body.decode())


def test_what_is_shown_of_keys_holds_no_piece(world: World) -> None:
    """F90: the complaint of a provider stands in /api/keys, in whatever form."""
    world.sim.on("cohere", [Status(401), Send(json.dumps({"message": f"bad {KEY[-8:]}"}).encode())], times=None)
    world.ask(Way.find("openai", stream=False), COHERE)
    for path in ("/api/keys", "/metrics", "/api/status"):
        assert_clean(world.send(path).body.decode())


@pytest.mark.parametrize("command", [("models",), ("keys", "test"), ("doctor",)], ids=" ".join)
def test_no_command_prints_a_piece_of_a_key(world: World, tmp_path: Path, command: tuple[str, ...]) -> None:
    """P9, F90: what a provider says of a list that it refuses is shown, the key in it is not."""
    said = json.dumps({"message": f"no list for {KEY}, which ends in {KEY[-12:]}"})
    world.sim.on("cohere", [Status(403), Send(said.encode())], times=None, operation="*")
    env = {"COHERE_API_KEYS": KEY, "COHERE_BASE_URL": world.sim.base_url("cohere"), "DATA_DIR": str(tmp_path / "data")}
    ended = run_program(tmp_path, *command, **env)
    told = "".join((ended.stdout + ended.stderr).split())
    assert "nolistfor[key],whichendsin[key]" in told
    assert_clean(told)
