"""Selections: which signals a rule means. Compiled once, since some are asked for every heartbeat of the fleet."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from processors.alerting.signals import Signal, Value

Attributes = Mapping[str, Any]
Predicate = Callable[[Attributes], bool]

_SURROGATE = re.compile("[\ud800-\udfff]")
_INT_LIMIT = 1 << 63

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}
_TEXT: dict[str, Callable[[str, tuple[str, ...]], bool]] = {
    "startswith": str.startswith,
    "endswith": str.endswith,
    "contains": lambda text, parts: any(part in text for part in parts),
}


class Condition(NamedTuple):
    """What is said of one field. ``modifier`` is empty for equality; several values are alternatives."""

    field: str
    modifier: str
    values: tuple[Value, ...]
    negated: bool = False


Alternative = tuple[Condition, ...]


class Selection(NamedTuple):
    """All conditions of one alternative hold; an alternative without conditions holds always."""

    alternatives: tuple[Alternative, ...]

    def without(self, fields: tuple[str, ...]) -> Selection:
        """The selection of somebody who does not see these fields: what is said of them counts as true."""
        return Selection(tuple(tuple(c for c in each if c.field not in fields) for each in self.alternatives))


def attributes(signal: Signal) -> dict[str, Any]:
    """What rules may select and group by: the signal's fields, its client and its node.

    Raises ValueError where a field holds what no signal has, before any rule has looked at it.
    """
    if not all(map(_is_sound, signal.fields.values())):
        raise ValueError("a field of the signal holds neither text, nor a number, nor a truth value")
    return {**signal.fields, "client_id": signal.client_id or None, "node_id": signal.node_id}


def _is_sound(value: object) -> bool:
    """Whether state and evidence can hold it: JSON can say more."""
    if isinstance(value, str):
        return value.isascii() or not _SURROGATE.search(value)
    return value is None or isinstance(value, float) or (isinstance(value, int) and -_INT_LIMIT <= value < _INT_LIMIT)


def predicate(selection: Selection) -> Predicate:
    """The selection as a function of attributes."""
    alternatives = [_all_of([_condition(each) for each in conditions]) for conditions in selection.alternatives]
    if len(alternatives) == 1:
        return alternatives[0]
    return lambda attributes: any(holds(attributes) for holds in alternatives)


def _all_of(conditions: list[Predicate]) -> Predicate:
    if not conditions:
        return lambda _: True
    first, *rest = conditions
    if not rest:
        return first
    if len(rest) == 1:
        second = rest[0]
        return lambda attributes: first(attributes) and second(attributes)
    return lambda attributes: first(attributes) and all(holds(attributes) for holds in rest)


def _condition(condition: Condition) -> Predicate:
    holds = _positive(condition)
    return (lambda attributes: not holds(attributes)) if condition.negated else holds


def _positive(condition: Condition) -> Predicate:
    field, values = condition.field, condition.values
    if condition.modifier == "exists":
        wanted = bool(values[0])
        return lambda attributes: (attributes.get(field) is not None) == wanted
    if condition.modifier in _COMPARE:
        return _comparison(field, condition.modifier, values)
    if condition.modifier in _TEXT:
        return _textual(field, condition.modifier, values)
    allowed = frozenset(values)
    return lambda attributes: attributes.get(field) in allowed


def _comparison(field: str, modifier: str, values: tuple[Value, ...]) -> Predicate:
    compare, limit = _COMPARE[modifier], values[0]

    def holds(attributes: Attributes) -> bool:
        value = attributes.get(field)
        # A truth value is an int to Python and no number to a rule.
        return value.__class__ in (int, float) and compare(value, limit)

    return holds


def _textual(field: str, modifier: str, values: tuple[Value, ...]) -> Predicate:
    test, parts = _TEXT[modifier], tuple(str(value) for value in values)

    def holds(attributes: Attributes) -> bool:
        value = attributes.get(field)
        return isinstance(value, str) and test(value, parts)

    return holds
