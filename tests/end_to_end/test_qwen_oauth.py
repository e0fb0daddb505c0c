"""A sign-in of qwen-code in place of a Qwen key: renewed in time and once, shared, and dropped with a reason."""

from __future__ import annotations

import json
import logging
import os
import stat
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import ollama
import pytest

from ollama_proxy import sign_in
from ollama_proxy.simulator import Chunk, Send, SimulatorThread, Sleep, Status, Wait
from ollama_proxy.upstream import Transport
from tests.support.program import Program, run_program
from tests.support.running import RunningProxy

MODEL = "qwen:coder-model"
FRESH, EXPIRED = 21600.0, -60.0


@pytest.fixture
def simulator() -> Iterator[SimulatorThread]:
    with SimulatorThread() as running:
        yield running


class World:
    """A folder with a sign-in's file and the settings of a proxy that uses it."""

    def __init__(self, simulator: SimulatorThread, folder: Path) -> None:
        self.simulator = simulator
        self.folder = folder
        self.file = folder / "qwen" / "oauth_creds.json"
        self.file.parent.mkdir()
        self.env = {**simulator.env({"qwen": []}), "QWEN_API_KEYS": f"oauth:{self.file}"}
        address = f"{simulator.base_url('qwen')}/api/v1/oauth2/token"
        (folder / "ollama-proxy.toml").write_text(f'[providers.qwen]\noauth_token_url = "{address}"\n')

    def write(self, life_s: float, **more: Any) -> dict[str, Any]:
        """A new sign-in, in the file as qwen-code writes it."""
        return self.put({**self.simulator.credentials(life_s), **more})

    def put(self, fields: dict[str, Any]) -> dict[str, Any]:
        fresh = self.file.with_suffix(".new")
        fresh.write_text(json.dumps(fields))
        fresh.chmod(0o600)
        fresh.replace(self.file)
        return fields

    def read(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.file.read_text())
        return found

    def proxy(self, **env: str) -> RunningProxy:
        return RunningProxy({**self.env, **env}, self.folder)

    def renewals(self) -> list[Any]:
        return self.simulator.calls("qwen", operation="token")

    def chats(self) -> list[Any]:
        return self.simulator.calls("qwen", operation="chat")


@pytest.fixture
def world(simulator: SimulatorThread, tmp_path: Path) -> World:
    return World(simulator, tmp_path)


def ask(proxy: RunningProxy, text: str = "Say hello.", *, stream: bool = False) -> str:
    with ollama.Client(proxy.url) as client:
        messages = [{"role": "user", "content": text}]
        if stream:
            return "".join(part.message.content or "" for part in client.chat(MODEL, messages, stream=True))
        return client.chat(MODEL, messages).message.content or ""


def refused(proxy: RunningProxy) -> str:
    """What a client is told whom nothing can serve."""
    with pytest.raises(ollama.ResponseError) as caught:
        ask(proxy)
    assert caught.value.status_code == 502
    return caught.value.error


# --- a good token -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
def test_a_good_token_is_used_as_qwen_code_uses_it(world: World, stream: bool) -> None:
    """Its resource_url is the address, its headers are qwen-code's, and nothing is renewed."""
    world.write(FRESH)
    before = world.file.read_bytes()
    with world.proxy() as proxy:
        assert ask(proxy, stream=stream)
    (chat,) = world.chats()
    assert (chat.key, chat.path, chat.body["model"]) == ("access-1", "/v1/chat/completions", "coder-model")
    agent = chat.headers["user-agent"]
    assert agent.startswith("QwenCode/")
    assert chat.headers["x-dashscope-useragent"] == agent
    assert chat.headers["x-dashscope-authtype"] == "qwen-oauth"
    assert chat.headers["x-dashscope-cachecontrol"] == "enable"
    assert world.renewals() == []
    assert world.file.read_bytes() == before


def test_the_word_oauth_alone_means_the_own_file_of_qwen_code(world: World, tmp_path: Path) -> None:
    """`~/.qwen/oauth_creds.json`, below the home of whoever runs the proxy."""
    home = tmp_path / ".qwen"
    home.mkdir()
    (home / "oauth_creds.json").write_text(json.dumps(world.simulator.credentials()))
    env = {**world.env, "QWEN_API_KEYS": "oauth", "DATA_DIR": str(tmp_path / "data")}
    with Program(tmp_path, **env) as program, ollama.Client(program.url) as client:
        assert client.chat(MODEL, [{"role": "user", "content": "Hi"}]).message.content
        assert "!" not in program.output


def test_a_plain_key_beside_it_stays_a_plain_key(world: World) -> None:
    """The list is asked for with the key, at the key's address; each serves the models of its own service."""
    world.write(FRESH)
    key = world.simulator.key("qwen", "k-ok-1")
    with world.proxy(QWEN_API_KEYS=f"oauth:{world.file},{key}") as proxy, ollama.Client(proxy.url) as client:
        names = [model.model for model in client.list().models]
        assert "qwen:qwen3.8-max" in names
        for _ in range(4):
            assert ask(proxy)
    assert {arrival.key for arrival in world.simulator.calls("qwen", operation="models")} == {"k-ok-1"}
    by_key = {(arrival.key, arrival.path) for arrival in world.chats()}
    assert by_key == {("access-1", "/v1/chat/completions"), ("k-ok-1", "/chat/completions")}


def test_a_model_that_one_of_the_two_services_lacks_is_asked_of_the_other(world: World) -> None:
    """Neither service's "no such model" is believed for the other."""
    world.write(FRESH)
    key = world.simulator.key("qwen", "k-ok-1")
    world.simulator.play("qwen", "404-model", times=None, key="k-ok-1")
    with world.proxy(QWEN_API_KEYS=f"{key},oauth:{world.file}") as proxy:
        assert all(ask(proxy) for _ in range(4))
    assert [arrival.key for arrival in world.chats()].count("k-ok-1") == 1


def test_without_a_plain_key_the_services_two_models_are_listed(world: World) -> None:
    """It has no list of its own, and is not asked for one."""
    world.write(FRESH)
    with world.proxy() as proxy, ollama.Client(proxy.url) as client:
        assert {m.model for m in client.list().models} == {"qwen:coder-model", "qwen:vision-model"}
    assert world.simulator.log == []


# --- an old token -----------------------------------------------------------------------------------------------------


def test_an_expired_token_is_renewed_before_the_first_call(world: World) -> None:
    """B65: a form of grant_type, refresh_token, client_id; the file then holds the new pair, for its owner alone."""
    old = world.write(EXPIRED, note="kept")
    with world.proxy() as proxy:
        assert ask(proxy)
        assert ask(proxy)
    (renewal,) = world.renewals()
    assert renewal.headers["content-type"] == "application/x-www-form-urlencoded"
    assert renewal.headers["accept"] == "application/json"
    assert "authorization" not in renewal.headers
    assert renewal.body == {
        "grant_type": "refresh_token",
        "refresh_token": old["refresh_token"],
        "client_id": "f0304373b74a44d2b584a3fb70ca9e56",
    }
    assert [chat.key for chat in world.chats()] == ["access-2"] * 2
    new = world.read()
    assert new.keys() == {*old}
    assert (new["note"], new["token_type"], new["resource_url"]) == ("kept", "Bearer", old["resource_url"])
    assert new["access_token"] != old["access_token"]
    assert new["refresh_token"] != old["refresh_token"]
    assert abs(new["expiry_date"] / 1000 - time.time() - 21600) < 30
    assert stat.S_IMODE(world.file.stat().st_mode) == 0o600
    assert [path.name for path in world.file.parent.iterdir()] == [world.file.name]


def test_a_token_is_renewed_half_a_minute_before_its_end(world: World) -> None:
    """A call has to arrive with it."""
    world.write(25)
    with world.proxy() as proxy:
        assert ask(proxy)
    assert [chat.key for chat in world.chats()] == ["access-2"]


def test_ten_requests_at_once_make_one_renewal(world: World) -> None:
    """B65: a refresh token serves once: a second request with it would end the sign-in."""
    world.write(EXPIRED)
    with world.proxy() as proxy, ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: ask(proxy), range(10)))
    assert all(answers)
    assert len(world.renewals()) == 1
    assert [chat.key for chat in world.chats()] == ["access-2"] * 10


def test_the_next_run_goes_on_with_the_new_pair(world: World) -> None:
    """What was renewed is on disk, not in memory."""
    world.write(EXPIRED)
    with world.proxy() as proxy:
        assert ask(proxy)
    with world.proxy() as proxy:
        assert ask(proxy)
    assert len(world.renewals()) == 1


def test_a_refresh_token_that_does_not_change_is_kept(world: World) -> None:
    """Where the answer names none, the old one stays in the file."""
    old = world.write(EXPIRED)
    access = world.simulator.credentials()["access_token"]
    body = json.dumps({"access_token": access, "expires_in": 60})
    world.simulator.on("qwen", [Status(200), Send(body.encode())], operation="token")
    with world.proxy() as proxy:
        assert ask(proxy)
    assert (world.read()["access_token"], world.read()["refresh_token"]) == (access, old["refresh_token"])
    assert world.read()["resource_url"] == old["resource_url"]


def test_a_client_that_leaves_does_not_lose_the_new_token(world: World) -> None:
    """The renewal goes on without it: the old refresh token is used up already."""
    old = world.write(EXPIRED)
    ok = json.dumps(world.simulator.credentials()).encode()
    world.simulator.on("qwen", [Wait("slow"), Status(200), Send(ok)], operation="token")
    with world.proxy() as proxy, ollama.Client(proxy.url, timeout=0.5) as impatient:
        with pytest.raises(Exception, match="timed out"):
            impatient.chat(MODEL, [{"role": "user", "content": "Hi"}])
        world.simulator.reached("slow")
        world.simulator.release("slow")
        assert ask(proxy)
    assert len(world.renewals()) == 1
    assert world.read()["refresh_token"] != old["refresh_token"]


def test_a_stop_waits_for_the_new_token(world: World) -> None:
    """A proxy that ends in the middle of a renewal writes the pair first."""
    old = world.write(EXPIRED)
    ok = json.dumps(world.simulator.credentials()).encode()
    world.simulator.on("qwen", [Wait("slow"), Status(200), Send(ok)], operation="token")
    with world.proxy() as proxy, ThreadPoolExecutor(1) as pool:
        with pytest.raises(Exception, match="timed out"), ollama.Client(proxy.url, timeout=0.5) as impatient:
            impatient.chat(MODEL, [{"role": "user", "content": "Hi"}])
        world.simulator.reached("slow")
        stopped = pool.submit(proxy.stop)
        world.simulator.release("slow")
        stopped.result(20)
    assert world.read()["refresh_token"] != old["refresh_token"]


# --- a file that is shared --------------------------------------------------------------------------------------------


def test_a_token_that_another_program_renewed_is_used(world: World) -> None:
    """B67: while the other holds the lock we wait; then the file is read again, and nothing is renewed."""
    world.write(EXPIRED)
    lock = world.file.with_suffix(".lock")
    lock.write_text("somebody else")
    with world.proxy() as proxy, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(ask, proxy)
        with pytest.raises(TimeoutError):
            world.simulator.wait_for(lambda log: log, 0.4)
        world.write(FRESH)
        lock.unlink()
        assert answer.result(10)
    assert world.renewals() == []
    assert [chat.key for chat in world.chats()] == ["access-2"]
    assert not lock.exists()


def test_a_lock_that_nobody_holds_any_more_is_taken_away(world: World) -> None:
    """qwen-code calls a lock stale after ten seconds, and so do we."""
    world.write(EXPIRED)
    lock = world.file.with_suffix(".lock")
    lock.write_text("somebody who died")
    os.utime(lock, (time.time() - 11, time.time() - 11))
    with world.proxy() as proxy:
        assert ask(proxy)
    assert [path.name for path in world.file.parent.iterdir()] == [world.file.name]


def test_the_lock_is_held_while_a_token_is_renewed(world: World) -> None:
    """Whoever respects it renews nothing meanwhile."""
    world.write(EXPIRED)
    ok = json.dumps(world.simulator.credentials()).encode()
    world.simulator.on("qwen", [Wait("slow"), Status(200), Send(ok)], operation="token")
    lock = world.file.with_suffix(".lock")
    with world.proxy() as proxy, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(ask, proxy)
        world.simulator.reached("slow")
        assert lock.exists()
        world.simulator.release("slow")
        assert answer.result(10)
    assert not lock.exists()


# --- a token that is refused ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_token_is_renewed_once_and_the_call_made_again(world: World, status: int) -> None:
    """The client sees the answer and nothing else."""
    world.write(FRESH)
    world.simulator.play("qwen", "oauth-401", times=1) if status == 401 else world.simulator.on(
        "qwen", [Status(403), Send(b'{"error":{"message":"invalid access token or token expired"}}')], times=1
    )
    with world.proxy() as proxy:
        assert ask(proxy)
    assert [chat.key for chat in world.chats()] == ["access-1", "access-2"]
    assert [chat.status for chat in world.chats()] == [status, 200]
    assert len(world.renewals()) == 1


def test_ten_refusals_at_once_make_one_renewal(world: World) -> None:
    """Whoever comes late finds the new token there."""
    world.write(FRESH)
    world.simulator.play("qwen", "oauth-401", times=None, key="access-1")
    with world.proxy() as proxy, ThreadPoolExecutor(10) as pool:
        assert all(pool.map(lambda _: ask(proxy), range(10)))
    assert len(world.renewals()) == 1


def test_a_refused_token_that_another_program_replaced_is_not_renewed(world: World) -> None:
    """B67: the file is looked at first."""
    world.write(FRESH)
    with world.proxy() as proxy:
        assert ask(proxy)
        world.simulator.play("qwen", "oauth-401", times=None, key="access-1")
        world.write(FRESH)
        assert ask(proxy)
    assert world.renewals() == []
    assert [chat.key for chat in world.chats()] == ["access-1", "access-1", "access-2"]


@pytest.mark.parametrize(("life_s", "chats"), [(EXPIRED, 1), (FRESH, 2)])
def test_a_fresh_token_that_is_refused_ends_the_sign_in(world: World, life_s: float, chats: int) -> None:
    """B66: no second renewal, whether it was old or looked good; the client is told why and what to use instead."""
    world.write(life_s)
    world.simulator.play("qwen", "oauth-401", times=None)
    with world.proxy() as proxy:
        for _ in range(3):
            said = refused(proxy)
            assert "2026-04-15" in said
            assert "QWEN_API_KEYS" in said
            assert "DashScope" in said
    assert len(world.renewals()) == 1
    assert len(world.chats()) == chats


@pytest.mark.parametrize("status", [400, 401])
def test_a_refused_renewal_ends_the_sign_in(world: World, status: int) -> None:
    """B66: it is asked for once, and never called with the old token; the file stays as it was."""
    old = world.write(EXPIRED)
    if status == 400:
        world.simulator.play("qwen", "token-refresh-invalid", times=None)
    else:
        world.simulator.on("qwen", [Status(401), Send(b"{}")], operation="token")
    with world.proxy() as proxy:
        for _ in range(3):
            said = refused(proxy)
            assert "2026-04-15" in said
            assert "QWEN_API_KEYS" in said
    assert len(world.renewals()) == 1
    assert world.chats() == []
    assert world.read() == old


def test_a_dropped_sign_in_leaves_the_work_to_the_keys(world: World) -> None:
    """The client of the very request that found it out is served, too."""
    world.write(FRESH)
    world.simulator.play("qwen", "oauth-401", times=None, key="access-1")
    world.simulator.play("qwen", "oauth-401", times=None, key="access-2")
    key = world.simulator.key("qwen", "k-ok-1")
    with world.proxy(QWEN_API_KEYS=f"oauth:{world.file},{key}") as proxy:
        assert all(ask(proxy) for _ in range(6))
    assert len(world.renewals()) == 1
    assert [chat.key for chat in world.chats()].count("k-ok-1") == 6


def test_a_new_sign_in_takes_the_place_of_a_dropped_one(world: World) -> None:
    """Whoever signs in again need not restart the proxy, and a restart alone is a new chance, too."""
    world.write(EXPIRED)
    world.simulator.play("qwen", "token-refresh-invalid", times=2)
    with world.proxy() as proxy:
        refused(proxy)
        world.write(FRESH)
        proxy.do(lambda running: running._look_again())
        assert ask(proxy)
        world.write(EXPIRED)
    with world.proxy() as proxy:
        refused(proxy)
    with world.proxy() as proxy:
        assert ask(proxy)


def test_a_sign_in_service_in_trouble_ends_nothing(world: World) -> None:
    """After its 500 the credential rests, and works again later; meanwhile the other keys serve."""
    world.write(EXPIRED)
    world.simulator.on("qwen", [Status(500), Send(b"oops")], operation="token", times=1)
    key = world.simulator.key("qwen", "k-ok-1")
    with world.proxy(QWEN_API_KEYS=f"oauth:{world.file},{key}") as proxy:
        assert all(ask(proxy) for _ in range(4))
        proxy.forget()
        assert all(ask(proxy) for _ in range(4))
    assert [renewal.status for renewal in world.renewals()] == [500, 200]
    assert {chat.key for chat in world.chats()} == {"k-ok-1", "access-2"}


def test_a_sign_in_service_that_drips_its_answer_is_left(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """F33, P4: each byte comes in time, and the last one never: the other key serves, and the service may stop."""
    monkeypatch.setattr(sign_in, "_TRANSPORT", Transport(5.0, 0.5, 10.0))
    world.write(EXPIRED)
    drip = [action for _ in range(400) for action in (Chunk(b" "), Sleep(0.05))]
    world.simulator.on("qwen", [Status(200), *drip], operation="token", times=1)
    key = world.simulator.key("qwen", "k-ok-1")
    with world.proxy(QWEN_API_KEYS=f"oauth:{world.file},{key}") as proxy:
        assert all(ask(proxy) for _ in range(3))
        world.simulator.wait_for(lambda log: any(call.gave_up for call in log if call.operation == "token"))
    assert {chat.key for chat in world.chats()} == {"k-ok-1"}


# --- what nobody sees -------------------------------------------------------------------------------------------------


def test_no_token_is_seen_anywhere(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Not the old ones, not the new ones: neither in answers, logs, state nor metrics, whoever repeats them."""
    old = world.write(EXPIRED)
    seen: list[str] = []
    caplog.set_level(logging.DEBUG, "ollama_proxy")
    with world.proxy(LOG_LEVEL="DEBUG") as proxy, ollama.Client(proxy.url) as client:
        ask(proxy)
        new = world.read()
        echo = json.dumps({"error": {"message": f"no {new['access_token']}, no {new['refresh_token']}"}})
        world.simulator.on("qwen", [Status(400), Send(echo.encode())], times=1)
        with pytest.raises(ollama.ResponseError) as caught:
            ask(proxy)
        assert "[key]" in caught.value.error
        seen.append(caught.value.error)
        world.simulator.play("qwen", "oauth-401", times=None)
        seen.append(refused(proxy))
        seen += [client._client.get(path).text for path in ("/api/keys", "/metrics")]
        seen.append(proxy.do(lambda running: repr(running.parts.channels["qwen"].sign_ins)))
    seen += [path.read_bytes().decode("latin-1") for path in (world.folder / "data").iterdir()]
    seen.append(caplog.text)
    for pair in (old, new):
        for name in ("access_token", "refresh_token"):
            assert not [text for text in seen if pair[name] in text]


# --- the start --------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="needs a folder that nobody can write to, such as /proc has")
@pytest.mark.parametrize(("language", "words"), [("C.UTF-8", "cannot be written to"), ("ko_KR.UTF-8", "쓸 수 없어")])
def test_a_folder_that_cannot_be_written_to_is_reported_at_the_start(world: World, language: str, words: str) -> None:
    """B67: a renewed token would be lost: that is said before one is needed."""
    world.write(FRESH)
    with world.file.open() as file:
        path = f"/proc/{os.getpid()}/fd/{file.fileno()}"
        env = {**world.env, "QWEN_API_KEYS": f"oauth:{path}", "LANG": language}
        with Program(world.folder, DATA_DIR=str(world.folder / "data"), **env) as program:
            assert words in program.output
            assert "qwen#1" in program.output


@pytest.mark.skipif(sys.platform != "linux", reason="needs a folder that nobody can write to, such as /proc has")
def test_where_nothing_can_be_written_no_token_is_spent(world: World) -> None:
    """The refresh token serves once; without a place for the next one it is not sent."""
    world.write(EXPIRED)
    with world.file.open() as file:
        path = f"/proc/{os.getpid()}/fd/{file.fileno()}"
        with world.proxy(QWEN_API_KEYS=f"oauth:{path}") as proxy:
            assert "cannot be renewed" in refused(proxy)
    assert world.simulator.log == []


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "cannot be read"), (b"{}", "no refresh_token"), (b'{"refresh_token": "SECRET-VALUE', "no JSON")],
)
def test_a_file_that_is_no_sign_in_is_reported_at_the_start(world: World, content: bytes | None, words: str) -> None:
    """With what is wrong with it, and nothing of what is in it."""
    if content is not None:
        world.file.write_bytes(content)
    with Program(world.folder, DATA_DIR=str(world.folder / "data"), **world.env) as program:
        assert words in program.output
        assert "SECRET-VALUE" not in program.output
    with world.proxy() as proxy:
        assert "SECRET-VALUE" not in refused(proxy)


@pytest.mark.parametrize(("refuses", "words"), [(False, "works"), (True, "2026-04-15")])
def test_the_command_keys_test_says_how_it_is_with_the_sign_in(world: World, refuses: bool, words: str) -> None:
    """It makes the smallest chat, since the service has no list to ask for."""
    world.write(EXPIRED)
    if refuses:
        world.simulator.play("qwen", "oauth-401", times=None)
    ended = run_program(world.folder, "keys", "test", DATA_DIR=str(world.folder / "data"), **world.env)
    assert ended.returncode == int(refuses)
    assert words in " ".join(ended.stdout.split())
