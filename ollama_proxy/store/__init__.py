"""What outlives the process: named documents in one SQLite file."""

from __future__ import annotations

from ollama_proxy.store.documents import UNREADABLE, Documents

__all__ = ["UNREADABLE", "Documents"]
