"""One bad row costs one row: what ClickHouse refuses becomes a dead letter, every neighbour is in the table."""

from __future__ import annotations

import math
import random
import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from sinks.engine import Reading
from sinks.log_ends import not_asked
from sinks.sieve import PREFIX, drop_left_over
from sinks.tables import TABLES
from sinks.writer import TableWriter
from tests.figures import Tell
from tests.sinks.samples import Row, heartbeat, row
from tests.sinks.warehouse import Warehouse

BATCH_ROWS = 50_000


def cut(good: Row) -> Row:
    """Its last bytes are missing, so that it would take the first of its neighbour's."""
    return good._replace(value=(good.value or b"")[:-9])


def padded(good: Row) -> Row:
    """It has bytes too many, which would begin its neighbour. Standing alone it is as good as any."""
    return good._replace(value=(good.value or b"") + b"\0\2abc")


def misplaced(good: Row) -> Row:
    """It decodes, and the table's constraint does not hold."""
    return good._replace(topic="viworks.other.v1")


def far(good: Row) -> Row:
    """It decodes, and its time is no date."""
    return row("heartbeat", heartbeat("far", timestamp=2**62), good.offset, good.partition)


def long_ago(good: Row) -> Row:
    return row("heartbeat", heartbeat("past", timestamp=-(2**60)), good.offset, good.partition)


SPOILERS: tuple[Callable[[Row], Row], ...] = (cut, padded, misplaced, far, long_ago)


class Counting:
    """The engine, or a session of it, that counts inserts by table."""

    def __init__(self, inner: Any, inserts: Counter[str]) -> None:
        self._inner = inner
        self.inserts = inserts

    def session(self) -> Counting:
        return Counting(self._inner.session(), self.inserts)

    def insert_avro(self, table: str, batch: Sequence[bytes], token: str, reading: Reading) -> None:
        self.inserts["probes" if PREFIX in table else "inserts"] += 1
        self._inner.insert_avro(table, batch, token, reading)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


@pytest.mark.parametrize(
    ("count", "within_s"), [(3_000, 30), pytest.param(100_000, 300, marks=pytest.mark.long)], ids=["short", "long"]
)
def test_one_in_a_hundred_is_bad(warehouse: Warehouse, count: int, within_s: float, tell: Tell) -> None:
    name, chance = f"one-in-a-hundred-{uuid.uuid4()}", random.Random(count)
    start = warehouse.next_offset()
    rows = [row("heartbeat", heartbeat(name, timestamp=1_000 * n), start + n, partition=3_000 + count) for n in range(count)]
    # The one that costs most to find, a row that nothing here takes for doubtful, is rare.
    spoilers = [chance.choices(SPOILERS, (30, 30, 3, 30, 7))[0] for _ in range(count // 100)]
    bad = dict(zip(chance.sample(range(count), count // 100), spoilers, strict=True))
    sent = [bad[n](each) if n in bad else each for n, each in enumerate(rows)]
    began_s = time.monotonic()
    engine = Counting(warehouse.engine, Counter())
    writer = TableWriter(engine, next(table for table in TABLES if table.name == "heartbeats"))
    refused = [
        letter for at in range(0, count, BATCH_ROWS) for letter in writer.write(sent[at : at + BATCH_ROWS], not_asked)
    ]
    writer.close()
    took_s = time.monotonic() - began_s
    lost = {rows[n].offset for n, spoiler in bad.items() if spoiler is not padded}
    assert {letter.record.offset for letter in refused} == lost
    assert len(refused) == len(lost)
    sql = f"SELECT count(), uniqExact(_offset), sum(_offset) FROM viworks.heartbeats WHERE client_id = '{name}'"
    good = [each.offset for each in rows if each.offset not in lost]
    assert warehouse.session.rows(sql)[0] == (len(good), len(good), sum(good))
    assert took_s < within_s
    batches = math.ceil(count / BATCH_ROWS)
    assert engine.inserts["inserts"] == 2 * batches, "a refused attempt, and all that is good"
    unforeseen = sum(spoiler is misplaced for spoiler in bad.values())
    assert engine.inserts["probes"] <= len(bad) + batches + 2 * unforeseen * math.ceil(math.log2(BATCH_ROWS))
    tell(f"{count:,} rows, {len(bad):,} of them spoilt, {len(lost):,} dead letters: {dict(engine.inserts)}, {took_s:.1f} s")


def test_what_a_crash_leaves_of_a_sieve_is_dropped(warehouse: Warehouse) -> None:
    warehouse.session.command(f"CREATE TABLE viworks.{PREFIX}left AS viworks.events ENGINE = Null")
    drop_left_over(warehouse.session)
    left = f"SELECT count() FROM system.tables WHERE startsWith(name, '{PREFIX}')"
    assert warehouse.session.rows(left)[0][0] == 0
