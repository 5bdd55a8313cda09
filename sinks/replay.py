"""Rebuilds a span of a table from Kafka: beside the live table, verified, then swapped in.

The sink does it itself, between two runs of its consumer, since it alone has the embedded engine. What arrives meanwhile
waits on Kafka. An order is a file, and is removed when it is done: a sink that dies on the way begins it anew. The live
table is not touched before the swap, which is atomic, so that an order that fails changes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from schemas.topics import AUDIT
from sinks.batches import sort_records
from sinks.container import Record
from sinks.engine import Engine, Session
from sinks.errors import EngineUnavailable, ReplayFailed, SinkError
from sinks.fetched import as_it_came
from sinks.log_ends import not_asked
from sinks.tables import DATABASE, TABLES, Table
from sinks.writer import TableWriter

log = logging.getLogger(__name__)

PREFIX = "_replay_"
_SILENCE_S = 30.0
_POLL_MS = 100

Spans = dict[int, tuple[int, int]]


class Order(msgspec.Struct, frozen=True):
    """``spans``: by Kafka partition the first offset, and the one after the last."""

    order_id: str
    table: str
    spans: Spans


class Outcome(msgspec.Struct, frozen=True):
    """What became of an order: ``fault`` is empty where it was carried out."""

    order_id: str
    fault: str = ""
    rows: int = 0
    rows_before: int = 0
    refused: int = 0


class Replays:
    """The orders of a data directory, one at a time."""

    def __init__(self, data_dir: Path, engine: Engine, bootstrap: str) -> None:
        self._order = order_path(data_dir)
        self._outcome = outcome_path(data_dir)
        self._engine = engine
        self._bootstrap = bootstrap

    @property
    def ordered(self) -> bool:
        """Whether there is an order to carry out."""
        return self._order.exists()

    async def carry_out(self) -> None:
        """Carry out the order that is there, if any, and say what became of it. Live rows stay as they are if it fails."""
        try:
            order = msgspec.json.decode(self._order.read_bytes(), type=Order)
        except FileNotFoundError:
            return
        except (OSError, msgspec.DecodeError) as error:
            log.error("the order of a replay cannot be read: %s", type(error).__name__)
            self._order.unlink(missing_ok=True)
            return
        outcome = await self._outcome_of(order)
        log.info("replay %s of %s: %s", order.order_id, order.table, outcome.fault or f"{outcome.rows} rows")
        _replace(self._outcome, outcome)
        self._order.unlink(missing_ok=True)

    async def _outcome_of(self, order: Order) -> Outcome:
        session = await asyncio.to_thread(self._engine.session)
        try:
            return await rebuild(self._engine, session, self._bootstrap, order)
        except (SinkError, KafkaError, TimeoutError) as error:
            await asyncio.to_thread(_give_up, session, order)
            return Outcome(order.order_id, f"{type(error).__name__}: {error}")
        finally:
            await asyncio.to_thread(session.close)


def order_path(data_dir: Path) -> Path:
    """Where an order is put."""
    return data_dir / "replay.json"


def outcome_path(data_dir: Path) -> Path:
    """Where the outcome of the last order is."""
    return data_dir / "replay-outcome.json"


def table_of(name: str) -> Table:
    """The table that can be rebuilt. Raises ReplayFailed."""
    table = next((table for table in TABLES if table.name == name), None)
    if table is None:
        raise ReplayFailed("there is no such table")
    if table.topic is AUDIT:
        raise ReplayFailed("the audit log is a chain that is signed: it is never written anew")
    if table.topic.compacted:
        raise ReplayFailed("its topic is compacted: Kafka does not have every row any more")
    return table


async def rebuild(engine: Engine, session: Session, bootstrap: str, order: Order) -> Outcome:
    """Carry an order out. Raises SinkError, KafkaError; TimeoutError where Kafka falls silent."""
    table = table_of(order.table)
    copy = replace(table, name=f"{PREFIX}{table.name}")
    if await asyncio.to_thread(_finish, session, table, copy, order):
        return Outcome(order.order_id, rows=await asyncio.to_thread(_count, session, table, order.spans))
    await asyncio.to_thread(_copy, session, table, copy, order)
    before = await asyncio.to_thread(_count, session, table, order.spans)
    wanted, refused = await _fill(TableWriter(engine, copy), bootstrap, copy, order.spans)
    rows = await asyncio.to_thread(_count, session, copy, order.spans)
    if rows != wanted:
        raise ReplayFailed(f"{rows} rows were written of {wanted}")
    await asyncio.to_thread(_swap, session, table, copy, order)
    return Outcome(order.order_id, rows=rows, rows_before=before, refused=refused)


def _copy(session: Session, table: Table, copy: Table, order: Order) -> None:
    """The live table's parts, hard-linked, without the rows of the spans."""
    session.command(f"DROP TABLE IF EXISTS {copy.qualified} SYNC")
    session.command(f"CREATE TABLE {copy.qualified} CLONE AS {table.qualified}")
    session.command(f"DELETE FROM {copy.qualified} WHERE {_within(order.spans)}")  # noqa: S608 - integers and our own names
    # Equal rows must not collapse before they are counted. Deleting needs the merges, so it comes first.
    session.command(f"SYSTEM STOP MERGES {copy.qualified}")
    session.command(f"ALTER TABLE {copy.qualified} MODIFY COMMENT '{_mark(order)}'")


async def _fill(writer: TableWriter, bootstrap: str, table: Table, spans: Spans) -> tuple[int, int]:
    """How many rows there have to be now, and how many records were refused."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="none", value_deserializer=as_it_came
    )
    rows = refused = 0
    await consumer.start()
    try:
        for number, (first, end) in spans.items():
            async for batch in _batches(consumer, TopicPartition(table.topic.name, number), first, end):
                faults = await asyncio.to_thread(writer.write, batch, not_asked)
                found = sort_records(table, batch)
                rows += sum(map(len, found.rows.values())) - (len(faults) - len(found.refused))
                refused += len(faults)
    finally:
        await consumer.stop()
        await asyncio.to_thread(writer.close)
    return rows, refused


async def _batches(consumer: AIOKafkaConsumer, at: TopicPartition, first: int, end: int) -> AsyncIterator[Sequence[Record]]:
    """All records of a span. Raises ReplayFailed where one of them is missing, TimeoutError where Kafka falls silent."""
    consumer.assign([at])
    consumer.seek(at, first)
    log_end = (await consumer.end_offsets([at]))[at]
    while first < end:
        batch = [record for record in await _next(consumer, at, min(end, log_end)) if record.offset < end]
        if not batch or [record.offset for record in batch] != list(range(first, first + len(batch))):
            raise ReplayFailed(f"Kafka does not have every record of partition {at.partition}")
        yield batch
        first += len(batch)


async def _next(consumer: AIOKafkaConsumer, at: TopicPartition, end: int) -> Sequence[Record]:
    """The next records; none where there are none before ``end``.

    The position tells so, not the last record: it goes past what Kafka has an offset for and no record, as of a transaction.
    """
    async with asyncio.timeout(_SILENCE_S):
        while await consumer.position(at) < end:
            if batches := await consumer.getmany(at, timeout_ms=_POLL_MS, max_records=50_000):
                records: Sequence[Record] = batches[at]
                return records
    return ()


def _swap(session: Session, table: Table, copy: Table, order: Order) -> None:
    session.command(f"EXCHANGE TABLES {table.qualified} AND {copy.qualified}")
    _finish(session, table, copy, order)


def _finish(session: Session, table: Table, copy: Table, order: Order) -> bool:
    """What follows the swap; False where there was none. The mark moved with the copy, so it tells which one is live."""
    if _comment(session, table) != _mark(order):
        return False
    session.command(f"SYSTEM START MERGES {table.qualified}")
    comment = _comment(session, copy).replace("\\", "\\\\").replace("'", "\\'")
    session.command(f"ALTER TABLE {table.qualified} MODIFY COMMENT '{comment}'")
    session.command(f"DROP TABLE {copy.qualified} SYNC")
    return True


def _give_up(session: Session, order: Order) -> None:
    """Remove the copy, unless it is the live table already. An engine that is away is left to the next order."""
    tables = [table for table in TABLES if table.name == order.table]
    with contextlib.suppress(EngineUnavailable):
        for table in tables:
            copy = replace(table, name=f"{PREFIX}{table.name}")
            if not _finish(session, table, copy, order):
                session.command(f"DROP TABLE IF EXISTS {copy.qualified} SYNC")


def _comment(session: Session, table: Table) -> str:
    where = f"database = '{DATABASE}' AND name = '{table.name}'"
    found = session.rows(f"SELECT comment FROM system.tables WHERE {where}")  # noqa: S608 - our own names
    return str(found[0][0]) if found else ""


def _count(session: Session, table: Table, spans: Spans) -> int:
    sql = f"SELECT count() FROM {table.qualified} WHERE {_within(spans)} SETTINGS final = 0"  # noqa: S608 - as above
    return int(session.rows(sql)[0][0])


def _within(spans: Mapping[int, tuple[int, int]]) -> str:
    return " OR ".join(
        f"(_partition = {number} AND _offset >= {first} AND _offset < {end})" for number, (first, end) in spans.items()
    )


def _mark(order: Order) -> str:
    return f"replay {''.join(letter for letter in order.order_id if letter.isalnum())}"


def _replace(path: Path, content: msgspec.Struct) -> None:
    temporary = path.with_suffix(".new")
    temporary.write_bytes(msgspec.json.encode(content))
    temporary.replace(path)
