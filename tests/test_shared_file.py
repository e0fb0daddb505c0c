"""A small file that two programs share: replaced as a whole, and by one of them at a time."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
import time
from pathlib import Path

import pytest

from ollama_proxy.shared_file import SharedFile


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "oauth_creds.json"
    path.write_bytes(b"old")
    path.chmod(0o644)
    return path


def names(folder: Path) -> list[str]:
    return sorted(found.name for found in folder.iterdir())


def test_a_file_is_replaced_and_not_written_into(path: Path) -> None:
    """Whoever has the old one open reads the old one to its end; the new one is its owner's alone."""
    file = SharedFile(path)
    before = file.stamp()
    with path.open("rb") as reader:
        file.replace(b"new")
        assert reader.read() == b"old"
    assert file.read() == b"new"
    assert file.stamp() != before
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert names(path.parent) == [path.name]


def test_a_link_stays_a_link(path: Path, tmp_path: Path) -> None:
    """What it leads to is replaced."""
    link = tmp_path / "elsewhere" / "oauth_creds.json"
    link.parent.mkdir()
    link.symlink_to(path)
    SharedFile(link).replace(b"new")
    assert link.is_symlink()
    assert path.read_bytes() == b"new"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may give files away")
def test_a_file_stays_its_owners(path: Path) -> None:
    """A proxy that runs as root leaves it to the person whose program shares it."""
    os.chown(path, 1234, 1234)
    SharedFile(path).replace(b"new")
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 1234)


def test_a_replacement_that_fails_leaves_the_old_file_and_nothing_else(path: Path) -> None:
    """Here a folder stands where the file should be."""
    path.unlink()
    path.mkdir()
    (path / "content").touch()
    with pytest.raises(OSError):
        SharedFile(path).replace(b"new")
    assert names(path.parent) == [path.name]


def test_a_missing_file_has_no_stamp(tmp_path: Path) -> None:
    """It is no error: it may appear."""
    assert SharedFile(tmp_path / "nothing").stamp() is None


def test_only_one_at_a_time_holds_the_lock(path: Path) -> None:
    """Two of us, as two programs would: the second one waits until the first is done."""
    order: list[str] = []

    async def work(name: str, file: SharedFile) -> None:
        async with file.locked(time.time):
            order.append(f"{name} in")
            assert (path.parent / "oauth_creds.lock").exists()
            await asyncio.sleep(0)
            order.append(f"{name} out")

    async def story() -> None:
        await asyncio.gather(work("a", SharedFile(path)), work("b", SharedFile(path)))

    asyncio.run(story())
    first, second = order[0][0], order[2][0]
    assert order == [f"{first} in", f"{first} out", f"{second} in", f"{second} out"]
    assert names(path.parent) == [path.name]


def test_a_lock_is_given_back_after_an_error(path: Path) -> None:
    """The next one need not wait for it to become stale."""

    async def story() -> None:
        with pytest.raises(ValueError, match="broken"):
            async with SharedFile(path).locked(time.time):
                raise ValueError("broken")

    asyncio.run(story())
    assert names(path.parent) == [path.name]


def test_somebody_elses_lock_is_not_removed(path: Path) -> None:
    """Who took ours for stale may be at work."""
    lock = path.with_suffix(".lock")

    async def story() -> None:
        async with SharedFile(path).locked(time.time):
            lock.write_text("another's")

    asyncio.run(story())
    assert lock.read_text() == "another's"


@pytest.mark.skipif(sys.platform != "linux", reason="needs a folder that nobody can write to, such as /proc has")
def test_a_folder_that_cannot_be_written_to_is_found_out(path: Path) -> None:
    """By trying, since permissions say too little: a mount may be read-only, and root may everything."""
    SharedFile(path).check_writable()
    assert names(path.parent) == [path.name]
    with path.open() as opened, pytest.raises(OSError):
        SharedFile(Path(f"/proc/self/fd/{opened.fileno()}")).check_writable()
