"""Owns a small file that another program may rewrite at any moment: its lock, reading it, replacing it as a whole.

The lock is a neighbour file that exists while somebody works on the file; whoever finds one older than ten seconds
believes its owner dead and takes it away, so a living owner keeps it young. A file is replaced, never written into: a
reader finds the old one or the new one. Knows nothing of what is in the file.

Rules of the lock: QwenLM/qwen-code 0.15.10 (sharedTokenManager.ts), read 2026-11: the programs share it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
from collections.abc import AsyncIterator, Callable
from pathlib import Path

__all__ = ["Locked", "SharedFile", "Stamp"]

#: Tells one state of a file from another: modification time, size, inode.
Stamp = tuple[int, int, int]

_STALE_S = 10.0
#: Longer than it takes a dead owner's lock to become stale.
_PATIENCE_S = 15.0
_PAUSE_S = 0.1
#: No file of this kind is larger; what is, is another file.
_MOST_BYTES = 64 * 1024


class Locked(Exception):
    """Somebody else has held the lock for all the time that we would wait."""


class SharedFile:
    """One file. Everything but `locked` touches the disk at once: call it from a thread where that matters."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = path.with_suffix(".lock")

    def stamp(self) -> Stamp | None:
        """The state that the file is in; None where there is none."""
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def read(self) -> bytes:
        """What is in it. Raises: OSError."""
        with self.path.open("rb") as file:
            return file.read(_MOST_BYTES)

    def replace(self, data: bytes) -> None:
        """Puts a new file in its place, which only its owner can read. Raises: OSError; the old one is there then."""
        target = self.path.resolve()
        fresh = _new_file(target.parent)
        try:
            with fresh.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            self._keep_owner(target, fresh)
            fresh.replace(target)
        except BaseException:
            fresh.unlink(missing_ok=True)
            raise

    def check_writable(self) -> None:
        """Does what `locked` and `replace` will have to do. Raises: OSError where that cannot be done."""
        for folder in {self._lock.parent, self.path.resolve().parent}:
            _new_file(folder).unlink()

    @contextlib.asynccontextmanager
    async def locked(self, wall: Callable[[], float]) -> AsyncIterator[None]:
        """Nobody else works on the file meanwhile. wall: epoch seconds.

        Raises: Locked; OSError where no lock can be made.
        """
        name = secrets.token_hex(16)
        loop = asyncio.get_running_loop()
        end = loop.time() + _PATIENCE_S
        while not await asyncio.to_thread(self._try_to_lock, name, wall()):
            if loop.time() >= end:
                raise Locked
            await asyncio.sleep(_PAUSE_S)
        keeper = asyncio.create_task(self._keep_young())
        try:
            yield
        finally:
            keeper.cancel()
            await asyncio.to_thread(self._unlock, name)

    def _try_to_lock(self, name: str, wall: float) -> bool:
        try:
            with self._lock.open("x") as file:
                file.write(name)
        except FileExistsError:
            self._remove_if_stale(wall)
            return False
        return True

    def _remove_if_stale(self, wall: float) -> None:
        with contextlib.suppress(FileNotFoundError):
            if wall - self._lock.stat().st_mtime > _STALE_S:
                # Of several who find it stale only one can rename it.
                aside = self._lock.with_name(f"{self._lock.name}.stale.{secrets.token_hex(8)}")
                self._lock.rename(aside).unlink()

    async def _keep_young(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                await asyncio.sleep(_STALE_S / 3)
                await asyncio.to_thread(os.utime, self._lock)

    def _unlock(self, name: str) -> None:
        with contextlib.suppress(OSError):
            if self._lock.read_text() == name:
                self._lock.unlink()

    @staticmethod
    def _keep_owner(target: Path, fresh: Path) -> None:
        """A proxy that runs as root must not take the file away from the person whose program shares it."""
        if hasattr(os, "chown"):
            with contextlib.suppress(OSError):
                old = target.stat()
                os.chown(fresh, old.st_uid, old.st_gid)


def _new_file(folder: Path) -> Path:
    """An empty file that only its owner can read. Raises: OSError."""
    path = folder / f".{secrets.token_hex(8)}.tmp"
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    return path
