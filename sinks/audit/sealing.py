"""Seals the audit log every minute: checkpoints into the table, then into the file, then onto the topic.

In this order, so that who reads the copies first and the table after them never finds a copy ahead of the table.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path

from sinks.audit import rows
from sinks.audit.checkpoints import FIRST_PREVIOUS, note_hash
from sinks.audit.files import CheckpointFile
from sinks.audit.sealer import Sealed, Sign
from sinks.audit.signing_key import AuditKey
from sinks.audit.topic import CheckpointTopic
from sinks.audit.writer import AuditWriter
from sinks.engine import Engine, Session
from sinks.errors import AuditError, CheckpointUndelivered, EngineUnavailable, KeyFileUnusable, LogAltered
from sinks.settings import SinkSettings

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Sealing:
    """One a sink process. Only the process that has the audit topic's partition makes checkpoints; all copy them.

    Attributes:
        owns: whether this process has the partition now.
        now_ms: the machine's clock.
    """

    writer: AuditWriter
    engine: Engine
    sign: Sign
    file: CheckpointFile
    topic: CheckpointTopic
    owns: Callable[[], bool]
    now_ms: Callable[[], int]
    # The last one on the topic, once it was asked for it.
    _on_topic: Sealed | None = field(default=None, init=False)
    _asked: bool = field(default=False, init=False)

    async def run(self, interval_s: float) -> None:
        """Seal every ``interval_s`` seconds until cancelled."""
        while True:
            await asyncio.sleep(interval_s)
            await self.seal()
            await self.publish()

    async def seal(self) -> None:
        """Make the checkpoints that are due and copy them into the file. What fails is logged and tried again next time."""
        try:
            await asyncio.to_thread(self._seal, self.owns())
        except (EngineUnavailable, KeyFileUnusable, OSError) as error:
            log.warning("no checkpoint of the audit log now: %s: %s", type(error).__name__, error)
        except AuditError as error:
            log.error("the audit log is not sealed any more: %s; see viworks audit verify", error)

    async def publish(self) -> None:
        """Put onto the topic what it has not, where this process owns the log."""
        if not self.owns():
            self._asked = False
            return
        try:
            if not self._asked:
                self._on_topic = await self.topic.newest()
            notes = await asyncio.to_thread(self._notes_after, self._on_topic)
            if notes:
                await self.topic.append(notes)
                self._on_topic = Sealed.of(notes[-1])
            self._asked = True
        except (CheckpointUndelivered, EngineUnavailable, AuditError) as error:
            self._asked = False
            log.warning("checkpoints of the audit log are not on their topic: %s: %s", type(error).__name__, error)

    def _seal(self, owner: bool) -> None:
        if owner:
            self.writer.seal(self.sign, self.now_ms())
        session = self.engine.session()
        try:
            self._copy(session)
        finally:
            session.close()

    def _copy(self, session: Session) -> None:
        newest = self.file.newest()
        notes = _following(session, Sealed.of(newest) if newest else None)
        if notes:
            self.file.append(notes)

    def _notes_after(self, last: Sealed | None) -> list[str]:
        session = self.engine.session()
        try:
            return _following(session, last)
        finally:
            session.close()


async def sealed_while(
    consuming: Coroutine[None, None, None],
    settings: SinkSettings,
    engine: Engine,
    writer: AuditWriter,
    owns: Callable[[], bool],
) -> None:
    """Consume, and seal meanwhile and once more at the end, whatever ends it. Raises what consuming raises."""
    if settings.audit_key_file is None:
        log.warning("the audit log gets no checkpoints: VIWORKS_AUDIT_KEY_FILE is not set")
        await consuming
        return
    sealing = _sealing(settings.audit_key_file, settings, engine, writer, owns)
    tasks = [asyncio.create_task(consuming), asyncio.create_task(sealing.run(settings.audit_checkpoint_interval_s))]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # What came since the last checkpoint would wait for its seal until the next start.
        await sealing.seal()


def _sealing(
    key_file: Path, settings: SinkSettings, engine: Engine, writer: AuditWriter, owns: Callable[[], bool]
) -> Sealing:
    directory = settings.data_dir / "audit"
    return Sealing(
        writer=writer,
        engine=engine,
        sign=AuditKey(key_file, directory / "public-keys").sign,
        file=CheckpointFile(directory / "checkpoints.jsonl"),
        topic=CheckpointTopic(settings.kafka),
        owns=owns,
        now_ms=lambda: time.time_ns() // 1_000_000,
    )


def _following(session: Session, last: Sealed | None) -> list[str]:
    """What the table has after ``last``. Raises LogAltered where it does not follow, CheckpointInvalid where it is none."""
    notes = rows.checkpoints_after(session, last.checkpoint.sequence if last else -1)
    before = last
    for note in notes:
        sealed = Sealed.of(note)
        expected = (before.checkpoint.sequence + 1, note_hash(before.note)) if before else (0, FIRST_PREVIOUS)
        if (sealed.checkpoint.sequence, sealed.checkpoint.previous) != expected:
            raise LogAltered(f"checkpoint {sealed.checkpoint.sequence} of the table does not follow the one before it")
        before = sealed
    return notes
