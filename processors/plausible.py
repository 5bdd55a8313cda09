"""Whether a record's numbers and texts are such that one can go on with them: what an edge writes always is.

Whoever can write to Kafka can write a record that fits its schema and breaks what follows: a time that no calendar has, a
number that no later record can hold, an infinity, an id as large as a record. Found here, it is a dead letter like any
other; found later, every worker would fail at it in turn.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache
from operator import itemgetter
from typing import Any

from schemas.errors import CodecError
from schemas.registry import latest_schema

LAST_MS = 253_402_214_400_000
"""9999-12-31, the last day that a datetime has."""
_LARGEST_INT = 2**31 - 1
# Texts are looked at only in values that are large enough to have one that is too long.
_MOST_CHARACTERS = 2_048
# An edge's largest record, an event with its sealed bytes, has 700,000; what follows from one must fit into Kafka's 1 MB.
_MOST_BYTES = 800_000
# What only the SOC opens, and what is JSON for others to judge.
_OPAQUE = frozenset({"description", "sealed", "device_info", "body", "details", "fields", "csr", "evidence"})

Record = Mapping[str, Any]


def require_plausible(name: str, record: Record, size: int) -> None:
    """Raise CodecError for a record of the named schema that is not. ``size`` is of its value, in bytes."""
    longs, ints, floats = _members(name)
    numbers = longs(record)
    if not (min(numbers) >= 0 and max(numbers) <= LAST_MS and max(ints(record)) <= _LARGEST_INT):
        raise CodecError(f"a {name} with a number that is out of range")
    if not math.isfinite(sum(floats(record))):
        raise CodecError(f"a {name} with a number that is none")
    if size > _MOST_CHARACTERS and (size > _MOST_BYTES or max(map(_length, record.items())) > _MOST_CHARACTERS):
        raise CodecError(f"a {name} that is too large")


def _length(member: tuple[str, Any]) -> int:
    """Of a text that others may keep or compare."""
    name, value = member
    return len(value) if isinstance(value, str) and name not in _OPAQUE else 0


Getter = Callable[[Record], tuple[Any, ...]]


@cache
def _members(name: str) -> tuple[Getter, Getter, Getter]:
    """By kind: all integers, those of 32 bits, floating point numbers."""
    fields = [(field["name"], _kind(field["type"])) for field in latest_schema(name).json["fields"]]

    def getter(*kinds: str) -> Getter:
        return _getter([member for member, kind in fields if kind in kinds])

    return getter("long", "int"), getter("int"), getter("double")


def _kind(kind: Any) -> str:
    """The name of a type; empty for what may be absent, whose reader has to look anyway."""
    found = kind["type"] if isinstance(kind, dict) else kind
    return found if isinstance(found, str) else ""


def _getter(names: list[str]) -> Getter:
    if not names:
        return lambda _: (0,)
    if len(names) == 1:
        [only] = names
        return lambda record: (record[only],)
    return itemgetter(*names)
