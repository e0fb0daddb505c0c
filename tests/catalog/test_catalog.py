"""The catalogue: which lists are believed, what is found, what is shown."""

from __future__ import annotations

import copy
import json
import tracemalloc

import pytest

from ollama_proxy.catalog import Catalog
from ollama_proxy.types import Capability, Model

NOW = 1790000000.0
DAY = 86400.0


class Book:
    """What is known of models without a list."""

    def describe(self, provider: str, model_id: str) -> Model:
        return Model(provider, model_id, context=7, listed=False)

    def successor(self, provider: str, model_id: str) -> str | None:
        return {"old": "new", "older": "old"}.get(model_id.lower())


def models(*ids: str, provider: str = "p", created: int = 0, listed: bool = True) -> list[Model]:
    return [Model(provider, model_id, created=created, listed=listed) for model_id in ids]


def many(count: int, provider: str = "p") -> list[Model]:
    return models(*(f"m{i}" for i in range(count)), provider=provider)


def listed(catalog: Catalog) -> list[str]:
    return [model.name for model in catalog.all()]


@pytest.fixture
def catalog() -> Catalog:
    catalog = Catalog(Book())
    assert catalog.replace("p", models("a", "b"), NOW)
    return catalog


# --- which lists are believed -----------------------------------------------------------------------------------------


def test_a_new_list_takes_the_place_of_the_old(catalog: Catalog) -> None:
    """Ids come and go monthly."""
    assert catalog.replace("p", models("b", "c"), NOW)
    assert listed(catalog) == ["p:b", "p:c"]


@pytest.mark.parametrize("bad", [[], models("x", provider="other"), models("")], ids=["empty", "another's", "nameless"])
def test_a_bad_list_changes_nothing(catalog: Catalog, bad: list[Model]) -> None:
    """F22: a provider that says nonsense does not empty the shelf."""
    assert not catalog.replace("p", bad, NOW)
    assert listed(catalog) == ["p:a", "p:b"]


def test_a_list_that_shrinks_to_almost_nothing_must_be_seen_twice() -> None:
    """Half an answer looks like a list, too."""
    catalog = Catalog()
    catalog.replace("p", many(100), NOW)
    assert not catalog.replace("p", many(20), NOW)
    assert len(catalog.all()) == 100
    assert catalog.replace("p", many(20), NOW + 3600)
    assert len(catalog.all()) == 20


def test_doubt_ends_with_a_good_list() -> None:
    """Two bad ones with a good one between them are not two in a row."""
    catalog = Catalog()
    catalog.replace("p", many(100), NOW)
    assert not catalog.replace("p", many(20), NOW)
    assert catalog.replace("p", many(99), NOW)
    assert not catalog.replace("p", many(20), NOW)


def test_a_list_of_a_quarter_is_believed_at_once() -> None:
    """Providers do clean up."""
    catalog = Catalog()
    catalog.replace("p", many(100), NOW)
    assert catalog.replace("p", many(25), NOW)


def test_a_built_in_list_stands_in_until_a_live_one_was_read() -> None:
    """And never comes back over it."""
    catalog = Catalog()
    assert catalog.replace("p", models("built-in", "both", listed=False), NOW)
    assert listed(catalog) == ["p:both", "p:built-in"]
    assert catalog.replace("p", models("both"), NOW)
    assert listed(catalog) == ["p:both"]
    assert catalog.find("p", "built-in") is None
    assert not catalog.replace("p", models("built-in", listed=False), NOW)


def test_providers_do_not_touch_each_other(catalog: Catalog) -> None:
    """One dead provider must not slow or empty the list."""
    catalog.replace("q", models("a", provider="q"), NOW)
    assert listed(catalog) == ["p:a", "p:b", "q:a"]
    catalog.forget("p")
    assert listed(catalog) == ["q:a"]
    assert catalog.find("p", "a") is None


# --- what is found ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "asked", ["DeepSeek/R1:free", "deepseek/r1:FREE", "deepseek/r1:free:latest", "DEEPSEEK/R1:FREE:LATEST"]
)
def test_a_model_is_found_in_any_case_with_or_without_latest(asked: str) -> None:
    """C149."""
    catalog = Catalog()
    catalog.replace("p", models("DeepSeek/R1:free"), NOW)
    found = catalog.find("p", asked)
    assert found is not None
    assert found.id == "DeepSeek/R1:free"


def test_a_models_own_latest_is_found_without_it() -> None:
    """Ollama's own names end so; the prefix of Gemini's list is understood, too."""
    catalog = Catalog()
    catalog.replace("p", models("llama3.2:latest", "gemini-x"), NOW)
    assert catalog.find("p", "llama3.2") == catalog.find("p", "llama3.2:latest")
    found = catalog.find("p", "models/gemini-x")
    assert found is not None
    assert found.id == "gemini-x"


def test_ids_that_differ_in_case_are_both_found() -> None:
    """By their exact spelling."""
    catalog = Catalog()
    catalog.replace("p", models("Model", "model"), NOW)
    assert [m.id for m in (catalog.find("p", "Model"), catalog.find("p", "model")) if m] == ["Model", "model"]


def test_what_nobody_has_is_not_found(catalog: Catalog) -> None:
    """Neither the model nor the provider."""
    assert catalog.find("p", "zzz") is None
    assert catalog.find("nobody", "a") is None


def test_a_model_nobody_listed_is_described_all_the_same(catalog: Catalog) -> None:
    """C51: from the book, or with what is safe to say."""
    assert catalog.describe("p", "a").listed
    assert catalog.describe("p", "zzz").context == 7
    safe = Catalog().describe("p", "zzz")
    assert safe.capabilities == {Capability.COMPLETION, Capability.TOOLS}
    assert not safe.listed


def test_a_vanished_model_is_found_for_a_week(catalog: Catalog) -> None:
    """Lists flicker, and names live on in clients' settings."""
    catalog.replace("p", models("b"), NOW)
    vanished = catalog.find("p", "a")
    assert vanished is not None
    assert not vanished.listed
    assert listed(catalog) == ["p:b"]
    catalog.replace("p", models("b"), NOW + 6 * DAY)
    assert catalog.find("p", "a") is not None
    catalog.replace("p", models("b"), NOW + 8 * DAY)
    assert catalog.find("p", "a") is None


def test_a_model_that_comes_back_is_listed_as_before(catalog: Catalog) -> None:
    """With its old date."""
    catalog.replace("p", models("b"), NOW + DAY)
    catalog.replace("p", models("a", "b"), NOW + 2 * DAY)
    back = catalog.find("p", "a")
    assert back is not None
    assert back.listed
    assert catalog.modified_at(back) == int(NOW)


def test_a_retired_model_names_its_living_successor() -> None:
    """F18: only one that is listed helps."""
    catalog = Catalog(Book())
    catalog.replace("p", models("old", "new"), NOW)
    assert catalog.successor("p", "old") is None
    catalog.replace("p", models("new"), NOW)
    assert catalog.successor("p", "OLD") == "new"
    assert catalog.successor("p", "older") is None
    assert Catalog().successor("p", "old") is None


# --- what is shown ----------------------------------------------------------------------------------------------------


def test_the_newest_come_first_and_the_order_is_always_the_same() -> None:
    """C42."""
    catalog = Catalog()
    catalog.replace("q", models("old", provider="q", created=100) + models("new", provider="q", created=300), NOW)
    catalog.replace("p", models("mid", created=200) + models("z", "a"), NOW)
    assert listed(catalog) == ["p:a", "p:z", "q:new", "p:mid", "q:old"]
    assert listed(catalog) == listed(catalog)


def test_a_models_date_is_stable() -> None:
    """C40: between calls, refreshes and restarts."""
    catalog = Catalog()
    catalog.replace("p", models("undated") + models("dated", created=5), NOW)
    first = [catalog.modified_at(model) for model in catalog.all()]
    catalog.replace("p", models("undated") + models("dated", created=5), NOW + DAY)
    again = Catalog()
    again.restore(json.loads(json.dumps(catalog.export())), NOW + 2 * DAY)
    assert first == [int(NOW), 5]
    assert [catalog.modified_at(model) for model in catalog.all()] == first
    assert [again.modified_at(model) for model in again.all()] == first


def test_models_without_any_date_have_a_fixed_one() -> None:
    """Built-in models, and such as were only asked for."""
    catalog = Catalog()
    catalog.replace("p", models("a", listed=False), NOW)
    dates = {catalog.modified_at(catalog.all()[0]), catalog.modified_at(Model("p", "zzz", listed=False))}
    assert len(dates) == 1
    assert dates.pop() < NOW


# --- the copy on disk -------------------------------------------------------------------------------------------------


def rich(model_id: str) -> Model:
    return Model("p", model_id, frozenset(Capability), 10, 20, 30, 40, "Title")


def test_a_restored_catalogue_is_the_same() -> None:
    """F100: through JSON, vanished models included."""
    catalog = Catalog()
    catalog.replace("p", [rich("a"), *models("b")], NOW)
    catalog.replace("p", [rich("a")], NOW + DAY)
    again = Catalog()
    again.restore(json.loads(json.dumps(catalog.export())), NOW + 2 * DAY)
    assert again.all() == catalog.all() == [rich("a")]
    assert again.find("p", "b") == catalog.find("p", "b")


def test_built_in_lists_are_not_kept() -> None:
    """A newer version may know better."""
    catalog = Catalog()
    catalog.replace("p", models("a", listed=False), NOW)
    assert catalog.export()["providers"] == {}


def test_what_was_read_since_wins_over_the_copy() -> None:
    """But a built-in list does not."""
    copy_on_disk = Catalog()
    copy_on_disk.replace("p", models("kept"), NOW)
    copy_on_disk.replace("q", models("kept", provider="q"), NOW)
    catalog = Catalog()
    catalog.replace("p", models("live"), NOW)
    catalog.replace("q", models("built-in", provider="q", listed=False), NOW)
    catalog.restore(copy_on_disk.export(), NOW)
    assert listed(catalog) == ["p:live", "q:kept"]


GOOD = {"id": "a", "can": ["completion"]}


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        7,
        {},
        {"version": 2, "providers": {"p": [GOOD]}},
        {"version": 1},
        {"version": 1, "providers": {"p": None}},
        {
            "version": 1,
            "providers": {"p": [None, 7, {}, {"id": "a"}, {"id": "b", "can": ["flying"]}, {"id": "c", "can": 7}]},
        },
        {"version": 1, "providers": {"p": [{**GOOD, "gone": 5}]}},
    ],
)
def test_a_spoilt_copy_is_passed_over(data: object) -> None:
    """F103: garbage on disk costs a refresh, not the start."""
    catalog = Catalog()
    catalog.restore(data, NOW)
    assert catalog.all() == []


def test_a_copy_from_the_future_is_dated_today() -> None:
    """F95: somebody had set the clock."""
    catalog = Catalog()
    catalog.restore({"version": 1, "providers": {"p": [{**GOOD, "seen": 99999999999}]}}, NOW)
    assert catalog.modified_at(catalog.all()[0]) == int(NOW)


def test_an_exported_copy_is_not_touched_later(catalog: Catalog) -> None:
    """It is written in the background."""
    exported = catalog.export()
    before = copy.deepcopy(exported)
    catalog.replace("p", models("c"), NOW)
    assert exported == before


def test_thousands_of_models_need_little_memory() -> None:
    """Less than a kilobyte each."""
    tracemalloc.start()
    try:
        catalog = Catalog()
        can = frozenset({Capability.COMPLETION, Capability.TOOLS})
        catalog.replace("p", [Model("p", f"vendor/model-{i}", can, 131072) for i in range(5000)], NOW)
        assert tracemalloc.get_traced_memory()[0] < 5000 * 1024
    finally:
        tracemalloc.stop()


def test_the_list_is_made_once_between_two_refreshes(catalog: Catalog) -> None:
    """/api/tags is asked often and answered from memory."""
    assert catalog.all() is catalog.all()
