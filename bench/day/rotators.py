"""Who stands between the users and the provider: ourselves, blind rotation, and a peer where it is installed.

Owns: how each is started, and one user's call through it. Does not know what the day holds.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from bench.day.provider import KEYS

__all__ = ["ROTATORS", "Call"]

#: One user's request: the status in the end.
Call = Callable[[], Awaitable[int]]
_REPO = Path(__file__).parents[2]
_LITELLM = Path("~/.cache/ollama-proxy-bench/litellm/bin/litellm").expanduser()
_BODY = {"model": "day", "messages": [{"role": "user", "content": "hi"}]}


async def post(url: str, key: str, body: dict[str, object]) -> int:
    """One chat call on a connection of its own; its status, 0 where none came."""
    host, _, path = url.removeprefix("http://").partition("/")
    name, _, port = host.partition(":")
    data = json.dumps(body).encode()
    head = (
        f"POST /{path}/chat/completions HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n"
        f"authorization: Bearer {key}\r\ncontent-length: {len(data)}\r\nconnection: close\r\n\r\n"
    )
    try:
        reader, writer = await asyncio.open_connection(name, int(port))
    except OSError:
        return 0
    try:
        writer.write(head.encode() + data)
        line = await reader.readline()
        await reader.read()
        return int(line.split()[1]) if line else 0
    except (ConnectionError, ValueError, IndexError):
        return 0
    finally:
        writer.close()


@asynccontextmanager
async def blind(url: str) -> AsyncIterator[Call]:
    """Round robin over the keys, the next one at once after any refusal, ten tries."""
    turns = itertools.cycle(KEYS)

    async def call() -> int:
        status = 0
        for _ in range(10):
            status = await post(url, next(turns), dict(_BODY))
            if status == 200:
                return status
        return status

    yield call


@asynccontextmanager
async def ours(url: str) -> AsyncIterator[Call]:
    """Ourselves, as a user starts us: the provider is a table in ollama-proxy.toml."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "ollama-proxy.toml").write_text(f'[providers.day]\ntitle = "Day"\nbase_url = "{url}"\n', "utf-8")
        env = {"DAY_API_KEYS": ",".join(KEYS), "DATA_DIR": folder, "LOG_LEVEL": "ERROR"}
        command = [sys.executable, str(_REPO / "ollama_proxy.py")]
        async with _server(command, env, Path(folder)) as port:
            yield lambda: post(f"http://127.0.0.1:{port}/v1", "x", {**_BODY, "model": "day:day"})


@asynccontextmanager
async def litellm(url: str) -> AsyncIterator[Call]:
    """LiteLLM's proxy: five deployments of one model, its router's own cooldowns, retries as its documents advise."""
    if not _LITELLM.exists():
        raise FileNotFoundError("not installed (scripts/bench --install-peers --only litellm)")
    with tempfile.TemporaryDirectory() as folder:
        models = "".join(
            f"  - model_name: day\n    litellm_params: {{model: openai/day, api_base: '{url}', api_key: {key}}}\n"
            for key in KEYS
        )
        settings = "router_settings: {num_retries: 4, routing_strategy: simple-shuffle}\n"
        Path(folder, "config.yaml").write_text(
            f"model_list:\n{models}{settings}general_settings: {{master_key: sk-day}}\n", "utf-8"
        )
        env = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MODE": "PRODUCTION", "LITELLM_LOG": "ERROR"}
        command = [str(_LITELLM), "--config", f"{folder}/config.yaml", "--host", "127.0.0.1", "--port", "{port}"]
        async with _server(command, env, Path(folder)) as port:
            yield lambda: post(f"http://127.0.0.1:{port}/v1", "sk-day", dict(_BODY))


ROTATORS = {"ollama-proxy": ours, "blind round robin": blind, "litellm": litellm}


@asynccontextmanager
async def _server(command: list[str], env: dict[str, str], folder: Path) -> AsyncIterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    words = [word.replace("{port}", str(port)) for word in command]
    process = subprocess.Popen(
        words,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "PORT": str(port), **env},
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(600):
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                break
            except OSError:
                await asyncio.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait(20)
