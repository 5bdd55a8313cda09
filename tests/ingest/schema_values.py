"""Values of a JSON Schema, and values that nearly are: as much of JSON Schema as the API's document uses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.ingest.documented_answers import DOCUMENT

Schema = Mapping[str, Any]
_LETTERS = st.characters(codec="utf-8")

ODD: SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, -1, 2**31, 2**63, 2**64, -(2**63) - 1, 10**30, 1e308, -0.0, 0.1]),
    st.sampled_from(["", " ", "\x00", "\u2028", "é", "😀", "../../etc/passwd", '"signature":""', "x" * 2000, "\ud800"]),
    st.sampled_from([[], {}, [[]], {"": {}}, [None] * 100, {"signature": ""}]),
)
"""Values that parsers have stumbled over."""


def of_component(name: str) -> SearchStrategy[Any]:
    """Values of a schema of the document."""
    return _component(name)


@cache
def _component(name: str) -> SearchStrategy[Any]:
    return values(DOCUMENT["components"]["schemas"][name])


def values(schema: Schema) -> SearchStrategy[Any]:
    """Values of the schema. Raises KeyError for a kind of schema that the document does not use."""
    if "$ref" in schema:
        return of_component(schema["$ref"].rpartition("/")[2])
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return st.one_of([values(one) for one in schema[several]])
    return _OF_TYPE[schema["type"]](schema)


def _text(schema: Schema) -> SearchStrategy[str]:
    if "pattern" in schema:
        return st.from_regex(schema["pattern"].replace("$", r"\Z"))
    longest = min(schema.get("maxLength", 40), 40)
    return st.text(_LETTERS, min_size=schema.get("minLength", 0), max_size=longest)


def _object(schema: Schema) -> SearchStrategy[dict[str, Any]]:
    required = set(schema["required"])
    members = {name: values(each) for name, each in schema["properties"].items()}
    return st.fixed_dictionaries(
        {name: each for name, each in members.items() if name in required},
        optional={name: each for name, each in members.items() if name not in required},
    )


_OF_TYPE: Mapping[str, Callable[[Schema], SearchStrategy[Any]]] = {
    "null": lambda _: st.none(),
    "boolean": lambda _: st.booleans(),
    "integer": lambda s: st.integers(s.get("minimum"), s.get("maximum")),
    "number": lambda s: st.floats(s.get("minimum"), s.get("maximum"), allow_nan=False, allow_infinity=False),
    "string": _text,
    "array": lambda s: st.lists(values(s["items"]), max_size=4),
    "object": _object,
}


@st.composite
def nearly(draw: st.DrawFn, value: Mapping[str, Any]) -> dict[str, Any]:
    """The object with one fault at the top or one level down: a member is missing, odd, or not of the schema."""
    changed = dict(value)
    nested = [name for name, member in changed.items() if isinstance(member, dict) and member]
    if nested and draw(st.booleans()):
        name = draw(st.sampled_from(nested))
        return {**changed, name: draw(nearly(changed[name]))}
    name = draw(st.sampled_from([*changed, "additional", ""]))
    if name in changed and draw(st.booleans()):
        del changed[name]
    else:
        changed[name] = draw(ODD)
    return changed
