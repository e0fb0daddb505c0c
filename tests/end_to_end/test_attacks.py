"""What an attacker found: each of these once ended in a 500, a stopped start, a wrong count or memory without end."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ollama_proxy.errors import SettingsError
from ollama_proxy.simulator import SimulatorThread
from ollama_proxy.store import Documents
from ollama_proxy.texts import Texts
from tests.support.running import RunningProxy

M = "google:gemini-2.5-flash"
ASK = [{"role": "user", "content": "hi"}]
HUGE = b"9" * 6000


@pytest.fixture(scope="module")
def proxy(simulator: SimulatorThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProxy]:
    env = simulator.env({"google": ["one"], "akash": ["one"]})
    with RunningProxy(env, tmp_path_factory.mktemp("proxy")) as running:
        yield running


def ask(port: int, path: str, body: Any, method: str = "POST", **headers: str) -> tuple[int, dict[str, str], bytes]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request(method, path, data, headers)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()


def chat(port: int, **more: Any) -> tuple[int, dict[str, str], bytes]:
    return ask(port, "/v1/chat/completions", {"model": M, "messages": ASK, **more})


def in_folder(folder: Path, toml: str) -> Path:
    (folder / "ollama-proxy.toml").write_text(toml)
    return folder


# --- the door and the bodies ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("origin", ["http://[", "http://[::1", "http://[x]y]", "https://]"])
def test_an_origin_that_is_no_address_is_refused(proxy: RunningProxy, origin: str) -> None:
    """It was a 500, before any token was asked for."""
    for method in ("GET", "OPTIONS"):
        assert ask(proxy.port, "/api/tags", b"", method, Origin=origin)[0] == 403


@pytest.mark.parametrize("odd", [[], {}, [None], {"a": 1}], ids=str)
@pytest.mark.parametrize(
    ("path", "make"),
    [
        ("/v1/messages", lambda odd: {"max_tokens": 5, "messages": [{"role": odd, "content": "hi"}]}),
        (
            "/v1/messages",
            lambda odd: {"max_tokens": 5, "messages": [*ASK, {"role": "user", "content": [{"type": odd}]}]},
        ),
        ("/v1/messages/count_tokens", lambda odd: {"messages": [{"role": "user", "content": [{"type": odd}]}]}),
        ("/v1/responses", lambda odd: {"input": [{"role": odd, "content": "hi"}]}),
        (
            "/v1/chat/completions",
            lambda odd: {"messages": [*ASK, {"role": "tool", "content": "1", "tool_call_id": odd}]},
        ),
        (
            "/v1/chat/completions",
            lambda odd: {"messages": [{"role": "assistant", "tool_calls": [{"function": [odd]}]}]},
        ),
        ("/v1/chat/completions", lambda _: {"messages": [{"role": "assistant", "tool_calls": [{"function": "f"}]}]}),
    ],
)
def test_a_field_of_an_unexpected_type_is_the_callers_mistake(
    proxy: RunningProxy, path: str, make: Any, odd: Any
) -> None:
    """Lists and objects where a word belongs cannot be looked up; that was a 500."""
    assert ask(proxy.port, path, {"model": M, **make(odd)})[0] in (200, 400)


@pytest.mark.parametrize("number", [b"1e99999", HUGE])
def test_a_number_out_of_range_is_the_callers_mistake(proxy: RunningProxy, number: bytes) -> None:
    """Inside a field that is opened for a provider; that was a 500."""
    for field in (b"response_format", b"tools", b"reasoning_effort", b"n", b"temperature", b"max_tokens"):
        body = b'{"model": "%b", "messages": [{"role": "user", "content": "hi"}], "%b": [%b]}' % (
            M.encode(),
            field,
            number,
        )
        assert ask(proxy.port, "/v1/chat/completions", body)[0] in (200, 400), field
    body = b'{"model": "%b", "prompt": "hi", "n": %b}' % (M.encode(), number)
    assert ask(proxy.port, "/v1/completions", body)[0] in (200, 400)


def test_what_clients_write_does_not_swell_a_header(proxy: RunningProxy) -> None:
    """Model names and dropped fields come back as headers; a client refuses one of 64 KB, and with it the answer."""
    status, _, body = chat(proxy.port, model="google:" + "m" * 100_000)
    assert status == 404
    assert len(body) < 1000
    blocks = [{"type": "text", "text": "hi"}, *({"type": f"{i}" + "€\r\n" * 20_000} for i in range(4))]
    said = {"model": M, "max_tokens": 5, "messages": [{"role": "user", "content": blocks}]}
    status, headers, _ = ask(proxy.port, "/v1/messages", said)
    assert status == 200
    assert len(headers["x-proxy-dropped"]) < 10_000


# --- the provider -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 400])
def test_an_answer_that_never_ends_though_its_bytes_keep_coming_is_given_up(tmp_path: Path, status: int) -> None:
    """Each byte was a sign of life, and a client that did not ask for a stream waited without end."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        threading.Thread(target=_drip, args=(listener, status), daemon=True).start()
        env = {"AKASH_BASE_URL": f"http://127.0.0.1:{listener.getsockname()[1]}/v1", "AKASH_API_KEYS": "key-one-of-one"}
        brief = in_folder(tmp_path, "[timeouts]\nanswer_s = 0.5\nmodels_s = 0.5\n")
        with RunningProxy(env, brief) as proxy:
            started = time.monotonic()
            assert chat(proxy.port, model="akash:m")[0] == 504
            assert time.monotonic() - started < 5


def _drip(listener: socket.socket, status: int) -> None:
    while True:
        try:
            connection = listener.accept()[0]
        except OSError:
            return
        threading.Thread(target=_drip_on, args=(connection, status), daemon=True).start()


def _drip_on(connection: socket.socket, status: int) -> None:
    head = b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" % status
    with closing(connection), contextlib.suppress(OSError):
        connection.recv(65536)
        connection.sendall(head)
        for _ in range(200):
            connection.sendall(b"1\r\n \r\n")
            time.sleep(0.05)


# --- settings ---------------------------------------------------------------------------------------------------------


def test_a_name_in_a_chain_that_stands_for_nothing_is_passed_over(simulator: SimulatorThread, tmp_path: Path) -> None:
    """A misspelt or keyless stand-in made its model unusable: 404 for the model itself."""
    chain = f'[fallbacks]\n"{M}" = ["nosuch:x", "cohere:command-a-03-2025", "akash:second"]\n'
    with RunningProxy(simulator.env({"google": ["one"], "akash": ["two"]}), in_folder(tmp_path, chain)) as proxy:
        assert chat(proxy.port)[1]["x-proxy-provider"] == "google"
        told = proxy.do(lambda p: p.parts.warnings(Texts(korean=False)))
        assert [other for other in ("nosuch:x", "cohere:command-a-03-2025") if f"'{other}'" in " ".join(told)] == [
            "nosuch:x",
            "cohere:command-a-03-2025",
        ]
        assert len(told) == 2


def test_an_alias_that_leads_nowhere_is_told_at_the_start(simulator: SimulatorThread, tmp_path: Path) -> None:
    """To another alias, to itself, to nobody: no answer said why, and the start said nothing."""
    aliases = f'[aliases]\ngood = "{M}"\nfar = "good"\nround = "Round:latest"\nlost = "nosuch:x"\n"{M}" = "{M}"\n'
    with RunningProxy(simulator.env({"google": ["one"]}), in_folder(tmp_path, aliases)) as proxy:
        for korean, word in ((False, "is an alias itself"), (True, "별칭이라")):
            far, circle, lost = proxy.do(lambda p, korean=korean: p.parts.warnings(Texts(korean=korean)))
            assert "far: 'good'" in far
            assert "round: 'Round:latest'" in circle
            assert word in far
            assert word in circle
            assert "lost: 'nosuch:x'" in lost
        for name in ("far", "ROUND:latest"):
            status, _, body = ask(proxy.port, "/api/chat", {"model": name, "messages": ASK})
            assert status == 404
            assert json.loads(body)["error"].startswith(f"model '{name}' not found: it stands for ")
            assert json.loads(body)["error"].endswith("An alias has to name a provider's model.")
        for name in ("good", M):
            assert chat(proxy.port, model=name)[0] == 200


@pytest.mark.parametrize(
    "toml",
    [
        "[timeouts]\nfirst_content_s = nan\n",
        "[limits]\nin_flight = inf\n",
        '[providers.google.proxies]\n"google#1" = "socks5://127.0.0.1:1"\n',
        '[providers.google.proxies]\n"google#1" = "http://somebody:secret@[::1"\n',
        '[providers.google.proxies]\n"google#1" = "http://127.0.0.1:99999"\n',
        "a = " + "[" * 3000 + "]" * 3000,
    ],
    ids=["nan", "inf", "socks", "bracket", "port", "deep"],
)
def test_settings_that_could_only_fail_later_stop_the_start(
    simulator: SimulatorThread, tmp_path: Path, toml: str
) -> None:
    """A limit that is no number was no limit; a bad proxy's address was a 500 for each request."""
    with (
        pytest.raises(SettingsError) as caught,
        RunningProxy(simulator.env({"google": ["one"]}), in_folder(tmp_path, toml)),
    ):
        pass
    assert "secret" not in caught.value.message


def test_requests_under_way_are_counted_out_after_new_settings(simulator: SimulatorThread, tmp_path: Path) -> None:
    """They were counted for ever: enough changes of the settings, and every request was one too many."""
    with RunningProxy(simulator.env({"google": ["one"]}), tmp_path) as proxy:
        body = json.dumps({"model": f"{M}!stall", "messages": ASK}).encode()
        with socket.create_connection(("127.0.0.1", proxy.port)) as client:
            client.sendall(
                b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body
            )
            assert client.recv(1)
            proxy.do(lambda p: setattr(p, "_read_settings", lambda: replace(p.settings, korean=not p.settings.korean)))
            before = proxy.proxy.parts.services.gateway
            assert proxy.do(lambda p: p.reload())
            gateway = proxy.proxy.parts.services.gateway
            assert gateway is not before
            assert gateway.in_flight == 1
        ends = time.monotonic() + 2
        while gateway.in_flight and time.monotonic() < ends:
            time.sleep(0.01)
        assert gateway.in_flight == 0


# --- what is kept -----------------------------------------------------------------------------------------------------


def test_a_state_that_somebody_else_wrote_does_not_stop_the_start(simulator: SimulatorThread, tmp_path: Path) -> None:
    """Good JSON of another shape ended the start in a traceback."""
    (tmp_path / "data").mkdir()
    documents = Documents(tmp_path / "data" / "state.db")
    for name in ("pool/google", "memory", "library", "models/google"):
        documents.put(name, b'[7, null, {"label": 5}]')
    documents.put("library", b'{"version": 1, "made": {"x": 5, "y": {"source": "y"}}, "hidden": 5, "kept": [7]}')
    documents.close()
    with RunningProxy(simulator.env({"google": ["one"]}), tmp_path) as proxy:
        assert chat(proxy.port)[0] == 200


def test_made_names_hold_so_much_text_and_no_more(proxy: RunningProxy) -> None:
    """A thousand system prompts of 32 MB each would have been kept, and saved whole at every change."""
    made = {"from": M, "system": "x" * (3 * 1024 * 1024), "stream": False}
    told = [ask(proxy.port, "/api/create", {"model": f"large{i}", **made}) for i in range(4)]
    assert [status for status, _, _ in told] == [200, 200, 400, 400]
    assert b"delete some first" in told[3][2]
    # An existing one may be replaced within the same room, and what is deleted makes room.
    assert ask(proxy.port, "/api/create", {"model": "large0", **made})[0] == 200
    assert ask(proxy.port, "/api/create", {"model": "large0", **made, "system": "x" * (6 * 1024 * 1024)})[0] == 400
    for name in ("large0", "large1"):
        assert ask(proxy.port, "/api/delete", {"model": name}, "DELETE")[0] == 200
    assert ask(proxy.port, "/api/create", {"model": "large2", **made})[0] == 200
    assert ask(proxy.port, "/api/delete", {"model": "large2"}, "DELETE")[0] == 200
