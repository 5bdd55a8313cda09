"""Every minute: checkpoints into the table, the file and the topic, each in its turn, whatever failed the minute before."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import pytest

from sinks.audit.files import CheckpointFile, read_notes
from sinks.audit.sealer import Sealed
from sinks.audit.sealing import Sealing
from sinks.errors import CheckpointUndelivered
from tests.sinks.audit.log import NOON_MS, AuditLog, audit_row, sign


class Topic:
    """Keeps what it is given; ``away`` makes it refuse."""

    def __init__(self) -> None:
        self.kept: list[str] = []
        self.away = False

    async def newest(self) -> Sealed | None:
        self._answer()
        return Sealed.of(self.kept[-1]) if self.kept else None

    async def notes(self) -> list[str]:
        return self.kept

    async def append(self, notes: Sequence[str]) -> None:
        self._answer()
        self.kept += notes

    def _answer(self) -> None:
        if self.away:
            raise CheckpointUndelivered("away")


class Minutes:
    """A sink's sealing, minute by minute."""

    def __init__(self, log: AuditLog, path: Path, owner: bool = True) -> None:
        self.log = log
        self.path = path
        self.owner = owner
        self.topic = Topic()
        self.writer = log.writer()
        self.records = 0
        self.sealing = self.started()

    def started(self) -> Sealing:
        """As a process that has just been started."""
        file = CheckpointFile(self.path)
        owns, now_ms = (lambda: self.owner), (lambda: NOON_MS)
        return Sealing(self.writer, self.log.engine, sign, file, self.topic, owns, now_ms)  # type: ignore[arg-type]

    async def minute(self, records: int = 3) -> None:
        if records:
            self.log.write([audit_row(offset) for offset in range(self.records, self.records + records)])
        self.records += records
        await self.sealing.seal()
        await self.sealing.publish()

    @property
    def counts(self) -> tuple[int, int, int]:
        """Checkpoints in the table, in the file, on the topic."""
        table = self.log.session.rows("SELECT count() FROM viworks.audit_checkpoints")[0][0]
        return table, len(read_notes(self.path)) if self.path.exists() else 0, len(self.topic.kept)


@pytest.fixture
def minutes(log: AuditLog, tmp_path: Path) -> Minutes:
    return Minutes(log, tmp_path / "audit" / "checkpoints.jsonl")


async def test_each_minute_with_records_has_a_checkpoint_in_every_copy(minutes: Minutes) -> None:
    await minutes.minute(records=0)
    assert minutes.counts == (0, 0, 0)
    await minutes.minute()
    await minutes.minute()
    await minutes.minute(records=0)
    assert minutes.counts == (2, 2, 2)
    assert minutes.topic.kept == read_notes(minutes.path)


async def test_what_the_topic_missed_comes_when_it_is_back(minutes: Minutes) -> None:
    await minutes.minute()
    minutes.topic.away = True
    await minutes.minute()
    await minutes.minute()
    assert minutes.counts == (3, 3, 1)
    minutes.topic.away = False
    await minutes.minute(records=0)
    assert minutes.counts == (3, 3, 3)


async def test_a_process_that_ended_between_two_copies_is_made_up_for(minutes: Minutes) -> None:
    await minutes.minute()
    minutes.log.write([audit_row(10)])
    minutes.writer.seal(sign, NOON_MS)
    assert minutes.counts == (2, 1, 1)
    minutes.sealing = minutes.started()
    await minutes.minute(records=0)
    assert minutes.counts == (2, 2, 2)


async def test_who_does_not_own_the_log_copies_into_its_file_only(minutes: Minutes) -> None:
    minutes.owner = False
    await minutes.minute()
    assert minutes.counts == (0, 0, 0)
    minutes.log.seal()
    await minutes.minute()
    assert minutes.counts == (1, 1, 0)


async def test_a_checkpoint_that_does_not_follow_the_file_is_not_copied(
    minutes: Minutes, caplog: pytest.LogCaptureFixture
) -> None:
    await minutes.minute()
    minutes.log.session.command("DELETE FROM viworks.audit_checkpoints WHERE sequence = 0")
    minutes.log.session.command(
        "INSERT INTO viworks.audit_checkpoints (sequence, day, timestamp, records, note) "
        f"VALUES (1, today(), now64(3), 9, '{read_notes(minutes.path)[0].replace('sequence 0', 'sequence 1')}')"
    )
    with caplog.at_level(logging.ERROR):
        await minutes.minute(records=0)
    assert minutes.counts == (1, 1, 1)
    assert "is not sealed any more" in caplog.text


async def test_an_altered_log_is_told_and_not_signed(minutes: Minutes, caplog: pytest.LogCaptureFixture) -> None:
    await minutes.minute()
    minutes.log.session.command("DELETE FROM viworks.audit_log WHERE _position = 1")
    with caplog.at_level(logging.ERROR):
        await minutes.sealing.seal()
        minutes.sealing = minutes.started()
        minutes.writer.forget()
        await minutes.minute()
    assert minutes.counts == (1, 1, 1)
    assert "record 1 of the audit log is missing" in caplog.text
