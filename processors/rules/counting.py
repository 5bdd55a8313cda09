"""Rules whose findings come from several signals within a window: counts, sequences and rises.

They go by the signals' own times and in any order, so that what a client spooled while it was offline counts like what came
at once. One finding a window: what lies near a finding belongs to it.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence

from processors.alerting.findings import Finding
from processors.alerting.signals import EVENTS
from processors.rules import life, telling, windows
from processors.rules.groups import Entry, Found, Group, Stage, in_order_of_time
from processors.rules.language import Kind
from processors.rules.model import Rule
from processors.rules.population import Population
from processors.rules.selection import predicate
from processors.rules.watch import Seen, Watch
from schemas.topics import DAY_MS

MAX_HELD = 100_000
SPOOLED_MS = DAY_MS
# A run is looked for among all that is kept, for each signal that comes.
_KEPT_SAMPLES = 128
_KEPT_OF_A_STEP = 16


class WindowWatch(Watch):
    """Entries, the run that they make, and the finding that follows; what a run is, the kinds below say."""

    kept = _KEPT_SAMPLES

    def names(self, seen: Seen) -> list[tuple[str, float]]:
        """What the signal counts as: entries by name and number."""
        return [(seen.signal.signal_id, 0)] if self.detects(seen.attributes) else []

    @abstractmethod
    def run(self, group: Group, at: int) -> Sequence[Entry]:
        """The run that the entry at an index completes; empty where it completes none."""

    def observe(self, group: Group, seen: Seen) -> list[Finding]:
        """Put the signal into the window, unless the window holds it."""
        findings: list[Finding] = []
        for name, number in self.names(seen):
            known = group.entries.get(name)
            if known is None or known.timestamp < seen.signal.timestamp:
                findings += self._enter(group, self._entry(group, seen, name, number), seen)
        return findings

    def _entry(self, group: Group, seen: Seen, name: str, number: float) -> Entry:
        signal, rule = seen.signal, self.rule
        key = telling.key_of(rule, group.values, signal, seen.attributes)
        return Entry(signal.timestamp, name, telling.label_of(signal), signal.client_id, number, key, self._expires_ms(seen))

    def _expires_ms(self, seen: Seen) -> int:
        """What came late may belong to what comes later still; of a spool a part may come now and the rest in hours."""
        lasts_ms = 2 * self.rule.correlation.timespan_ms
        if seen.signal.source == EVENTS:
            lasts_ms = max(lasts_ms, SPOOLED_MS)
        return max(seen.signal.timestamp, seen.clock_ms) + lasts_ms

    def _enter(self, group: Group, entry: Entry, seen: Seen) -> list[Finding]:
        at = group.add(entry)
        run = self.run(group, at)
        findings = self._found(group, run, seen) if run else self._extended(group, entry, seen)
        self.trim(group, entry)
        return findings

    def trim(self, group: Group, entry: Entry) -> None:
        """Keep the window bounded after an entry came in."""
        group.trim(self.kept)

    def _found(self, group: Group, run: Sequence[Entry], seen: Seen) -> list[Finding]:
        first, last = run[0].timestamp, run[-1].timestamp
        near = in_order_of_time(found for found in group.found.values() if self._is_near(found, first, last))
        if near:
            return self._belongs(group, near, last, seen)
        spans = (first, last, last)
        evidence = self.evidence(group, run)
        candidate = telling.candidate(self.rule, group.values, seen.signal, run[0].key, spans, evidence)
        return life.stand(group, candidate, seen.clock_ms)

    def _belongs(self, group: Group, near: list[Found], last: int, seen: Seen) -> list[Finding]:
        """The run is part of what was found already."""
        live = [found for found in near if found.stage is not Stage.OVER]
        return life.extend(group, live[0], last, seen.clock_ms) if live else []

    def _extended(self, group: Group, entry: Entry, seen: Seen) -> list[Finding]:
        """One more near a finding that stands keeps it standing."""
        for found in group.at(Stage.STANDING):
            if self._is_near(found, entry.timestamp, entry.timestamp):
                return life.extend(group, found, entry.timestamp, seen.clock_ms)
        return []

    def _is_near(self, found: Found, first: int, last: int) -> bool:
        """Within a window of the finding; of one that stands, as near as keeps it standing."""
        reach = self.rule.correlation.timespan_ms
        if found.stage is not Stage.OVER:
            reach = max(reach, self.rule.resolve_after_ms or 0)
        return first <= found.last + reach and last >= found.first - reach

    def evidence(self, group: Group, run: Sequence[Entry]) -> dict[str, object]:
        """What a run shows."""
        return telling.of_window(self.rule, run, {})


class EventCountWatch(WindowWatch):
    """So many signals within the timespan."""

    def __init__(self, rule: Rule, population: Population) -> None:
        super().__init__(rule, population)
        self.kept = 4 * rule.correlation.threshold.least

    def run(self, group: Group, at: int) -> Sequence[Entry]:
        """As many as the condition asks."""
        correlation = self.rule.correlation
        return windows.full_run(group.in_order, at, correlation.threshold.least, correlation.timespan_ms)


class ValueCountWatch(WindowWatch):
    """So many different values within the timespan; of each value the newest time counts.

    With ``clear`` the values are held until a signal clears them: what began stands while enough of them are held.
    """

    def __init__(self, rule: Rule, population: Population) -> None:
        super().__init__(rule, population)
        threshold = rule.correlation.threshold
        holds = rule.clear is not None or threshold.share > 0
        self.kept = MAX_HELD if holds else 4 * threshold.least
        self._until_below = threshold.until_below or threshold.least

    def names(self, seen: Seen) -> list[tuple[str, float]]:
        """The value that counts."""
        value = seen.attributes.get(self.rule.correlation.field)
        return [(str(value), 0)] if value is not None and self.detects(seen.attributes) else []

    def observe(self, group: Group, seen: Seen) -> list[Finding]:
        """Count a value, or let go of one."""
        value = str(seen.attributes.get(self.rule.correlation.field))
        if self.clears is not None and not self.detects(seen.attributes) and self.clears(seen.attributes):
            return self._let_go(group, value, seen)
        return [] if self._is_past(group, value, seen) else super().observe(group, seen)

    def _is_past(self, group: Group, value: str, seen: Seen) -> bool:
        """Of what is held, a signal may be out of date: cleared since, or older than anybody would remember."""
        timestamp, let_go = seen.signal.timestamp, group.let_go.get(value)
        if let_go is not None and timestamp <= let_go.timestamp:
            return True
        return self.clears is not None and timestamp + 2 * self.rule.correlation.timespan_ms <= seen.clock_ms

    def run(self, group: Group, at: int) -> Sequence[Entry]:
        """As many as the condition asks of the population that there is now."""
        if self.clears is not None and group.live():
            return ()
        needed = self.rule.correlation.threshold.needed(self._population(group))
        return windows.full_run(group.in_order, at, needed, self.rule.correlation.timespan_ms)

    def _extended(self, group: Group, entry: Entry, seen: Seen) -> list[Finding]:
        if self.clears is None:
            return super()._extended(group, entry, seen)
        since = entry.timestamp + self.rule.correlation.timespan_ms
        live = next((found for found in group.live() if since >= found.first), None)
        return life.extend(group, live, entry.timestamp, seen.clock_ms) if live else []

    def _population(self, group: Group) -> int:
        names = self.rule.correlation.group_by
        node_id = group.values[names.index("node_id")] if "node_id" in names else None
        return self.population.size(self.rule.correlation.threshold, node_id)

    def _let_go(self, group: Group, value: str, seen: Seen) -> list[Finding]:
        if not group.release(value, seen.signal.timestamp, self._expires_ms(seen)):
            return []
        findings: list[Finding] = []
        for found in group.live():
            left = group.count_since(found.first)
            if left < self._least(group, found):
                findings += life.clear(group, found, seen.signal.timestamp, seen.clock_ms, {"left": left})
        return findings

    def _least(self, group: Group, found: Found) -> int:
        """What began needs less to stand than it needed to begin."""
        if found.stage is Stage.STANDING:
            return self._until_below
        return self.rule.correlation.threshold.needed(self._population(group))

    def _is_near(self, found: Found, first: int, last: int) -> bool:
        if self.clears is None or found.stage is not Stage.OVER:
            return super()._is_near(found, first, last)
        # What was cleared is over; only the very same signals, come again, still belong to it.
        return last <= found.last

    def evidence(self, group: Group, run: Sequence[Entry]) -> dict[str, object]:
        """With the population where a share of it counts."""
        population = self._population(group)
        more = {"population": population, "share": round(len(run) / population, 3)} if population else {}
        return telling.of_window(self.rule, run, more)


class SequenceWatch(WindowWatch):
    """One signal of each step within the timespan, in the order of the steps where that counts."""

    def __init__(self, rule: Rule, population: Population) -> None:
        super().__init__(rule, population)
        self._steps = [(step.source, predicate(step.selection)) for step in rule.correlation.steps]
        self._ordered = rule.kind is Kind.TEMPORAL_ORDERED

    def begins(self, seen: Seen) -> bool:
        """Any step does."""
        return bool(self.names(seen))

    def names(self, seen: Seen) -> list[tuple[str, float]]:
        """The steps that the signal is one of."""
        source = seen.signal.source
        met = [n for n, (of, holds) in enumerate(self._steps) if of == source and holds(seen.attributes)]
        return [(f"{step}:{seen.signal.signal_id}", step) for step in met]

    def trim(self, group: Group, entry: Entry) -> None:
        """Of each step the newest, so that a flood of one step drives out no other."""
        same = [each for each in group.in_order if each.number == entry.number]
        for each in same[:-_KEPT_OF_A_STEP]:
            group.remove(each.name)

    def run(self, group: Group, at: int) -> Sequence[Entry]:
        """All steps."""
        find = windows.ordered_steps if self._ordered else windows.all_steps
        return find(group.in_order, at, len(self._steps), self.rule.correlation.timespan_ms)

    def evidence(self, group: Group, run: Sequence[Entry]) -> dict[str, object]:
        """Which signal was which step."""
        steps = self.rule.correlation.steps
        named = [{"step": steps[int(e.number)].name, "timestamp": e.timestamp, "id": e.label} for e in run]
        return telling.of_window(self.rule, run, {"steps": named})


class ChangeWatch(WindowWatch):
    """A number that rises by so much within the timespan."""

    def names(self, seen: Seen) -> list[tuple[str, float]]:
        """The sample."""
        value = seen.attributes.get(self.rule.correlation.field)
        if not isinstance(value, int | float) or not math.isfinite(value) or not self.detects(seen.attributes):
            return []
        return [(seen.signal.signal_id, float(value))]

    def run(self, group: Group, at: int) -> Sequence[Entry]:
        """The sample before the rise and the one after it."""
        correlation = self.rule.correlation
        return windows.largest_rise(group.in_order, at, correlation.rise, correlation.timespan_ms)

    def _extended(self, group: Group, entry: Entry, seen: Seen) -> list[Finding]:
        """A further sample is no further rise."""
        return []

    def evidence(self, group: Group, run: Sequence[Entry]) -> dict[str, object]:
        """From what to what it rose."""
        before, after = run[0].number, run[-1].number
        return telling.of_window(self.rule, run, {"from": before, "to": after, "rise": after - before})
