"""Verifies the records against themselves and against the checkpoints. Pure: pages in, faults out.

What is proved, in this order: each record's columns are those of its bytes; its bytes, offset and time are those of its
leaf; the leaves are one chain without a gap; at each checkpoint the chain and the day's Merkle root are what was signed;
the chain begins where the log does, or after a day that was sealed and has expired; it reaches at least to the newest
checkpoint.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from sinks.audit.chain import DAY_MS, START_HASH, date_of
from sinks.audit.checkpoints import Checkpoint
from sinks.audit.faults import Fault, missing, record_fault, shown
from sinks.audit.merkle import Tree
from sinks.audit.pages import Page
from sinks.audit.record_checks import UNKNOWN, is_sound, wrong_with

# The sink seals every minute, and when it ends; what has waited longer is vouched for by nobody.
SEALED_WITHIN_MS = 600_000


def expired(day: int, now_ms: int) -> bool:
    """Whether retention may have dropped a day of the log: a year after its end."""
    end = date_of(day + 1)
    try:
        limit = end.replace(year=end.year + 1)
    except ValueError:
        limit = end.replace(year=end.year + 1, day=28)
    return date_of(now_ms // DAY_MS) >= limit


class Verification:
    """Takes all records by pages, then ``finish``. ``faults`` come in the order of the log."""

    def __init__(self, checkpoints: Sequence[Checkpoint], now_ms: int) -> None:
        self.faults: list[Fault] = []
        self.records = 0
        self._now_ms = now_ms
        self._newest = checkpoints[-1] if checkpoints else None
        self._sealed = self._newest.records if self._newest else 0
        # By how many records the log has at it.
        self._by_records = {checkpoint.records: checkpoint for checkpoint in checkpoints}
        self._sealed_before = dict(_sealed_before(checkpoints))
        self._next: int | None = None
        self._chain, self._day, self._day_start = START_HASH, 0, 0
        # None where the day's leaves are not all known.
        self._tree: Tree | None = Tree()
        # Whether a fault was found since the chain was last seen to be what was signed.
        self._blamed = False
        self._unsealed: tuple[int, int, int, int] | None = None

    def take(self, page: Page) -> None:
        """The next records; a page has at least one."""
        if self._next is None:
            self._next = self._begin(page.positions[0], page.days[0])
        if is_sound(page, self._next, self._day):
            for number, leaf in enumerate(page.leaf_hashes):
                if sha256(b"\x02" + self._chain + leaf).digest() != page.chain_hashes[number]:
                    self._check(page, number)
                self._link(page, number)
        else:
            for number in range(len(page)):
                if self._in_place(page, number):
                    self._check(page, number)
                    self._link(page, number)
        self.records += len(page)

    def finish(self) -> list[Fault]:
        """All faults, once every page was taken."""
        newest, end = self._newest, self._next
        if newest and end is None and not expired(newest.day, self._now_ms):
            kept = next(each for each in self._by_records.values() if not expired(each.day, self._now_ms))
            self.faults.append(missing(kept.first_record, newest.records, kept.day, ": there is no record at all"))
        elif newest and end is not None and end < newest.records:
            signed = f": checkpoint {newest.sequence} is of {newest.records} records, up to offset {newest.last_offset}"
            self.faults.append(missing(end, newest.records, newest.day, signed))
        if self._unsealed and self._now_ms - self._unsealed[3] > SEALED_WITHIN_MS:
            what = f"no checkpoint covers it, though it is older than {SEALED_WITHIN_MS // 60_000} minutes"
            self.faults.append(record_fault(*self._unsealed[:3], what))
        return self.faults

    def _begin(self, position: int, day: int) -> int:
        """The log begins where it did, or after a day that has expired. Returns the position."""
        boundary = self._by_records.get(position)
        if position == 0:
            return 0
        if boundary and boundary.day < day:
            self._chain, self._day = boundary.chain_hash, boundary.day
            if not expired(boundary.day, self._now_ms):
                self._missing(0, position, boundary.day, ", which has not expired")
        else:
            self._chain, self._tree = boundary.chain_hash if boundary else UNKNOWN, None
            self._missing(0, position, day, ": no day ends there")
        self._day_start = position
        return position

    def _in_place(self, page: Page, number: int) -> bool:
        """Whether a record is to be looked at further: one that stands where another was is not."""
        position, expected = page.positions[number], self._next or 0
        if position < expected:
            self._blame(page, number, "another record has its place, or it stands out of order")
        elif position > expected:
            boundary = self._by_records.get(position)
            self._missing(expected, position, boundary.day if boundary else page.days[number])
            self._chain = boundary.chain_hash if boundary else UNKNOWN
        return position >= expected

    def _check(self, page: Page, number: int) -> None:
        what = wrong_with(page, number, self._chain, self._day)
        if what:
            self._blame(page, number, what)

    def _link(self, page: Page, number: int) -> None:
        """Go past a record, by the hashes that it has, whether they are right or not."""
        position, day = page.positions[number], page.days[number]
        if day != self._day:
            self._tree, self._day, self._day_start = Tree(), day, position
        if self._tree:
            self._tree.append(page.leaf_hashes[number])
        self._chain, self._next = page.chain_hashes[number], position + 1
        checkpoint = self._by_records.get(position + 1)
        if checkpoint:
            self._compare(checkpoint, page.offsets[number])
        elif position >= self._sealed and not self._unsealed:
            self._unsealed = position, page.offsets[number], day, page.written_at[number]

    def _compare(self, checkpoint: Checkpoint, offset: int) -> None:
        """Hold what was read up to here against what was signed of it."""
        read = (self._chain, self._day, offset)
        same = read == (checkpoint.chain_hash, checkpoint.day, checkpoint.last_offset)
        if self._tree:
            same &= (self._day_start, self._tree.root) == (checkpoint.first_record, checkpoint.root)
        if not same and not self._blamed:
            first = self._sealed_before[checkpoint.records]
            span = f"Records {first} to {checkpoint.records - 1} (up to offset {offset}, day {shown(self._day)})"
            what = f"{span} are not those that checkpoint {checkpoint.sequence} was made of."
            self.faults.append(Fault(what, first, None, self._day))
        if not same:
            self._tree = None
        self._blamed = not same

    def _blame(self, page: Page, number: int, what: str) -> None:
        self._blamed, self._tree = True, None
        self.faults.append(record_fault(page.positions[number], page.offsets[number], page.days[number], what))

    def _missing(self, first: int, after: int, day: int, what: str = "") -> None:
        self._blamed, self._tree = True, None
        self.faults.append(missing(first, after, day, what))


def _sealed_before(checkpoints: Sequence[Checkpoint]) -> list[tuple[int, int]]:
    """For each checkpoint, by its records, how many the one before it has."""
    before = 0
    found = []
    for checkpoint in checkpoints:
        found.append((checkpoint.records, before))
        before = checkpoint.records
    return found
