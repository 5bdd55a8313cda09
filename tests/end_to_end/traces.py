"""All that a running system keeps, says and shows, as bytes with a name: where a canary would be found."""

from __future__ import annotations

import contextlib
import subprocess
import urllib.request
from collections.abc import Iterator
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from clickhouse_connect.driver.client import Client as ClickHouse
from clickhouse_connect.driver.exceptions import DatabaseError

from schemas import codec
from schemas.errors import CodecError
from tests.end_to_end.system import System

Traces = Iterator[tuple[str, bytes]]

# What the engine shows of itself: the same in every process of a version.
_CONSTANT = ("documentation", "functions", "licenses", "symbols", "unicode")


def files(system: System) -> Traces:
    """Every file below the data directory: Kafka, ClickHouse, logs, state; and what the terminal showed."""
    yield "terminal", system.terminal().encode()
    for path in sorted(system.data_dir.rglob("*")):
        with contextlib.suppress(FileNotFoundError):  # a merge or a rolled segment takes files away
            if path.is_file() and path.stat().st_blocks:
                # Kafka sets 10 MB aside for an index; what it has not used is zeros.
                yield str(path.relative_to(system.data_dir)), path.read_bytes().rstrip(b"\0")


async def records(system: System) -> list[tuple[str, bytes]]:
    """Every record of every topic, changelogs too: key, value, headers and, where it is Avro, the decoded value."""
    bootstrap = system.run["kafka"]
    partitions = await _partitions(bootstrap)
    async with AIOKafkaConsumer(
        bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest"
    ) as consumer:
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        found = []
        while [partition for partition in partitions if await consumer.position(partition) < ends[partition]]:
            batches = await consumer.getmany(timeout_ms=500)
            found += [record for batch in batches.values() for record in batch]
    return [(f"record of {record.topic}", _all_bytes(record)) for record in found]


async def _partitions(bootstrap: str) -> list[TopicPartition]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        described = await admin.describe_topics(await admin.list_topics())
    finally:
        await admin.close()
    return [TopicPartition(topic["topic"], row["partition"]) for topic in described for row in topic["partitions"]]


def _decoded(value: bytes | None) -> dict[str, Any]:
    try:
        return codec.decode(value or b"")[1]
    except CodecError:
        return {}


def _all_bytes(record: Any) -> bytes:
    headers = b"".join(name.encode() + (value or b"") for name, value in record.headers)
    return b"\0".join([record.key or b"", record.value or b"", headers, repr(_decoded(record.value)).encode()])


def tables(sql: ClickHouse) -> Traces:
    """Every column with text of every table and view that the SQL port shows, decompressed and decrypted."""
    columns = sql.query(
        "SELECT database, table, groupArray(concat('`', name, '`')) FROM system.columns "
        f"WHERE type LIKE '%String%' AND table NOT IN {_CONSTANT} GROUP BY database, table ORDER BY database, table"
    ).result_rows
    for database, table, names in columns:
        query = f"SELECT {', '.join(names)} FROM `{database}`.`{table}`"
        try:
            yield f"{database}.{table}", sql.raw_query(query, fmt="RowBinary")
        except DatabaseError:
            # The engine itself has no grants, no ZooKeeper and so on; our own tables must all answer.
            if database != "system":
                raise


def pages(system: System) -> Traces:
    """What is served beside the edge, and what ``viworks status`` prints."""
    addresses = [system.run["metrics"], system.run["console"], system.run["registry"] + "/subjects"]
    for address in [*addresses, system.run["edge"] + "/readyz"]:
        with urllib.request.urlopen(address, timeout=10) as answer:
            yield address, str(answer.headers).encode() + answer.read()
    for pid in _pids(system):
        # Arguments are seen by every user of the machine.
        yield (
            f"process {pid}",
            subprocess.run(["ps", "-o", "args=", "-p", str(pid)], capture_output=True, check=False).stdout,
        )


def _pids(system: System) -> list[int]:
    return [pid for value in system.run["pids"].values() for pid in (value if isinstance(value, list) else [value])]
