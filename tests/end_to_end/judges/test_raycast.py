"""Raycast: the list, then show for each model; one that cannot be shown stays hidden. Then a streamed chat.

From public threads (Lynricsy/Ollama2OpenAI#4, read 2026-11): a name that was given a `:latest` of its own broke the
later call, so names must come back as they were listed.
"""

from __future__ import annotations

from ollama_proxy.simulator import SimulatorThread
from tests.support.app_client import App
from tests.support.judged import CHAT, every_provider
from tests.support.running import RunningProxy
from tests.support.shapes import check


def test_no_model_stays_hidden(proxy: RunningProxy) -> None:
    """Show knows every listed name and says what the model can do."""
    raycast = App(proxy.url)
    for listed in raycast.get("/api/tags").ok().json()["models"]:
        assert not listed["name"].endswith(":latest")
        assert listed["name"] == listed["model"]
        told = raycast.post("/api/show", {"model": listed["name"]}).ok().json()
        check(told, {"capabilities": [str], "model_info": dict, "details": {"family": str}})
        assert told["capabilities"]


@every_provider
def test_the_listed_name_chats(proxy: RunningProxy, simulator: SimulatorThread, provider: str) -> None:
    """Letter by letter, and with a `:latest` that an app adds."""
    raycast = App(proxy.url)
    for name in (CHAT[provider], f"{CHAT[provider]}:latest"):
        simulator.say(provider, "Hello.")
        body = {"model": name, "messages": [{"role": "user", "content": "Hi"}], "stream": True}
        lines = raycast.post("/api/chat", body).ok().lines()
        assert "".join(line["message"]["content"] for line in lines) == "Hello."
        assert {line["model"] for line in lines} == {name}
