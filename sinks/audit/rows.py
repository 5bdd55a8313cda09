"""Rows of the audit log: into the table as Avro, and what the table knows of its own end."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from schemas.codec import HEADER_BYTES
from schemas.registry import schema_by_id
from sinks.audit.chain import Head, Link, date_of, number_of
from sinks.audit.sealer import Sealed
from sinks.container import PLACE, avro_long, avro_string, container_of
from sinks.engine import Session
from sinks.errors import CheckpointInvalid, EngineUnavailable
from sinks.tables import DATABASE

log = logging.getLogger(__name__)

LOG = f"{DATABASE}.audit_log"
CHECKPOINTS = f"{DATABASE}.audit_checkpoints"
PAGE = 50_000

# A query's text is bounded, and so is the list of values in it.
_IDS = 1_000

_LINK = "_position, _offset, toUnixTimestamp64Milli(_written_at), _day, hex(_value), hex(_leaf_hash), hex(_chain_hash)"

_CHAIN: list[dict[str, Any]] = [
    {"name": "_position", "type": "long"},
    {"name": "_day", "type": {"type": "int", "logicalType": "date"}},
    {"name": "_written_at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    {"name": "_value", "type": "bytes"},
    {"name": "_leaf_hash", "type": {"type": "fixed", "name": "Leaf", "size": 32}},
    {"name": "_chain_hash", "type": {"type": "fixed", "name": "Chain", "size": 32}},
]


def container_of_links(topic: str, partition: int, schema_id: int, links: Sequence[Link]) -> bytes:
    """Links whose values all have one schema, as ``Session.insert_avro`` takes them: the values are not decoded."""
    place = avro_string(topic) + avro_long(partition)
    return container_of(fields_of_links(schema_id), [place + _encoded(link) for link in links])


def fields_of_links(schema_id: int) -> list[dict[str, Any]]:
    """The fields of such a container."""
    return [*PLACE, *_CHAIN, *schema_by_id(schema_id).json["fields"]]


def newest_head(session: Session) -> Head:
    """The head of the log: its newest record's, or the newest checkpoint's where the records of that are not there."""
    records = session.rows(
        f"SELECT _position + 1, _offset, _day, hex(_chain_hash) FROM {LOG} ORDER BY _position DESC LIMIT 1"  # noqa: S608
    )
    heads = [Head(count, offset, number_of(day), bytes.fromhex(digest)) for count, offset, day, digest in records]
    try:
        sealed = newest_checkpoint(session)
        heads += [sealed.checkpoint.head] if sealed else []
    except CheckpointInvalid as error:
        log.error("the newest checkpoint of the audit log is none: %s", error)
    return max(heads, key=lambda head: head.records, default=Head())


def newest_checkpoint(session: Session) -> Sealed | None:
    """The newest checkpoint of the table. Raises CheckpointInvalid where it is none of ours."""
    for (note,) in session.rows(f"SELECT note FROM {CHECKPOINTS} ORDER BY sequence DESC LIMIT 1"):  # noqa: S608
        return Sealed.of(note)
    return None


def insert_checkpoint(session: Session, sealed: Sealed) -> None:
    """Insert a checkpoint, unless one of its number is there.

    Raises:
        EngineUnavailable: another process was first, or nothing is known of it.
    """
    made = sealed.checkpoint
    session.command(
        f"INSERT INTO {CHECKPOINTS} (sequence, day, timestamp, records, note) "  # noqa: S608 - numbers and base64
        f"SETTINGS async_insert = 0, insert_deduplicate = 1, insert_deduplication_token = 'checkpoint-{made.sequence}' "
        f"VALUES ({made.sequence}, '{date_of(made.day)}', fromUnixTimestamp64Milli({made.time_ms}), {made.records}, "
        f"'{sealed.note}')"
    )
    found = newest_checkpoint(session)
    if found is None or found.note != sealed.note:
        raise EngineUnavailable("another process has sealed the audit log")


def checkpoints_after(session: Session, sequence: int) -> list[str]:
    """The notes after ``sequence``, in order, a page of them."""
    return [
        note
        for (note,) in session.rows(
            f"SELECT note FROM {CHECKPOINTS} WHERE sequence > {sequence} ORDER BY sequence LIMIT {PAGE}"  # noqa: S608
        )
    ]


def links_from(session: Session, position: int) -> Iterator[Link]:
    """All records from ``position`` on, as they stand in the table."""
    while True:
        rows = session.rows(
            f"SELECT {_LINK} FROM {LOG} WHERE _position >= {position} ORDER BY _position LIMIT {PAGE}"  # noqa: S608
        )
        for place, offset, written_at_ms, day, *texts in rows:
            yield Link(place, offset, written_at_ms, number_of(day), *map(bytes.fromhex, texts))
        if len(rows) < PAGE:
            return
        position = rows[-1][0] + 1


def known_values(session: Session, digests: Iterable[bytes]) -> set[bytes]:
    """Which values, by their SHA-256, the log holds already."""
    ids = [int.from_bytes(digest[:8], "little") for digest in digests]
    found: set[bytes] = set()
    for first in range(0, len(ids), _IDS):
        listed = ", ".join(map(str, ids[first : first + _IDS]))
        rows = session.rows(f"SELECT hex(SHA256(_value)) FROM {LOG} WHERE _value_id IN ({listed})")  # noqa: S608
        found.update(bytes.fromhex(digest) for (digest,) in rows)
    return found


def _encoded(link: Link) -> bytes:
    return b"".join(
        (
            avro_long(link.offset),
            avro_long(link.position),
            avro_long(link.day),
            avro_long(link.written_at_ms),
            avro_long(len(link.value)),
            link.value,
            link.leaf_hash,
            link.chain_hash,
            link.value[HEADER_BYTES:],
        )
    )
