"""Reads selections: mappings from fields with modifiers to values, or lists of such mappings as alternatives."""

from __future__ import annotations

from typing import Any

from processors.alerting.signals import Value
from processors.rules.language import CHOICES, COMPARISONS, FIELDS, MODIFIERS, NOT, TEXT_MODIFIERS, Holds
from processors.rules.nodes import Members, is_null, is_sequence, items, scalar, shown
from processors.rules.selection import Alternative, Condition, Selection
from processors.yaml_nodes import Faults, Node

ANYTHING = Selection(((),))

_MAX_VALUES = 1_000


def read_selection(node: Node | None, source: str, faults: Faults, what: str) -> Selection:
    """A selection over the fields of a source; faults are noted. One that is left out selects everything."""
    if node is None:
        return ANYTHING
    if is_sequence(node) and not node.value:
        faults.add(node, f"{what} has no alternatives")
    return Selection(tuple(_read_alternative(each, source, faults, what) for each in items(node)))


def _read_alternative(node: Node, source: str, faults: Faults, what: str) -> Alternative:
    members = Members(node, faults, what)
    read = [_read_condition(name, key, value, source, faults) for name, key, value in members.rest()]
    return tuple(condition for condition in read if condition is not None)


def _read_condition(name: str, key: Node, node: Node, source: str, faults: Faults) -> Condition | None:
    field, *modifiers = name.split("|")
    negated = modifiers[:1] == [NOT]
    modifiers = modifiers[negated:]
    holds = FIELDS[source].get(field)
    before = len(faults)
    if holds is None:
        faults.add(key, f"source {source} has no field {shown(field)}")
    if len(modifiers) > 1 or any(each not in MODIFIERS for each in modifiers):
        faults.add(key, f"{shown('|'.join(modifiers))} is no modifier; there are not and one of {', '.join(MODIFIERS)}")
    if holds is None or len(faults) > before:
        return None
    modifier = "".join(modifiers)
    _check_modifier(field, modifier, holds, key, faults)
    values = _read_values(node, modifier, _wanted(holds, modifier), faults)
    if not modifier:
        _check_choices(source, field, values, node, faults)
    return Condition(field, modifier, values, negated)


def _check_modifier(field: str, modifier: str, holds: Holds, key: Node, faults: Faults) -> None:
    wrong = (modifier in COMPARISONS and holds is not Holds.NUMBER) or (
        modifier in TEXT_MODIFIERS and holds is not Holds.TEXT
    )
    if wrong:
        faults.add(key, f"{modifier} does not go with {field}, which holds {holds}")


def _wanted(holds: Holds, modifier: str) -> Holds:
    return Holds.FLAG if modifier == "exists" else holds


def _read_values(node: Node, modifier: str, holds: Holds, faults: Faults) -> tuple[Value, ...]:
    nodes = items(node)
    single = modifier in (*COMPARISONS, "exists")
    if not nodes or len(nodes) > _MAX_VALUES or (single and len(nodes) > 1):
        faults.add(node, "one value is needed" if single else f"1 to {_MAX_VALUES} values are needed")
    return tuple(_read_value(each, holds, not modifier, faults) for each in nodes[:_MAX_VALUES])


def _read_value(node: Node, holds: Holds, may_be_null: bool, faults: Faults) -> Value:
    if may_be_null and is_null(node):
        return None
    value: Any = scalar(node)
    if isinstance(value, bool):
        fits = holds is Holds.FLAG
    elif isinstance(value, str):
        fits = holds is Holds.TEXT
    else:
        fits = value is not None and holds is Holds.NUMBER
    if not fits:
        advice = "; put it in quotes" if holds is Holds.TEXT and not is_sequence(node) else ""
        faults.add(node, f"the value must be {holds}{advice}")
    return value  # type: ignore[no-any-return]


def _check_choices(source: str, field: str, values: tuple[Value, ...], node: Node, faults: Faults) -> None:
    choices = CHOICES.get((source, field))
    if choices is None:
        return
    for value, at in zip(values, items(node), strict=False):
        if isinstance(value, str) and value not in choices:
            faults.add(at, f"{field} is never {shown(value)}; it is one of {', '.join(choices)}")
