"""The table of checks and the docstrings of the tests agree."""

from __future__ import annotations

import pytest

from tests.support.contract_table import (
    CHECKS,
    CONTRACT,
    DECIDED,
    NOT_KEPT,
    SET_ASIDE,
    TESTS,
    citations,
    missing,
    report,
)


@pytest.fixture(scope="module")
def cited() -> dict[int, list[str]]:
    return citations()


def test_every_check_has_a_test_or_a_reason(cited: dict[int, list[str]]) -> None:
    """And none has both."""
    assert missing(cited) == []
    assert {number for number in SET_ASIDE if cited.get(number)} == set()


def test_every_check_is_shown_on_the_wire(cited: dict[int, list[str]]) -> None:
    """By a test that sends real requests to a whole proxy."""
    wired = {number for number, names in cited.items() if any("/end_to_end/" in name for name in names)}
    assert set(CHECKS) - SET_ASIDE.keys() - wired == set()


def test_no_test_cites_a_check_that_is_none(cited: dict[int, list[str]]) -> None:
    """A slip in a number would hide a hole."""
    assert cited.keys() <= set(CHECKS)


def test_what_was_decided_otherwise_is_tested(cited: dict[int, list[str]]) -> None:
    """A decision is no way to leave a check out."""
    assert DECIDED.keys() <= cited.keys()
    assert not DECIDED.keys() & {*SET_ASIDE, *NOT_KEPT}


@pytest.mark.parametrize("number", [*SET_ASIDE, *NOT_KEPT])
def test_what_happens_instead_is_tested(number: int) -> None:
    """By a test that there is."""
    why, instead = {**SET_ASIDE, **NOT_KEPT}[number]
    file, _, name = instead.partition("::")
    assert why
    assert f"def {name}(" in (CONTRACT / file).read_text(encoding="utf-8")


def test_the_line_says_how_it_stands(cited: dict[int, list[str]]) -> None:
    """Holes are counted and named."""
    holes = {number: names for number, names in cited.items() if number not in (1, 240)}
    due = len(CHECKS) - len(SET_ASIDE)
    kept = due - len(NOT_KEPT)
    assert report(cited).startswith(f"contract: {kept} of {due} checks covered, {len(SET_ASIDE)} set aside\n")
    assert report(holes).startswith(f"contract: {kept - 2} of {due} checks covered")
    assert report(holes).endswith("without a test: C1, C240")


def test_the_script_is_there() -> None:
    """One command shows all of it."""
    assert "tests.support.contract_table" in (TESTS.parent / "scripts" / "contract").read_text()
