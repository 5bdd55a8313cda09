"""Drops, each written down before and after. A part is dropped by its name, which stands for the rows that were measured."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping, Sequence

from sinks.engine import Session
from sinks.errors import EngineUnavailable, HoldIncomplete
from sinks.holds import keeping
from sinks.holds.hold import Hold
from sinks.retention.deletion import delete
from sinks.retention.entries import MOST_PARTS, Dropped, Entry, Reason, Span
from sinks.retention.manifest import Manifest
from sinks.retention.parts import Part, Place, contents, dropped, places
from sinks.retention.snapshot import vanished
from sinks.tables import DATABASE, RETENTIONS

log = logging.getLogger(__name__)

_NAME = re.compile(r"(?P<partition>.+?)_(?P<first>\d+)_(?P<last>\d+)_\d+(?:_\d+)?")


class Drops:
    """All of one pass; ``holds`` are those in force."""

    def __init__(self, session: Session, manifest: Manifest, holds: Sequence[Hold]) -> None:
        self._session = session
        self._manifest = manifest
        self._holds = holds

    def parts(self, table: str, parts: Sequence[Part]) -> tuple[list[Part], str]:
        """Drop parts of one partition; returns those that went, and what was wrong with the others.

        Raises:
            HoldIncomplete: rows under a hold could not be copied; nothing was dropped.
            EngineUnavailable: as above, or nothing is known.
        """
        self._keep(table, parts)
        intent = self._manifest.intend(self._session, dropped(table, Reason.RETENTION, parts))
        faults = {part.name: fault for part in parts if (fault := self._drop_part(table, part.name))}
        stay = self._still_there(table, {part.name: part for part in parts if part.name in faults})
        went = [part for part in parts if part.name not in stay]
        fault = f"{len(stay)} parts stay: {faults[min(stay)]}" if stay else ""
        self._manifest.complete(self._session, intent, dropped(table, Reason.RETENTION, went), fault)
        return went, fault

    def partition(self, table: str, partition: str, parts: Sequence[Part]) -> list[str]:
        """Drop a partition, all parts of which are given, in one step; returns their names. Raises as ``parts``."""
        self._keep(table, parts)
        about = dropped(table, Reason.RETENTION, parts)
        if len(parts) > MOST_PARTS:
            about = _without_names(about)
        intent = self._manifest.intend(self._session, about)
        self._drop_partition(table, partition)
        self._manifest.complete(self._session, intent, about)
        return [part.name for part in parts]

    def rows(self, table: str, deadline: int) -> int:
        """Delete single rows, of a table without parts that expire as a whole. Raises EngineUnavailable."""
        about = self._expired_rows(table, deadline)
        if not about.rows:
            return 0
        intent = self._manifest.intend(self._session, about)
        self._delete_rows(table, deadline)
        self._manifest.complete(self._session, intent, about)
        return about.rows

    def found_gone(self, about: Dropped) -> None:
        """Write down what went without an entry before it."""
        log.log(
            logging.ERROR if about.reason is Reason.UNEXPLAINED else logging.WARNING,
            "%s rows of %s are gone: %s", about.rows, about.table, about.reason,
        )  # fmt: skip
        self._manifest.complete(self._session, None, about)

    def finish_pending(self) -> None:
        """Finish what a process that ended had only announced. Releases and erasures are finished by their own orders."""
        for intent in self._manifest.pending:
            if intent.dropped.reason is Reason.RETENTION:
                try:
                    self._finish(intent)
                except (EngineUnavailable, HoldIncomplete) as error:
                    log.warning("entry %d of the manifest stays open: %s", intent.sequence, error)

    def _finish(self, intent: Entry) -> None:
        about = intent.dropped
        now = places(self._session, about.table)
        if RETENTIONS[about.table].by_rows:
            self._delete_rows(about.table, about.times.last if about.times else 0)
        elif not about.parts:
            self._drop_partition(about.table, about.partition)
        left = [name for name in about.parts if name in now]
        measured = contents(self._session, about.table, left)
        self._keep(about.table, [Part(name, now[name], content) for name, content in measured.items()])
        stay = [name for name in left if self._drop_part(about.table, name)]
        merged = [name for name in about.parts if name not in now and _covered(name, now.values())]
        if not stay and not merged:
            self._manifest.complete(self._session, intent, about)
            return
        gone = tuple(name for name in about.parts if name not in stay and name not in merged)
        rest = Dropped(about.table, about.reason, about.partition, gone)
        self._manifest.complete(self._session, intent, rest, f"{len(stay)} parts stay, {len(merged)} were merged before")

    def _keep(self, table: str, parts: Sequence[Part]) -> None:
        if parts:
            keeping.copy(self._session, self._holds, table, parts)
            keeping.require_copied(self._session, self._holds, table, parts)

    def _drop_part(self, table: str, name: str) -> str:
        """Returns what was wrong."""
        try:
            self._session.command(f"ALTER TABLE {DATABASE}.{table} DROP PART '{name}'")
        except EngineUnavailable as error:
            return str(error)
        return ""

    def _still_there(self, table: str, parts: Mapping[str, Part]) -> set[str]:
        """Those that ClickHouse did not drop although it may have: its answer can be lost."""
        gone = vanished(parts, places(self._session, table), ()) if parts else []
        return parts.keys() - {part.name for part in gone}

    def _drop_partition(self, table: str, partition: str) -> None:
        self._session.command(f"ALTER TABLE {DATABASE}.{table} DROP PARTITION ID '{partition}'")

    def _expired_rows(self, table: str, deadline: int) -> Dropped:
        column = f"toUnixTimestamp64Milli(toDateTime64({RETENTIONS[table].column}, 3, 'UTC'))"
        sql = f"SELECT count(), min({column}), max({column}) FROM {DATABASE}.{table} WHERE {column} <= {deadline}"  # noqa: S608
        ((rows, first, last),) = self._session.rows(f"{sql} SETTINGS final = 0")
        return Dropped(table, Reason.RETENTION, rows=rows, times=Span(first, last) if rows else None)

    def _delete_rows(self, table: str, deadline: int) -> None:
        column = f"toUnixTimestamp64Milli(toDateTime64({RETENTIONS[table].column}, 3, 'UTC'))"
        delete(self._session, table, f"{column} <= {deadline}")


def _without_names(about: Dropped) -> Dropped:
    return Dropped(
        table=about.table,
        reason=about.reason,
        partition=about.partition,
        rows=about.rows,
        bytes=about.bytes,
        times=about.times,
        offsets=about.offsets,
    )


def _covered(name: str, now: Iterable[Place]) -> bool:
    found = _NAME.fullmatch(name)
    if not found:
        return False
    place = Place(found["partition"], int(found["first"]), int(found["last"]), 0, 0)
    return any(each.covers(place) for each in now)
