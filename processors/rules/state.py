"""The groups of all rules: by rule and values, bounded, with the next moment at which each must be looked at."""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator

from processors.rules.groups import Group, GroupValues, Part
from processors.rules.model import Rule

MAX_GROUPS = 100_000

_Place = tuple[str, GroupValues]


def place_of(rule: Rule, values: GroupValues) -> _Place:
    """Where a group's state stands; that of a rule which now means something else stands elsewhere."""
    return f"{rule.id}.{rule.fingerprint}", values


def key_of(place: _Place, part: Part, name: str) -> bytes:
    """The table's key of a part of a group."""
    return json.dumps([place[0], place[1], part, name], separators=(",", ":")).encode()


class Groups:
    """All groups. A rule has so many at most; then the one that was used longest ago makes room."""

    def __init__(self) -> None:
        self._rules: dict[str, dict[GroupValues, Group]] = {}
        self._heap: list[tuple[int, str, GroupValues]] = []
        self._changed: dict[bytes, bytes | None] = {}
        self._touched: dict[_Place, Group] = {}

    def __iter__(self) -> Iterator[Group]:
        for groups in [*self._rules.values()]:
            yield from [*groups.values()]

    def get(self, rule: Rule, values: GroupValues) -> Group | None:
        """The group, where it has state."""
        return self._rules.get(place_of(rule, values)[0], {}).get(values)

    def settle(self, group: Group) -> Group | None:
        """Keep a group after it was looked at, or forget it where it is empty. The group that had to make room."""
        place = place_of(group.rule, group.values)
        groups = self._rules.setdefault(place[0], {})
        if not group.changed:
            return None
        self._schedule(place, group)
        self._touched[place] = group
        groups.pop(group.values, None)
        if not group:
            return None
        groups[group.values] = group
        return next(iter(groups.values())) if len(groups) > MAX_GROUPS else None

    def forget(self, group: Group) -> None:
        """Remove a group and all of its state."""
        place = place_of(group.rule, group.values)
        self._rules.get(place[0], {}).pop(group.values, None)
        for entry in [*group.entries]:
            group.remove(entry)
        for found in [*group.found.values()]:
            group.drop(found)
        self._touched[place] = group

    def due(self, clock_ms: int) -> Iterator[Group]:
        """The groups that the clock has reached, each once for each time that it is settled."""
        while self._heap and self._heap[0][0] <= clock_ms:
            due, place, values = heapq.heappop(self._heap)
            group = self._rules.get(place, {}).get(values)
            if group is not None and group.scheduled == due:
                group.scheduled = None
                yield group
                self._reschedule(group)

    def _schedule(self, place: _Place, group: Group) -> None:
        """Only what changed can be due earlier than what is known."""
        due = group.earliest_change()
        if due is not None and (group.scheduled is None or due < group.scheduled):
            self._push(place, group, due)

    def _push(self, place: _Place, group: Group, due: int) -> None:
        group.scheduled = due
        heapq.heappush(self._heap, (due, *place))

    def _reschedule(self, group: Group) -> None:
        place = place_of(group.rule, group.values)
        if self._rules.get(place[0], {}).get(group.values) is not group:
            return
        due = group.next_due()
        if due is not None and (group.scheduled is None or due < group.scheduled):
            self._push(place, group, due)

    def changes(self) -> dict[bytes, bytes | None]:
        """What changed since the last call; None for what is gone."""
        for place, group in self._touched.items():
            for part, name in sorted(group.changed):
                self._changed[key_of(place, part, name)] = group.dump(part, name)
            group.changed.clear()
        changed, self._changed = self._changed, {}
        self._touched.clear()
        return changed

    def load(self, rule: Rule, values: GroupValues, part: Part, value: bytes) -> None:
        """A part of a group from the table."""
        place = place_of(rule, values)
        group = self._rules.setdefault(place[0], {}).setdefault(values, Group(rule, values))
        group.load(part, value)

    def loaded(self) -> None:
        """All parts are there: see when each group is due."""
        for group in self:
            group.changed.clear()
            group.scheduled = None
            due = group.next_due()
            if due is not None:
                self._push(place_of(group.rule, group.values), group, due)
