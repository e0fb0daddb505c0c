"""Owns recorded answers that any OpenAI-compatible server might give: odd, broken, or allowed but rare.

Names begin with `generic-`. Texts and ids are invented; rules are WHATWG's for event streams and reports of clients.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ollama_proxy.simulator.events import DONE, Delta, Literal, Tail, compact
from ollama_proxy.simulator.shapes.base import Shape, stream

__all__ = ["SHAPES"]

_HEAD = {"id": "chatcmpl-simgen", "object": "chat.completion.chunk", "created": 1790000000, "model": "$model"}


def _chunk(delta: Mapping[str, Any], finish: str | None = None) -> str:
    return compact({**_HEAD, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}).decode()


def _raw(says: str, text: str, **rest: Any) -> Shape:
    return Shape(says, 200, text, media=rest.pop("media", "text/event-stream"), **rest)


def _call(arguments: Any) -> dict[str, Any]:
    call = {"index": 0, "id": "sim1", "type": "function", "function": {"name": "get_weather", "arguments": arguments}}
    return {"role": "assistant", "tool_calls": [call]}


_A = Delta({"role": "assistant", "content": "a"})
_B = Delta({"content": "b"})
_STOP = Delta({}, "stop")
_SPLIT = _chunk({"content": "b"}).partition('"choices"')

_STREAMS: dict[str, Shape] = {
    "args-object": stream("arguments as an object", Delta(_call({"city": "Seoul"})), Delta({}, "tool_calls"), DONE),
    "bad-arguments": stream("arguments cut off", Delta(_call('{"city": "Seo')), Delta({}, "length"), DONE),
    "content-after-finish": stream(
        "an end, another end, then usage",
        _A,
        _STOP,
        Delta({"content": ""}, "stop"),
        Tail((1, 1, 2)),
        DONE,
    ),
    "crlf": stream(
        "lines that end in CR LF",
        *(
            Literal(f"data: {text}\r\n\r\n".encode())
            for text in (_chunk(_A.delta), _chunk(_B.delta), _chunk({}, "stop"))
        ),
        Literal(b"data: [DONE]\r\n\r\n", "done"),
    ),
    "cut-json": _raw("the last event is torn", f"data: {_chunk(_A.delta)}\n\ndata: {_chunk(_B.delta)[:70]}"),
    "empty-stream": stream("only an end mark", DONE),
    "finish-only": stream("an end without any text", Delta({"role": "assistant", "content": ""}), _STOP, DONE),
    "last-event-no-blank": _raw(
        "the last event has no blank line after it",
        f"data: {_chunk(_A.delta)}\n\ndata: {_chunk({'content': 'b'}, 'stop')}\n",
    ),
    "legacy-function-call": stream(
        "the call in the old field",
        Delta({"role": "assistant", "content": None, "function_call": {"name": "get_weather", "arguments": ""}}),
        Delta({"function_call": {"arguments": '{"city":"Seoul"}'}}),
        Delta({}, "function_call"),
        DONE,
    ),
    "no-done": stream("an end, but no end mark", _A, _STOP),
    "no-space-multiline": _raw(
        "every liberty that SSE allows",
        f"event: message\nid: 1\nretry: 3000\ndata:{_chunk(_A.delta)}\n\n:\n\n"
        f"data: {_SPLIT[0]}\ndata: {_SPLIT[1]}{_SPLIT[2]}\n\ndata:{_chunk({}, 'stop')}\n\ndata:[DONE]\n\n",
        media="text/event-stream; charset=utf-8",
    ),
    "reasoning-only": stream(
        "the answer only in the reasoning",
        Delta({"role": "assistant", "content": "", "reasoning": "It is seven."}),
        _STOP,
        DONE,
    ),
    "sse-instead-of-json": stream(
        "a stream where JSON was asked for", Delta({"role": "assistant", "content": "ab"}), _STOP, DONE
    ),
    "truncated": stream("neither end nor end mark", _A, _B),
    "u2028": stream(
        "line separators that end no line",
        Delta({"role": "assistant", "content": "one\u2028two\u0085three\u2029four"}),
        _STOP,
        DONE,
    ),
    "utf8-split": stream(
        "letters of several bytes (played one byte at a time by `!utf8`)",
        Delta({"role": "assistant", "content": "짧은 답: 반갑습니다 🏯 «s» ñ"}),
        _STOP,
        DONE,
    ),
}

_ANSWERS: dict[str, Shape] = {
    "cloudflare-524": Shape(
        "a timeout at the CDN, as a web page",
        524,
        "<!DOCTYPE html><html><head><title>524: A timeout occurred</title></head><body>simulated</body></html>",
        media="text/html; charset=UTF-8",
    ),
    "embeddings-base64": Shape(
        "vectors as base64, out of order",
        200,
        {
            "object": "list",
            "data": [
                {"object": "embedding", "index": 1, "embedding": "AAAAvwAAgD4AAAA/"},
                {"object": "embedding", "index": 0, "embedding": "AACAPwAAAL8AAIA+"},
            ],
            "model": "$model",
            "usage": {"prompt_tokens": 2, "total_tokens": 2},
        },
        operation="embeddings",
    ),
    "empty-429": Shape("no body, and the wait as an HTTP date", 429, b"", headers=(("retry-after", "$wall_date"),)),
    "error-detail-list": Shape(
        "the error as a list of details",
        422,
        {"detail": [{"loc": ["body", "messages"], "msg": "field required", "type": "value_error.missing"}]},
    ),
    "error-string": Shape("the error as a text", 500, {"error": "the simulator broke it"}),
    "json-instead-of-sse": Shape(
        "JSON where a stream was asked for",
        200,
        {
            **_HEAD,
            "object": "chat.completion",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "ab"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        },
    ),
    "plain-text-503": Shape(
        "an error in plain text",
        503,
        "upstream connect error or disconnect/reset before headers. reset reason: connection timeout",
        media="text/plain",
    ),
}

SHAPES: Mapping[str, Shape] = {f"generic-{name}": shape for name, shape in {**_STREAMS, **_ANSWERS}.items()}
