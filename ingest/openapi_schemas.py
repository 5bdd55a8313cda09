"""JSON Schemas (2020-12) of the protocol's structs, for the API's document."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

REF_TEMPLATE = "#/components/schemas/{name}"


def reference(kind: type[Any]) -> dict[str, str]:
    """A reference to the schema of a struct."""
    return {"$ref": REF_TEMPLATE.format(name=kind.__name__)}


def schemas(kinds: Iterable[type[Any]]) -> dict[str, Any]:
    """The schemas of these structs, and of all that they hold, by name."""
    _, found = msgspec.json.schema_components(kinds, ref_template=REF_TEMPLATE)
    return {name: portable(schema) for name, schema in sorted(found.items())}


def schema_of(annotation: Any) -> dict[str, Any]:
    """The schema of a plain annotated type, in place."""
    found: dict[str, Any] = portable(msgspec.json.schema(annotation))
    return found


def portable(schema: Any) -> Any:
    """The schema in the words that every reader of JSON Schema knows.

    Patterns are those of ECMA 262, which has no ``\\A`` and ``\\Z``; ``encrypted`` is true or the message is refused.
    """
    if isinstance(schema, list):
        return [portable(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    changed = {name: portable(value) for name, value in schema.items()}
    if isinstance(changed.get("pattern"), str):
        changed["pattern"] = changed["pattern"].replace(r"\A", "^").replace(r"\Z", "$")
    if isinstance(changed.get("description"), str):
        changed["description"] = inspect.cleandoc(changed["description"])
    properties = changed.get("properties")
    if isinstance(properties, dict) and "encrypted" in properties:
        properties["encrypted"] = {"const": True}
    return changed
