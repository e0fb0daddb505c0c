"""No recording lies unused: what was seen of a provider is looked at by a test, and what is expected is recorded."""

from __future__ import annotations

from pathlib import Path

import pytest

from ollama_proxy.simulator.shapes import ANYBODY, OWN
from tests.support.recordings import RECORDINGS
from tests.support.reply_recordings import LISTS, REFUSALS

HERE = Path(__file__).parent
FOLDERS = {
    "streams": ({recording.name for recording in RECORDINGS}, ".sse"),
    "refusals": ({recording.name for recording in REFUSALS}, ".http"),
    "models": ({recording.name for recording in LISTS}, ".json"),
}
USERS = {"streams": "RECORDINGS", "refusals": "REFUSALS", "models": "LISTS"}


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_recorded_body_has_its_meaning_and_every_meaning_a_body(folder: str) -> None:
    """A file that `expected.json` does not know would be read by nobody."""
    known, suffix = FOLDERS[folder]
    files = {path.stem for path in (HERE / "recordings" / folder).iterdir() if path.name != "expected.json"}
    assert files == known
    assert {path.suffix for path in (HERE / "recordings" / folder).iterdir()} == {suffix, ".json"}


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_recording_is_played_to_a_decoder(folder: str) -> None:
    """All of them at once: at least one test takes the whole list as its cases."""
    cases = f'parametrize("recording", {USERS[folder]}, '
    assert [path.name for path in HERE.rglob("test_*.py") if cases in path.read_text(encoding="utf-8")]


#: Answers of the simulator that no other test plays by name: the operation that they belong to, and who asks for it.
ELSEWHERE = {"key": "the proxy asks no provider what a key may spend", "token": "device-pending: it never signs in"}


def test_every_answer_of_the_simulator_is_played_to_the_proxy() -> None:
    """Those of a model all at once (each is an answer or an honest error), every other one by its name."""
    sources = [path.read_text(encoding="utf-8") for path in (HERE / "end_to_end").rglob("*.py")]
    shapes = [(name, shape) for table in (*OWN.values(), ANYBODY) for name, shape in table.items()]
    unplayed = {
        name
        for name, shape in shapes
        if shape.operation and shape.operation not in ELSEWHERE and not any(f'"{name}"' in text for text in sources)
    }
    assert unplayed == set()
