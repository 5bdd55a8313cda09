"""Is a record what it was when it was chained? A page at once, quickly, or one record with care, to say what differs."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from itertools import pairwise

from schemas import codec
from schemas.errors import CodecError
from schemas.topics import AUDIT
from sinks.audit.chain import DAY_MS, PLACE, chain_hash, day_of, leaf_hash
from sinks.audit.faults import shown
from sinks.audit.pages import MEMBERS, Page

UNKNOWN = b""
"""The chain hash before a record where what is missing had it."""


def is_sound(page: Page, position: int, day_before: int) -> bool:
    """Whether all of a page that begins at ``position`` is as it should be, but for the links of its chain."""
    if page.positions != list(range(position, position + len(page))):
        return False
    if set(page.topics) != {AUDIT.name} or set(page.partitions) != {0} or not _days_are_sound(page, day_before):
        return False
    return _leaves(page) == page.leaf_hashes and _columns_are_sound(page)


def wrong_with(page: Page, number: int, before: bytes, day_before: int) -> str:
    """What differs in one record after the chain hash ``before``; empty where nothing does."""
    if page.topics[number] != AUDIT.name or page.partitions[number] != 0:
        return "its _topic or _partition is not that of the log"
    day = day_of(day_before, page.written_at[number])
    hashes = _wrong_hash(page, number, before)
    if hashes:
        return hashes
    if page.days[number] != day and before != UNKNOWN:
        return f"its _day is not {shown(day)}, to which it belongs"
    return _wrong_column(page.values[number], [column[number] for column in page.members])


def _leaves(page: Page) -> list[bytes]:
    pack = PLACE.pack
    places = zip(page.positions, page.offsets, page.written_at, page.values, strict=True)
    return [sha256(b"\x00" + pack(place, offset, at) + value).digest() for place, offset, at, value in places]


def _days_are_sound(page: Page, day_before: int) -> bool:
    """Not so where a clock went back: then the records are looked at one by one."""
    written = [at // DAY_MS for at in page.written_at]
    return written == page.days and page.days[0] >= day_before and all(a <= b for a, b in pairwise(page.days))


def _columns_are_sound(page: Page) -> bool:
    try:
        records = codec.decode_many(page.values)
    except CodecError:
        return False
    return [tuple(record.values()) for record in records] == list(zip(*page.members, strict=True))


def _wrong_hash(page: Page, number: int, before: bytes) -> str:
    stored_leaf, stored_chain = page.leaf_hashes[number], page.chain_hashes[number]
    leaf = leaf_hash(page.positions[number], page.offsets[number], page.written_at[number], page.values[number])
    if leaf == stored_leaf:
        follows = before == UNKNOWN or chain_hash(before, leaf) == stored_chain
        return "" if follows else "its _chain_hash does not follow the record before it"
    if chain_hash(before, leaf) == stored_chain:
        return "its _leaf_hash is not that of its bytes"
    if chain_hash(before, stored_leaf) == stored_chain:
        return "its _value, _offset, _position or _written_at is not what was chained"
    return "it is not the record that was chained"


def _wrong_column(value: bytes, columns: Sequence[object]) -> str:
    try:
        record = codec.decode_as("audit", value)
    except CodecError:
        return "its _value is no audit record"
    wrong = [name for name, column in zip(MEMBERS, columns, strict=True) if record[name] != column]
    return f"its {', '.join(wrong)} differs from the bytes that were chained" if wrong else ""
