"""Owns what a provider tolerates in a conversation, and how one is put right for it. The rules are profiles.toml's.

Most conversations are plain (roles and texts): a typed decode says so at the speed of C, and their JSON then goes as
it came. Only the others are opened, cleaned, paired (pairing.py) and ordered.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Annotated, Any, Literal

import msgspec

from ollama_proxy.providers.pairing import Message, pair, text_of
from ollama_proxy.providers.tables import Matcher

__all__ = ["MessageRules", "Names"]


class _Turn(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """What every provider takes: a known role and a text."""

    role: Literal["system", "user", "assistant"]
    content: Annotated[str, msgspec.Meta(min_length=1)]


class _LooseTurn(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """What a tolerant provider takes besides: any content."""

    role: Literal["system", "user", "assistant"]
    content: msgspec.Raw


class _LooserTurn(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    role: Literal["system", "developer", "user", "assistant"]
    content: msgspec.Raw


_STRICT = msgspec.json.Decoder(list[_Turn])
_LOOSE = msgspec.json.Decoder(list[_LooseTurn])
_LOOSER = msgspec.json.Decoder(list[_LooserTurn])
_NINE = re.compile(r"[A-Za-z0-9]{9}")
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#: An opening where the client has cut the conversation in the middle of a tool's turn.
_OPENING = "Continue."


class Names:
    """Function names as one provider takes them, for one request. `back` maps the new ones to the client's own."""

    __slots__ = ("_allowed", "_forth", "back")

    def __init__(self, allowed: re.Pattern[str] | None) -> None:
        self._allowed = allowed
        self._forth: dict[str, str] = {}
        self.back: dict[str, str] = {}

    def __call__(self, name: str) -> str:
        """The name to send; the same one each time, and never the same for two names."""
        if self._allowed is None:
            return name
        known = self._forth.get(name)
        if known is None:
            known = self._forth[name] = name if self._allowed.fullmatch(name) else self._rewrite(name)
        return known

    def keep(self, names: Iterable[str]) -> None:
        """Names that fit stay, whatever others are rewritten to."""
        if self._allowed is not None:
            self._forth.update((name, name) for name in names if self._allowed.fullmatch(name))

    def learn(self, other: Names) -> None:
        """Takes over what another has decided."""
        self._forth.update(other._forth)
        self.back.update(other.back)

    def _rewrite(self, name: str) -> str:
        assert self._allowed is not None
        plain = re.sub(r"[^A-Za-z0-9_]", "_", name)
        plain = plain if plain[:1].isalpha() or plain[:1] == "_" else f"_{plain}"
        if len(plain) > 64 or plain in self._forth.values():
            plain = f"{plain[:55]}_{hashlib.sha256(name.encode('utf-8', 'replace')).hexdigest()[:8]}"
        self.back[plain] = name
        return plain


class MessageRules:
    """One dialect's `messages` table, made ready."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        self.roles: dict[str, str] = dict(table.get("roles", {}))
        self.keys = _set(table.get("keys"))
        self.call_keys = _set(table.get("call_keys"))
        self.part_keys = _set(table.get("part_keys"))
        self.strip = frozenset(table.get("strip", ())) - frozenset(table.get("strip_not", ()))
        self.thoughts: str = table.get("thoughts", "")
        self.extra: str = table.get("extra", "")
        self.name: str = table["name"]
        self.named_answers: bool = table.get("named_answers", False)
        self.system_first = table["system"] == "first"
        self.last: str = table["last"]
        self.drop_empty = table["empty"] == "drop"
        self.gap: str = table["gap"]
        self.strict_turns = table["turns"] == "strict"
        self.nine = table["call_ids"] == "nine"
        self.signature: str = table.get("signature", "")
        self.signed = Matcher(table.get("signature_models", ()))
        self.strict = self.keys is not None
        renamed = self.strict or "developer" in self.roles
        self._decoder: msgspec.json.Decoder[Any] = _STRICT if self.strict else _LOOSE if renamed else _LOOSER
        self._plain_roles = {"system", "user", "assistant"} if renamed else {"system", "developer", "user", "assistant"}

    def is_plain(self, value: object) -> bool:
        """Nothing in these messages needs a change. False also where that would take a closer look."""
        if isinstance(value, msgspec.Raw):
            try:
                turns = self._decoder.decode(value)
            except (msgspec.DecodeError, RecursionError):
                return False
            return not self.strict or self._is_orderly([turn.role for turn in turns])
        if not isinstance(value, list) or not all(map(self._is_plain_turn, value)):
            return False
        return not self.strict or self._is_orderly([turn["role"] for turn in value])

    def _is_plain_turn(self, turn: object) -> bool:
        if not isinstance(turn, dict) or len(turn) != 2 or turn.get("role") not in self._plain_roles:
            return False
        content = turn.get("content")
        return (isinstance(content, str) and content != "") if self.strict else "content" in turn

    def _is_orderly(self, roles: list[str]) -> bool:
        if len(roles) < 3 and roles[-1:] == ["user"]:
            return True  # what most requests look like
        if self.system_first and "system" in roles[1:]:
            return False
        if self.strict_turns and ("assistant", "assistant") in pairwise(roles):
            return False
        return bool(roles) and (roles[-1] == "user" or (self.last == "user" and roles.count("system") < len(roles)))

    def adapt(self, messages: list[Any], model_id: str, names: Names) -> tuple[list[Message], dict[str, str]]:
        """The conversation as this provider takes it, and the call ids sent -> the client's own where they differ."""
        turns = [turn for message in messages if (turn := self._clean(message, names)) is not None]
        turns = pair(turns, named=self.named_answers)
        if self.keys is not None and "name" not in self.keys:
            turns = [{k: v for k, v in t.items() if k != "name"} if "name" in t else t for t in turns]
        if self.system_first:
            turns = _system_first(turns)
        if self.strict_turns:
            turns = _strict_turns(turns)
        if self.gap:
            turns = _with_gaps(turns, self.gap)
        turns = self._settle_end(turns)
        if self.signature and self.signed(model_id):
            turns = _sign(turns, self.signature)
        return _nine(turns) if self.nine else (turns, {})

    # --- one message --------------------------------------------------------------------------------------------------

    def _clean(self, message: object, names: Names) -> Message | None:
        if not isinstance(message, dict):
            return None
        role = message.get("role")
        role = self.roles.get(role, role) if isinstance(role, str) else role
        if self.keys is None:
            turn = {k: v for k, v in message.items() if k not in self.strip}
        else:
            turn = {k: v for k, v in message.items() if k in self.keys and (v is not None or k == "content")}
        turn["role"] = role
        if self.thoughts and role == "assistant":
            self._return_thoughts(turn, message)
        if role == "tool":
            # By its name an answer may find its call; Ollama's word for it is tool_name.
            turn.pop("tool_name", None)
            turn["name"] = message.get("name") or message.get("tool_name")
        self._clean_name(turn, names)
        if "extra_content" in turn:
            self._own_extra(turn)
        if self.part_keys is not None and isinstance(turn.get("content"), list):
            turn["content"] = self._parts(turn["content"])
        if "tool_calls" in turn:
            self._clean_calls(turn, names)
        if self.drop_empty and not turn.get("content") and "tool_calls" not in turn:
            return {**turn, "content": ""} if role == "tool" else None
        return turn

    def _return_thoughts(self, turn: Message, message: Message) -> None:
        """The model's own thoughts under the name that this provider reads."""
        for field in ("reasoning_content", "reasoning", "thinking"):
            said = message.get(field)
            if isinstance(said, str) and said:
                turn[self.thoughts] = said
                return

    def _clean_name(self, turn: Message, names: Names) -> None:
        name = turn.get("name")
        if turn["role"] == "tool" and isinstance(name, str) and name:
            turn["name"] = names(name)
        elif not name or self.name != "keep":
            turn.pop("name", None)

    def _own_extra(self, holder: dict[str, Any]) -> None:
        """Of `extra_content` only what this provider itself has put there."""
        extra = holder.pop("extra_content")
        if isinstance(extra, dict) and isinstance(extra.get(self.extra), dict):
            holder["extra_content"] = {self.extra: extra[self.extra]}

    def _parts(self, parts: list[Any]) -> list[Any]:
        assert self.part_keys is not None
        cleaned = []
        for part in parts:
            if isinstance(part, dict):
                if part.get("type") == "text" and not part.get("text"):
                    continue  # empty text parts are refused
                part = {k: v for k, v in part.items() if k in self.part_keys}
            cleaned.append(part)
        return cleaned

    def _clean_calls(self, turn: Message, names: Names) -> None:
        calls = turn.pop("tool_calls")
        if not isinstance(calls, list):
            return
        cleaned = [self._call(call, names) for call in calls if isinstance(call, dict)]
        if not cleaned:
            return
        turn["tool_calls"] = cleaned
        if self.strict and not turn.get("content"):
            turn.pop("content", None)

    def _call(self, call: dict[str, Any], names: Names) -> dict[str, Any]:
        if self.call_keys is None:
            kept = {k: v for k, v in call.items() if k not in ("index", "extra_content")}
        else:
            kept = {k: v for k, v in call.items() if k in self.call_keys}
        if "extra_content" in kept:
            self._own_extra(kept)
        kept.setdefault("type", "function")
        function = call.get("function")
        if isinstance(function, dict):
            arguments = function.get("arguments")
            if not isinstance(arguments, str):
                arguments = msgspec.json.encode(arguments).decode() if isinstance(arguments, dict) else "{}"
            kept["function"] = {"name": names(str(function.get("name") or "")), "arguments": arguments or "{}"}
        return kept

    # --- the end ------------------------------------------------------------------------------------------------------

    def _settle_end(self, turns: list[Message]) -> list[Message]:
        """A conversation of system messages alone gets a user; Mistral's last assistant's turn is one to go on with."""
        if self.last == "any" or not turns:
            return turns
        last = turns[-1]
        if all(turn.get("role") == "system" for turn in turns):
            return [*turns[:-1], {**last, "role": "user"}]
        if self.last == "prefix" and last.get("role") == "assistant" and not last.get("tool_calls"):
            # https://docs.mistral.ai/capabilities/completion/prefix, read 2026-11: else error 3230.
            return [*turns[:-1], {**last, "prefix": True}]
        return turns


def _set(keys: Any) -> frozenset[str] | None:
    return None if keys is None else frozenset(keys)


def _system_first(turns: list[Message]) -> list[Message]:
    system = [turn for turn in turns if turn.get("role") == "system"]
    if not system or (len(system) == 1 and turns[0] is system[0]):
        return turns
    text = "\n\n".join(filter(None, (text_of(turn.get("content")) for turn in system)))
    return [{"role": "system", "content": text}, *(turn for turn in turns if turn.get("role") != "system")]


def _strict_turns(turns: list[Message]) -> list[Message]:
    """Gemini: a turn with calls follows a user's turn or a tool's answer directly (a 400 says so otherwise)."""
    merged: list[Message] = []
    for turn in turns:
        if merged and turn.get("role") == merged[-1].get("role") == "assistant":
            merged[-1] = _joined(merged[-1], turn)
        else:
            merged.append(turn)
    out: list[Message] = []
    for turn in merged:
        if turn.get("tool_calls") and (not out or out[-1].get("role") == "system"):
            out.append({"role": "user", "content": _OPENING})
        out.append(turn)
    return out


def _joined(first: Message, second: Message) -> Message:
    """Two turns of the assistant as one; the first has no calls, else its answers would stand between them."""
    texts = [text for text in (text_of(first.get("content")), text_of(second.get("content"))) if text]
    return {**first, **second, "content": "\n\n".join(texts)}


def _with_gaps(turns: list[Message], text: str) -> list[Message]:
    """Mistral's stricter models: "Unexpected role 'user' after role 'tool'"."""
    out: list[Message] = []
    for turn in turns:
        if turn.get("role") == "user" and out and out[-1].get("role") == "tool":
            out.append({"role": "assistant", "content": text})
        out.append(turn)
    return out


def _sign(turns: list[Message], signature: str) -> list[Message]:
    """Only calls after the last user's turn are checked, and of parallel calls only the first."""
    users = [i for i, turn in enumerate(turns) if turn.get("role") == "user"]
    start = users[-1] if users else 0
    return [*turns[:start], *(_signed(t, signature) if t.get("tool_calls") else t for t in turns[start:])]


def _signed(turn: Message, signature: str) -> Message:
    first, *others = turn["tool_calls"]
    extra = first.get("extra_content")
    google = extra.get("google") if isinstance(extra, dict) else None
    if isinstance(google, dict) and google.get("thought_signature"):
        return turn
    return {**turn, "tool_calls": [{**first, "extra_content": {"google": {"thought_signature": signature}}}, *others]}


def _nine(turns: list[Message]) -> tuple[list[Message], dict[str, str]]:
    """Mistral: ids of exactly nine letters and digits (error 3280); the same hash for a call and for its answer."""
    back: dict[str, str] = {}

    def short(own: str) -> str:
        if _NINE.fullmatch(own):
            return own
        number = int.from_bytes(hashlib.sha256(own.encode("utf-8", "replace")).digest()[:8], "big")
        made = ""
        for _ in range(9):
            number, digit = divmod(number, 62)
            made += _DIGITS[digit]
        back[made] = own
        return made

    out = []
    for turn in turns:
        if turn.get("tool_calls"):
            turn = {**turn, "tool_calls": [{**call, "id": short(call["id"])} for call in turn["tool_calls"]]}
        elif turn.get("role") == "tool" and isinstance(turn.get("tool_call_id"), str):
            turn = {**turn, "tool_call_id": short(turn["tool_call_id"])}
        out.append(turn)
    return out, back
