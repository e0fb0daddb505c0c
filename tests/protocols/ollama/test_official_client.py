"""The official Python client's own types read what we write: they are stricter than any description."""

from __future__ import annotations

import json

import ollama

from ollama_proxy.protocols.ollama import (
    Listed,
    Loaded,
    digest_of,
    parse_embed,
    render_ps,
    render_pull,
    render_show,
    render_tags,
)
from ollama_proxy.protocols.ollama.manage import Managed
from ollama_proxy.types import Capability
from tests.support.ollama_kit import (
    DONE,
    WALL,
    FakeClock,
    answer,
    call_frame,
    chat,
    dumps,
    frame,
    generate,
    lines_of,
    model,
    run,
    text_frame,
    usage_frame,
)

ENTRY = model(Capability.COMPLETION, Capability.VISION, context=8192)
LISTED = Listed("google:x", ENTRY, digest_of("google:x", ENTRY), WALL, remote_host="https://example.com")


def test_it_reads_lists() -> None:
    """C240, without a socket."""
    tags = ollama.ListResponse(**json.loads(render_tags([LISTED])))
    assert tags.models[0].model == "google:x"
    running = ollama.ProcessResponse(**json.loads(render_ps([Loaded(LISTED, WALL + 1)], WALL)))
    assert running.models[0].expires_at is not None
    shown = ollama.ShowResponse(**json.loads(render_show(LISTED, "google:x")))
    assert shown.capabilities == ["completion", "vision"]


def test_it_reads_chats() -> None:
    """C240: both modes, with reasoning and calls."""
    call = {"index": 0, "id": "x", "function": {"name": "f", "arguments": '{"a":1}'}}
    frames = [frame({"reasoning": "hm"}), text_frame("a"), call_frame(call), frame(finish="tool_calls"), usage_frame()]
    lines = [ollama.ChatResponse(**line) for line in run(chat().call.face.open_stream(), *frames, DONE)]
    assert (lines[0].message.thinking, lines[1].message.content) == ("hm", "a")
    assert lines[2].message.tool_calls is not None
    assert lines[2].message.tool_calls[0].function.arguments == {"a": 1}
    assert (lines[-1].done, lines[-1].eval_count) == (True, 3)
    whole = ollama.ChatResponse(**json.loads(chat(stream=False).call.face.render_answer(answer())))
    assert whole.message.content == "hello"


def test_it_reads_generations() -> None:
    """C240."""
    lines = run(generate().call.face.open_stream(), text_frame("a"), frame(finish="stop"), DONE)
    assert [ollama.GenerateResponse(**line).response for line in lines] == ["a", ""]


def test_it_reads_embeddings_and_pulls() -> None:
    """C240."""
    request = parse_embed(dumps({"model": "m", "input": "x"}), FakeClock())
    reply = request.call.face.render_answer(b'{"data":[{"embedding":[1,0]}]}')
    assert ollama.EmbedResponse(**json.loads(reply)).embeddings == [[1, 0]]
    progress = [ollama.ProgressResponse(**line) for line in lines_of(render_pull(Managed("m", stream=True))[2])]
    assert progress[-1].status == "success"
