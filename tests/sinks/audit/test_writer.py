"""What is written to the log is one chain, whatever happens between two batches."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from sinks.audit import rows
from sinks.audit.chain import DAY_MS, Head, chained
from sinks.audit.merkle import Tree
from sinks.audit.writer import AuditWriter
from sinks.claims import Claims
from sinks.engine import EmbeddedSession, Reading, ServerEngine
from sinks.errors import EngineUnavailable, Fenced, LogAltered
from sinks.log_ends import not_asked
from tests.sinks.audit.log import FIRST_DAY, NOON_MS, TABLE, AuditLog, audit_row, sign
from tests.sinks.http_engine import served
from tests.sinks.samples import Row
from tests.sinks.warehouse import Warehouse


def some(first: int, count: int, at_ms: int = NOON_MS) -> list[Row]:
    return [audit_row(offset, at_ms) for offset in range(first, first + count)]


def test_a_record_keeps_its_bytes_and_gets_its_columns(log: AuditLog, warehouse: Warehouse) -> None:
    (written,) = some(7, 1)
    assert log.write([written]) == []
    (link,) = log.links
    assert (link.position, link.offset, link.written_at_ms, link.value) == (0, 7, NOON_MS, written.value)
    found = warehouse.session.rows(
        "SELECT audit_id, toUnixTimestamp64Milli(timestamp), actor, subject FROM viworks.audit_log"
    )
    assert [tuple(each) for each in found] == [("a7", NOON_MS, "registry", "client-1")]


def test_batches_make_the_chain_that_one_batch_makes(log: AuditLog) -> None:
    records = some(0, 9, NOON_MS) + some(9, 5, NOON_MS + DAY_MS) + some(14, 3, NOON_MS)
    for batch in (records[:1], records[1:4], records[4:12], records[12:]):
        log.write(batch)
    assert log.links == list(chained(Head(), records))
    days = [link.day - FIRST_DAY for link in log.links]
    assert days == [0] * 9 + [1] * 8, "a clock that goes back does not take the log back"


def test_a_batch_that_comes_again_is_left_out(log: AuditLog) -> None:
    records = some(0, 10)
    log.write(records[:6])
    log.write(records[:6])
    log.write(records[3:])
    assert log.links == list(chained(Head(), records))


def test_a_record_that_was_written_twice_is_chained_once(log: AuditLog) -> None:
    first, other = some(0, 1)[0], audit_row(2, outcome="denied")
    again = first._replace(offset=1)
    log.write([first, again, other])
    log.write([first._replace(offset=3), audit_row(4)])
    assert [link.offset for link in log.links] == [0, 2, 4]


def test_what_is_no_audit_record_is_refused_and_leaves_no_gap(log: AuditLog) -> None:
    records = some(0, 6)
    records[2] = records[2]._replace(value=(records[2].value or b"")[:-3])
    records[4] = audit_row(4, at_ms=1 << 60)._replace(timestamp=NOON_MS)
    refused = log.write(records)
    assert {(each.record.offset, each.reason) for each in refused} == {(2, "CodecError"), (4, "TimestampOutOfRange")}
    assert log.links == list(chained(Head(), [records[number] for number in (0, 1, 3, 5)]))


def test_of_two_writers_one_wins_and_the_other_goes_on_behind_it(log: AuditLog) -> None:
    slow, quick = log.writer(), log.writer()
    records = some(0, 12)
    slow.write(records[:2], not_asked)
    quick.write(records[:6], not_asked)
    assert slow.write(records[2:4], not_asked) == [], "the log has them already"
    with pytest.raises(EngineUnavailable):
        slow.write(records[2:9], not_asked)
    assert slow.write(records[2:9], not_asked) == []
    with pytest.raises(EngineUnavailable):
        quick.write(records[6:12], not_asked)
    assert quick.write(records[6:12], not_asked) == []
    assert log.links == list(chained(Head(), records))
    slow.close()
    quick.close()


def test_a_topic_that_was_made_anew_goes_on_in_the_same_chain(log: AuditLog) -> None:
    log.write(some(100, 3))
    writer = log.writer()
    anew = [audit_row(offset, actor="later") for offset in range(5)]
    writer.write(anew[:4], lambda partitions: {0: 4})
    writer.write(anew[4:], lambda partitions: {0: 5})
    writer.close()
    assert [link.offset for link in log.links] == [100, 101, 102, 0, 1, 2, 3, 4]


def test_checkpoints_close_each_day_and_follow_each_other(log: AuditLog) -> None:
    log.write(some(0, 5) + some(5, 4, NOON_MS + DAY_MS))
    made = [each.checkpoint for each in log.seal()]
    assert [(each.sequence, each.first_record, each.records, each.first_offset, each.last_offset) for each in made] == [
        (0, 0, 5, 0, 4),
        (1, 5, 9, 5, 8),
    ]
    tree = Tree()
    for link in log.links[5:]:
        tree.append(link.leaf_hash)
    assert (made[1].root, made[1].chain_hash) == (tree.root, log.links[-1].chain_hash)
    assert log.seal() == []
    log.write(some(9, 2, NOON_MS + DAY_MS))
    (third,) = log.seal()
    assert (third.checkpoint.sequence, third.checkpoint.first_record, third.checkpoint.size) == (2, 5, 6)


def test_the_log_goes_on_when_all_its_records_have_expired(log: AuditLog) -> None:
    log.write(some(0, 5))
    (sealed,) = log.seal()
    log.session.command("TRUNCATE TABLE viworks.audit_log")
    records = some(5, 2, NOON_MS + 400 * DAY_MS)
    log.write(records)
    assert log.links == list(chained(sealed.checkpoint.head, records))
    (after,) = log.seal()
    assert (after.checkpoint.sequence, after.checkpoint.first_record, after.checkpoint.records) == (1, 5, 7)


ALTERATIONS = {
    "edited": "ALTER TABLE viworks.audit_log UPDATE _value = 'x' WHERE _position = 3 SETTINGS mutations_sync = 2",
    "deleted": "DELETE FROM viworks.audit_log WHERE _position = 3",
    "truncated": "DELETE FROM viworks.audit_log WHERE _position >= 3",
}


@pytest.mark.parametrize("what", ALTERATIONS)
@pytest.mark.parametrize("sealed_before", [False, True])
def test_nothing_is_signed_that_was_altered(log: AuditLog, what: str, sealed_before: bool) -> None:
    writer = log.writer()
    writer.write(some(0, 6), not_asked)
    if sealed_before:
        writer.seal(sign, NOON_MS)
        writer.write(some(6, 1), not_asked)
        writer.forget()
    log.session.command(ALTERATIONS[what])
    with pytest.raises(LogAltered):
        writer.seal(sign, NOON_MS)
    with pytest.raises(LogAltered):
        writer.seal(sign, NOON_MS)
    writer.close()


def test_nothing_is_signed_after_a_day_that_was_written_anew(log: AuditLog, warehouse: Warehouse) -> None:
    """Every leaf and every link of the forged day is right; only the checkpoint knows of another one."""
    log.write(some(0, 6))
    log.seal()
    log.forge([audit_row(offset, actor="attacker") for offset in range(6)])
    log.write(some(6, 1))
    with pytest.raises(LogAltered, match="differ from its checkpoint 0"):
        log.seal()


def test_an_insert_holds_one_day(log: AuditLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that it is one part, which is there or not, whenever the process ends."""
    inserts: list[int] = []
    insert = EmbeddedSession.insert_avro

    def counted(session: EmbeddedSession, table: str, container: Sequence[bytes], token: str, reading: Reading) -> None:
        inserts.append(int(token.removeprefix("audit-")))
        insert(session, table, container, token, reading)

    monkeypatch.setattr(EmbeddedSession, "insert_avro", counted)
    log.write(some(0, 5) + some(5, 4, NOON_MS + DAY_MS) + some(9, 1, NOON_MS + 2 * DAY_MS))
    assert inserts == [0, 5, 9]


def test_records_that_were_removed_do_not_stop_the_log(log: AuditLog) -> None:
    log.write(some(0, 3))
    log.write(some(3, 3))
    log.session.command("DELETE FROM viworks.audit_log WHERE _position >= 3")
    assert log.write(some(6, 2)) == []
    assert [link.position for link in log.links] == [0, 1, 2, 3, 4]


def test_a_checkpoint_is_made_once_by_two_processes(log: AuditLog) -> None:
    log.write(some(0, 3))
    first, second = log.writer(), log.writer()
    first.seal(sign, NOON_MS)
    assert second.seal(sign, NOON_MS + 1) == []
    log.write(some(3, 3))
    second.seal(sign, NOON_MS + 2)
    with pytest.raises(EngineUnavailable):
        first.seal(sign, NOON_MS + 3)
    assert first.seal(sign, NOON_MS + 3) == []
    notes = rows.checkpoints_after(log.session, -1)
    assert len(notes) == 2
    first.close()
    second.close()


def test_on_a_server_who_wakes_up_late_is_refused(log: AuditLog) -> None:
    sent = some(0, 12)
    with served(log.engine) as dsn:
        first, second = (AuditWriter(ServerEngine(dsn), TABLE, Claims(TABLE)) for _ in range(2))
        first.write(sent[:4], not_asked)
        second.write(sent[:8], not_asked)
        with pytest.raises(Fenced):
            first.write(sent[4:], not_asked)
        first.write(sent[4:], not_asked)
        for each in (first, second):
            each.close()
    assert [link.offset for link in log.links] == list(range(12))
