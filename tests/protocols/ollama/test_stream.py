from __future__ import annotations

import contextlib
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollama_proxy.errors import ErrorInside, StreamInterrupted, UpstreamError
from ollama_proxy.protocols.ollama import parse_chat
from ollama_proxy.types import Stream
from tests.support.ollama_kit import (
    CHAT_BODY,
    DONE,
    FakeClock,
    answer,
    chat,
    dumps,
    frame,
    lines_of,
    run,
    said,
    text_frame,
    usage_frame,
)

ROLE = frame({"role": "assistant", "content": ""})
STOP = frame(finish="stop")
KEYS = [
    "content",
    "reasoning",
    "reasoning_content",
    "tool_calls",
    "function",
    "name",
    "arguments",
    "id",
    "index",
    "text",
    "token",
    "logprob",
    "bytes",
    "top_logprobs",
    "prompt_tokens",
    "completion_tokens",
    "extra_content",
    "refusal",
]
METRICS = [
    "total_duration",
    "load_duration",
    "prompt_eval_count",
    "prompt_eval_duration",
    "eval_count",
    "eval_duration",
]


def stream(**fields: Any) -> Stream:
    return chat(**fields).call.face.open_stream()


def test_a_piece_of_text_is_one_line_at_once() -> None:
    """The bytes, to the letter (C19, C71, C74)."""
    assert stream().feed(text_frame("Hi")) == (
        b'{"model":"google:gemini-2.5-flash","created_at":"2026-08-21T18:48:22.385406494Z",'
        b'"message":{"role":"assistant","content":"Hi"},"done":false}\n'
    )


def test_only_the_last_line_is_done() -> None:
    """C70, C71, C72: the last line has the reason and all numbers, the others none of it."""
    *lines, last = run(stream(), ROLE, text_frame("a"), text_frame("b"), STOP, usage_frame(), DONE)
    assert [list(line) for line in lines] == [["model", "created_at", "message", "done"]] * 2
    assert not any(line["done"] for line in lines)
    assert list(last) == ["model", "created_at", "message", "done", "done_reason", *METRICS]
    assert (last["done"], last["done_reason"], last["message"]) == (True, "stop", {"role": "assistant", "content": ""})


def test_usage_after_the_finish_lands_in_the_last_line() -> None:
    """C75: so the last line waits for it."""
    live = stream()
    assert live.feed(text_frame("a") + STOP) != b""
    assert live.feed(usage_frame(71, 9)) == b""
    (last,) = lines_of(live.feed(DONE))
    assert (last["prompt_eval_count"], last["eval_count"]) == (71, 9)
    assert live.usage == {"prompt_tokens": 71, "completion_tokens": 9, "total_tokens": 80}
    assert live.finish() == b""


def test_usage_in_every_chunk_counts_once() -> None:
    """Gemini repeats it; the last word counts."""
    first, last = ({"prompt_tokens": 5, "completion_tokens": n, "total_tokens": 5 + n} for n in (1, 2))
    lines = run(stream(), frame({"content": "a"}, usage=first), frame({"content": "b"}, "stop", usage=last), DONE)
    assert lines[-1]["eval_count"] == 2


def test_a_stream_may_end_without_done_mark() -> None:
    """A finish reason and then the end is complete."""
    assert run(stream(), text_frame("a"), STOP)[-1]["done_reason"] == "stop"


def test_unreported_counts_are_left_out() -> None:
    """C68: the rest of the last line is complete."""
    last = run(stream(), text_frame("a"), STOP, DONE)[-1]
    assert [key for key in METRICS if key in last] == [key for key in METRICS if "count" not in key]


@pytest.mark.parametrize(
    ("finish", "reason"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("tool_calls", "stop"),
        ("content_filter", "stop"),
        ("MAX_TOKENS", "length"),
    ],
)
def test_reasons_are_stop_or_length(finish: str, reason: str) -> None:
    """C66."""
    assert run(stream(), text_frame("a"), frame(finish=finish), DONE)[-1]["done_reason"] == reason


def test_durations_are_positive_whole_nanoseconds() -> None:
    """C64: clients divide by them."""
    last = run(stream(), text_frame("a"), STOP, usage_frame(), DONE)[-1]
    durations = {key: last[key] for key in METRICS if key.endswith("duration")}
    assert all(type(value) is int and value > 0 for value in durations.values())
    assert durations["total_duration"] >= sum(value for key, value in durations.items() if key != "total_duration")
    assert durations["eval_duration"] == 250_000_000


def test_durations_are_positive_even_if_no_time_passes() -> None:
    """C64, with a clock that stands still."""
    face = parse_chat(dumps(CHAT_BODY), FakeClock(step_s=0)).call.face
    last = run(face.open_stream(), text_frame("a"), STOP, DONE)[-1]
    assert [last[key] for key in METRICS if key in last] == [3, 1, 1, 1]


def test_comments_and_empty_deltas_make_no_lines() -> None:
    """C76, C77."""
    live = stream()
    assert live.feed(b": OPENROUTER PROCESSING\n\n" + ROLE + frame({"content": None}) + frame()) == b""
    assert (live.committed, live.progress) == (False, 0)


def test_the_first_content_commits() -> None:
    """From then on another attempt could only repeat it."""
    live = stream()
    live.feed(ROLE)
    assert live.committed is False
    live.feed(text_frame("a"))
    assert (live.committed, live.progress) == (True, 1)


def test_line_separators_never_appear_raw() -> None:
    """C78: httpx splits lines at them; `lines_of` splits as Python does."""
    text = "a\u2028b\u2029c\u0085d<&>\x0b\x0c\x1c"
    data = stream().feed(text_frame(text))
    assert not set(data.decode()) & set("\u2028\u2029\u0085<&>")
    assert said(lines_of(data)) == text


def test_time_goes_on_from_line_to_line() -> None:
    """The cached second is renewed (C62)."""
    clock = FakeClock()
    live = parse_chat(dumps(CHAT_BODY), clock).call.face.open_stream()
    (first,) = lines_of(live.feed(text_frame("a")))
    clock.epoch += 61.5
    (second,) = lines_of(live.feed(text_frame("b")))
    assert (first["created_at"][11:19], second["created_at"][11:19]) == ("18:48:22", "18:49:23")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", second["created_at"])


def test_the_model_is_echoed_as_sent() -> None:
    """C61, whatever it is made of."""
    name = 'Google:"x"<\u2028é'
    assert lines_of(stream(model=name).feed(text_frame("a")))[0]["model"] == name


# --- reasoning --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["reasoning", "reasoning_content"])
def test_reasoning_comes_in_lines_of_its_own(key: str) -> None:
    """C107, C108: content is "" there, and `thinking` is absent elsewhere."""
    lines = run(stream(), frame({key: "let me"}), frame({key: " see"}), text_frame("4"), STOP, DONE)
    assert [line["message"] for line in lines[:3]] == [
        {"role": "assistant", "content": "", "thinking": "let me"},
        {"role": "assistant", "content": "", "thinking": " see"},
        {"role": "assistant", "content": "4"},
    ]


def test_reasoning_under_two_names_appears_once() -> None:
    """C108."""
    lines = run(stream(), frame({"reasoning": "a", "reasoning_content": "a"}), text_frame("4"), STOP, DONE)
    assert said(lines, "thinking") == "a"


def test_reasoning_and_text_of_one_chunk_are_two_lines() -> None:
    """LiteLLM throws away the text of a line that has `thinking`."""
    lines = lines_of(stream().feed(frame({"reasoning": "a", "content": "b"})))
    assert [list(line["message"]) for line in lines] == [["role", "content", "thinking"], ["role", "content"]]


@given(st.integers(1, 6), st.integers(1, 8))
def test_think_tags_never_leak(first: int, second: int) -> None:
    """Wherever they are cut (C110)."""
    text = "<think>deep\nthought</think>\n\nanswer <b>"
    pieces = [text[:first], text[first : first + second], text[first + second :]]
    lines = run(stream(), *[text_frame(piece) for piece in pieces], STOP, DONE)
    assert (said(lines, "thinking"), said(lines)) == ("deep\nthought", "answer <b>")


def test_think_false_hides_all_reasoning() -> None:
    """C111: whichever way the provider sends it."""
    lines = run(stream(think=False), frame({"reasoning": "a"}), text_frame("<think>b</think>c"), STOP, DONE)
    assert said(lines) == "c"
    assert not any("thinking" in line["message"] for line in lines)


# --- faults -----------------------------------------------------------------------------------------------------------


def test_an_error_before_content_is_raised_at_once() -> None:
    """Another attempt may do better."""
    with pytest.raises(ErrorInside):
        stream().feed(text_frame("a") + b'data: {"error":{"message":"no"}}\n\n')


def test_text_before_an_error_is_told_first() -> None:
    """C82: what came in the same bytes is not lost, once there is no way back."""
    live = stream()
    live.feed(text_frame("a"))
    (line,) = lines_of(live.feed(text_frame("b") + b'data: {"error":{"message":"no"}}\n\n'))
    assert line["message"]["content"] == "b"
    with pytest.raises(ErrorInside):
        live.finish()
    with pytest.raises(ErrorInside):
        live.feed(text_frame("c"))


def test_a_stream_that_just_stops_is_an_error() -> None:
    """C81, C83."""
    live = stream()
    live.feed(text_frame("a"))
    with pytest.raises(StreamInterrupted):
        live.finish()


def test_an_error_in_a_stream_is_a_line_without_done() -> None:
    """C81."""
    error = StreamInterrupted('it "broke"\u2028')
    assert stream().render_error(error) == b'{"error":"it \\"broke\\"\\u2028"}\n'


def test_a_heartbeat_is_a_line_without_content() -> None:
    """Before, between and after text and calls it changed nothing in seven clients."""
    live = stream()
    assert live.heartbeat() == (
        b'{"model":"google:gemini-2.5-flash","created_at":"2026-08-21T18:48:22.385406494Z",'
        b'"message":{"role":"assistant","content":""},"done":false}\n'
    )
    assert live.committed is False


def test_nothing_follows_the_last_line() -> None:
    """C70: ollama-js stops reading there."""
    live = stream()
    live.feed(text_frame("a") + STOP + DONE)
    assert live.feed(text_frame("late")) == b""
    assert live.finish() == b""


def test_a_json_answer_is_streamed_as_well() -> None:
    """Some providers ignore `stream`."""
    body = dumps({"choices": [{"message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}]})
    lines = run(stream(), body)
    assert (said(lines), lines[-1]["done"]) == ("hello", True)


def test_a_huge_text_is_cut_into_lines_that_clients_can_read() -> None:
    """C234: Ollama's Go client reads 8,000,000 bytes of a line."""
    text = "\x01é" * 1_200_000
    data = stream().feed(text_frame(text[:1_800_000])) + stream().feed(frame({"reasoning": text[:1_100_000]}))
    assert max(map(len, data.split(b"\n"))) < 8_000_000
    assert said(lines_of(data)) == text[:1_800_000]
    assert said(lines_of(data), "thinking") == text[:1_100_000]


# --- properties -------------------------------------------------------------------------------------------------------

_texts = st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=6)


@given(_texts, st.data())
def test_text_survives_any_cut_of_the_bytes(texts: list[str], data: st.DataObject) -> None:
    """C73, C79: inside characters, escapes and line ends."""
    whole = b"".join(map(text_frame, ["Answer: ", *texts])) + STOP + usage_frame() + DONE
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    lines = run(stream(), *pieces)
    assert said(lines) == "Answer: " + "".join(texts)
    assert [line["done"] for line in lines] == [False] * (len(texts) + 1) + [True]


_anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=8,
)


@given(st.lists(st.tuples(st.dictionaries(st.sampled_from(KEYS), _anything), _anything, _anything), max_size=4))
def test_any_chunks_are_lines_or_an_upstreams_error(chunks: list[tuple[dict[str, Any], Any, Any]]) -> None:
    """Whatever shape a provider invents, no failure of ours comes out."""
    frames = [frame(delta, logprobs=logprobs, usage=usage) for delta, logprobs, usage in chunks]
    with contextlib.suppress(UpstreamError):
        run(stream(logprobs=True), *frames, STOP, DONE)
    for delta, logprobs, usage in chunks:
        with contextlib.suppress(UpstreamError):
            json.loads(chat(logprobs=True).call.face.render_answer(answer(delta, logprobs=logprobs, usage=usage)))


@given(_texts)
def test_no_line_has_a_top_level_error_or_type(texts: list[str]) -> None:
    """ollama-js and Continue take the mere presence of these keys for something else."""
    for line in run(stream(), *map(text_frame, texts), STOP, DONE):
        assert not {"error", "type"} & line.keys()
