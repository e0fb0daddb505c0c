"""Owns how a test runs on an event loop: the standard one and uvloop where it exists, with nothing left behind."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

__all__ = ["on_every_loop", "play"]

#: A test that hangs is a failed test.
PATIENCE_S = 10.0

_LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}
if sys.platform != "win32":
    import uvloop

    _LOOPS["uvloop"] = uvloop.new_event_loop


def on_every_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an async test on each loop. Arguments of the test are pytest's, `make_loop` is added."""

    @pytest.mark.parametrize("make_loop", _LOOPS.values(), ids=_LOOPS)
    def run(make_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
        play(test(), make_loop)

    run.__name__, run.__qualname__, run.__doc__, run.__module__ = (
        test.__name__,
        test.__qualname__,
        test.__doc__,
        test.__module__,
    )
    return run


def play(story: Awaitable[None], make_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop) -> None:
    """Run to the end. Fails for a hang, for tasks left over, and for what the loop's exception handler was told."""
    loop = make_loop()
    complaints: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    try:
        loop.run_until_complete(asyncio.wait_for(story, PATIENCE_S))
        loop.run_until_complete(asyncio.sleep(0))
        left = [task for task in asyncio.all_tasks(loop) if not task.done()]
        assert not left, f"tasks left behind: {left}"
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
    assert not complaints, f"the loop complains: {complaints}"
