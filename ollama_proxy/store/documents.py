"""Owns the one file that outlives the process: named JSON documents in SQLite. Knows nothing of what they mean.

Reading happens once, at the start. A write is noted in memory and reaches the disk about a second later, from a worker
thread, so no request ever waits for a disk; a later write of the same name replaces one that still waits. A disk that
is full, read-only or gone costs persistence and nothing else: what waits goes on waiting, and `trouble` says so. A file
that is no database, or no longer one, is set aside under another name and a new one is begun. A file that is new gets
everything that is known, whoever took the old one away.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

__all__ = ["UNREADABLE", "Documents"]

#: What a document that somebody else has written may come to where it is read; it costs what was learnt, not the start.
UNREADABLE = (msgspec.DecodeError, TypeError, ValueError, AttributeError, LookupError, ArithmeticError, RecursionError)

_T = TypeVar("_T")

_log = logging.getLogger("ollama_proxy.store")

#: A crash may lose this many seconds of what was learnt.
_FLUSH_S = 1.0
#: Another process may hold the file for a moment.
_BUSY_S = 2.0


class Documents:
    """Named documents. `trouble` is the reason why nothing can be kept just now, or ""."""

    def __init__(self, path: Path | None) -> None:
        """`path` None keeps everything in memory."""
        self._path = path
        self._documents: dict[str, bytes] = {}
        self._waiting: dict[str, bytes | None] = {}
        self._wake = asyncio.Event()
        self.trouble = ""
        if path is not None:
            self._read(path)

    def get(self, name: str) -> bytes | None:
        """The document, or None."""
        return self._documents.get(name)

    def put(self, name: str, value: bytes | None) -> None:
        """Keeps a document (None: forgets it); on disk within a second."""
        if self._documents.get(name) == value:
            return
        if value is None:
            del self._documents[name]
        else:
            self._documents[name] = value
        self._waiting[name] = value
        self._wake.set()

    async def keep_writing(self) -> None:
        """Writes what waits, until cancelled; the last of it is for `close`."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(_FLUSH_S)
            self._wake.clear()
            batch, known = dict(self._waiting), dict(self._documents)
            self._written(batch, await asyncio.get_running_loop().run_in_executor(None, self._write, batch, known))
            if self._waiting:
                self._wake.set()

    def close(self) -> None:
        """Writes what still waits."""
        batch = dict(self._waiting)
        self._written(batch, self._write(batch, self._documents))

    # --- disk ---------------------------------------------------------------------------------------------------------

    def _read(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._documents = _mended(path, lambda: _rows(path))
        except (OSError, sqlite3.Error) as error:
            self._note(error)

    def _write(self, batch: dict[str, bytes | None], known: dict[str, bytes]) -> Exception | None:
        """Runs in a worker thread: touches the disk and nothing of ours."""
        path = self._path
        if path is None or not batch:
            return None
        try:
            _mended(path, lambda: _save(path, batch, known))
        except (OSError, sqlite3.Error) as error:
            return error
        return None

    def _written(self, batch: dict[str, bytes | None], error: Exception | None) -> None:
        if error is not None:
            self._note(error)
            return
        self.trouble = ""
        for name, value in batch.items():
            # What was put again meanwhile goes on waiting.
            if self._waiting[name] is value:
                del self._waiting[name]

    def _note(self, error: Exception) -> None:
        if not self.trouble:
            _log.warning("state cannot be kept (%s); everything else goes on", error)
        self.trouble = str(error) or type(error).__name__


def _mended(path: Path, work: Callable[[], _T]) -> _T:
    """What `work` returns; where the file turns out to be damaged, with a new one in its place.

    Raises: OSError, sqlite3.Error.
    """
    try:
        return work()
    except sqlite3.OperationalError:
        # Locked, full, not to be opened: nothing is wrong with the file itself.
        raise
    except sqlite3.DatabaseError:
        _set_aside(path)
        return work()


def _set_aside(path: Path) -> None:
    for number in range(1, 100):
        aside = path.with_name(f"{path.name}.broken-{number}")
        if not aside.exists():
            break
    path.replace(aside)
    _log.warning("%s is damaged; it is kept as %s and a new one is begun", path.name, aside.name)


def _rows(path: Path) -> dict[str, bytes]:
    with contextlib.closing(_open(path)) as database:
        # SQLite keeps values of any type in any column; ours are bytes.
        return {n: v for n, v in database.execute("SELECT name, value FROM documents") if isinstance(v, bytes)}


def _save(path: Path, batch: dict[str, bytes | None], known: dict[str, bytes]) -> None:
    with contextlib.closing(_open(path)) as database, database:
        is_new = database.execute("SELECT 1 FROM documents LIMIT 1").fetchone() is None
        database.executemany(
            "INSERT INTO documents (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            [(name, value) for name, value in (known if is_new else batch).items() if value is not None],
        )
        database.executemany(
            "DELETE FROM documents WHERE name = ?", [(name,) for name, value in batch.items() if value is None]
        )


def _open(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=_BUSY_S)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        # WAL with NORMAL survives a killed process whole; only a power cut may lose the last commits.
        database.execute("PRAGMA synchronous = NORMAL")
        database.execute("CREATE TABLE IF NOT EXISTS documents (name TEXT PRIMARY KEY, value BLOB NOT NULL)")
    except sqlite3.Error:
        database.close()
        raise
    return database
