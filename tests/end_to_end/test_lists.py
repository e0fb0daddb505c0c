"""Lists of models: asked in the background, kept over a restart, never spoilt by one provider."""

from __future__ import annotations

import time
from pathlib import Path

import ollama

from ollama_proxy.simulator import SimulatorThread
from tests.support.program import Program
from tests.support.running import RunningProxy


def names(client: ollama.Client) -> set[str]:
    return {str(model.model) for model in client.list().models}


def test_one_dead_provider_neither_delays_nor_empties_the_list(simulator: SimulatorThread, tmp_path: Path) -> None:
    """The others' models are there at once."""
    env = {**simulator.env({"cohere": ["one"]}), "QWEN_API_KEYS": "sk-x", "QWEN_BASE_URL": "http://127.0.0.1:9/v1"}
    with RunningProxy(env, tmp_path) as proxy, ollama.Client(proxy.url, timeout=2) as client:
        listed = names(client)
    assert "cohere:command-a-03-2025" in listed
    assert not any(name.startswith("qwen:") for name in listed)


def test_the_last_good_list_outlives_a_restart_with_the_provider_down(
    simulator: SimulatorThread, tmp_path: Path
) -> None:
    """What was known yesterday is shown while the provider cannot be asked."""
    env = simulator.env({"cohere": ["one"]})
    with RunningProxy(env, tmp_path) as proxy, ollama.Client(proxy.url) as client:
        before = names(client)
    down = {**env, "COHERE_BASE_URL": "http://127.0.0.1:9/cohere"}
    with RunningProxy(down, tmp_path) as proxy, ollama.Client(proxy.url) as client:
        assert names(client) == before != set()


def test_a_provider_whose_keys_were_taken_out_leaves_the_list(simulator: SimulatorThread, tmp_path: Path) -> None:
    """Its kept models are not shown, and nothing else suffers."""
    both = simulator.env({"cohere": ["one"], "qwen": ["one"]})
    with RunningProxy(both, tmp_path) as proxy, ollama.Client(proxy.url) as client:
        assert any(name.startswith("qwen:") for name in names(client))
    with RunningProxy(simulator.env({"cohere": ["one"]}), tmp_path) as proxy, ollama.Client(proxy.url) as client:
        assert {name.partition(":")[0] for name in names(client)} == {"cohere"}


def test_a_poisoned_list_does_not_replace_a_good_one(simulator: SimulatorThread, tmp_path: Path) -> None:
    """An empty list, or a web page, changes nothing."""
    env = simulator.env({"cohere": ["one"]})
    with RunningProxy(env, tmp_path) as proxy, ollama.Client(proxy.url) as client:
        before = names(client)
    for poison in ("html", "empty"):
        simulator.play("cohere", poison, times=None, operation="models")
        with RunningProxy(env, tmp_path) as proxy, ollama.Client(proxy.url) as client:
            assert names(client) == before
        simulator.reset()


def test_a_host_without_a_list_shows_the_built_in_one(simulator: SimulatorThread, tmp_path: Path) -> None:
    """Codestral's host knows no list; its models are listed all the same, and its key is not blamed."""
    with RunningProxy(simulator.env({"codestral": ["one"]}), tmp_path) as proxy, ollama.Client(proxy.url) as client:
        assert "codestral:codestral-latest" in names(client)
        assert client.chat("codestral:codestral-latest", [{"role": "user", "content": "hi"}]).message.content


def test_a_key_put_into_dotenv_while_running_takes_the_demos_place(simulator: SimulatorThread, tmp_path: Path) -> None:
    """F99: within seconds, without a restart."""
    with Program(tmp_path) as program, ollama.Client(program.url) as client:
        assert names(client) == {"demo:hello", "demo:echo"}
        env = simulator.env({"cohere": ["one"]})
        (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in env.items()))
        deadline = time.monotonic() + 15
        while not any(name.startswith("cohere:") for name in names(client)) and time.monotonic() < deadline:
            simulator.wait_for(lambda log: True)
        assert {name.partition(":")[0] for name in names(client)} == {"cohere"}
        assert client.chat("cohere:command-a-03-2025", [{"role": "user", "content": "hi"}]).message.content
