"""One pass over all tables: what went by itself is noted, what is under a hold is copied, what has expired is dropped.

Blocking, and alone: it runs between two orders of the one process that carries orders out.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice
from pathlib import Path

from sinks.engine import Session
from sinks.errors import EngineUnavailable, HoldIncomplete
from sinks.holds import keeping, store
from sinks.holds.hold import Hold
from sinks.retention import snapshot as snapshots
from sinks.retention.drops import Drops
from sinks.retention.entries import MOST_PARTS, Entry, Reason
from sinks.retention.manifest import Manifest
from sinks.retention.parts import Part, Place, contents, deadline_ms, dropped, identity, places
from sinks.retention.snapshot import Seen, Snapshot, vanished
from sinks.tables import RETENTIONS, Retention

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Swept:
    """What a pass did. ``overdue``: by table for how long its oldest row outlives its part's time, in milliseconds."""

    dropped_rows: int = 0
    faults: dict[str, str] = field(default_factory=dict)
    overdue: dict[str, int] = field(default_factory=dict)


class Sweeper:
    """``sweep`` may be called at any time; a pass that was cut short is finished by the next one."""

    def __init__(self, data_dir: Path, manifest: Manifest, overdue_ms: int) -> None:
        self._path = data_dir / "retention" / "parts.json"
        self._manifest = manifest
        self._overdue_ms = overdue_ms

    def sweep(self, session: Session, now_ms: int) -> Swept:
        """Do one pass. What fails of one table stops no other.

        Raises:
            ManifestInvalid, KeyFileUnusable, OSError: nothing can be written down, so nothing is dropped.
            EngineUnavailable: ClickHouse does not answer.
        """
        manifest = self._manifest
        manifest.open(session)
        holds = store.active(session)
        keeping.set_ttls(session, holds)
        drops, swept = Drops(session, manifest, holds), Swept()
        drops.finish_pending()
        before = snapshots.load(self._path)
        after = Snapshot(tables=dict(before.tables))
        for table, retention in RETENTIONS.items():
            table_pass = _TablePass(session, drops, holds, table, manifest.entries[before.entries :])
            try:
                deadline = deadline_ms(session, table, now_ms)
                if retention.by_rows:
                    swept.dropped_rows += drops.rows(table, deadline)
                    continue
                seen = table_pass.look(before.tables.get(table), deadline)
                left = table_pass.drop(seen, retention, deadline)
            except (EngineUnavailable, HoldIncomplete) as error:
                log.error("retention of %s: %s: %s", table, type(error).__name__, error)
                swept.faults[table] = f"{type(error).__name__}: {error}"
                continue
            after.tables[table] = Seen(seen.identity, left)
            self._judge(swept, table, retention, left, deadline)
            swept.dropped_rows += table_pass.rows
            if table_pass.faults:
                swept.faults[table] = table_pass.faults[0]
        after.entries = len(manifest.entries)
        snapshots.save(self._path, after)
        return swept

    def _judge(self, swept: Swept, table: str, retention: Retention, left: Mapping[str, Part], deadline: int) -> None:
        over_ms = deadline - min((part.content.times.first for part in left.values()), default=deadline)
        if over_ms > retention.spread_ms + self._overdue_ms:
            swept.overdue[table] = over_ms


class _TablePass:
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
