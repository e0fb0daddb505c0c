"""Owns the list of providers: who can be called. Reading it opens no socket and needs no key.

A provider is added by a table alone, here in catalog.toml or as [providers.NAME] in the operator's file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ollama_proxy.errors import SettingsError
from ollama_proxy.outcome import Scope
from ollama_proxy.providers.base import Prepared, Provider
from ollama_proxy.providers.known import KnownModels, known_models
from ollama_proxy.providers.profile import profile_table
from ollama_proxy.providers.refusals import NO_LIST
from ollama_proxy.providers.tables import join, read_table

__all__ = ["NO_LIST", "KnownModels", "Prepared", "Provider", "known_models", "load"]

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
#: Keys of a table that say how requests are changed; they lie over the profile.
_PROFILE_KEYS = ("chat", "fim", "embeddings", "messages", "tools", "reasoning", "variant")
_KINDS: dict[str, type | tuple[type, ...]] = {
    "title": str,
    "base_url": str,
    "key_page": str,
    "auth": dict,
    "keyless": bool,
    "remembers": bool,
    "embed_batch": int,
    "oauth_token_url": str,
    "seed": bool,
    "paths": dict,
    "list": dict,
    "profile": str,
    "refusals": list,
    "rate_scope": str,
    "daily_scope": str,
    "day_ends": str,
    "limit_header": str,
    "groups": dict,
    "headers": dict,
    "models": list,
    "note": str,
    "source": str,
    "read": str,
    **dict.fromkeys(_PROFILE_KEYS, (dict, list)),
}


def load(
    extra_tables: Mapping[str, Mapping[str, Any]] | None = None, only: Iterable[str] | None = None
) -> dict[str, Provider]:
    """Every provider by name: the built-in tables, with the operator's own laid over them or added.

    only: names to make ready, for a start that needs no others (default: all).

    Raises: SettingsError naming the table and the key that cannot be used.
    """
    tables = dict(read_table("catalog"))
    for name, table in (extra_tables or {}).items():
        _check(name, table, known=name in tables)
        tables[name] = join(tables.get(name, {}), table)
    wanted = tables if only is None else {name: tables[name] for name in only if name in tables}
    known = known_models()
    return {name: _made(name, table, known) for name, table in wanted.items()}


def _made(name: str, table: Mapping[str, Any], known: KnownModels) -> Provider:
    try:
        return _provider(name, table, known)
    except (AttributeError, KeyError, TypeError, ValueError, re.error) as error:
        raise SettingsError(f"ollama-proxy.toml: [providers.{name}] cannot be used: {error}") from None


def _provider(name: str, table: Mapping[str, Any], known: KnownModels) -> Provider:
    over = {key: table[key] for key in _PROFILE_KEYS if key in table}
    return Provider(name, table, profile_table(table.get("profile", "openai"), over), known)


def _check(name: str, table: Mapping[str, Any], *, known: bool) -> None:
    """Refuses what cannot work, by name."""
    where = f"ollama-proxy.toml: [providers.{name}]"
    if not _NAME.fullmatch(name):
        raise SettingsError(f"{where}: a provider's name is lower-case letters, digits, '-' and '_', at most 32.")
    if not known and "base_url" not in table:
        raise SettingsError(f"{where}: base_url is missing: the address under which /chat/completions lies.")
    for key, value in table.items():
        kind = _KINDS.get(key)
        if kind is None:
            raise SettingsError(f"{where}: {key!r} is not known. Known are: {', '.join(sorted(_KINDS))}.")
        if not isinstance(value, kind):
            raise SettingsError(f"{where}: {key} has the wrong type.")
    _check_words(where, table)


def _check_words(where: str, table: Mapping[str, Any]) -> None:
    for key in ("base_url", "oauth_token_url"):
        url = table.get(key, "https://")
        if not url.startswith(("http://", "https://")) or any(c in url for c in "?#@ "):
            raise SettingsError(f"{where}: {key} must be an address such as https://host/v1.")
    if not re.fullmatch(r"midnight [A-Za-z0-9_+/-]+", table.get("day_ends", "midnight UTC")):
        raise SettingsError(f'{where}: day_ends must be "midnight" and a zone, such as "midnight Europe/Paris".')
    scopes = [scope.value for scope in Scope if scope.value.startswith("key")]
    for key in ("rate_scope", "daily_scope"):
        if table.get(key, "key") not in scopes:
            raise SettingsError(f"{where}: {key} must be one of {', '.join(scopes)}.")
    for key, tables in (("profile", [table.get("profile", "openai")]), ("refusals", table.get("refusals", []))):
        unknown = [word for word in tables if word not in read_table("profiles" if key == "profile" else "refusals")]
        if unknown:
            raise SettingsError(f"{where}: {key} {unknown[0]!r} is not known.")
