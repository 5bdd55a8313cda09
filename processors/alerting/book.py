"""What the desk keeps: the alerts that stand or are over, by finding, with the look-ups that it needs. Pure, bounded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from processors.alerting import standing
from processors.alerting.standing import Phase, Standing
from schemas.topics import DAY_MS

MAX_ALERTS = 200_000
_FORGOTTEN_FIRST = (Phase.CLOSED, Phase.MEMBER, Phase.SUPPRESSED, Phase.TOLD)
CLOSED_MS = DAY_MS
"""As long as Kafka keeps a signal: after that none can come again."""


class Book:
    """``items`` is what ``changes`` gave before. ``dropped`` counts what stood and was forgotten for want of room."""

    def __init__(self, items: Iterable[tuple[bytes, bytes]] = (), most: int = MAX_ALERTS) -> None:
        self.dropped = 0
        self._most = most
        self._all: dict[str, Standing] = {}
        self._phases: defaultdict[Phase, dict[str, None]] = defaultdict(dict)
        self._rules: defaultdict[str, set[str]] = defaultdict(set)
        self._members: defaultdict[str, set[str]] = defaultdict(set)
        self._alert_ids: dict[str, str] = {}
        self._changed: set[str] = set()
        read = ((key.decode(), standing.load(value)) for key, value in items)
        for name, each in sorted(read, key=lambda item: (item[1].since, item[0])):
            self._add(name, each)

    def get(self, name: str) -> Standing | None:
        """What is known of a finding, also where it is over."""
        return self._all.get(name)

    def standing(self, name: str) -> Standing:
        """What is known of a finding that is there."""
        return self._all[name]

    def put(self, name: str, each: Standing) -> None:
        """Set it; beyond the bound the oldest are forgotten, those that are over first."""
        self._remove(name)
        self._add(name, each)
        self._changed.add(name)
        if len(self._all) > self._most:
            self._drop_oldest()

    def of(self, phase: Phase) -> list[str]:
        """Those in a phase, in the order in which they came into it."""
        return list(self._phases[phase])

    def of_rules(self, rules: Iterable[str]) -> list[str]:
        """Those of some rules that are not over."""
        return [name for rule in rules for name in self._rules[rule]]

    def standing_names(self) -> Iterator[str]:
        """All that are not over."""
        return (name for phase, names in self._phases.items() if phase is not Phase.CLOSED for name in names)

    def members(self, incident: str) -> list[str]:
        """The findings that are part of an incident."""
        return list(self._members.get(incident, ()))

    def incidents(self) -> list[str]:
        """The findings that others are part of, also where they are over."""
        return sorted(self._members)

    def by_alert_id(self, alert_id: str) -> str | None:
        """The finding that is told under this id and is not over."""
        return self._alert_ids.get(alert_id)

    def forget(self, clock_ms: int) -> None:
        """Forget those that have been over for long."""
        closed = self._phases[Phase.CLOSED]
        while closed:
            name = next(iter(closed))
            if self._all[name].since + CLOSED_MS > clock_ms:
                return
            self._remove(name)
            self._changed.add(name)

    def changes(self) -> dict[bytes, bytes | None]:
        """What has to be persisted since the last call; None is a deletion."""
        changed, self._changed = self._changed, set()
        found = ((name, self._all.get(name)) for name in changed)
        return {name.encode(): standing.dump(each) if each else None for name, each in found}

    def _add(self, name: str, each: Standing) -> None:
        self._all[name] = each
        self._phases[each.phase][name] = None
        if each.phase is Phase.CLOSED:
            return
        self._rules[each.rule].add(name)
        self._alert_ids[each.alert_id] = name
        if each.phase is Phase.MEMBER:
            self._members[str(each.why)].add(name)

    def _remove(self, name: str) -> None:
        each = self._all.pop(name, None)
        if each is None:
            return
        self._phases[each.phase].pop(name, None)
        self._rules[each.rule].discard(name)
        self._alert_ids.pop(each.alert_id, None)
        if each.phase is Phase.MEMBER:
            self._leave(str(each.why), name)

    def _leave(self, incident: str, name: str) -> None:
        self._members[incident].discard(name)
        if not self._members[incident]:
            del self._members[incident]

    def _drop_oldest(self) -> None:
        phase = next(phase for phase in _FORGOTTEN_FIRST if self._phases[phase])
        name = next(iter(self._phases[phase]))
        self.dropped += phase is not Phase.CLOSED
        self._remove(name)
        self._changed.add(name)
