"""Rules as the engine sees them: checked, immutable, and without the file's text."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from processors.alerting.signals import HEARTBEATS, LIVENESS, SOURCES
from processors.rules.language import CLIENT, Kind
from processors.rules.selection import Selection

FLEET = "fleet"
_MINUTES_A_DAY = 1_440
_MINUTE_MS = 60_000


class Threshold(NamedTuple):
    """``least`` of them, and at least ``share`` of the population ``of`` the fleet or the group's node.

    ``enough`` suffice however large the population is; 0 where there is no such number. With a clear selection, what began
    stands until fewer than ``until_below`` are left.
    """

    least: int
    share: float = 0.0
    of: str = ""
    enough: int = 0
    until_below: int = 0

    def needed(self, population: int) -> int:
        """How many it takes."""
        part = math.ceil(self.share * population)
        return max(self.least, min(part, self.enough) if self.enough else part)


ONE = Threshold(1)


class Step(NamedTuple):
    """One part of a sequence."""

    name: str
    source: str
    selection: Selection


@dataclass(frozen=True, slots=True)
class Correlation:
    """How signals of one group make a finding. ``field`` is whose values count (value_count) or rise (change)."""

    kind: Kind = Kind.MATCH
    group_by: tuple[str, ...] = (CLIENT,)
    timespan_ms: int = 0
    threshold: Threshold = ONE
    field: str = ""
    rise: float = 0.0
    steps: tuple[Step, ...] = ()
    expected: Selection | None = None


class Hours(NamedTuple):
    """From one minute of the day (UTC) to another, perhaps over midnight."""

    start: int
    end: int

    def contain(self, timestamp_ms: int) -> bool:
        """Whether the moment lies within; the end does not belong to it."""
        minute = timestamp_ms // _MINUTE_MS % _MINUTES_A_DAY
        if self.start <= self.end:
            return self.start <= minute < self.end
        return minute >= self.start or minute < self.end


@dataclass(frozen=True, slots=True)
class Mute:
    """Findings that nobody is told. All members that are given must hold."""

    client_ids: frozenset[str] = frozenset()
    node_ids: frozenset[str] = frozenset()
    hours: Hours | None = None

    def holds(self, client_id: str, node_id: str | None, timestamp_ms: int) -> bool:
        """Whether a finding is muted. False for a mute without members."""
        wanted = [
            (self.client_ids, client_id in self.client_ids),
            (self.node_ids, node_id in self.node_ids),
            (self.hours, self.hours is not None and self.hours.contain(timestamp_ms)),
        ]
        given = [holds for member, holds in wanted if member]
        return bool(given) and all(given)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. ``resolve_after_ms`` is None where only ``clear`` ends what began; times in ms.

    ``line`` is where it stands in its file; ``fingerprint`` is made of all that its windows depend on.
    """

    id: str
    title: str
    severity: str
    source: str
    detection: Selection
    correlation: Correlation = Correlation()
    for_ms: int = 0
    clear: Selection | None = None
    resolve_after_ms: int | None = None
    dedup_key: tuple[str, ...] = ()
    summary: str = ""
    groups: tuple[str, ...] = ()
    mute: Mute = Mute()
    line: int = 0
    fingerprint: str = field(compare=False, default="")

    def __post_init__(self) -> None:
        object.__setattr__(self, "fingerprint", self.fingerprint or _fingerprint(self))

    @property
    def kind(self) -> Kind:
        """The type of its correlation."""
        return self.correlation.kind

    @property
    def sources(self) -> frozenset[str]:
        """The sources whose signals it looks at."""
        return frozenset(step.source for step in self.correlation.steps) or frozenset((self.source,))

    @property
    def is_about_levels(self) -> bool:
        """Whether a signal tells of a level that lasts, so that one which does not match tells that it is over."""
        return self.source in (HEARTBEATS, LIVENESS)

    def selections(self, source: str) -> tuple[Selection, ...]:
        """All that it wants to see of a source."""
        correlation = self.correlation
        steps = tuple(step.selection for step in correlation.steps if step.source == source)
        if correlation.steps or source != self.source:
            return steps
        others = (self.clear, correlation.expected)
        return (self.detection, *(each for each in others if each is not None))


def _fingerprint(rule: Rule) -> str:
    """Tells apart rules whose windows mean different things; titles, severities and times of grace do not count."""
    correlation = rule.correlation
    parts: list[Any] = [
        rule.source, rule.detection, correlation.kind, correlation.group_by, correlation.timespan_ms, correlation.threshold,
        correlation.field, correlation.rise, correlation.steps, correlation.expected, rule.dedup_key,
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]


class RuleSet:
    """Rules by their ids, in the order of the file."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self.rules = tuple(rules)
        self._by_id = {rule.id: rule for rule in self.rules}
        self._by_source: dict[str, tuple[Rule, ...]] = {
            source: tuple(rule for rule in self.rules if source in rule.sources) for source in SOURCES
        }

    def rule(self, rule_id: str) -> Rule | None:
        """The rule of an id."""
        return self._by_id.get(rule_id)

    def of_source(self, source: str) -> tuple[Rule, ...]:
        """The rules that look at a source."""
        return self._by_source[source]
