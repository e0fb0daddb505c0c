from __future__ import annotations

import base64
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollama_proxy.errors import BadRequest
from ollama_proxy.protocols.ollama.media import media_part

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 8
JPEG = b"\xff\xd8\xff\xe0" + b"\0" * 8
GIF = b"GIF89a" + b"\0" * 8
WEBP = b"RIFF\x10\0\0\0WEBPVP8 "
WAV = b"RIFF\x10\0\0\0WAVEfmt "
MP3 = b"\xff\xfb\x90\x44" + b"\0" * 8
MP3_TAGGED = b"ID3\x04" + b"\0" * 8
AAC = b"\xff\xf1\x50\x80" + b"\0" * 8


def coded(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.mark.parametrize(
    ("data", "mime"),
    [
        (PNG, "image/png"),
        (JPEG, "image/jpeg"),
        (GIF, "image/gif"),
        (WEBP, "image/webp"),
        (b"?", "image/jpeg"),
        (AAC, "image/jpeg"),
    ],
)
def test_the_bytes_decide_the_kind_of_an_image(data: bytes, mime: str) -> None:
    """What nobody knows is called JPEG, as Ollama does (C86)."""
    assert media_part(coded(data)) == {"type": "image_url", "image_url": {"url": f"data:{mime};base64,{coded(data)}"}}


@pytest.mark.parametrize(("data", "kind"), [(WAV, "wav"), (MP3, "mp3"), (MP3_TAGGED, "mp3")])
def test_sound_among_the_images_is_sent_as_audio(data: bytes, kind: str) -> None:
    """Ollama has one field for both."""
    assert media_part(coded(data)) == {"type": "input_audio", "input_audio": {"data": coded(data), "format": kind}}


def test_line_breaks_are_tolerated_and_removed() -> None:
    """Mail-style base64 is common; providers want it in one line."""
    text = coded(PNG)
    part = media_part(f"{text[:8]}\r\n{text[8:-1]}\n{text[-1:]}\n")
    assert part == media_part(text)


@pytest.mark.parametrize("text", ["", "\n"])
def test_an_empty_image_is_none(text: str) -> None:
    """Clients send empty fields."""
    assert media_part(text) is None


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("data:image/png;base64,iVBORw0KGgo=", 4),
        ("https://example.com/cat.png", 5),
        ("AAA", 0),
        ("AAAAA", 4),
        ("AA-A", 2),
        ("=AAA", 0),
        ("A===", 1),
        ("AA=", 3),
        ("AA=A", 2),
        ("AA==A", 4),
        ("AAA=AAA=", 4),
        ("AAAA\u00e9", 4),
        ("AAAA AAAA", 4),
        ("AA\n=\n=\nA", 7),
    ],
)
def test_the_first_byte_that_is_not_base64_is_named(text: str, at: int) -> None:
    """The position is the one that Go's decoder gives; a data URL fails at its colon (C89)."""
    with pytest.raises(BadRequest, match=rf"^illegal base64 data at input byte {at}$"):
        media_part(text)


def model_of_go(data: bytes) -> int | None:
    """Where a decoder stops that reads byte by byte, in groups of four: the plainest way to write it down."""
    letters = re.compile(rb"[A-Za-z0-9+/]")
    in_group = 0
    at = 0
    while at < len(data):
        sign = data[at : at + 1]
        if sign in (b"\r", b"\n"):
            at += 1
        elif letters.match(sign):
            in_group = (in_group + 1) % 4
            at += 1
        elif sign == b"=" and in_group >= 2:
            rest = data[at + 1 :]
            if in_group == 2:
                blank = len(rest) - len(rest.lstrip(b"\r\n"))
                if blank == len(rest):
                    return len(data)
                if rest[blank : blank + 1] != b"=":
                    return at + blank
                at += blank + 1
                rest = rest[blank + 1 :]
            tail = rest.lstrip(b"\r\n")
            return len(data) - len(tail) if tail else None
        else:
            return at
    return at - in_group if in_group else None


@given(st.text(alphabet="AZaz09+/=\r\n-", max_size=14))
def test_faults_are_found_where_a_plain_decoder_finds_them(text: str) -> None:
    """The quick check and the byte-by-byte reading agree about every short text."""
    fault = model_of_go(text.encode())
    if fault is None:
        assert media_part(text) is None or "base64," in str(media_part(text)) or "input_audio" in str(media_part(text))
    else:
        with pytest.raises(BadRequest, match=rf"^illegal base64 data at input byte {fault}$"):
            media_part(text)


@given(st.binary(min_size=1, max_size=100))
def test_whatever_was_encoded_is_taken_as_it_is(data: bytes) -> None:
    """The data itself is not touched."""
    assert coded(data) in str(media_part(coded(data)))
