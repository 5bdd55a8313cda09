"""Selections as SQL conditions. What a signal does not have is NULL, and no comparison with it holds."""

from __future__ import annotations

from processors.alerting.signals import Value
from processors.rules.selection import Condition, Selection

_COMPARE = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_TEXT = {"startswith": "startsWith({field}, {value})", "endswith": "endsWith({field}, {value})"}
_CONTAINS = "position({field}, {value}) > 0"


def literal(value: Value) -> str:
    """A value as ClickHouse writes it."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"


def where(selection: Selection) -> str:
    """The selection as a condition that is true or false and never NULL."""
    alternatives = [_all_of(each) for each in selection.alternatives]
    return alternatives[0] if len(alternatives) == 1 else " OR ".join(f"({each})" for each in alternatives)


def _all_of(conditions: tuple[Condition, ...]) -> str:
    return " AND ".join(map(_condition, conditions)) or "true"


def _condition(condition: Condition) -> str:
    holds = f"ifNull({_positive(condition)}, false)"
    return f"NOT {holds}" if condition.negated else holds


def _positive(condition: Condition) -> str:
    field, values = condition.field, condition.values
    if condition.modifier == "exists":
        return f"{field} IS NOT NULL" if values[0] else f"{field} IS NULL"
    if condition.modifier in _COMPARE:
        return f"{field} {_COMPARE[condition.modifier]} {literal(values[0])}"
    if condition.modifier:
        form = _TEXT.get(condition.modifier, _CONTAINS)
        return "(" + " OR ".join(form.format(field=field, value=literal(str(value))) for value in values) + ")"
    return _one_of(field, values)


def _one_of(field: str, values: tuple[Value, ...]) -> str:
    some = ", ".join(literal(value) for value in values if value is not None)
    parts = [f"{field} IN ({some})"] if some else []
    if None in values:
        parts.append(f"{field} IS NULL")
    return parts[0] if len(parts) == 1 else "(" + " OR ".join(f"ifNull({part}, false)" for part in parts) + ")"
