"""Rules whose findings come from single signals: match, and absence, where one is missing."""

from __future__ import annotations

from processors.alerting.findings import Finding
from processors.alerting.signals import BLIND
from processors.rules import life, telling
from processors.rules.groups import Entry, Found, Group, Key, Stage, in_order_of_time
from processors.rules.model import Rule
from processors.rules.population import Population
from processors.rules.selection import Predicate, predicate
from processors.rules.watch import Seen, Watch

_KEPT_EXPECTED = 64


class MatchWatch(Watch):
    """Each signal is a finding; or, of something that lasts, all signals until one that ends it."""

    def __init__(self, rule: Rule, population: Population) -> None:
        super().__init__(rule, population)
        lasts = bool(rule.for_ms) or rule.clear is not None or rule.is_about_levels
        self._lasts = lasts and not rule.dedup_key

    def observe(self, group: Group, seen: Seen) -> list[Finding]:
        """Begin, extend or end."""
        if self.detects(seen.attributes):
            return self._matched(group, seen)
        if self.clears is not None and self.clears(seen.attributes):
            return self._cleared(group, seen)
        if self.rule.is_about_levels:
            self._no_longer(group, seen)
        return []

    def _matched(self, group: Group, seen: Seen) -> list[Finding]:
        key = telling.key_of(self.rule, group.values, seen.signal, seen.attributes)
        first, last = telling.span_of(seen.signal)
        found = self._same(group, key, first, last)
        if found is not None:
            return [] if found.stage is Stage.OVER else life.extend(group, found, last, seen.clock_ms)
        evidence = telling.of_signal(seen.signal)
        candidate = telling.candidate(self.rule, group.values, seen.signal, key, (first, last, first), evidence)
        return life.stand(group, candidate, seen.clock_ms)

    def _same(self, group: Group, key: Key, first: int, last: int) -> Found | None:
        """The finding that these moments belong to."""
        known = group.found.get(key)
        if known is not None:
            return known
        if self.rule.source == BLIND:
            # Each partition reports the same outage, with bounds of its own.
            overlapping = in_order_of_time(f for f in group.found.values() if first <= f.last and f.first <= last)
            return overlapping[0] if overlapping else None
        if not self._lasts:
            return None
        over = [found for found in group.at(Stage.OVER) if found.first <= first <= found.last]
        return next(iter([*over, *group.live()]), None)

    def _cleared(self, group: Group, seen: Seen) -> list[Finding]:
        return [
            finding
            for found in self._ended_by(group, seen)
            for finding in life.clear(group, found, seen.signal.timestamp, seen.clock_ms, telling.of_signal(seen.signal))
        ]

    def _ended_by(self, group: Group, seen: Seen) -> list[Found]:
        """By its key where the signal has all of it: then a signal that comes again ends nothing that began later."""
        names = self.rule.dedup_key
        if names and all(seen.attributes.get(name) is not None for name in names):
            key = telling.key_of(self.rule, group.values, seen.signal, seen.attributes)
            return [found for found in group.live() if found.key == key]
        return [found for found in group.live() if found.first <= seen.signal.timestamp]

    def _no_longer(self, group: Group, seen: Seen) -> None:
        """The level is another, so the time of ``for`` starts anew."""
        for found in group.at(Stage.PENDING):
            if found.first <= seen.signal.timestamp:
                life.clear(group, found, seen.signal.timestamp, seen.clock_ms)


class AbsenceWatch(Watch):
    """What is expected after a trigger does not come; without anything expected: nothing more comes of a group."""

    def __init__(self, rule: Rule, population: Population) -> None:
        super().__init__(rule, population)
        expected = rule.correlation.expected
        self._expects: Predicate | None = predicate(expected) if expected is not None else None

    def begins(self, seen: Seen) -> bool:
        """What is expected may come before its trigger."""
        return super().begins(seen) or (self._expects is not None and self._expects(seen.attributes))

    def observe(self, group: Group, seen: Seen) -> list[Finding]:
        """A trigger, or what is expected after it."""
        if self._expects is None:
            return self._heard(group, seen) if self.detects(seen.attributes) else []
        if self._expects(seen.attributes):
            return self._came(group, seen)
        if self.detects(seen.attributes) and not self._came_already(group, seen):
            return self._wait(group, seen)
        return []

    def _heard(self, group: Group, seen: Seen) -> list[Finding]:
        """One more sign of the group; the silence counts from the newest."""
        timestamp = seen.signal.timestamp
        if any(timestamp <= found.last for found in group.found.values()):
            return []
        findings = []
        for found in group.live():
            findings += life.clear(group, found, timestamp, seen.clock_ms)
        for known in [*group.found.values()]:
            group.drop(known)
        return findings + self._wait(group, seen)

    def _came(self, group: Group, seen: Seen) -> list[Finding]:
        signal = seen.signal
        expires = max(signal.timestamp, seen.clock_ms) + 2 * self.rule.correlation.timespan_ms
        group.add(Entry(signal.timestamp, signal.signal_id, expires=expires))
        group.trim(_KEPT_EXPECTED)
        return [
            finding
            for found in group.live()
            if found.first < signal.timestamp
            and (found.stage is Stage.STANDING or signal.timestamp - found.first <= self.rule.correlation.timespan_ms)
            for finding in life.clear(group, found, signal.timestamp, seen.clock_ms)
        ]

    def _came_already(self, group: Group, seen: Seen) -> bool:
        """It may have come before its trigger, by another way."""
        since, span_ms = seen.signal.timestamp, self.rule.correlation.timespan_ms
        return any(since < entry.timestamp <= since + span_ms for entry in group.in_order)

    def _wait(self, group: Group, seen: Seen) -> list[Finding]:
        signal, span_ms = seen.signal, self.rule.correlation.timespan_ms
        key = telling.key_of(self.rule, group.values, signal, seen.attributes)
        if key in group.found:
            return []
        evidence = {**telling.of_signal(signal), "last": signal.timestamp, "window_ms": span_ms}
        spans = (signal.timestamp, signal.timestamp, signal.timestamp)
        candidate = telling.candidate(self.rule, group.values, signal, key, spans, evidence)
        findings = life.stand(group, candidate, seen.clock_ms)
        # What was spooled came late, and what is expected may still be on its way.
        found = group.found[key]
        found.due = max(signal.timestamp, seen.clock_ms) + span_ms
        group.put(found)
        return findings
