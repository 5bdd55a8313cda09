"""What ought to be in the spool: kept beside the records and encrypted, so that missing or returned ones are noticed. Pure.

The tally is the sum of a keyed hash of every row (an additive multiset hash: Clarke et al., ASIACRYPT 2003), so that it is
kept by adding and subtracting. Only who knows its key can bring rows to a given sum.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

import msgspec
from msgspec import Struct
from msgspec.structs import replace

_MODULUS = 1 << 256
Loss = Literal["dropped", "expired", "refused"]


class Row(NamedTuple):
    """A record as it stands in the file: its place, what is in the clear beside it, and the encrypted rest."""

    seq: int
    rank: int
    aside: int
    box: bytes

    @property
    def place(self) -> bytes:
        """What the record is bound to: it cannot be moved, regraded or set aside by whoever edits the file."""
        return f"record\n{self.seq}\n{self.rank}\n{self.aside}".encode()


class Census(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Counts of the waiting and the set aside records, and of what was lost and not reported yet.

    Attributes:
        next_seq: place of the next record; never used twice.
        size: of the waiting records, in bytes.
        losses: by what became of them and why (severity or problem type): how many.
    """

    key: bytes
    next_seq: int = 1
    waiting: int = 0
    size: int = 0
    aside: int = 0
    tally: str = "0"
    losses: dict[str, int] = msgspec.field(default_factory=dict)


def fresh() -> Census:
    """The census of an empty spool."""
    return Census(key=secrets.token_bytes(32))


def with_next_place(census: Census) -> Census:
    """The next place was given away."""
    return replace(census, next_seq=census.next_seq + 1)


def with_row(census: Census, row: Row) -> Census:
    """A row was written."""
    return _changed(census, row, 1)


def without_row(census: Census, row: Row) -> Census:
    """A row was removed."""
    return _changed(census, row, -1)


def of_rows(census: Census, rows: Iterable[Row]) -> Census | None:
    """The same with the counts of these rows; None where one is not of the types that are written.

    Values of other types may read the same in what is hashed and be something else to SQLite.
    """
    keyed, waiting, size, aside, tally = _keyed(census), 0, 0, 0, 0
    for row in rows:
        if not (type(row.rank) is type(row.aside) is int and type(row.box) is bytes):
            return None
        tally += _hash(keyed, row)
        if row.aside:
            aside += 1
        else:
            waiting += 1
            size += len(row.box)
    return replace(census, waiting=waiting, size=size, aside=aside, tally=f"{tally % _MODULUS:x}")


def with_loss(census: Census, loss: Loss, why: str, count: int = 1) -> Census:
    """Records were lost, which is to be reported; reasons beyond the 32nd are counted as one."""
    name = f"{loss}:{why}"
    if name not in census.losses and len(census.losses) >= 32:
        name = f"{loss}:other"
    return replace(census, losses={**census.losses, name: census.losses.get(name, 0) + count})


def without_losses(census: Census, reported: Mapping[str, int]) -> Census:
    """Losses were reported."""
    left = {name: count - reported.get(name, 0) for name, count in census.losses.items()}
    return replace(census, losses={name: count for name, count in left.items() if count > 0})


def _changed(census: Census, row: Row, sign: int) -> Census:
    tally = (int(census.tally, 16) + sign * _hash(_keyed(census), row)) % _MODULUS
    if row.aside:
        return replace(census, aside=census.aside + sign, tally=f"{tally:x}")
    return replace(census, waiting=census.waiting + sign, size=census.size + sign * len(row.box), tally=f"{tally:x}")


def _keyed(census: Census) -> hashlib.blake2b:
    return hashlib.blake2b(key=census.key, digest_size=32)


def _hash(keyed: hashlib.blake2b, row: Row) -> int:
    hashing = keyed.copy()
    hashing.update(row.place + b"\n" + row.box)
    return int.from_bytes(hashing.digest(), "big")
