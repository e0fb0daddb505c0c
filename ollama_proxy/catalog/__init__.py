"""Owns what models there are: the providers' live lists, the last good ones, and what may be said of any other id."""

from __future__ import annotations

from ollama_proxy.catalog.catalog import Book, Catalog

__all__ = ["Book", "Catalog"]
