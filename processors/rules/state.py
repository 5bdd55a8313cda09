"""The groups of all rules: by rule and values, bounded, with the next moment at which each must be looked at."""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Iterator

import msgspec

from processors.rules.groups import Group, GroupValues, Part
from processors.rules.model import Rule

MAX_GROUPS = 100_000

_Place = tuple[str, GroupValues]


def place_of(rule: Rule, values: GroupValues) -> _Place:
    """Where a group's state stands; that of a rule which now means something else stands elsewhere."""
    return f"{rule.id}.{rule.fingerprint}", values


def key_of(place: _Place, part: Part, name: str) -> bytes:
    """The table's key of a part of a group."""
    return msgspec.json.encode([place[0], place[1], part, name])


class Groups:
    """All groups. A rule has so many at most; then the one that was used longest ago makes room."""

    def __init__(self) -> None:
        self._rules: dict[str, OrderedDict[GroupValues, Group]] = {}
        self._heap: list[tuple[int, str, GroupValues]] = []
        self._changed: dict[bytes, bytes | None] = {}
        self._touched: dict[_Place, Group] = {}

    def __iter__(self) -> Iterator[Group]:
        for groups in [*self._rules.values()]:
            yield from [*groups.values()]

    def get(self, rule: Rule, values: GroupValues) -> Group | None:
        """The group, where it has state."""
        groups = self._rules.get(place_of(rule, values)[0])
        return groups.get(values) if groups else None

    def settle(self, group: Group) -> Group | None:
        """Keep a group after it was looked at, or forget it where it is empty. The group that has to make room."""
        if not group.changed:
            return None
        place = place_of(group.rule, group.values)
        groups = self._rules.setdefault(place[0], OrderedDict())
        self._touch(place, group)
        self._schedule(place, group, group.take_hint())
        if not group:
            groups.pop(group.values, None)
            return None
        groups[group.values] = group
        groups.move_to_end(group.values)
        return next(iter(groups.values())) if len(groups) > MAX_GROUPS else None

    def forget(self, group: Group) -> None:
        """Remove a group and all of its state."""
        place = place_of(group.rule, group.values)
        self._rules.get(place[0], OrderedDict()).pop(group.values, None)
        group.clear()
        self._touch(place, group)

    def _touch(self, place: _Place, group: Group) -> None:
        before = self._touched.get(place)
        if before is not None and before is not group:
            # It was forgotten, and the group is there anew.
            self._flush(place, before)
        self._touched[place] = group

    def _flush(self, place: _Place, group: Group) -> None:
        for part, name in sorted(group.changed):
            self._changed[key_of(place, part, name)] = group.dump(part, name)
        group.changed.clear()

    def due(self, clock_ms: int) -> Iterator[Group]:
        """The groups that the clock has reached; each again until nothing in it is due any more."""
        while self._heap and self._heap[0][0] <= clock_ms:
            due, place, values = heapq.heappop(self._heap)
            groups = self._rules.get(place)
            group = groups.get(values) if groups else None
            if group is not None and group.scheduled == due:
                group.scheduled = None
                yield group
                if group:
                    self._schedule((place, values), group, group.next_due())

    def _schedule(self, place: _Place, group: Group, due: int | None) -> None:
        if due is not None and (group.scheduled is None or due < group.scheduled):
            group.scheduled = due
            heapq.heappush(self._heap, (due, *place))

    def changes(self) -> dict[bytes, bytes | None]:
        """What changed since the last call; None for what is gone."""
        for place, group in self._touched.items():
            self._flush(place, group)
        changed, self._changed = self._changed, {}
        self._touched.clear()
        return changed

    def load(self, rule: Rule, values: GroupValues, part: tuple[Part, str], value: bytes) -> None:
        """A part of a group from the table."""
        place = place_of(rule, values)
        group = self._rules.setdefault(place[0], OrderedDict()).setdefault(values, Group(rule, values))
        group.load(*part, value)

    def loaded(self) -> None:
        """All parts are there: see when each group is due."""
        for group in self:
            group.changed.clear()
            self._schedule(place_of(group.rule, group.values), group, group.next_due())
