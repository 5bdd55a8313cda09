"""What a rule remembers of one group: the window's entries and the findings. Both are persisted one by one.

A mass outage changes thousands of entries of one group; were a group one value, each change would write all of them.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec

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


class LetGo(NamedTuple):
    """A value that was cleared at ``timestamp``: what is not newer has no say any more. ``expires`` as of an entry."""

    timestamp: int
    expires: int


class Part(StrEnum):
    """The kinds of things in a group."""

    ENTRY = "e"
    FOUND = "f"
    LET_GO = "g"


class Group:
    """The state of a rule for one group, and which parts of it changed since somebody last asked."""

    __slots__ = ("_hint", "_order", "changed", "entries", "found", "let_go", "rule", "scheduled", "values")

    def __init__(self, rule: Rule, values: GroupValues) -> None:
        self.rule = rule
        self.values = values
        self.entries: dict[str, Entry] = {}
        self.found: dict[Key, Found] = {}
        self.let_go: dict[str, LetGo] = {}
        self.changed: set[tuple[Part, str]] = set()
        self.scheduled: int | None = None
        self._order: list[Entry] = []
        self._hint: int | None = None

    def __bool__(self) -> bool:
        """Whether there is anything to remember."""
        return bool(self.entries or self.found or self.let_go)

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
        self._note(entry.expires)
        self.changed.add((Part.ENTRY, entry.name))
        return index

    def remove(self, name: str) -> None:
        """Take an entry out, where it is in."""
        entry = self.entries.pop(name, None)
        if entry is not None:
            del self._order[bisect.bisect_left(self._order, entry)]
            self.changed.add((Part.ENTRY, name))

    def release(self, name: str, timestamp: int, expires: int) -> bool:
        """Take out what was cleared at ``timestamp``, and remember that. False where nothing so old is in."""
        entry = self.entries.get(name)
        if entry is None or timestamp < entry.timestamp:
            return False
        self.remove(name)
        self.let_go[name] = LetGo(timestamp, expires)
        self.changed.add((Part.LET_GO, name))
        self._note(expires)
        return True

    def release_all(self, expires: int) -> None:
        """What is left when a finding ends is known one by one, and part of no other."""
        for entry in [*self._order]:
            self.release(entry.name, entry.timestamp, expires)

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
        self._note(found.due)

    def drop(self, found: Found) -> None:
        """Forget a finding."""
        del self.found[found.key]
        self.changed.add((Part.FOUND, _name(found.key)))

    def at(self, stage: Stage) -> list[Found]:
        """The findings of a stage, the earliest first."""
        if not self.found:
            return []
        return in_order_of_time(found for found in self.found.values() if found.stage is stage)

    def live(self) -> list[Found]:
        """The findings that are not over, the earliest first."""
        if not self.found:
            return []
        return in_order_of_time(found for found in self.found.values() if found.stage is not Stage.OVER)

    def clear(self) -> None:
        """Forget all."""
        self.changed |= {(Part.ENTRY, name) for name in self.entries} | {(Part.LET_GO, name) for name in self.let_go}
        self.changed |= {(Part.FOUND, _name(key)) for key in self.found}
        self.entries, self.found, self.let_go, self._order = {}, {}, {}, []

    def mortal(self) -> list[Entry]:
        """The entries that time may take: not what a standing finding holds, nor the sample that counts until the next."""
        if self.rule.kind is Kind.CHANGE:
            return self._order[:-1]
        return [] if self.rule.clear is not None and self.live() else self._order

    def expire(self, clock_ms: int) -> None:
        """Forget the entries that no window can need any more."""
        for entry in [entry for entry in self.mortal() if entry.expires <= clock_ms]:
            self.remove(entry.name)
        for name in [name for name, let_go in self.let_go.items() if let_go.expires <= clock_ms]:
            del self.let_go[name]
            self.changed.add((Part.LET_GO, name))

    def due_findings(self, clock_ms: int) -> list[Found]:
        """The findings whose moment has come."""
        return [found for found in self.found.values() if found.due is not None and found.due <= clock_ms]

    def next_due(self) -> int | None:
        """When anything in the group must be looked at; None where time changes nothing."""
        dues = [found.due for found in self.found.values() if found.due is not None]
        dues += [each.expires for each in self.mortal()] + [each.expires for each in self.let_go.values()]
        return min(dues, default=None)

    def take_hint(self) -> int | None:
        """The earliest moment that came in since the last call: looking at all that is there would cost too much."""
        hint, self._hint = self._hint, None
        return hint

    def _note(self, due: int | None) -> None:
        if due is not None and (self._hint is None or due < self._hint):
            self._hint = due

    def _timed(self, part: Part, name: str) -> Entry | LetGo | None:
        return self.entries.get(name) if part is Part.ENTRY else self.let_go.get(name)

    def dump(self, part: Part, name: str) -> bytes | None:
        """A part for the table; None where it is gone."""
        if part is not Part.FOUND:
            timed = self._timed(part, name)
            return None if timed is None else msgspec.json.encode(timed)
        found = self.found.get(_KEY.decode(name))
        return None if found is None else msgspec.json.encode(found)

    def load(self, part: Part, name: str, value: bytes) -> None:
        """A part from the table. Raises msgspec.DecodeError where it is none."""
        if part is Part.ENTRY:
            self.add(_ENTRY.decode(value))
        elif part is Part.LET_GO:
            self.let_go[name] = _LET_GO.decode(value)
        else:
            found = _FOUND.decode(value)
            self.found[found.key] = found


_ENTRY = msgspec.json.Decoder(Entry)
_LET_GO = msgspec.json.Decoder(LetGo)
_FOUND = msgspec.json.Decoder(Found)
_KEY = msgspec.json.Decoder(Key)


def _name(key: Key) -> str:
    return msgspec.json.encode(key).decode()
