"""Owns what all simulated providers have in common: routes, sign-in, chat in OpenAI's plain shape, vectors, lists.

A provider overrides what it does differently; this class by itself is a plain OpenAI-compatible server.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any, ClassVar

from ollama_proxy.simulator.actions import Action, Chunk, Header, Send, Sleep, Status, Wait
from ollama_proxy.simulator.ask import Ask
from ollama_proxy.simulator.events import (
    DONE,
    Comment,
    Counts,
    Delta,
    Event,
    Frame,
    Head,
    Literal,
    Tail,
    Track,
    Whole,
    compact,
    kind_of,
    sse,
)
from ollama_proxy.simulator.models import CARDS, Card
from ollama_proxy.simulator.sample import packed, vector
from ollama_proxy.simulator.shapes import OWN, Shape, fill
from ollama_proxy.simulator.shapes.base import JSON, SSE
from ollama_proxy.simulator.talk import Talk

__all__ = ["Answer", "Provider", "Reply", "details", "head_of", "in_pieces", "page", "render", "usual_facts"]

Route = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer that is no stream: an error, a list, vectors. `name` is what the log calls it."""

    name: str
    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    media: str = JSON

    def actions(self) -> list[Action]:
        """The steps that send it."""
        head: list[Action] = [Header(name, value) for name, value in self.headers]
        return [Status(self.status), Header("content-type", self.media), *head, Send(self.body)]


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of a model, in both forms; `stream` says which one was asked for."""

    name: str
    body: bytes
    track: Track
    stream: bool
    headers: tuple[tuple[str, str], ...] = ()
    pauses: tuple[Wait | Sleep, ...] = ()
    status: int = 200
    media: str = JSON

    def head(self, media: str = "") -> list[Action]:
        """The steps up to the body."""
        kind = media or (SSE if self.stream else self.media)
        return [Status(self.status), Header("content-type", kind), *(Header(n, v) for n, v in self.headers)]

    def actions(self) -> list[Action]:
        """The steps that send it as it was asked for."""
        if not self.stream:
            return [*self.head(), *self.pauses, Send(self.body)]
        return [*self.head(), *in_pieces(self.track)]


def in_pieces(track: Track) -> list[Action]:
    """One chunk for each frame."""
    return [Chunk(item.data) if isinstance(item, Frame) else item for item in track]


def head_of(talk: Talk) -> Head:
    """What all chunks of this answer repeat."""
    return Head(talk.model, talk.number, talk.created)


class Provider:
    """A plain OpenAI-compatible server; the base of all others. Holds no state."""

    name: ClassVar[str] = "openai"
    title: ClassVar[str] = "OpenAI-compatible"
    #: What the real base address has after its host: accepted below ours too, so that a relative path still fits.
    real_path: ClassVar[str] = "v1"
    routes: ClassVar[Mapping[Route, str]] = {
        ("POST", "/chat/completions"): "chat",
        ("POST", "/completions"): "completions",
        ("POST", "/embeddings"): "embeddings",
        ("GET", "/models"): "models",
    }
    #: The part of the paths where a sign-in's tokens are taken in place of keys; "" where there is none.
    portal: ClassVar[str] = ""
    #: Lists that need no key.
    public: ClassVar[frozenset[str]] = frozenset()
    #: What the fault words in keys and model names mean here: word -> name of a recorded answer.
    words: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(("bad", "leaked", "expired"), "401"),
        "disabled": "403",
        **dict.fromkeys(("rate", "day"), "429"),
        "quota": "402",
        "busy": "503",
        **dict.fromkeys(("context", "blocked"), "400"),
        "missing": "404",
    }
    most_inputs: ClassVar[int] = 2048

    @property
    def shapes(self) -> Mapping[str, Shape]:
        """The recorded answers of this provider."""
        return OWN.get(self.name, {})

    @property
    def cards(self) -> tuple[Card, ...]:
        """The models it has."""
        return CARDS[self.name]

    # Requests

    def route(self, method: str, path: str) -> str:
        """The operation behind this path, "" if there is none."""
        operation = self.routes.get((method, path), "")
        if not operation and method == "GET" and path.startswith("/models/"):
            return "model"
        return operation

    def card(self, model: str) -> Card | None:
        """What is known of a model."""
        return next((card for card in self.cards if card.id == model), None)

    def sign_in(self, ask: Ask) -> Reply | None:
        """The refusal, where the credentials are not as they must be."""
        return None if ask.key else self.reply("401-missing", ask)

    def check(self, ask: Ask) -> Reply | None:
        """The refusal, where the request is not as it must be."""
        if ask.operation == "chat" and not ask.messages:
            return self.error(400, "'messages' must be a list with at least one message.", ask)
        if ask.operation == "embeddings" and not self.inputs(ask):
            return self.error(400, "'input' must be a text or a list of texts.", ask)
        if ask.operation == "embeddings" and len(self.inputs(ask)) > self.most_inputs:
            return self.error(400, f"batch size is invalid, it should not be larger than {self.most_inputs}.", ask)
        return None

    def asks_too_much(self, ask: Ask) -> Reply | None:
        """The refusal of an answer longer than the model can give: none of them gives what it can instead."""
        card = self.card(ask.model)
        most = card.max_output if card and card.kind == "chat" else None
        for name in ("max_tokens", "max_completion_tokens"):
            wanted = ask.body.get(name)
            if most and isinstance(wanted, int) and wanted > most:
                return self.error(400, f"{name} is too large: {wanted}. This model supports at most {most}.", ask)
        return None

    def thinks(self, ask: Ask) -> bool:
        """Whether thoughts are shown: asked for, or the model's habit."""
        asked = ask.body.get("reasoning_effort")
        if asked is not None:
            return str(asked) != "none"
        return any(word in ask.model.lower() for word in ("reason", "thinking", "-r1", "qwq", "magistral"))

    def spoken(self, ask: Ask) -> str | None:
        """The words of the answer, where this provider has its own; it then calls no tool."""
        del ask
        return None

    # Answers

    def fixed(self, name: str) -> Shape | None:
        """The recorded answer of that name or fault word."""
        return self.shapes.get(self.words.get(name, name))

    def reply(self, name: str, ask: Ask, **facts: str) -> Reply:
        """A recorded error of this provider."""
        shape = self.shapes.get(name)
        if shape is None:
            return self.error(int(name[:3]) if name[:3].isdigit() else 500, f"{name} (simulated)", ask)
        return render(name, shape, {**usual_facts(ask), **shape.facts, **facts})

    def error(self, status: int, message: str, ask: Ask) -> Reply:
        """An error in this provider's form, in other words than the recorded ones."""
        del ask
        return Reply(f"{status}", status, compact(self.error_body(status, message)))

    def error_body(self, status: int, message: str) -> Any:
        """The JSON of an error."""
        kind = "invalid_request_error" if status < 500 else "server_error"
        return {"error": {"message": message, "type": kind, "param": None, "code": None}}

    def failing(self, *, began: bool) -> list[Event]:
        """How a stream tells that it failed, before or after its first words, up to its end."""
        message = "The connection to the model was lost." if began else "The model is overloaded."
        return [Whole(self.error_body(503, message)), DONE]

    def answer(self, talk: Talk, ask: Ask) -> Answer:
        """The answer in both forms."""
        body = compact(self.completion(talk) if ask.operation == "completions" else self.whole(talk))
        track = self.track(self.events(talk, ask), head_of(talk))
        name = ask.operation if not ask.stream else ("stream" if ask.operation == "chat" else f"{ask.operation}-stream")
        return Answer(name, body, track, ask.stream, self.answer_headers(talk), tuple(talk.pauses))

    def answer_headers(self, talk: Talk) -> tuple[tuple[str, str], ...]:
        """Header fields beyond the content type."""
        del talk
        return ()

    def track(self, events: Iterator[Event | Wait | Sleep], head: Head) -> Track:
        """Events as frames."""
        return [e if isinstance(e, (Wait, Sleep)) else Frame(self.frame(e, head), kind_of(e)) for e in events]

    def frame(self, event: Event, head: Head) -> bytes:
        """One event as bytes."""
        match event:
            case Comment(text):
                return f": {text}\n\n".encode()
            case Literal(data):
                return data
            case Whole(value):
                return sse(value)
            case _:
                return sse(self.chunk(event, head))

    # The shape of chat: what providers override

    def answer_id(self, number: int) -> str:
        """The id of an answer."""
        return f"chatcmpl-sim{number:06d}"

    def call_id(self, number: int, position: int) -> str:
        """The id of a tool call."""
        return f"call_sim{number:06d}{position}"

    def usage(self, counts: Counts) -> dict[str, Any]:
        """The usage object."""
        return {"prompt_tokens": counts[0], "completion_tokens": counts[1], "total_tokens": counts[2]}

    def chunk(self, event: Delta | Tail, head: Head) -> dict[str, Any]:
        """The JSON of one chunk."""
        choices: list[Any] = []
        if isinstance(event, Delta):
            choices = [{"index": 0, "delta": dict(event.delta), "finish_reason": event.finish}]
        value = {
            "id": self.answer_id(head.number),
            "object": "chat.completion.chunk",
            "created": head.created,
            "model": head.model,
            "choices": choices,
        }
        return {**value, "usage": self.usage(event.usage)} if event.usage else value

    def events(self, talk: Talk, ask: Ask) -> Iterator[Event | Wait | Sleep]:
        """The answer as a stream."""
        if ask.operation == "completions":
            yield from self.completion_events(talk)
            return
        yield Delta({"role": "assistant", "content": ""})
        for piece in talk.thinking:
            yield Delta({"reasoning_content": piece}) if isinstance(piece, str) else piece
        for piece in talk.pieces:
            yield Delta({"content": piece}) if isinstance(piece, str) else piece
        yield from self.call_events(talk)
        yield Delta({}, talk.finish)
        if talk.usage_wanted:
            yield Tail(talk.counts)
        yield DONE

    def call_events(self, talk: Talk) -> Iterator[Event]:
        """Tool calls as a stream: id and name first, then the arguments in two pieces."""
        for index, call in enumerate(talk.calls):
            first = {"index": index, "id": self.call_id(talk.number, index), "type": "function"}
            yield Delta({"tool_calls": [{**first, "function": {"name": call.name, "arguments": ""}}]})
            middle = len(call.arguments) // 2
            for part in (call.arguments[:middle], call.arguments[middle:]):
                yield Delta({"tool_calls": [{"index": index, "function": {"arguments": part}}]})

    def message(self, talk: Talk) -> dict[str, Any]:
        """The message of an answer that is no stream."""
        message: dict[str, Any] = {"role": "assistant", "content": talk.text or None}
        if talk.thinking:
            message["reasoning_content"] = talk.thoughts
        if talk.calls:
            message["tool_calls"] = self.calls(talk)
        return message

    def calls(self, talk: Talk) -> list[dict[str, Any]]:
        """Tool calls of an answer that is no stream."""
        return [
            {
                "id": self.call_id(talk.number, index),
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for index, call in enumerate(talk.calls)
        ]

    def whole(self, talk: Talk) -> dict[str, Any]:
        """The JSON of an answer that is no stream."""
        return {
            "id": self.answer_id(talk.number),
            "object": "chat.completion",
            "created": talk.created,
            "model": talk.model,
            "choices": [{"index": 0, "message": self.message(talk), "finish_reason": talk.finish}],
            "usage": self.usage(talk.counts),
        }

    # Text completions, vectors, lists

    def completion(self, talk: Talk) -> dict[str, Any]:
        """The JSON of a text completion."""
        whole = self.whole(talk)
        choice = {"index": 0, "text": talk.text, "logprobs": None, "finish_reason": talk.finish}
        return {**whole, "object": "text_completion", "choices": [choice]}

    def completion_events(self, talk: Talk) -> Iterator[Event | Wait | Sleep]:
        """A text completion as a stream."""
        for piece in (*talk.pieces, None):
            if isinstance(piece, (Wait, Sleep)):
                yield piece
                continue
            choice = {"index": 0, "text": piece or "", "finish_reason": None if piece else talk.finish}
            value = {"id": self.answer_id(talk.number), "object": "text_completion", "created": talk.created}
            yield Whole({**value, "model": talk.model, "choices": [choice]}, "text" if piece else "finish")
        yield DONE

    def inputs(self, ask: Ask) -> list[str]:
        """The texts to make vectors of; token lists count as text."""
        given = ask.body.get("input")
        if isinstance(given, str):
            return [given] if given else []
        return [str(item) for item in given] if isinstance(given, list) else []

    def embed(self, ask: Ask, *, shuffled: bool = False, as_base64: bool = False) -> Reply:
        """Vectors for every input; `shuffled` turns their order round and leaves `index` right."""
        card = self.card(ask.model)
        asked = ask.body.get("dimensions")
        length = asked if isinstance(asked, int) and 0 < asked <= 4096 else (card.dimensions if card else 8)
        as_base64 = as_base64 or ask.body.get("encoding_format") == "base64"
        rows: list[dict[str, Any]] = []
        for index, text in enumerate(self.inputs(ask)):
            numbers = vector(text, length)
            rows.append({"object": "embedding", "index": index, "embedding": packed(numbers) if as_base64 else numbers})
        body = self.embedding_body(ask, rows[::-1] if shuffled else rows)
        return Reply("embeddings", 200, compact(body))

    def embedding_body(self, ask: Ask, rows: list[dict[str, Any]]) -> dict[str, Any]:
        """The JSON around the vectors."""
        tokens = sum(3 + len(text) // 4 for text in self.inputs(ask))
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return {"object": "list", "data": rows, "model": ask.model, "usage": usage}

    def listing(self, ask: Ask) -> Reply:
        """The list of models, one model, or another question about the account."""
        if ask.operation == "model":
            wanted = ask.path.removeprefix("/models/").removeprefix("models/")
            card = self.card(wanted)
            return (
                Reply("model", 200, compact(self.entry(card))) if card else self.reply("404-model", ask, model=wanted)
            )
        return Reply(ask.operation, 200, compact({"object": "list", "data": [self.entry(card) for card in self.cards]}))

    def entry(self, card: Card) -> dict[str, Any]:
        """One model in the list."""
        return {"id": card.id, "object": "model", "created": 1_790_000_000, "owned_by": "sim"}


def usual_facts(ask: Ask) -> dict[str, str]:
    """What every recorded answer may say about the request and the time."""
    next_day = (int(ask.wall) // 86_400 + 1) * 86_400
    return {
        "model": ask.model,
        "key": ask.key,
        "wall_date": formatdate(ask.wall + 60, usegmt=True),
        "minute_ms": str(int((ask.wall + 40) * 1000)),
        "day_ms": str(next_day * 1000),
    }


def render(name: str, shape: Shape, facts: Mapping[str, str]) -> Reply:
    """A recorded answer that is no stream, with its facts filled in."""
    body = fill(shape.body, facts)
    raw = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else compact(body)
    headers = tuple((key.lower(), fill(value, facts)) for key, value in shape.headers)
    return Reply(name, shape.status, raw, headers, shape.media)


def details(counts: Counts) -> dict[str, Any]:
    """How many of the completion's tokens were thoughts, as a part of usage; nothing where none were."""
    return {"completion_tokens_details": {"reasoning_tokens": counts[3]}} if len(counts) == 4 else {}


def page(token: str, size: str) -> tuple[int, int]:
    """Where the asked page of a list begins, and how many entries it has; nonsense means the first fifty."""
    start = token.removeprefix("p")
    return (int(start) if start.isdecimal() else 0), (max(1, int(size)) if size.isdecimal() else 50)
