"""The job: a pass every so often, and what the audit has to say of it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from schemas.topics import AUDIT
from sinks.engine import Engine, Session
from sinks.errors import EngineUnavailable, KeyFileUnusable, ManifestInvalid, RecordUndelivered
from sinks.orders.clerk import in_thread
from sinks.orders.order import Order
from sinks.records import Outgoing
from sinks.retention import audits
from sinks.retention.manifest import Manifest
from sinks.retention.sweeper import Sweeper, Swept

log = logging.getLogger(__name__)

_FAULTS = (EngineUnavailable, ManifestInvalid, KeyFileUnusable, OSError)


class RetentionJob:
    """One a sink process; only the process that has the orders' partition calls ``tick``.

    Args:
        write: puts records on their topics; raises RecordUndelivered.
        now_ms: the clock by which rows expire.
    """

    def __init__(
        self,
        engine: Engine,
        sweeper: Sweeper,
        manifest: Manifest,
        write: Callable[[list[Outgoing]], Awaitable[None]],
        now_ms: Callable[[], int],
        *,
        data_dir: Path,
        interval_s: float,
    ) -> None:
        self._engine = engine
        self._sweeper = sweeper
        self._manifest = manifest
        self._write = write
        self._now_ms = now_ms
        self._interval_ms = int(interval_s * 1_000)
        self._audited_path = data_dir / "retention" / "audited"
        self._audited = audits.audited(self._audited_path)
        self._due_ms = 0
        self._unsent: list[dict[str, Any]] = []

    async def tick(self) -> None:
        """Do a pass where one is due, and give the audit what it does not have. What fails is told and done again."""
        if self._now_ms() >= self._due_ms:
            await self._pass()
        try:
            await self._tell_audit()
        except (RecordUndelivered, OSError) as error:
            log.warning("audit records of retention wait: %s", type(error).__name__)

    def run_ordered(self, order: Order, session: Session) -> Mapping[str, Any]:
        """The handler of ``retention.run``: a pass now. Raises what ``Sweeper.sweep`` raises."""
        swept = self._sweeper.sweep(session, self._now_ms())
        self._unsent += self._failures(swept)
        return {"rows": swept.dropped_rows, "faults": swept.faults, "overdue": swept.overdue}

    async def _pass(self) -> None:
        self._due_ms = self._now_ms() + self._interval_ms
        try:
            swept = await in_thread(self._sweep)
        except _FAULTS as error:
            log.error("no retention now: %s: %s", type(error).__name__, error)
            self._unsent.append(audits.failure(audits.RUN, "", self._now_ms(), {"fault": type(error).__name__}))
            return
        self._unsent += self._failures(swept)

    def _sweep(self) -> Swept:
        session = self._engine.session()
        try:
            return self._sweeper.sweep(session, self._now_ms())
        finally:
            session.close()

    def _failures(self, swept: Swept) -> list[dict[str, Any]]:
        now_ms = self._now_ms()
        faults = [audits.failure(audits.RUN, table, now_ms, {"fault": fault}) for table, fault in swept.faults.items()]
        return faults + [
            audits.failure(audits.OVERDUE, table, now_ms, {"over_ms": over_ms}) for table, over_ms in swept.overdue.items()
        ]

    async def _tell_audit(self) -> None:
        entries = self._manifest.entries
        new = [record for entry in entries[self._audited :] if (record := audits.record_of(entry))]
        unsent, count = list(self._unsent), len(entries)
        if new or unsent:
            await self._write([Outgoing(AUDIT, record) for record in (*new, *unsent)])
            del self._unsent[: len(unsent)]
        if count != self._audited:
            audits.note_audited(self._audited_path, count)
            self._audited = count
