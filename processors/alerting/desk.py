"""The desk: findings become alerts that fire once, are acknowledged, and are resolved once. Pure.

While an incident stands (an alert of a rule with ``groups``), findings of the rules that it groups are its members: nobody
is told of them one by one. Alerts that fired before it are resolved as part of it. Members that outlast it by a minute fire;
most are about to end too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from processors.alerting import standing
from processors.alerting.book import Book
from processors.alerting.findings import Change, Finding
from processors.alerting.rule_view import Rules
from processors.alerting.silences import Silences
from processors.alerting.standing import Phase, Standing
from processors.alerts import Alert, Status, alert_id

_MINUTE_MS = 60_000
RELEASED_AFTER_MS = _MINUTE_MS


class Desk:
    """``clock_ms`` is how far the signals' clock had gone; ``items`` what ``changes`` gave before.

    Alerts have to be on Kafka before ``changes`` is persisted: what comes again after a crash leads to the same alerts.
    """

    def __init__(self, rules: Rules, silences: Silences, clock_ms: int, items: Iterable[tuple[bytes, bytes]] = ()) -> None:
        self._rules = rules
        self._silences = silences
        self._clock = clock_ms
        self._book = Book(items)
        self._covers: defaultdict[tuple[str, str | None], set[str]] = defaultdict(set)
        self._index()

    def observe(self, finding: Finding) -> list[Alert]:
        """Take a finding into account. A beginning that stands or is over, and an end without a beginning, are nothing."""
        name = alert_id(finding.rule, *finding.key)
        known = self._book.get(name)
        if finding.change is Change.ENDS:
            return list(self._end(name, known, finding)) if known else []
        if known:
            return []
        begun = standing.found(finding, self._clock)
        return [*self._place(name, begun, begun.timestamp), *self._absorb(name)]

    def advance(self, clock_ms: int) -> list[Alert]:
        """The clock went on: alerts whose silence or mute is over are told now, if they still stand."""
        before, self._clock = self._clock, max(clock_ms, self._clock)
        released = list(self._release())
        self._book.forget(self._clock)
        turned = self._silences.turns(before, self._clock)
        if not turned and before // _MINUTE_MS == self._clock // _MINUTE_MS:
            return released
        return [*released, *self.reconsider()]

    def reconsider(self) -> list[Alert]:
        """Tell the suppressed alerts that nothing suppresses any more."""
        suppressed = [(name, self._book.standing(name)) for name in sorted(self._book.of(Phase.SUPPRESSED))]
        return [
            alert
            for name, each in suppressed
            if not self._suppression(each)
            for alert in self._place(name, each, self._freed_ms(each))
        ]

    def _freed_ms(self, each: Standing) -> int:
        """When what suppressed it was over. Not now: after a crash it would be told with another time."""
        silence = self._silences.get(str(each.why).removeprefix("silence:"))
        return silence.ends_at if silence else self._clock // _MINUTE_MS * _MINUTE_MS

    def reload(self, rules: Rules) -> list[Alert]:
        """Other rules hold from now on. What stands of a rule that is no more is resolved."""
        self._rules = rules
        self._index()
        gone = [name for name in sorted(self._book.standing_names()) if not rules.rule(self._book.standing(name).rule)]
        resolved = [alert for name in gone for alert in self._resolve(name, self._clock, "The rule is no longer there")]
        return [*resolved, *self.reconsider()]

    def acknowledge(self, alert: str, request_id: str, actor: str, reason: str, at_ms: int) -> list[Alert] | str:
        """The acknowledged alert; nothing where it is acknowledged already; a sentence where it cannot be done."""
        name = self._book.by_alert_id(alert)
        if name is None:
            return "no alert of this id stands"
        each = self._book.standing(name)
        if each.phase is Phase.MEMBER:
            head = self._book.get(str(each.why))
            return f"it is part of the incident {head.alert_id}" if head and head.alert_id else "it is part of an incident"
        if each.request_id is not None:
            return []
        acknowledged = each._replace(request_id=request_id, actor=actor)
        self._book.put(name, acknowledged)
        return [acknowledged.alert(Status.ACKNOWLEDGED, at_ms, reason=reason)]

    def changes(self) -> dict[bytes, bytes | None]:
        """What has to be persisted since the last call; None is a deletion."""
        return self._book.changes()

    def _place(self, name: str, each: Standing, at_ms: int) -> Iterator[Alert]:
        """Decide what is done about a finding that stands: part of an incident, suppressed, or told."""
        incident = self._incident_over(name, each)
        if incident:
            self._join(name, each, incident)
            return
        why = self._suppression(each)
        phase = Phase.SUPPRESSED if why else Phase.TOLD
        placed = each._replace(phase=phase, why=why, since=self._clock)
        self._book.put(name, placed)
        self._cover(name, placed)
        # Told later than it was found: the evidence says since when it stands.
        later = {} if at_ms == each.timestamp else {"since": each.timestamp}
        yield placed.alert(Status.SUPPRESSED if why else Status.FIRING, at_ms, **later)

    def _suppression(self, each: Standing) -> str | None:
        rule = self._rules.rule(each.rule)
        if rule and rule.mute.holds(each.client_id, each.node_id, self._clock):
            return f"mute:{each.rule}"
        silence = self._silences.over(each, self._clock)
        return f"silence:{silence}" if silence else None

    def _incident_over(self, name: str, each: Standing) -> str | None:
        places: tuple[str | None, ...] = (None,) if each.node_id is None else (None, each.node_id)
        for place in places:
            covering = [found for found in self._covers[each.rule, place] if self._may_cover(found, name)]
            if covering:
                return min(covering)
        return None

    def _may_cover(self, incident: str, name: str) -> bool:
        """Not itself, nor what is part of it; and not one that is muted: then nobody would be told anything."""
        above: str | None = incident
        while above is not None:
            if above == name:
                return False
            each = self._book.get(above)
            if each is None or (each.phase is Phase.SUPPRESSED and str(each.why).startswith("mute:")):
                return False
            above = each.why if each.phase is Phase.MEMBER else None
        return True

    def _join(self, name: str, each: Standing, incident: str) -> None:
        head = self._book.standing(incident)
        rows_written = each.phase is not Phase.MEMBER and self._book.get(name) is not None
        self._book.put(name, each.belongs_to(incident, head.alert_id, rows_written))
        self._book.put(incident, head.counted(each.client_id))
        self._cover(name, self._book.standing(name))

    def _absorb(self, incident: str) -> Iterator[Alert]:
        """What fired before an incident that groups it becomes part of it."""
        head = self._book.standing(incident)
        for name in sorted(self._book.of_rules(self._groups(head.rule))):
            each = self._book.standing(name)
            if each.phase is Phase.MEMBER or self._incident_over(name, each) != incident:
                continue
            part = {"part_of": self._book.standing(incident).alert_id}
            resolved = each.alert(Status.RESOLVED, head.timestamp, **part)
            yield resolved._replace(summary=f"Part of the incident {part['part_of']}")
            self._join(name, each, incident)

    def _end(self, name: str, known: Standing, finding: Finding) -> Iterator[Alert]:
        if known.phase is Phase.CLOSED:
            return
        ended = known._replace(evidence={**known.evidence, **finding.evidence})
        self._book.put(name, ended)
        yield from self._resolve(name, finding.timestamp, finding.summary)

    def _resolve(self, name: str, at_ms: int, summary: str) -> Iterator[Alert]:
        each = self._book.standing(name)
        count = {"members": each.members, "sample": list(each.sample)} if each.members else {}
        duration = {"duration_ms": max(0, at_ms - each.timestamp)}
        if each.phase is not Phase.MEMBER:
            yield each.alert(Status.RESOLVED, at_ms, **count, **duration)._replace(summary=summary)
        for rule in self._groups(each.rule):
            self._covers[rule, each.node_id].discard(name)
        self._book.put(name, standing.closed(self._clock, at_ms))

    def _release(self) -> Iterator[Alert]:
        """Members of incidents that are over stand for themselves now."""
        for incident in self._book.incidents():
            over = self._book.get(incident)
            if over and (over.phase is not Phase.CLOSED or over.since + RELEASED_AFTER_MS > self._clock):
                continue
            at_ms = over.timestamp + RELEASED_AFTER_MS if over else self._clock
            for member in sorted(self._book.members(incident)):
                yield from self._place(member, self._book.standing(member), at_ms)

    def _groups(self, rule: str) -> tuple[str, ...]:
        known = self._rules.rule(rule)
        return tuple(known.groups) if known else ()

    def _cover(self, name: str, each: Standing) -> None:
        for rule in self._groups(each.rule):
            self._covers[rule, each.node_id].add(name)

    def _index(self) -> None:
        self._covers.clear()
        for name in self._book.standing_names():
            self._cover(name, self._book.standing(name))
