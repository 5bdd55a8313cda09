"""ClickHouse, embedded or a server, always by clickhouse-connect. ``open_engine`` is the one place that chooses.

An engine belongs to one process and must not be carried over a fork.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol
from urllib.parse import urlencode

import clickhouse_connect
from clickhouse_connect.driver import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError

from sinks import storage
from sinks.errors import EngineInUse, EngineNotOpened, EngineUnavailable, Fenced, RowsRefused
from sinks.settings import SinkSettings
from sinks.storage_keys import Ring, read_ring

# Errors of rows, not of the engine: parsing, conversion, a violated constraint, an exception of the Avro reader.
_CODES_OF_ROWS = frozenset({6, 25, 26, 27, 32, 33, 34, 38, 41, 53, 69, 70, 72, 117, 131, 321, 349, 407, 469, 633, 748})
_STD_EXCEPTION = 1001
_THROWN_IF = 395

# How long a server lets an insert run once it has all of it.
INSERT_MAX_S = 60

_INSERT_SETTINGS: dict[str, Any] = {
    "async_insert": 0,
    "insert_deduplicate": 1,
    "deduplicate_blocks_in_dependent_materialized_views": 1,
    # One batch is one block: it is taken or refused as a whole, and a token names all of it.
    "max_block_size": 1_000_000,
    "min_insert_block_size_rows": 1_000_000,
    "min_insert_block_size_bytes": 1_000_000_000,
    "max_partitions_per_insert_block": 0,
    # What was inserted is what is stored, row by row, until a merge: so it can be counted.
    "optimize_on_insert": 0,
    # A column that an older schema does not have takes its default.
    "input_format_avro_allow_missing_fields": 1,
}


@dataclass(frozen=True, slots=True)
class Reading:
    """How an insert reads its container.

    Attributes:
        columns: those to fill, with the types that they are read as.
        condition: true, or raises by ``throwIf`` before any row is read.
    """

    columns: Mapping[str, str]
    condition: str = "1"

    @property
    def names(self) -> str:
        return ", ".join(self.columns)

    @property
    def structure(self) -> str:
        """As a literal."""
        text = ", ".join(f"{name} {kind}" for name, kind in self.columns.items())
        escaped = text.replace("\\", "\\\\").replace("'", "\\'")
        return f"'{escaped}'"

    def source(self, function: str, settings: str = "") -> str:
        """The part of the statement that follows the table."""
        return f"({self.names}) {settings}SELECT {self.names} FROM {function} WHERE {self.condition} "  # noqa: S608 - ours


class Session(Protocol):
    """One connection. Not to be used by two threads at once."""

    def insert_avro(self, table: str, container: Sequence[bytes], token: str, reading: Reading) -> None:
        """Insert a container, given in pieces, once for each ``token``.

        Raises EngineUnavailable, RowsRefused; Fenced where the condition of ``reading`` does not hold.
        """

    def rows(self, sql: str) -> Sequence[Sequence[Any]]:
        """The result of a query. Raises EngineUnavailable."""

    def command(self, sql: str) -> None:
        """Run a statement. Raises EngineUnavailable."""

    def close(self) -> None: ...


class Engine(Protocol):
    """An opened ClickHouse."""

    def session(self) -> Session:
        """A connection of its own. Raises EngineUnavailable."""

    def close(self) -> None: ...


def open_engine(settings: SinkSettings) -> Engine:
    """The engine of the settings: the server of ``clickhouse``, or the embedded one.

    Raises:
        KeyFileUnusable: the embedded engine has no usable storage key.
        EngineInUse, EngineNotOpened: see there.
    """
    if settings.clickhouse:
        return ServerEngine(settings.clickhouse)
    ring = read_ring(settings.storage_key_file)
    with storage.locked(settings.data_dir):
        storage.settle(settings.data_dir, ring)
    return EmbeddedEngine(settings.data_dir, ring)


class _Session:
    def __init__(self, client: Client) -> None:
        self._client = client

    def rows(self, sql: str) -> Sequence[Sequence[Any]]:
        try:
            return self._client.query(sql).result_rows
        except (ClickHouseError, OSError) as error:
            raise _unavailable(error) from None

    def command(self, sql: str) -> None:
        try:
            self._client.command(sql)
        except (ClickHouseError, OSError) as error:
            raise _unavailable(error) from None

    def close(self) -> None:
        self._client.close()


class ServerSession(_Session):
    """A connection to a server."""

    def insert_avro(self, table: str, container: Sequence[bytes], token: str, reading: Reading) -> None:
        settings = {**_INSERT_SETTINGS, "insert_deduplication_token": token, "max_execution_time": INSERT_MAX_S}
        statement = f"INSERT INTO {table} {reading.source(f'input({reading.structure})')}FORMAT Avro"
        try:
            self._client.command(statement, data=b"".join(container), settings=settings)
        except (ClickHouseError, OSError) as error:
            raise _translated(error) from None


class EmbeddedSession(_Session):
    """A handle of the embedded engine.

    clickhouse-connect would carry the rows through a temporary file, which a crash leaves behind, readable. They go through
    a file without a name instead.
    """

    def insert_avro(self, table: str, container: Sequence[bytes], token: str, reading: Reading) -> None:
        settings = {**_INSERT_SETTINGS, "insert_deduplication_token": token}
        clause = ", ".join(f"{name} = {_literal(value)}" for name, value in settings.items())
        with _unnamed_file() as file:
            for piece in container:
                file.write(piece)
            file.seek(0)
            try:
                container_file = f"file('/dev/fd/{file.fileno()}', 'Avro', {reading.structure})"
                self._client.command(f"INSERT INTO {table} {reading.source(container_file, f'SETTINGS {clause} ')}")
            except (ClickHouseError, OSError) as error:
                raise _translated(error) from None


class ServerEngine:
    """A server, by DSN. The storage policy ``encrypted`` has to exist on it."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    def session(self) -> Session:
        try:
            return ServerSession(clickhouse_connect.get_client(dsn=self._dsn, autogenerate_session_id=False))
        except (ClickHouseError, OSError) as error:
            raise _unavailable(error) from None

    def close(self) -> None:
        return None


class EmbeddedEngine:
    """chDB in this process, under ``data_dir``.

    Raises:
        KeyFileUnusable: there are data of a key that is not in the ring.
        EngineInUse: another process has the directory open.
        EngineNotOpened: the engine gives another reason, or none.
    """

    def __init__(self, data_dir: Path, ring: Ring) -> None:
        directory, config = storage.prepare(data_dir, ring)
        self.ring = ring
        self._path = os.path.realpath(directory)
        self._options = {"config-file": str(config)}
        with storage.keys_in_environment(ring):
            # Held open: the engine ends with its last handle, and could not open again without the keys.
            self._first = self._client()

    @property
    def connection_string(self) -> str:
        """What chDB itself takes to open a further handle."""
        return f"{self._path}?{urlencode(self._options)}"

    def session(self) -> Session:
        return EmbeddedSession(self._client())

    def close(self) -> None:
        self._first.close()

    def _client(self) -> Client:
        try:
            return clickhouse_connect.get_client(dsn="chdb://", path=self._path, chdb_options=self._options)
        except ClickHouseError as error:
            raise _not_opened(str(error), self._path) from None


def _not_opened(text: str, path: str) -> EngineNotOpened:
    # This is all that the engine says when it cannot lock its directory; to other reasons it adds a word on its own stderr.
    if "Error initializing EmbeddedServer" in text:
        return EngineInUse(f"{path} cannot be opened: another process has it open, or the reason stands above this line.")
    return EngineNotOpened(f"{path} cannot be opened: {text}")


def _translated(error: Exception) -> EngineUnavailable | RowsRefused:
    code = error.code if isinstance(error, DatabaseError) else None
    if code == _THROWN_IF:
        return Fenced("another sink has claimed a partition of the batch")
    if code in _CODES_OF_ROWS or (code == _STD_EXCEPTION and "avro::" in str(error)):
        return RowsRefused(int(code))
    return _unavailable(error)


def _unavailable(error: Exception) -> EngineUnavailable:
    code = error.code if isinstance(error, DatabaseError) else None
    if code is None:
        return EngineUnavailable(type(error).__name__)
    # The text of a constraint or a conversion can repeat a value, so only its code and name are kept.
    return EngineUnavailable(f"code {code} ({error.name or 'unnamed'})" if isinstance(error, DatabaseError) else "")


def _literal(value: object) -> str:
    return str(value) if isinstance(value, int) else f"'{value}'"


def _unnamed_file() -> IO[bytes]:
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("viworks-insert"), "w+b", buffering=0)
    return tempfile.TemporaryFile(buffering=0)
