"""One pass over all tables: what went by itself is noted, what is under a hold is copied, what has expired is dropped.

Blocking, and alone: it runs between two orders of the one process that carries orders out.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sinks.engine import Session
from sinks.errors import EngineUnavailable, HoldIncomplete
from sinks.holds import keeping, store
from sinks.holds.hold import Hold
from sinks.retention import snapshot as snapshots
from sinks.retention import state
from sinks.retention.drops import Drops
from sinks.retention.manifest import Manifest
from sinks.retention.parts import Part, contents, deadline_ms, places
from sinks.retention.snapshot import Seen, Snapshot
from sinks.retention.state import State, state_of
from sinks.retention.table_pass import TablePass
from sinks.tables import RETENTIONS

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Swept:
    """What a pass did. ``overdue``: by table for how long its oldest row outlives its part's time, in milliseconds."""

    dropped_rows: int = 0
    faults: dict[str, str] = field(default_factory=dict)
    overdue: dict[str, int] = field(default_factory=dict)
    states: list[State] = field(default_factory=list)


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
        self._manifest.open(session)
        holds = store.active(session)
        keeping.set_ttls(session, holds)
        drops, swept = Drops(session, self._manifest, holds), Swept()
        drops.finish_pending()
        before = snapshots.load(self._path)
        after = Snapshot(tables=dict(before.tables))
        for table in RETENTIONS:
            try:
                self._sweep_table(session, table, now_ms, _Pass(before, after, drops, holds, swept))
            except (EngineUnavailable, HoldIncomplete) as error:
                log.error("retention of %s: %s: %s", table, type(error).__name__, error)
                swept.faults[table] = f"{type(error).__name__}: {error}"
        state.write(session, swept.states, now_ms)
        snapshots.save(self._path, after)
        return swept

    def _sweep_table(self, session: Session, table: str, now_ms: int, about: _Pass) -> None:
        retention, deadline = RETENTIONS[table], deadline_ms(session, table, now_ms)
        swept = about.swept
        if retention.by_rows:
            swept.dropped_rows += about.drops.rows(table, deadline)
            left = _measured(session, table)
        else:
            before = about.before.tables.get(table)
            since = self._manifest.entries[before.entries :] if before else []
            table_pass = TablePass(session, about.drops, about.holds, table, since)
            seen = table_pass.look(before, deadline)
            remaining = table_pass.drop(seen, retention, deadline)
            about.after.tables[table] = Seen(seen.identity, remaining, len(self._manifest.entries))
            left = list(remaining.values())
            swept.dropped_rows += table_pass.rows
            if table_pass.faults:
                swept.faults[table] = table_pass.faults[0]
        over_ms = deadline - min((part.content.times.first for part in left), default=deadline)
        if over_ms > retention.spread_ms + self._overdue_ms:
            swept.overdue[table] = over_ms
        swept.states.append(state_of(session, table, left, deadline, now_ms))


@dataclass(frozen=True, slots=True)
class _Pass:
    """What all tables of a pass share."""

    before: Snapshot
    after: Snapshot
    drops: Drops
    holds: Sequence[Hold]
    swept: Swept


def _measured(session: Session, table: str) -> list[Part]:
    now = places(session, table)
    return [Part(name, now[name], content) for name, content in contents(session, table, now).items()]
