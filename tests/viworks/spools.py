"""Spools for tests: records, and files that were changed by hand."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from viworks.keys import DataBox
from viworks.spool import Bounds, Record, Spool
from viworks.spool.database import FILE


def box() -> DataBox:
    """The same in every process of a test."""
    return DataBox(b"k" * 32)


def opened(directory: Path, **bounds: int) -> Spool:
    return Spool(directory, box(), Bounds(**bounds))


def event(number: int, severity: str = "medium", **members: Any) -> Record:
    message = {"client_id": "c-1", "event_id": f"e-{number}", "severity": severity, "timestamp": 1_000 + number}
    return Record(kind="events", message={**message, **members})


def ids(spool: Spool, most: int = 1_000) -> list[str]:
    """The events that wait, in the order in which they are to be sent."""
    return [str(each.record.message["event_id"]) for each in spool.waiting(most, 1 << 30)]


def edit(directory: Path, *statements: str) -> None:
    """Change the file as somebody does who has not its key."""
    connection = sqlite3.connect(directory / FILE, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
