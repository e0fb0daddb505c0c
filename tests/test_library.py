"""What Ollama's verbs leave behind: made names, hidden and kept models."""

from __future__ import annotations

from typing import Any

import msgspec

from ollama_proxy.library import Library, Recipe


def again(library: Library, aliases: dict[str, str] | None = None) -> Library:
    """The same library after a restart."""
    later = Library(aliases)
    later.restore(msgspec.json.decode(msgspec.json.encode(library.export())))
    return later


def test_a_made_name_is_found_in_any_case_and_with_latest() -> None:
    """C149: the way a name is written does not count."""
    library = Library()
    assert library.make("My-Model:latest", Recipe("google:g"))
    for name in ("my-model", "MY-MODEL:latest", " My-Model "):
        assert library.source(name) == "google:g"
    assert library.names() == ["My-Model"]


def test_made_names_hidden_and_kept_models_survive_a_restart() -> None:
    """What a verb did is still so after the next start."""
    library = Library()
    recipe = Recipe(
        "google:g", "Be brief.", ({"role": "user", "content": "hi"},), {"temperature": 0.1}, {"num_ctx": 5}, 7
    )
    library.make("brief", recipe)
    library.hide("google:old")
    library.keep("google:new")
    later = again(library)
    assert later.find("brief") == recipe
    assert not later.shows("google:old")
    assert later.kept() == ["google:new"]


def test_what_the_settings_name_can_be_neither_replaced_nor_deleted() -> None:
    """An alias of the settings file is the operator's."""
    library = Library({"small": "google:g"})
    assert not library.make("SMALL", Recipe("cohere:c"))
    assert not library.unmake("small")
    assert library.source("small") == "google:g"
    assert again(library, {"small": "google:h"}).source("small") == "google:h"


def test_a_made_name_can_be_replaced_and_deleted() -> None:
    """The last word counts, and a deleted name is gone."""
    library = Library()
    library.make("a", Recipe("google:g"))
    library.make("a", Recipe("cohere:c"))
    assert library.source("a") == "cohere:c"
    assert library.unmake("A:latest")
    assert library.find("a") is None
    assert not library.unmake("a")


def test_pulling_a_hidden_model_shows_it_again() -> None:
    """Delete and pull undo each other."""
    library = Library()
    library.hide("google:g")
    assert not library.shows("google:g")
    library.keep("google:g")
    assert library.shows("google:g")
    library.hide("google:g")
    assert library.kept() == []


def test_a_recipe_puts_its_system_prompt_and_messages_before_a_request() -> None:
    """A created model's words come first, in order, and a request's own fields win."""
    recipe = Recipe("g", "Be brief.", ({"role": "user", "content": "a"},), {"temperature": 0.1, "top_p": 0.5})
    body = {"messages": [{"role": "user", "content": "b"}], "temperature": 0.9}
    assert recipe.apply(body) == {
        "temperature": 0.9,
        "top_p": 0.5,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "a"},
            {"role": "user", "content": "b"},
        ],
    }
    assert body["messages"] == [{"role": "user", "content": "b"}]


def test_a_requests_own_system_message_takes_the_place_of_the_recipes() -> None:
    """Only one of them speaks, as in Ollama."""
    body = {"messages": msgspec.Raw(b'[{"role":"system","content":"own"},{"role":"user","content":"b"}]')}
    applied = Recipe("g", "Be brief.").apply(body)
    assert [message["content"] for message in applied["messages"]] == ["own", "b"]


def test_a_recipe_made_from_another_takes_over_what_it_does_not_say() -> None:
    """Recipes are flat: the base model and every default of the one below."""
    base = Recipe("google:g", "Be brief.", defaults={"temperature": 0.1}, parameters={"temperature": 0.1})
    made = Recipe("brief", defaults={"top_p": 0.5}, parameters={"top_p": 0.5}).over(base)
    assert made.source == "google:g"
    assert made.system == "Be brief."
    assert made.defaults == {"temperature": 0.1, "top_p": 0.5}


def test_a_plain_recipe_leaves_a_request_as_it_is() -> None:
    """An alias costs nothing: the very same body."""
    body = {"messages": msgspec.Raw(b"[]")}
    assert Recipe("g").apply(body) is body


def test_a_damaged_copy_is_passed_over() -> None:
    """F103: what cannot be read does not stop the start."""
    copies: list[Any] = [None, [], {"version": 2}, {"version": 1, "made": {"a": 5, "b": {"system": 1}}, "hidden": [1]}]
    for damaged in copies:
        library = Library()
        library.restore(damaged)
        assert library.names() == []
        assert library.shows("x")


def test_the_number_of_made_names_is_bounded() -> None:
    """F93: what comes from outside cannot grow without end."""
    library = Library()
    made = [library.make(f"name-{number}", Recipe("g")) for number in range(1100)]
    assert made.count(True) == 1000
    assert library.make("name-1", Recipe("h"))
