"""Owns how an upstream's chat stream reaches an OpenAI client: as the bytes that it is, looked at but not rebuilt.

A frame is changed only where it breaks OpenAI's own schema, and then written anew with every other key kept. Torn
frames never leave; errors inside the stream are raised for the gateway to judge; a stream that ends without an end
gets the mark that is missing or is called interrupted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from ollama_proxy.errors import ProxyError, StreamInterrupted, UpstreamError, UpstreamJunk
from ollama_proxy.hub.budget import Budget
from ollama_proxy.hub.chunk import Chunk, Delta, decode_chunk, decode_strictly, raise_error_inside, says_something
from ollama_proxy.hub.convert import DONE, to_plain
from ollama_proxy.hub.finish import TELL_WHY, check_said
from ollama_proxy.hub.intake import Intake, data_of
from ollama_proxy.protocols.openai.errors import error_body
from ollama_proxy.protocols.openai.repair import CallRepair, flatten_content, repair_reason

__all__ = ["HEARTBEAT", "ChatStream", "event"]

#: A comment line. Not `: ping`, at which Continue's parser stops (seen 2026-11); an upstream's own is left out.
HEARTBEAT = b": keep-alive\n\n"


def event(payload: bytes) -> bytes:
    """One SSE frame of this JSON text."""
    return b"data: " + payload + b"\n\n"


class ChatStream:
    """One attempt's stream; implements `types.Stream`."""

    __slots__ = (
        "_budget",
        "_finish",
        "_intake",
        "_may_be_silent",
        "_repairs",
        "_rnd",
        "_unsent",
        "committed",
        "over",
        "progress",
        "usage",
    )

    def __init__(self, rnd: Callable[[], float], *, may_be_silent: bool = False) -> None:
        """may_be_silent: see `finish.check_said`."""
        self._rnd = rnd
        self._may_be_silent = may_be_silent
        self._intake = Intake()
        self._repairs: dict[int, CallRepair] = {}  # one for each choice that made calls
        self._budget = Budget()
        self._finish: str | None = None  # the last finish_reason that came
        self.over = False  # [DONE] came
        self._unsent = b""
        self.committed = False
        self.progress = 0
        self.usage: Mapping[str, Any] | None = None

    def feed(self, data: bytes) -> bytes:
        """The complete frames in these bytes, as they came; see `types.Stream.feed`."""
        payload = self._intake.lone(data)
        if payload is None:
            return self._pass_all(self._intake.feed(data))
        committed = self.committed
        try:
            return self._pass(data, payload)
        except UpstreamError:
            self.committed = committed
            raise

    def finish(self) -> bytes:
        """The rest, and the end mark where only that is missing.

        Raises: StreamInterrupted, ErrorInside, EmptyAnswer; UpstreamJunk where nothing like a stream came.
        """
        committed = self.committed
        rest = b"" if self.over else self._pass_rest()
        if not self._intake.spoke:
            raise UpstreamJunk("The provider answered with an empty stream.")
        if self._finish is None and not self.over:
            self._unsent += rest
            self.committed = committed
            raise StreamInterrupted("The provider's stream stopped before its end.")
        check_said(self._finish, said=self.progress > 0, may_be_silent=self._may_be_silent)
        return rest if self.over else rest + DONE

    def heartbeat(self) -> bytes:
        """A comment."""
        return HEARTBEAT

    def render_error(self, error: ProxyError) -> bytes:
        """What came before the error in the same bytes, then the error; no `[DONE]`."""
        unsent = self._unsent
        self._unsent = b""
        return unsent + event(error_body(error))

    def _pass_all(self, frames: list[bytes]) -> bytes:
        committed = self.committed
        ready: list[bytes] = []
        try:
            for frame in frames:
                if self.over:
                    break
                payload = data_of(frame)
                if payload is not None:
                    ready.append(self._pass(frame, payload))
                elif not frame.startswith(b": ping"):
                    ready.append(frame)
        except UpstreamError:
            # Nothing of this was sent, so it does not stand in the way of another attempt.
            self._unsent += b"".join(ready)
            self.committed = committed
            raise
        return ready[0] if len(ready) == 1 else b"".join(ready)

    def _pass_rest(self) -> bytes:
        frames = self._intake.close()
        try:
            return self._pass_all(frames)
        except UpstreamJunk:
            return b""  # torn JSON at the end is a cut, not junk

    def _pass(self, frame: bytes, payload: bytes) -> bytes:
        """What the client gets for a frame, after a look at its payload."""
        if payload[:1] != b"{" or self.over:
            return self._pass_odd(frame, payload)
        chunk = decode_strictly(payload)
        if chunk is None:
            return self._pass_carefully(frame, payload, decode_chunk(payload), rewrite=True)
        if chunk.error is None and chunk.choices is not None and len(chunk.choices) == 1:
            choice = chunk.choices[0]
            delta = choice.delta
            # What nearly every frame is: some text and nothing else.
            if (
                delta is not None
                and delta.content
                and type(delta.content) is str
                and not (choice.finish_reason or delta.tool_calls or delta.function_call or choice.error)
            ):
                if chunk.usage is not None:
                    self._take_usage(chunk.usage)
                self.progress += 1
                self.committed = True
                return frame
        return self._pass_carefully(frame, payload, chunk, rewrite=False)

    def _pass_odd(self, frame: bytes, payload: bytes) -> bytes:
        if self.over:
            return b""
        payload = payload.strip()
        if payload == b"[DONE]":
            self.over = True
            return frame if self.committed else b""
        return self._pass_carefully(frame, payload, decode_chunk(payload), rewrite=True) if payload else frame

    def _pass_carefully(self, frame: bytes, payload: bytes, chunk: Chunk, *, rewrite: bool) -> bytes:
        raise_error_inside(chunk, payload)
        self._take_usage(chunk.usage)
        choices = chunk.choices or ()
        deltas = [choice.delta for choice in choices if choice.delta is not None]
        if any(says_something(delta) for delta in deltas):
            self.progress += 1
            self.committed = True
        if rewrite or any(choice.finish_reason for choice in choices) or any(_may_be_broken(delta) for delta in deltas):
            return self._rewrite(frame, payload, rewrite=rewrite)
        return frame

    def _take_usage(self, usage: Any) -> None:
        if usage and isinstance(usage, dict):
            self.usage = usage

    def _rewrite(self, frame: bytes, payload: bytes, *, rewrite: bool) -> bytes:
        """The frame, mended if it needs it."""
        plain = to_plain(payload)
        changed = rewrite
        for choice in plain.get("choices") or ():
            if isinstance(choice, dict) and self._mend(choice, payload):
                changed = True
        return event(msgspec.json.encode(plain)) if changed else frame

    def _mend(self, choice: dict[str, Any], payload: bytes) -> bool:
        index = choice.get("index")
        number = index if isinstance(index, int) else 0
        repair = self._repairs.get(number)
        delta = choice.get("delta")
        changed = False
        if isinstance(delta, dict):
            changed = flatten_content(delta)
            if delta.get("tool_calls") or delta.get("function_call"):
                if repair is None:
                    repair = self._repairs[number] = CallRepair(self._rnd, self._budget)
                changed = repair.mend(delta, whole=False) or changed
        reason = choice.get("finish_reason")
        if not reason:
            return changed
        mended = repair_reason(reason, payload, calls=repair is not None and repair.made, empty=not self.progress)
        self._finish = mended if isinstance(mended, str) else "stop"
        # An end that comes out of nothing and says no reason may still be taken back.
        self.committed = self.committed or bool(self.progress) or self._may_be_silent or self._finish in TELL_WHY
        choice["finish_reason"] = mended
        return changed or mended != reason


def _may_be_broken(delta: Delta) -> bool:
    return bool(delta.tool_calls or delta.function_call or isinstance(delta.content, list))
