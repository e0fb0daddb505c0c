"""Function names that a provider could not take come back as the client's."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ollama_proxy.hub.rename import Renamer

NAMES = {"files_read": "files/read", "_1st": "1st"}


def frame(**delta: Any) -> bytes:
    return b"data: " + json.dumps({"choices": [{"index": 0, "delta": delta}], "x": 1}).encode() + b"\n\n"


def called(name: str) -> dict[str, Any]:
    return {"tool_calls": [{"index": 0, "function": {"name": name, "arguments": "{}"}}]}


def test_a_name_in_a_stream_is_put_back_and_all_else_is_kept() -> None:
    """Only the name changes, and only where it is one of ours."""
    renamer = Renamer(NAMES)
    out = renamer.feed(frame(**called("files_read")) + frame(**called("other")))
    first, second = (json.loads(part[6:]) for part in out.split(b"\n\n") if part)
    assert first == {"choices": [{"index": 0, "delta": called("files/read")}], "x": 1}
    assert second["choices"][0]["delta"] == called("other")


def test_text_that_happens_to_hold_the_name_is_left_alone() -> None:
    """Content is not looked at; such a frame passes byte by byte."""
    renamer = Renamer(NAMES)
    said = frame(content='call "name": "files_read" please')
    assert renamer.feed(said) == said


def test_a_whole_answer_and_the_old_kind_of_call() -> None:
    """`function_call` is renamed too."""
    renamer = Renamer(NAMES)
    answer = {"choices": [{"message": {**called("_1st"), "function_call": {"name": "files_read"}}}]}
    message = json.loads(renamer.answer(json.dumps(answer).encode()))["choices"][0]["message"]
    assert message["tool_calls"][0]["function"]["name"] == "1st"
    assert message["function_call"]["name"] == "files/read"
    for junk in (b"<html>", b'{"choices":"files_read \x80"}'):
        assert renamer.answer(junk) == junk


@given(st.data())
def test_cuts_do_not_matter(data: st.DataObject) -> None:
    """F60: the same bytes come out however they were cut."""
    stream = frame(content="a") + frame(**called("files_read")) + b"data: [DONE]\n\n" + b"data: {"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    renamer, whole = Renamer(NAMES), Renamer(NAMES)
    out = b"".join(renamer.feed(stream[a:b]) for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True))
    assert out + renamer.finish() == whole.feed(stream) + whole.finish()
