"""Owns everything the operator can set: one frozen tree, read once. Knows no provider and opens no socket.

Sources, strongest first: the environment, `.env` in the working directory, `ollama-proxy.toml` beside it, the defaults
below. This is the only module that reads the environment. Every problem is a SettingsError that names the variable or
the line, never a value: a value may be a key.
"""

from __future__ import annotations

import ipaddress
import math
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dotenv.parser import parse_stream

from ollama_proxy.errors import SettingsError
from ollama_proxy.secret import Secret
from ollama_proxy.types import KeyLimit

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["VARIABLES", "Limits", "ProviderSettings", "Settings", "Timeouts", "Variable", "is_korean", "load"]


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable: its name, what it is for, and what holds without it."""

    name: str
    meaning: str
    default: str


VARIABLES = (
    Variable(
        "<PROVIDER>_API_KEYS", "the provider's keys, separated by commas or newlines", "none: the provider is off"
    ),
    Variable("<PROVIDER>_BASE_URL", "another address for that provider", "the one in the provider table"),
    Variable("PORT", "the port to listen on", "5005"),
    Variable("HOST", "the address to listen on", "127.0.0.1"),
    Variable("PROXY_API_TOKEN", "the token that clients must send", "none; required to listen off loopback"),
    Variable("PROXY_OPEN", "1: listen off loopback without a token, on purpose", "0"),
    Variable("OLLAMA_ORIGINS", "browser origins allowed besides Ollama's defaults, separated by commas", "none"),
    Variable("OLLAMA_KEEP_ALIVE", "how long a model counts as loaded after its last use", "5m"),
    Variable("LOG_LEVEL", "DEBUG, INFO, WARNING or ERROR", "INFO"),
    Variable("DATA_DIR", "where state is kept between runs", "the platform's user-data folder"),
    Variable("OLLAMA_PROXY_CONFIG", "the path of the optional settings file", "ollama-proxy.toml"),
)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. Waiting longer than these has never been seen to help."""

    #: TCP and TLS together; a provider that does not answer in 5 s is down.
    connect_s: float = 5.0
    #: To the first content of a stream; reasoning models think for a minute and more.
    first_content_s: float = 120.0
    #: To the answer of a call that is not streamed: it arrives only when all of it is written.
    answer_s: float = 600.0
    #: Between two pieces of content.
    idle_s: float = 90.0
    #: A whole stream; longer than any honest answer.
    stream_s: float = 3600.0
    #: For a key to become free, before the client is told to come back later.
    key_wait_s: float = 5.0
    #: Of silence, before something meaningless is sent to keep the client's connection.
    heartbeat_s: float = 15.0
    #: For running streams when the server is asked to stop.
    drain_s: float = 120.0
    #: One provider's model list; some take more than 10 s.
    models_s: float = 30.0
    #: Between two looks at the providers' model lists.
    models_refresh_s: float = 3600.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what comes from outside. None is absent."""

    #: Bytes of a request's body: 10 MB of images must pass, 32 MB is no chat any more.
    body_bytes: int = 32 * 1024 * 1024
    #: Bytes of a whole upstream answer.
    answer_bytes: int = 64 * 1024 * 1024
    #: Requests in flight; beyond, 503 at once.
    in_flight: int = 8192
    #: Requests that wait for a key, per model.
    queue: int = 64
    #: Open client connections.
    connections: int = 16384


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """What the operator says of one provider.

    keys: in the order given, without repeats.
    accounts: label of a key -> name of the account it belongs to; keys of one account share its limits.
    proxies: label of a key -> URL of the proxy that its calls leave through.
    limits: how many calls each account may make; the first that fits a model counts.
    table: the provider's table in ollama-proxy.toml, without the parts above.
    """

    name: str
    keys: tuple[Secret, ...] = ()
    base_url: str | None = None
    accounts: Mapping[str, str] = field(default_factory=dict)
    proxies: Mapping[str, str] = field(default_factory=dict)
    limits: tuple[KeyLimit, ...] = ()
    table: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """All there is to set. `slips` are variables that look misspelt."""

    host: str = "127.0.0.1"
    port: int = 5005
    token: Secret | None = None
    origins: tuple[str, ...] = ()
    keep_alive_s: float = 300.0
    log_level: str = "INFO"
    data_dir: Path = field(default_factory=Path)
    korean: bool = False
    providers: Mapping[str, ProviderSettings] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    fallbacks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    proxy_environment: Mapping[str, str] = field(default_factory=dict)
    timeouts: Timeouts = field(default_factory=Timeouts)
    limits: Limits = field(default_factory=Limits)
    slips: tuple[str, ...] = ()
    #: The files that were looked for; a change of one of them is a change of the settings.
    sources: tuple[Path, ...] = ()

    @property
    def loopback(self) -> bool:
        """Only this machine can reach us."""
        return _is_loopback(self.host)


def load(environ: Mapping[str, str] | None = None, folder: Path | None = None) -> Settings:
    """The settings for a start in `folder`.

    Raises: SettingsError for a malformed variable, an unreadable `.env` or settings file.
    """
    folder = Path.cwd() if folder is None else folder
    real = dict(os.environ if environ is None else environ)
    values = {**_read_dotenv(folder / ".env"), **real}
    config_path = values.get("OLLAMA_PROXY_CONFIG")
    config_file = folder / (config_path or "ollama-proxy.toml")
    config = _read_toml(config_file, required=bool(config_path))
    host = _text(values, "HOST") or str(config.get("host", "127.0.0.1"))
    port = _port(values, config)
    token = _token(values, host)
    return Settings(
        host=host,
        port=port,
        token=token,
        origins=_origins(values),
        keep_alive_s=_keep_alive(values),
        log_level=_log_level(values),
        data_dir=_data_dir(values),
        korean=is_korean(values),
        providers=_providers(values, config),
        aliases=_strings(config, "aliases"),
        fallbacks=_fallbacks(config),
        proxy_environment={k: v for k, v in values.items() if k.lower().endswith("_proxy")},
        timeouts=_numbers(Timeouts, config, "timeouts"),
        limits=_numbers(Limits, config, "limits"),
        slips=tuple(_slips(values)),
        sources=(folder / ".env", config_file),
    )


# --- files ------------------------------------------------------------------------------------------------------------


def _read_dotenv(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise SettingsError.of("not_utf8", file=path.name) from None
    except OSError as error:
        raise SettingsError.of("unreadable", file=path.name, reason=error.strerror) from None
    found: dict[str, str] = {}
    for binding in parse_stream(StringIO(text)):
        if binding.error:
            raise SettingsError.of("env_line", file=path.name, line=binding.original.line)
        if binding.key is not None and binding.value is not None:
            found[binding.key] = binding.value
    return found


def _read_toml(path: Path, *, required: bool) -> dict[str, Any]:
    if not required and not path.exists():
        return {}
    try:
        config: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SettingsError.of("not_toml", file=path.name, reason=error) from None
    except OSError as error:
        raise SettingsError.of("unreadable", file=path.name, reason=error.strerror) from None
    return config


# --- single values ----------------------------------------------------------------------------------------------------


def _text(values: Mapping[str, str], name: str) -> str:
    """A value without the blanks and quotes that env files of other tools leave around it."""
    return _unquoted(values.get(name, ""))


def _unquoted(text: str) -> str:
    text = text.strip()
    while len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'":
        text = text[1:-1].strip()
    return text


def _port(values: Mapping[str, str], config: Mapping[str, Any]) -> int:
    text = _text(values, "PORT") or str(config.get("port", 5005))
    if not (text.isascii() and text.isdigit() and int(text) <= 65535):
        raise SettingsError.of("bad_port")
    return int(text)


def _token(values: Mapping[str, str], host: str) -> Secret | None:
    text = _text(values, "PROXY_API_TOKEN")
    if text:
        if not text.isascii() or any(c.isspace() or c in "/?#" for c in text):
            raise SettingsError.of("bad_token")
        return Secret(text, "PROXY_API_TOKEN")
    if not _is_loopback(host) and _text(values, "PROXY_OPEN") != "1":
        raise SettingsError.of("token_needed", host=host)
    return None


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _origins(values: Mapping[str, str]) -> tuple[str, ...]:
    origins = tuple(o for o in (_unquoted(o) for o in _text(values, "OLLAMA_ORIGINS").split(",")) if o)
    for origin in origins:
        if "*" not in origin and "://" not in origin:
            raise SettingsError.of("bad_origin", origin=origin)
    return origins


_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def _keep_alive(values: Mapping[str, str]) -> float:
    """Seconds; inf for a negative value, as in Ollama."""
    text = _text(values, "OLLAMA_KEEP_ALIVE") or "5m"
    sign, digits = (-1.0, text[1:]) if text.startswith("-") else (1.0, text)
    parts = _DURATION.findall(digits)
    if parts and "".join(n + u for n, u in parts) == digits:
        seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    else:
        try:
            seconds = float(digits)
        except ValueError:
            raise SettingsError.of("bad_keep_alive") from None
    return float("inf") if sign < 0 else seconds


def _log_level(values: Mapping[str, str]) -> str:
    level = (_text(values, "LOG_LEVEL") or "INFO").upper()
    if level not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
        raise SettingsError.of("bad_log_level")
    return level


def _data_dir(values: Mapping[str, str]) -> Path:
    chosen = _text(values, "DATA_DIR")
    if chosen:
        return Path(chosen).expanduser()
    home = Path(values.get("HOME") or values.get("USERPROFILE") or ".")
    if sys.platform == "win32":
        base = Path(values.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = home / "Library" / "Application Support"
    else:
        base = Path(values.get("XDG_DATA_HOME") or home / ".local" / "share")
    return base / "ollama-proxy"


def is_korean(values: Mapping[str, str]) -> bool:
    """The first of the locale variables that says something decides, as in gettext; else the machine's own setting."""
    for name in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        if values.get(name):
            return values[name].lower().startswith("ko")
    if sys.platform == "win32":
        import ctypes

        # The low ten bits of a Windows language id are the language; 0x12 is Korean.
        return (ctypes.windll.kernel32.GetUserDefaultUILanguage() & 0x3FF) == 0x12
    return False


# --- providers --------------------------------------------------------------------------------------------------------

_KEYS_VARIABLE = re.compile(r"^([A-Z][A-Z0-9_]*)_API_KEYS$")


def _providers(values: Mapping[str, str], config: Mapping[str, Any]) -> dict[str, ProviderSettings]:
    """Every provider that has keys or a table; whether its name means anything is for the provider table to say."""
    tables = config.get("providers", {})
    if not isinstance(tables, dict) or not all(isinstance(t, dict) for t in tables.values()):
        raise SettingsError.of("toml_tables")
    named = {m[1].lower() for m in map(_KEYS_VARIABLE.match, values) if m}
    found = {}
    for name in sorted(named | set(tables)):
        provider = _provider(name, values, dict(tables[name]) if name in tables else None)
        if provider.keys or provider.table is not None:
            found[name] = provider
    return found


def _provider(name: str, values: Mapping[str, str], table: dict[str, Any] | None) -> ProviderSettings:
    prefix = name.upper().replace("-", "_")
    keys = _keys(f"{prefix}_API_KEYS", values.get(f"{prefix}_API_KEYS", ""), name)
    base_url = _text(values, f"{prefix}_BASE_URL") or None
    if base_url is not None:
        _check_url(f"{prefix}_BASE_URL", base_url)
    rest = dict(table or {})
    accounts = rest.pop("accounts", {})
    proxies = rest.pop("proxies", {})
    for what, part in (("accounts", accounts), ("proxies", proxies)):
        if not isinstance(part, dict) or not all(isinstance(v, str) for v in part.values()):
            raise SettingsError.of("toml_map", section=f"providers.{name}.{what}")
    limits = _key_limits(f"providers.{name}.limits", rest.pop("limits", {}))
    return ProviderSettings(name, keys, base_url, accounts, proxies, limits, rest if table is not None else None)


_SPANS = ("per_minute", "per_day")


def _key_limits(section: str, table: object) -> tuple[KeyLimit, ...]:
    """The limits of single models, as they stand, then the one for all others, whose numbers hold where they say none.

    Raises: SettingsError naming the section.
    """
    if not isinstance(table, dict):
        raise SettingsError.of("toml_key_limits", section=section)
    plain = {name: value for name, value in table.items() if name in _SPANS}
    found = []
    for pattern, numbers in [*((n, v) for n, v in table.items() if n not in _SPANS), ("*", plain)]:
        if not isinstance(numbers, dict) or not numbers.keys() <= set(_SPANS):
            raise SettingsError.of("toml_key_limits", section=section)
        if any(isinstance(v, bool) or not isinstance(v, int) or v <= 0 for v in numbers.values()):
            raise SettingsError.of("toml_key_limits", section=section)
        if numbers:
            found.append(KeyLimit(pattern, **{**plain, **numbers}))
    return tuple(found)


def _keys(variable: str, text: str, provider: str) -> tuple[Secret, ...]:
    """The keys of one variable. A key is named by its place, never by its value."""
    keys: dict[str, Secret] = {}
    pieces = [_unquoted(p) for p in re.split(r"[,\n\r]|\\n", _unquoted(text))]
    for key in filter(None, (p.strip("\"' \t") for p in pieces)):
        # The file of a sign-in may have any name.
        if not key.isprintable() or (not key.startswith("oauth:") and (not key.isascii() or " " in key)):
            raise SettingsError.of("bad_key", variable=variable, number=len(keys) + 1)
        keys.setdefault(key, Secret(key, f"{provider}#{len(keys) + 1}"))
    return tuple(keys.values())


def _check_url(variable: str, url: str) -> None:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable or "@" in url or "?" in url or "#" in url:
        raise SettingsError.of("bad_url", variable=variable)


def _slips(values: Mapping[str, str]) -> list[str]:
    """Variables that are likely slips: the name without its last letter; nothing to stop for."""
    return [
        name
        for name in (
            "GOOGLE_API_KEY",
            "OPENROUTER_API_KEY",
            "AKASH_API_KEY",
            "COHERE_API_KEY",
            "CODESTRAL_API_KEY",
            "QWEN_API_KEY",
        )
        if values.get(name) and not values.get(name + "S")
    ]


# --- the settings file ------------------------------------------------------------------------------------------------


def _strings(config: Mapping[str, Any], section: str) -> dict[str, str]:
    table = config.get(section, {})
    if not isinstance(table, dict) or not all(isinstance(v, str) for v in table.values()):
        raise SettingsError.of("toml_map", section=section)
    return dict(table)


def _fallbacks(config: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    table = config.get("fallbacks", {})
    if not isinstance(table, dict) or not all(
        isinstance(chain, list) and all(isinstance(name, str) for name in chain) for chain in table.values()
    ):
        raise SettingsError.of("toml_fallbacks")
    return {name: tuple(chain) for name, chain in table.items()}


def _numbers(kind: type[Any], config: Mapping[str, Any], section: str) -> Any:
    """A tree of numbers from its section; unknown names and other types are refused by name."""
    table = config.get(section, {})
    known = {f.name for f in fields(kind)}
    if not isinstance(table, dict):
        raise SettingsError.of("toml_table", section=section)
    for name, value in table.items():
        if name not in known:
            raise SettingsError.of("toml_unknown", section=section, name=name, known=", ".join(sorted(known)))
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
            raise SettingsError.of("toml_number", section=section, name=name)
    return kind(**table)
