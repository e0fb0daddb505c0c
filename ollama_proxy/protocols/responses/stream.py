"""Owns the stream of the Responses API: pieces of the upstream's answer become events, item after item.

The order is Ollama 0.33's, whose clients are Codex and the SDKs: response.created, response.in_progress; for thoughts,
text and each call their item, from output_item.added to output_item.done; response.completed with everything again
(response.incomplete where the answer was cut), and no `[DONE]`. Every event has the next sequence_number. A call is
told whole once it is complete. The end is held until the upstream's, because usage comes after the finish reason.
Source: OpenAI API reference, "Responses" (streaming events), read 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ollama_proxy.errors import ProxyError, StreamInterrupted, UpstreamError, UpstreamJunk
from ollama_proxy.hub.ids import make_hex_id
from ollama_proxy.hub.reader import Piece, StreamReader
from ollama_proxy.hub.tool_calls import told_calls
from ollama_proxy.protocols.openai.stream import HEARTBEAT
from ollama_proxy.protocols.responses.shape import Terms, call_item, ended, message_item, reasoning_item, usage_of
from ollama_proxy.protocols.responses.shape import text_part_of as part_of
from ollama_proxy.wire.ndjson import encode_line, quote

__all__ = ["ResponseStream"]
