"""The judge of streams: what it must notice, and that the cutting of bytes does not matter to it."""

from __future__ import annotations

import pytest

from bench.wire import Answer

DONE = b"data: [DONE]"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def word(index: int, answer: int = 7) -> bytes:
    return b'data: {"content":"w%08d.%05d "}\n\n' % (answer, index)


def chunked(*events: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    return CHUNKED + b"".join(b"%x\r\n%b\r\n" % (len(event), event) for event in events) + end


def judge(data: bytes, *, wanted: int = 3, mark: bytes = DONE, step: int | None = None, ends: bool = False) -> Answer:
    answer = Answer(wanted, mark)
    step = step or len(data)
    for at in range(0, len(data), step):
        answer.feed(data[at : at + step])
    if ends and not answer.complete:
        answer.connection_lost()
    return answer


RIGHT = chunked(word(0), word(1), word(2), DONE + b"\n\n")


@pytest.mark.parametrize("step", [None, 1, 2, 7, 40])
def test_a_right_stream_is_right_however_it_is_cut(step: int | None) -> None:
    """The verdict does not depend on how the socket hands the bytes over."""
    answer = judge(RIGHT, step=step)
    assert (answer.complete, answer.fault, answer.chunks, answer.answer_id) == (True, None, 3, b"00000007")


@pytest.mark.parametrize(
    ("events", "fault"),
    [
        ((word(0), word(2), DONE), "chunk lost"),
        ((word(0), word(1), word(1), word(2), DONE), "chunk doubled or out of order"),
        ((word(1), word(0), word(2), DONE), "chunk lost"),
        ((word(0), word(1, answer=8), word(2), DONE), "mixed with another answer"),
        ((word(0), word(1), DONE), "ended early"),
        ((word(0), word(1), word(2), word(3), DONE), "too many chunks"),
        ((word(0), word(1), word(2)), "no end mark"),
    ],
)
@pytest.mark.parametrize("step", [None, 1])
def test_each_kind_of_damage_is_noticed(events: tuple[bytes, ...], fault: str, step: int | None) -> None:
    """Lost, doubled, reordered, mixed-up, missing and surplus chunks each have their own verdict."""
    assert judge(chunked(*events), step=step).fault == fault


def test_a_chunk_of_http_may_end_inside_a_word() -> None:
    """A proxy may pack the provider's bytes into other HTTP chunks than it got."""
    text = word(0) + word(1) + word(2) + DONE + b"\n\n"
    assert judge(chunked(*(text[at : at + 11] for at in range(0, len(text), 11)))).fault is None


def test_a_connection_that_ends_inside_a_chunked_body_is_a_cut() -> None:
    """Without the last chunk the answer is not complete, even if every word came."""
    assert judge(chunked(word(0), word(1), word(2), DONE, end=b""), ends=True).fault == "cut off"


def test_a_body_without_framing_ends_with_the_connection() -> None:
    """HTTP/1.0 style answers are right when all came before the end."""
    data = b"HTTP/1.1 200 OK\r\n\r\n" + word(0) + word(1) + word(2) + DONE
    answer = judge(data, ends=True)
    assert (answer.fault, answer.keep_alive) == (None, False)


def test_a_body_of_known_length_is_complete_at_that_length() -> None:
    """Content-Length ends an answer and keeps the connection."""
    answer = judge(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(word(0)) + word(0), wanted=1, mark=b"")
    assert (answer.complete, answer.fault, answer.keep_alive) == (True, None, True)


def test_another_status_is_a_fault() -> None:
    """An error that looks like an answer is not counted as one."""
    head = b"HTTP/1.1 429 Too Many\r\nContent-Length: %d\r\n\r\n" % len(word(0))
    assert judge(head + word(0), wanted=1, mark=b"").fault == "status 429"
