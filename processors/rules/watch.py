"""What every kind of rule does with a signal: is it meant, to which group does it belong, what follows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, NamedTuple

from processors.alerting.findings import Finding
from processors.alerting.signals import Signal
from processors.rules.groups import Group, GroupValues
from processors.rules.language import CLIENT, Kind
from processors.rules.model import Rule
from processors.rules.population import Population
from processors.rules.selection import Predicate, predicate

_MAX_VALUE = 256


class Seen(NamedTuple):
    """A signal, what can be selected by, and the clock when it came (ms)."""

    signal: Signal
    attributes: Mapping[str, Any]
    clock_ms: int


class Watch(ABC):
    """One rule, compiled. The state is the group's; a watch has none."""

    def __init__(self, rule: Rule, population: Population) -> None:
        self.rule = rule
        self.population = population
        self.detects: Predicate = predicate(rule.detection)
        self.clears: Predicate | None = predicate(rule.clear) if rule.clear is not None else None

    def group_of(self, seen: Seen) -> GroupValues | None:
        """The group that a signal belongs to; None where it lacks what the rule groups by."""
        names = self.rule.correlation.group_by
        if names == (CLIENT,):
            if seen.signal.client_id:
                return (seen.signal.client_id,)
            # What concerns the whole fleet is a group of its own, where each signal stands for itself.
            return () if self.rule.kind is Kind.MATCH else None
        values = [seen.attributes.get(name) for name in names]
        return None if any(value is None for value in values) else tuple(str(value)[:_MAX_VALUE] for value in values)

    def begins(self, seen: Seen) -> bool:
        """Whether a group of which nothing is known can gain anything by a signal."""
        return self.detects(seen.attributes)

    @abstractmethod
    def observe(self, group: Group, seen: Seen) -> list[Finding]:
        """Take a signal of the rule's source into account."""
