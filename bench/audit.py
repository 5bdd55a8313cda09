"""The audit log: records per second that one core verifies of an exported log, reading the file included.

``python -m bench.audit DIR`` prints the rate of an export that ``measure`` made.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
from nacl.signing import SigningKey

from bench.measured import output_of
from bench.report import Row
from schemas import codec
from schemas.topics import AUDIT
from sinks.audit.chain import DAY_MS, Head, Link, chained
from sinks.audit.exports import read_export, write_parquet
from sinks.audit.files import CheckpointFile, read_notes
from sinks.audit.notes import sign_note
from sinks.audit.report import verify
from sinks.audit.sealer import Sealer
from sinks.audit.timeline import Copy

RECORDS = 500_000
PAGE = 10_000
WANTED = 100_000
KEY = SigningKey(bytes(32))
START_MS = 20_000 * DAY_MS
# Ten records a second, so that there are some days and a checkpoint for every 600 of them.
APART_MS = 100


class Written(NamedTuple):
    """A record as Kafka has it."""

    offset: int
    timestamp: int
    value: bytes


async def measure(scratch: Path) -> Row:
    """Make a log, export it, verify it in a process of its own on one processor."""
    directory = scratch / "audit"
    directory.mkdir(parents=True)
    await asyncio.to_thread(_make, directory)
    rates = [float(await asyncio.to_thread(output_of, ["-m", "bench.audit", str(directory)], 0)) for _ in range(3)]
    note = f"{RECORDS:,} records in Parquet: {', '.join(f'{rate:,.0f}' for rate in rates)}/s; the bound is what is wanted"
    return Row("audit: records verified/s", sorted(rates)[1], WANTED, 1.0, note)


def rate(directory: Path) -> float:
    """Records per second of processor time, all threads. Raises RuntimeError where the log is not found to be sound."""
    started = time.process_time()
    notes = read_notes(directory / "checkpoints.jsonl")
    report = verify(read_export(directory), [Copy("file", notes)], [bytes(KEY.verify_key)], START_MS + RECORDS * APART_MS)
    took = time.process_time() - started
    if report.faults or report.records != RECORDS:
        raise RuntimeError("the log that was made is not sound")
    return RECORDS / took


def _make(directory: Path) -> None:
    file, sealer = CheckpointFile(directory / "checkpoints.jsonl"), Sealer(None)

    def tables() -> Iterator[pa.Table]:
        for links in _pages():
            for first in range(0, PAGE, 600):
                made = sealer.seal(
                    links[first : first + 600], lambda made: sign_note(made.text, made.origin, KEY), links[0].written_at_ms
                )
                file.append([sealed.note for sealed in made])
            yield _table(links)

    write_parquet(directory / "records.parquet", tables())


def _pages() -> Iterator[list[Link]]:
    head, encode = Head(), codec.encoder("audit")
    for first in range(0, RECORDS, PAGE):
        links = list(chained(head, [_written(number, encode(_record(number))) for number in range(first, first + PAGE)]))
        head = links[-1].head
        yield links


def _written(number: int, value: bytes) -> Written:
    return Written(number, START_MS + number * APART_MS, value)


def _record(number: int) -> dict[str, object]:
    details = {"request_id": f"{number:032x}", "client_timestamp": START_MS, "edge": "edge-1", "key_id": f"{number:016x}"}
    return {
        "audit_id": f"{number:08x}-5e2b-5c3a-9d1f-0123456789ab",
        "timestamp": START_MS + number * APART_MS,
        "actor": f"client-{number % 5000}",
        "action": "client.register",
        "subject": f"client-{number % 5000}",
        "outcome": "accepted",
        "details": json.dumps(details),
    }


def _table(links: list[Link]) -> pa.Table:
    records = codec.decode_many([link.value for link in links])
    columns = {name: [record[name] for record in records] for name in records[0]}
    return pa.table(
        {
            "_topic": [AUDIT.name] * len(links),
            "_partition": [0] * len(links),
            "_offset": [link.offset for link in links],
            **columns,
            "_position": [link.position for link in links],
            "_day": pa.array([link.day for link in links], pa.int32()),
            "_written_at": [link.written_at_ms for link in links],
            "_value": [link.value for link in links],
            "_leaf_hash": [link.leaf_hash for link in links],
            "_chain_hash": [link.chain_hash for link in links],
        }
    )


if __name__ == "__main__":
    print(rate(Path(sys.argv[1])))
