"""Forms of /v1/audio/transcriptions: what is read of them, however they are written."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollama_proxy.errors import BadRequest
from ollama_proxy.protocols.openai import parse_transcription, refuse_transcription

FORM = b"multipart/form-data; boundary=XX"


def part(name: str, content: bytes, filename: str | None = None, more: str = "") -> bytes:
    file = "" if filename is None else f'; filename="{filename}"'
    return f'--XX\r\nContent-Disposition: form-data; name="{name}"{file}\r\n{more}\r\n'.encode() + content + b"\r\n"


MODEL = part("model", b"google:gemini")
FILE = part("file", b"RIFF", "a.wav", "Content-Type: audio/wav\r\n")
END = b"--XX--\r\n"


def said(body: bytes, content_type: bytes = FORM) -> str:
    with pytest.raises(BadRequest) as caught:
        parse_transcription(body, content_type)
    assert caught.value.status == 400
    return caught.value.message


@pytest.mark.parametrize(
    "body",
    [
        MODEL + FILE + END,
        FILE + MODEL + END,
        b"ignored\r\n" + MODEL + FILE + END + b"ignored",
        part("language", b"en") + FILE + MODEL + END,
        MODEL + part("model", b"another") + FILE + END,
        part("model", b" google:gemini ") + FILE + END,
        MODEL + part("file", b"--X\r\n\r\n--Y", "a.wav") + END,
    ],
)
def test_a_form_in_any_order_names_its_model(body: bytes) -> None:
    """C221: other fields do not count; of one that comes twice the first does."""
    assert parse_transcription(body, FORM) == "google:gemini"


@pytest.mark.parametrize("kind", [b'Multipart/Form-Data; charset=x; boundary="XX"', b"multipart/form-data;boundary=XX"])
def test_the_mark_is_found_in_any_spelling(kind: bytes) -> None:
    """Quoted or not, with other parameters around it."""
    assert parse_transcription(MODEL + FILE + END, kind) == "google:gemini"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (FILE + END, "model is required"),
        (part("model", b"") + FILE + END, "model is required"),
        (part("model", b"  ") + FILE + END, "model is required"),
        (part("model", b"x", "model.txt") + FILE + END, "model is required"),
        (END, "model is required"),
        (MODEL + END, "file is required: http: no such file"),
        (MODEL + part("file", b"no filename") + END, "file is required: http: no such file"),
        (MODEL + part("file", b"", "a.wav") + END, "audio file is empty"),
    ],
)
def test_what_is_missing_is_told_in_ollamas_words(body: bytes, text: str) -> None:
    """C221: the model first, then the file, then what is in it."""
    assert said(body) == text


@pytest.mark.parametrize(
    ("body", "kind", "why"),
    [
        (b"{}", b"application/json", "request Content-Type isn't multipart/form-data"),
        (b"", b"", "request Content-Type isn't multipart/form-data"),
        (MODEL + FILE + END, b"multipart/form-data", "no multipart boundary param in Content-Type"),
        (b"", FORM, "multipart: NextPart: EOF"),
        (MODEL + FILE, FORM, "multipart: NextPart: EOF"),
        (MODEL + b"--XX\r\nContent-Disposition: form-data", FORM, "multipart: NextPart: EOF"),
        (MODEL * 40 + END, FORM, "too many parts"),
        (b"--XX\r\nX-Long: " + b"x" * 10_000 + b"\r\n\r\n\r\n" + END, FORM, "multipart: NextPart: EOF"),
    ],
)
def test_what_is_no_form_is_told_so(body: bytes, kind: bytes, why: str) -> None:
    """C221: another type, no mark, no end, no measure."""
    assert said(body, kind) == f"failed to parse multipart form: {why}"


def test_a_form_that_is_right_is_refused_honestly() -> None:
    """C221: nothing here pretends to listen."""
    error = refuse_transcription("google:gemini")
    assert error.status == 400
    assert '"google:gemini"' in error.message


_PIECES = [
    b"--XX",
    b"--",
    b"\r\n",
    b"\r\n\r\n",
    MODEL,
    FILE,
    b'Content-Disposition: form-data; name="',
    b"name*0*=x''%ff; name*1=",
    b"=?utf-8?q?",
    b"\xff",
    b";",
    b'"',
]


@given(st.lists(st.sampled_from(_PIECES) | st.binary(max_size=9), max_size=14).map(b"".join), st.binary(max_size=60))
def test_nothing_but_a_refusal_comes_of_nonsense(body: bytes, kind: bytes) -> None:
    """F81: whatever the bytes are."""
    for content_type in (FORM, FORM + kind, kind):
        with contextlib.suppress(BadRequest):
            assert parse_transcription(body, content_type)
