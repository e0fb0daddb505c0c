from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollama_proxy.errors import StreamInterrupted, UpstreamJunk
from ollama_proxy.types import Stream
from tests.support.ollama_kit import (
    DONE,
    call_frame,
    chat,
    frame,
    lines_of,
    run,
    said,
    text_frame,
    usage_frame,
)


def stream(**fields: Any) -> Stream:
    return chat(**fields).call.face.open_stream()


def part(
    index: int, name: str | None = None, arguments: str | None = None, call_id: str | None = None
) -> dict[str, Any]:
    """One entry of a delta's `tool_calls`; what is None is left out."""
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    return {"index": index, "function": function, **({"id": call_id, "type": "function"} if call_id else {})}


def test_a_call_comes_whole_in_one_line() -> None:
    """C113, C115, C120, C121: arguments are an object, in the model's order; there is no `type`."""
    lines = run(
        stream(),
        call_frame(part(0, "get_weather", "", "call_x")),
        call_frame(part(0, arguments='{"z": "Par')),
        call_frame(part(0, arguments='is", "a": 1.0}')),
        frame(finish="tool_calls"),
        DONE,
    )
    assert lines[0]["message"] == {
        "role": "assistant",
        "content": "",
        "tool_calls": [
            {"id": "call_x", "function": {"index": 0, "name": "get_weather", "arguments": {"z": "Paris", "a": 1.0}}}
        ],
    }
    assert list(lines[0]["message"]["tool_calls"][0]["function"]["arguments"]) == ["z", "a"]
    assert (lines[0]["done"], lines[-1]["done_reason"]) == (False, "stop")


def test_parallel_calls_are_told_in_order_one_a_line() -> None:
    """C116: Haystack keeps only the last call of a line."""
    lines = run(
        stream(),
        call_frame(part(0, "f", '{"a"', "one"), part(1, "g", '{"b"', "two")),
        call_frame(part(1, arguments=":2}"), part(0, arguments=":1}")),
        frame(finish="tool_calls"),
        DONE,
    )
    calls = [line["message"]["tool_calls"] for line in lines[:-1]]
    assert [
        [(call["id"], call["function"]["index"], call["function"]["arguments"]) for call in line] for line in calls
    ] == [
        [("one", 0, {"a": 1})],
        [("two", 1, {"b": 2})],
    ]


def test_calls_at_one_index_stay_apart() -> None:
    """C117: Gemini sends index 0 for all, or none."""
    one, two = part(0, "f", "{}", "one"), part(0, "f", "{}", "two")
    lines = run(stream(), call_frame(one), call_frame(two), frame(finish="stop"), DONE)
    assert [line["message"]["tool_calls"][0]["id"] for line in lines[:-1]] == ["one", "two"]


def test_missing_ids_are_made_up_and_differ() -> None:
    """C114."""
    lines = run(stream(), call_frame(part(0, "f", "{}"), part(1, "g", "{}")), frame(finish="tool_calls"), DONE)
    ids = [line["message"]["tool_calls"][0]["id"] for line in lines[:-1]]
    assert all(re.fullmatch(r"call_[a-z0-9]{8}", each) for each in ids)
    assert len(set(ids)) == 2


@pytest.mark.parametrize("arguments", ["", "  ", "null", "{}"])
def test_blank_arguments_are_an_empty_object(arguments: str) -> None:
    """C118."""
    lines = run(stream(), call_frame(part(0, "f", arguments, "x")), frame(finish="tool_calls"), DONE)
    assert lines[0]["message"]["tool_calls"][0]["function"]["arguments"] == {}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ('{\n "big": 123456789012345678901, "s": "a\u2028<"\n}', '{"big":123456789012345678901,"s":"a\\u2028\\u003c"}'),
        ('"{\\"a\\": 1}"', '{"a":1}'),
        ('{"text": "two\nlines"}', '{"text":"two\\nlines"}'),
    ],
)
def test_arguments_keep_every_digit_and_need_one_line(arguments: str, told: str) -> None:
    """Text inside text, and line breaks inside strings, are what models do."""
    data = stream().feed(call_frame(part(0, "f", arguments, "x")) + frame(finish="tool_calls"))
    assert f'"arguments":{told}}}'.encode() in data
    lines_of(data)


@pytest.mark.parametrize("arguments", ['{"a":', "nonsense", "[1]", "5", '"x"', "NaN", '{"a":NaN}'])
def test_arguments_that_are_no_object_are_an_error(arguments: str) -> None:
    """C119: never a broken object."""
    live = stream()
    live.feed(call_frame(part(0, "f", arguments, "x")))
    with pytest.raises(UpstreamJunk, match=r'^the model returned invalid tool call arguments for "f"$'):
        live.feed(frame(finish="tool_calls"))


def test_broken_arguments_after_text_interrupt_the_stream() -> None:
    """C119: another attempt would say the text again."""
    live = stream()
    live.feed(text_frame("let me"))
    live.feed(call_frame(part(0, "f", "{", "x")))
    with pytest.raises(StreamInterrupted, match="invalid tool call arguments"):
        live.feed(frame(finish="tool_calls"))


def test_text_before_a_call_comes_first() -> None:
    """C126: at once, not with the call."""
    live = stream()
    assert said(lines_of(live.feed(text_frame("let me look")))) == "let me look"
    assert live.feed(call_frame(part(0, "f", "{}", "x"))) == b""
    (line,) = lines_of(live.feed(frame(finish="tool_calls")))
    assert line["message"]["tool_calls"][0]["id"] == "x"


def test_calls_are_told_once() -> None:
    """Whether the finish, the end mark or the end of the stream brings them out."""
    call = call_frame(part(0, "f", "{}", "x"))
    for rest in ([frame(finish="tool_calls"), usage_frame(), DONE], [DONE], [frame(finish="tool_calls")]):
        lines = run(stream(), call, *rest)
        assert [bool(line["message"].get("tool_calls")) for line in lines] == [True, False]
    text_too = frame({"content": "a", "tool_calls": [part(0, "f", "{}", "x")]}, "tool_calls")
    assert len(run(stream(), text_too, DONE)) == 3


def test_a_call_torn_by_the_length_limit_is_left_out() -> None:
    """C119: there is no room for the rest of it; the reason says why, and what was whole is told."""
    torn = call_frame(part(0, "f", '{"a":1}', "one"), part(1, "g", '{"b"', "two"))
    lines = run(stream(), torn, frame(finish="length"), DONE)
    assert [call["id"] for line in lines for call in line["message"].get("tool_calls", ())] == ["one"]
    assert (lines[-1]["done"], lines[-1]["done_reason"]) == (True, "length")


# --- logprobs ---------------------------------------------------------------------------------------------------------

TOKENS = {
    "content": [
        {"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": [{"token": "b", "logprob": -1.5, "bytes": None}]}
    ]
}


def test_logprobs_are_a_flat_list_at_the_end_of_the_line() -> None:
    """C141 and chat's key order."""
    (line,) = lines_of(stream(logprobs=True).feed(frame({"content": "a"}, logprobs=TOKENS)))
    assert list(line) == ["model", "created_at", "message", "done", "logprobs"]
    assert line["logprobs"] == [
        {"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": [{"token": "b", "logprob": -1.5}]}
    ]


def test_logprobs_nobody_asked_for_are_left_out() -> None:
    """Some providers send them anyway."""
    (line,) = lines_of(stream().feed(frame({"content": "a"}, logprobs=TOKENS)))
    assert list(line) == ["model", "created_at", "message", "done"]


@given(
    st.lists(
        st.tuples(
            st.text(min_size=1, max_size=5),
            st.dictionaries(st.text(max_size=4), st.none() | st.integers() | st.text(max_size=4), max_size=4),
        ),
        min_size=1,
        max_size=4,
    ),
    st.integers(1, 7),
)
def test_calls_survive_any_cut_of_their_arguments(calls: list[tuple[str, dict[str, Any]]], size: int) -> None:
    """C115, C116, C121: what the model meant is what the client reads, key order included."""
    frames = []
    for index, (name, arguments) in enumerate(calls):
        text = json.dumps(arguments, ensure_ascii=False)
        frames.append(call_frame(part(index, name, "", f"id{index}")))
        frames += [call_frame(part(index, arguments=text[at : at + size])) for at in range(0, len(text), size)]
    lines = run(stream(), *frames, frame(finish="tool_calls"), DONE)
    told = [line["message"]["tool_calls"][0]["function"] for line in lines[:-1]]
    assert [(each["name"], list(each["arguments"].items())) for each in told] == [
        (n, list(a.items())) for n, a in calls
    ]
