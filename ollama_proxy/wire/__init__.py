"""Bytes to frames and back. Knows nothing about language models."""
