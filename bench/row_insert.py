"""The bound of the sink: what a sink by rows does with the same Kafka values, into the same tables with the same views.

``python -m bench.row_insert DATA_DIR KEY_FILE BOOTSTRAP COUNT`` prints two rates in rows per second:

- of decoding each value (``schemas.codec``) into a row and inserting the rows by clickhouse-connect's ``insert``,
- of that insert alone, of rows that stand ready in memory.

Its batches are as large as the sink's are when it lags. Reading from Kafka counts in neither, although the sink's own figure
has it: the bound is kinder than a real sink by rows.
Timestamps stay integers, which clickhouse-connect takes as they are; making them ``datetime`` would cost more.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import clickhouse_connect
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from schemas import codec
from schemas.topics import HEARTBEATS
from sinks.engine import EmbeddedEngine, open_engine
from sinks.migrate import migrate
from sinks.settings import SinkSettings


def run(data_dir: Path, key_file: Path, records: Sequence[ConsumerRecord]) -> tuple[float, float]:
    """Both rates, into a fresh embedded engine."""
    settings = SinkSettings(data_dir=data_dir, storage_key_file=key_file)
    engine = open_engine(settings)
    if not isinstance(engine, EmbeddedEngine):
        raise TypeError("the bound is measured on the embedded engine")
    session = engine.session()
    migrate(session)
    client = clickhouse_connect.get_client(dsn="chdb://", path=engine.connection_string)
    decode_s = insert_s = 0.0
    for start in range(0, len(records), settings.sink_batch_rows):
        began_s = time.perf_counter()
        names, rows = _rows(records[start : start + settings.sink_batch_rows])
        decoded_s = time.perf_counter()
        client.insert("viworks.heartbeats", rows, column_names=names)
        insert_s += time.perf_counter() - decoded_s
        decode_s += decoded_s - began_s
    for opened in (client, session, engine):
        opened.close()
    return len(records) / (decode_s + insert_s), len(records) / insert_s


def _rows(records: Sequence[ConsumerRecord]) -> tuple[list[str], list[list[object]]]:
    names: list[str] = []
    rows = []
    for record in records:
        _, members = codec.decode(record.value)
        names = names or ["_topic", "_partition", "_offset", *members]
        rows.append([record.topic, record.partition, record.offset, *members.values()])
    return names, rows


async def _read(bootstrap: str, count: int) -> list[ConsumerRecord]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([TopicPartition(HEARTBEATS.name, number) for number in range(HEARTBEATS.partitions)])
        records: list[ConsumerRecord] = []
        while len(records) < count:
            for batch in (await consumer.getmany(timeout_ms=1_000)).values():
                records += batch
        return records
    finally:
        await consumer.stop()


if __name__ == "__main__":
    print(*run(Path(sys.argv[1]), Path(sys.argv[2]), asyncio.run(_read(sys.argv[3], int(sys.argv[4])))))
