"""What no client returns with a tool call, and the proxy remembers."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from ollama_proxy.memory import Memory

SIGNED = {"google": {"thought_signature": "c2lnbmF0dXJl"}}


def call(call_id: str, name: str = "get_weather", arguments: str = '{"city":"Paris"}', **more: Any) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}, **more}


def event(**delta: Any) -> bytes:
    return b"data: " + msgspec.json.encode({"choices": [{"index": 0, "delta": delta}]}) + b"\n\n"


def told(memory: Memory, *stream: bytes, provider: str = "google") -> None:
    tap = memory.tap(provider)
    for data in stream:
        tap.feed(data)
    tap.close()


def body(*calls: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "?"}, {"role": "assistant", "tool_calls": list(calls)}]}


def given_back(memory: Memory, *calls: dict[str, Any], provider: str = "google") -> list[dict[str, Any]]:
    restored: list[dict[str, Any]] = memory.restore(provider, body(*calls))["messages"][1]["tool_calls"]
    return restored


def test_a_signature_comes_back_by_the_calls_id() -> None:
    """A client that returns the id gets its signature put back."""
    memory = Memory()
    told(memory, event(tool_calls=[call("a", extra_content=SIGNED)]))
    assert given_back(memory, call("a"))[0]["extra_content"] == SIGNED


def test_a_signature_comes_back_by_name_and_arguments() -> None:
    """A client that invents its own ids, or reorders the arguments, gets it all the same."""
    memory = Memory()
    told(memory, event(tool_calls=[call("a", arguments='{"city":"Paris","days":2}', extra_content=SIGNED)]))
    lost = call("its-own", arguments='{ "days": 2, "city": "Paris" }')
    assert given_back(memory, lost)[0]["extra_content"] == SIGNED


def test_a_call_with_other_arguments_gets_nothing() -> None:
    """A foreign signature is worse than none."""
    memory = Memory()
    told(memory, event(tool_calls=[call("a", extra_content=SIGNED)]))
    assert "extra_content" not in given_back(memory, call("b", arguments='{"city":"Seoul"}'))[0]


def test_another_provider_never_sees_it() -> None:
    """What Gemini gave goes back to Gemini alone."""
    memory = Memory()
    told(memory, event(tool_calls=[call("a", extra_content=SIGNED)]))
    sent = body(call("a"))
    assert memory.restore("openrouter", sent) is sent


def test_what_a_client_returns_itself_is_left_as_it_is() -> None:
    """Its own signature wins."""
    memory = Memory()
    told(memory, event(tool_calls=[call("a", extra_content=SIGNED)]))
    own = {"google": {"thought_signature": "own"}}
    assert given_back(memory, call("a", extra_content=own))[0]["extra_content"] == own


def test_a_body_without_calls_stays_the_very_same() -> None:
    """Nothing is decoded or copied without need."""
    memory = Memory()
    told(memory, event(tool_calls=[call("a", extra_content=SIGNED)]))
    raw = {"messages": msgspec.Raw(b'[{"role":"user","content":"hi"}]')}
    assert memory.restore("google", raw) is raw


def test_an_undecoded_body_is_restored_too() -> None:
    """The pass-through keeps messages as JSON text until somebody has to look."""
    memory = Memory()
    told(memory, event(tool_calls=[call("a", extra_content=SIGNED)]))
    raw = {"messages": msgspec.Raw(msgspec.json.encode(body(call("a"))["messages"])), "temperature": msgspec.Raw(b"1")}
    assert memory.restore("google", raw)["messages"][1]["tool_calls"][0]["extra_content"] == SIGNED


def test_a_whole_answer_is_learnt_from() -> None:
    """Without streaming it is the same."""
    memory = Memory()
    answer = {"choices": [{"message": {"role": "assistant", "tool_calls": [call("a", extra_content=SIGNED)]}}]}
    memory.learn("google", msgspec.json.encode(answer))
    assert given_back(memory, call("a"))[0]["extra_content"] == SIGNED


def test_reasoning_details_in_pieces_come_back_as_one() -> None:
    """OpenRouter's details are merged by index and return on the turn."""
    memory = Memory()
    told(
        memory,
        event(reasoning_details=[{"type": "reasoning.text", "text": "Thi", "index": 0}]),
        event(reasoning_details=[{"type": "reasoning.text", "text": "nk.", "index": 0, "signature": "s"}]),
        event(tool_calls=[{**call("a", arguments=""), "index": 0}]),
        event(tool_calls=[{"index": 0, "id": None, "function": {"name": None, "arguments": '{"city":'}}]),
        event(tool_calls=[{"index": 0, "function": {"arguments": '"Paris"}'}}]),
        provider="openrouter",
    )
    turn = memory.restore("openrouter", body(call("own-id")))["messages"][1]
    assert turn["reasoning_details"] == [
        {"type": "reasoning.text", "text": "Think.", "index": 0, "signature": "s"},
    ]


def test_memories_survive_a_restart() -> None:
    """A tool loop goes on after the proxy was started again."""
    memory = Memory()
    told(memory, event(tool_calls=[call("a", extra_content=SIGNED)]))
    later = Memory()
    later.import_(msgspec.json.decode(msgspec.json.encode(memory.export())))
    assert given_back(later, call("a"))[0]["extra_content"] == SIGNED
    later.import_([1, ["x"], None])


def test_memory_is_bounded() -> None:
    """F93: the oldest call is forgotten, and a giant is not kept."""
    memory = Memory()
    for number in range(5000):
        told(memory, event(tool_calls=[call(f"id{number}", arguments=f'{{"n":{number}}}', extra_content=SIGNED)]))
    assert "extra_content" not in given_back(memory, call("id0", arguments='{"n":0}'))[0]
    assert "extra_content" in given_back(memory, call("id4999", arguments='{"n":4999}'))[0]
    assert len(memory.export()) <= 8192
    told(memory, event(tool_calls=[call("giant", extra_content={"x": "y" * 300_000})]))
    assert "extra_content" not in given_back(memory, call("giant", arguments='{"z":1}'))[0]


def test_a_call_whose_id_and_name_come_with_every_piece_is_one_call() -> None:
    """Hundreds of pieces are no hundreds of calls; two whole calls under one id are two, as objects too."""
    memory = Memory()
    text = json.dumps({"text": "x" * 1000})
    pieces = [text[n : n + 2] for n in range(0, len(text), 2)]
    details = [{"type": "reasoning.text", "text": "so", "index": 0}]
    first = event(reasoning_details=details)
    told(memory, first, *(event(tool_calls=[call("a", arguments=piece, index=0)]) for piece in pieces))
    restored = memory.restore("google", body(call("b", arguments=text)))
    assert restored["messages"][1]["reasoning_details"] == details
    whole: list[Any] = ['{"n":1}', '{"n":2}', {"n": 3}, {"n": 4}]
    told(memory, *(event(tool_calls=[call("f", arguments=one, index=0, extra_content=SIGNED)]) for one in whole))
    for number in (1, 2, 3, 4):
        assert given_back(memory, call("c", arguments=f'{{"n":{number}}}'))[0]["extra_content"] == SIGNED


def test_a_stream_that_never_ends_is_no_longer_listened_to() -> None:
    """What one answer makes us keep has a bound, in calls and in bytes; the calls of other answers are kept."""
    memory = Memory()
    told(memory, event(tool_calls=[call("kept", extra_content=SIGNED)]))
    told(memory, *(event(tool_calls=[call(f"c{n}", arguments=f"{n}", extra_content=SIGNED)]) for n in range(300)))
    long = event(tool_calls=[{"index": 0, "function": {"arguments": "x" * 1_000_000}}])
    told(memory, event(tool_calls=[call("long", arguments="", extra_content=SIGNED)]), *[long] * 17)
    for lost in (call("c0", arguments="0"), call("c299", arguments="299"), call("long", arguments="x" * 17_000_000)):
        assert "extra_content" not in given_back(memory, lost)[0]
    assert given_back(memory, call("kept"))[0]["extra_content"] == SIGNED


@given(st.data())
def test_a_stream_cut_anywhere_gives_the_same_memories(data: st.DataObject) -> None:
    """F60: how the bytes were cut does not matter."""
    stream = event(tool_calls=[call("a", extra_content=SIGNED)]) + b": comment\r\n\r\n" + event(content="안녕")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    memory = Memory()
    told(memory, *pieces)
    assert given_back(memory, call("a"))[0]["extra_content"] == SIGNED


@example(b'"\x80"')
@given(st.binary(max_size=300))
def test_nonsense_is_left_alone(junk: bytes) -> None:
    """Whatever comes, listening never fails."""
    memory = Memory()
    told(memory, junk, b'data: {"choices":[{"delta":{"tool_calls":[1,{"function":3}]}}]}\n\n', junk)
    memory.learn("google", junk)
