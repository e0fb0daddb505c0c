"""What providers say, oddly or badly, as clients of each protocol get it (F49 to F60)."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from ollama_proxy.simulator import Chunk, Close, Header, Send, Status
from tests.support.client_kinds import Told, Way, every_stream, every_way
from tests.support.faulty_world import NO_WAITING, World, make_world
from tests.support.recordings import RECORDINGS, Recording

COHERE = "cohere:command-a-03-2025"
DONE = b"data: [DONE]\n\n"
SSE = Header("content-type", "text/event-stream")
#: Letters of one to four bytes, marks that combine, a family joined by zero-width joiners, right to left, controls.
LETTERS = "aé한𝄞e\u0301 👩\u200d👩\u200d👧 שלום \x07"
#: What some readers take for the end of a line.
SEPARATORS = "a\u2028b\u2029c\u0085d\x0be\x0cf\x1cg\x1dh\x1ei"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    keys = {name: ["one", "two", "three"] for name in ("google", "openrouter", "akash", "cohere", "codestral", "qwen")}
    with make_world(tmp_path_factory, keys, NO_WAITING) as running:
        yield running


@pytest.fixture
def world(running: World) -> World:
    running.fresh(luck=0.0)
    return running


def event(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
    data = {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}
    return b"data: " + json.dumps(data).encode() + b"\n\n"


def stream(world: World, way: Way, *pieces: bytes, times: int | None = None) -> Told:
    """What a client is told when the provider streams these pieces, each in a chunk of its own."""
    world.sim.on("cohere", [SSE, *map(Chunk, pieces)], times=times)
    return world.ask(way, COHERE)


# --- without end (F44) ------------------------------------------------------------------------------------------------


@every_stream
def test_a_call_whose_arguments_never_end_is_not_kept_for_ever(world: World, way: Way) -> None:
    """F44: 9 MB of arguments: a call is told when it is whole, so they would all have to be kept."""
    call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "write", "arguments": "{"}}
    more = {"index": 0, "function": {"arguments": "x" * 100_000}}
    told = stream(
        world, way, event({"content": "a"}), event({"tool_calls": [call]}), *[event({"tool_calls": [more]})] * 90
    )
    told.assert_broken("upstream_bad_response")


@every_stream
def test_calls_that_never_end_are_not_kept_for_ever(world: World, way: Way) -> None:
    """F44: 20,000 calls in one answer."""
    calls = [
        {"index": n, "id": f"c{n}", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        for n in range(20_000)
    ]
    told = stream(
        world,
        way,
        event({"content": "a"}),
        *(event({"tool_calls": calls[n : n + 1000]}) for n in range(0, 20_000, 1000)),
    )
    told.assert_broken("upstream_bad_response")


@every_stream
def test_only_what_is_told_again_at_the_end_has_a_bound(world: World, way: Way) -> None:
    """F44: 9 MB of text pass; but the last event of the Responses API repeats the text, so that it has to be kept."""
    told = stream(world, way, *[event({"content": "x" * 100_000})] * 90, event({}, "stop"), DONE)
    if way.name.startswith("responses"):
        told.assert_broken("upstream_bad_response")
    else:
        assert (told.complete, len(told.text)) == (True, 9_000_000)


# --- letters and lines (F49 to F54) -----------------------------------------------------------------------------------


@every_way
@pytest.mark.parametrize("fault", ["", "!utf8", "!one-write"])
def test_letters_survive_every_cut(world: World, way: Way, fault: str) -> None:
    """F49: split inside every letter: no U+FFFD, nothing lost."""
    world.sim.say("cohere", LETTERS)
    world.ask(way, COHERE + fault).assert_ok(LETTERS)


@every_way
def test_a_broken_letter_is_replaced_and_the_rest_goes_on(world: World, way: Way) -> None:
    """F50: strict UTF-8 for the client, one U+FFFD for each byte that is none."""
    good = world.ask(way, COHERE).text
    told = world.ask(way, f"{COHERE}!bad-utf8")
    told.assert_ok()
    assert told.text.replace("\ufffd", "") == good
    assert "\ufffd" in told.text


@every_way
@pytest.mark.parametrize("fault", ["crlf", "cr", "bom", "liberties", "whitespace"])
def test_every_freedom_of_event_streams_is_understood(world: World, way: Way, fault: str) -> None:
    """F51, F52: line ends, a byte-order mark, fields nobody needs, no blank after the colon, two data lines."""
    good = world.ask(way, COHERE)
    told = world.ask(way, f"{COHERE}!{fault}")
    told.assert_ok(good.text)
    assert told.usage == good.usage


@every_stream
def test_line_ends_may_change_from_event_to_event(world: World, way: Way) -> None:
    """F51: LF, CR LF and CR in one stream, cut between CR and LF."""
    first, second, third = (event({"content": text}).rstrip() for text in "abc")
    pieces = [first + b"\r\n\r", b"\n" + second + b"\r\r", third + b"\n\n", event({}, "stop"), DONE]
    stream(world, way, *pieces).assert_ok("abc")


@every_way
def test_what_looks_like_the_end_of_a_line_is_none(world: World, way: Way) -> None:
    """F53: Unicode's separators inside the text never cut a line."""
    world.sim.say("cohere", SEPARATORS)
    told = world.ask(way, COHERE)
    told.assert_ok(SEPARATORS)
    if way.name.startswith("ollama"):
        lines = told.body.decode().splitlines()
        assert all(json.loads(line) for line in lines)


@every_stream
def test_a_last_event_without_its_blank_line_counts_if_it_ends_the_answer(world: World, way: Way) -> None:
    """F54: with a finish or `[DONE]` in it the answer is whole; with text alone it is cut."""
    text = event({"content": "a"})
    stream(world, way, text, event({}, "stop").rstrip(), times=1).assert_ok("a")
    stream(world, way, text, event({}, "stop"), b"data: [DONE]", times=1).assert_ok("a")
    told = stream(world, way, text, event({"content": "b"}).rstrip(), times=1)
    told.assert_broken("upstream_truncated")
    assert told.text in ("a", "ab")


# --- shapes (F55, F56, F57, F58) --------------------------------------------------------------------------------------


@every_stream
def test_odd_shapes_lose_and_double_nothing(world: World, way: Way) -> None:
    """F55: nulls, repeated roles, an index that is not 0, unknown keys, usage in a chunk without choices."""
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    odd = b'data: {"choices":[{"index":3,"delta":{"role":"assistant","content":"b"},"x":{"y":[1]}}],"z":null}\n\n'
    told = stream(
        world,
        way,
        event({"role": "assistant", "content": None}),
        event({"role": "assistant", "content": "a"}),
        b'data: {"choices":[],"usage":null}\n\n',
        odd if way.name != "openai" else odd.replace(b'"index":3', b'"index":0'),
        event({"content": "c", "tool_calls": None, "reasoning_content": ""}),
        event({}, "stop"),
        b"data: " + json.dumps({"choices": [], "usage": usage}).encode() + b"\n\n",
        DONE,
    )
    told.assert_ok("abc")
    assert told.usage in (usage, (7, 3))


@every_way
@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_thoughts_are_told_once_and_apart(world: World, way: Way, field: str) -> None:
    """F55: under either of their names."""
    message = {"role": "assistant", "content": "Yes.", field: "Hm."}
    if way.stream:
        told = stream(world, way, event({field: "Hm."}), event({"content": "Yes."}), event({}, "stop"), DONE)
    else:
        body = json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}).encode()
        world.sim.on("cohere", [Status(200), Send(body)])
        told = world.ask(way, COHERE)
    told.assert_ok("Yes.")
    assert told.thinking == "Hm."


CALLS = [("weather", {"city": "Seoul"}), ("weather", {"city": "Busan"})]


def arguments(calls: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    return [(name, json.loads(given) if isinstance(given, str) else given) for name, given in calls]


@every_way
@pytest.mark.parametrize(
    "model", ["google:gemini-2.5-flash", COHERE, "codestral:codestral-latest", "qwen:qwen3-coder-plus"]
)
def test_calls_are_whole_in_every_protocol(world: World, way: Way, model: str) -> None:
    """F56: two calls in the form of each provider, streamed in its own way."""
    world.sim.say(model.partition(":")[0], calls=CALLS)
    told = world.ask(way, model)
    told.assert_ok()
    assert arguments(told.calls) == CALLS


def call(index: int | None, call_id: str | None, name: str | None, given: Any) -> dict[str, Any]:
    function = {key: value for key, value in (("name", name), ("arguments", given)) if value is not None}
    part = {"index": index, "id": call_id, "type": "function", "function": function}
    return {"tool_calls": [{key: value for key, value in part.items() if value is not None}]}


FORMS: dict[str, list[dict[str, Any]]] = {
    "letter by letter": [
        call(0, "c1", "weather", ""),
        *(call(0, None, None, letter) for letter in '{"city": "Seoul"}'),
        call(1, "c2", "weather", ""),
        *(call(1, None, None, letter) for letter in '{"city": "Busan"}'),
    ],
    "interleaved": [
        call(0, "c1", "weather", '{"city"'),
        call(1, "c2", "weather", '{"city"'),
        call(0, None, None, ': "Seoul"}'),
        call(1, None, None, ': "Busan"}'),
    ],
    "no index": [
        call(None, "c1", "weather", '{"city": "Seoul"}'),
        call(None, "c2", "weather", '{"city": "Busan"}'),
    ],
    "index 0 for all": [
        call(0, "c1", "weather", '{"city": "Seoul"}'),
        call(0, "c2", "weather", '{"city": "Busan"}'),
    ],
    "objects": [call(0, "c1", "weather", {"city": "Seoul"}), call(1, "c2", "weather", {"city": "Busan"})],
    "one id for both": [
        call(0, "c1", "weather", '{"city": "Seoul"}'),
        call(1, "c1", "weather", '{"city": "Busan"}'),
    ],
}


@every_stream
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_calls_are_put_together(world: World, way: Way, form: list[dict[str, Any]]) -> None:
    """F56: one valid call each, whatever the pieces look like."""
    told = stream(world, way, *(event(delta) for delta in form), event({}, "tool_calls"), DONE)
    told.assert_ok()
    assert arguments(told.calls) == CALLS


@every_stream
def test_arguments_that_are_no_json_are_an_error(world: World, way: Way) -> None:
    """F56: the call is not told as a good one; the pass-through leaves that judgement to its client."""
    told = stream(world, way, event(call(0, "c1", "weather", '{"city": ')), event({}, "tool_calls"), DONE)
    if way.name == "openai":
        assert told.calls == [("weather", '{"city": ')]
    else:
        assert told.error
        assert not told.complete
        assert not told.calls


@every_way
@pytest.mark.parametrize("fault", ["surrogate", "nan", "deep"])
def test_poison_never_reaches_a_client(world: World, way: Way, fault: str) -> None:
    """F57: half a surrogate pair, NaN among the counts, 5,000 levels deep: strict JSON in UTF-8, or an error."""
    told = world.ask(way, f"{COHERE}!{fault}")
    assert b"\\ud83d" not in told.body.lower()
    assert b"NaN" not in told.body
    assert told.complete or told.error
    assert told.status != 500


@every_stream
@pytest.mark.parametrize(
    "more",
    [
        b'"usage":{"prompt_tokens":1' + b"0" * 400 + b"}",
        b'"usage":{"prompt_tokens":1e999,"completion_tokens":-5}',
        b'"usage":"many"',
        b'"usage":{"prompt_tokens":"three"}',
        b'"choices":[{"index":0,"delta":{"content":"b"},"finish_reason":"stop"}]',
        b'"created":null,"id":7,"model":{}',
    ],
    ids=["400 digits", "infinite", "text", "text count", "twice", "other types"],
)
def test_nonsense_beside_the_text_costs_nothing(world: World, way: Way, more: bytes) -> None:
    """F57: counts that cannot be, keys that come twice: the text is told, or an error; never 500."""
    last = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],%b}\n\n' % more
    told = stream(world, way, event({"content": "a"}), last, DONE)
    assert told.status == 200
    assert told.complete or told.error
    assert told.text in ("a", "ab")


@every_way
@pytest.mark.parametrize(
    ("finish", "outcome"),
    [
        ("error", "error"),
        ("content_filter", "ok"),
        ("SAFETY", "ok"),
        ("MALFORMED_FUNCTION_CALL", "ok"),
        ("something new", "ok"),
        ("length", "ok"),
    ],
)
def test_every_reason_to_stop_is_told_in_words_that_clients_know(
    world: World, way: Way, finish: str, outcome: str
) -> None:
    """F58: mapped to the protocol's own; `error` is an error."""
    world.sim.say("cohere", "Well then.", finish=finish, times=None)
    told = world.ask(way, COHERE)
    if outcome == "error":
        assert told.error
        assert not told.complete
        return
    told.assert_ok("Well then.")
    known = {
        "ollama": {"stop", "length"},
        "openai": {"stop", "length", "content_filter", "tool_calls"},
        "anthropic": {"end_turn", "max_tokens", "refusal"},
        "responses": {"completed", "incomplete"},
    }
    assert told.finish in known[way.name.partition("-")[0]]


@every_way
def test_a_call_that_cannot_be_read_is_no_answer(world: World, way: Way) -> None:
    """F58: Gemini's malformed call, with nothing beside it: tried once more, then told."""
    world.sim.play("google", "stream-malformed-call", times=None, operation="chat")
    told = world.ask(way, "google:gemini-2.5-flash")
    told.assert_refused(502)
    assert len(world.calls("google")) == 2


# --- every recording, every cut (F60) ---------------------------------------------------------------------------------


def played(world: World, way: Way, data: bytes, cuts: list[int]) -> tuple[Any, ...]:
    """What a client gets of this stream, cut there: all that it could tell apart."""
    world.fresh(luck=0.0)
    pieces = [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    world.sim.on(
        "cohere", [SSE, *(Chunk(piece) for piece in pieces if piece), *([] if data else [Close()])], times=None
    )
    told = world.ask(way, COHERE)
    return (
        told.status,
        told.text,
        told.thinking,
        told.calls if told.complete else [],
        told.finish,
        told.complete,
    )


@every_stream
@pytest.mark.parametrize("part", range(4))
def test_no_cut_changes_what_is_told(world: World, way: Way, part: int) -> None:
    """F60: every recorded stream, whole and cut at places that chance chose, tells the same."""
    chance = random.Random(part)
    chosen: list[Recording] = [r for n, r in enumerate(RECORDINGS) if n % 4 == part and r.data]
    for recording in chosen:
        whole = played(world, way, recording.data, [])
        cuts = sorted(chance.sample(range(1, len(recording.data)), min(30, len(recording.data) - 1)))
        pieces = played(world, way, recording.data, cuts)
        if pieces[0] == 200 != whole[0]:
            # Cut up, the first words were on their way before the error was seen; in one piece they were not.
            assert not pieces[-1], recording.name
            continue
        assert pieces == whole, recording.name
