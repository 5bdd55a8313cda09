"""The engine: signals in one order and the clock of that order in, findings out. Pure and deterministic.

Everything may come twice. A signal that a window holds, or whose finding is remembered, changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from processors.alerting.findings import Finding
from processors.alerting.signals import LIVENESS, SOURCES, Signal
from processors.rules import life
from processors.rules.detection_reader import ANYTHING
from processors.rules.groups import Group, Part, Stage
from processors.rules.kinds import watch
from processors.rules.model import Correlation, Rule, RuleSet
from processors.rules.population import Population
from processors.rules.selection import attributes
from processors.rules.state import Groups
from processors.rules.watch import Seen, Watch

CLOCK = b"rules/clock"
"""The key of the clock in ``changes``, which is there whenever the clock went on."""
_GROUP, _CLIENT = b"rules/group/", b"rules/client/"


class Engine:
    """Rules over signals. ``dropped`` counts the groups that had to make room for others.

    State is given out by ``changes`` and taken back by ``restore``: by key, each value whole, None for what is gone.
    """

    def __init__(self, ruleset: RuleSet) -> None:
        self.dropped = 0
        self._population = Population()
        self._groups = Groups()
        self._clock_ms = 0
        self._clock_changed = False
        self._has_orphans = False
        self._adopt(ruleset)

    def _adopt(self, ruleset: RuleSet) -> None:
        self.ruleset = ruleset
        self._watches: dict[str, Watch] = {rule.id: watch(rule, self._population) for rule in ruleset.rules}
        self._by_source = {source: [self._watches[rule.id] for rule in ruleset.of_source(source)] for source in SOURCES}

    @property
    def population(self) -> Population:
        """Who is in service."""
        return self._population

    @property
    def clock_ms(self) -> int:
        """The clock, 0 before the first advance."""
        return self._clock_ms

    def observe(self, signal: Signal) -> list[Finding]:
        """Take a signal into account; what begins or ends by it.

        Raises ValueError for one that is none, and keeps nothing of it.
        """
        seen = Seen(signal, attributes(signal), self._clock_ms)
        findings = self._bury()
        if signal.source == LIVENESS:
            self._population.observe(signal)
        for each in self._by_source.get(signal.source, ()):
            findings += self._look(each, seen)
        return findings

    def _look(self, each: Watch, seen: Seen) -> list[Finding]:
        values = each.group_of(seen)
        if values is None:
            return []
        group = self._groups.get(each.rule, values)
        if group is None:
            if not each.begins(seen):
                return []
            group = Group(each.rule, values)
        return each.observe(group, seen) + self._settle(group)

    def _settle(self, group: Group) -> list[Finding]:
        oldest = self._groups.settle(group)
        if oldest is None:
            return []
        self.dropped += 1
        return self._close(oldest, "too many groups")

    def _close(self, group: Group, reason: str) -> list[Finding]:
        findings = [
            finding for found in group.at(Stage.STANDING) for finding in life.close(group, found, self._clock_ms, reason)
        ]
        self._groups.forget(group)
        return findings

    def advance(self, clock_ms: int) -> list[Finding]:
        """The clock of the order has come so far; what begins or ends by it. It never goes back."""
        findings = self._bury()
        if clock_ms <= self._clock_ms:
            return findings
        self._clock_ms = clock_ms
        self._clock_changed = True
        for group in self._groups.due(clock_ms):
            for found in group.due_findings(clock_ms):
                findings += life.fall_due(group, found, clock_ms)
            group.expire(clock_ms)
            self._groups.settle(group)
        return findings

    def reload(self, ruleset: RuleSet) -> list[Finding]:
        """Go by other rules. Windows of rules that mean the same stay; what stood of the others ends."""
        kept = {rule.id: rule for rule in ruleset.rules}
        findings = self._bury()
        for group in self._groups:
            rule = kept.get(group.rule.id)
            if rule is None or rule.fingerprint != group.rule.fingerprint:
                findings += self._close(group, "the rule changed")
            else:
                group.rule = rule
        self._adopt(ruleset)
        return findings

    def changes(self) -> dict[bytes, bytes | None]:
        """The state that changed since the last call."""
        changed: dict[bytes, bytes | None] = {_GROUP + key: value for key, value in self._groups.changes().items()}
        changed |= {_CLIENT + name.encode(): value for name, value in self._population.changes().items()}
        if self._clock_changed:
            changed[CLOCK] = str(self._clock_ms).encode()
            self._clock_changed = False
        return changed

    def restore(self, items: Iterable[tuple[bytes, bytes]]) -> None:
        """Take up the state that ``changes`` gave, in place of all that is there. Keys of others are left alone.

        What stood of rules that are no more ends with the next call of ``observe``, ``advance`` or ``reload``.
        """
        self._population, self._groups, self._clock_ms = Population(), Groups(), 0
        self._clock_changed = self._has_orphans = False
        self._adopt(self.ruleset)
        for key, value in items:
            if key.startswith(_GROUP):
                self._load(key.removeprefix(_GROUP), value)
            elif key.startswith(_CLIENT):
                self._population.restore(key.removeprefix(_CLIENT).decode(), value)
            elif key == CLOCK:
                self._clock_ms = int(value)
        self._groups.loaded()

    def _load(self, key: bytes, value: bytes) -> None:
        place, values, part, part_name = json.loads(key)
        rule_id, _, fingerprint = place.partition(".")
        rule = self.ruleset.rule(rule_id)
        if rule is None or rule.fingerprint != fingerprint:
            rule = Rule(rule_id, rule_id, "info", "", ANYTHING, Correlation(group_by=()), fingerprint=fingerprint)
            self._has_orphans = True
        self._groups.load(rule, tuple(values), (Part(part), part_name), value)

    def _bury(self) -> list[Finding]:
        """End what stood of rules that were replaced while nobody was running."""
        if not self._has_orphans:
            return []
        self._has_orphans = False
        known = {(rule.id, rule.fingerprint) for rule in self.ruleset.rules}
        orphans = [group for group in self._groups if (group.rule.id, group.rule.fingerprint) not in known]
        return [finding for group in orphans for finding in self._close(group, "the rule changed")]
