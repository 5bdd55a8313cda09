"""The spool's file: SQLite, one process at a time, every commit on the disk before it returns. See decision 0024."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Collection, Iterator
from pathlib import Path

from viworks.errors import SpoolFailed
from viworks.spool.census import Row

FILE, REFUSED = "spool.db", "spool.db.refused"
_SIDE_FILES = ("-wal", "-shm", "-journal")
_PAGE_BYTES = 4096
_SCHEMA = (
    "CREATE TABLE records (seq INTEGER PRIMARY KEY, rank INTEGER NOT NULL, aside INTEGER NOT NULL, box BLOB NOT NULL)",
    "CREATE TABLE state (name TEXT PRIMARY KEY, box BLOB NOT NULL) WITHOUT ROWID",
    "CREATE INDEX by_rank ON records (aside, rank, seq)",
)
_PRAGMAS = (
    "PRAGMA trusted_schema = OFF",  # whatever stands in a file that somebody edited must not run
    "PRAGMA cell_size_check = ON",
    "PRAGMA locking_mode = EXCLUSIVE",  # no shared memory file; whose the spool is says ``Ownership``
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA fullfsync = ON",  # macOS: its fsync alone does not reach the disk
    "PRAGMA wal_autocheckpoint = 256",
    "PRAGMA journal_size_limit = 1048576",
    "PRAGMA temp_store = MEMORY",
)
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class Damaged(SpoolFailed):
    """The file is not one that this module wrote, or was changed so that it cannot be read."""


class Database:
    """Rows by place, and named values. Not for two threads at once."""

    def __init__(self, directory: Path, max_bytes: int) -> None:
        """Open or make the file. Raises SpoolFailed, Damaged; the caller owns the directory."""
        self.path = directory / FILE
        self._connection = _connected(self.path)
        try:
            with reported():
                _prepare(self._connection, max_bytes)
        except BaseException:
            self._connection.close()
            raise

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it or nothing; on the disk when it ends. Raises SpoolFailed."""
        with reported():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
                raise

    def put(self, row: Row) -> None:
        """Write a row, in place of one at the same place."""
        self._connection.execute("INSERT OR REPLACE INTO records (seq, rank, aside, box) VALUES (?, ?, ?, ?)", row)

    def delete(self, seq: int) -> None:
        self._connection.execute("DELETE FROM records WHERE seq = ?", (seq,))

    def row(self, seq: int) -> Row | None:
        return self._one("SELECT seq, rank, aside, box FROM records WHERE seq = ?", seq)

    def lowest(self) -> Row | None:
        """The oldest of the least grave that wait."""
        return self._one("SELECT seq, rank, aside, box FROM records WHERE aside = ? ORDER BY rank, seq LIMIT 1", 0)

    def oldest_aside(self) -> Row | None:
        return self._one("SELECT seq, rank, aside, box FROM records WHERE aside = ? ORDER BY seq LIMIT 1", 1)

    def waiting(self, urgent: int, without: Collection[int]) -> Iterator[Row]:
        """Those that wait: from the rank ``urgent`` on first, then the others, each in the order of their places.

        The index alone says which; what is in them is read as far as the caller goes.
        """
        sql = "SELECT seq FROM records WHERE aside = 0 ORDER BY rank >= ? DESC, seq"
        with reported():
            for (seq,) in self._connection.execute(sql, (urgent,)):
                if seq not in without and (row := self.row(seq)) is not None:
                    yield row

    def rows(self) -> Iterator[Row]:
        """All rows."""
        with reported():
            yield from map(Row._make, self._connection.execute("SELECT seq, rank, aside, box FROM records ORDER BY seq"))

    def value(self, name: str) -> bytes | None:
        with reported():
            found = self._connection.execute("SELECT box FROM state WHERE name = ?", (name,)).fetchone()
        return None if found is None else bytes(found[0])

    def put_value(self, name: str, box: bytes) -> None:
        self._connection.execute("INSERT OR REPLACE INTO state (name, box) VALUES (?, ?)", (name, box))

    def copy_to(self, path: Path) -> None:
        """Keep what the file holds now in another one."""
        path.unlink(missing_ok=True)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        with reported(), contextlib.closing(sqlite3.connect(path)) as copy:
            self._connection.backup(copy)

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def _one(self, sql: str, value: int) -> Row | None:
        with reported():
            found = self._connection.execute(sql, (value,)).fetchone()
        return None if found is None else Row(*found)


@contextlib.contextmanager
def reported() -> Iterator[None]:
    """SQLite's errors as the library's: SpoolFailed, Damaged."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _DAMAGED:
            raise Damaged("the spool's file was damaged") from None
        name = getattr(error, "sqlite_errorname", type(error).__name__)
        raise SpoolFailed(f"the spool cannot be read or written: {name}") from None


def set_aside(directory: Path) -> None:
    """Keep a damaged file under another name, as evidence, in place of an earlier one."""
    for suffix in ("", *_SIDE_FILES):
        found = directory / f"{FILE}{suffix}"
        if found.exists() or found.is_symlink():
            found.replace(directory / f"{REFUSED}{suffix}")


def _connected(path: Path) -> sqlite3.Connection:
    """The mode is the file's before anything is in it; SQLite gives its side files the same."""
    try:
        descriptor = os.open(
            path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0), 0o600
        )
        try:
            if os.name == "posix":
                os.fchmod(descriptor, 0o600)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise SpoolFailed(f"the spool cannot be opened: {type(error).__name__}") from None
    with reported():
        return sqlite3.connect(path, timeout=0.0, isolation_level=None, check_same_thread=False)


def _prepare(connection: sqlite3.Connection, max_bytes: int) -> None:
    for pragma in _PRAGMAS:
        connection.execute(pragma).fetchall()
    # Beyond what the bounds allow, so that only a fault ever meets it.
    connection.execute(f"PRAGMA max_page_count = {64 + 2 * max_bytes // _PAGE_BYTES}").fetchall()
    connection.execute("BEGIN EXCLUSIVE")
    try:
        found = {sql for (sql,) in connection.execute("SELECT sql FROM sqlite_master")}
        if not found:
            for statement in _SCHEMA:
                connection.execute(statement)
        elif found != set(_SCHEMA):
            raise Damaged("the spool's file has other tables")
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise
