"""What a rule remembers of one group: the window's entries and the findings. Both are persisted one by one.

A mass outage changes thousands of entries of one group; were a group one value, each change would write all of them.
"""

from __future__ import annotations

import bisect
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from processors.rules.language import Kind
from processors.rules.model import Rule

Key = tuple[str | int, ...]
GroupValues = tuple[str, ...]

MAX_FOUND = 1_000


class Entry(NamedTuple):
    """One signal in a window. ``name`` is what it counts as: its id, or its value where distinct values count.

    ``number`` is a step or a sample, ``label`` what evidence names, ``key`` the dedup key that it would begin.
    ``expires`` (ms) is when the window can forget it.
    """

    timestamp: int
    name: str
    label: str = ""
    client_id: str = ""
    number: float = 0
    key: Key = ()
    expires: int = 0


class Stage(StrEnum):
    """Where a finding is: its time of ``for`` runs, it has begun, or it is over and only remembered."""

    PENDING = "pending"
    STANDING = "standing"
    OVER = "over"


@dataclass(slots=True)
class Found:
    """A finding. ``since`` is when its condition came to hold, ``first`` and ``last`` what it reaches over, all in ms.

    ``due`` is when it begins, ends or is forgotten, by its stage; None where no time ends it.
    """

    key: Key
    stage: Stage
    since: int
    first: int
    last: int
    due: int | None
    severity: str
    client_id: str = ""
    node_id: str | None = None
    summary: str = ""
    evidence: dict[str, Any] = field(default_factory=dict)


def in_order_of_time(findings: Iterable[Found]) -> list[Found]:
    """The earliest first, in the same order whether or not they came back from the table."""
    return sorted(findings, key=lambda found: (found.since, found.first, _name(found.key)))


class Part(StrEnum):
    """The two kinds of things in a group."""

    ENTRY = "e"
    FOUND = "f"


class Group:
    """The state of a rule for one group, and which parts of it changed since somebody last asked."""

    __slots__ = ("_order", "changed", "entries", "found", "rule", "scheduled", "values")

    def __init__(self, rule: Rule, values: GroupValues) -> None:
        self.rule = rule
        self.values = values
        self.entries: dict[str, Entry] = {}
        self.found: dict[Key, Found] = {}
        self.changed: set[tuple[Part, str]] = set()
        self.scheduled: int | None = None
        self._order: list[Entry] = []

    def __bool__(self) -> bool:
        """Whether there is anything to remember."""
        return bool(self.entries or self.found)

    @property
    def in_order(self) -> list[Entry]:
        """The entries by time; not to be changed."""
        return self._order

    def add(self, entry: Entry) -> int:
        """Put an entry into the window, in the place of one of the same name. The index where it stands."""
        self.remove(entry.name)
        self.entries[entry.name] = entry
        index = bisect.bisect_left(self._order, entry)
        self._order.insert(index, entry)
        self.changed.add((Part.ENTRY, entry.name))
        return index

    def remove(self, name: str) -> None:
        """Take an entry out, where it is in."""
        entry = self.entries.pop(name, None)
        if entry is not None:
            del self._order[bisect.bisect_left(self._order, entry)]
            self.changed.add((Part.ENTRY, name))

    def trim(self, kept: int) -> None:
        """Keep the newest so many entries."""
        for entry in self._order[: max(0, len(self._order) - kept)]:
            self.remove(entry.name)

    def count_since(self, timestamp: int) -> int:
        """How many entries are not older."""
        return len(self._order) - bisect.bisect_left(self._order, (timestamp,))

    def put(self, found: Found) -> None:
        """Keep a finding, or note that it changed."""
        self.found[found.key] = found
        self.changed.add((Part.FOUND, _name(found.key)))

    def drop(self, found: Found) -> None:
        """Forget a finding."""
        del self.found[found.key]
        self.changed.add((Part.FOUND, _name(found.key)))

    def at(self, stage: Stage) -> list[Found]:
        """The findings of a stage, the earliest first."""
        return in_order_of_time(found for found in self.found.values() if found.stage is stage)

    def live(self) -> list[Found]:
        """The findings that are not over, the earliest first."""
        return in_order_of_time(found for found in self.found.values() if found.stage is not Stage.OVER)

    def mortal(self) -> list[Entry]:
        """The entries that time may take: not what a standing finding holds, nor the sample that counts until the next."""
        if self.rule.kind is Kind.CHANGE:
            return self._order[:-1]
        return [] if self.rule.clear is not None and self.live() else self._order

    def expire(self, clock_ms: int) -> None:
        """Forget the entries that no window can need any more."""
        for entry in [entry for entry in self.mortal() if entry.expires <= clock_ms]:
            self.remove(entry.name)

    def due_findings(self, clock_ms: int) -> list[Found]:
        """The findings whose moment has come."""
        return [found for found in self.found.values() if found.due is not None and found.due <= clock_ms]

    def next_due(self) -> int | None:
        """When anything in the group must be looked at; None where time changes nothing."""
        dues = [found.due for found in self.found.values() if found.due is not None]
        return min([*dues, *(entry.expires for entry in self.mortal())], default=None)

    def earliest_change(self) -> int | None:
        """When what changed must be looked at. A finding decides what else in the group is mortal."""
        if any(part is Part.FOUND for part, _ in self.changed):
            return self.next_due()
        entries = [self.entries[name] for _, name in self.changed if name in self.entries]
        return min((entry.expires for entry in entries), default=None)

    def dump(self, part: Part, name: str) -> bytes | None:
        """A part for the table; None where it is gone."""
        if part is Part.ENTRY:
            entry = self.entries.get(name)
            return None if entry is None else _json(entry)
        found = self.found.get(tuple(json.loads(name)))
        return None if found is None else _json(asdict(found))

    def load(self, part: Part, value: bytes) -> None:
        """A part from the table."""
        content = json.loads(value)
        if part is Part.ENTRY:
            entry = Entry(*content)
            self.add(entry._replace(key=tuple(entry.key)))
            return
        key, stage = tuple(content.pop("key")), Stage(content.pop("stage"))
        self.found[key] = Found(key, stage, **content)


def _name(key: Key) -> str:
    return json.dumps(key, separators=(",", ":"))


def _json(content: Any) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode()
