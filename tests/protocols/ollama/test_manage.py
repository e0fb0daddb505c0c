from __future__ import annotations

import json
from typing import Any

import pytest

from ollama_proxy.errors import BadRequest, UnknownModel
from ollama_proxy.protocols.ollama import (
    Managed,
    check_digest,
    parse_copy,
    parse_create,
    parse_delete,
    parse_pull,
    parse_push,
    parse_web,
    refuse_copy,
    refuse_delete,
    render_create,
    render_me,
    render_pull,
    render_push,
    render_signout,
)
from tests.support.ollama_kit import dumps, lines_of

M = "google:gemini-2.5-flash"
NDJSON = [(b"content-type", b"application/x-ndjson")]


def test_a_known_model_is_pulled_at_once() -> None:
    """C164: Codex and Home Assistant pull before they chat."""
    status, headers, body = render_pull(parse_pull(dumps({"model": M})), None)
    assert (status, headers) == (200, NDJSON)
    stages = [line["status"] for line in lines_of(body)]
    assert (stages[0], stages[-1]) == ("pulling manifest", "success")


def test_a_pull_in_one_piece_says_success() -> None:
    """C165."""
    status, headers, body = render_pull(parse_pull(dumps({"model": M, "stream": False})), None)
    assert (status, headers, body) == (200, [(b"content-type", b"application/json")], b'{"status":"success"}')


def test_an_unknown_model_cannot_be_pulled() -> None:
    """C166."""
    words = {"error": "pull model manifest: file does not exist"}
    status, _, body = render_pull(Managed("nope", stream=True), UnknownModel("model not found"))
    assert (status, lines_of(body)) == (200, [{"status": "pulling manifest"}, words])
    status, _, body = render_pull(Managed("nope", stream=False), UnknownModel("model not found"))
    assert (status, json.loads(body)) == (500, words)


def test_a_name_that_can_be_nothing_is_told_before_the_stream() -> None:
    """Real status, as for every bad name."""
    status, _, body = render_pull(Managed("a b", stream=True), UnknownModel("model not found"))
    assert (status, body) == (400, b'{"error":"invalid model name"}')


@pytest.mark.parametrize(
    ("parse", "words"),
    [
        (parse_pull, "invalid model name"),
        (parse_push, "model is required"),
        (parse_create, "invalid model name"),
        (parse_delete, "model is required"),
    ],
)
@pytest.mark.parametrize("body", [b"{}", b"null", b'{"model":""}'])
def test_each_endpoint_wants_a_name_in_its_words(parse: Any, words: str, body: bytes) -> None:
    """C167, C168, C170, C172."""
    with pytest.raises(BadRequest, match=f"^{words}$"):
        parse(body)


def test_names_come_under_either_key() -> None:
    """C167: ollama-js sends `name`."""
    assert parse_pull(dumps({"name": M})) == Managed(M, stream=True)
    assert parse_delete(dumps({"name": M})) == M
    assert parse_push(dumps({"name": "a", "model": "b", "stream": False})) == Managed("b", stream=False)


def test_a_push_goes_nowhere_and_says_so() -> None:
    """The stream ends with an error, not with success."""
    _, _, body = render_push(Managed(M, stream=True))
    first, last = lines_of(body)
    assert first == {"status": "retrieving manifest"}
    assert "proxy" in last["error"]
    assert render_push(Managed(M, stream=False))[0] == 400


def test_create_needs_something_to_start_from() -> None:
    """C169, C170."""
    with pytest.raises(BadRequest, match=r"^neither 'from' or 'files' was specified$"):
        parse_create(dumps({"model": "mine"}))
    with pytest.raises(BadRequest, match=r"^invalid model name$"):
        parse_create(dumps({"model": "a b", "from": M}))


def test_create_reads_what_a_modelfile_says() -> None:
    """System prompt, messages and parameters arrive in the hub's shape, the parameters also as written."""
    body = {
        "model": "mine",
        "from": M,
        "system": "Be brief.",
        "parameters": {"temperature": 0.5, "num_predict": 7, "num_ctx": 4096, "stop": ["x"], "seed": None},
        "messages": [{"role": "User", "content": "hi"}],
        "template": "{{ .Prompt }}",
        "license": ["free"],
    }
    created = parse_create(dumps(body))
    assert (created.managed.model, created.source, created.system) == ("mine", M, "Be brief.")
    assert created.defaults == {"temperature": 0.5, "max_tokens": 7, "stop": ["x"]}
    assert created.parameters == {"temperature": 0.5, "num_predict": 7, "num_ctx": 4096, "stop": ["x"]}
    assert list(created.messages) == [{"role": "user", "content": "hi"}]


@pytest.mark.parametrize("field", ["files", "adapters", "draft_files", "quantize"])
def test_create_refuses_what_needs_weights(field: str) -> None:
    """Nothing pretends success without effect."""
    value = "q4_0" if field == "quantize" else {"a.gguf": "sha256:0"}
    with pytest.raises(BadRequest, match="weights"):
        parse_create(dumps({"model": "mine", "from": M, field: value}))


def test_create_ends_in_success() -> None:
    """C169: progress as Ollama streams it, or its last object."""
    stream = render_create(parse_create(dumps({"model": "mine", "from": M, "system": "x"})))
    stages = [line["status"] for line in lines_of(stream[2])]
    assert stages[0].startswith("using existing layer sha256:")
    assert stages[1].startswith("creating new layer sha256:")
    assert stages[-2:] == ["writing manifest", "success"]
    whole = render_create(parse_create(dumps({"model": "mine", "from": M, "stream": False})))
    assert json.loads(whole[2]) == {"status": "success"}


@pytest.mark.parametrize(
    ("source", "destination", "words"),
    [
        ("", "x", 'source "" is invalid'),
        (M, "", 'destination "" is invalid'),
        (M, "a b", 'destination "a b" is invalid'),
    ],
)
def test_copy_names_what_is_wrong(source: str, destination: str, words: str) -> None:
    """C171."""
    with pytest.raises(BadRequest, match=f"^{words}$"):
        parse_copy(dumps({"source": source, "destination": destination}))


def test_copy_of_an_unknown_model() -> None:
    """C171."""
    assert parse_copy(dumps({"source": "nope", "destination": "x"})) == ("nope", "x")
    error = refuse_copy("nope")
    assert (error.status, error.message) == (404, 'model "nope" not found')


def test_delete_of_an_unknown_model() -> None:
    """C172."""
    error = refuse_delete("nope")
    assert (error.status, error.message) == (404, "model 'nope' not found")
    assert refuse_delete("a b").message == 'name "a b" is invalid'
    assert "ollama-proxy.toml" in refuse_delete(M, fixed=True).message


@pytest.mark.parametrize("digest", ["sha256:" + "0" * 64, "sha256-" + "aF" * 32])
def test_good_digests_pass(digest: str) -> None:
    """Both separators are in use."""
    check_digest(digest)


@pytest.mark.parametrize("digest", ["", "sha256:0", "md5:" + "0" * 64, "sha256:" + "g" * 64, "sha256:" + "0" * 65])
def test_malformed_digests_do_not(digest: str) -> None:
    """C173."""
    with pytest.raises(BadRequest, match=r"^invalid digest format$") as caught:
        check_digest(digest)
    assert caught.value.status == 400


def test_there_is_a_user() -> None:
    """C174: never a 404, and no sign-in page."""
    status, _, body = render_me()
    assert status == 200
    assert {"id", "email", "name"} <= json.loads(body).keys()


def test_signing_out_does_nothing() -> None:
    """C175."""
    assert render_signout() == (200, [(b"content-type", b"application/json; charset=utf-8")], b"null")


@pytest.mark.parametrize("what", ["web search", "web fetch"])
def test_the_web_is_not_here(what: str) -> None:
    """Only Ollama's cloud has it."""
    error = parse_web(b'{"query":"x","url":"y"}', what)
    assert (error.status, error.message) == (403, f"ollama cloud is disabled: {what} is unavailable")
    with pytest.raises(BadRequest, match=r"^missing request body$"):
        parse_web(b"", what)
