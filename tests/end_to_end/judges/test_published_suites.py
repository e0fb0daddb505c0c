"""The test-suites that LangChain and Haystack publish for real Ollama servers, run against the proxy.

They are in the sources of their packages. A model with a little wit answers, so that nothing but the protocol is
judged; what is left out is named here with the reason, and how many pass is pinned.
"""

from __future__ import annotations

import socket
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from ollama_proxy.simulator import SimulatorThread
from tests.support import witty
from tests.support.rooms import python_of, room, run
from tests.support.running import RunningProxy

pytestmark = pytest.mark.judges

#: The names that these suites ask for, as Ollama's users have them.
ALIASES = """
[aliases]
"llama3.1" = "google:gemini-2.5-flash"
"deepseek-r1:1.5b" = "google:gemini-2.5-flash"
"gpt-oss:20b" = "openrouter:openai/gpt-oss-20b:free"
"nomic-embed-text" = "cohere:embed-v4.0"
"qwen3:0.6b" = "google:gemini-2.5-flash"
"moondream:1.8b" = "google:gemini-2.5-flash"
"all-minilm" = "cohere:embed-v4.0"
"""
#: Test -> why it cannot be run here.
LEFT_OUT = {
    "test_image_inputs": "fetches a picture from the internet",
}
#: Why LangChain's suite skips by itself: abilities that its Ollama package does not have.
SKIPPED = 11


@pytest.fixture
def serving(simulator: SimulatorThread, tmp_path: Path) -> Iterator[RunningProxy]:
    """On Ollama's own port where it is free: Haystack's suite looks nowhere else."""
    (tmp_path / "ollama-proxy.toml").write_text(ALIASES)
    simulator.on(None, witty.answer)
    env = simulator.env({name: ["one"] for name in ("google", "openrouter", "cohere")})
    with RunningProxy({**env, "PORT": "11434" if _is_free(11434) else "0"}, tmp_path) as running:
        yield running


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def judged(here: Path, tests: str, report: Path, *options: str, **env: str) -> Counter[str]:
    """How many passed, failed, were skipped. The suite's own configuration is left aside: it measures and reports."""
    (source,) = [path for path in (here / "source").iterdir() if path.is_dir()]
    command: list[str | Path] = [
        python_of(here),
        "-m",
        "pytest",
        tests,
        "-q",
        "-p",
        "no:cacheprovider",
        "-o",
        "addopts=",
    ]
    command += ["-o", "asyncio_mode=auto", f"--junitxml={report}", *options]
    for name in LEFT_OUT:
        command += ["--deselect", f"{tests}/chat_models/test_chat_models_standard.py::TestChatOllama::{name}"]
    ended = run(command, source, env, timeout_s=120)
    cases = ET.parse(report).iter("testcase")
    counts = Counter(next((child.tag for child in case if child.tag in _NOT_PASSED), "passed") for case in cases)
    assert ended.returncode == 0, ended.stdout
    return counts


_NOT_PASSED = {"failure", "error", "skipped"}


def test_langchain(serving: RunningProxy, tmp_path: Path) -> None:
    """Chat, tools, structured output, thinking, usage, an agent's loop: 77 of 94 pass, 5 more are for embeddings."""
    here = room("langchain")
    chat = judged(
        here, "tests/integration_tests", tmp_path / "chat.xml", "-k", "not Embeddings", OLLAMA_HOST=serving.url
    )
    assert chat == {"passed": 77, "skipped": SKIPPED}


def test_langchain_embeddings(serving: RunningProxy, tmp_path: Path) -> None:
    """Queries and documents, both ways."""
    here = room("langchain")
    env = {"OLLAMA_HOST": serving.url, "OLLAMA_TEST_MODEL": "nomic-embed-text"}
    assert judged(here, "tests/integration_tests", tmp_path / "embed.xml", "-k", "Embeddings", **env) == {"passed": 5}


def test_haystack(serving: RunningProxy, tmp_path: Path) -> None:
    """All of its 29 live tests: history, images, thinking with tools, several calls at once, formats, embeddings."""
    here = room("haystack")
    if not serving.url.endswith(":11434"):
        pytest.skip("somebody else has Ollama's port, and this suite looks nowhere else")
    assert judged(here, "tests", tmp_path / "haystack.xml", "-m", "integration") == {"passed": 29}
