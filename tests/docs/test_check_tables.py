"""The tables of checks, the docstrings of the tests and docs/checks.md agree."""

from __future__ import annotations

import pytest

from tests.support.check_table import CONTRACT, FAULTS, TESTS, Table

TABLES = [CONTRACT, FAULTS]
every_table = pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
OTHERWISE = [(table, number) for table in TABLES for number in [*table.set_aside, *table.not_kept]]


@pytest.fixture(scope="module")
def cited() -> dict[str, dict[int, list[str]]]:
    return {table.name: table.citations() for table in TABLES}


@every_table
def test_every_check_has_a_test_or_a_reason(table: Table, cited: dict[str, dict[int, list[str]]]) -> None:
    """And none has both."""
    assert table.missing(cited[table.name]) == []
    assert {number for number in table.set_aside if cited[table.name].get(number)} == set()


@pytest.mark.parametrize(
    ("table", "folders"),
    [(CONTRACT, ("tests/end_to_end/",)), (FAULTS, ("tests/end_to_end/", "tests/http1/", "tests/bench/"))],
    ids=lambda value: getattr(value, "name", ""),
)
def test_every_check_is_shown_on_the_wire(
    table: Table, folders: tuple[str, ...], cited: dict[str, dict[int, list[str]]]
) -> None:
    """By a test with real sockets: of the contract with a whole proxy, of the faults with at least its transport."""
    wired = {number for number, names in cited[table.name].items() if any(name.startswith(folders) for name in names)}
    assert set(table.checks) - table.set_aside.keys() - wired == set()


@every_table
def test_no_test_cites_a_check_that_is_none(table: Table, cited: dict[str, dict[int, list[str]]]) -> None:
    """A slip in a number would hide a hole."""
    assert cited[table.name].keys() <= set(table.checks)


@every_table
def test_every_check_has_its_meaning(table: Table) -> None:
    """docs/checks.md knows each number once, and no other."""
    assert list(table.meanings) == list(table.checks)
    assert all(table.meanings.values())


@every_table
def test_what_was_decided_otherwise_is_tested(table: Table, cited: dict[str, dict[int, list[str]]]) -> None:
    """A decision is no way to leave a check out."""
    assert table.decided.keys() <= cited[table.name].keys()
    assert not table.decided.keys() & {*table.set_aside, *table.not_kept}


@pytest.mark.parametrize(("table", "number"), OTHERWISE, ids=[f"{table.letter}{n}" for table, n in OTHERWISE])
def test_what_happens_instead_is_tested(table: Table, number: int) -> None:
    """By a test that there is."""
    why, instead = {**table.set_aside, **table.not_kept}[number]
    file, _, name = instead.partition("::")
    assert why
    assert f"def {name}(" in (table.folder / file).read_text(encoding="utf-8")


@every_table
def test_the_line_says_how_it_stands(table: Table, cited: dict[str, dict[int, list[str]]]) -> None:
    """Holes are counted and named."""
    whole = cited[table.name]
    holes = {number: names for number, names in whole.items() if number not in (1, 2)}
    due = len(table.checks) - len(table.set_aside)
    kept = due - len(table.not_kept)
    begins = f"{table.name}: {kept} of {due} checks covered, {len(table.set_aside)} set aside\n"
    assert table.report(whole).startswith(begins)
    assert table.report(holes).startswith(f"{table.name}: {kept - 2} of {due} checks covered")
    assert table.report(holes).endswith(f"without a test: {table.letter}1, {table.letter}2")


@every_table
def test_every_row_says_what_shows_it(table: Table, cited: dict[str, dict[int, list[str]]]) -> None:
    """Number, meaning, tests or reason; a hole is a row, too."""
    rows = table.rows(cited[table.name])
    assert f"{table.letter}1  {table.meanings[1]}\n    tests/" in rows
    assert all(why in rows for why, _ in table.set_aside.values())
    assert "no test" not in rows
    assert f"{table.letter}1  {table.meanings[1]}\n    no test" in table.rows({})


@every_table
def test_the_script_is_there(table: Table) -> None:
    """One command shows all of it."""
    assert f"tests.support.check_table {table.name} " in (TESTS.parent / "scripts" / table.name).read_text()
