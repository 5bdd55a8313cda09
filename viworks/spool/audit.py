"""Opening a spool: what somebody changed in its file is told from what is genuine, and the genuine rest goes on."""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec.structs import replace

from viworks.errors import DataTampered
from viworks.keys.boxes import DataBox
from viworks.spool import census as counting
from viworks.spool.bounds import Bounds
from viworks.spool.census import Census, Row
from viworks.spool.database import REFUSED, Damaged, Database, set_aside
from viworks.spool.record import Rank, decode

CENSUS = "census"
STATE_PLACE = b"state\n"
_DAMAGED = "the spool could not be read and was set aside: a new one took its place"


def opened(directory: Path, box: DataBox, bounds: Bounds) -> tuple[Database, Census, tuple[str, ...]]:
    """The file, what is in it, and what was found changed. Raises SpoolFailed."""
    try:
        return _examined(directory, box, bounds)
    except Damaged:
        set_aside(directory)
    database, census, _ = _examined(directory, box, bounds)
    return database, census, (_DAMAGED,)


def sealed_census(box: DataBox, census: Census) -> bytes:
    return box.encrypt(msgspec.json.encode(census), STATE_PLACE + CENSUS.encode())


def _examined(directory: Path, box: DataBox, bounds: Bounds) -> tuple[Database, Census, tuple[str, ...]]:
    database = Database(directory, bounds.bytes)
    try:
        return database, *_mended(database, box)
    except BaseException:
        database.close()
        raise


def _mended(database: Database, box: DataBox) -> tuple[Census, tuple[str, ...]]:
    stored = database.value(CENSUS)
    said = _census(stored, box)
    if said is not None and counting.of_rows(said, database.rows()) == said:
        return said, ()  # the sum is only that of the rows as they were written: none has to be opened to know it
    rows = list(database.rows())
    good = [row for row in rows if _opens(row, box)]
    found = _counted(said or counting.fresh(), good)
    findings = _findings(stored, said, rows, good, found)
    if findings:
        database.copy_to(database.path.with_name(REFUSED))
    if findings or stored is None:
        with database.transaction():
            for row in set(rows) - set(good):
                database.delete(row.seq)
            database.put_value(CENSUS, sealed_census(box, found))
    return found, findings


def _findings(stored: bytes | None, said: Census | None, rows: list[Row], good: list[Row], found: Census) -> tuple[str, ...]:
    if stored is None and not rows:
        return ()
    if said is None:
        return ("the spool's own count was changed or removed",)
    findings = []
    if changed := len(rows) - len(good):
        findings.append(f"{changed} records of the spool were changed or moved")
    if found.tally != said.tally:
        missing = said.waiting + said.aside - found.waiting - found.aside
        findings.append(f"records of the spool were removed or brought back ({missing} fewer than there were)")
    return tuple(findings)


def _census(stored: bytes | None, box: DataBox) -> Census | None:
    try:
        return msgspec.json.decode(box.decrypt(stored or b"", STATE_PLACE + CENSUS.encode()), type=Census)
    except (DataTampered, msgspec.MsgspecError):
        return None


def _counted(said: Census, rows: list[Row]) -> Census:
    """The same with the counts of these rows."""
    highest = max((row.seq for row in rows), default=0)
    found = replace(said, waiting=0, size=0, aside=0, tally="0", next_seq=max(said.next_seq, highest + 1))
    for row in rows:
        found = counting.with_row(found, row)
    return found


def _opens(row: Row, box: DataBox) -> bool:
    """Whether a row is as it was written; what is in the clear beside it may hold anything."""
    try:
        return Rank(row.rank) is not None and decode(box.decrypt(row.box, row.place)).rank == row.rank
    except (DataTampered, ValueError, TypeError, KeyError):
        return False
