"""Who is too slow, as arithmetic."""

from __future__ import annotations

from ollama_proxy.http1.server_pace import BodyPace, WritePace


def test_a_silent_body_is_late_after_the_idle_time() -> None:
    """F68: nothing at all for `idle_s`."""
    pace = BodyPace(30.0, 1024, 0, 100.0)
    assert pace.note(0, 100.0) == 130.0
    assert not pace.is_late(129.9)
    assert pace.is_late(130.0)


def test_a_dripping_body_is_late_at_the_end_of_the_first_window() -> None:
    """F68: one byte per second is never idle, and still too slow."""
    pace = BodyPace(30.0, 1024, 0, 0.0)
    for second in range(1, 30):
        assert pace.note(second, float(second)) == 30.0
    assert pace.is_late(30.0)


def test_a_fast_start_does_not_pay_for_a_later_drip() -> None:
    """Each window is measured by itself: ten megabytes at once buy no hour of one byte per second."""
    pace = BodyPace(30.0, 1024, 0, 0.0)
    pace.note(10_000_000, 29.0)
    assert not pace.is_late(30.0)
    assert pace.note(10_000_030, 59.0) == 60.0
    assert pace.is_late(60.0)


def test_silence_is_measured_across_windows() -> None:
    """A body that stops after it filled its window is late `idle_s` after its last byte, not at the next window."""
    pace = BodyPace(30.0, 1024, 0, 0.0)
    pace.note(50_000, 10.0)
    assert not pace.is_late(30.0)
    assert pace.note(50_000, 30.0) == 40.0
    assert pace.is_late(40.0)


def test_a_steady_body_is_never_late() -> None:
    """Twice the least rate, for ten minutes."""
    pace = BodyPace(30.0, 1024, 0, 0.0)
    for second in range(600):
        pace.note(second * 2048, float(second))
        assert not pace.is_late(float(second))


def test_a_reader_is_late_when_what_waits_does_not_shrink() -> None:
    """F66: growing does not count as reading."""
    pace = WritePace(60.0, 65536, 0.0)
    assert pace.next_look(0.0) == 15.0
    assert not pace.is_late(65536, 15.0)
    assert not pace.is_late(70000, 30.0)
    assert not pace.is_late(70000, 45.0)
    assert pace.next_look(45.0) == 60.0
    assert pace.is_late(70000, 60.0)


def test_a_reader_that_takes_a_little_starts_anew() -> None:
    """Any byte taken counts, seen at the next look."""
    pace = WritePace(60.0, 65536, 0.0)
    assert not pace.is_late(65000, 45.0)
    assert pace.next_look(45.0) == 60.0
    assert not pace.is_late(65000, 104.0)
    assert pace.is_late(65000, 105.0)
