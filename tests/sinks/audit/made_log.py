"""Logs made in memory, with all their copies of checkpoints, to be altered and verified a thousand times."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from random import Random
from typing import Any

import pyarrow as pa
from nacl.signing import SigningKey

from schemas import codec
from schemas.topics import AUDIT
from sinks.audit.chain import DAY_MS, Head, Link, chained
from sinks.audit.checkpoints import Checkpoint
from sinks.audit.notes import sign_note
from sinks.audit.report import Report, verify
from sinks.audit.sealer import Sealer
from sinks.audit.timeline import Copy
from tests.sinks.audit.log import KEY, sign
from tests.sinks.samples import Row, audit, row

NOW_MS = 1_795_000_000_000 + DAY_MS // 2
TODAY = NOW_MS // DAY_MS
STRANGER = SigningKey(b"a key that is not the sink's key")
_NUMBERS = ("timestamp", "_written_at", "_day")

Columns = dict[str, Any]


@dataclass
class MadeLog:
    """``rows`` in the order of the table; ``notes`` by copy."""

    rows: list[Columns]
    notes: dict[str, list[str]]
    checkpoints: list[Checkpoint]
    records: list[Row] = field(repr=False, default_factory=list)

    def copy(self) -> MadeLog:
        rows, notes = [dict(each) for each in self.rows], {name: list(each) for name, each in self.notes.items()}
        return MadeLog(rows, notes, copy.copy(self.checkpoints), self.records)

    def verify(self, page: int = 17, now_ms: int = NOW_MS) -> Report:
        copies = [
            Copy("file", self.notes["file"]),
            Copy("topic", self.notes["topic"], whole=False),
            Copy("table", self.notes["table"]),
        ]
        tables = (_table(self.rows[first : first + page]) for first in range(0, len(self.rows), page))
        return verify(tables, copies, [bytes(KEY.verify_key)], now_ms)


def records(random: Random, days: Sequence[int], each: tuple[int, int]) -> list[Row]:
    """Records of these days, some of them written by a clock that goes back, some offsets left out."""
    made: list[Row] = []
    offset = random.randrange(1000)
    for day in days:
        count = random.randint(*each)
        times = sorted(day * DAY_MS + random.randrange(DAY_MS // 2) for _ in range(count))
        for at_ms in times:
            offset += random.choice((1, 1, 1, 2))
            late = random.choice((0, 0, 0, 3_600_000))
            made.append(record(offset, max(at_ms - late, 0), random))
    return made


def record(offset: int, at_ms: int, random: Random) -> Row:
    content = audit(f"id-{offset}", timestamp=at_ms - 5, subject=f"client-{random.randrange(50)}", details='{"n": 1}')
    return row("audit", content, offset)._replace(timestamp=at_ms)


def made_log(random: Random, rows: Sequence[Row], sealed: int | None = None) -> MadeLog:
    """A log of these, sealed every few records, as far as ``sealed`` records."""
    links = list(chained(Head(), rows))
    sealer, made = Sealer(None), []
    rest = links[:sealed]
    while rest:
        count = random.randint(1, 9)
        made += sealer.seal(rest[:count], sign, rest[:count][-1].written_at_ms + 30_000)
        rest = rest[count:]
    notes = [each.note for each in made]
    copies = {"file": list(notes), "topic": list(notes), "table": list(notes)}
    return MadeLog([columns(link) for link in links], copies, [each.checkpoint for each in made], list(rows))


def columns(link: Link) -> Columns:
    return {
        "_topic": AUDIT.name,
        "_partition": 0,
        "_offset": link.offset,
        **codec.decode_as("audit", link.value),
        "_position": link.position,
        "_day": link.day,
        "_written_at": link.written_at_ms,
        "_value": link.value,
        "_leaf_hash": link.leaf_hash,
        "_chain_hash": link.chain_hash,
    }


def sign_as_stranger(checkpoint: Checkpoint) -> str:
    return sign_note(checkpoint.text, checkpoint.origin, STRANGER)


def days_of(rows: Sequence[Columns]) -> Iterator[tuple[int, list[Columns]]]:
    for day, group in groupby(rows, lambda each: each["_day"]):
        yield day, list(group)


def _table(rows: Sequence[Columns]) -> pa.Table:
    return pa.table({name: [each[name] for each in rows] for name in rows[0]})
