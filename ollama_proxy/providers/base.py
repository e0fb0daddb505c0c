"""Owns what a provider is to the rest of the proxy: where it is, how it is asked, what its answers mean.

A provider is data: a table of catalog.toml (or of the operator's own file) and the tables that it names. Knows no
socket, no clock and no key; whoever calls brings the time and the key's text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ollama_proxy.errors import BadRequest
from ollama_proxy.outcome import OK, Kind, Outcome, Reply, Scope
from ollama_proxy.providers.allowances import allowance_left
from ollama_proxy.providers.known import KnownModels
from ollama_proxy.providers.listing import read_models
from ollama_proxy.providers.profile import Draft, Profile
from ollama_proxy.providers.refusals import Judge
from ollama_proxy.providers.tables import Matcher
from ollama_proxy.providers.waits import clamp, spent_for, until
from ollama_proxy.types import Body, Headers, Model, Operation

__all__ = ["Prepared", "Provider"]

#: Inputs that one embeddings call takes where a table does not say: OpenAI's own limit (API reference, read 2026-11).
_EMBED_BATCH = 2048
_PATHS = {"chat": "/chat/completions", "embeddings": "/embeddings", "models": "/models"}
_SAID = {
    Operation.CHAT: "chat",
    Operation.FIM: "fill-in-the-middle (a prompt with a suffix)",
    Operation.EMBEDDINGS: "embeddings",
}


class Prepared(msgspec.Struct, frozen=True, gc=False):
    """A request as one provider takes it.

    path: joined to `base_url`. headers: besides the key's own.
    dropped: names of fields that the provider does not take, or not as they were, fit to stand in a header.
    names, ids: function names and call ids as sent -> as the client knows them, where they differ; an answer that
    names a function by the new name means the client's.
    stream: what was asked for. True although the caller said False where a provider can only stream: the answer is
    then SSE and has to be collected.
    """

    path: str
    body: Body
    dropped: tuple[str, ...]
    headers: Headers
    names: Mapping[str, str]
    ids: Mapping[str, str]
    stream: bool


_NOTHING: Mapping[str, str] = {}


class Provider:
    """One upstream. Immutable; safe to share.

    name: before the colon in model names. title, note, key_page: for people.
    remembers: wants things back with a tool call that clients drop; the proxy keeps them.
    embed_batch: how many inputs one embeddings call takes.
    keys_variable: the environment variable that holds its keys. keyless: may be called without one.
    seed: one of the six that need no settings file.
    oauth_token_url: where the tokens of a sign-in (`oauth:PATH` among the keys) are renewed; "" where there is none.
    list_base_url: where `models_path` lies; not always under `base_url`.
    rate_scope, daily_scope: whom a limit concerns where the answer does not say.
    day_ends: when daily allowances return, as "midnight ZONE"; "" where nobody knows.
    """

    def __init__(self, name: str, table: Mapping[str, Any], profile: Mapping[str, Any], known: KnownModels) -> None:
        self.name = name
        self.title: str = table.get("title", name)
        self.base_url: str = str(table["base_url"]).rstrip("/")
        self.key_page: str = table.get("key_page", "")
        self.note: str = table.get("note", "")
        self.keyless: bool = table.get("keyless", False)
        self.remembers: bool = table.get("remembers", False)
        self.embed_batch: int = table.get("embed_batch", _EMBED_BATCH)
        self.seed: bool = table.get("seed", False)
        self.oauth_token_url: str = table.get("oauth_token_url", "")
        self.keys_variable = f"{name.upper().replace('-', '_')}_API_KEYS"
        self.rate_scope = Scope(table.get("rate_scope", "key+model"))
        self.daily_scope = Scope(table.get("daily_scope", "key+model"))
        self.day_ends: str = table.get("day_ends", "")
        self._limit_header: bytes = table.get("limit_header", "").lower().encode()
        self.headers: Headers = [(k.lower().encode(), v.encode()) for k, v in table.get("headers", {}).items()]
        auth = table.get("auth", {})
        self._auth_header = str(auth.get("header", "authorization")).lower().encode()
        self._auth_prefix = str(auth.get("prefix", "Bearer ")).encode()
        self._paths: dict[str, str] = dict(table.get("paths", _PATHS))
        self._chat_path = self._paths.get("chat", "")
        self.list_base_url, self.models_path = self._where_models_are(table.get("list"))
        self._groups = [(group, Matcher([pattern])) for group, pattern in table.get("groups", {}).items()]
        self._models = tuple(table.get("models", ()))
        self._profile = Profile(profile)
        self._judge = Judge(table.get("refusals", ()))
        self._known = known

    def __repr__(self) -> str:
        return f"Provider({self.name}: {self.base_url})"

    # --- asking -------------------------------------------------------------------------------------------------------

    def offers(self, operation: Operation) -> bool:
        """Whether there is a path for this operation."""
        return bool(self._paths.get(operation.value))

    def prepare(
        self, operation: Operation, model_id: str, body: Body, stream: bool, model: Model | None = None
    ) -> Prepared:
        """The request as this provider takes it, with model and stream added. Never touches `body`.

        Raises: BadRequest where the operation is not offered, or the body is nested too deeply to be looked into.
        """
        rules = self._profile.rules(model_id)
        try:
            if operation is Operation.CHAT:
                path, fields = self._chat_path, rules.chat
                draft = rules.adapt_chat(model_id, body, model, stream=stream)
            else:
                path, fields = self._paths.get(operation.value, ""), rules.others[operation]
                draft = rules.adapt_other(fields, body, model, stream=stream)
        except RecursionError:
            raise BadRequest("The request is nested too deeply.") from None
        if not path:
            raise BadRequest(f"{self.title} does not offer {_SAID[operation]}.", code="unsupported")
        if draft is not None:
            return self._from_draft(path, operation, model_id, draft)
        out = {"model": model_id, **body, "stream": stream}
        out["model"] = model_id
        for name in fields.quiet:
            out.pop(name, None)
        if operation is Operation.EMBEDDINGS:
            del out["stream"]
        return Prepared(path, out, (), self.headers, _NOTHING, _NOTHING, stream)

    def _from_draft(self, path: str, operation: Operation, model_id: str, draft: Draft) -> Prepared:
        out = {"model": model_id, **draft.out, "stream": draft.stream}
        if operation is Operation.EMBEDDINGS:
            del out["stream"]
        return Prepared(path, out, tuple(draft.dropped), self.headers, draft.names, draft.ids, draft.stream)

    def auth(self, secret_text: str) -> tuple[bytes, bytes]:
        """The header that carries a key. Only this one: Gemini refuses a request that carries two."""
        return self._auth_header, self._auth_prefix + secret_text.encode()

    # --- understanding ------------------------------------------------------------------------------------------------

    def classify(self, reply: Reply, model_id: str, wall: float) -> Outcome:
        """What an answer that did not serve means; `wall` is epoch seconds.

        An error inside a 2xx is judged by its own code. A stream is handed here only when it failed. With an empty
        model id the model list was asked for: a list that is not there is a CALLER outcome with code NO_LIST.
        """
        return self._judge.judge(reply, model_id, wall)

    def foresee(self, headers: Mapping[bytes, bytes], wall: float) -> Outcome:
        """What a good answer's headers foretell: OK, with a wait where it used up the last of an allowance.

        And with the limit per minute, where the provider tells it and much of it is used up.
        """
        wait = clamp(spent_for(headers, wall))
        told = allowance_left(headers, self._limit_header) if self._limit_header else None
        return OK if wait is None and told is None else Outcome(Kind.OK, wait_s=wait, allowance=told)

    def day_left(self, wall: float) -> float | None:
        """Seconds until daily allowances return here; None where nobody knows."""
        return until(self.day_ends, wall) if self.day_ends else None

    def group(self, model_id: str) -> str | None:
        """The quota group of a model (`:free` and `paid` at OpenRouter); None where a provider has no groups."""
        if not self._groups:
            return None
        return next((group for group, fits in self._groups if fits(model_id)), None)

    # --- models -------------------------------------------------------------------------------------------------------

    def parse_models(self, body: bytes) -> tuple[list[Model], str | None]:
        """The models in a list, and the path of its next page (under `list_base_url`).

        Raises: UpstreamJunk for a body that is no list.
        """
        return read_models(body, self.name, self._known, self.models_path or "")

    def known_models(self, ids: Sequence[str] = ()) -> list[Model]:
        """The models to show where no list can be had: these, else the operator's table's, else the built-in ones."""
        if ids or self._models:
            return [self._known.describe(self.name, model_id) for model_id in ids or self._models]
        return self._known.offered(self.name)

    def _where_models_are(self, native: Mapping[str, str] | None) -> tuple[str, str | None]:
        """Base and path of the list. The native one where the base ends as the table knows it, else the compatible."""
        if native and self.base_url.endswith(native["instead_of"]):
            return self.base_url.removesuffix(native["instead_of"]), native["path"]
        return self.base_url, self._paths.get("models") or None
