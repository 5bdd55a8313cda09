"""The hash chain: what a record's hashes are of, and which day of the log it belongs to.

A record's leaf binds its place in the log, its offset, its time and its bytes; its chain hash binds the leaf and all that
came before. Days never go back in the log, so that retention, which drops whole days, takes records only from its front.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from typing import Protocol

from sinks.audit import merkle

DAY_MS = 86_400_000
START_HASH = bytes(32)
_EPOCH = date(1970, 1, 1).toordinal()
PLACE = struct.Struct(">qqq")


class Written(Protocol):
    """What is used of a Kafka record."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int:
        """When Kafka got it, in milliseconds."""

    @property
    def value(self) -> bytes | None: ...


@dataclass(frozen=True, slots=True)
class Head:
    """How far the log reaches: ``records`` in all, and what the last of them was. ``day`` counts from the epoch."""

    records: int = 0
    offset: int = -1
    day: int = 0
    chain_hash: bytes = START_HASH


@dataclass(frozen=True, slots=True)
class Link:
    """A chained record. ``position`` is how many records come before it."""

    position: int
    offset: int
    written_at_ms: int
    day: int
    value: bytes
    leaf_hash: bytes
    chain_hash: bytes

    @property
    def head(self) -> Head:
        """The log's head once this is its last record."""
        return Head(self.position + 1, self.offset, self.day, self.chain_hash)


def chained(head: Head, records: Iterable[Written]) -> Iterator[Link]:
    """The links of ``records`` after ``head``, which depend on nothing else."""
    for record in records:
        link = link_after(head, record.offset, max(record.timestamp, 0), record.value or b"")
        head = link.head
        yield link


def link_after(head: Head, offset: int, written_at_ms: int, value: bytes) -> Link:
    """The one link that such a record has after ``head``."""
    leaf = leaf_hash(head.records, offset, written_at_ms, value)
    return Link(
        position=head.records,
        offset=offset,
        written_at_ms=written_at_ms,
        day=day_of(head.day, written_at_ms),
        value=value,
        leaf_hash=leaf,
        chain_hash=chain_hash(head.chain_hash, leaf),
    )


def day_of(day_before: int, written_at_ms: int) -> int:
    """The day of a record after one of ``day_before``: a clock that goes back does not take the log back."""
    return max(day_before, written_at_ms // DAY_MS)


def leaf_hash(position: int, offset: int, written_at_ms: int, value: bytes) -> bytes:
    """The leaf over three big-endian 64-bit numbers and the bytes of the record."""
    return merkle.leaf_hash(PLACE.pack(position, offset, written_at_ms) + value)


def chain_hash(before: bytes, leaf: bytes) -> bytes:
    """SHA-256(0x02 || before || leaf); RFC 6962 has taken 0x00 and 0x01."""
    return sha256(b"\x02" + before + leaf).digest()


def date_of(day: int) -> date:
    """The date of a day that counts from the epoch."""
    return date.fromordinal(_EPOCH + day)


def number_of(day: date) -> int:
    """The other way round."""
    return day.toordinal() - _EPOCH
