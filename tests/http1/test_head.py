"""The head of an answer."""

from __future__ import annotations

import pytest

from ollama_proxy.http1.head import render_head


def test_status_date_fields_and_framing_stand_in_this_order() -> None:
    """RFC 9112 §4, RFC 9110 §6.6.1: IMF-fixdate in GMT."""
    head = render_head(200, [(b"Content-Type", b"text/plain"), (b"X-A", b"b")], b"Content-Length: 3\r\n", 784111777.9)
    assert head == (
        b"HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
        b"Content-Type: text/plain\r\nX-A: b\r\nContent-Length: 3\r\n\r\n"
    )


def test_the_date_follows_the_second() -> None:
    """What is cached for one second is not served in the next, forward or back."""
    dates = [render_head(200, [], b"", wall).split(b"\r\n")[1][-12:] for wall in (61.2, 61.9, 62.0, 61.0)]
    assert dates == [b"00:01:01 GMT", b"00:01:01 GMT", b"00:01:02 GMT", b"00:01:01 GMT"]


def test_an_unknown_status_has_an_empty_phrase() -> None:
    """RFC 9112 §4: the phrase may be empty, its blank may not be missing."""
    assert render_head(599, [], b"", 0.0).startswith(b"HTTP/1.1 599 \r\n")


@pytest.mark.parametrize("value", [b"a\r\nSet-Cookie: x=1", b"a\nb", b"a\rb", b"\r\n\r\n<html>"])
def test_a_line_break_in_a_field_is_refused(value: bytes) -> None:
    """RFC 9112 §11.1: an answer is never split in two by what a handler puts into a field."""
    with pytest.raises(ValueError, match="line break"):
        render_head(200, [(b"X-Name", value)], b"", 0.0)
    with pytest.raises(ValueError, match="line break"):
        render_head(200, [(value, b"x")], b"", 0.0)
