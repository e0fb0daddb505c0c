"""Owns how what a model says is spoilt: functions from frames to frames and from bodies to bodies.

Each is a row of the table in `faults`, which says what it stands for. Nothing here sends anything.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from ollama_proxy.simulator.ask import Ask
from ollama_proxy.simulator.events import DONE, Delta, Event, Frame, Head, Track, compact
from ollama_proxy.simulator.providers.base import Provider
from ollama_proxy.simulator.sample import packed

__all__ = ["BodyTwist", "Context", "TrackTwist", "after_text", "first_text"]

#: Frames that carry something of the answer.
CONTENT = frozenset({"text", "thinking", "calls"})
#: Frames that say it is over.
END = frozenset({"finish", "usage", "done"})
_JOINT = re.compile(rb'(?<!\\)",(?=")')
_TEXT_START = re.compile(rb'"content":\s?"(?!")')
_FINISH = re.compile(rb',"(?:native_)?finish_reason":"[^"]*"')
_COUNT = re.compile(rb'"prompt_tokens":\s?\d+')


@dataclass(frozen=True, slots=True)
class Context:
    """What a twist may look at. slow_s: how long "slow" is, in seconds."""

    provider: Provider
    ask: Ask
    slow_s: float

    def frames(self, *events: Event) -> Track:
        """Events in this provider's form."""
        head = Head(self.ask.model, self.ask.number, int(self.ask.wall))
        return [Frame(self.provider.frame(event, head), "raw") for event in events]


TrackTwist: TypeAlias = Callable[[Track, Context], Track]
BodyTwist: TypeAlias = Callable[[bytes, Context], bytes]


def after_text(track: Track, pieces: int) -> int:
    """The place just after this many frames of content, or after the last one before the end."""
    seen = last = 0
    for at, item in enumerate(track):
        if isinstance(item, Frame) and item.kind in CONTENT:
            seen, last = seen + 1, at + 1
            if seen == pieces:
                break
    return last


def first_text(track: Track) -> int:
    """The place just before the first content."""
    kinds = [item.kind if isinstance(item, Frame) else "" for item in track]
    return next((at for at, kind in enumerate(kinds) if kind in CONTENT), len(track))


def without(*kinds: str) -> TrackTwist:
    """Leaves out the frames of these kinds."""

    def twist(track: Track, _context: Context) -> Track:
        return [item for item in track if not (isinstance(item, Frame) and item.kind in kinds)]

    return twist


def unended(*kinds: str) -> TrackTwist:
    """Leaves out the frames of these kinds, and the end where it stands beside the last words, as at Google."""
    keep = without(*kinds)

    def twist(track: Track, context: Context) -> Track:
        kept = keep(track, context)
        return [Frame(_FINISH.sub(b"", i.data), i.kind) if isinstance(i, Frame) else i for i in kept]

    return twist


def each(change: Callable[[bytes], bytes]) -> TrackTwist:
    """Changes the bytes of each frame."""

    def twist(track: Track, _context: Context) -> Track:
        return [Frame(change(item.data), item.kind) if isinstance(item, Frame) else item for item in track]

    return twist


def at_once(track: Track, _context: Context) -> Track:
    """All frames in one."""
    return [Frame(b"".join(item.data for item in track if isinstance(item, Frame)), "raw")]


def with_mark(track: Track, _context: Context) -> Track:
    """A byte-order mark at the very start."""
    return [Frame(b"\xef\xbb\xbf", "raw"), *track]


def no_blank_line(track: Track, context: Context) -> Track:
    """No end mark, and no blank line after the last event."""
    kept = without("done")(track, context)
    # Behind the last frame there may be a pause.
    place = max(place for place, item in enumerate(kept) if isinstance(item, Frame))
    last = kept[place]
    assert isinstance(last, Frame)
    return [*kept[:place], Frame(last.data.rstrip(b"\n") + b"\n", last.kind)]


def twice_done(track: Track, context: Context) -> Track:
    """Another piece of text and another end mark after the end."""
    return [*track, *context.frames(Delta({"content": "after the end"})), Frame(DONE.data, "done")]


def only(*kinds: str) -> TrackTwist:
    """Keeps the frames of these kinds."""

    def twist(track: Track, _context: Context) -> Track:
        return [item for item in track if isinstance(item, Frame) and item.kind in kinds]

    return twist


def torn(track: Track, _context: Context) -> Track:
    """Ends in the middle of an event's JSON."""
    at = after_text(track, 1)
    following = next((item for item in track[at:] if isinstance(item, Frame)), None)
    return [*track[:at], Frame(following.data[: len(following.data) // 2], "raw")] if following else track[:at]


def failing_first(track: Track, context: Context) -> Track:
    """What comes before the text, then an error in the provider's form."""
    return track[: first_text(track)] + context.frames(*context.provider.failing(began=False))


def failing_later(track: Track, context: Context) -> Track:
    """Two pieces of text, then an error in the provider's form."""
    return track[: after_text(track, 2)] + context.frames(*context.provider.failing(began=True))


def big_piece(size: int) -> TrackTwist:
    """One piece of text of this many bytes."""

    def twist(track: Track, context: Context) -> Track:
        at = first_text(track)
        return track[:at] + context.frames(Delta({"content": "x" * size})) + track[at:]

    return twist


def many_pieces(track: Track, context: Context) -> Track:
    """10,000 pieces of text in one write."""
    at = first_text(track)
    piece = context.frames(Delta({"content": "word "}))[0]
    assert isinstance(piece, Frame)
    return [*track[:at], Frame(piece.data * 10_000, "text"), *track[at:]]


def deep_piece(track: Track, context: Context) -> Track:
    """A chunk with a field 5,000 levels deep."""
    at = first_text(track)
    value = b'"sim_deep":' + b"[" * 5000 + b"]" * 5000
    piece = context.frames(Delta({"content": ""}))[0]
    assert isinstance(piece, Frame)
    return [*track[:at], Frame(piece.data.replace(b"{", b"{" + value + b",", 1), "raw"), *track[at:]]


def liberties(data: bytes) -> bytes:
    """Fields that SSE allows and nobody needs, no blank after the colon, an event in two data lines."""
    if not data.startswith(b"data: "):
        return data
    value = data[len(b"data: ") :]
    joint = _JOINT.search(value)
    if joint:
        value = value[: joint.end()] + b"\ndata:" + value[joint.end() :]
    return b"event: message\nid: 7\nretry: 3000\nunknown: field\ndata:" + value


def in_text(extra: bytes) -> Callable[[bytes], bytes]:
    """Puts raw bytes in front of the text."""
    return lambda data: _TEXT_START.sub(lambda match: match[0] + extra, data, count=1)


def not_a_number(data: bytes) -> bytes:
    """Usage that is not JSON."""
    return _COUNT.sub(b'"prompt_tokens":NaN', data)


# Bodies


def body_each(change: Callable[[bytes], bytes]) -> BodyTwist:
    """Changes a body without looking at who asked."""
    return lambda body, _context: change(body)


def half(body: bytes, _context: Context) -> bytes:
    """The first half, as if that were all."""
    return body[: len(body) // 2]


def no_choices(body: bytes, _context: Context) -> bytes:
    """An answer with an empty list of choices."""
    value = json.loads(body)
    return compact({**value, "choices": []}) if isinstance(value, dict) else body


def blank_body(body: bytes, _context: Context) -> bytes:
    """An answer that ends well and says nothing."""
    value = json.loads(body)
    if isinstance(value, dict) and value.get("choices"):
        message = {"role": "assistant", "content": ""}
        value["choices"] = [{"index": 0, "message": message, "finish_reason": "stop"}]
    return compact(value)


def turned_round(body: bytes, _context: Context) -> bytes:
    """Vectors in the opposite order; each keeps its index."""
    value = json.loads(body)
    if isinstance(value, dict) and isinstance(value.get("data"), list):
        value["data"].reverse()
    return compact(value)


def in_base64(body: bytes, _context: Context) -> bytes:
    """Vectors as base64, whether asked for or not."""
    value = json.loads(body)
    for row in value.get("data", []) if isinstance(value, dict) else []:
        if isinstance(row.get("embedding"), list):
            row["embedding"] = packed(row["embedding"])
    return compact(value)


def error_body(_body: bytes, context: Context) -> bytes:
    """An error in the provider's form, in place of the answer."""
    return compact(context.provider.error_body(502, "The provider's own backend failed (simulated)."))
