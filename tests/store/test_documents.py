"""The file that outlives the process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from ollama_proxy.store import Documents


def test_what_was_put_is_there_after_a_restart(tmp_path: Path) -> None:
    """P11: a closed store gives everything back, the last word on each name."""
    path = tmp_path / "deep" / "state.db"
    first = Documents(path)
    first.put("a", b"1")
    first.put("a", b"2")
    first.put("b", b"3")
    first.put("b", None)
    first.close()
    second = Documents(path)
    assert (second.get("a"), second.get("b"), second.get("c")) == (b"2", None, None)


async def wait_until_kept(path: Path, name: str, value: bytes) -> None:
    for _ in range(200):
        with contextlib.closing(sqlite3.connect(path)) as database:
            if (value,) in database.execute("SELECT value FROM documents WHERE name = ?", (name,)).fetchall():
                return
        await asyncio.sleep(0.02)
    raise AssertionError("nothing was written")


def test_a_write_reaches_the_disk_while_running(tmp_path: Path) -> None:
    """F100: a crash loses about a second at most."""

    async def scene() -> None:
        store = Documents(tmp_path / "state.db")
        writer = asyncio.create_task(store.keep_writing())
        store.put("a", b"1")
        await wait_until_kept(tmp_path / "state.db", "a", b"1")
        writer.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await writer

    asyncio.run(scene())


def test_a_file_that_is_no_database_is_set_aside(tmp_path: Path) -> None:
    """F103: the old file is kept under another name and a new one works."""
    path = tmp_path / "state.db"
    path.write_bytes(b"this is no database, but long enough to be taken for one" * 40)
    store = Documents(path)
    store.put("a", b"1")
    store.close()
    assert Documents(path).get("a") == b"1"
    assert (tmp_path / "state.db.broken-1").read_bytes().startswith(b"this is no database")


def test_what_is_no_document_is_passed_over(tmp_path: Path) -> None:
    """F103: values of types that we never write."""
    path = tmp_path / "state.db"
    store = Documents(path)
    store.put("good", b"1")
    store.close()
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.executemany("INSERT INTO documents VALUES (?, ?)", [("number", 7), ("text", "{}"), ("half", 0.5)])
    again = Documents(path)
    assert [again.get(name) for name in ("good", "number", "text", "half")] == [b"1", None, None, None]


@pytest.mark.parametrize("accident", ["garbage", "torn", "deleted"])
def test_a_file_that_is_lost_while_running_is_begun_anew_with_all_that_is_known(tmp_path: Path, accident: str) -> None:
    """F103: overwritten, cut off in the middle, deleted: the next write finds it and loses nothing."""
    path = tmp_path / "state.db"
    store = Documents(path)
    for name in ("a", "b"):
        store.put(name, name.encode() * 9_000)
    store.close()
    whole = path.read_bytes()
    if accident == "deleted":
        path.unlink()
    else:
        path.write_bytes(b"garbage" * 2_000 if accident == "garbage" else whole[: len(whole) // 2])
    store.put("a", b"1")
    store.close()
    assert store.trouble == ""
    again = Documents(path)
    assert (again.get("a"), again.get("b")) == (b"1", b"b" * 9_000)
    assert (tmp_path / "state.db.broken-1").exists() is (accident != "deleted")


def test_a_folder_that_cannot_be_made_costs_only_persistence(tmp_path: Path) -> None:
    """F102: without a disk everything goes on in memory, and the trouble can be seen."""
    (tmp_path / "file").write_text("in the way")
    store = Documents(tmp_path / "file" / "state.db")
    store.put("a", b"1")
    store.close()
    assert store.get("a") == b"1"
    assert store.trouble


def test_a_disk_that_comes_back_gets_what_waited(tmp_path: Path) -> None:
    """F102: what could not be written is written once the disk allows it."""
    blocker = tmp_path / "state"
    blocker.write_text("in the way")
    store = Documents(blocker / "state.db")
    store.put("a", b"1")
    store.close()
    blocker.unlink()
    blocker.mkdir()
    store.close()
    assert store.trouble == ""
    assert Documents(blocker / "state.db").get("a") == b"1"


def test_in_memory_nothing_touches_the_disk(tmp_path: Path) -> None:
    """No path, no file."""
    store = Documents(None)
    store.put("a", b"1")
    store.close()
    assert store.get("a") == b"1"
    assert list(tmp_path.iterdir()) == []


WRITER = """
    import sys
    from pathlib import Path
    from ollama_proxy.store import Documents
    store = Documents(Path(sys.argv[1]))
    for number in range(1_000_000):
        store.put("n", str(number).encode())
        store.close()
        print(number, flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_a_killed_process_leaves_a_whole_file_with_what_it_acknowledged(tmp_path: Path) -> None:
    """F100: kill -9 in the middle of writing, ten rounds: never corrupt, nothing acknowledged is lost."""
    path = tmp_path / "state.db"
    for _ in range(10):
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(WRITER), str(path)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        acknowledged = 0
        for line in process.stdout:
            acknowledged = int(line)
            if acknowledged >= 20:
                os.kill(process.pid, signal.SIGKILL)
                break
        acknowledged = max([acknowledged, *(int(rest) for rest in process.stdout.read().split())])
        process.stdout.close()
        process.wait()
        kept = Documents(path).get("n")
        assert kept is not None
        assert int(kept) >= acknowledged
