"""The proxy as its user starts it, with one more ear: SIGUSR1 makes it write how many tasks its loop has.

A task that is left behind is seen nowhere else from outside. Usage: python -m bench.soak.watched FILE
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from ollama_proxy import cli
from ollama_proxy.server import proxy

__all__ = ["main"]


def main(file: Path) -> int:
    """Serves; the number goes into `file`, which is replaced as a whole."""

    class Watched(proxy.Proxy):
        async def start(self) -> None:
            await super().start()
            asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, count)

    def count() -> None:
        fresh = file.with_suffix(".new")
        fresh.write_text(str(len(asyncio.all_tasks())))
        fresh.replace(file)

    proxy.Proxy = Watched  # type: ignore[misc]
    return cli.main([])


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
