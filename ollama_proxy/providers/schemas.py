"""Owns how JSON Schemas of tools are made to fit what a provider reads. Pure functions over plain dicts.

`strip` and `inline` leave everything else as it is; `gemini` rebuilds a schema in the subset of OpenAPI 3.0 that Gemini
documents (https://ai.google.dev/api/caching#Schema, read 2026-11). Newer Gemini versions take more; the subset is what
all of them take.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

__all__ = ["gemini", "inline", "strip"]

Schema: TypeAlias = dict[str, Any]

#: Keywords whose value is a schema, a list of schemas, or a map of names to schemas.
_ONE = (
    "additionalProperties",
    "contains",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedProperties",
)
_LIST = ("allOf", "anyOf", "oneOf", "prefixItems")
_MAP = ("$defs", "definitions", "dependentSchemas", "patternProperties", "properties")
#: Deeper than any honest tool; also where a schema that contains itself is cut.
_DEEPEST = 20
#: Copies made for one schema; real ones need a few dozen.
_MOST_COPIES = 1000


def strip(schema: Any, keys: frozenset[str]) -> Any:
    """The schema without these keywords at any depth; properties that only share their name stay."""
    return _each({k: v for k, v in schema.items() if k not in keys}, keys, 0) if isinstance(schema, dict) else schema


def _each(schema: Schema, keys: frozenset[str], depth: int) -> Schema:
    def below(value: Any) -> Any:
        if not isinstance(value, dict) or depth > _DEEPEST:
            return value
        return _each({k: v for k, v in value.items() if k not in keys}, keys, depth + 1)

    for key in _ONE:
        if isinstance(schema.get(key), dict):
            schema[key] = below(schema[key])
    for key in _LIST:
        if isinstance(schema.get(key), list):
            schema[key] = [below(item) for item in schema[key]]
    for key in _MAP:
        if isinstance(schema.get(key), dict):
            schema[key] = {name: below(item) for name, item in schema[key].items()}
    return schema


def inline(schema: Any) -> Any:
    """The schema with every local $ref replaced by a copy of what it points to; recursion ends in an open object."""
    if not isinstance(schema, dict):
        return schema
    return _Inliner(schema).copy({k: v for k, v in schema.items() if k not in ("$defs", "definitions")}, ())


class _Inliner:
    """Copies what references name. Counts, because a few references to each other can stand for a million copies."""

    __slots__ = ("_left", "_root")

    def __init__(self, root: Schema) -> None:
        self._root = root
        self._left = _MOST_COPIES

    def copy(self, value: Any, path: tuple[str, ...]) -> Any:
        if isinstance(value, list):
            return [self.copy(item, path) for item in value]
        if not isinstance(value, dict):
            return value
        ref = value.get("$ref")
        if not isinstance(ref, str):
            return {k: self.copy(v, path) for k, v in value.items()}
        target = _point(self._root, ref)
        beside = {k: v for k, v in value.items() if k != "$ref"}
        self._left -= 1
        if target is None or ref in path or len(path) > _DEEPEST or self._left < 0:
            return {"type": "object", **{k: v for k, v in beside.items() if k in ("description", "title")}}
        return self.copy({**target, **beside}, (*path, ref))


def _point(root: Schema, ref: str) -> Schema | None:
    """What a local JSON pointer names: `#/$defs/Name`."""
    if not ref.startswith("#"):
        return None
    value: Any = root
    for step in ref[1:].split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if not isinstance(value, dict) or name not in value:
            return None
        value = value[name]
    return value if isinstance(value, dict) else None


# --- Gemini -----------------------------------------------------------------------------------------------------------

_TYPES = ("string", "number", "integer", "boolean", "array", "object")
_FORMATS = {
    "string": ("enum", "date-time"),
    "number": ("float", "double"),
    "integer": ("int32", "int64"),
}
_BOUNDS = {
    "array": ("minItems", "maxItems"),
    "number": ("minimum", "maximum"),
    "integer": ("minimum", "maximum"),
}
_ANYTHING: Schema = {"type": "string"}


def gemini(schema: Any) -> Schema | None:
    """The parameters of a tool as Gemini takes them; None for a tool without arguments, which goes without any."""
    flat = inline(schema)
    if not isinstance(flat, dict):
        return None
    made = _gemini(flat, 0)
    if "anyOf" in made:
        made = _one_object(made["anyOf"])
    return made if made.get("properties") else None


def _one_object(branches: list[Schema]) -> Schema:
    """Parameters are one object: alternatives become its optional properties."""
    properties: dict[str, Any] = {}
    for branch in branches:
        properties.update(branch.get("properties", {}))
    wanted = [set(branch.get("required", ())) for branch in branches]
    required = sorted(set.intersection(*wanted)) if wanted else []
    return {"type": "object", "properties": properties, **({"required": required} if required else {})}


def gemini_value(schema: Any) -> Schema:
    """Any schema (that of an answer, too) as Gemini takes it."""
    flat = inline(schema)
    return _gemini(flat, 0) if isinstance(flat, dict) else dict(_ANYTHING)


def _gemini(schema: Any, depth: int) -> Schema:
    if not isinstance(schema, dict) or depth > _DEEPEST:
        return dict(_ANYTHING)
    schema = _merged(schema)
    branches, nullable = _branches(schema)
    if len(branches) == 1:
        only = branches[0]
        schema = {**{k: v for k, v in schema.items() if k not in ("anyOf", "oneOf")}, **only}
        nullable = nullable or only.get("nullable") is True
    elif branches:
        return {"anyOf": [_branch(b, schema, depth, nullable=nullable) for b in branches]}
    made = _plain(schema, depth)
    if nullable or schema.get("nullable") is True:
        made["nullable"] = True
    return made


def _merged(schema: Schema) -> Schema:
    """`allOf` poured into its owner."""
    parts = schema.get("allOf")
    if not isinstance(parts, list):
        return schema
    whole: Schema = {}
    for part in [*parts, {k: v for k, v in schema.items() if k != "allOf"}]:
        if not isinstance(part, dict):
            continue
        part = _merged(part)
        for key, value in part.items():
            if key == "properties" and isinstance(value, dict):
                whole[key] = {**whole.get(key, {}), **value}
            elif key == "required" and isinstance(value, list):
                whole[key] = [*whole.get(key, []), *value]
            else:
                whole[key] = value
    return whole


def _branches(schema: Schema) -> tuple[list[Schema], bool]:
    """The alternatives of a schema without null, and whether null was one of them."""
    found: list[Schema] = []
    nullable = False
    for option in _options(schema):
        if option.get("type") == "null" or ("const" in option and option["const"] is None):
            nullable = True
        else:
            found.append(option)
    return found, nullable


def _options(schema: Schema) -> Iterator[Schema]:
    for key in ("anyOf", "oneOf"):
        if isinstance(schema.get(key), list):
            yield from (option for option in schema[key] if isinstance(option, dict))
            return
    kinds = schema.get("type")
    if isinstance(kinds, list):
        yield from ({**schema, "type": kind} for kind in kinds)


def _branch(option: Schema, owner: Schema, depth: int, *, nullable: bool) -> Schema:
    """One of several alternatives. `anyOf` must stand alone, so what its owner says moves into each of them."""
    made = _gemini(option, depth + 1)
    if isinstance(owner.get("description"), str) and "anyOf" not in made:
        made.setdefault("description", owner["description"])
    if nullable and "anyOf" not in made:
        made["nullable"] = True
    return made


def _plain(schema: Schema, depth: int) -> Schema:
    """A schema without alternatives."""
    kind = _kind(schema)
    made: Schema = {"type": kind}
    if isinstance(schema.get("description"), str):
        made["description"] = schema["description"]
    choices = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if isinstance(choices, list) and _enum(made, choices):
        return made
    if schema.get("format") in _FORMATS.get(kind, ()):
        made["format"] = schema["format"]
    for bound in _BOUNDS.get(kind, ()):
        value = schema.get(bound)
        if isinstance(value, int | float) and not isinstance(value, bool):
            made[bound] = value
    if kind == "array":
        made["items"] = _items(schema, depth)
    elif kind == "object":
        _object(made, schema, depth)
    return made


def _kind(schema: Schema) -> str:
    kind = schema.get("type")
    if isinstance(kind, str) and kind.lower() in _TYPES:
        return kind.lower()
    if "properties" in schema:
        return "object"
    return "array" if "items" in schema or "prefixItems" in schema else "string"


def _enum(made: Schema, choices: list[Any]) -> bool:
    """Only texts may be listed, and none of them empty; numbers are listed as text. Returns whether any is left."""
    texts = [c if isinstance(c, str) else _text(c) for c in choices if c is not None and c != ""]
    if None in choices:
        made["nullable"] = True
    if texts:
        made.update(type="string", enum=texts)
    return bool(texts)


def _text(value: object) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


def _items(schema: Schema, depth: int) -> Schema:
    """`items` must be there and hold one schema."""
    items = schema.get("items", schema.get("prefixItems"))
    if isinstance(items, list):
        items = items[0] if items else None
    return _gemini(items, depth + 1)


def _object(made: Schema, schema: Schema, depth: int) -> None:
    properties = schema.get("properties")
    if isinstance(properties, dict) and properties:
        made["properties"] = {str(name): _gemini(value, depth + 1) for name, value in properties.items()}
    elif depth:
        # "should be non-empty for OBJECT type" (400 of some versions): an object of free keys gets one nobody needs.
        made["properties"] = {"_": {"type": "string", "description": "not used"}}
    wanted = schema.get("required")
    if isinstance(wanted, list):
        required = list(dict.fromkeys(name for name in wanted if name in made.get("properties", ())))
        if required:
            made["required"] = required
