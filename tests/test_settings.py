"""Settings: what each source means, which wins, and how every mistake is told."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ollama_proxy.errors import SettingsError
from ollama_proxy.settings import Settings, load
from ollama_proxy.types import KeyLimit


def keys(settings: Settings, provider: str) -> list[str]:
    return [key.reveal() for key in settings.providers[provider].keys]


def refusal(tmp_path: Path, **environ: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load(environ, tmp_path)
    return caught.value.message


def test_nothing_set_means_the_documented_defaults(tmp_path: Path) -> None:
    """Without any variable the server listens on 127.0.0.1:5005 with no provider."""
    settings = load({}, tmp_path)
    assert (settings.host, settings.port, settings.token, dict(settings.providers)) == ("127.0.0.1", 5005, None, {})
    assert settings.loopback


@pytest.mark.parametrize(
    "text",
    ["k1,k2", '"k1,k2"', "'k1', 'k2'", "k1\nk2", "k1,\n k2\n", '"k1","k2"', " k1 ,, k2 ,", "k1,k2,k1", "k1\\nk2"],
)
def test_keys_are_separated_by_commas_or_newlines_and_quotes_do_not_count(tmp_path: Path, text: str) -> None:
    """Every spelling that env files of other tools produce gives the same two keys, repeats once."""
    assert keys(load({"GOOGLE_API_KEYS": text}, tmp_path), "google") == ["k1", "k2"]


def test_dotenv_gives_keys_over_several_lines(tmp_path: Path) -> None:
    """A quoted value in .env may span lines."""
    (tmp_path / ".env").write_text('# keys\nGOOGLE_API_KEYS="k1,\nk2\nk3"\nPORT=6000\nexport HOST=localhost\n')
    settings = load({}, tmp_path)
    assert keys(settings, "google") == ["k1", "k2", "k3"]
    assert (settings.port, settings.host) == (6000, "localhost")


def test_the_file_of_a_sign_in_may_have_any_name(tmp_path: Path) -> None:
    """An entry `oauth:PATH` stands among the keys; its path may hold blanks and letters that no key has."""
    settings = load({"QWEN_API_KEYS": "k1, oauth:/home/홍 길동/oauth_creds.json ,oauth"}, tmp_path)
    assert keys(settings, "qwen") == ["k1", "oauth:/home/홍 길동/oauth_creds.json", "oauth"]
    assert repr(settings.providers["qwen"].keys) == "(qwen#1, qwen#2, qwen#3)"


def test_the_real_environment_wins_over_dotenv(tmp_path: Path) -> None:
    """A variable in both places has the environment's value."""
    (tmp_path / ".env").write_text("PORT=6000\nGOOGLE_API_KEYS=from-file\n")
    settings = load({"PORT": "7000"}, tmp_path)
    assert settings.port == 7000
    assert keys(settings, "google") == ["from-file"]


def test_a_dollar_sign_in_a_key_is_kept(tmp_path: Path) -> None:
    """Nothing is interpolated: a key is taken letter by letter."""
    (tmp_path / ".env").write_text("GOOGLE_API_KEYS=a$b${HOME}c\n")
    assert keys(load({}, tmp_path), "google") == ["a$b${HOME}c"]


def test_a_byte_order_mark_and_crlf_do_not_hurt(tmp_path: Path) -> None:
    """A .env saved by a Windows editor is read."""
    (tmp_path / ".env").write_bytes(b"\xef\xbb\xbfGOOGLE_API_KEYS=k1,k2\r\nPORT=6001\r\n")
    settings = load({}, tmp_path)
    assert keys(settings, "google") == ["k1", "k2"]
    assert settings.port == 6001


def test_a_line_that_is_not_understood_is_named_by_its_number(tmp_path: Path) -> None:
    """A malformed .env says which line, and never what stood there."""
    (tmp_path / ".env").write_text("PORT=1\nGOOGLE_API_KEYS='secret-canary\n")
    message = refusal(tmp_path)
    assert "line 2" in message
    assert "canary" not in message


def test_a_dotenv_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """Bytes that are not UTF-8 give one clear sentence."""
    (tmp_path / ".env").write_bytes(b"PORT=\xff\xfe\n")
    assert "UTF-8" in refusal(tmp_path)


def test_a_dotenv_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    """A folder in the file's place is reported, not ignored."""
    (tmp_path / ".env").mkdir()
    assert "cannot be read" in refusal(tmp_path)


def test_a_mistake_is_told_in_korean_too(tmp_path: Path) -> None:
    """Every refusal of the settings has both languages, with the same names in them."""
    with pytest.raises(SettingsError) as caught:
        load({"PORT": "x"}, tmp_path)
    assert "PORT" in caught.value.korean
    assert caught.value.korean != caught.value.message


@pytest.mark.parametrize("port", ["http", "-1", "70000", "5005.0", "٣"])
def test_a_port_that_is_none_is_refused_by_name(tmp_path: Path, port: str) -> None:
    """PORT must be a whole number in range."""
    assert "PORT" in refusal(tmp_path, PORT=port)


@pytest.mark.parametrize("key", ["two words", "ke\x00y", "키키", "a\tb"])
def test_a_key_that_cannot_be_one_is_named_by_place_not_value(tmp_path: Path, key: str) -> None:
    """F89: a blank, a control character or a foreign letter in a key stops the start; the value is not shown."""
    message = refusal(tmp_path, COHERE_API_KEYS=f"good-key-1,{key}")
    assert "COHERE_API_KEYS" in message
    assert "number 2" in message
    assert key not in message


def test_listening_off_loopback_needs_a_token(tmp_path: Path) -> None:
    """P10: another address than loopback is refused without PROXY_API_TOKEN, unless PROXY_OPEN=1 says so."""
    assert "PROXY_API_TOKEN" in refusal(tmp_path, HOST="0.0.0.0")
    assert load({"HOST": "0.0.0.0", "PROXY_OPEN": "1"}, tmp_path).token is None
    token = load({"HOST": "0.0.0.0", "PROXY_API_TOKEN": "a-long-token"}, tmp_path).token
    assert token is not None
    assert token.reveal() == "a-long-token"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.9.9.9"])
def test_loopback_needs_no_token(tmp_path: Path, host: str) -> None:
    """Every spelling of loopback starts without a token."""
    assert load({"HOST": host}, tmp_path).loopback


@pytest.mark.parametrize(
    "url", ["ftp://x/v1", "host/v1", "https://", "https://u:p@h/v1", "http://h:99999/v1", "http://h/?a=1"]
)
def test_a_base_url_that_cannot_be_called_is_refused_by_name(tmp_path: Path, url: str) -> None:
    """F88: only plain http and https addresses can be set."""
    assert "GOOGLE_BASE_URL" in refusal(tmp_path, GOOGLE_API_KEYS="k", GOOGLE_BASE_URL=url)


def test_origins_need_a_scheme_or_a_star(tmp_path: Path) -> None:
    """A bad entry stops the start, as in Ollama."""
    assert load({"OLLAMA_ORIGINS": "https://a.example,*"}, tmp_path).origins == ("https://a.example", "*")
    assert "OLLAMA_ORIGINS" in refusal(tmp_path, OLLAMA_ORIGINS="a.example")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("5m", 300.0), ("1h30m", 5400.0), ("300", 300.0), ("-1", float("inf")), ("500ms", 0.5), ("0", 0.0)],
)
def test_keep_alive_takes_durations_and_seconds(tmp_path: Path, text: str, seconds: float) -> None:
    """OLLAMA_KEEP_ALIVE reads as in Ollama."""
    assert load({"OLLAMA_KEEP_ALIVE": text}, tmp_path).keep_alive_s == seconds


def test_a_wrong_keep_alive_is_refused(tmp_path: Path) -> None:
    """A text that is no duration is named."""
    assert "OLLAMA_KEEP_ALIVE" in refusal(tmp_path, OLLAMA_KEEP_ALIVE="soon")


def test_a_wrong_log_level_is_refused(tmp_path: Path) -> None:
    """LOG_LEVEL takes four words."""
    assert load({"LOG_LEVEL": "debug"}, tmp_path).log_level == "DEBUG"
    assert "LOG_LEVEL" in refusal(tmp_path, LOG_LEVEL="chatty")


@pytest.mark.parametrize(
    ("environ", "korean"),
    [
        ({"LANG": "ko_KR.UTF-8"}, True),
        ({"LANG": "en_US.UTF-8"}, False),
        ({"LC_ALL": "ko_KR", "LANG": "C"}, True),
        ({"LANGUAGE": "ko:en"}, True),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has its own setting")
def test_the_locale_decides_the_language(tmp_path: Path, environ: dict[str, str], korean: bool) -> None:
    """The first locale variable that is set decides."""
    assert load(environ, tmp_path).korean is korean


def test_the_settings_file_adds_what_variables_cannot_say(tmp_path: Path) -> None:
    """Aliases, fallbacks, accounts, proxies and further providers come from ollama-proxy.toml."""
    (tmp_path / "ollama-proxy.toml").write_text(
        """
        [aliases]
        small = "google:gemini-2.5-flash"
        [fallbacks]
        small = ["cohere:command-a"]
        [timeouts]
        idle_s = 7
        [providers.groq]
        [providers.mine]
        base_url = "https://mine.example/v1"
        [providers.google.accounts]
        "google#1" = "one"
        [providers.google.proxies]
        "google#1" = "http://127.0.0.1:3128"
        """
    )
    settings = load({"GOOGLE_API_KEYS": "k1", "MINE_API_KEYS": "k9"}, tmp_path)
    assert settings.aliases == {"small": "google:gemini-2.5-flash"}
    assert settings.fallbacks == {"small": ("cohere:command-a",)}
    assert settings.timeouts.idle_s == 7
    assert settings.providers["mine"].table == {"base_url": "https://mine.example/v1"}
    assert keys(settings, "mine") == ["k9"]
    assert settings.providers["google"].accounts == {"google#1": "one"}
    assert settings.providers["google"].proxies == {"google#1": "http://127.0.0.1:3128"}
    assert settings.providers["groq"].table == {}


def test_limits_of_a_key_hold_for_every_model_or_for_some(tmp_path: Path) -> None:
    """The first that fits counts; what it does not say is taken from the numbers for all."""
    (tmp_path / "ollama-proxy.toml").write_text(
        """
        [providers.google.limits]
        per_minute = 5
        "*-lite" = { per_day = 500 }
        per_day = 20
        """
    )
    limits = load({"GOOGLE_API_KEYS": "k1"}, tmp_path).providers["google"].limits
    assert limits == (KeyLimit("*-lite", per_minute=5, per_day=500), KeyLimit("*", per_minute=5, per_day=20))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[aliases", "TOML"),
        ("aliases = 3", "aliases"),
        ("[fallbacks]\na = 'b'", "fallbacks"),
        ("[timeouts]\nidle = 3", "idle"),
        ("[timeouts]\nidle_s = 'x'", "idle_s"),
        ("[timeouts]\nidle_s = 0", "idle_s"),
        ("providers = 1", "providers"),
        ("[providers.google]\naccounts = 1", "accounts"),
        ("[providers.google]\nlimits = 1", "providers.google.limits"),
        ("[providers.google.limits]\nper_minute = 0", "providers.google.limits"),
        ("[providers.google.limits]\nper_day = true", "providers.google.limits"),
        ("[providers.google.limits]\nflash = 3", "providers.google.limits"),
        ("[providers.google.limits]\nflash = { per_hour = 3 }", "providers.google.limits"),
    ],
)
def test_a_wrong_settings_file_is_refused_by_name(tmp_path: Path, text: str, named: str) -> None:
    """Each mistake in the file is named."""
    (tmp_path / "ollama-proxy.toml").write_text(text)
    assert named in refusal(tmp_path)


def test_a_settings_file_that_was_asked_for_must_exist(tmp_path: Path) -> None:
    """OLLAMA_PROXY_CONFIG names a file; a missing one is no default."""
    assert "other.toml" in refusal(tmp_path, OLLAMA_PROXY_CONFIG="other.toml")


def test_a_likely_slip_is_pointed_out(tmp_path: Path) -> None:
    """GOOGLE_API_KEY without S is noticed and does nothing."""
    settings = load({"GOOGLE_API_KEY": "k"}, tmp_path)
    assert settings.slips == ("GOOGLE_API_KEY",)
    assert dict(settings.providers) == {}


def test_no_way_of_printing_settings_shows_a_key(tmp_path: Path) -> None:
    """P9: repr and str of the whole tree hold labels only."""
    settings = load({"GOOGLE_API_KEYS": "canary-key-1,canary-key-2", "PROXY_API_TOKEN": "canary-token"}, tmp_path)
    shown = f"{settings!r} {settings} {settings.providers}"
    assert "canary" not in shown
    assert "google#2" in shown
