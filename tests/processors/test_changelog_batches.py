"""A table after whole fetches of its changelog is what record by record would have made of it; without a broker."""

from __future__ import annotations

from typing import Any

import faust
import pytest
from aiokafka import ConsumerRecord
from faust.types import TP

from processors import changelog_batches
from processors.tables import ChangelogTable

CHANGELOG = TP("table-changelog", 3)


def record(offset: int, key: bytes, value: bytes | None) -> ConsumerRecord:
    return ConsumerRecord(CHANGELOG.topic, CHANGELOG.partition, offset, 0, 0, key, value, None, 0, 0, ())


@pytest.fixture
async def app() -> faust.App:
    return faust.App("fetches", broker="kafka://127.0.0.1:1", store="memory://", autodiscover=False, web_enabled=False)


async def test_a_fetch_is_in_the_table_and_the_message_in_its_place_changes_nothing(app: faust.App) -> None:
    table = ChangelogTable(app, "table")
    tables: Any = app.tables
    tables.recovery.add_active(table._table, CHANGELOG)
    first = [record(0, b"a", b"1"), record(1, b"b", b"1"), record(2, b"a", b"2"), record(3, b"c", b"1")]
    assert changelog_batches.take(app, CHANGELOG, first)
    assert dict(table.items()) == {b"a": b"2", b"b": b"1", b"c": b"1"}

    tables.recovery.active_offsets[CHANGELOG] = 3
    again = [record(2, b"a", b"old"), record(4, b"b", None), record(5, b"c", b"2")]
    assert changelog_batches.take(app, CHANGELOG, again)
    assert dict(table.items()) == {b"a": b"2", b"c": b"2"}

    class Message:
        key: bytes | None = b"c"
        value: bytes | None = b"2"
        partition = CHANGELOG.partition

    class Event:
        message: Any = changelog_batches.in_place_of(Message())  # type: ignore[arg-type]
        key, value = message.key, message.value

    table._table.apply_changelog_batch([Event()])
    assert dict(table.items()) == {b"a": b"2", b"c": b"2"}


async def test_what_is_no_changelog_in_recovery_is_left_to_faust(app: faust.App) -> None:
    assert not changelog_batches.take(app, CHANGELOG, [record(0, b"a", b"1")])
