"""Reads the correlation of a rule: its type, groups, timespan and condition."""

from __future__ import annotations

import math
from typing import NamedTuple

from processors.alerting.signals import SOURCES
from processors.durations import duration_ms
from processors.rules.detection_reader import read_selection
from processors.rules.language import CLIENT, FIELDS, MAX_TIMESPAN_MS, NODE, RULE_ID, Holds, Kind
from processors.rules.model import FLEET, Correlation, Step, Threshold
from processors.rules.nodes import Members, is_sequence, is_text, number, shown
from processors.rules.selection import Selection
from processors.yaml_nodes import Faults, Node

_MAX_STEPS = 16
_MAX_GROUP_FIELDS = 5
_MAX_COUNT = 100_000
_OF_NODE = "node"
_COUNTING = (Kind.EVENT_COUNT, Kind.VALUE_COUNT, Kind.CHANGE)


class Place(NamedTuple):
    """Where a part of a rule is read: the rule's source, and the faults of its file."""

    source: str
    faults: Faults


def read_correlation(node: Node, place: Place) -> Correlation:
    """A correlation; faults are noted, and what is faulty is left at a default."""
    members = Members(node, place.faults, "correlation")
    kind = _read_kind(members, place)
    group_by = _read_group_by(members.take("group_by"), place)
    timespan = members.take("timespan") if kind is Kind.MATCH else members.require("timespan")
    if kind is Kind.MATCH and timespan is not None:
        place.faults.add(timespan, "a match has no timespan")
    threshold, rise = _read_condition(members, kind, group_by, place)
    correlation = Correlation(
        kind=kind,
        group_by=group_by,
        timespan_ms=read_duration(timespan, "timespan", place.faults, least_ms=1),
        threshold=threshold,
        field=_read_field(members, kind, place),
        rise=rise,
        steps=_read_steps(members, kind, place),
        expected=_read_expected(members, kind, place),
    )
    members.finish()
    return correlation


def read_duration(node: Node | None, what: str, faults: Faults, least_ms: int = 0) -> int:
    """A duration in ms; one that is left out is nothing."""
    if node is None:
        return 0
    found = duration_ms(node.value) if is_text(node) else None
    if found is None:
        faults.add(node, f"{what} must be a number and ms, s, m, h or d, such as 90s")
        return 0
    if not least_ms <= found <= MAX_TIMESPAN_MS:
        faults.add(node, f"{what} must be {'more than nothing' if least_ms else '0s'} and at most 30d")
    return found


def _read_kind(members: Members, place: Place) -> Kind:
    node = members.require("type")
    if node is None:
        return Kind.MATCH
    if not is_text(node) or node.value not in list(Kind):
        place.faults.add(node, f"type must be one of {', '.join(Kind)}")
        return Kind.MATCH
    return Kind(node.value)


def _read_group_by(node: Node | None, place: Place) -> tuple[str, ...]:
    if node is None:
        return (CLIENT,)
    if not is_sequence(node) or len(node.value) > _MAX_GROUP_FIELDS:
        place.faults.add(node, f"group_by must be a list of at most {_MAX_GROUP_FIELDS} fields")
        return ()
    return tuple(read_field_name(each, place) for each in node.value)


def read_field_name(node: Node, place: Place, more: tuple[str, ...] = ()) -> str:
    """A field of the rule's source, or one of ``more``."""
    name = node.value if is_text(node) else ""
    if name not in FIELDS[place.source] and name not in more:
        place.faults.add(node, f"source {place.source} has no field {shown(str(name))}")
    return str(name)


def _read_condition(members: Members, kind: Kind, group_by: tuple[str, ...], place: Place) -> tuple[Threshold, float]:
    """The threshold of a count, or the rise of a change."""
    if kind not in _COUNTING:
        return Threshold(1), 0.0
    node = members.require("condition")
    if node is None:
        return Threshold(1), 0.0
    condition = Members(node, place.faults, "condition")
    if kind is Kind.CHANGE:
        rise = _read_number(condition.require("gte"), "gte", (0, math.inf), place.faults)
        condition.finish()
        return Threshold(1), float(rise)
    threshold = _read_threshold(condition, kind, group_by, place)
    condition.finish()
    return threshold, 0.0


def _read_threshold(condition: Members, kind: Kind, group_by: tuple[str, ...], place: Place) -> Threshold:
    faults = place.faults
    count = int(_read_number(condition.require("gte"), "gte", (1, _MAX_COUNT), faults, whole=True))
    if kind is not Kind.VALUE_COUNT:
        return Threshold(max(1, count))
    share = _read_number(condition.take("share"), "share", (0, 1), faults)
    until = int(_read_number(condition.take("until_below"), "until_below", (1, max(1, count)), faults, whole=True))
    enough = int(_read_number(condition.take("enough"), "enough", (max(1, count), _MAX_COUNT), faults, whole=True))
    of = _read_population(condition, group_by, share, faults)
    return Threshold(max(1, count), float(share), of, enough, until)


def _read_population(condition: Members, group_by: tuple[str, ...], share: float, faults: Faults) -> str:
    node = condition.take("of")
    if node is None:
        if share:
            faults.add(condition.node, "share needs of: fleet or node")
        return ""
    if not is_text(node) or node.value not in (FLEET, _OF_NODE):
        faults.add(node, "of must be fleet or node")
    elif node.value == _OF_NODE and NODE not in group_by:
        faults.add(node, "of: node needs node_id in group_by")
    return str(node.value)


def _read_number(
    node: Node | None, what: str, limits: tuple[float, float], faults: Faults, whole: bool = False
) -> float | int:
    """A number within limits, the lower one excluded where numbers need not be whole; 0 where it is left out."""
    if node is None:
        return 0
    found = number(node)
    least, most = limits
    fits = found is not None and (least <= found if whole else least < found) and found <= most
    if found is None or not fits or (whole and not isinstance(found, int)):
        between = f"from {least} to {most}" if whole else f"more than {least}"
        faults.add(
            node,
            f"{what} must be {'a whole number' if whole else 'a number'} {between if most < math.inf else 'more than 0'}",
        )
        return 0
    return found


def _read_field(members: Members, kind: Kind, place: Place) -> str:
    if kind not in (Kind.VALUE_COUNT, Kind.CHANGE):
        return ""
    node = members.require("field")
    name = read_field_name(node, place) if node is not None else ""
    if kind is Kind.CHANGE and FIELDS[place.source].get(name, Holds.NUMBER) is not Holds.NUMBER:
        place.faults.add(node, f"{name} is not a number, so it cannot rise")
    return name


def _read_steps(members: Members, kind: Kind, place: Place) -> tuple[Step, ...]:
    if kind not in (Kind.TEMPORAL, Kind.TEMPORAL_ORDERED):
        return ()
    node = members.require("steps")
    if node is None:
        return ()
    if not is_sequence(node) or not 2 <= len(node.value) <= _MAX_STEPS:
        place.faults.add(node, f"steps must be a list of 2 to {_MAX_STEPS} detections")
        return ()
    steps = tuple(_read_step(each, place) for each in node.value)
    names = [step.name for step in steps]
    for each, name in zip(node.value, names, strict=True):
        if names.count(name) > 1:
            place.faults.add(each, f"the name {shown(name)} stands twice in steps")
    return steps


def _read_step(node: Node, place: Place) -> Step:
    members = Members(node, place.faults, "step")
    name = members.require("name")
    if name is not None and not (is_text(name) and RULE_ID.fullmatch(name.value)):
        place.faults.add(name, "the name of a step must be a-z, 0-9 and _")
    source = read_source(members.take("source"), place.faults) or place.source
    detection = read_selection(members.require("detection"), source, place.faults, "detection")
    members.finish()
    return Step(str(name.value) if name is not None else "", source, detection)


def read_source(node: Node | None, faults: Faults) -> str | None:
    """One of the sources of signals; None where it is left out or unknown."""
    if node is None:
        return None
    if not is_text(node) or node.value not in SOURCES:
        faults.add(node, f"source must be one of {', '.join(SOURCES)}")
        return None
    return str(node.value)


def _read_expected(members: Members, kind: Kind, place: Place) -> Selection | None:
    node = members.take("expected") if kind is Kind.ABSENCE else None
    return None if node is None else read_selection(node, place.source, place.faults, "expected")
