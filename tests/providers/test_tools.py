"""Tools as each provider takes them: schemas, names, choices."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from ollama_proxy.providers import Prepared, load
from ollama_proxy.providers.schemas import gemini, gemini_value, inline, strip
from ollama_proxy.types import Operation
from tests.support.strict_upstreams import as_json, google_schema

PROVIDERS = load()
HELLO = [{"role": "user", "content": "hello"}]


def tool(parameters: Any = None, name: str = "look_up", **more: Any) -> dict[str, Any]:
    function = {"name": name, "description": "d", **({} if parameters is None else {"parameters": parameters}), **more}
    return {"type": "function", "function": function}


def prepare(provider: str, *tools: dict[str, Any], model: str = "m", **fields: Any) -> Prepared:
    body = {"messages": HELLO, "tools": list(tools), **fields}
    prepared = PROVIDERS[provider].prepare(Operation.CHAT, model, body, True)
    return msgspec.structs.replace(prepared, body=as_json(prepared.body))


def parameters(provider: str, schema: Any, model: str = "m") -> Any:
    return prepare(provider, tool(schema), model=model).body["tools"][0]["function"].get("parameters")


def wrapped(schema: Any, **more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"p": schema}, **more}


# --- Gemini's subset --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ({"type": "string", "title": "T", "default": "x", "examples": ["x"], "pattern": "^x"}, {"type": "string"}),
        ({"const": "a"}, {"type": "string", "enum": ["a"]}),
        ({"type": ["integer", "null"]}, {"type": "integer", "nullable": True}),
        (
            {"anyOf": [{"type": "string"}, {"type": "null"}], "description": "d"},
            {"type": "string", "description": "d", "nullable": True},
        ),
        ({"type": ["string", "integer"]}, {"anyOf": [{"type": "string"}, {"type": "integer"}]}),
        (
            {"oneOf": [{"type": "string"}, {"type": "number"}], "description": "d"},
            {"anyOf": [{"type": "string", "description": "d"}, {"type": "number", "description": "d"}]},
        ),
        (
            {
                "allOf": [
                    {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
                    {"properties": {"b": {"type": "integer"}}, "required": ["b"]},
                ]
            },
            {
                "type": "object",
                "properties": {"a": {"type": "string"}, "b": {"type": "integer"}},
                "required": ["a", "b"],
            },
        ),
        ({"type": "integer", "enum": [1, 2]}, {"type": "string", "enum": ["1", "2"]}),
        ({"enum": ["a", "", None]}, {"type": "string", "enum": ["a"], "nullable": True}),
        ({"enum": [True, False]}, {"type": "string", "enum": ["true", "false"]}),
        ({"type": "array"}, {"type": "array", "items": {"type": "string"}}),
        (
            {"type": "array", "prefixItems": [{"type": "integer"}], "minItems": 1},
            {"type": "array", "items": {"type": "integer"}, "minItems": 1},
        ),
        ({"type": "string", "format": "date-time"}, {"type": "string", "format": "date-time"}),
        ({"type": "string", "format": "uuid"}, {"type": "string"}),
        (
            {"type": "integer", "format": "int64", "minimum": 0, "exclusiveMaximum": 9, "multipleOf": 2},
            {"type": "integer", "format": "int64", "minimum": 0},
        ),
        ({}, {"type": "string"}),
        (True, {"type": "string"}),
        ({"type": "STRING"}, {"type": "string"}),
        (
            {"properties": {"a": {"type": "string"}}, "required": ["a", "gone"], "additionalProperties": False},
            {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
        ),
        (
            {"type": "object", "additionalProperties": {"type": "string"}},
            {"type": "object", "properties": {"_": {"type": "string", "description": "not used"}}},
        ),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_schema_in_geminis_words(given: Any, made: dict[str, Any]) -> None:
    """What Gemini keeps, changes and drops."""
    assert parameters("google", wrapped(given)) == {"type": "object", "properties": {"p": made}}
    google_schema(wrapped(made))


def test_a_reference_is_replaced_by_what_it_names() -> None:
    """With what stands beside it."""
    schema = {
        **wrapped({"$ref": "#/$defs/City", "description": "where"}),
        "$defs": {"City": {"type": "string", "description": "a city"}},
    }
    assert parameters("google", schema) == wrapped({"type": "string", "description": "where"})


def test_a_schema_that_contains_itself_ends() -> None:
    """A tree of comments, say."""
    schema = {
        "type": "object",
        "properties": {"root": {"$ref": "#/definitions/Node"}},
        "definitions": {"Node": {"type": "object", "properties": {"next": {"$ref": "#/definitions/Node"}}}},
    }
    google_schema(parameters("google", schema))


def test_references_that_multiply_end_soon() -> None:
    """Twenty lines of JSON that stand for a million copies."""
    defs = {
        f"L{i}": wrapped({"$ref": f"#/$defs/L{i + 1}"})
        | {"properties": {k: {"$ref": f"#/$defs/L{i + 1}"} for k in "abcd"}}
        for i in range(19)
    }
    started = time.perf_counter()
    inline({"$ref": "#/$defs/L0", "$defs": {**defs, "L19": {"type": "string"}}})
    assert time.perf_counter() - started < 1.0


@pytest.mark.parametrize("schema", [None, {}, {"type": "object"}, {"type": "object", "properties": {}}, True])
def test_a_tool_without_arguments_has_no_parameters(schema: Any) -> None:
    """ "should be non-empty for OBJECT type"."""
    assert parameters("google", schema) is None


def test_alternatives_at_the_top_become_optional_properties() -> None:
    """Parameters are one object."""
    made = gemini(
        {
            "anyOf": [
                {"properties": {"a": {"type": "string"}}, "required": ["a"]},
                {"properties": {"b": {"type": "string"}}},
            ]
        }
    )
    assert made == {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}}


def test_the_schema_of_an_answer_passes_the_same_filter() -> None:
    """response_format json_schema."""
    wanted = {
        "type": "json_schema",
        "json_schema": {
            "name": "s",
            "schema": {"type": "object", "properties": {"a": {"const": "x"}}, "additionalProperties": False},
        },
    }
    body = PROVIDERS["google"].prepare(Operation.CHAT, "m", {"messages": HELLO, "response_format": wanted}, True).body
    assert body["response_format"]["json_schema"] == {
        "name": "s",
        "schema": {"type": "object", "properties": {"a": {"type": "string", "enum": ["x"]}}},
    }
    assert wanted["json_schema"]["schema"]["additionalProperties"] is False  # type: ignore[index]  # a nested literal
    assert gemini_value({"type": "array"}) == {"type": "array", "items": {"type": "string"}}


# --- the others -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", ["google", "openrouter", "akash", "cohere", "qwen"])
def test_strict_is_dropped_where_it_is_refused(provider: str) -> None:
    """Cohere: "parameter 'strict' is not a valid field"; some suppliers behind OpenRouter are Cohere."""
    assert (
        "strict" not in prepare(provider, tool(wrapped({"type": "string"}), strict=True)).body["tools"][0]["function"]
    )


@pytest.mark.parametrize("provider", ["codestral", "openai", "groq"])
def test_strict_is_kept_where_it_is_known(provider: str) -> None:
    """It makes the model keep to the schema."""
    assert (
        prepare(provider, tool(wrapped({"type": "string"}), strict=True)).body["tools"][0]["function"]["strict"] is True
    )


def test_cohere_gets_known_fields_of_a_tool_only() -> None:
    """Unknown nested fields are a 422."""
    given = tool(
        {**wrapped({"type": "object", "additionalProperties": False}), "$schema": "x"}, cache_control={}, strict=True
    )
    assert prepare("cohere", {**given, "cache": 1}).body["tools"] == [tool(wrapped({"type": "object"}))]


def test_mistral_gets_no_references() -> None:
    """$ref, $id and $schema have caused 400s there."""
    schema = {
        **wrapped({"$ref": "#/$defs/A"}),
        "$id": "i",
        "$schema": "s",
        "$defs": {"A": {"type": "string", "$id": "j"}},
    }
    assert parameters("codestral", schema) == wrapped({"type": "string"})


def test_gemini_behind_openrouter_gets_no_references() -> None:
    """Other models there keep their schema as it is."""
    schema = {**wrapped({"$ref": "#/$defs/A"}), "$defs": {"A": {"type": "string"}}}
    assert parameters("openrouter", schema, model="google/gemini-3.5-flash") == wrapped({"type": "string"})
    assert parameters("openrouter", schema, model="openai/gpt-4o") == schema


def test_properties_that_share_a_keywords_name_stay() -> None:
    """A tool may well have an argument called title or strict."""
    schema = wrapped(
        {"type": "object", "properties": {"additionalProperties": {"type": "string"}, "$schema": {"type": "string"}}}
    )
    assert strip(schema, frozenset({"additionalProperties", "$schema"})) == schema


def test_tools_that_need_no_look_stay_json_text() -> None:
    """OpenRouter takes them as they are, unless `strict` is in them."""
    plain = Raw(msgspec.json.encode([tool(wrapped({"type": "string"}))]))
    body = PROVIDERS["openrouter"].prepare(Operation.CHAT, "m", {"messages": HELLO, "tools": plain}, True).body
    assert body["tools"] is plain


@pytest.mark.parametrize(
    ("provider", "sent"), [("cohere", "get_weather"), ("google", "get-weather"), ("codestral", "get-weather")]
)
def test_function_names_fit_the_provider(provider: str, sent: str) -> None:
    """Cohere knows letters, digits and the underscore; the client's own name is mapped back."""
    prepared = prepare(provider, tool(name="get-weather"))
    assert prepared.body["tools"][0]["function"]["name"] == sent
    assert prepared.names == ({sent: "get-weather"} if sent != "get-weather" else {})


def test_names_are_changed_alike_everywhere() -> None:
    """In the tool, the choice, the call and its answer."""
    history = [
        *HELLO,
        {
            "role": "assistant",
            "tool_calls": [{"id": "a", "type": "function", "function": {"name": "x/y", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "a", "content": "r"},
    ]
    asked = {
        "messages": history,
        "tools": [tool(name="x/y")],
        "tool_choice": {"type": "function", "function": {"name": "x/y"}},
    }
    body = as_json(PROVIDERS["google"].prepare(Operation.CHAT, "m", asked, True).body)
    assert body["tools"][0]["function"]["name"] == "x_y"
    assert body["tool_choice"]["function"]["name"] == "x_y"
    assert body["messages"][1]["tool_calls"][0]["function"]["name"] == "x_y"
    assert body["messages"][2]["name"] == "x_y"


def test_two_names_never_become_one() -> None:
    """Else the wrong tool would be called."""
    names = [
        t["function"]["name"]
        for t in prepare(
            "cohere", tool(name="a-b"), tool(name="a.b"), tool(name="a_b"), tool(name="x" * 90), tool(name="x" * 91)
        ).body["tools"]
    ]
    assert len(set(names)) == 5
    assert all(len(name) <= 64 for name in names)


def test_cohere_understands_no_choice_but_none() -> None:
    """`none` takes the tools away, anything else is dropped and reported."""
    assert "tools" not in prepare("cohere", tool(), tool_choice="none").body
    required = prepare("cohere", tool(), tool_choice="required")
    assert "tool_choice" not in required.body
    assert required.dropped == ("tool_choice",)
    assert prepare("cohere", tool(), tool_choice="auto").dropped == ()


@pytest.mark.parametrize("provider", ["google", "openrouter", "akash", "codestral", "groq"])
def test_a_choice_is_kept_where_it_is_known(provider: str) -> None:
    """`required` makes the model call something."""
    assert prepare(provider, tool(), tool_choice="required").body["tool_choice"] == "required"


def test_a_tool_that_is_no_function_is_left_to_the_provider() -> None:
    """OpenRouter's own tools, say."""
    assert prepare("openrouter", {"type": "web_search"}).body["tools"] == [{"type": "web_search"}]
