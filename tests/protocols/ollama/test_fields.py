from __future__ import annotations

from typing import Any

import pytest

from ollama_proxy.errors import BadRequest
from ollama_proxy.protocols.ollama.fields import BOOL, INT, MAP, STRING, Struct, list_of, quoted
from tests.support.ollama_kit import chat

THING = Struct("Thing", {"name": STRING, "on": BOOL, "count": INT, "options": MAP, "parts": list_of("api.Part")})


@pytest.mark.parametrize(
    ("value", "kind"), [([], "array"), ("x", "string"), (1, "number"), (1.5, "number"), (True, "bool")]
)
def test_a_body_that_is_no_object_is_refused(value: Any, kind: str) -> None:
    """C27."""
    with pytest.raises(BadRequest, match=f"^json: cannot unmarshal {kind} into Go value of type api.Thing$"):
        THING.read(value)


def test_null_is_an_object_without_fields() -> None:
    """C30."""
    assert THING.read(None) == {}


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("name", 1, "number into Go struct field Thing.name of type string"),
        ("name", [], "array into Go struct field Thing.name of type string"),
        ("on", "false", "string into Go struct field Thing.on of type bool"),
        ("on", 1, "number into Go struct field Thing.on of type bool"),
        ("count", True, "bool into Go struct field Thing.count of type int"),
        ("count", 1.5, "number 1.5 into Go struct field Thing.count of type int"),
        ("options", [], r"array into Go struct field Thing.options of type map\[string\]interface {}"),
        ("parts", {}, r"object into Go struct field Thing.parts of type \[\]api.Part"),
    ],
)
def test_a_wrong_type_names_field_and_types(field: str, value: Any, words: str) -> None:
    """C28, C29, C34."""
    with pytest.raises(BadRequest, match=f"^json: cannot unmarshal {words}$"):
        THING.read({field: value})


@pytest.mark.parametrize("field", ["options", "tools", "format", "keep_alive", "think", "stream", "messages"])
def test_null_means_not_given(field: str) -> None:
    """C33: every field may be null; a null `stream` still streams."""
    request = chat(**{field: None})
    plain = chat() if field != "messages" else chat(messages=[])
    assert request.call.body == plain.call.body
    assert request.call.stream is True


def test_null_images_mean_none() -> None:
    """C33, inside a message."""
    request = chat(messages=[{"role": "user", "content": "hi", "images": None}])
    assert request.call.body["messages"] == [{"role": "user", "content": "hi"}]


def test_fields_may_come_in_any_case() -> None:
    """C35."""
    assert THING.read({"NAME": "x", "On": True}) == {"name": "x", "on": True}


@pytest.mark.parametrize("body", [{"name": "exact", "NAME": "loud"}, {"NAME": "loud", "name": "exact"}])
def test_the_exact_spelling_is_preferred(body: dict[str, Any]) -> None:
    """Whichever comes first."""
    assert THING.read(body) == {"name": "exact"}


def test_quoting_is_gos() -> None:
    """Quotes, backslashes and signs that cannot be seen are escaped; other letters stay."""
    assert quoted('a"b\\c\nd é') == '"a\\"b\\\\c\\nd é"'
