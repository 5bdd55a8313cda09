"""Which heartbeats the rules must see. Asked for every heartbeat of the fleet, so it does as little as it can.

Passed on are the first heartbeat of a client after a start, each that changes what a rule matches, one a minute while a rule
matches, and for rules of change each sample that differs from the last one passed on by an eighth of the rise.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from typing import Any

from processors.alerting.signals import HEARTBEATS
from processors.rules.interest import UNSEEN
from processors.rules.language import COMPARISONS, Kind
from processors.rules.model import RuleSet
from processors.rules.selection import Condition, Predicate, Selection, predicate

REPEAT_MS = 60_000
MAX_CLIENTS = 1_000_000
# A rise of n is found for certain from n * (1 + 2 / RESOLUTION).
RESOLUTION = 8

_Samples = tuple[float, ...]


class MetricWatch:
    """Remembers of each client which selections its last heartbeat matched, and when it was told of one that matches."""

    def __init__(self, ruleset: RuleSet) -> None:
        rules = ruleset.of_source(HEARTBEATS)
        levels = [
            [selection.without(UNSEEN) for selection in rule.selections(HEARTBEATS)]
            for rule in rules
            if rule.kind is not Kind.CHANGE
        ]
        changes = [rule.correlation for rule in rules if rule.kind is Kind.CHANGE]
        selections = sorted({selection for each in levels for selection in each}, key=repr)
        bits = {selection: 1 << number for number, selection in enumerate(selections)}
        self._scales, self._tests = _compile(bits)
        self._firing = sum({bits[each[0]] for each in levels if each})
        self._steps = tuple((correlation.field, correlation.rise / RESOLUTION) for correlation in changes)
        self._active = bool(rules)
        self._matched: dict[str, int] = {}
        self._told: dict[str, int] = {}
        self._samples: dict[str, _Samples] = {}

    def wants(self, client_id: str, timestamp_ms: int, fields: Mapping[str, Any]) -> bool:
        """Whether to pass on a heartbeat."""
        if not self._active:
            return False
        mask = 0
        for field, cuts, masks in self._scales:
            value = fields.get(field)
            if value is not None:
                mask |= masks[bisect_right(cuts, value)]
        for bit, holds in self._tests:
            if holds(fields):
                mask |= bit
        if self._matched.get(client_id) != mask:
            return self._changed(client_id, timestamp_ms, mask, fields)
        if mask & self._firing and timestamp_ms - self._told.get(client_id, 0) >= REPEAT_MS:
            self._told[client_id] = timestamp_ms
            return True
        return bool(self._steps) and self._moved(client_id, fields)

    def _changed(self, client_id: str, timestamp_ms: int, mask: int, fields: Mapping[str, Any]) -> bool:
        _put(self._matched, client_id, mask)
        if mask & self._firing:
            _put(self._told, client_id, timestamp_ms)
        else:
            self._told.pop(client_id, None)
        if self._steps:
            _put(self._samples, client_id, self._sample(fields))
        return True

    def _moved(self, client_id: str, fields: Mapping[str, Any]) -> bool:
        """Far enough from the samples that were passed on."""
        now, before = self._sample(fields), self._samples.get(client_id)
        if before is not None and not any(
            abs(after - earlier) >= step for after, earlier, (_, step) in zip(now, before, self._steps, strict=True)
        ):
            return False
        _put(self._samples, client_id, now)
        return True

    def _sample(self, fields: Mapping[str, Any]) -> _Samples:
        return tuple(float(fields.get(field) or 0) for field, _ in self._steps)


def _put(known: dict[str, Any], client_id: str, value: Any) -> None:
    if len(known) >= MAX_CLIENTS and client_id not in known:
        # Then all are told once more: dearer than to forget one, and it cannot be made to happen often.
        known.clear()
    known[client_id] = value


_Scale = tuple[str, list[float], list[int]]


def _compile(bits: Mapping[Selection, int]) -> tuple[tuple[_Scale, ...], tuple[tuple[int, Predicate], ...]]:
    """Selections by one number become a scale: one bisection instead of a test for each of them."""
    by_field: dict[str, list[Selection]] = {}
    others = []
    for selection, bit in bits.items():
        field = _only_number(selection)
        if field is None:
            others.append((bit, predicate(selection)))
        else:
            by_field.setdefault(field, []).append(selection)
    scales = (_scale(field, {each: bits[each] for each in selections}) for field, selections in by_field.items())
    return tuple(scales), tuple(others)


def _only_number(selection: Selection) -> str | None:
    """The field, where all that is said compares the number of one field."""
    conditions = [condition for each in selection.alternatives for condition in each]
    compared = {c.field if c.modifier in COMPARISONS and not c.negated else "" for c in conditions}
    empty = any(not each for each in selection.alternatives)
    return compared.pop() or None if len(compared) == 1 and not empty else None


def _scale(field: str, bits: Mapping[Selection, int]) -> _Scale:
    cuts = sorted({_cut(c) for selection in bits for each in selection.alternatives for c in each})
    tests = [(predicate(selection), bit) for selection, bit in bits.items()]
    masks = [sum(bit for holds, bit in tests if holds({field: value})) for value in (-math.inf, *cuts)]
    return field, cuts, masks


def _cut(condition: Condition) -> float:
    """The least number on the other side: what a comparison says changes there and nowhere else."""
    limit = float(condition.values[0] or 0)
    return limit if condition.modifier in ("gte", "lt") else math.nextafter(limit, math.inf)
