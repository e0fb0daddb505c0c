"""Ollama's managing verbs by the official client: what they do is real and survives a restart."""

from __future__ import annotations

from pathlib import Path

import ollama
import pytest

from ollama_proxy.simulator import SimulatorThread
from tests.support.running import RunningProxy

M = "google:gemini-2.5-flash"
ASK = [{"role": "user", "content": "Say Paris, please"}]


def names(client: ollama.Client) -> list[str]:
    return [str(model.model) for model in client.list().models]


def start(simulator: SimulatorThread, folder: Path) -> RunningProxy:
    simulator.reset()
    return RunningProxy(simulator.env({"google": ["one"], "codestral": ["one"]}), folder)


def test_a_copy_is_an_alias_that_answers_and_survives_a_restart(simulator: SimulatorThread, tmp_path: Path) -> None:
    """C171: copy, list, show and chat by the new name, before and after a restart."""
    with start(simulator, tmp_path) as proxy, ollama.Client(proxy.url) as client:
        client.copy(M, "llama3.1")
        assert "llama3.1" in names(client)
    with start(simulator, tmp_path) as proxy, ollama.Client(proxy.url) as client:
        answer = client.chat("llama3.1:latest", ASK)
        assert answer.model == "llama3.1:latest"
        assert answer.message.content
        assert f"FROM {M}" in str(client.show("llama3.1").modelfile)
        (arrival,) = simulator.calls("google", path="/chat/completions")
        assert arrival.model == "gemini-2.5-flash"


def test_a_created_model_brings_its_own_words_and_options(simulator: SimulatorThread, tmp_path: Path) -> None:
    """System prompt, messages and parameters reach the provider; what the request says itself wins."""
    with start(simulator, tmp_path) as proxy, ollama.Client(proxy.url) as client:
        progress = client.create("brief", from_=M, system="Be brief.", parameters={"temperature": 0.25, "top_p": 0.5})
        assert progress.status == "success"
        client.chat("brief", ASK, options={"top_p": 0.75})
        (arrival,) = simulator.calls("google", path="/chat/completions")
        assert arrival.body["messages"][0] == {"role": "system", "content": "Be brief."}
        assert arrival.body["temperature"] == 0.25
        assert arrival.body["top_p"] == 0.75
        shown = client.show("brief")
        assert 'SYSTEM """Be brief."""' in str(shown.modelfile)
        assert "temperature" in str(shown.parameters)


def test_a_created_model_can_be_the_base_of_another(simulator: SimulatorThread, tmp_path: Path) -> None:
    """Recipes add up."""
    with start(simulator, tmp_path) as proxy, ollama.Client(proxy.url) as client:
        client.create("brief", from_=M, system="Be brief.")
        client.create("cold", from_="brief", parameters={"temperature": 0})
        client.chat("cold", ASK)
        (arrival,) = simulator.calls("google", path="/chat/completions")
        assert arrival.body["messages"][0]["content"] == "Be brief."
        assert arrival.body["temperature"] == 0


def test_deleting_hides_a_model_and_pulling_brings_it_back(simulator: SimulatorThread, tmp_path: Path) -> None:
    """C164 C172: delete and pull undo each other, over a restart too."""
    with start(simulator, tmp_path) as proxy, ollama.Client(proxy.url) as client:
        client.delete(M)
        assert M not in names(client)
        with pytest.raises(ollama.ResponseError) as caught:
            client.delete(M)
        assert caught.value.status_code == 404
    with start(simulator, tmp_path) as proxy, ollama.Client(proxy.url) as client:
        assert M not in names(client)
        stages = [part.status for part in client.pull(M, stream=True)]
        assert stages[0] == "pulling manifest"
        assert stages[-1] == "success"
        assert M in names(client)


def test_a_pulled_model_that_no_list_names_is_tried_and_then_listed(simulator: SimulatorThread, tmp_path: Path) -> None:
    """A pull proves that the model answers, and pins it."""
    with start(simulator, tmp_path) as proxy, ollama.Client(proxy.url) as client:
        before = names(client)
        client.pull("google:unlisted-but-there")
        assert "google:unlisted-but-there" not in before
        assert "google:unlisted-but-there" in names(client)


def test_a_model_that_does_not_answer_cannot_be_pulled(simulator: SimulatorThread, tmp_path: Path) -> None:
    """C166: Ollama's error, streamed or not."""
    with start(simulator, tmp_path) as proxy, ollama.Client(proxy.url) as client:
        with pytest.raises(ollama.ResponseError, match="pull model manifest"):
            client.pull("nope")
        with pytest.raises(ollama.ResponseError, match="pull model manifest"):
            list(client.pull("nope", stream=True))
        with pytest.raises(ollama.ResponseError):
            client.pull("google:gemini-2.5-flash!missing")
        assert "google:gemini-2.5-flash!missing" not in names(client)


def test_a_deleted_name_is_gone(simulator: SimulatorThread, tmp_path: Path) -> None:
    """C172: a made name is removed for good."""
    with start(simulator, tmp_path) as proxy, ollama.Client(proxy.url) as client:
        client.copy(M, "mine")
        client.delete("mine")
        assert "mine" not in names(client)
        with pytest.raises(ollama.ResponseError, match="model 'mine' not found"):
            client.chat("mine", ASK)


def test_loaded_models_are_those_in_use(simulator: SimulatorThread, tmp_path: Path) -> None:
    """C45 C46 C47: nothing at first, the model after a chat, nothing after it was unloaded."""
    with start(simulator, tmp_path) as proxy, ollama.Client(proxy.url) as client:
        assert client.ps().models == []
        client.chat(M, ASK, keep_alive=-1)
        (loaded,) = client.ps().models
        assert loaded.model == M
        assert loaded.expires_at is not None
        assert loaded.expires_at.year > 2120
        client.generate(M, "", keep_alive=0)
        assert client.ps().models == []
