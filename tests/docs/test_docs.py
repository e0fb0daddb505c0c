"""The pages tell the truth: what can be set, what can go wrong, who can be called, and what somebody types."""

from __future__ import annotations

import ast
import inspect
import re
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from ollama_proxy import errors
from ollama_proxy.cli import _parser
from ollama_proxy.clock import SystemClock
from ollama_proxy.errors import ProxyError
from ollama_proxy.providers import _KINDS, Provider, load
from ollama_proxy.providers.tables import read_table
from ollama_proxy.secret import Scrubber
from ollama_proxy.server.assembly import Lasting, assemble
from ollama_proxy.settings import VARIABLES, Limits, Settings, Timeouts
from ollama_proxy.settings import load as load_settings
from ollama_proxy.simulator.faults import FAULTS, WORDS
from tests.support.pages import BOTH, PAGES, ROOT, anchors, code, headings, links, outside_code, rows, text, twin
from tests.support.source import PACKAGE, modules, name_of, part_of, tree_of

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DOCS = ROOT / "docs"


def both(name: str) -> pytest.MarkDecorator:
    """A test runs for the English and for the Korean page of this name."""
    return pytest.mark.parametrize("page", [DOCS / name, DOCS / "ko" / name], ids=["english", "korean"])


def first_cells(page: Path) -> dict[str, list[str]]:
    """Rows by their first cell, without backticks; cells that name several things count for each."""
    found = {}
    for row in rows(page):
        for name in re.findall(r"`([^`]+)`", row[0]):
            found[name] = row[1:]
    return found


# --- settings ---------------------------------------------------------------------------------------------------------


@both("settings.md")
def test_every_variable_has_its_row(page: Path) -> None:
    """A default that is one word stands there as it is; one that is a sentence is told in English as in the code."""
    found = first_cells(page)
    for variable in VARIABLES:
        told = found[variable.name][1]
        if " " not in variable.default and variable.default != "none":
            assert told == f"`{variable.default}`", variable.name
        elif page.parent == DOCS:
            assert told == variable.default, variable.name
        else:
            assert told, variable.name


@both("settings.md")
@pytest.mark.parametrize("kind", [Timeouts, Limits])
def test_every_number_has_its_row_with_the_default(page: Path, kind: type[Any]) -> None:
    """Timeouts and limits, each with what it is for."""
    found = first_cells(page)
    for field in fields(kind):
        default, meaning = found[field.name]
        assert default == f"`{field.default}`", field.name
        assert meaning, field.name


@both("settings.md")
def test_no_row_tells_of_a_setting_that_is_not_there(page: Path) -> None:
    """What was taken out of the code is taken out of the page."""
    known = {variable.name for variable in VARIABLES} | {f.name for kind in (Timeouts, Limits) for f in fields(kind)}
    assert set(first_cells(page)) == known


def test_the_defaults_of_variables_are_those_in_force() -> None:
    """The words of the table are the behaviour of an empty environment."""
    settings = load_settings({}, Path("nowhere"))
    told = {variable.name: variable.default for variable in VARIABLES}
    assert (str(settings.port), settings.host, settings.log_level) == (told["PORT"], told["HOST"], told["LOG_LEVEL"])
    assert settings.token is None
    assert load_settings({"OLLAMA_KEEP_ALIVE": told["OLLAMA_KEEP_ALIVE"]}, Path("nowhere")).keep_alive_s == (
        settings.keep_alive_s
    )


def settings_files() -> list[tuple[str, str]]:
    return [(page.name, block.text) for page in BOTH for block in code(page) if block.language == "toml"]


@pytest.mark.parametrize(("page", "config"), settings_files())
def test_every_settings_file_on_the_pages_works(page: str, config: str, tmp_path: Path) -> None:
    """A reader may paste it: it is read, and every provider in it can be made."""
    (tmp_path / "ollama-proxy.toml").write_text(config, encoding="utf-8")
    tables = tomllib.loads(config).get("providers", {})
    keys = {f"{name.upper()}_API_KEYS": "one,two,three" for name in tables}
    settings = replace(load_settings(keys, tmp_path), data_dir=Path())
    parts = assemble(settings, Lasting(settings, SystemClock(), Scrubber()))
    assert parts.unknown == []
    assert parts.channels.keys() == tables.keys()


# --- errors -----------------------------------------------------------------------------------------------------------


def error_classes() -> list[type[ProxyError]]:
    found = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, ProxyError)]
    return sorted(found, key=lambda kind: kind.__name__)


@both("errors.md")
@pytest.mark.parametrize("kind", error_classes())
def test_every_error_is_told_with_status_and_code(page: Path, kind: type[ProxyError]) -> None:
    """Leaves have a row; the classes that group them are named."""
    row = first_cells(page).get(kind.__name__)
    if row is None:
        assert kind.__subclasses__(), f"{kind.__name__} has no row"
        assert f"`{kind.__name__}`" in text(page)
        return
    status, told_code, meaning = row[:3]
    assert meaning
    if not issubclass(kind, errors.SettingsError):
        assert str(kind.status) in status
        assert f"`{kind.code}`" in told_code if kind.code else not told_code


def codes_in_use() -> set[str]:
    """Every code that the product hands to an error or an outcome, and every word that the tables of refusals give."""
    found = {row.get("as", "") for table in read_table("refusals").values() for row in table}
    for path in (path for path in modules() if part_of(name_of(path)) != "simulator"):
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.keyword) and node.arg == "code" and isinstance(node.value, ast.Constant):
                found.add(str(node.value.value))
    return {word for word in found if re.fullmatch(r"[a-z_]{3,}", word)}


@both("errors.md")
def test_every_code_is_told(page: Path) -> None:
    """A program that meets a code finds it on the page."""
    told = set(re.findall(r"`([a-z_]+)`", text(page)))
    known = codes_in_use() | {kind.code for kind in error_classes() if kind.code}
    assert known - told == set()


# --- providers --------------------------------------------------------------------------------------------------------

PROVIDERS = load()
EVERY_PROVIDER = pytest.mark.parametrize("provider", PROVIDERS.values(), ids=list(PROVIDERS))


@both("providers.md")
@EVERY_PROVIDER
def test_every_provider_is_told(page: Path, provider: Provider) -> None:
    """Prefix, title, variable, where to get a key, what is free; and a heading for its quirks."""
    title, variable, key_page, allowance = first_cells(page)[f"{provider.name}:"]
    assert title == provider.title
    assert variable == f"`{provider.keys_variable}`"
    assert key_page == f"<{provider.key_page}>" or provider.keyless
    if page.parent == DOCS and provider.note:
        assert allowance == provider.note
    assert set(re.findall(r"\d[\d,.]*", provider.note)) <= set(re.findall(r"\d[\d,.]*", allowance))
    assert (3, f"`{provider.name}:`") in headings(page)


@both("providers.md")
def test_no_provider_is_told_that_is_not_there(page: Path) -> None:
    """A provider that left the tables leaves the page."""
    told = {words.strip("`:") for level, words in headings(page) if level == 3}
    assert told == set(PROVIDERS)


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "README.ko.md"], ids=["english", "korean"])
def test_the_first_page_names_the_six(page: Path) -> None:
    """Variable and key page of each, as the program itself says them."""
    told = {row[1]: row[2] for row in rows(page) if len(row) == 3 and row[1].endswith("_API_KEYS`")}
    assert told == {f"`{p.keys_variable}`": f"<{p.key_page}>" for p in PROVIDERS.values() if p.seed}


@both("providers.md")
def test_every_key_of_a_providers_table_is_told(page: Path) -> None:
    """Whoever adds a provider finds all that its table may hold."""
    assert _KINDS.keys() - first_cells(page).keys() == set()


# --- routes -----------------------------------------------------------------------------------------------------------


@both("protocols.md")
def test_every_route_is_told_and_no_other(page: Path) -> None:
    """Methods and path of each line of the server's table; the ones without a token are marked."""
    settings = Settings()
    routes = assemble(settings, Lasting(settings, SystemClock(), Scrubber()), "http://127.0.0.1:9/demo").routes
    served = {(", ".join(route.methods), route.path, route.open) for route in routes}
    told = [row for row in rows(page) if len(row) == 3 and row[1].startswith("`/")]
    assert {(row[0], row[1].strip("`"), row[2].startswith("*")) for row in told} == served


# --- dependencies and checks ------------------------------------------------------------------------------------------


@both("dependencies.md")
def test_every_dependency_has_its_reason(page: Path) -> None:
    """Nothing is installed that nobody can explain, and nothing explained that is not installed."""
    project = tomllib.loads(text(ROOT / "pyproject.toml"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    names = {re.split(r"[\[<>=; ]", line)[0] for line in wanted}
    told = first_cells(page)
    assert set(told) == names
    assert all(told.values())


_CITED = re.compile(r"\b([BCFIP])(\d{1,3})(?:\s*[–-]\s*[BCFIP]?(\d{1,3}))?\b")


def cited_checks() -> dict[str, str]:
    """The numbers in the docstrings of all tests, with one place where each stands; a range counts for all in it."""
    found = {}
    for path in (ROOT / "tests").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Module)):
                for letter, first, last in _CITED.findall(ast.get_docstring(node) or ""):
                    for number in range(int(first), int(last or first) + 1):
                        found[f"{letter}{number}"] = path.relative_to(ROOT).as_posix()
    return found


@both("checks.md")
def test_every_cited_check_is_explained(page: Path) -> None:
    """A number in a docstring can be looked up."""
    told = {row[0] for row in rows(page)}
    cited = cited_checks()
    assert len(cited) > 300
    assert {number: place for number, place in cited.items() if number not in told} == {}


@both("checks.md")
def test_every_behaviour_of_a_provider_has_a_test_and_its_line(page: Path) -> None:
    """The series B has no gap, and none of it is only told."""
    told = [row[0] for row in rows(page) if re.fullmatch(r"B\d+", row[0])]
    assert told == [f"B{number}" for number in range(1, len(told) + 1)]
    assert set(told) == {number for number in cited_checks() if number.startswith("B")}


# --- what somebody types ----------------------------------------------------------------------------------------------


def commands() -> list[tuple[str, str]]:
    """Every call of the program on the pages, in blocks and in sentences."""
    found = []
    for page in PAGES:
        blocks = "\n".join(block.text for block in code(page) if block.language == "sh")
        spoken = "\n".join(re.findall(r"`([^`\n]+)`", outside_code(page)))
        for match in re.finditer(
            r"python ollama_proxy\.py([^\n]*)|^ollama-proxy( [^\n]*)", f"{blocks}\n{spoken}", re.MULTILINE
        ):
            found.append((page.name, (match[1] or match[2] or "").strip()))
    return sorted(set(found))


@pytest.mark.parametrize(("page", "arguments"), commands())
def test_every_command_on_the_pages_is_one(page: str, arguments: str) -> None:
    """The program understands what the pages tell people to type."""
    assert _parser().parse_args(arguments.split())


def test_every_script_on_the_pages_is_there_and_every_script_is_told() -> None:
    """`scripts/NAME`, wherever it is named."""
    named = {name for page in PAGES for name in re.findall(r"\bscripts/([a-z]+)", text(page))}
    there = {path.name for path in (ROOT / "scripts").iterdir()}
    assert named - there == set()
    assert there - named == {"python"}


@both("testing.md")
def test_the_faults_on_the_page_exist(page: Path) -> None:
    """Words behind `!` and in keys are words of the simulator."""
    words = {*FAULTS, *WORDS}
    models = [name for name in first_cells(page) if "!" in name]
    keys = [name for name in first_cells(page) if name.startswith("sim-")]
    assert models
    assert keys
    for model in models:
        for word in model.split("!")[1:]:
            assert word in words or re.fullmatch(r"\d{3}(x\d+)?", word), word
    for key in keys:
        word = key.split("-")[2]
        assert word in words or re.fullmatch(r"\d{3}(x\d+)?", word), word


# --- the pages themselves ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_within_the_project_leads_somewhere(page: Path) -> None:
    """The file is there, and so is the heading behind `#`."""
    dead = []
    for link in links(page):
        if link.startswith(("http://", "https://")):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)
    assert dead == []


@pytest.mark.parametrize("page", BOTH, ids=lambda page: page.name)
def test_both_languages_have_the_same_build(page: Path) -> None:
    """The same headings in the same order, the same tables, the same code."""
    korean = twin(page)
    assert korean.exists(), f"{korean.relative_to(ROOT).as_posix()} is missing"
    assert [level for level, _ in headings(page)] == [level for level, _ in headings(korean)]
    assert code(page) == code(korean)
    assert [len(row) for row in rows(page)] == [len(row) for row in rows(korean)]


@pytest.mark.parametrize("page", BOTH, ids=lambda page: page.name)
def test_korean_pages_lead_to_korean_pages(page: Path) -> None:
    """A reader is not sent into another language where there is no need."""
    korean = twin(page)
    away = [
        link
        for link in links(korean)
        if (target := (korean.parent / link.partition("#")[0]).resolve()) in BOTH and target != page
    ]
    assert away == []


def test_every_page_can_be_found_from_the_first() -> None:
    """No page lies where nobody comes by."""
    seen: set[Path] = set()
    ahead = [ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        seen.add(page)
        found = [(page.parent / link.partition("#")[0]).resolve() for link in links(page) if "://" not in link]
        ahead += [target for target in found if target.suffix == ".md" and target.exists() and target not in seen]
    assert set(PAGES) - seen == set()


def test_the_picture_is_readable_by_day_and_by_night() -> None:
    """It has colours for a dark page, and says in words what it shows."""
    picture = text(DOCS / "picture.svg")
    assert "prefers-color-scheme: dark" in picture
    assert "<title" in picture
    assert "<desc" in picture
    classes = {name for names in re.findall(r'class="([^"]+)"', picture) for name in names.split()}
    assert classes <= set(re.findall(r"\.([a-z]+) \{", picture))
    for page in (ROOT / "README.md", ROOT / "README.ko.md"):
        assert re.search(r'<img src="docs/picture\.svg" width="\d+" alt="[^"]{100,}">', text(page))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_pages_hold_nothing_that_looks_like_a_key(page: Path) -> None:
    """P9: examples are made up, and look it."""
    assert Scrubber().scrub_text(text(page)) == text(page)


def test_every_module_says_what_it_owns() -> None:
    """The first lines of a module tell a newcomer whether to read on."""
    silent = [
        path.relative_to(PACKAGE.parent).as_posix()
        for path in modules()
        if tree_of(path).body and len(ast.get_docstring(tree_of(path)) or "") < 20
    ]
    assert silent == []
