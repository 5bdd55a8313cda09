"""Makes checkpoints of the chained records, in order: one where a day of the log ends, and one where it is asked to.

It signs only what it has checked: every leaf and every link anew, and that what it signed before still stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sinks.audit.chain import Head, Link, leaf_hash, link_after
from sinks.audit.checkpoints import FIRST_PREVIOUS, Checkpoint, note_hash, read_checkpoint
from sinks.audit.merkle import Tree
from sinks.errors import LogAltered

Sign = Callable[[Checkpoint], str]


@dataclass(frozen=True, slots=True)
class Sealed:
    """A checkpoint and the note that it stands in."""

    checkpoint: Checkpoint
    note: str

    @classmethod
    def of(cls, note: str) -> Sealed:
        """Read a note without asking who signed it. Raises CheckpointInvalid."""
        return cls(read_checkpoint(note.rpartition("\n\n")[0] + "\n"), note)


class Sealer:
    """Goes on after ``last``, the newest checkpoint, whose day it reads once more to have its tree."""

    def __init__(self, last: Sealed | None) -> None:
        self._last = last
        # Of what was read; None while it is not known what came before the last checkpoint's day.
        self._head: Head | None = None if last else Head()
        self._first: Link | None = None
        self._tree = Tree()

    @property
    def next_record(self) -> int:
        """The position from which on ``seal`` wants the records."""
        if self._head:
            return self._head.records
        return self._last.checkpoint.first_record if self._last else 0

    @property
    def head(self) -> Head:
        """Up to where it has read, or has signed."""
        return self._head or (self._last.checkpoint.head if self._last else Head())

    def seal(self, links: Iterable[Link], sign: Sign, now_ms: int) -> list[Sealed]:
        """The checkpoints that the records from ``next_record`` on lead to; none where nothing is new.

        After LogAltered it must not be used again.

        Raises:
            LogAltered: a record is missing, or is not the one that was chained, or that was signed.
        """
        made: list[Sealed] = []
        for link in links:
            if self._first and link.day != self._first.day:
                made += self._checkpoint(sign, now_ms)
                self._first, self._tree = None, Tree()
            self._take(link)
        if self._head and self._last and self._head.records < self._last.checkpoint.records:
            raise LogAltered(f"records of the audit log from position {self._head.records} on are missing")
        return made + self._checkpoint(sign, now_ms)

    def _take(self, link: Link) -> None:
        _check(link, self._head or self._head_before(link))
        self._tree.append(link.leaf_hash)
        self._first = self._first or link
        self._head = link.head
        if self._last and link.position + 1 == self._last.checkpoint.records:
            self._check_signed(self._last.checkpoint, link)

    def _head_before(self, first: Link) -> Head | None:
        """What comes before the first record that it reads; None where that is known by the checkpoint's root alone."""
        last = self._last.checkpoint if self._last else None
        if last is None or first.position == last.first_record:
            return None
        # A year without a record: those of the last checkpoint's day have expired, and the log goes on after them.
        if first.position == last.records and first.day > last.day:
            return last.head
        raise _missing(last.first_record, first.position)

    def _check_signed(self, last: Checkpoint, link: Link) -> None:
        if (self._tree.root, link.chain_hash) != (last.root, last.chain_hash):
            raise LogAltered(f"the records of the audit log differ from its checkpoint {last.sequence}")

    def _checkpoint(self, sign: Sign, now_ms: int) -> list[Sealed]:
        """A checkpoint of the day so far, unless the last one says it all."""
        head, first, last = self._head, self._first, self._last
        if head is None or first is None or (last and head.records <= last.checkpoint.records):
            return []
        checkpoint = Checkpoint(
            sequence=last.checkpoint.sequence + 1 if last else 0,
            time_ms=max(now_ms, 0),
            day=head.day,
            first_record=first.position,
            records=head.records,
            first_offset=first.offset,
            last_offset=head.offset,
            root=self._tree.root,
            chain_hash=head.chain_hash,
            previous=note_hash(last.note) if last else FIRST_PREVIOUS,
        )
        self._last = Sealed(checkpoint, sign(checkpoint))
        return [self._last]


def _check(link: Link, before: Head | None) -> None:
    if before is None:
        sound = link.leaf_hash == leaf_hash(link.position, link.offset, link.written_at_ms, link.value)
    elif link.position != before.records:
        raise _missing(before.records, link.position)
    else:
        sound = link == link_after(before, link.offset, link.written_at_ms, link.value)
    if not sound:
        raise LogAltered(f"record {link.position} of the audit log (offset {link.offset}) is not the one that was chained")


def _missing(wanted: int, found: int) -> LogAltered:
    return LogAltered(f"record {wanted} of the audit log is missing: the next one there is {found}")
