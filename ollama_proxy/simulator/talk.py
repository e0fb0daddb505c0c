"""Owns what a simulated model says: words, thoughts, tool calls, tokens. Knows no provider's way of telling it.

Everything follows from the request alone, so that the same request is answered the same way each time and with every
key. A test may say the words itself (`Say`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from ollama_proxy.simulator.actions import Sleep, Wait
from ollama_proxy.simulator.ask import Ask, image_urls, is_korean, mime_of, text_of
from ollama_proxy.simulator.events import Counts
from ollama_proxy.simulator.sample import sample

__all__ = ["Call", "Say", "Talk", "compose", "count_tokens"]

Piece: TypeAlias = str | Wait | Sleep
_EXCERPT = 160
_WORDS = re.compile(r"\S+\s*|\s+")
_TOOL = re.compile(r"\btools?\b|도구", re.IGNORECASE)
_PARALLEL = re.compile(r"\bparallel\b|\bboth\b|\btwice\b|동시에", re.IGNORECASE)
_HINTS = re.compile(r'"([^"]+)"|(?<=\s)([A-Z][a-zà-ÿ]+)|([가-힣]+)(?=의)')


@dataclass(frozen=True, slots=True)
class Call:
    """One tool call; arguments are JSON text."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Say:
    """What a test wants said, in place of the usual answer; None leaves that part to the simulator.

    text and thinking: whole, or in pieces with Wait and Sleep between them.
    calls: (name, arguments), the arguments as an object or as JSON text.
    """

    text: str | Sequence[Piece] | None = None
    thinking: str | Sequence[Piece] | None = None
    calls: Sequence[tuple[str, Mapping[str, Any] | str]] | None = None
    finish: str | None = None
    usage: Counts | None = None


@dataclass(frozen=True, slots=True)
class Talk:
    """One answer before it has a shape.

    number: the request's; ids are made of it. usage_wanted: `stream_options.include_usage`.
    """

    model: str
    number: int
    created: int
    pieces: tuple[Piece, ...]
    thinking: tuple[Piece, ...] = ()
    calls: tuple[Call, ...] = ()
    finish: str = "stop"
    prompt_tokens: int = 1
    usage: Counts | None = None
    usage_wanted: bool = False

    @property
    def text(self) -> str:
        return "".join(piece for piece in self.pieces if isinstance(piece, str))

    @property
    def thoughts(self) -> str:
        return "".join(piece for piece in self.thinking if isinstance(piece, str))

    @property
    def pauses(self) -> list[Wait | Sleep]:
        """The pauses alone: what a client that did not ask for a stream waits for."""
        return [piece for piece in (*self.thinking, *self.pieces) if not isinstance(piece, str)]

    @property
    def thinking_tokens(self) -> int:
        return sum(isinstance(piece, str) for piece in self.thinking)

    @property
    def answer_tokens(self) -> int:
        spoken = sum(isinstance(piece, str) for piece in self.pieces)
        return spoken + sum(count_tokens(call.name + call.arguments) for call in self.calls)

    @property
    def counts(self) -> Counts:
        """Prompt, completion (thinking included) and total tokens, then those of thoughts if there are any."""
        if self.usage is not None:
            return self.usage
        answer = self.answer_tokens + self.thinking_tokens
        counts = self.prompt_tokens, answer, self.prompt_tokens + answer
        return (*counts, self.thinking_tokens) if self.thinking else counts


def count_tokens(text: str) -> int:
    """A rough and steady count: four bytes make one."""
    return (len(text.encode("utf-8", "replace")) + 3) // 4


def compose(ask: Ask, *, title: str, thinks: bool, say: Say | None = None, spoken: str | None = None) -> Talk:
    """What is answered to this request.

    thinks: thoughts are to be shown. spoken: the words of an answer that calls no tool, where they are fixed.
    """
    calls = () if say and (say.calls is not None or say.text is not None) else _choose_calls(ask)
    text = "" if calls else _answer_text(ask, title, spoken)
    pieces = tuple(_split_json(text) if _wants_json(ask) and not calls else _WORDS.findall(text))
    options = ask.body.get("stream_options")
    talk = Talk(
        model=ask.model,
        number=ask.number,
        created=int(ask.wall),
        pieces=_stop(pieces, ask.body.get("stop")),
        thinking=tuple(_WORDS.findall(_thoughts(ask))) if thinks else (),
        calls=calls,
        finish="tool_calls" if calls else "stop",
        prompt_tokens=prompt_tokens(ask),
        usage_wanted=isinstance(options, Mapping) and options.get("include_usage") is True,
    )
    return _say(talk, say) if say else _cut(talk, ask)


def prompt_tokens(ask: Ask) -> int:
    """Tokens of what was sent."""
    texts = [text_of(m.get("content")) for m in ask.messages] or [ask.question]
    return sum(3 + count_tokens(text) for text in texts)


def _answer_text(ask: Ask, title: str, spoken: str | None) -> str:
    if spoken is not None and not _wants_json(ask):
        return spoken
    if ask.operation == "fim":
        before, after = len(str(ask.body.get("prompt") or "")), len(str(ask.body.get("suffix") or ""))
        return f"    # between {before} and {after} characters\n    return a + b\n"
    plain = spoken if spoken is not None else _plain_answer(ask, title)
    return _json_answer(ask, plain) if _wants_json(ask) else plain


def _plain_answer(ask: Ask, title: str) -> str:
    question = ask.question.strip()
    korean = is_korean(question)
    heard = question if len(question) <= _EXCERPT else question[: _EXCERPT - 1] + "…"
    last = ask.messages[-1] if ask.messages else {}
    if last.get("role") == "tool":
        result = text_of(last.get("content"))[:_EXCERPT]
        return f'도구의 답은 "{result}"입니다.' if korean else f'The tool answered "{result}".'
    seen = [mime_of(url) or "an address" for url in image_urls(ask.messages)]
    if korean:
        images = f"이미지 {len(seen)}장({', '.join(seen)})을 보았습니다. " if seen else ""
        return f'{images}{title}의 {ask.model}(시뮬레이터)가 "{heard}"라는 질문에 답합니다.'
    images = f"I see {len(seen)} image{'s' * (len(seen) != 1)} ({', '.join(seen)}). " if seen else ""
    return f'{images}This is the simulated {ask.model} at {title}, answering "{heard}".'


def _thoughts(ask: Ask) -> str:
    if is_korean(ask.question):
        return "질문을 먼저 살펴보고 짧게 답하겠습니다. "
    return "The user asks something; a short answer will do. "


def _wants_json(ask: Ask) -> bool:
    wanted = ask.body.get("response_format")
    return isinstance(wanted, Mapping) and wanted.get("type") in ("json_object", "json_schema")


def _json_answer(ask: Ask, plain: str) -> str:
    wanted = ask.body["response_format"]
    holder = wanted.get("json_schema")
    schema = holder.get("schema") if isinstance(holder, Mapping) else wanted.get("schema")
    value = sample(schema, lambda name: f"{name} of it") if isinstance(schema, Mapping) else {"answer": plain}
    return json.dumps(value, ensure_ascii=False)


def _split_json(text: str) -> list[str]:
    return [text[at : at + 12] for at in range(0, len(text), 12)]


def _choose_calls(ask: Ask) -> tuple[Call, ...]:
    choice = ask.body.get("tool_choice")
    tools = [tool for tool in ask.tools if isinstance(tool.get("name"), str)]
    if not tools or choice == "none" or not ask.messages or ask.messages[-1].get("role") != "user":
        return ()
    question = ask.question
    lower = question.lower()
    named = [tool for tool in tools if tool["name"].lower() in lower]
    if isinstance(choice, Mapping):
        wanted = choice.get("function")
        named = [t for t in tools if isinstance(wanted, Mapping) and t["name"] == wanted.get("name")] or tools[:1]
    elif not named and (choice in ("required", "any") or _TOOL.search(question)):
        named = tools[:1]
    if named and len(named) == 1 and _PARALLEL.search(question):
        named = tools[:2] if len(tools) > 1 and not isinstance(choice, Mapping) else named * 2
    if ask.body.get("parallel_tool_calls") is False:
        named = named[:1]
    hints = [next(filter(None, groups)) for groups in _HINTS.findall(question)]
    return tuple(_make_call(tool, hints, n) for n, tool in enumerate(named))


def _make_call(tool: Mapping[str, Any], hints: Sequence[str], nth: int) -> Call:
    def word(name: str) -> str:
        return hints[nth % len(hints)] if hints else f"some {name}"

    arguments = sample(tool.get("parameters") or {"type": "object"}, word)
    return Call(tool["name"], json.dumps(arguments if isinstance(arguments, dict) else {}, ensure_ascii=False))


def _stop(pieces: tuple[str, ...], stop: Any) -> tuple[str, ...]:
    """The pieces before the first stop sequence."""
    given = [stop] if isinstance(stop, str) else stop if isinstance(stop, list) else []
    marks = [mark for mark in given if isinstance(mark, str) and mark]
    text = "".join(pieces)
    ends = [at for at in (text.find(mark) for mark in marks) if at >= 0]
    if not ends:
        return pieces
    return tuple(_WORDS.findall(text[: min(ends)]))


def _cut(talk: Talk, ask: Ask) -> Talk:
    """The answer within `max_tokens`: thoughts count too, calls are never torn."""
    limit = ask.body.get("max_tokens", ask.body.get("max_completion_tokens"))
    if not isinstance(limit, int) or isinstance(limit, bool) or limit <= 0 or talk.calls:
        return talk
    if talk.thinking_tokens + talk.answer_tokens <= limit:
        return talk
    thinking = talk.thinking[:limit]
    return replace(talk, thinking=thinking, pieces=talk.pieces[: limit - len(thinking)], finish="length")


def _say(talk: Talk, say: Say) -> Talk:
    if say.text is not None:
        talk = replace(talk, pieces=_pieces(say.text))
    if say.thinking is not None:
        talk = replace(talk, thinking=_pieces(say.thinking))
    if say.calls is not None:
        calls = tuple(
            Call(name, given if isinstance(given, str) else json.dumps(given, ensure_ascii=False))
            for name, given in say.calls
        )
        kept = talk.pieces if say.text is not None or not calls else ()
        talk = replace(talk, calls=calls, pieces=kept, finish="tool_calls" if calls else "stop")
    return replace(talk, finish=say.finish or talk.finish, usage=say.usage)


def _pieces(given: str | Sequence[Piece]) -> tuple[Piece, ...]:
    return tuple(_WORDS.findall(given)) if isinstance(given, str) else tuple(given)
