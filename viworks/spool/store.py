"""The spool itself: what is accepted stays until the server has it, whatever happens to the process in between."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from viworks.errors import DataTampered
from viworks.keys.boxes import DataBox
from viworks.keys.private_file import private_directory
from viworks.spool import census as counting
from viworks.spool.audit import CENSUS, STATE_PLACE, opened, sealed_census
from viworks.spool.bounds import Bounds
from viworks.spool.census import Census, Loss, Row
from viworks.spool.ownership import Ownership
from viworks.spool.record import URGENT, Rank, Record, decode


class Spooled(NamedTuple):
    """A waiting record and its place."""

    seq: int
    record: Record


class Spool:
    """A client's spool. Not for two threads at once: see ``SpoolDesk``.

    Attributes:
        findings: what was found changed in the file, when it was opened and since.
    """

    def __init__(self, directory: str | Path, box: DataBox, bounds: Bounds | None = None) -> None:
        """Open the spool of a directory, or make one.

        Args:
            box: ``KeyStore.data_box``; the same one for as long as the directory is used.

        Raises:
            SpoolInUse, SpoolFailed, KeysUnsafe.
        """
        self._bounds = bounds or Bounds()
        self._box = box
        self._finding = threading.Lock()
        directory, mended = Path(directory), list[str]()
        private_directory(directory, mended)
        self._ownership = Ownership(directory)
        try:
            self._database, self._census, self.findings = opened(directory, box, self._bounds)
        except BaseException:
            self._ownership.release()
            raise
        self.findings += ("others could enter the spool's directory",) if mended else ()

    @property
    def census(self) -> Census:
        """What is in it."""
        return self._census

    def taken_findings(self) -> tuple[str, ...]:
        """The findings, which then are the caller's; also from another thread than that of the other calls."""
        with self._finding:
            taken, self.findings = self.findings, ()
        return taken

    def append(self, records: Sequence[Record]) -> list[int | None]:
        """Accept records: their places, once they are on the disk. None for one for which nothing less grave makes room.

        Raises:
            SpoolFailed: none is accepted.
        """
        with self._changes() as change:
            return [change.append(record) for record in records]

    def waiting(self, most: int, most_bytes: int, without: Collection[int] = ()) -> list[Spooled]:
        """The next to be sent: grave ones first, then by place, at least one. Raises SpoolFailed."""
        found: list[Spooled] = []
        spoilt: list[int] = []
        size = 0
        for row in self._database.waiting(URGENT, without):
            size += len(row.box)
            if found and size > most_bytes:
                break
            record = self._read(row)
            if record is None:
                spoilt.append(row.seq)
                continue
            found.append(Spooled(row.seq, record))
            if len(found) >= most:
                break
        if spoilt:
            self._discard(spoilt)
        return found

    def replace(self, records: Iterable[Spooled]) -> None:
        """Write records anew at their places, before they are sent so. Raises SpoolFailed."""
        with self._changes() as change:
            for seq, record in records:
                change.rewrite(seq, record)

    def settle(self, arrived: Iterable[int], lost: Mapping[int, tuple[Loss, str]], aside: Mapping[int, str]) -> None:
        """Remove what arrived and what is lost; set aside what the server refuses. Reasons are counted.

        Raises:
            SpoolFailed: all stay where they were.
        """
        with self._changes() as change:
            for seq in arrived:
                change.remove(seq)
            for seq, (loss, why) in lost.items():
                change.lose(loss, why)
                change.remove(seq)
            for seq, why in aside.items():
                change.lose("refused", why)
                change.set_aside(seq)

    def offer(self, record: Record) -> bool:
        """Accept a record that the caller keeps where there is no room for it; whether there was. Raises SpoolFailed."""
        with self._changes() as change:
            return change.offer(record) is not None

    def report_losses(self, reported: Mapping[str, int], record: Record) -> bool:
        """Exchange the count of losses for a record that tells of them; False where there was no room for it."""
        with self._changes() as change:
            if change.offer(record) is None:
                return False
            change.census = counting.without_losses(change.census, reported)
            return True

    def remember(self, values: Mapping[str, bytes]) -> None:
        """Keep values under names, in one step. Raises SpoolFailed."""
        with self._database.transaction():
            for name, value in values.items():
                self._database.put_value(name, self._box.encrypt(value, STATE_PLACE + name.encode()))

    def recall(self, name: str) -> bytes | None:
        """A value that was kept. Raises DataTampered, SpoolFailed."""
        found = self._database.value(name)
        return None if found is None else self._box.decrypt(found, STATE_PLACE + name.encode())

    def close(self) -> None:
        """Let another process open it."""
        self._database.close()
        self._ownership.release()

    def _read(self, row: Row) -> Record | None:
        try:
            return decode(self._box.decrypt(row.box, row.place))
        except (DataTampered, ValueError):
            return None

    def _discard(self, spoilt: list[int]) -> None:
        """Records that somebody changed while the spool was open."""
        with self._changes() as change:
            for seq in spoilt:
                change.remove(seq)
        with self._finding:
            self.findings += (f"{len(spoilt)} records of the spool were changed while it was open",)

    @contextmanager
    def _changes(self) -> Iterator[_Change]:
        change = _Change(self)
        with self._database.transaction():
            yield change
            if change.census is not self._census:
                self._database.put_value(CENSUS, sealed_census(self._box, change.census))
        self._census = change.census


class _Change:
    """One transaction's changes; the spool's census takes them over once they are on the disk."""

    def __init__(self, spool: Spool) -> None:
        self.census = spool.census
        self._bounds = spool._bounds
        self._box = spool._box
        self._database = spool._database

    def append(self, record: Record) -> int | None:
        place = self.offer(record)
        if place is None:
            self.lose("dropped", record.rank.name.lower())
        return place

    def offer(self, record: Record) -> int | None:
        """The same of one that comes again where there is no room: it is not lost."""
        row = self._row(self.census.next_seq, record, record.rank, 0)
        if not self._make_room(record.rank, len(row.box)):
            return None
        self.census = counting.with_next_place(self.census)
        self._put(row)
        return row.seq

    def rewrite(self, seq: int, record: Record) -> None:
        if (old := self._database.row(seq)) is not None:
            self.census = counting.without_row(self.census, old)
            self._put(self._row(seq, record, old.rank, old.aside))

    def remove(self, seq: int) -> None:
        if (row := self._database.row(seq)) is not None:
            self._drop(row)

    def set_aside(self, seq: int) -> None:
        row = self._database.row(seq)
        if row is None:
            return
        record = decode(self._box.decrypt(row.box, row.place))
        self.census = counting.without_row(self.census, row)
        self._put(self._row(seq, record, row.rank, 1))
        while self.census.aside > self._bounds.aside and (oldest := self._database.oldest_aside()) is not None:
            self._drop(oldest)

    def lose(self, loss: Loss, why: str) -> None:
        self.census = counting.with_loss(self.census, loss, why)

    def _make_room(self, rank: Rank, size: int) -> bool:
        while self.census.waiting >= self._bounds.records or self.census.size + size > self._bounds.bytes:
            lowest = self._database.lowest()
            if lowest is None or lowest.rank > rank:
                return False
            self.lose("dropped", Rank(lowest.rank).name.lower())
            self._drop(lowest)
        return True

    def _row(self, seq: int, record: Record, rank: int, aside: int) -> Row:
        place = Row(seq, int(rank), aside, b"").place
        return Row(seq, int(rank), aside, self._box.encrypt(record.encoded(), place))

    def _put(self, row: Row) -> None:
        self._database.put(row)
        self.census = counting.with_row(self.census, row)

    def _drop(self, row: Row) -> None:
        self._database.delete(row.seq)
        self.census = counting.without_row(self.census, row)
