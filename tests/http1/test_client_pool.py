"""The connections of one origin, without sockets: moments that no script of an upstream hits on purpose."""

from __future__ import annotations

import asyncio

import pytest

from ollama_proxy.http1.client import ClientLimits, Timeouts
from ollama_proxy.http1.connection import Connection
from ollama_proxy.http1.faults import ConnectionLost
from ollama_proxy.http1.pool import Lane
from tests.support.fake_upstream import whole
from tests.support.loops import play
from tests.support.memory_transport import connect_in_memory


def opened(lane: Lane) -> Connection:
    """A connection in use."""
    assert lane.reserve()
    connection, _ = connect_in_memory()
    lane.opened(connection)
    return connection


def serve(connection: Connection) -> None:
    """One exchange, after which it is free."""
    connection.send(b"", b"", Timeouts())
    connection.data_received(whole())


def test_a_lane_says_what_it_has() -> None:
    """For logs and tests."""

    async def story() -> None:
        lane = Lane(asyncio.get_running_loop(), ClientLimits())
        serve(opened(lane))
        opened(lane)
        assert lane.reserve()
        assert repr(lane) == "<Lane 1 free, 1 in use, 1 opening, 0 waiting>"
        lane.not_opened()
        await lane.close()
        assert lane.is_empty

    play(story())


def test_a_closed_connection_is_passed_over() -> None:
    """Its socket is not closed yet; an older one is still good."""

    async def story() -> None:
        lane = Lane(asyncio.get_running_loop(), ClientLimits())
        old, new = opened(lane), opened(lane)
        serve(old)
        serve(new)
        new.eof_received()
        assert lane.take() is old
        await lane.close()

    play(story())


def test_nothing_is_written_to_a_transport_that_is_closing() -> None:
    """The loop knows of the end, the connection not yet: a loss before anything was sent."""

    async def story() -> None:
        connection, transport = connect_in_memory()
        transport.abort()
        with pytest.raises(ConnectionLost) as caught:
            connection.send(b"x", b"", Timeouts())
        assert (caught.value.sent_anything, transport.written) == (False, b"")
        await asyncio.sleep(0)

    play(story())


def test_what_is_handed_to_somebody_who_leaves_is_given_back() -> None:
    """A free connection, and the right to open one: cancelled in the very moment."""

    async def story() -> None:
        lane = Lane(asyncio.get_running_loop(), ClientLimits(max_connections=1))
        connection = opened(lane)
        waiting = asyncio.create_task(lane.stand_in_line(9))
        await asyncio.sleep(0)
        serve(connection)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert lane.take() is connection

        waiting = asyncio.create_task(lane.stand_in_line(9))
        await asyncio.sleep(0)
        connection.abort()
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert lane.reserve()
        lane.not_opened()
        await lane.close()

    play(story())
