"""One table's part of a pass: what went by itself is noted, what is new is measured, what has expired is dropped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, islice

from sinks.engine import Session
from sinks.holds import keeping
from sinks.holds.hold import Hold
from sinks.retention.drops import Drops
from sinks.retention.entries import MOST_PARTS, Entry, Reason
from sinks.retention.parts import Part, Place, contents, dropped, identity, places
from sinks.retention.snapshot import Seen, vanished
from sinks.tables import Retention


class TablePass:
    """``entries`` are those since the table was looked at last; ``rows`` were dropped, ``faults`` say why some were not."""

    def __init__(self, session: Session, drops: Drops, holds: Sequence[Hold], table: str, entries: Sequence[Entry]) -> None:
        self._session = session
        self._drops = drops
        self._holds = holds
        self._table = table
        self._entries = [entry for entry in entries if entry.dropped.table == table]
        self.rows = 0
        self.faults: list[str] = []

    def look(self, before: Seen | None, deadline: int) -> Seen:
        """Note what went since, measure what is new, and copy what is under a hold of it."""
        now = places(self._session, self._table)
        known: Mapping[str, Part] = {}
        same = identity(self._session, self._table)
        if before and before.identity == same:
            self._note_vanished(before, now, deadline)
            known = before.parts
        measured = contents(self._session, self._table, now.keys() - known.keys())
        new = [Part(name, now[name], content) for name, content in measured.items()]
        if new:
            keeping.copy(self._session, self._holds, self._table, new)
        return Seen(same, {name: known[name] for name in now.keys() & known.keys()} | {part.name: part for part in new})

    def drop(self, seen: Seen, retention: Retention, deadline: int) -> dict[str, Part]:
        """Drop what has expired as a whole; returns what is left."""
        left = dict(seen.parts)
        for partition, parts in _by_partition(left.values()):
            expired = [part for part in parts if part.content.times.last <= deadline]
            if retention.by_days:
                if len(expired) < len(parts):
                    break
                gone = self._drops.partition(self._table, partition, expired)
                for name in gone:
                    del left[name]
                self.rows += sum(part.place.rows for part in expired) if gone else 0
                continue
            for some in _chunks(expired):
                went, fault = self._drops.parts(self._table, some)
                self.rows += sum(part.place.rows for part in went)
                self.faults += [fault] if fault else []
                for part in went:
                    del left[part.name]
        return left

    def _note_vanished(self, before: Seen, now: Mapping[str, Place], deadline: int) -> None:
        explained = [name for name, part in before.parts.items() if any(_explains(entry, part) for entry in self._entries)]
        gone = vanished(before.parts, now, explained)
        for reason, parts in (
            (Reason.TTL, [part for part in gone if part.content.times.last <= deadline]),
            (Reason.UNEXPLAINED, [part for part in gone if part.content.times.last > deadline]),
        ):
            for _, of_partition in _by_partition(parts):
                for some in _chunks(of_partition):
                    self._drops.found_gone(dropped(self._table, reason, some))


def _explains(entry: Entry, part: Part) -> bool:
    about = entry.dropped
    return part.name in about.parts or (not about.parts and about.partition in ("", part.place.partition))


def _by_partition(parts: Iterable[Part]) -> Iterator[tuple[str, list[Part]]]:
    """The oldest first."""
    found = [(partition, list(some)) for partition, some in groupby(sorted(parts, key=_partition), key=_partition)]
    yield from sorted(found, key=lambda each: min(part.content.times.first for part in each[1]))


def _partition(part: Part) -> str:
    return part.place.partition


def _chunks(parts: Iterable[Part]) -> Iterator[list[Part]]:
    left = iter(sorted(parts, key=lambda part: part.name))
    while some := list(islice(left, MOST_PARTS)):
        yield some
